//! Certificates.

use pki_core::device::{Device, DeviceState};
use pki_core::ids::{CertificateId, DeviceId, ProfileName};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation, Source};
use pki_core::policy::decide::Held;
use pki_core::revocation::Reason;
use pki_core::revocation::selection::NamePattern;
use pki_core::x509::name::Identifier;
use store::certificates::{self, Filter, KeyStanding, StateFilter};
use store::{Store, StoreError, devices};

use crate::fixtures::{at, certificate, device, dns, entropy, ip, issuer, read, stored_account, write};

crate::on_both! {
    comes_back_as_it_was, serials_are_unique_under_an_issuer, a_plan_is_issued_once, revocation_is_guarded,
    confirmation_is_the_first, lists_fit_the_filter, names_are_searched, the_latest_of_a_device,
    compromised_keys_are_known, successors_are_found, left_over_plans, what_a_device_has_is_counted,
    a_count_holds_for_whoever_has_the_device_alone, expiring_ones_come_by_their_end
}

async fn stored(store: &Store, certificate: &CertificateRecord) {
    let certificate = certificate.clone();
    write(store, async move |tx| certificates::insert(tx, &certificate).await).await.unwrap();
}

async fn found(store: &Store, id: CertificateId) -> CertificateRecord {
    read(store, async move |tx| certificates::find(tx, id).await).await.unwrap()
}

fn issued() -> CertificateState {
    CertificateState::Issued { der: vec![0x31; 700] }
}

fn revoked(seconds: i64, reason: Option<Reason>) -> CertificateState {
    CertificateState::Revoked { der: vec![0x32; 700], revocation: Revocation { at: at(seconds), reason } }
}

async fn comes_back_as_it_was(store: &Store) {
    let gateway = device("gw-1");
    let mut full = certificate(issuer(), &[dns("a.test"), ip("192.0.2.1")]);
    full.account = Some(stored_account(store).await.id);
    full.device = Some(gateway.id);
    full.order = Some(pki_core::ids::OrderId::new(at(0), &entropy()));
    full.predecessor = Some(CertificateId::new(at(0), &entropy()));
    full.confirmed_at = Some(at(3));
    full.source = Source::Acme;
    write(store, async move |tx| devices::insert(tx, &gateway).await).await.unwrap();
    stored(store, &full).await;
    assert_eq!(found(store, full.id).await, full);
    for state in
        [issued(), revoked(5, None), revoked(5, Some(Reason::Unspecified)), revoked(5, Some(Reason::KeyCompromise))]
    {
        let mut other = certificate(issuer(), &[dns("*.b.test")]);
        other.state = state;
        stored(store, &other).await;
        assert_eq!(found(store, other.id).await, other);
    }
}

async fn serials_are_unique_under_an_issuer(store: &Store) {
    let first = certificate(issuer(), &[dns("a.test")]);
    stored(store, &first).await;
    let mut twin = certificate(first.issuer, &[dns("a.test")]);
    twin.serial = first.serial.clone();
    let inserted = twin.clone();
    let error = write(store, async move |tx| certificates::insert(tx, &inserted).await).await.unwrap_err();
    assert!(error.is_duplicate(), "{error}");
    twin.issuer = issuer();
    stored(store, &twin).await;
    let (issuer, serial) = (twin.issuer, twin.serial.clone());
    let by_serial = read(store, async move |tx| certificates::find_by_serial(tx, issuer, &serial).await).await;
    assert_eq!(by_serial, Some(twin));
}

async fn a_plan_is_issued_once(store: &Store) {
    let planned = certificate(issuer(), &[dns("a.test")]);
    let id = planned.id;
    stored(store, &planned).await;
    let mark = async move |tx: &mut store::Tx<'_>| certificates::mark_issued(tx, id, &[1, 2, 3], 0).await;
    assert_eq!(write(store, mark).await, Ok(1));
    let expected = CertificateRecord { state: CertificateState::Issued { der: vec![1, 2, 3] }, version: 1, ..planned };
    assert_eq!(found(store, id).await, expected);
    let error = write(store, mark).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict { table: "certificate", id: id.to_string() });
    // not even by one who knows the version
    let again = async move |tx: &mut store::Tx<'_>| certificates::mark_issued(tx, id, &[4], 1).await;
    assert!(matches!(write(store, again).await, Err(StoreError::Conflict { .. })));
}

