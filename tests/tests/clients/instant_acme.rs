//! The crate instant-acme.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, ExternalAccountKey,
    Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy, RevocationReason, RevocationRequest,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tests::certificate::{Leaf, chain};
use tests::folders::{Folder, write};

use crate::alpn;
use crate::table::print_crate_version;
use crate::world::{Kind, Setting, World};

const NOBODY: NewAccount<'_> =
    NewAccount { contact: &["mailto:ops@site.test"], terms_of_service_agreed: true, only_return_existing: false };

/// What was issued, as files.
struct Issued {
    leaf: Leaf,
    folder: Folder,
}

impl Issued {
    fn certificate(&self) -> rustls_pki_types::CertificateDer<'static> {
        chain(&self.folder.path().join("chain.pem")).remove(0)
    }
}

async fn register(world: &World, key: Option<&ExternalAccountKey>) -> (Account, AccountCredentials) {
    print_crate_version("instant-acme");
    let builder = Account::builder_with_root(world.ca.roots()).unwrap();
    builder.create(&NOBODY, world.directory.clone(), key).await.unwrap()
}

async fn issue(world: &World, account: &Account, names: &[&str], kind: ChallengeType) -> Issued {
    let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns((*name).to_owned())).collect();
    complete(world, account, NewOrder::new(&identifiers), names, kind).await
}

async fn complete(
    world: &World,
    account: &Account,
    order: NewOrder<'_>,
    names: &[&str],
    kind: ChallengeType,
) -> Issued {
    let mut order = account.new_order(&order).await.unwrap();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.unwrap();
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(kind.clone()).expect("the challenge is offered");
        prove(world, &challenge, &kind);
        challenge.set_ready().await.unwrap();
    }
    assert_eq!(order.poll_ready(&RetryPolicy::default()).await.unwrap(), OrderStatus::Ready);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key).unwrap().der()).await.unwrap();
    let text = order.poll_certificate(&RetryPolicy::default()).await.unwrap();
    let folder = Folder::new();
    let (chain, private) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    write(&chain, text, 0o644);
    write(&private, key.serialize_pem(), 0o600);
    Issued { leaf: world.must_be_good(&chain, &private, names, Kind::Ecdsa), folder }
}

fn prove(world: &World, challenge: &instant_acme::ChallengeHandle<'_>, kind: &ChallengeType) {
    let (proof, name) = (challenge.key_authorization(), challenge.identifier().identifier);
    let Identifier::Dns(name) = name else { panic!("{name:?}") };
    match kind {
        ChallengeType::Http01 => {
            let folder = world.webroot().join(".well-known/acme-challenge");
            std::fs::create_dir_all(&folder).unwrap();
            write(&folder.join(&challenge.token), proof.as_str(), 0o644);
        }
        ChallengeType::Dns01 => world.dns.add(&format!("_acme-challenge.{name}"), "TXT", &proof.dns_value()),
        ChallengeType::TlsAlpn01 => alpn::show(&world.tls, name, proof.digest().as_ref()),
        other => panic!("{other:?}"),
    }
}

