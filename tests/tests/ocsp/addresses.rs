//! The addresses that leaves carry: as many as are configured, each of them in a place of its own, and all of them good.

use std::process::Command;

use tests::ca::Ca;
use tests::http::curl;
use tests::process::run;
use tests::world::enrolled;

/// X5-11: fails when an address of several is left out, two share an AccessDescription, or a program cannot use one.
#[tokio::test(flavor = "multi_thread")]
async fn x5_11_and_ocs_1_leaves_carry_every_configured_address() {
    let mut ca = Ca::init(&[]).await;
    let own = format!("http://{}", ca.public_address());
    ca.configure(|config| {
        let publication = config["ca"]["issuing"].as_table_mut().unwrap()["publication"].as_table_mut().unwrap();
        for key in ["ocsp_urls", "ca_urls", "crl_urls"] {
            publication[key] = vec![own.clone(), "http://mirror.site.test:8080".to_owned()].into();
        }
    });
    ca.serve().await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let leaf = agent.live("identity").join("current/cert.pem");
    let openssl = async |arguments: &[&str]| {
        run(Command::new("openssl").args(["x509", "-noout", "-in"]).arg(&leaf).args(arguments)).await.success()
    };
    let responders = openssl(&["-ocsp_uri"]).await;
    assert_eq!(responders.lines().collect::<Vec<_>>(), [&*format!("{own}/ocsp"), "http://mirror.site.test:8080/ocsp"]);
    let access = openssl(&["-ext", "authorityInfoAccess"]).await;
    let access: Vec<&str> = access.lines().map(str::trim).filter(|line| line.contains("URI:")).collect();
    assert_eq!(access.iter().filter(|line| line.starts_with("OCSP - URI:")).count(), 2, "{access:?}");
    let issuers: Vec<&str> = access.iter().filter_map(|line| line.strip_prefix("CA Issuers - URI:")).collect();
    assert!(issuers.len() == 2 && access.len() == 4, "one description for each address: {access:?}");
    let lists = openssl(&["-ext", "crlDistributionPoints"]).await;
    let lists: Vec<&str> = lists.lines().filter_map(|line| line.trim().strip_prefix("URI:")).collect();
    assert_eq!(lists.len(), 2, "{lists:?}");
    for url in [issuers[0], lists[0]] {
        assert!(url.starts_with(&own), "{url}");
        assert_eq!(curl(&[url]).await.status, 200, "{url}");
    }
    let mut asked = Command::new("openssl");
    asked.args(["ocsp", "-issuer"]).arg(ca.issuer()).arg("-cert").arg(&leaf);
    asked.args(["-url", responders.lines().next().unwrap(), "-CAfile"]).arg(ca.roots());
    asked.arg("-verify_other").arg(ca.issuer());
    assert!(run(&mut asked).await.stdout.contains(": good"));
    ca.stop().await;
}
