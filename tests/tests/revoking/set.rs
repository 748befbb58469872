//! Sets: what a plan says is what is done, and nothing that was not meant.

use tests::acme_raw::Client;
use tests::ca::Ca;

use crate::world::{Gateway, count, multiply, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_shown_first_and_then_revoked() {
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::enrol(&ca, &Client::of(&ca).await, "gw-1").await;
    let own = gateway.issue().await.serial;
    ca.stop().await;
    multiply(
        &ca,
        &[("home", "gateway", 700, 86_400), ("line-3", "server", 600, 86_400), ("line-3", "server", 40, -60)],
    );
    ca.serve().await;
    let revoke = |rest: &[&'static str]| [&["cert", "revoke", "--where"], rest].concat();

    let plan = ca.json(&revoke(&["site=line-3 name=*.line3.test", "--plan"])).await;
    assert_eq!(
        (&plan["affected"], &plan["expired"], &plan["already"]),
        (&600.into(), &40.into(), &0.into()),
        "{plan:#}"
    );
    assert_eq!(plan["groups"], serde_json::json!([{ "site": "line-3", "profile": "server", "count": 600 }]));
    assert_eq!(plan["devices"], serde_json::json!([{ "name": "gw-1", "count": 600 }]));
    assert_eq!(count(&ca, "state = 'revoked'"), 0, "a plan changes nothing");

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
    assert_eq!(count(&ca, "state = 'revoked'"), 0);

    let done =
        ca.json(&revoke(&["site=line-3", "--where", "name=*.line3.test", "--yes", "--comment", "line is sold"])).await;
    assert_eq!(done["revoked"], 600, "{done:#}");
    assert_eq!(count(&ca, "state = 'revoked' AND site_id = 'line-3'"), 600);
    assert_eq!(count(&ca, "state = 'revoked'"), 600, "nothing else");
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
    assert_eq!(shown(&ca, &own).await["reason"], "certificateHold");
    assert_eq!(count(&ca, "state = 'issued' AND source = 'api'"), 1, "the CA's own certificate");
    let done = ca.json(&revoke(&["reason=certificateHold", "--count", "701", "--reason", "superseded"])).await;
    assert_eq!(done["revoked"], 701, "CRL-7: what is held may become permanent");
}
