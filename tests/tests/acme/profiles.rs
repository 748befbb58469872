//! What profiles say, seen from outside: each refusal is the right problem with the rule named, and what is allowed is in
//! the certificate.

use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Client};
use tests::ca::Ca;
use tests::external_account::External;
use tests::folders::write;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::finalize::{P256, by_openssl};
use crate::world::{Order, csr, identifiers, leaf, must_verify};

/// A profile of devices with other members of `spec`, whose lines are indented by two.
fn profile(name: &str, members: &str) -> String {
    format!(
        "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: {{ name: {name} }}\nspec:\n\
         \x20 usage: {{ extendedKeyUsage: [serverAuth] }}\n  lifetime: 1d\n  backdate: 1m\n\
         \x20 renewal: {{ at: 0.5, grace: 1d }}\n{members}"
    )
}

const ZONE: &str = "  identifiers: { dns: [{ suffix: site.test }] }\n";
const DEVICE: &str = "  requires: { binding: device }\n";
const ANYONE: &str = "  requires: { binding: none, challenges: [http-01] }\n";

/// A CA with profiles for everything that can be refused.
async fn ca() -> (Ca, std::sync::Arc<Client>) {
    let mut ca = Ca::init_with(&[], &["--open-acme"]).await;
    let approval = "  requires: { binding: none, challenges: [http-01], approval: true }\n";
    let role = "  requires: { binding: none, role: administrator }\n";
    let made = "  identifiers:\n    dns: [{ template: \"{device.name}.{device.site}.site.test\" }, { suffix: site.test }]\n\
                \x20 subject: { commonName: \"{device.name}\", organization: Plant }\n";
    for (name, members) in [
        ("off", format!("  enabled: false\n{ZONE}{ANYONE}")),
        ("approved", format!("{ZONE}{approval}")),
        ("people", format!("{ZONE}{role}")),
        ("narrow", format!("{ZONE}{ANYONE}  limits: {{ names: 1 }}\n")),
        ("other-ca", format!("{ZONE}{DEVICE}  issuer: Another CA\n")),
        ("staple", format!("{ZONE}{DEVICE}  revocation: {{ mustStaple: true }}\n")),
        ("made", format!("{made}{DEVICE}")),
        ("few", format!("{ZONE}{DEVICE}  limits: {{ issued: {{ count: 2, per: 1d }} }}\n")),
        (
            "labelled",
            format!(
                "  identifiers: {{ dns: [{{ template: \"{{device.labels.role}}.site.test\" }}, {{ exact: known.site.test }}] }}\n{DEVICE}"
            ),
        ),
    ] {
        write(&ca.dir().join(format!("policies/{name}.yaml")), profile(name, &members), 0o644);
    }
    ca.serve().await;
    let client = Client::of(&ca).await;
    (ca, client)
}

async fn device(ca: &Ca, client: &std::sync::Arc<Client>, name: &str, profile: &str, dns: &[&str]) -> Account {
    External::of_token(&ca.device_add(name, profile, dns).await).account(client).await
}

async fn ask(account: &Account, profile: &str, names: &[&str]) -> Answer {
    let payload = json!({ "identifiers": identifiers(names), "profile": profile });
    account.post(&account.client.url("newOrder"), &payload).await
}

