//! ORD-10 and FIN: from a CSR to a certificate.

use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};
use serde_json::json;
use tests::acme_raw::Account;
use tests::folders::Folder;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::world::{Order, World, csr, fresh_name, identifiers, leaf, must_verify, openssl};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_way_from_an_account_to_a_chain_that_openssl_verifies() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name, "127.0.0.1"]).await;
    must_verify(&world.ca, &issued.chain);
    let done = issued.order.read(&account).await;
    assert_eq!((&done["status"], &done["certificate"]), (&json!("valid"), &json!(issued.url)), "ORD-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_10_many_finalize_requests_at_once_make_one_certificate() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let order = world.ready(&account, &[&name]).await;
    let requests: Vec<Vec<u8>> = (0..6).map(|_| csr(&[&name], &KeyPair::generate().unwrap())).collect();
    let all = futures_util::future::join_all(requests.iter().map(|csr| order.finalize(&account, csr))).await;
    let won: Vec<_> = all.iter().filter(|answer| answer.status == 200).collect();
    let late = all.iter().filter(|answer| answer.status == 403 && answer.problem() == "orderNotReady").count();
    assert_eq!((won.len(), late), (1, 5), "ORD-10: {all:#?}");
    let known = world.ca.certificates().await;
    let of_name = known.iter().filter(|row| row["identifiers"] == json!(identifiers(&[&name]))).count();
    assert_eq!(of_name, 1, "ORD-10");

    let order = world.ready(&account, &[&name]).await;
    let all = futures_util::future::join_all((0..6).map(|_| order.finalize(&account, &requests[0]))).await;
    let url = all[0].json()["certificate"].clone();
    assert!(all.iter().all(|answer| answer.status == 200), "ORD-10: the same CSR: {all:#?}");
    let settled = order.settled(&account).await;
    assert!(url.is_null() || settled["certificate"] == url, "ORD-10: the same CSR");
    let again = order.finalize(&account, &requests[0]).await.expect("ORD-10: a lost answer", 200, "").json();
    assert_eq!(again, settled, "ORD-10: a lost answer");
    let known = world.ca.certificates().await;
    let of_name = known.iter().filter(|row| row["identifiers"] == json!(identifiers(&[&name]))).count();
    assert_eq!(of_name, 2, "ORD-10: one for each order");
    order.finalize(&account, &requests[1]).await.expect("ORD-10: another CSR", 403, "orderNotReady");
}

#[tokio::test(flavor = "multi_thread")]
async fn fin_1_to_3_answers_of_finalize() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let request = csr(&[&name], &KeyPair::generate().unwrap());
    let order = world.order(&account, &[&name]).await;
    order.finalize(&account, &request).await.expect("FIN-2", 403, "orderNotReady");
    world.prove(&account, &order).await;
    let done = order.finalize(&account, &request).await.expect("FIN-1", 200, "");
    assert_eq!(done.location(), order.url, "FIN-1");
    assert_eq!(done.json()["status"], "valid", "FIN-3");
    assert_eq!(done.json(), order.read(&account).await, "FIN-1");
    let order = world.order(&account, &[&fresh_name()]).await;
    account.post(&order.authorizations()[0], &json!({ "status": "deactivated" })).await.expect("AUZ-5", 200, "");
    order.finalize(&account, &request).await.expect("FIN-2: invalid", 403, "orderNotReady");
}

/// A request made by openssl: the kind of key, and further arguments.
pub(crate) fn by_openssl(kind: &[&str], arguments: &[&str]) -> Vec<u8> {
    let folder = Folder::new();
    let fixed = ["req", "-new", "-nodes", "-keyout", "key.pem", "-outform", "DER"];
    openssl(folder.path(), &[&fixed, kind, arguments].concat())
}