async fn lives_through(world: &World) {
    let (mut account, _) = register(world, None).await;
    let first = issue(world, &account, &["web.site.test", "www.site.test"], ChallengeType::Http01).await;
    let credentials = account.update_key().await.unwrap();
    let again = Account::builder_with_root(world.ca.roots()).unwrap().from_credentials(credentials).await.unwrap();
    let second = issue(world, &again, &["web.site.test", "www.site.test"], ChallengeType::Http01).await;
    assert_ne!(first.leaf.serial, second.leaf.serial);
    let certificate = first.certificate();
    let request = RevocationRequest { certificate: &certificate, reason: Some(RevocationReason::Superseded) };
    account.revoke(&request).await.unwrap();
    world.must_be_revoked(&first.leaf).await;
    assert_eq!(world.state(&second.leaf).await["state"], "issued");
    account.update_contacts(&["mailto:new-ops@site.test"]).await.unwrap();
    account.deactivate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn instant_acme_from_its_registration_to_its_end() {
    lives_through(&World::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn non_8_instant_acme_goes_on_after_refused_nonces() {
    lives_through(&World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ari_1_to_4_instant_acme_asks_when_to_renew_and_says_what_it_replaces() {
    let world = World::open().await;
    let (account, _) = register(&world, None).await;
    let names = ["web.site.test", "www.site.test"];
    let first = issue(&world, &account, &names, ChallengeType::Http01).await;
    let certificate = first.certificate();
    let id = CertificateIdentifier::try_from(&certificate).unwrap();
    let (info, delay) = account.renewal_info(&id).await.unwrap();
    let (start, end) = (info.suggested_window.start.unix_timestamp(), info.suggested_window.end.unix_timestamp());
    assert!(first.leaf.not_before < start && start < end && end < first.leaf.not_after, "ARI-3: {info:?}");
    assert!(delay.as_secs() > 0, "ARI-2: {delay:?}");

    let identifiers = names.map(|name| Identifier::Dns(name.to_owned()));
    let order = || NewOrder::new(&identifiers).replaces(id.clone());
    let second = complete(&world, &account, order(), &names, ChallengeType::Http01).await;
    assert_ne!(first.leaf.serial, second.leaf.serial);
    let Err(instant_acme::Error::Api(problem)) = account.new_order(&order()).await else {
        panic!("ARI-4: replaced twice")
    };
    assert_eq!(problem.r#type.as_deref(), Some("urn:ietf:params:acme:error:alreadyReplaced"), "ARI-4");

    let certificate = second.certificate();
    account.revoke(&RevocationRequest { certificate: &certificate, reason: None }).await.unwrap();
    let id = CertificateIdentifier::try_from(&certificate).unwrap();
    let (info, _) = account.renewal_info(&id).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(info.suggested_window.end.unix_timestamp() <= i64::try_from(now).unwrap() + 1, "ARI-3: {info:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instant_acme_with_an_external_account_key_by_dns_and_tls() {
    let world = World::bound().await;
    let builder = Account::builder_with_root(world.ca.roots()).unwrap();
    let refused = builder.create(&NOBODY, world.directory.clone(), None).await;
    let Err(instant_acme::Error::Api(problem)) = refused else { panic!("registered without a key") };
    assert_eq!(problem.r#type.as_deref(), Some("urn:ietf:params:acme:error:externalAccountRequired"));
    let (kid, secret) = world.external_key().await;
    let key = ExternalAccountKey::new(kid, &BASE64_URL_SAFE_NO_PAD.decode(secret).unwrap());
    let (account, _) = register(&world, Some(&key)).await;
    issue(&world, &account, &["*.wild.site.test", "wild.site.test"], ChallengeType::Dns01).await;
    issue(&world, &account, &["tls.site.test"], ChallengeType::TlsAlpn01).await;
}

/// A client that knows profiles is told which of them it may have, and why it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn instant_acme_is_refused_and_allowed_by_profile() {
    let world = World::open().await;
    let (account, _) = register(&world, None).await;
    let order = async |profile: &'static str, name: &str| {
        let identifiers = [Identifier::Dns(name.to_owned())];
        account.new_order(&NewOrder::new(&identifiers).profile(profile)).await.map(drop)
    };
    for (profile, name, kind, rule) in [
        ("server", "web.example", "rejectedIdentifier", "identifiers.allowed"),
        ("kubernetes-ingress", "*.site.test", "rejectedIdentifier", "identifiers.allowed"),
        ("gateway", "web.site.test", "invalidProfile", "requires.binding"),
        ("rabbitmq-broker", "web.site.test", "invalidProfile", "requires.binding"),
        ("operator", "web.site.test", "unauthorized", "requires.role"),
        ("site-ca", "web.site.test", "invalidProfile", "profile.enabled"),
        ("nothing", "web.site.test", "invalidProfile", "profile.known"),
    ] {
        let Err(instant_acme::Error::Api(problem)) = order(profile, name).await else { panic!("{profile}: {name}") };
        let detail = problem.detail.unwrap_or_default();
        assert_eq!(problem.r#type.as_deref(), Some(&*format!("urn:ietf:params:acme:error:{kind}")), "{detail}");
        assert!(detail.contains(&format!("(rule {rule})")), "{detail}");
    }
    for profile in ["server", "kubernetes-ingress"] {
        let identifiers = [Identifier::Dns("web.site.test".to_owned())];
        let order = NewOrder::new(&identifiers).profile(profile);
        complete(&world, &account, order, &["web.site.test"], ChallengeType::Http01).await;
    }
}
