//! Devices and external account keys.

use pki_core::device::{Device, DeviceState, EabKey, EabKeyState, Labels};
use pki_core::ids::{AccountId, DeviceId, EabKeyId};
use store::devices::Filter;
use store::{Store, StoreError, devices, eab_keys};

use crate::fixtures::{at, device, dns, eab_key, entropy, ip, read, write};

crate::on_both! {
    every_state_comes_back, names_are_unique, update_is_guarded, certificate_names_are_replaced, last_seen_only_rises,
    labels_are_replaced, lists_are_paged, lists_are_filtered, a_key_is_bound_once_and_its_secret_erased, keys_are_revoked, keys_are_listed
}

async fn stored(store: &Store, device: &Device) {
    let device = device.clone();
    write(store, async move |tx| devices::insert(tx, &device).await).await.unwrap();
}

async fn found(store: &Store, id: DeviceId) -> Device {
    read(store, async move |tx| devices::find(tx, id).await).await.unwrap()
}

async fn every_state_comes_back(store: &Store) {
    let states = [
        DeviceState::Registered,
        DeviceState::Enrolled { at: at(1) },
        DeviceState::Retired { at: at(2) },
        DeviceState::Compromised { at: at(3) },
    ];
    for (number, state) in states.into_iter().enumerate() {
        let mut device = device(&format!("gw-{number}"));
        device.state = state;
        if number == 0 {
            device.dns.clear();
            device.ips.clear();
            device.labels = Labels::default();
        }
        stored(store, &device).await;
        assert_eq!(found(store, device.id).await, device);
        let name = device.name.clone();
        assert_eq!(read(store, async move |tx| devices::find_by_name(tx, &name).await).await, Some(device));
    }
    let nobody = DeviceId::new(at(0), &entropy());
    assert_eq!(read(store, async move |tx| devices::find(tx, nobody).await).await, None);
}

async fn names_are_unique(store: &Store) {
    stored(store, &device("gw-1")).await;
    let twin = device("gw-1");
    let error = write(store, async move |tx| devices::insert(tx, &twin).await).await.unwrap_err();
    assert!(error.is_duplicate(), "{error}");
}

async fn update_is_guarded(store: &Store) {
    let before = device("gw-1");
    stored(store, &before).await;
    let changed =
        Device { state: DeviceState::Enrolled { at: at(9) }, profile: "server".parse().unwrap(), ..before.clone() };
    let to_store = changed.clone();
    assert_eq!(write(store, async move |tx| devices::update(tx, &to_store).await).await, Ok(1));
    assert_eq!(found(store, before.id).await, Device { version: 1, ..changed });
    let id = before.id.to_string();
    let error = write(store, async move |tx| devices::update(tx, &before).await).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict { table: "device", id });
}

async fn certificate_names_are_replaced(store: &Store) {
    let device = device("gw-1");
    stored(store, &device).await;
    let id = device.id;
    let set = async move |tx: &mut store::Tx<'_>| {
        devices::set_names(tx, id, &["new.site.test".parse().unwrap()], &["192.0.2.9".parse().unwrap()], 0).await
    };
    assert_eq!(write(store, set).await, Ok(1));
    let changed = found(store, id).await;
    assert_eq!(changed.dns, ["new.site.test".parse().unwrap()]);
    assert_eq!(changed.ips, ["192.0.2.9".parse::<std::net::IpAddr>().unwrap()]);
    assert!(matches!(write(store, set).await, Err(StoreError::Conflict { .. })));
    for (name, expected) in
        [(dns("new.site.test"), vec![changed.clone()]), (ip("192.0.2.9"), vec![changed]), (dns("a.site.test"), vec![])]
    {
        assert_eq!(read(store, async move |tx| devices::list_by_identifier(tx, &name).await).await, expected);
    }
}

async fn last_seen_only_rises(store: &Store) {
    let device = device("gw-1");
    let id = device.id;
    stored(store, &device).await;
    for (seen, expected) in [(5, 5), (3, 5), (8, 8)] {
        write(store, async move |tx| devices::touch_last_seen(tx, id, at(seen)).await).await.unwrap();
        let device = found(store, id).await;
        assert_eq!((device.last_seen_at, device.version), (Some(at(expected)), 0));
    }
}

async fn labels_are_replaced(store: &Store) {
    let before = device("gw-1");
    stored(store, &before).await;
    let (id, labels) = (before.id, Labels::parse([("9", "x"), ("a-b", "{c}"), ("role", "core")]).unwrap());
    let wanted = labels.clone();
    let set = async move |tx: &mut store::Tx<'_>| devices::set_labels(tx, id, &wanted, 0).await;
    assert_eq!(write(store, set.clone()).await, Ok(1));
    assert_eq!(found(store, id).await, Device { labels, version: 1, ..before });
    let conflict = StoreError::Conflict { table: "device", id: id.to_string() };
    assert_eq!(write(store, set).await, Err(conflict), "whoever knew the labels before");
}