async fn revocation_is_guarded(store: &Store) {
    let mut certificate = certificate(issuer(), &[dns("a.test")]);
    certificate.state = issued();
    stored(store, &certificate).await;
    let (id, revocation) = (certificate.id, Revocation { at: at(9), reason: Some(Reason::Superseded) });
    let expected = revocation.clone();
    let revoke = async move |tx: &mut store::Tx<'_>| certificates::revoke(tx, &certificate, &revocation).await;
    assert_eq!(write(store, revoke.clone()).await, Ok(1));
    assert!(
        matches!(found(store, id).await.state, CertificateState::Revoked { revocation, .. } if revocation == expected)
    );
    assert!(matches!(write(store, revoke).await, Err(StoreError::Conflict { .. })));
}

async fn confirmation_is_the_first(store: &Store) {
    let certificate = certificate(issuer(), &[dns("a.test")]);
    let id = certificate.id;
    stored(store, &certificate).await;
    assert_eq!(write(store, async move |tx| certificates::confirm(tx, id, at(4)).await).await, Ok(true));
    assert_eq!(write(store, async move |tx| certificates::confirm(tx, id, at(8)).await).await, Ok(false));
    let expected = CertificateRecord { confirmed_at: Some(at(4)), ..certificate };
    assert_eq!(found(store, id).await, expected);
}

async fn ids(store: &Store, filter: Filter) -> Vec<CertificateId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let filter = filter.clone();
        let page = store.scan(async move |tx| certificates::list(tx, &filter, after, 2).await).await.unwrap();
        let Some(last) = page.last() else { return ids };
        after = Some(last.id);
        ids.extend(page.iter().map(|certificate| certificate.id));
    }
}

async fn lists_fit_the_filter(store: &Store) {
    let gateway = device("gw-1");
    let device = gateway.id;
    write(store, async move |tx| devices::insert(tx, &gateway).await).await.unwrap();
    let mut all = Vec::new();
    for number in 0..6 {
        let mut certificate = certificate(issuer(), &[dns("a.test")]);
        certificate.id = CertificateId::new(at(number), &entropy());
        certificate.not_after = at(100 * number);
        certificate.state = if number % 2 == 0 { issued() } else { revoked(1, None) };
        certificate.device = (number < 3).then_some(device);
        certificate.profile = if number == 5 { "server".parse().unwrap() } else { certificate.profile };
        stored(store, &certificate).await;
        all.push(certificate.id);
    }
    let expect = async |filter: Filter, numbers: &[usize]| {
        let expected: Vec<_> = numbers.iter().map(|number| all[*number]).collect();
        assert_eq!(ids(store, filter.clone()).await, expected, "{filter:?}");
    };
    expect(Filter::default(), &[0, 1, 2, 3, 4, 5]).await;
    expect(Filter { state: Some(StateFilter::Issued), ..Filter::default() }, &[0, 2, 4]).await;
    expect(Filter { state: Some(StateFilter::Planned), ..Filter::default() }, &[]).await;
    expect(Filter { profile: Some("server".parse().unwrap()), ..Filter::default() }, &[5]).await;
    expect(Filter { device: Some(device), ..Filter::default() }, &[0, 1, 2]).await;
    expect(Filter { expires_before: Some(at(300)), ..Filter::default() }, &[0, 1, 2]).await;
    expect(Filter { expires_from: Some(at(300)), expires_before: Some(at(500)), ..Filter::default() }, &[3, 4]).await;
    let everything = Filter {
        state: Some(StateFilter::Revoked),
        profile: Some("gateway".parse().unwrap()),
        device: Some(device),
        expires_before: Some(at(500)),
        expires_from: Some(at(1)),
        name: Some(NamePattern::Exact("A.test".to_owned())),
    };
    expect(everything, &[1]).await;
}