pub(crate) const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[tokio::test(flavor = "multi_thread")]
async fn fin_4_to_10_requests_that_are_refused_leave_the_order_ready() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let order = world.ready(&account, &[&name]).await;
    let (san, cn) = (format!("subjectAltName=DNS:{name}"), format!("/CN={name}"));
    let good = csr(&[&name], &KeyPair::generate().unwrap());
    let with = |extra: &str| by_openssl(&P256, &["-subj", "/", "-addext", &format!("{san}{extra}")]);
    let of_key = |kind: &[&str]| by_openssl(kind, &["-subj", "/", "-addext", &san]);
    let own = KeyPair::try_from(account.key.pkcs8.as_slice()).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("FIN-4: a name too many", csr(&[&name, "more.localhost"], &KeyPair::generate().unwrap())),
        ("FIN-4: another name", csr(&["more.localhost"], &KeyPair::generate().unwrap())),
        ("FIN-4: no name", csr(&[], &KeyPair::generate().unwrap())),
        ("FIN-4: another common name", by_openssl(&P256, &["-subj", "/CN=more.localhost", "-addext", &san])),
        ("FIN-4: a wildcard", csr(&[&format!("*.{name}")], &KeyPair::generate().unwrap())),
        ("FIN-5: e-mail", with(",email:a@localhost")),
        ("FIN-5: URI", with(",URI:https://localhost/")),
        ("FIN-5: other name", with(",otherName:1.2.3.4;UTF8:x")),
        ("FIN-6: SHA-1", by_openssl(&P256, &["-sha1", "-subj", "/", "-addext", &san])),
        ("FIN-6: MD5", by_openssl(&["-newkey", "rsa:2048"], &["-md5", "-subj", "/", "-addext", &san])),
        ("FIN-6: a broken signature", flipped),
        ("FIN-7: the account key", csr(&[&name], &own)),
        ("FIN-8: RSA 1024", of_key(&["-newkey", "rsa:1024"])),
        (
            "FIN-8: exponent 3",
            of_key(&["-newkey", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"]),
        ),
        ("FIN-8: another curve", of_key(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"])),
        ("FIN-8: a small curve", of_key(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"])),
        ("FIN-9: a CA", by_openssl(&P256, &["-subj", &cn, "-addext", &san, "-addext", "basicConstraints=CA:TRUE"])),
        ("FIN-10: bytes at the end", [good.as_slice(), &[0]].concat()),
        ("FIN-10: cut", good[..good.len() - 1].to_vec()),
        ("FIN-10: empty", Vec::new()),
        ("FIN-10: something else", b"-----BEGIN CERTIFICATE REQUEST-----".to_vec()),
        ("FIN-10: long", vec![0x30; 20_000]),
    ];
    for (what, request) in rows {
        order.finalize(&account, &request).await.expect(what, 400, "badCSR");
        assert_eq!(order.read(&account).await["status"], "ready", "{what}");
    }
    let url = order.object["finalize"].as_str().unwrap();
    for text in ["a+b/", "AAA=", "A", "\u{e4}"] {
        account.post(url, &json!({ "csr": text })).await.expect(&format!("FIN-1: {text}"), 400, "badCSR");
    }
    for sent in [json!({}), json!({ "csr": 1 })] {
        account.post(url, &sent).await.expect("FIN-1", 400, "malformed");
    }
    order.finalize(&account, &good).await.expect("FIN-4: and then a good one", 200, "");
}

/// Finalizes an order of its own for a name that was proven before; DER of the leaf.
async fn issue(world: &World, account: &Account, name: &str, what: &str, request: &[u8]) -> Vec<u8> {
    let order = Order::new(account, &json!({ "identifiers": identifiers(&[name]) })).await;
    let done = order.finalize(account, request).await.expect(what, 200, "").json();
    let chain = account.get(done["certificate"].as_str().unwrap()).await.expect(what, 200, "");
    must_verify(&world.ca, chain.text());
    leaf(chain.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn fin_4_6_and_9_requests_of_all_kinds_of_clients() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    world.ready(&account, &[&name]).await;
    let (san, cn) = (format!("subjectAltName=DNS:{name}"), format!("/CN={name}"));
    let bare = ["-subj", "/", "-addext", san.as_str()];
    for curve in ["P-256", "P-384", "P-521"] {
        for hash in ["-sha256", "-sha384", "-sha512"] {
            let curve = format!("ec_paramgen_curve:{curve}");
            let request = by_openssl(&["-newkey", "ec", "-pkeyopt", &curve], &[&[hash], &bare[..]].concat());
            issue(&world, &account, &name, &format!("FIN-6: {curve} {hash}"), &request).await;
        }
    }
    let upper = name.to_uppercase();
    for (what, kind, arguments) in [
        ("FIN-6: RSA", &["-newkey", "rsa:2048"][..], &bare[..]),
        (
            "FIN-6: RSA-PSS",
            &["-newkey", "rsa:2048"],
            &[&["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"], &bare[..]].concat(),
        ),
        ("FIN-6: Ed25519", &["-newkey", "ed25519"], &bare),
        ("FIN-4: the name as common name only", &P256, &["-subj", &cn]),
        (
            "FIN-4: upper case",
            &P256,
            &["-subj", &format!("/CN={upper}"), "-addext", &format!("subjectAltName=DNS:{upper}")],
        ),
        ("FIN-4: twice", &P256, &["-subj", &cn, "-addext", &format!("{san},DNS:{name}")]),
        ("FIN-11: a title", &P256, &["-subj", "/O=Example/CN=Our Server", "-addext", &san]),
        ("FIN-9: must-staple", &P256, &["-subj", &cn, "-addext", &san, "-addext", "tlsfeature=status_request"]),
        ("FIN-9: usages", &P256, &["-subj", &cn, "-addext", &san, "-addext", "extendedKeyUsage=codeSigning"]),
    ] {
        let der = issue(&world, &account, &name, what, &by_openssl(kind, arguments)).await;
        let certificate = X509Certificate::from_der(&der).unwrap().1;
        let subject = certificate.subject().to_string();
        assert!(subject == format!("CN={name}"), "FIN-11: {what}: {subject}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fin_9_only_the_key_is_taken_from_a_request() {
    let world = World::shared().await;
    let (account, name, key) = (world.account().await, fresh_name(), KeyPair::generate().unwrap());
    world.ready(&account, &[&name]).await;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::DnsName(name.clone().try_into().unwrap())];
    params.distinguished_name.push(DnType::CommonName, name.clone());
    params.distinguished_name.push(DnType::OrganizationName, "Somebody Else");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0])];
    let request = params.serialize_request(&key).unwrap();
    let der = issue(&world, &account, &name, "FIN-9", request.der()).await;
    let certificate = X509Certificate::from_der(&der).unwrap().1;
    assert_eq!(certificate.subject().to_string(), format!("CN={name}"), "FIN-9");
    assert_eq!(certificate.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key), "FIN-9");
    for extension in certificate.extensions() {
        assert!(!extension.oid.to_id_string().starts_with("1.3.6.1.4.1.99999"), "FIN-9");
        match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(usage) => assert!(usage.server_auth && !usage.code_signing, "FIN-9"),
            ParsedExtension::KeyUsage(usage) => assert!(!usage.key_cert_sign(), "FIN-9"),
            ParsedExtension::BasicConstraints(constraints) => assert!(!constraints.ca, "FIN-9"),
            _ => {}
        }
    }
}

/// FIN-11 and X5-9: who wants no common name gets none, and then the alternative names are critical.
#[tokio::test(flavor = "multi_thread")]
async fn fin_11_the_subject_is_a_name_of_the_order_or_empty() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let wild = json!({ "identifiers": identifiers(&[&name]), "profile": "wild" });
    let first = Order::new(&account, &wild).await;
    world.prove(&account, &first).await;
    for (subject, expected) in [("/", String::new()), ("/CN=Our Title", String::new()), ("/CN=@", format!("CN={name}"))]
    {
        let (subject, san) = (subject.replace('@', &name), format!("subjectAltName=DNS:{name}"));
        let request = by_openssl(&P256, &["-subj", &subject, "-addext", &san]);
        let order = Order::new(&account, &wild).await;
        let done = order.finalize(&account, &request).await.expect("FIN-11", 200, "").json();
        let chain = account.get(done["certificate"].as_str().unwrap()).await;
        let der = leaf(chain.text());
        let certificate = X509Certificate::from_der(&der).unwrap().1;
        assert_eq!(certificate.subject().to_string(), expected, "FIN-11: {subject}");
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.critical, expected.is_empty(), "FIN-11: {subject}");
    }
}
