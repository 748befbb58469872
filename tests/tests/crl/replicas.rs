//! Several servers on one PostgreSQL: one of them publishes, all of them serve.

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::ca::Ca;
use tests::gateway::Gateway;
use tests::http::curl;
use tests::wait;

use crate::world::{
    NOBODY, SOON, alarm, all_clear, list_of, metric_or_zero, move_revocations, named, names, publications, published,
    url,
};

/// Two servers on one database, the complete list that both have, and a device that gets its certificates at the first.
struct Pair {
    one: Ca,
    two: Ca,
    complete: String,
    gateway: Gateway,
}

impl Pair {
    async fn start() -> Self {
        let (one, two) = Ca::start_two_on_postgres().await;
        published(&one).await;
        let gateway = Gateway::of(&one).await;
        Self { complete: format!("{}.crl", one.issuer_id()), one, two, gateway }
    }

    async fn stop(mut self) {
        self.one.stop().await;
        self.two.stop().await;
    }
}

/// Fails when two servers make a list of one revocation each, when a number comes twice or falls, or when a server that
/// was stopped in the middle goes back to what it knew.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_and_9_of_two_servers_one_publishes_and_none_goes_back() {
    let pair = Pair::start().await;
    let Pair { one, two, complete, gateway } = &pair;
    let mut last = list_of(two, complete).await;
    for turn in 0..6 {
        let leaf = gateway.issue().await;
        let (by, other) = if turn % 2 == 0 { (one, two) } else { (two, one) };
        if turn >= 4 {
            other.signal(Signal::SIGSTOP);
        }
        by.command(&["cert", "revoke", &leaf.serial, "--reason", "superseded"]).await.success();
        named(by, complete, &leaf.serial).await;
        if turn >= 4 {
            other.signal(Signal::SIGCONT);
        }
        let newest = wait::until("the list of the other server", SOON, async || {
            let list = list_of(other, complete).await;
            assert!(list.number() >= last.number() && list.this_update() >= last.this_update(), "it went back");
            Some(list).filter(|list| names(list, &leaf.serial))
        })
        .await;
        assert_eq!(newest.der(), list_of(by, complete).await.der(), "one list for both");
        last = newest;
    }
    let told = publications(one).await;
    let numbers = rising_numbers(&told);
    let changed = told.iter().filter(|event| event["details"]["occasion"] == "changed").count();
    assert_eq!(changed, 6, "a list for each revocation, and no second one: {numbers:?}");
    let mut counted = 0.0;
    for ca in [one, two] {
        counted += metric_or_zero(ca, "pilotlight_crl_publications_total{occasion=\"changed\"}").await;
    }
    assert!((counted - 6.0).abs() < 0.5, "{counted}");
    pair.stop().await;
}

/// Both are asked to publish at the same time, again and again: whoever is late finds another number in the place. Fails
/// when two lists get one number, or when somebody is told of a failure.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_publishing_at_both_servers_at_once_gives_each_number_once() {
    let Pair { one, two, complete, .. } = &Pair::start().await;
    let before = publications(one).await.len();
    for _ in 0..5 {
        let (a, b) = tokio::join!(one.command(&["crl", "publish"]), two.command(&["crl", "publish"]));
        a.success();
        b.success();
    }
    let told = publications(one).await;
    assert!((5..=10).contains(&(told.len() - before)), "{:#?}", &told[before..]);
    let numbers = rising_numbers(&told);
    let newest = *numbers.last().unwrap();
    for ca in [one, two] {
        wait::until_true("the newest list", SOON, async || list_of(ca, complete).await.number() == newest).await;
        assert!(!ca.log().contains("revocation lists are not published"), "{}", ca.log());
    }
}

/// Fails when a server that saw a revocation wait goes on telling so after the other server has published it: an alarm about
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_what_another_server_published_waits_nowhere() {
    const WAITING: &str = "pilotlight_crl_waiting_since_seconds";
    let pair = Pair::start().await;
    let Pair { one, two, complete, gateway } = &pair;
    let mut has_seen = false;
    for _ in 0..10 {
        let leaf = gateway.issue().await;
        one.command(&["cert", "revoke", &leaf.serial, "--reason", "superseded"]).await.success();
        // mostly before it publishes
        one.signal(Signal::SIGSTOP);
        let seen = wait::until("the other server to see it", SOON, async || {
            let is_listed = names(&list_of(two, complete).await, &leaf.serial);
            let waits = metric_or_zero(two, WAITING).await > 0.0;
            (waits || is_listed).then_some(waits && !is_listed)
        })
        .await;
        one.signal(Signal::SIGCONT);
        has_seen |= seen;
        named(two, complete, &leaf.serial).await;
        for ca in [one, two] {
            wait::until_true("nothing to wait", SOON, async || metric_or_zero(ca, WAITING).await == 0.0).await;
        }
    }
    assert!(has_seen, "the other server never saw one wait");
    pair.stop().await;
}

/// Fails when the alarm of a server that could not publish outlasts the publication by another server.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_and_12_the_alarm_ends_when_another_server_has_published() {
    let pair = Pair::start().await;
    let Pair { one, two, complete, gateway } = &pair;
    let (leaf, issuer) = (gateway.issue().await, one.issuer_id());
    one.command(&["cert", "revoke", &leaf.serial]).await.success();
    named(one, complete, &leaf.serial).await;
    // an entry that vanishes without a reason is not published
    move_revocations(one, NOBODY).await;
    assert_eq!(one.command(&["crl", "publish"]).await.code, 1);
    alarm(one, "publish", "would vanish from it without a reason").await;
    move_revocations(one, &issuer).await;
    two.command(&["crl", "publish"]).await.success();
    all_clear(one, "publish").await;
    pair.stop().await;
}

/// A server without the CA's key serves the lists that the others made, and follows them: leaves may name it.
#[tokio::test(flavor = "multi_thread")]
async fn crl_10_a_server_without_keys_serves_the_lists_of_the_others() {
    let mut ca = Ca::start_on_postgres().await;
    published(&ca).await;
    let mut responder = Ca::start_responder_of(&ca).await;
    let complete = format!("{}.crl", ca.issuer_id());
    let gateway = Gateway::of(&ca).await;
    let leaf = gateway.issue().await;
    ca.command(&["cert", "revoke", &leaf.serial]).await.success();
    wait::until_true("the replica to follow", SOON, async || {
        let answer = curl(&[&url(&responder, &complete)]).await;
        answer.status == 200 && answer.body == curl(&[&url(&ca, &complete)]).await.body && {
            names(&list_of(&responder, &complete).await, &leaf.serial)
        }
    })
    .await;
    ca.stop().await;
    assert_eq!(curl(&[&url(&responder, &complete)]).await.status, 200, "it goes on without the others");
    responder.stop().await;
}

/// The numbers of lists in the order of their publication, of which none came twice and none fell.
fn rising_numbers(told: &[Value]) -> Vec<u64> {
    let numbers = told.iter().map(|event| event["details"]["number"].as_str().unwrap().parse().unwrap());
    let numbers: Vec<u64> = numbers.collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "each number once, rising: {numbers:?}");
    numbers
}