async fn names_are_searched(store: &Store) {
    let mut all = Vec::new();
    for (number, name) in (0_i64..).zip([
        "gw-1.site.test",
        "gw-10.site.test",
        "*.site.test",
        "site.test",
        "evilsite.test",
        "gw.other.test",
    ]) {
        let mut certificate = certificate(issuer(), &[dns(name), ip(&format!("192.0.2.{number}"))]);
        certificate.id = CertificateId::new(at(number), &entropy());
        stored(store, &certificate).await;
        all.push(certificate.id);
    }
    let expect = async |name: NamePattern, numbers: &[usize]| {
        let expected: Vec<_> = numbers.iter().map(|number| all[*number]).collect();
        assert_eq!(ids(store, Filter { name: Some(name.clone()), ..Filter::default() }).await, expected, "{name:?}");
    };
    expect(NamePattern::Exact("gw-1.site.test".to_owned()), &[0]).await;
    expect(NamePattern::Exact("192.0.2.4".to_owned()), &[4]).await;
    expect(NamePattern::Exact("gw-1".to_owned()), &[]).await;
    expect(NamePattern::Beginning("GW-1".to_owned()), &[0, 1]).await;
    expect(NamePattern::Beginning("gw".to_owned()), &[0, 1, 5]).await;
    expect(NamePattern::Beginning("192.0.2.".to_owned()), &[0, 1, 2, 3, 4, 5]).await;
    expect(NamePattern::Domain("site.test".to_owned()), &[0, 1, 2, 3]).await;
    expect(NamePattern::Domain("test".to_owned()), &[0, 1, 2, 3, 4, 5]).await;
    expect(NamePattern::Domain("%".to_owned()), &[]).await;
    expect(NamePattern::Exact("' OR 1=1 --".to_owned()), &[]).await;
}

async fn the_latest_of_a_device(store: &Store) {
    let gateway = device("gw-1");
    let device: DeviceId = gateway.id;
    write(store, async move |tx| devices::insert(tx, &gateway).await).await.unwrap();
    let mut expected = None;
    for (seconds, state, profile) in [
        (1, issued(), "gateway"),
        (3, revoked(4, None), "gateway"),
        (5, issued(), "server"),
        (7, CertificateState::Planned { tbs: vec![1] }, "gateway"),
    ] {
        let mut certificate = certificate(issuer(), &[dns("a.test")]);
        certificate.id = CertificateId::new(at(seconds), &entropy());
        (certificate.device, certificate.state, certificate.profile) = (Some(device), state, profile.parse().unwrap());
        stored(store, &certificate).await;
        if seconds == 3 {
            expected = Some(certificate);
        }
    }
    let latest = async |profile: &str| {
        let profile = profile.parse().unwrap();
        read(store, async move |tx| certificates::latest_for_device(tx, device, &profile).await).await
    };
    assert_eq!(latest("gateway").await, expected);
    assert_eq!(latest("other").await, None);
}

/// Fails when revoked or ended ones count as valid, or those of other devices and profiles count at all.
async fn what_a_device_has_is_counted(store: &Store) {
    let (issuer, counted, stranger) = (issuer(), device("gw-counted"), device("gw-stranger"));
    let (id, other) = (counted.id, stranger.id);
    for device in [counted, stranger] {
        write(store, async move |tx| devices::insert(tx, &device).await).await.unwrap();
    }
    for (of, profile, end, made, state) in [
        (id, "gateway", 100, 40, issued()),
        (id, "gateway", 50, 50, CertificateState::Planned { tbs: vec![1] }),
        (id, "gateway", 49, 60, issued()),
        (id, "gateway", 100, 70, revoked(5, None)),
        (id, "other", 100, 60, issued()),
        (other, "gateway", 100, 60, issued()),
    ] {
        let uri = Identifier::parse("uri", "urn:gw:x").unwrap();
        let mut certificate = certificate(issuer, &[dns("a.test"), uri]);
        (certificate.device, certificate.profile) = (Some(of), profile.parse().unwrap());
        (certificate.not_after, certificate.created_at, certificate.state) = (at(end), at(made), state);
        stored(store, &certificate).await;
        let back = found(store, certificate.id).await;
        assert_eq!(back.identifiers, certificate.identifiers, "names of all types read back");
    }
    let profile: ProfileName = "gateway".parse().unwrap();
    let held = read(store, async move |tx| certificates::count_of_device(tx, id, &profile, at(50), at(50)).await).await;
    assert_eq!(held, Held { active: 2, issued: 3 });
    let profile: ProfileName = "nothing".parse().unwrap();
    let held = read(store, async move |tx| certificates::count_of_device(tx, id, &profile, at(0), at(0)).await).await;
    assert_eq!(held, Held::default());
}

