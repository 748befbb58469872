//! More requests than can be served: some get an early 503, none a wrong answer, and what anybody needs is answered always.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tests::acme_raw::Account;
use tests::external_account::External;
use tests::https::trusting;
use tests::wait;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::limits::{metric, metrics, operations};
use crate::world::{Order, World, csr, fresh_name, identifiers};

/// Requests at the same time.
const STORM: usize = 32;

async fn world(at_once: i64, waiting: i64) -> World {
    World::start_configured(&["--open-acme"], |config| {
        let overload = config["limits"]["overload"].as_table_mut().unwrap();
        overload.insert("at_once".into(), at_once.into());
        overload.insert("waiting".into(), waiting.into());
        overload.insert("patience_seconds".into(), 20.into());
    })
    .await
}

/// HTP-10, NON-2 and ERR-4 of these answers are checked for all answers.
#[tokio::test(flavor = "multi_thread")]
async fn htp_10_and_err_4_what_cannot_be_served_is_sent_away_early() {
    let world = world(1, 1).await;
    let account = world.account().await;
    let mut refused = 0;
    wait::until_true("a refusal", 60, async || {
        let polls = futures_util::future::join_all((0..STORM).map(|_| account.get(&account.url)));
        let free = async {
            for (method, path) in [("GET", "/acme/directory"), ("HEAD", "/acme/new-nonce"), ("GET", "/acme/new-nonce")]
            {
                let answer = world.client.request(method, path, &[], b"").await;
                assert!(answer.status < 300, "{path} is never refused: {answer}");
            }
            metrics(&world.ca).await
        };
        let (answers, _) = tokio::join!(polls, free);
        for answer in answers {
            if answer.status != 200 {
                let answer = answer.expect("overload", 503, "serverInternal");
                let seconds: u64 = answer.header("retry-after").expect("HTP-10").parse().unwrap();
                assert!((1..=120).contains(&seconds), "{seconds}");
                refused += 1;
            }
        }
        refused > 0
    })
    .await;
    let text = metrics(&world.ca).await;
    assert_eq!(metric(&text, "pilotlight_overload_refused_total{reason=\"full\"}"), refused, "{text}");
    assert_eq!(metric(&text, "pilotlight_requests_waiting"), 0, "{text}");
    assert_eq!(metric(&text, "pilotlight_requests_under_way"), 0, "{text}");
    assert!(metric(&text, "pilotlight_admission_wait_seconds_count") > refused, "{text}");
    world.issue(&account, &[&fresh_name()]).await;
}

/// A device whose certificate ends some day, in a crowd that wants something new. In which order ranks are served is the
/// queue's own test.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_crowd_orders_are_ranked_by_what_they_replace() {
    const NAME: &str = "gw-1.site.test";
    let world = world(1, 1000).await;
    let stranger = world.account().await;
    let token = world.ca.device_add("gw-1", "gateway", &[NAME]).await;
    let device = External::of_token(&token).account(&world.client).await;
    let order = Order::new(&device, &json!({ "identifiers": identifiers(&[NAME]) })).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let done = order.finalize(&device, &csr(&[NAME], &key)).await.expect("FIN-1", 200, "").json();
    assert_eq!(done["status"], "valid");
    wait::until_true("a crowd with both ranks", 60, async || {
        let ask = async |account: &Account, name: &str| {
            let payload = json!({ "identifiers": identifiers(&[name]) });
            account.post(&account.client.url("newOrder"), &payload).await.expect("nobody starves", 201, "");
        };
        let names: Vec<String> = (0..STORM).map(|_| fresh_name()).collect();
        let crowd = futures_util::future::join_all(names.iter().map(|name| ask(&stranger, name)));
        tokio::join!(crowd, ask(&device, NAME));
        let text = metrics(&world.ca).await;
        let admitted = |rank: &str| metric(&text, &format!("pilotlight_admitted_total{{rank=\"{rank}\"}}"));
        assert!(admitted("entering") >= admitted("replacing") + admitted("fresh"), "{text}");
        admitted("replacing") > 0 && admitted("fresh") > 0
    })
    .await;
}

/// A place that is held without a word is a place that others need.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_closed() {
    let world = World::shared().await;
    let address = world.ca.main_address();
    let tls = TlsConnector::from(Arc::new(trusting(&world.ca.roots())));
    let mut encrypted =
        tls.connect("localhost".try_into().unwrap(), TcpStream::connect(&address).await.unwrap()).await.unwrap();
    let mut plain = TcpStream::connect(&operations(&world.ca)).await.unwrap();
    let patience = Duration::from_secs(25);
    let (mut one, mut other) = ([0], [0]);
    let (one, other) = tokio::join!(
        tokio::time::timeout(patience, encrypted.read(&mut one)),
        tokio::time::timeout(patience, plain.read(&mut other)),
    );
    assert_eq!(one.expect("TLS").unwrap_or(0), 0);
    assert_eq!(other.expect("plain").unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_within_the_bounds_is_served() {
    let world = Arc::new(world(1, 1000).await);
    let account = Arc::new(world.account().await);
    let all = (0..STORM).map(|_| whole_order(&world, &account));
    futures_util::future::join_all(all).await;
    let text = metrics(&world.ca).await;
    assert!(!text.contains("pilotlight_overload_refused_total{"), "{text}");
    assert_eq!(metric(&text, "pilotlight_requests_under_way"), 0, "{text}");
}

/// From newOrder to the certificate, among many others.
async fn whole_order(world: &World, account: &Account) {
    let name = fresh_name();
    let order = world.ready(account, &[&name]).await;
    assert_eq!(order.object["identifiers"], json!(identifiers(&[&name])));
    let key = rcgen::KeyPair::generate().unwrap();
    order.finalize(account, &csr(&[&name], &key)).await.expect("FIN-1", 200, "");
}
