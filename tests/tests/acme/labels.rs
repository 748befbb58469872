//! Labels of devices: people change them, and the next decision about the device goes by them, wherever it falls.

use std::sync::Arc;

use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Client, b64};
use tests::agent::Agent;
use tests::ca::Ca;
use tests::external_account::External;
use tests::folders::write;

use crate::postgres::new_database;
use crate::world::{Order, csr, identifiers, must_verify, openssl};

/// Names that only a label gives.
const BY_ROLE: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: { name: by-role }\nspec:\n\
    \x20 identifiers:\n    dns:\n      - template: \"{device.labels.role}.site.test\"\n\
    \x20   uri:\n      - template: \"urn:{device.name}:app\"\n\
    \x20 usage: { extendedKeyUsage: [serverAuth] }\n  lifetime: 1d\n  backdate: 1m\n\
    \x20 renewal: { at: 0.5, grace: 1d }\n  requires: { binding: device }\n";

async fn ca(options: &[&str]) -> (Ca, Arc<Client>) {
    let mut ca = Ca::init_with(&[], options).await;
    let limited = BY_ROLE.replace("by-role", "three") + "  limits: { active: 3 }\n";
    let rated = BY_ROLE.replace("by-role", "three-a-day") + "  limits: { issued: { count: 3, per: 1d } }\n";
    let by_uri = BY_ROLE.replace("by-role", "by-uri");
    let by_uri = by_uri.replace("template: \"{device.labels.role}.site.test\"", "pattern: \"*.site.test\"");
    for (name, profile) in
        [("by-role", BY_ROLE.to_owned()), ("three", limited), ("three-a-day", rated), ("by-uri", by_uri)]
    {
        write(&ca.dir().join(format!("policies/{name}.yaml")), profile, 0o644);
    }
    ca.serve().await;
    let client = Client::of(&ca).await;
    (ca, client)
}

/// Registers a device without names; the account of its token.
async fn device(ca: &Ca, client: &Arc<Client>, name: &str, profile: &str, label: &str) -> Account {
    let token = ca.command(&["device", "add", name, "--profile", profile, "--label", label]).await.success();
    External::of_token(token.trim()).account(client).await
}

async fn label(ca: &Ca, arguments: &[&str]) -> Value {
    ca.json(&[&["device", "label"], arguments].concat()).await
}