/// Fails when the device is only held beside others: those that count at one moment all find room.
async fn a_count_holds_for_whoever_has_the_device_alone(store: &Store) {
    let issuer = issuer();
    for round in 0..20 {
        let device = device(&format!("gw-{round}"));
        let id = device.id;
        write(store, async move |tx| devices::insert(tx, &device).await).await.unwrap();
        let mut askers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let mut certificate = certificate(issuer, &[dns("a.test")]);
            certificate.device = Some(id);
            askers.spawn(store.write_held(async move |tx| {
                devices::require_in_service_alone(tx, id).await?;
                let held = certificates::count_of_device(tx, id, &certificate.profile, at(0), at(0)).await?;
                if held.active > 0 {
                    return Ok(false);
                }
                certificates::insert(tx, &certificate).await?;
                Ok::<_, StoreError>(true)
            }));
        }
        let given = askers.join_all().await.into_iter().filter(|outcome| *outcome == Ok(true)).count();
        assert_eq!(given, 1, "round {round}");
    }
    let gone = device("gw-gone");
    let gone = Device { state: DeviceState::Retired { at: at(1) }, ..gone };
    let id = gone.id;
    write(store, async move |tx| devices::insert(tx, &gone).await).await.unwrap();
    let outcome = store.write_held(async move |tx| devices::require_in_service_alone(tx, id).await).await;
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
}

async fn compromised_keys_are_known(store: &Store) {
    let reasons = [None, Some(Reason::Unspecified), Some(Reason::Superseded), Some(Reason::KeyCompromise)];
    for (number, reason) in (1..).zip(reasons) {
        let mut certificate = certificate(issuer(), &[dns("a.test")]);
        certificate.spki_sha256 = [number; 32];
        certificate.state = revoked(5, reason);
        stored(store, &certificate).await;
        let known = read(store, async move |tx| certificates::key_standing(tx, None, &[number; 32]).await).await;
        assert_eq!(known.is_compromised, reason == Some(Reason::KeyCompromise), "{reason:?}");
        assert!(!known.is_an_accounts);
    }
    let account = stored_account(store).await;
    let (own, other) = (account.thumbprint, crate::fixtures::account().thumbprint);
    for (thumbprint, is_an_accounts) in [(own, true), (other, false)] {
        let known =
            async move |tx: &mut store::Tx<'_>| certificates::key_standing(tx, Some(&thumbprint), &[9; 32]).await;
        assert_eq!(read(store, known).await, KeyStanding { is_an_accounts, is_compromised: false });
    }
}

async fn successors_are_found(store: &Store) {
    let first = certificate(issuer(), &[dns("a.test")]);
    stored(store, &first).await;
    let mut expected = Vec::new();
    for state in [CertificateState::Issued { der: vec![0x30; 9] }, revoked(5, None), first.state.clone()] {
        let next = CertificateRecord { predecessor: Some(first.id), state, ..certificate(issuer(), &[dns("a.test")]) };
        stored(store, &next).await;
        expected.insert(0, next);
    }
    expected.remove(1);
    let id = first.id;
    assert_eq!(read(store, async move |tx| certificates::successors(tx, id, 9).await).await, expected);
    assert_eq!(read(store, async move |tx| certificates::successors(tx, id, 1).await).await, expected[..1]);
}

async fn left_over_plans(store: &Store) {
    let mut planned = certificate(issuer(), &[dns("a.test")]);
    planned.created_at = at(5);
    let mut done = certificate(issuer(), &[dns("a.test")]);
    (done.created_at, done.state) = (at(5), issued());
    stored(store, &planned).await;
    stored(store, &done).await;
    assert_eq!(read(store, async |tx| certificates::list_planned(tx, at(6), 10).await).await, [planned]);
    assert_eq!(read(store, async |tx| certificates::list_planned(tx, at(5), 10).await).await, []);
}

async fn expiring_ones_come_by_their_end(store: &Store) {
    let mut expected = Vec::new();
    for (end, state, listed) in [
        (30, issued(), true),
        (10, issued(), true),
        (20, revoked(1, None), false),
        (10, issued(), true),
        (9, issued(), false),
        (40, issued(), false),
    ] {
        let mut certificate = certificate(issuer(), &[dns("a.test")]);
        (certificate.not_after, certificate.state) = (at(end), state);
        stored(store, &certificate).await;
        if listed {
            expected.push((certificate.not_after, certificate.id));
        }
    }
    expected.sort();
    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied();
        let page = read(store, async move |tx| certificates::list_expiring(tx, at(10), at(40), after, 2).await).await;
        if page.is_empty() {
            break;
        }
        listed.extend(page.iter().map(|certificate| (certificate.not_after, certificate.id)));
    }
    assert_eq!(listed, expected);
}