async fn lists_are_filtered(store: &Store) {
    let labels: [&[(&str, &str)]; 4] =
        [&[], &[("role", "edge")], &[("role", "core"), ("a.b", "9")], &[("a.b", "9"), ("9", "role")]];
    for (number, labels) in labels.into_iter().enumerate() {
        let labels = Labels::parse(labels.iter().copied()).unwrap();
        stored(store, &Device { labels, ..device(&format!("gw-{number}")) }).await;
    }
    for (name, selectors, expected) in [
        (None, &["role"][..], &["gw-1", "gw-2"][..]),
        (None, &["role=edge"], &["gw-1"]),
        (None, &["role", "a.b"], &["gw-2"]),
        (None, &["a.b=9", "9=role"], &["gw-3"]),
        (None, &["a"], &[]),
        (None, &["role=edg"], &[]),
        (Some("gw-1"), &[], &["gw-1"]),
        (Some("gw-*"), &["9"], &["gw-3"]),
        (Some("gw"), &[], &[]),
        (Some("g*"), &[], &["gw-0", "gw-1", "gw-2", "gw-3"]),
        (Some("*"), &["role=core"], &["gw-2"]),
        (Some("%"), &[], &[]),
        (Some("gw_1"), &[], &[]),
    ] {
        let labels = selectors.iter().map(|text| text.parse().unwrap()).collect();
        let filter = Filter { name: name.map(str::to_owned), labels };
        let found = read(store, async move |tx| devices::list(tx, &filter, None, 9).await).await;
        let found: Vec<&str> = found.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(found, expected, "{name:?} {selectors:?}");
    }
    let filter = Filter { name: None, labels: vec!["a.b".parse().unwrap()] };
    let page = async |after| {
        let filter = filter.clone();
        read(store, async move |tx| devices::list(tx, &filter, after, 1).await).await.pop()
    };
    let first = page(None).await.unwrap();
    assert_eq!(page(Some(first.id)).await.unwrap().name.as_str(), "gw-3", "pages are of what was looked for");
}

async fn lists_are_paged(store: &Store) {
    let mut expected = Vec::new();
    for number in 0..5 {
        let device = Device { id: DeviceId::new(at(number), &entropy()), ..device(&format!("gw-{number}")) };
        stored(store, &device).await;
        expected.push(device);
    }
    let first = read(store, async |tx| devices::list(tx, &Filter::default(), None, 3).await).await;
    assert_eq!(first, expected[..3]);
    let last = first[2].id;
    assert_eq!(
        read(store, async move |tx| devices::list(tx, &Filter::default(), Some(last), 3).await).await,
        expected[3..]
    );
}

async fn stored_key(store: &Store, device: Option<DeviceId>) -> EabKey {
    let key = eab_key(device);
    let to_store = key.clone();
    write(store, async move |tx| eab_keys::insert(tx, &to_store).await).await.unwrap();
    key
}

async fn found_key(store: &Store, id: EabKeyId) -> EabKey {
    read(store, async move |tx| eab_keys::find(tx, id).await).await.unwrap()
}

async fn a_key_is_bound_once_and_its_secret_erased(store: &Store) {
    let key = stored_key(store, None).await;
    assert_eq!(found_key(store, key.id).await, key);
    let (id, account) = (key.id, AccountId::new(at(0), &entropy()));
    let bind = async move |tx: &mut store::Tx<'_>| eab_keys::bind(tx, id, account, at(7)).await;
    write(store, bind).await.unwrap();
    let expected = EabKey { state: EabKeyState::Bound { account, at: at(7) }, ..key };
    assert_eq!(found_key(store, id).await, expected);
    assert!(matches!(write(store, bind).await, Err(StoreError::Conflict { table: "eab_key", .. })));
}

async fn keys_are_revoked(store: &Store) {
    let id = stored_key(store, None).await.id;
    let revoke = async move |tx: &mut store::Tx<'_>| eab_keys::revoke(tx, id, at(7)).await;
    write(store, revoke).await.unwrap();
    assert_eq!(found_key(store, id).await.state, EabKeyState::Revoked { at: at(7) });
    assert!(matches!(write(store, revoke).await, Err(StoreError::Conflict { .. })));
    let account = AccountId::new(at(0), &entropy());
    let bind = async move |tx: &mut store::Tx<'_>| eab_keys::bind(tx, id, account, at(7)).await;
    assert!(matches!(write(store, bind).await, Err(StoreError::Conflict { .. })));
}

async fn keys_are_listed(store: &Store) {
    let gateway = device("gw-1");
    stored(store, &gateway).await;
    let mut keys = vec![stored_key(store, None).await, stored_key(store, Some(gateway.id)).await];
    let device = gateway.id;
    assert_eq!(read(store, async move |tx| eab_keys::list_for_device(tx, device).await).await, [keys[1].clone()]);
    keys.sort_by_key(|key| key.id);
    assert_eq!(read(store, async |tx| eab_keys::list(tx, None, 9).await).await, keys);
    let first = keys[0].id;
    assert_eq!(read(store, async move |tx| eab_keys::list(tx, Some(first), 9).await).await, keys[1..]);
}
