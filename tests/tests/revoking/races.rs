//! Two servers on one PostgreSQL: a device is revoked at one while its orders are finalized at the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::acme_raw::Client;
use tests::ca::Ca;
use tests::gateway::{Gateway, Issued};
use tests::wait;

use crate::denied::{metric, number};

/// Who orders at the same time.
const AT_ONCE: usize = 4;

/// Fails when a certificate that was being made at one server while its device was revoked at the other stays good, whether it
/// was handed out or not; or when the two know different things in the end.
#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_escapes_a_revocation_at_another_server() {
    let (one, two) = Ca::start_two_on_postgres().await;
    let client = Client::of(&one).await;
    for turn in 0..4 {
        let gateway = Arc::new(Gateway::enrol(&one, &client, &format!("gw-{turn}")).await);
        let answered = Arc::new(AtomicUsize::new(0));
        let loops: Vec<_> = (0..AT_ONCE)
            .map(|_| tokio::spawn(finalize_until_refused(Arc::clone(&gateway), Arc::clone(&answered))))
            .collect();
        // in the middle of it, at other instants each time
        wait::until_true("orders to be finalized", 60, async || answered.load(Ordering::SeqCst) >= 3 + turn).await;
        let out = two.json(&["device", "revoke", &gateway.name]).await;
        assert_eq!(out["state"], "compromised");
        let mut handed_out = Vec::new();
        for each in loops {
            handed_out.extend(each.await.unwrap());
        }
        assert!(handed_out.len() >= 3, "{}", handed_out.len());

        let rows = async || {
            let all = one.json(&["cert", "list", "--limit", "10000"]).await;
            let own = all.as_array().unwrap().iter().filter(|row| row["device"] == gateway.name.as_str()).cloned();
            own.collect::<Vec<_>>()
        };
        wait::until_true("what was begun to be ended", 60, async || {
            rows().await.iter().all(|row| row["state"] != "planned")
        })
        .await;
        let rows = rows().await;
        for certificate in &handed_out {
            let row = rows.iter().find(|row| row["serial"] == certificate.serial.as_str());
            assert_eq!(
                row.unwrap_or_else(|| panic!("unknown"))["state"],
                "revoked",
                "handed out, and good: it escaped"
            );
        }
        for row in &rows {
            assert_eq!(row["state"], "revoked", "nobody has it, but it is good: {row:#}");
            assert_eq!(row["reason"], "keyCompromise", "{row:#}");
        }
        wait::until_true("both to know the same", 20, async || number(&one).await == number(&two).await).await;
        let devices = "pilotlight_denied_entries{kind=\"device\"}";
        assert_eq!((metric(&one, devices).await, metric(&two, devices).await), ((turn + 1) as f64, (turn + 1) as f64));
    }
}

/// Orders and finalizes until the CA refuses; what was handed out.
async fn finalize_until_refused(gateway: Arc<Gateway>, answered: Arc<AtomicUsize>) -> Vec<Issued> {
    let mut handed_out = Vec::new();
    loop {
        let order = gateway.order().await;
        if order.status != 201 {
            assert_eq!(order.status, 401, "{order}");
            return handed_out;
        }
        let done = gateway.finalize(&order.json()).await;
        let Some(url) = done.json()["certificate"].as_str().map(str::to_owned).filter(|_| done.status == 200) else {
            assert!([200, 401, 403].contains(&done.status), "{done}");
            continue;
        };
        let chain = gateway.account.get(&url).await;
        if chain.status == 200 {
            handed_out.push(Issued::of(chain.text().to_owned()));
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}
