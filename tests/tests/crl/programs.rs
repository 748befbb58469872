//! What openssl, GnuTLS, Python's cryptography, rustls' webpki and pkilint say of our lists.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pki_core::x509::crl::Crl;
use rustls_pki_types::{CertificateDer, UnixTime};
use tests::certificate::chain;
use tests::gateway::Issued;
use tests::http::curl;
use tests::pkilint::{findings, tools};
use tests::process::run;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::world::{World, leaf_urls, names, scope_urls};

/// Fails when openssl takes a revoked certificate by the list that the leaf names or by the complete one, or refuses a good
/// one; and when it cannot verify a list or finds another authority key in it than the issuer's.
#[tokio::test(flavor = "multi_thread")]
async fn crl_1_to_4_openssl_follows_the_leaf_to_its_shard() {
    let world = World::start(&[("shards", 3.into())]).await;
    let (good, bad) = (world.gateway.issue().await, world.gateway.issue().await);
    world.revoke(&bad.serial, "keyCompromise").await;
    world.named(&world.complete(), &bad.serial).await;
    let root = world.pem(&world.of_root()).await;
    let complete = world.pem(&world.complete()).await;
    for leaf in [&good, &bad] {
        let shard = world.pem(&path(leaf)).await;
        let downloads: [&[&str]; 3] = [
            &["-crl_check", "-extended_crl", "-crl_download"],
            &["-crl_check_all", "-extended_crl", "-CRLfile", text(&root), "-CRLfile", text(&shard)],
            &["-crl_check_all", "-CRLfile", text(&root), "-CRLfile", text(&complete)],
        ];
        for arguments in downloads {
            let said = world.verify(leaf, arguments).await;
            let is_refused = said.code != 0 && said.stderr.contains("certificate revoked");
            assert_eq!(is_refused, leaf.serial == bad.serial, "{arguments:?}: {said}");
            assert_eq!(said.code == 0, leaf.serial == good.serial, "{arguments:?}: {said}");
        }
    }
    // the list of another shard says nothing about it
    let other = (0..3).map(|number| world.shard(number)).find(|list| *list != path(&good)).unwrap();
    let other = world.pem(&other).await;
    let wrong = ["-crl_check_all", "-extended_crl", "-CRLfile", text(&root), "-CRLfile", text(&other)];
    let said = world.verify(&good, &wrong).await;
    assert!(said.code != 0 && said.stderr.contains("different CRL scope"), "{said}");
    lists_verify(&world).await;
}

/// Each list is verified by its issuer's certificate, and carries that one's own key identifier.
async fn lists_verify(world: &World) {
    for (list, issuer) in with_issuers(world) {
        let file = world.pem(&list).await;
        let mut command = Command::new("openssl");
        command.args(["crl", "-noout", "-text", "-verify", "-in"]).arg(&file).arg("-CAfile").arg(&issuer);
        let said = run(&mut command).await;
        assert!(said.code == 0 && said.stderr.contains("verify OK"), "{list}: {said}");
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-ext", "subjectKeyIdentifier", "-in"]).arg(&issuer);
        let identifier = run(&mut command).await.success();
        let identifier = identifier.lines().nth(1).unwrap().trim();
        assert!(said.stdout.contains(identifier), "{list}: CRL-2: {identifier} in {}", said.stdout);
        assert!(said.stdout.contains("X509v3 CRL Number"), "{list}: {}", said.stdout);
        let has_scope = said.stdout.contains("X509v3 Issuing Distribution Point: critical");
        assert_eq!(has_scope, list == world.shard(0), "{list}: {}", said.stdout);
    }
}

/// Fails when GnuTLS cannot verify a list, or reads other certificates in it.
#[tokio::test(flavor = "multi_thread")]
async fn crl_1_and_5_gnutls_verifies_and_reads_every_list() {
    let world = World::start(&[]).await;
    world.revoked("superseded").await;
    for (list, issuer) in with_issuers(&world) {
        let file = world.pem(&list).await;
        let mut verify = Command::new("certtool");
        verify.arg("--verify-crl").arg("--load-ca-certificate").arg(&issuer).arg("--infile").arg(&file);
        let said = run(&mut verify).await;
        assert!(said.code == 0 && said.stdout.contains("Verified"), "{list}: {said}");
        let mut info = Command::new("certtool");
        info.args(["--crl-info", "--infile"]).arg(&file);
        let said = run(&mut info).await.success();
        let revoked = if list == world.of_root() { "No revoked certificates" } else { "Revoked certificates (1)" };
        assert!(said.contains("Version: 2") && said.contains(revoked), "{list}: {said}");
    }
}

/// Fails when Python's cryptography, which reads strictly, sees another scope than in the leaf, or no good signature.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_3_and_5_cryptography_reads_the_same_scope_as_in_the_leaf() {
    let world = World::start(&[("shards", 2.into())]).await;
    let leaf = world.revoked("affiliationChanged").await;
    let shard = world.save("shard.crl", curl(&[&world.url(&path(&leaf))]).await.body);
    let complete = world.save("complete.crl", curl(&[&world.url(&world.complete())]).await.body);
    let file = world.save("leaf.pem", &leaf.pem);
    let mut python = Command::new(tools().join("python3"));
    python.args(["-c", CRYPTOGRAPHY]).arg(world.ca.issuer()).arg(file).arg(shard).arg(complete);
    assert_eq!(run(&mut python).await.success().trim(), "affiliation_changed twice");
}

