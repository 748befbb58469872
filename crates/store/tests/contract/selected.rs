//! Sets of certificates: what a selection means on both databases, and the report of what is revoked.

use std::collections::BTreeMap;

use pki_core::device::{Device, DeviceState, Labels};
use pki_core::ids::{CertificateId, DeviceName};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation};
use pki_core::revocation::Reason;
use pki_core::revocation::selection::Selection;
use store::certificates::many;
use store::certificates::selected::{self, Aim, Fate, Target};
use store::revocations::report;
use store::{Store, certificates, devices};

use crate::fixtures::{at, certificate, device, dns, read, store_certificate, write};

crate::on_both! { conditions_find_what_they_say, the_others_of_a_key_are_found, a_plan_counts_fates, a_release_finds_what_is_on_hold, what_is_revoked_is_reported }

const NOW: i64 = 100;

/// A key that several have.
const KEY: [u8; 32] = [0xab; 32];
const KEYED: [&str; 5] = ["a.line3.test", "xline3.test", "gone.test", "old.test", "planned.test"];

/// Certificates by the name they carry.
struct Stock {
    records: BTreeMap<&'static str, CertificateRecord>,
    device: DeviceName,
}

impl Stock {
    async fn lay(store: &Store) -> Self {
        let issuer = crate::issuers::stored(store, 1).await.id;
        let mut gateway = device("gw-1");
        gateway.state = DeviceState::Enrolled { at: at(0) };
        gateway.labels = Labels::parse([("line", "3"), ("hall", "north wing")]).unwrap();
        let row = gateway.clone();
        write(store, async move |tx| devices::insert(tx, &row).await).await.unwrap();
        let mut records = BTreeMap::new();
        for (name, site, profile, reason) in [
            ("a.line3.test", "home", "gateway", None),
            ("b.line3.test", "line-3", "gateway", None),
            ("xline3.test", "line-3", "server", None),
            ("held.test", "home", "server", Some(Reason::CertificateHold)),
            ("gone.test", "home", "server", Some(Reason::Superseded)),
            ("old.test", "home", "server", None),
            ("planned.test", "home", "server", None),
        ] {
            let mut record = certificate(issuer, &[dns(name)]);
            (record.site, record.profile) = (site.parse().unwrap(), profile.parse().unwrap());
            record.device = name.starts_with("a.").then_some(gateway.id);
            record.not_after = at(if name == "old.test" { NOW - 1 } else { NOW + 50 });
            record.created_at = at(if name.starts_with('b') { 20 } else { 10 });
            record.spki_sha256 = if KEYED.contains(&name) { KEY } else { record.spki_sha256 };
            let der = vec![0x30; 9];
            record.state = match reason {
                _ if name == "planned.test" => CertificateState::Planned { tbs: der },
                None => CertificateState::Issued { der },
                reason => CertificateState::Revoked { der, revocation: Revocation { at: at(30), reason } },
            };
            store_certificate(store, &record).await;
            records.insert(name, record);
        }
        Self { records, device: gateway.name }
    }

    fn newest(&self) -> CertificateId {
        self.records.values().map(|record| record.id).max().unwrap()
    }

    /// The names of what would be changed.
    async fn affected(&self, store: &Store, text: &str, reason: Option<Reason>) -> Vec<&'static str> {
        self.aimed_at(store, text, Aim::Revoke(reason)).await
    }

    async fn aimed_at(&self, store: &Store, text: &str, aim: Aim) -> Vec<&'static str> {
        let (selection, up_to) = (Selection::parse(text).unwrap(), self.newest());
        let ids = read(store, async move |tx| {
            let target = Target { selection: &selection, aim, now: at(NOW), up_to };
            let mut found = Vec::new();
            // page by page
            loop {
                let page = selected::affected(tx, &target, found.last().copied(), 2).await?;
                if page.is_empty() {
                    return Ok(found);
                }
                found.extend(page);
            }
        })
        .await;
        self.records.iter().filter(|(_, record)| ids.contains(&record.id)).map(|(name, _)| *name).collect()
    }
}

