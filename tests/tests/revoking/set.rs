//! Sets: what a plan says is what is done, and nothing that was not meant.

use std::process::Command;

use serde_json::{Value, json};
use tests::acme_raw::Client;
use tests::ca::Ca;
use tests::gateway::Gateway;
use tests::process::run;

use crate::world::{count, shown, with_many};

/// Fails when a plan changes something or counts others than are revoked then, when a set is revoked without anybody having
/// agreed to its size, or when the CA's own certificate is part of one.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_shown_first_and_then_revoked() {
    let many = [("home", "gateway", 700, 86_400), ("line-3", "server", 600, 86_400), ("line-3", "server", 40, -60)];
    let (ca, own) = with_many(&many).await;
    let revoke = |rest: &[&'static str]| [&["cert", "revoke", "--where"], rest].concat();

    let plan = ca.json(&revoke(&["site=line-3 name=*.line3.test", "--plan"])).await;
    assert_eq!(
        (&plan["affected"], &plan["expired"], &plan["already"]),
        (&600.into(), &40.into(), &0.into()),
        "{plan:#}"
    );
    assert_eq!(plan["groups"], serde_json::json!([{ "site": "line-3", "profile": "server", "count": 600 }]));
    assert_eq!(plan["devices"], serde_json::json!([{ "name": "gw-1", "count": 600 }]));
    assert_eq!(count(&ca, "state = 'revoked'").await, 0, "a plan changes nothing");

    for (arguments, told) in [
        (revoke(&["site=line-3"]), "give --yes or --count"),
        (revoke(&["all", "--yes"]), "give --count"),
        (revoke(&["profil=server", "--yes"]), "there is no field `profil`"),
        (revoke(&["", "--yes"]), "no condition is given"),
        (revoke(&["site=line-3", "--count", "599"]), "it is 600 certificates, not 599"),
    ] {
        let refused = ca.command(&arguments).await;
        assert!(refused.code != 0 && refused.stderr.contains(told), "{arguments:?}: {refused}");
    }
    assert_eq!(count(&ca, "state = 'revoked'").await, 0);

    let done =
        ca.json(&revoke(&["site=line-3", "--where", "name=*.line3.test", "--yes", "--comment", "line is sold"])).await;
    assert_eq!(done["revoked"], 600, "{done:#}");
    assert_eq!(count(&ca, "state = 'revoked' AND site_id = 'line-3'").await, 600);
    assert_eq!(count(&ca, "state = 'revoked'").await, 600, "nothing else");
    let again = ca.command(&revoke(&["site=line-3", "--yes"])).await;
    assert!(again.code == 0 && again.stderr.contains("nothing is left to be revoked"), "{again}");

    let list = ca.json(&["revocation", "list", "--where", "site=line-3 expires-after=2026-01-01"]).await;
    assert_eq!(list.as_array().unwrap().len(), 600);
    assert!(list.as_array().unwrap().iter().all(|row| row["comment"] == "line is sold"));

    // What is left, by its number: the CA's own certificate is not among it.
    let everything = ca.json(&revoke(&["all", "--plan"])).await;
    assert_eq!((&everything["affected"], &everything["everything"]), (&701.into(), &true.into()), "{everything:#}");
    let done = ca.json(&revoke(&["all", "--count", "701", "--reason", "certificateHold"])).await;
    assert_eq!(done["revoked"], 701);
    assert_eq!(shown(&ca, &own.serial).await["reason"], "certificateHold");
    assert_eq!(count(&ca, "state = 'issued' AND source = 'api'").await, 1, "the CA's own certificate");
    let done = ca.json(&revoke(&["reason=certificateHold", "--count", "701", "--reason", "superseded"])).await;
    assert_eq!(done["revoked"], 701, "CRL-7: what is held may become permanent");
}

/// Fails when a condition finds another set at a real server than it says: by labels, names, times, issuer and key.
#[tokio::test(flavor = "multi_thread")]
async fn every_condition_finds_what_it_says() {
    let mut ca = Ca::start(&[]).await;
    let client = Client::of(&ca).await;
    let (mut gateways, mut serials) = (Vec::new(), Vec::new());
    for (name, hall) in [("gw-1", "hall=north wing"), ("gw-2", "hall=south"), ("pump-1", "hall=north wing")] {
        let gateway = Gateway::enrol(&ca, &client, name).await;
        ca.command(&["device", "label", name, hall, "line=3"]).await.success();
        serials.push(gateway.issue().await.serial);
        gateways.push(gateway);
    }
    // tomorrow there is one more
    ca.stop().await;
    ca.serve_at("+1d").await;
    serials.push(gateways[1].issue().await.serial);
    let first = shown(&ca, &serials[0]).await;
    let moment = |row: &serde_json::Value, member: &str| row[member].as_str().unwrap().to_owned();
    let noon = moment(&shown(&ca, &serials[3]).await, "notBefore");
    let (key, issuer) = (moment(&first, "spkiSha256"), moment(&first, "issuer"));
    for (text, expected) in [
        ("label.hall='north wing'".to_owned(), 2),
        ("label.hall=\"north wing\" label.line=3".to_owned(), 2),
        ("label.hall=south".to_owned(), 2),
        ("label.hall!=south".to_owned(), 2),
        ("label.line=3".to_owned(), 4),
        ("label.line=4".to_owned(), 0),
        ("name=gw-2.site.test".to_owned(), 2),
        ("name=gw-*".to_owned(), 3),
        ("name=*.site.test".to_owned(), 4),
        ("name=*.test name!=gw-*".to_owned(), 1),
        (format!("issued-after={noon}"), 1),
        (format!("issued-before={noon}"), 3),
        (format!("issued-before={noon} name=gw-2.site.test"), 1),
        (format!("expires-before={}", moment(&first, "notAfter")), 0),
        ("expires-after=2020-01-01".to_owned(), 4),
        (format!("issuer={issuer}"), 4),
        ("issuer='Test Issuing CA 1'".to_owned(), 4),
        ("issuer='Test Root CA'".to_owned(), 0),
        ("device=pump-1 profile=gateway site=home".to_owned(), 1),
        (format!("key={key}"), 1),
    ] {
        let plan = ca.json(&["cert", "revoke", "--where", &text, "--plan"]).await;
        assert_eq!(plan["affected"], expected, "{text}: {plan:#}");
    }
    let done = ca.json(&["cert", "revoke", "--where", "label.hall='north wing' name=*.site.test", "--yes"]).await;
    assert_eq!(
        (&done["revoked"], &done["plan"]["where"]),
        (&2.into(), &"\"label.hall=north wing\" name=*.site.test".into())
    );
    for (serial, state) in serials.iter().zip(["revoked", "issued", "revoked", "issued"]) {
        assert_eq!(shown(&ca, serial).await["state"], state, "{serial}");
    }
    let nothing = ca.command(&["cert", "revoke", "--where", "device=gw-9", "--yes"]).await;
    assert!(nothing.code == 0 && nothing.stderr.contains("no certificate fits"), "{nothing}");
    let unquoted = ca.command(&["cert", "revoke", "--where", "issuer=Test Issuing CA 1", "--plan"]).await;
    assert!(unquoted.code == 1 && unquoted.stderr.contains("a value with spaces in quotes"), "{unquoted}");
}