/// Fails unless an order for this name is refused for want of the label, in words that help.
async fn must_lack(account: &Account, name: &str, device: &str) {
    let payload = json!({ "identifiers": identifiers(&[name]) });
    let answer = account.post(&account.client.url("newOrder"), &payload).await;
    let answer = answer.expect("no such label", 400, "rejectedIdentifier").json();
    let detail = answer["detail"].as_str().unwrap();
    for part in [
        format!("the label `role`, which the device `{device}` does not have"),
        format!("`ca-server device label {device} role=VALUE`"),
        "(rule identifiers.allowed)".to_owned(),
    ] {
        assert!(detail.contains(&part), "{part}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_counts_from_the_next_decision_on() {
    let (ca, client) = ca(&[]).await;
    label_counts_at(&ca, &[client]).await;
}

/// What one server remembers of a device is not believed when its labels were changed at the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_counts_from_the_next_decision_on_at_every_server() {
    let (ca, one) = ca(&["--database", &new_database().await]).await;
    let second = Ca::start_replica_of(&ca).await;
    label_counts_at(&ca, &[one, Client::of(&second).await]).await;
}

/// Labels are changed at the first server.
async fn label_counts_at(ca: &Ca, servers: &[Arc<Client>]) {
    let names = ["edge.site.test"];
    let mut account = device(ca, &servers[0], "gw-1", "by-role", "role=edge").await;
    for client in servers.iter().chain(servers) {
        account.client = client.clone();
        let order = Order::new(&account, &json!({ "identifiers": identifiers(&names) })).await;
        assert_eq!(order.object["status"], "ready", "proven by the record: {:#}", order.object);
    }
    for client in servers {
        account.client = client.clone();
        let order = Order::new(&account, &json!({ "identifiers": identifiers(&names) })).await;
        let request = csr(&names, &KeyPair::generate().unwrap());
        // it is another's now: what was ordered before is not given any more
        let shown = label(ca, &["gw-1", "role=core"]).await;
        assert_eq!(shown["labels"], json!({ "role": "core" }));
        let refused =
            order.finalize(&account, &request).await.expect("another label", 400, "rejectedIdentifier").json();
        assert!(refused["detail"].as_str().unwrap().ends_with("(rule identifiers.allowed)"), "{refused:#}");
        Order::new(&account, &json!({ "identifiers": identifiers(&["core.site.test"]) })).await;
        // without it no name is made at all, and whoever is refused learns why
        let shown = label(ca, &["gw-1", "role-", "line=Line 4"]).await;
        assert_eq!(shown["labels"], json!({ "line": "Line 4" }));
        must_lack(&account, "core.site.test", "gw-1").await;
        let told =
            ca.json(&["policy", "explain", "--profile", "by-role", "--dns", "core.site.test", "--recorded", "gw-1"]);
        let told = told.await;
        assert_eq!((&told["allowed"], &told["rule"]), (&json!(false), &json!("identifiers.allowed")), "{told:#}");
        label(ca, &["gw-1", "role=edge", "line-"]).await;
        let told =
            ca.json(&["policy", "explain", "--profile", "by-role", "--dns", names[0], "--recorded", "gw-1"]).await;
        assert_eq!(told["allowed"], true, "{told:#}");
        let done = order.finalize(&account, &request).await.expect("the label is back", 200, "").json();
        let chain = account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "");
        must_verify(ca, chain.text());
    }
    // what changes nothing is no event
    label(ca, &["gw-1", "role=edge", "line-"]).await;
    let events = ca.json(&["audit", "list", "--limit", "1000"]).await;
    let changes: Vec<_> = events.as_array().unwrap().iter().filter(|event| event["action"] == "device.label").collect();
    assert_eq!(changes.len(), 3 * servers.len(), "{changes:#?}");
    let details = |event: &Value| {
        let text = |name: &str| event["details"][name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("before"), text("labels"))
    };
    let told: Vec<_> = changes.iter().map(|event| details(event)).collect();
    let told: Vec<_> = told.iter().map(|(name, old, new)| (name.as_str(), old.as_str(), new.as_str())).collect();
    for change in
        [("gw-1", "role=edge", "role=core"), ("gw-1", "role=core", "line=Line 4"), ("gw-1", "line=Line 4", "role=edge")]
    {
        assert!(told.contains(&change), "{told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_needs_no_name_where_its_profile_makes_one() {
    let (ca, _) = ca(&[]).await;
    let add = async |arguments: &[&str]| ca.command(&[&["device", "add"], arguments].concat()).await;
    for (arguments, told) in [
        (&["gw-1", "--profile", "by-role"][..], "or `--label role=VALUE`"),
        (&["gw-1", "--profile", "by-role", "--label", "line=4"], "which the device `gw-1` does not have"),
        (&["gw-1", "--profile", "by-role", "--label", "role=a.b"], "holds characters that can not stand there"),
        (&["gw-1", "--profile", "by-uri"], "makes none of it that an order can name; give `--dns` or `--ip`"),
        (&["gw-1", "--profile", "gateway"], "makes none of it that an order can name; give `--dns` or `--ip`"),
        (&["gw-1", "--profile", "nothing", "--label", "role=edge"], "(rule profile.known)"),
        (&["gw-1", "--profile", "by-role", "--dns", "x.site.test"], "`ca-server device label gw-1 role=VALUE`"),
        (&["gw-1", "--profile", "by-role", "--label", "role=a", "--label", "role=b"], "is named twice"),
    ] {
        let ran = add(arguments).await;
        assert!(ran.code == 1 && ran.stderr.contains(told), "{arguments:?}: {told}: {ran}");
    }
    assert_eq!(ca.json(&["device", "list"]).await, json!([]), "none was registered");
    let token = add(&["gw-1", "--profile", "by-role", "--label", "role=edge"]).await.success();

    // the agent learns the name from the CA, and another one when the label is another
    let agent = Agent::new();
    agent.enroll(token.trim()).await.success();
    assert_eq!(names(&agent), "DNS:edge.site.test");
    label(&ca, &["gw-1", "role=core"]).await;
    agent.command(&["renew", "identity"]).await.success();
    assert_eq!(names(&agent), "DNS:core.site.test");
}

/// Fails when a site has to be known before a device may stand there, or its certificates do not say where it stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_begins_with_its_first_device() {
    let (ca, _) = ca(&[]).await;
    for name in ["gw-1", "gw-2"] {
        let dns = format!("{name}.site.test");
        let add = ["device", "add", name, "--profile", "gateway", "--dns", &dns, "--site", "line-3"];
        let token = ca.command(&add).await.success();
        Agent::new().enroll(token.trim()).await.success();
    }
    let listed = ca.json(&["device", "list"]).await;
    assert!(listed.as_array().unwrap().iter().all(|device| device["site"] == "line-3"), "{listed:#}");
    let plan = ca.json(&["cert", "revoke", "--where", "site=line-3", "--plan"]).await;
    assert_eq!((&plan["affected"], &plan["groups"][0]["site"]), (&json!(2), &json!("line-3")), "{plan:#}");
    let wrong = ca.command(&["device", "add", "gw-3", "--profile", "gateway", "--site", "Line 3"]).await;
    assert!(wrong.code == 1 && wrong.stderr.contains("site"), "{wrong}");
}

/// The names in an agent's certificate.
fn names(agent: &Agent) -> String {
    let told =
        openssl(&agent.live("identity"), &["x509", "-in", "current/cert.pem", "-noout", "-ext", "subjectAltName"]);
    String::from_utf8(told).unwrap().lines().last().unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_set_removed_and_looked_for() {
    let (ca, _) = ca(&[]).await;
    for (name, labels) in [("gw-1", &["role=edge"][..]), ("gw-2", &["role=core", "line=Line 4"]), ("press", &[])] {
        let dns = format!("{name}.site.test");
        let mut arguments = vec!["device", "add", name, "--profile", "gateway", "--dns", &dns];
        arguments.extend(labels.iter().flat_map(|label| ["--label", *label]));
        ca.command(&arguments).await.success();
    }
    for (arguments, expected) in [
        (&["--label", "role"][..], &["gw-1", "gw-2"][..]),
        (&["--label", "role=edge"], &["gw-1"]),
        (&["--label", "role", "--label", "line=Line 4"], &["gw-2"]),
        (&["--label", "role", "--limit", "1"], &["gw-1"]),
        (&["--label", "none"], &[]),
        (&["--name", "gw-*", "--label", "line"], &["gw-2"]),
        (&["--name", "press"], &["press"]),
        (&["--name", "p*"], &["press"]),
    ] {
        let listed = ca.json(&[&["device", "list"], arguments].concat()).await;
        let names: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{arguments:?}");
    }
    let table = ca.command(&["device", "list"]).await.success();
    assert!(table.contains("LABELS") && table.contains("line=Line 4,role=core"), "{table}");
    let shown = ca.command(&["device", "show", "gw-2"]).await.success();
    assert!(shown.contains("labels") && shown.contains("line=Line 4,role=core"), "{shown}");
    assert_eq!(ca.json(&["device", "show", "press"]).await.get("labels"), None);

    let many: Vec<String> = (0..17).map(|number| format!("k{number}=v")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (changes, code, told) in [
        (&["gw-1"][..], 2, "required"),
        (&["gw-1", "role"], 2, "write KEY=VALUE, or KEY- to remove it"),
        (&["gw-1", "-role=x"], 2, "unexpected argument"),
        (&["gw-1", "ro/le=x"], 2, "cannot be the key of a label"),
        (&["gw-1", "role=a,b"], 2, "cannot be the value of the label `role`"),
        (&["gw-1", "role=a", "role-"], 1, "is named twice"),
        (&[&["gw-1"], &many[..]].concat(), 1, "a device has 16 labels at most"),
        (&["gw-9", "role=x"], 1, "no device is called gw-9"),
    ] {
        let ran = ca.command(&[&["device", "label"], changes].concat()).await;
        assert!(ran.code == code && ran.stderr.contains(told), "{changes:?}: {told}: {ran}");
    }
    assert_eq!(ca.json(&["device", "show", "gw-1"]).await["labels"], json!({ "role": "edge" }), "as before");
    // four at once: none undoes what another did
    let changes = ["a=1", "b=1", "c=1", "d=1"];
    let commands = changes.map(|change| ["device", "label", "gw-1", change]);
    let ran = futures_util::future::join_all(commands.iter().map(|command| ca.command(command))).await;
    let kept = ca.json(&["device", "show", "gw-1"]).await["labels"].clone();
    for (change, ran) in changes.iter().zip(ran) {
        assert_eq!(kept.get(&change[..1]).is_some(), ran.code == 0, "{change}: {ran}");
    }
}

/// One place is left, and many ask for it at one moment: each was decided when there was room.
async fn one_of_many_gets_the_last_place(ca: &Ca, servers: &[Arc<Client>]) {
    for profile in ["three", "three-a-day"] {
        let rule = if profile == "three" { "limits.active" } else { "limits.issued" };
        let names = [format!("{profile}.site.test")];
        let names = [names[0].as_str()];
        let mut account = device(ca, &servers[0], profile, profile, &format!("role={profile}")).await;
        // at once as well, so that each of the requests below has its connection
        let wanted = json!({ "identifiers": identifiers(&names) });
        let orders = futures_util::future::join_all((0..26).map(|_| Order::new(&account, &wanted))).await;
        let request = || csr(&names, &KeyPair::generate().unwrap());
        for order in &orders[..2] {
            order.finalize(&account, &request()).await.expect("two of three", 200, "");
        }
        let mut signed = Vec::new();
        for (turn, order) in orders[2..].iter().enumerate() {
            account.client = servers[turn % servers.len()].clone();
            let (url, payload) = (order.object["finalize"].as_str().unwrap(), json!({ "csr": b64(request()) }));
            signed.push((account.client.clone(), url, account.jws(url, &payload.to_string()).await.sign(&account.key)));
        }
        let asked = signed.iter().map(|(client, url, body)| client.post(url, body));
        let mut answers = futures_util::future::join_all(asked).await;
        // whom a slow server sent away comes again
        for (answer, order) in answers.iter_mut().zip(&orders[2..]) {
            while answer.status == 503 {
                *answer = order.finalize(&account, &request()).await;
            }
        }
        let given = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(given, 1, "{rule}: {answers:#?}");
        for answer in answers.into_iter().filter(|answer| answer.status != 200) {
            let refused = answer.expect(rule, 429, "rateLimited").json();
            assert!(refused["detail"].as_str().unwrap().ends_with(&format!("(rule {rule})")), "{refused:#}");
        }
        let held = ca.certificates().await;
        assert_eq!(held.iter().filter(|row| row["profile"] == profile).count(), 3, "{held:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_gets_the_last_place() {
    let (ca, client) = ca(&[]).await;
    one_of_many_gets_the_last_place(&ca, &[client]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_at_two_servers_one_gets_the_last_place() {
    let (ca, one) = ca(&["--database", &new_database().await]).await;
    let second = Ca::start_replica_of(&ca).await;
    one_of_many_gets_the_last_place(&ca, &[one, Client::of(&second).await]).await;
}