async fn conditions_find_what_they_say(store: &Store) {
    let stock = Stock::lay(store).await;
    let [a, b, x, held, gone] = ["a.line3.test", "b.line3.test", "xline3.test", "held.test", "gone.test"];
    let issuer = stock.records[a].issuer.to_string();
    for (text, expected) in [
        ("all", vec![a, b, held, x]),
        ("profile=gateway", vec![a, b]),
        ("profile!=gateway", vec![held, x]),
        ("site=line-3 profile=gateway", vec![b]),
        ("name=*.line3.test", vec![a, b]),
        ("name!=*.line3.test", vec![held, x]),
        ("name=A.Line3.test", vec![a]),
        ("name=x*", vec![x]),
        ("device=gw-1", vec![a]),
        ("device!=gw-1", vec![b, held, x]),
        ("device=gw-2", vec![]),
        ("label.line=3", vec![a]),
        ("label.line=3 label.hall=\"north wing\"", vec![a]),
        ("label.line=4", vec![]),
        ("label.line!=3", vec![b, held, x]),
        ("label.roof=3", vec![]),
        (&format!("key={}", "ab".repeat(32)), vec![a, x]),
        ("issued-after=2026-01-01T00:00:20Z", vec![b]),
        ("issued-before=2026-01-01T00:00:20Z", vec![a, held, x]),
        ("expires-before=2026-01-01T00:02:30Z", vec![]),
        ("expires-after=2026-01-01T00:02:30Z", vec![a, b, held, x]),
        ("reason=certificateHold", vec![held]),
        ("reason!=certificateHold", vec![a, b, x]),
        ("revoked-after=2026-01-01T00:00:30Z", vec![held]),
        (&format!("issuer={issuer}"), vec![a, b, held, x]),
        (&format!("issuer!={issuer}"), vec![]),
        ("issuer=\"Site CA 1\"", vec![a, b, held, x]),
        ("issuer=nobody", vec![]),
    ] {
        let found = stock.affected(store, text, Some(Reason::CessationOfOperation)).await;
        assert_eq!(found, expected, "{text}");
    }
    // what is left to do depends on the reason
    assert_eq!(stock.affected(store, "all", Some(Reason::CertificateHold)).await, [a, b, x]);
    assert_eq!(stock.affected(store, "all", Some(Reason::KeyCompromise)).await, [a, b, gone, held, x]);
    assert_eq!(stock.affected(store, "all", None).await, [a, b, held, x]);
    assert_eq!(stock.device.to_string(), "gw-1");
}

/// REV-6: what is in force or is being signed, but for the one that was asked about.
async fn the_others_of_a_key_are_found(store: &Store) {
    let stock = Stock::lay(store).await;
    let a = stock.records["a.line3.test"].id;
    let serial = |name: &str| stock.records[name].serial.clone();
    let others =
        async |limit| read(store, async move |tx| many::others_of_key(tx, &KEY, a, at(NOW), limit).await).await;
    let mut expected = vec![serial("xline3.test"), serial("planned.test")];
    let (mut all, count) = others(9).await;
    all.sort();
    expected.sort();
    assert_eq!((all, count), (expected, 2));
    assert_eq!(others(1).await.1, 2, "the number does not depend on how many are named");
    let nobody = read(store, async move |tx| many::others_of_key(tx, &[1; 32], a, at(NOW), 9).await).await;
    assert_eq!(nobody, (vec![], 0));
}

async fn a_plan_counts_fates(store: &Store) {
    assert_eq!(read(store, async |tx| selected::newest(tx).await).await, None);
    let stock = Stock::lay(store).await;
    let up_to = stock.newest();
    assert_eq!(read(store, async |tx| selected::newest(tx).await).await, Some(up_to));
    let (groups, (devices, holders), planned) = read(store, async move |tx| {
        let selection = Selection::parse("all").unwrap();
        let target = Target { selection: &selection, aim: Aim::Revoke(None), now: at(NOW), up_to };
        Ok((
            selected::count(tx, &target).await?,
            selected::count_by_device(tx, &target, 1).await?,
            selected::count_planned(tx, &target).await?,
        ))
    })
    .await;
    let count = |fate| groups.iter().filter(|group| group.fate == fate).map(|group| group.count).sum::<u64>();
    assert_eq!([Fate::Affected, Fate::Already, Fate::Planned, Fate::Expired].map(count), [4, 1, 1, 1]);
    let here = groups.iter().filter(|group| group.site.as_str() == "line-3" && group.fate == Fate::Affected);
    assert_eq!(
        here.map(|group| (group.profile.as_str(), group.count)).collect::<Vec<_>>(),
        [("gateway", 1), ("server", 1)]
    );
    assert_eq!((devices, holders), (vec![(None, 3)], 2), "one device, and what no device holds");
    assert_eq!(planned, 1);
    // three are in force; what is held or revoked does not make up for one of them
    let earlier = stock.records["b.line3.test"].id;
    for (text, up_to, is_left) in [
        ("name=*.line3.test", up_to, true),
        ("name=*.line3.test", earlier, false),
        ("all", up_to, false),
        ("name=*.test", up_to, false),
        ("reason!=superseded", up_to, false),
        ("expires-after=2026-01-01T00:01:40Z reason!=certificateHold", up_to, false),
        ("site=line-3", up_to, true),
        ("site=home", up_to, true),
        ("device!=gw-1", up_to, true),
        ("reason=certificateHold", up_to, true),
    ] {
        let left = read(store, async move |tx| {
            let selection = Selection::parse(text).unwrap();
            let aim = Aim::Revoke(Some(Reason::KeyCompromise));
            let target = Target { selection: &selection, aim, now: at(NOW), up_to };
            selected::leaves_any(tx, &target).await
        });
        assert_eq!(left.await, is_left, "{text}");
    }
}