#[track_caller]
fn refused(answer: Answer, status: u16, problem: &str, rule: &str) {
    let answer = answer.expect(rule, status, problem).json();
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.ends_with(&format!("(rule {rule})")), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_refused_by_the_right_problem_with_the_rule_named() {
    let (ca, client) = ca().await;
    let anyone = Account::register(&client).await;
    let gateway = device(&ca, &client, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let name = ["gw-1.site.test"];
    for (account, profile, names, status, problem, rule) in [
        (&anyone, "nothing", &name[..], 400, "invalidProfile", "profile.known"),
        (&anyone, "off", &name, 400, "invalidProfile", "profile.enabled"),
        (&anyone, "site-ca", &name, 400, "invalidProfile", "profile.enabled"),
        (&anyone, "gateway", &name, 400, "invalidProfile", "requires.binding"),
        (&anyone, "rabbitmq-broker", &name, 400, "invalidProfile", "requires.binding"),
        (&anyone, "approved", &name, 403, "unauthorized", "requires.approval"),
        (&anyone, "people", &name, 403, "unauthorized", "requires.role"),
        (&anyone, "narrow", &["a.site.test", "b.site.test"], 400, "rejectedIdentifier", "limits.names"),
        (&anyone, "narrow", &["a.example"], 400, "rejectedIdentifier", "identifiers.allowed"),
        (&anyone, "narrow", &["*.site.test"], 400, "rejectedIdentifier", "identifiers.allowed"),
        (&gateway, "gateway", &["gw-2.site.test"], 400, "rejectedIdentifier", "device.names"),
        (&gateway, "made", &name, 400, "invalidProfile", "requires.binding"),
    ] {
        refused(ask(account, profile, names).await, status, problem, rule);
    }
    let known = client.directory["meta"]["profiles"].clone();
    for (profile, offered) in
        [("gateway", true), ("narrow", true), ("off", false), ("people", false), ("site-ca", false)]
    {
        assert_eq!(!known[profile].is_null(), offered, "{profile}: {known:#}");
    }
    refused(gateway_key(&gateway).await, 400, "badCSR", "keys.allowed");
    ask(&anyone, "narrow", &["a.site.test"]).await.expect("allowed", 201, "");
}

/// RSA of 2048 bits, where the profile wants 3072.
async fn gateway_key(account: &Account) -> Answer {
    let names = ["gw-1.site.test"];
    let order = Order::new(account, &json!({ "identifiers": identifiers(&names) })).await;
    let short = by_openssl(&["-newkey", "rsa:2048"], &["-subj", "/", "-addext", "subjectAltName=DNS:gw-1.site.test"]);
    order.finalize(account, &short).await
}

/// The URI of OPC UA stands in the CSR only: who may have it is decided there, and by the device's record.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_gets_the_uri_of_its_record_and_no_other() {
    let (ca, client) = ca().await;
    let account = device(&ca, &client, "press-4", "opcua-application", &["press-4.site.test"]).await;
    let order = Order::new(&account, &json!({ "identifiers": identifiers(&["press-4.site.test"]) })).await;
    assert_eq!(order.object["status"], "ready", "{:#}", order.object);
    let request = |uris: &str| {
        let names = format!("subjectAltName=DNS:press-4.site.test{uris}");
        by_openssl(&["-newkey", "rsa:2048"], &["-subj", "/", "-addext", &names])
    };
    for (uris, rule) in [
        ("", "identifiers.applicationUri"),
        (",URI:urn:press-5:home:opcua", "identifiers.allowed"),
        (",URI:urn:press-4:home:opcua,email:a@site.test", "identifiers.allowed"),
    ] {
        refused(order.finalize(&account, &request(uris)).await, 400, "badCSR", rule);
        assert_eq!(order.read(&account).await["status"], "ready", "{uris}");
    }
    let good = request(",URI:urn:press-4:home:opcua");
    let done = order.finalize(&account, &good).await.expect("the right URI", 200, "").json();
    let chain = account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "").text().to_owned();
    must_verify(&ca, &chain);
    let der = leaf(&chain);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert!(names.contains(&GeneralName::URI("urn:press-4:home:opcua")), "{names:?}");
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.non_repudiation(), "{usage:?}");
    assert!(usage.key_encipherment() && usage.data_encipherment(), "{usage:?}");
    let known = ca.certificates().await;
    let uri = json!({ "type": "uri", "value": "urn:press-4:home:opcua" });
    assert!(known[0]["identifiers"].as_array().unwrap().contains(&uri), "{known:#?}");
    // an answer that was lost is given again, to the same request and to no other
    order.finalize(&account, &good).await.expect("again", 200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_make_names_and_subjects_of_the_record() {
    let (ca, client) = ca().await;
    let account = device(&ca, &client, "gw-7", "made", &["beside.site.test"]).await;
    let names = ["gw-7.home.site.test"];
    refused(ask(&account, "made", &["gw-8.home.site.test"]).await, 400, "rejectedIdentifier", "device.names");
    let order = Order::new(&account, &json!({ "identifiers": identifiers(&names) })).await;
    assert_eq!(order.object["status"], "ready", "what the template makes is proven by the record: {:#}", order.object);
    let done =
        order.finalize(&account, &csr(&names, &KeyPair::generate().unwrap())).await.expect("made", 200, "").json();
    let chain = account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "").text().to_owned();
    must_verify(&ca, &chain);
    let der = leaf(&chain);
    let subject = X509Certificate::from_der(&der).unwrap().1.subject().to_string();
    assert_eq!(subject, "O=Plant, CN=gw-7");
    // this device has no label, so a template over one gives nothing, and says so
    let account = device(&ca, &client, "gw-9", "labelled", &["known.site.test"]).await;
    let answer =
        ask(&account, "labelled", &["edge.site.test"]).await.expect("no label", 400, "rejectedIdentifier").json();
    assert!(
        answer["detail"].as_str().unwrap().contains("the label `role`, which the device `gw-9` does not have"),
        "{answer:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_ca_can_not_keep_is_refused_and_not_left_out() {
    let (ca, client) = ca().await;
    let (profile, names) = ("other-ca", ["other-ca.site.test"]);
    let account = device(&ca, &client, profile, profile, &names).await;
    let order = Order::new(&account, &json!({ "identifiers": identifiers(&names) })).await;
    let answer = order.finalize(&account, &csr(&names, &KeyPair::generate().unwrap())).await;
    let answer: Value = answer.expect(profile, 400, "invalidProfile").json();
    assert!(answer["detail"].as_str().unwrap().contains("the profile is for the CA `Another CA`"), "{answer:#}");
    assert_eq!(ca.certificates().await.len(), 0, "nothing was issued");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_have_to_staple_are_told_so_in_their_certificate() {
    let (ca, client) = ca().await;
    let names = ["staple.site.test"];
    let account = device(&ca, &client, "staple", "staple", &names).await;
    let order = Order::new(&account, &json!({ "identifiers": identifiers(&names) })).await;
    let done =
        order.finalize(&account, &csr(&names, &KeyPair::generate().unwrap())).await.expect("staple", 200, "").json();
    let chain = account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "").text().to_owned();
    let der = leaf(&chain);
    let certificate = X509Certificate::from_der(&der).unwrap().1;
    // status_request, 5, is the one feature that stands there (RFC 7633)
    let feature = certificate.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.24");
    assert_eq!(feature.map(|one| one.value), Some(&[0x30, 3, 2, 1, 5][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_no_more_than_its_profile_allows() {
    let (ca, client) = ca().await;
    let names = ["few.site.test"];
    let account = device(&ca, &client, "few", "few", &names).await;
    let order = async || Order::new(&account, &json!({ "identifiers": identifiers(&names) })).await;
    let request = || by_openssl(&P256, &["-subj", "/", "-addext", "subjectAltName=DNS:few.site.test"]);
    let orders = [order().await, order().await, order().await];
    for order in &orders[..2] {
        order.finalize(&account, &request()).await.expect("within the limit", 200, "");
    }
    refused(orders[2].finalize(&account, &request()).await, 429, "rateLimited", "limits.issued");
    refused(ask(&account, "few", &names).await, 429, "rateLimited", "limits.issued");
}
