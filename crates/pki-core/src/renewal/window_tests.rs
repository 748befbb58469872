//! Windows of lives of seconds to years.

use super::*;
use crate::ids::{CertificateId, IssuerId, LineageId, Serial, SiteName};
use crate::issuance::record::{Revocation, Source};
use crate::random::SystemEntropy;

const DAY: i64 = 86_400;
const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(START + seconds)
}

fn record(life: i64) -> CertificateRecord {
    let entropy = SystemEntropy::new();
    CertificateRecord {
        id: CertificateId::random(&entropy),
        issuer: IssuerId::random(&entropy),
        serial: Serial::random(&entropy),
        site: SiteName::home(),
        device: None,
        account: None,
        order: None,
        source: Source::Acme,
        profile: "server".parse().unwrap(),
        policy_revision: String::new(),
        policy_commit: None,
        epoch: 1,
        identifiers: Vec::new(),
        spki_sha256: [0; 32],
        not_before: at(0),
        not_after: at(life),
        lineage: LineageId::random(&entropy),
        generation: 1,
        predecessor: None,
        confirmed_at: None,
        shard: 0,
        crl_urls: Vec::new(),
        state: CertificateState::Issued { der: Vec::new() },
        created_at: at(0),
        version: 1,
    }
}

/// ARI-3.
#[test]
fn windows_lie_in_the_last_third_and_spread() {
    for (life, from) in [(90 * DAY, 60 * DAY), (10 * DAY, 6 * DAY + DAY / 2), (9 * DAY, 9 * DAY / 2), (120, 60), (2, 1)]
    {
        let mut starts = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let record = record(life);
            let window = suggest(&record, None, None);
            assert_eq!(window, suggest(&record, None, None));
            assert!(window.start >= at(from) && window.start < window.end, "{life}: {window:?}");
            assert!(window.end <= at(life), "{life}: {window:?}");
            starts.insert(window.start);
        }
        assert!(life < DAY || starts.len() > 90, "{life}: {}", starts.len());
    }
}

#[test]
fn the_window_of_a_profile_is_kept_and_spread_over() {
    for (life, shares, from, to) in [(100 * DAY, (500, 600), 50 * DAY, 60 * DAY), (100, (100, 900), 10, 90)] {
        let mut starts = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let window = suggest(&record(life), Some(shares), None);
            assert!(window.start >= at(from) && window.end <= at(to) && window.start < window.end, "{window:?}");
            starts.insert(window.start);
        }
        assert!(life < DAY || starts.len() > 90, "{life}: {}", starts.len());
    }
}

#[test]
fn what_was_revoked_is_over() {
    let revocation = Revocation { at: at(100), reason: None };
    let record = CertificateRecord { state: CertificateState::Revoked { der: Vec::new(), revocation }, ..record(DAY) };
    let replacement = Replacement { from: at(10), until: at(20) };
    for replacement in [None, Some(replacement)] {
        let window = suggest(&record, None, replacement);
        assert!(window.start < window.end && window.end <= at(100));
    }
}

#[test]
fn a_replacement_moves_windows_forward_only_and_spreads_them() {
    let replacement = Replacement { from: at(DAY), until: at(2 * DAY) };
    let mut starts = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let record = record(90 * DAY);
        let window = suggest(&record, None, Some(replacement));
        assert!(window.start >= at(DAY) && window.start <= at(2 * DAY) && window.start < window.end, "{window:?}");
        starts.insert(window.start);
    }
    assert!(starts.len() > 90);
    let late = Replacement { from: at(80 * DAY), until: at(90 * DAY) };
    let record = record(90 * DAY);
    assert_eq!(suggest(&record, None, Some(late)), suggest(&record, None, None), "its own window comes first");
    let newer = CertificateRecord { created_at: at(DAY), ..record };
    assert_eq!(suggest(&newer, None, Some(replacement)), suggest(&newer, None, None), "made afterwards");
}

/// ARI-2.
#[test]
fn the_pace_of_asking_follows_the_life() {
    for (left, most) in [(90 * DAY, 6 * 3600_u64), (DAY, 8640), (100, 10), (5, 1), (0, 6 * 3600), (-5, 6 * 3600)] {
        let record = record(90 * DAY);
        let now = at(90 * DAY - left);
        let wait = ask_again_after(&record, now).as_secs();
        assert!(wait >= 1 && wait <= most && wait + 1 >= most * 3 / 4, "{left}: {wait}");
        assert_eq!(ask_again_after(&record, now), ask_again_after(&record, now));
    }
}