/// What is on hold comes back, but not to a device that is out of service; what is revoked for good is told apart.
async fn a_release_finds_what_is_on_hold(store: &Store) {
    let stock = Stock::lay(store).await;
    let ids: Vec<CertificateId> = ["a.line3.test", "b.line3.test"].map(|name| stock.records[name].id).to_vec();
    let held = ids.clone();
    let hold = store.write_held(async move |tx| {
        let found = many::hold_many(tx, &held).await?;
        let hold = Revocation { at: at(40), reason: Some(Reason::CertificateHold) };
        certificates::revoke_many(tx, &found.iter().collect::<Vec<_>>(), &hold).await
    });
    hold.await.unwrap();
    let [a, b, on_hold] = ["a.line3.test", "b.line3.test", "held.test"];
    assert_eq!(stock.aimed_at(store, "all", Aim::Release).await, [a, b, on_hold]);
    assert_eq!(stock.aimed_at(store, "name=*.line3.test", Aim::Release).await, [a, b]);

    let (name, up_to) = (stock.device.clone(), stock.newest());
    let out = write(store, async move |tx| {
        let gateway = devices::find_by_name(tx, &name).await?.unwrap();
        assert_eq!(devices::hold_in_service_of(tx, &ids).await?, [gateway.id]);
        devices::update(tx, &Device { state: DeviceState::Retired { at: at(50) }, ..gateway }).await?;
        devices::hold_in_service_of(tx, &ids).await
    });
    assert_eq!(out.await, Ok(vec![]));
    assert_eq!(stock.aimed_at(store, "all", Aim::Release).await, [b, on_hold]);
    let groups = read(store, async move |tx| {
        let selection = Selection::parse("all").unwrap();
        selected::count(tx, &Target { selection: &selection, aim: Aim::Release, now: at(NOW), up_to }).await
    });
    let groups = groups.await;
    let count = |fate| groups.iter().filter(|group| group.fate == fate).map(|group| group.count).sum::<u64>();
    // in force or being signed: x and planned; for good: gone, and a of the device
    assert_eq!([Fate::Affected, Fate::Already, Fate::Kept, Fate::Planned, Fate::Expired].map(count), [2, 2, 2, 0, 1]);

    let id = stock.records[b].id;
    let released = store.write_held(async move |tx| {
        let found = many::hold_many(tx, &[id]).await?;
        certificates::release_many(tx, &found.iter().collect::<Vec<_>>(), at(60)).await
    });
    assert_eq!(released.await, Ok(5), "two of the stock, two holds, one release");
    assert_eq!(stock.aimed_at(store, "all", Aim::Release).await, [on_hold]);
}

async fn what_is_revoked_is_reported(store: &Store) {
    let stock = Stock::lay(store).await;
    let ids = vec![stock.records["a.line3.test"].id, stock.records["b.line3.test"].id];
    let revocation = Revocation { at: at(40), reason: None };
    let many = store.write_held(async move |tx| {
        let held = many::hold_many(tx, &ids).await?;
        certificates::revoke_many(tx, &held.iter().collect::<Vec<_>>(), &revocation).await
    });
    assert_eq!(many.await, Ok(4));
    let list = async |text: &'static str, after| {
        let selection = Selection::parse(text).unwrap();
        let found = read(store, async move |tx| report::list(tx, &selection, after, 3).await).await;
        found.into_iter().map(|one| (one.number, one.identifiers[0].value(), one.device)).collect::<Vec<_>>()
    };
    let row = |number, name: &str, device: Option<&DeviceName>| (number, name.to_owned(), device.cloned());
    let expected = [
        row(1, "held.test", None),
        row(2, "gone.test", None),
        row(3, "a.line3.test", Some(&stock.device)),
        row(4, "b.line3.test", None),
    ];
    assert_eq!(list("all", 0).await, expected[..3]);
    assert_eq!(list("all", 3).await, expected[3..]);
    assert_eq!(list("name=*.line3.test device=gw-1", 0).await, expected[2..3]);
    assert_eq!(list("reason=none", 0).await, expected[2..]);
}
