//! The way SQLite takes to the rows of a set: with a million certificates it is the difference of seconds and hours.

use pki_core::random::SystemEntropy;

use super::*;
use crate::{OpenOptions, Store};

/// Every kind of condition.
const CONDITIONS: [&str; 16] = [
    "issuer=one",
    "profile=gateway",
    "site=home",
    "device=gw-1",
    "label.line=3",
    "name=gw-1.site.test",
    "name=gw-*",
    "name=*.site.test",
    "key=abababababababababababababababababababababababababababababababab",
    "reason=none",
    "reason=certificateHold",
    "issued-after=2026-01-01",
    "issued-before=2026-01-01",
    "expires-after=2026-01-01",
    "expires-before=2026-01-01",
    "revoked-after=2026-01-01",
];

/// The place of a kind among those; a new one is to be added to them.
fn kind(test: &Test) -> usize {
    match test {
        Test::Issuer(_) => 0,
        Test::Profile(_) => 1,
        Test::Site(_) => 2,
        Test::Device(_) => 3,
        Test::Label { .. } => 4,
        Test::Name(_) => 5,
        Test::Key(_) => 6,
        Test::Reason(_) => 7,
        Test::Time { .. } => 8,
    }
}

/// Each condition, its opposite where it has one, each two of them, and none at all.
fn selections() -> Vec<Selection> {
    let opposites = CONDITIONS.map(|text| text.replacen('=', "!=", 1)).into_iter();
    let alone: Vec<String> = CONDITIONS.map(str::to_owned).into_iter().chain(opposites).collect();
    let pairs = alone.iter().flat_map(|one| alone.iter().map(move |other| format!("{one} {other}")));
    let texts = pairs.chain(alone.iter().cloned()).chain(["all".to_owned()]);
    texts.filter_map(|text| Selection::parse(&text).ok()).collect()
}

/// How SQLite would run a statement for each of them.
async fn plans(
    aim: Aim,
    statement: impl Fn(&Tx<'_>, &Target<'_>) -> (String, Vec<Value<'static>>) + Send + Sync + 'static,
) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(OpenOptions::new("sqlite:test.db", folder.path())).await.unwrap();
    store.migrate().await.unwrap();
    let plans = store.look(async move |tx| {
        let (now, up_to) = (
            Timestamp::from_unix_seconds(0),
            CertificateId::new(Timestamp::from_unix_seconds(0), &SystemEntropy::new()),
        );
        let mut plans = Vec::new();
        for selection in selections() {
            let (sql, values) = statement(tx, &Target { selection: &selection, aim, now, up_to });
            let mut steps = Vec::new();
            for row in tx.rows(format!("EXPLAIN QUERY PLAN {sql}"), &values).await? {
                let mut fields = row.fields("plan");
                let _ = (fields.int()?, fields.int()?, fields.int()?);
                steps.push(fields.text()?);
            }
            plans.push((selection.to_string(), steps.join("\n")));
        }
        Ok::<_, StoreError>(plans)
    });
    plans.await.unwrap()
}

#[test]
fn every_kind_of_condition_is_among_them() {
    let mut kinds: Vec<usize> =
        selections().iter().flat_map(Selection::conditions).map(|condition| kind(&condition.test)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (0..=8).collect::<Vec<_>>());
}

/// Fails when a batch of some conditions reads everything they fit to sort it, for each batch anew.
#[tokio::test]
async fn a_batch_is_taken_in_the_order_of_ids_whatever_the_conditions() {
    let statement = |tx: &Tx<'_>, target: &Target<'_>| batch(tx, target, None, 500);
    let mut all = plans(Aim::Revoke(Some(Reason::Superseded)), statement).await;
    assert!(all.len() > 500, "{}", all.len());
    all.extend(plans(Aim::Release, statement).await);
    for (selection, plan) in all {
        assert!(!plan.contains("USE TEMP B-TREE"), "{selection}:\n{plan}");
        let goes = plan.lines().find(|step| step.starts_with("SEARCH c ")).unwrap_or_default();
        let by_id = ["(id>? AND id<?)", "(id=?)", "(device_id=? AND id>? AND id<?)", "(device_id=? AND id=?)"];
        assert!(by_id.iter().any(|way| goes.ends_with(way)), "{selection}:\n{plan}");
    }
}

/// Fails when the end of each set looks through all certificates for the few that are being signed.
#[tokio::test]
async fn what_is_being_signed_is_found_without_reading_the_rest() {
    for (selection, plan) in plans(Aim::Revoke(None), planned).await {
        let goes = plan.lines().find(|step| step.contains(" c ")).unwrap_or_default();
        let few = ["INDEX certificate_planned", "(id=?)", "INDEX certificate_device"];
        assert!(few.iter().any(|way| goes.contains(way)), "{selection}:\n{plan}");
    }
}
