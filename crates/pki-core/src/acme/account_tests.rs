//! What becomes of accounts, and what a contact is.

use super::*;
use crate::random::SystemEntropy;
use crate::x509::key::{KeyAlgorithm, PublicKey};

fn key(octet: u8) -> Jwk {
    let point = p256::SecretKey::from_slice(&[octet; 32]).unwrap().public_key().to_sec1_bytes();
    Jwk::from_public_key(&PublicKey::from_point(KeyAlgorithm::EcdsaP256, &point).unwrap()).unwrap()
}

fn account(status: AccountStatus, for_device: bool) -> Account {
    let entropy = SystemEntropy::new();
    let device = for_device.then(|| DeviceId::random(&entropy));
    let binding = Some(Binding { key: EabKeyId::random(&entropy), device });
    let request = NewAccount { site: SiteName::home(), key: key(7), contacts: vec![], binding, terms_agreed: None };
    Account { status, ..Account::new(request, Timestamp::from_unix_seconds(1), &entropy) }
}

#[test]
fn each_status_allows_its_own_events_only() {
    use AccountStatus::{Deactivated, Revoked, Valid};
    for (status, deactivated, revoked) in [(Valid, true, true), (Deactivated, false, true), (Revoked, false, false)] {
        assert_eq!(account(status, false).deactivate().is_ok(), deactivated, "deactivate {status:?}");
        assert_eq!(account(status, false).revoke().is_ok(), revoked, "revoke {status:?}");
    }
    assert_eq!(account(Deactivated, false).deactivate().unwrap_err().http_status(), 401);
}

/// ACC-8, ACC-9: a copied disk must not lock out the honest device.
#[test]
fn the_account_of_a_device_is_an_administrators_matter() {
    assert_eq!(account(AccountStatus::Valid, true).deactivate().unwrap_err().kind, ProblemKind::Unauthorized);
    assert_eq!(account(AccountStatus::Valid, true).rekey(key(8)).unwrap_err().kind, ProblemKind::Unauthorized);
    assert!(account(AccountStatus::Valid, true).revoke().is_ok());
    let rekeyed = account(AccountStatus::Valid, false).rekey(key(8)).unwrap();
    assert_eq!((rekeyed.thumbprint, &rekeyed.key), (key(8).thumbprint(), &key(8)));
}

/// ACC-5.
#[test]
fn contacts_are_single_mail_addresses() {
    let kind = |contact: &str| parse_contacts(&[contact.to_owned()]).err().map(|problem| problem.kind);
    for good in ["mailto:ops@site.test", "MAILTO:o.p+s@localhost", "mailto:a@xn--bcher-kva.test"] {
        assert_eq!(kind(good), None, "{good}");
    }
    let long = format!("mailto:{}@a.test", "a".repeat(400));
    for bad in [
        "",
        "mailto",
        "mailto:",
        "mailto:ops",
        "mailto:@a.test",
        "mailto:ops@",
        "mailto:a@b.test,c@d.test",
        "mailto:a@b.test?subject=x",
        "mailto:a b@c.test",
        "mailto:<a@b.test>",
        "mailto:a@b@c.test",
        "mailto:a@*.b.test",
        "mailto:a\r\n@b.test",
        long.as_str(),
    ] {
        let expected = Some(ProblemKind::InvalidContact);
        assert_eq!(kind(bad), expected, "{bad:?}");
    }
    assert_eq!(kind("tel:+4912345"), Some(ProblemKind::UnsupportedContact));
    assert_eq!(parse_contacts(&[]), Ok(vec![]));
    assert!(parse_contacts(&vec!["mailto:a@b.test".to_owned(); 11]).is_err());
}
