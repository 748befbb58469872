//! What people write and copy: policy documents, the configuration, enrolment tokens.

use std::path::Path;
use std::time::Duration;

use api::token::EnrolmentToken;
use ca_server::config::Config;
use pki_core::policy::Policy;
use pki_core::policy::document::ProfileDocument;
use pki_core::policy::profile::{BindingRule, ExtendedKeyUsage, Profile};

use crate::text;

/// A policy document in YAML.
pub fn policy(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let Ok(document) = serde_saphyr::from_str::<ProfileDocument>(text) else { return };
    let json = serde_json::to_string(&document).expect("texts, numbers and lists always serialise");
    let policy = match Policy::from_documents(vec![("one.yaml".into(), document.clone())]) {
        Ok(policy) => policy,
        Err(errors) => return assert!(!errors.is_empty(), "refused without a reason"),
    };
    policy.profiles().for_each(|profile| promises(profile));
    let again = serde_json::from_str(&json).expect("what was written can be read");
    let again = Policy::from_documents(vec![("two.yaml".into(), again)]).expect("the same document holds");
    assert!(policy.profiles().eq(again.profiles()), "writing and reading changed a profile");
    assert!(Policy::from_documents(vec![("a".into(), document.clone()), ("b".into(), document)]).is_err(), "twins");
}

/// What the fields of a checked profile promise.
fn promises(profile: &Profile) {
    assert_eq!(profile.extended_key_usage.is_empty(), profile.ca.is_some());
    assert!(profile.lifetime >= Duration::from_secs(10) && profile.backdate <= profile.lifetime / 10);
    assert!((100..=750).contains(&profile.renew_at_permille));
    let provable = profile.binding == BindingRule::Device || profile.role.is_some();
    assert!(provable || !profile.challenges.is_empty());
    let client = profile.extended_key_usage.contains(&ExtendedKeyUsage::ClientAuth);
    assert!(
        !client || profile.binding != BindingRule::None || profile.role.is_some(),
        "client certificates for everyone"
    );
    let names = &profile.identifiers;
    assert!(!names.rules().is_empty() || profile.ca.is_some());
    assert!(names.dns_suffix().all(|zone| !zone.is_wildcard()));
    assert!(names.networks().all(|network| network.trunc() == *network));
}

/// `ca-server.toml`.
pub fn config(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let dir = Path::new("/srv/ca");
    let config = match Config::parse(text, dir) {
        Ok(config) => config,
        Err(error) => return assert!(error.to_string().contains("ca-server.toml:"), "{error}"),
    };
    let printed = config.effective();
    let mut again = Config::parse(&printed, dir).expect("what is in force can be read");
    // passwords are not printed, so a URL that has one does not read back
    if config.database.url.expose() != config.database.url.to_string() {
        again.database = config.database.clone();
    }
    assert_eq!(again, config);
    assert!(!config.external.own_names().is_empty());
}

/// An enrolment token.
pub fn token(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let Ok(token) = EnrolmentToken::parse(text) else { return };
    let secret = token.secret.expose();
    assert!(!format!("{token:?}").contains(secret) || hidden_by_chance(&token), "the secret shows");
    assert_eq!(EnrolmentToken::parse(&token.to_line()).as_ref(), Ok(&token));
}

/// Whether the secret is a part of what may be shown anyway.
fn hidden_by_chance(token: &EnrolmentToken) -> bool {
    let mut shown = token.clone();
    shown.secret = api::token::Secret::new(String::new());
    format!("{shown:?}").contains(token.secret.expose())
}