/// A batch as a program asks for it: the status, and what is answered.
async fn batch(ca: &Ca, order: &Value) -> (u16, Value) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--write-out", "\n%{http_code}", "--json"]).arg(order.to_string());
    command.arg("--unix-socket").arg(ca.dir().join("admin.sock"));
    let ran = run(command.arg("http://localhost/api/v1/revocations/run")).await;
    let (body, status) = ran.stdout.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Fails when the name of a set that was never begun, or was begun as another one, is a way around the count of everything
/// and around the audit log.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_goes_on_only_as_it_was_begun() {
    let (ca, _) = with_many(&[("line-3", "server", 5600, 86_400)]).await;
    let plan = ca.json(&["cert", "revoke", "--where", "all", "--plan"]).await;
    let up_to = plan["upTo"].as_str().unwrap();
    let other = ca.json(&["audit", "list"]).await[0]["id"].clone();

    let everything = json!({ "where": "all", "upTo": up_to });
    let with = |order: &Value, name: &str, value: Value| {
        let mut order = order.clone();
        order[name] = value;
        order
    };
    // nobody was told how many it is; a name that no event has, and one of an event that is something else
    for set in [json!(up_to), other] {
        let (status, refused) = batch(&ca, &with(&everything, "set", set)).await;
        assert!(status == 409 && refused["detail"].as_str().unwrap().contains("leave `set`"), "{status} {refused:#}");
    }
    assert_eq!(count(&ca, "state = 'revoked'").await, 0);

    let some = json!({ "where": "site=line-3", "upTo": up_to, "reason": "superseded" });
    let (status, first) = batch(&ca, &some).await;
    assert_eq!((status, &first["revoked"]), (200, &5000.into()), "{first:#}");
    let next = with(&with(&some, "set", first["set"].clone()), "after", first["next"].clone());
    for (name, value) in [
        ("where", "all"),
        ("where", "site=home"),
        ("reason", "keyCompromise"),
        ("upTo", &up_to.replace(|c: char| c.is_ascii_digit(), "1")),
    ] {
        let (status, refused) = batch(&ca, &with(&next, name, value.into())).await;
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(status == 409 && detail.contains("was begun with another"), "{name}={value}: {status} {refused:#}");
    }
    assert_eq!(count(&ca, "state = 'revoked'").await, 5000);
    let (status, last) = batch(&ca, &next).await;
    assert_eq!((status, &last["revoked"]), (200, &600.into()), "{last:#}");
    let log = ca.json(&["audit", "list", "--limit", "20000"]).await;
    let begun: Vec<&Value> = log.as_array().unwrap().iter().filter(|event| event["action"] == "set.revoke").collect();
    assert_eq!((begun.len(), &begun[0]["id"]), (1, &first["set"]), "{begun:#?}");
}

/// Fails when a certificate that is issued after the plan makes everything there was look like a part: a program that planned
/// is then not asked how many it is.
#[tokio::test(flavor = "multi_thread")]
async fn everything_there_was_is_everything_whatever_is_issued_since() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::enrol(&ca, &Client::of(&ca).await, "gw-1").await;
    let issuer = shown(&ca, &gateway.issue().await.serial).await["issuer"].as_str().unwrap().to_owned();
    let all = format!("issuer={issuer}");
    let plan = ca.json(&["cert", "revoke", "--where", &all, "--plan"]).await;
    assert_eq!((&plan["affected"], &plan["everything"]), (&1.into(), &true.into()), "{plan:#}");
    let order = json!({ "where": all, "upTo": plan["upTo"] });
    let later = gateway.issue().await.serial;

    let (status, refused) = batch(&ca, &order).await;
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(status == 409 && detail.contains("every certificate in force"), "{status} {refused:#}");
    assert_eq!(count(&ca, "state = 'revoked'").await, 0);

    let mut counted = order.clone();
    counted["count"] = 1.into();
    let (status, done) = batch(&ca, &counted).await;
    assert_eq!((status, &done["revoked"]), (200, &1.into()), "{done:#}");
    assert_eq!(shown(&ca, &later).await["state"], "issued", "it was not meant");
}