const CRYPTOGRAPHY: &str = r#"
import sys
from cryptography import x509
issuer, leaf = (x509.load_pem_x509_certificate(open(name, "rb").read()) for name in sys.argv[1:3])
shard, complete = (x509.load_der_x509_crl(open(name, "rb").read()) for name in sys.argv[3:5])
for crl in (shard, complete):
    assert crl.is_signature_valid(issuer.public_key()) and crl.issuer == issuer.subject
    assert crl.next_update_utc > crl.last_update_utc
    authority = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    subject = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert authority.value.key_identifier == subject.value.digest and not authority.critical
    number = crl.extensions.get_extension_for_class(x509.CRLNumber)
    assert number.value.crl_number >= int(crl.last_update_utc.timestamp()) and not number.critical
    [entry] = list(crl)
    assert entry.serial_number == leaf.serial_number
    [extension] = entry.extensions
    assert not extension.critical
scope = shard.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
[point] = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
assert scope.critical and scope.value.full_name == point.full_name and scope.value.only_contains_user_certs
assert len(list(complete.extensions)) == 2, "of everything, so without a scope"
print(crl.get_revoked_certificate_by_serial_number(leaf.serial_number).extensions[0].value.reason.name, "twice")
"#;

/// rustls compares the address in the leaf with those in the list, byte for byte. Fails when it takes a revoked leaf, finds
/// no list for a good one, or believes the list of another shard.
#[tokio::test(flavor = "multi_thread")]
async fn crl_3_and_5_webpki_finds_the_list_by_the_bytes_of_its_address() {
    let world = World::start(&[("shards", 2.into())]).await;
    let lists = [world.shard(0), world.shard(1)];
    let (good, bad) = (world.gateway.issue().await, world.gateway.issue().await);
    world.revoke(&bad.serial, "keyCompromise").await;
    world.named(&path(&bad), &bad.serial).await;
    let both = [world.list(&lists[0]).await, world.list(&lists[1]).await];
    for (list, path) in both.iter().zip(&lists) {
        assert!(scope_urls(list)[0].ends_with(path), "CRL-3");
    }
    let all: Vec<&Crl> = both.iter().collect();
    assert_eq!(webpki(&world, &good, &all), Ok(()));
    assert_eq!(webpki(&world, &bad, &all), Err(webpki::Error::CertRevoked));
    let others: Vec<&Crl> = all.into_iter().filter(|list| scope_urls(list)[0] != leaf_urls(&good)[0]).collect();
    assert_eq!(webpki(&world, &good, &others), Err(webpki::Error::UnknownRevocationStatus));
}

/// What rustls' webpki says of a leaf by these lists, when a leaf without a list is refused.
pub(crate) fn webpki(world: &World, leaf: &Issued, lists: &[&Crl]) -> Result<(), webpki::Error> {
    let of = |file: &Path| chain(file).remove(0);
    let (root, issuer) = (of(&world.ca.roots()), of(&world.ca.issuer()));
    let lists: Vec<CertRevocationList<'_>> =
        lists.iter().map(|list| BorrowedCertRevocationList::from_der(list.der()).unwrap().into()).collect();
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    let options = RevocationOptionsBuilder::new(&lists).unwrap().with_depth(RevocationCheckDepth::EndEntity);
    let options = options.with_status_policy(UnknownStatusPolicy::Deny).build();
    let leaf = CertificateDer::from(leaf.der.as_slice());
    let leaf = EndEntityCert::try_from(&leaf).unwrap();
    let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
    let now = UnixTime::since_unix_epoch(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + Duration::from_secs(1),
    );
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[issuer], now, usage, Some(options), None).map(drop)
}

/// CRL-12 and all others that pkilint knows: it finds nothing in any kind of list that has no reason in docs/pkilint.md.
#[tokio::test(flavor = "multi_thread")]
async fn crl_1_8_and_12_pkilint_finds_nothing_wrong_in_any_kind_of_list() {
    let world = World::start(&[("shards", 2.into()), ("deltas", true.into())]).await;
    let lists = [world.complete(), world.shard(0), world.shard(1)];
    let mut kinds = vec![("root's".to_owned(), "ARL", world.of_root())];
    for list in &lists {
        kinds.push((format!("{list}, empty"), "CRL", list.clone()));
        kinds.push((format!("{list}, empty delta"), "CRL", World::delta(list)));
    }
    lint(&world, &kinds).await;
    let mut leaves = Vec::new();
    for reason in ["unspecified", "certificateHold", "keyCompromise"] {
        let leaf = world.revoked(reason).await;
        leaves.push(leaf);
    }
    world.ca.command(&["cert", "release", &leaves[1].serial]).await.success();
    let delta = world.named(&World::delta(&world.complete()), &leaves[1].serial).await;
    assert!(names(&delta, &leaves[0].serial), "filled");
    lint(&world, &kinds).await;
}

async fn lint(world: &World, kinds: &[(String, &str, String)]) {
    for (kind, type_, list) in kinds {
        let file = world.save("list.der", curl(&[&world.url(list)]).await.body);
        for finding in findings("lint_crl", &["-t", type_, "-p", "PKIX"], &file).await {
            assert!(finding.excuse().is_some(), "{kind}: {finding:?}");
        }
    }
}

/// A list of each kind, and the certificate of whoever signs it.
fn with_issuers(world: &World) -> [(String, PathBuf); 3] {
    let (root, issuer) = (world.ca.roots(), world.ca.issuer());
    [(world.of_root(), root), (world.complete(), issuer.clone()), (world.shard(0), issuer)]
}

/// The list that a leaf names, below `/crl/`.
pub(crate) fn path(leaf: &Issued) -> String {
    leaf_urls(leaf)[0].split_once("/crl/").unwrap().1.to_owned()
}

fn text(file: &Path) -> &str {
    file.to_str().unwrap()
}
