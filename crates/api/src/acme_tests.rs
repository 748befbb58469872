//! The texts that regular-expression clients read, byte for byte.

use super::*;

/// CHL-1: `type`, `url`, `status`, `token` first, `error` last, nothing empty.
#[test]
fn challenges_keep_the_order_of_members() {
    let mut challenge = ChallengeObject {
        kind: "http-01".into(),
        url: "https://ca.test/acme/challenge/1".into(),
        status: ChallengeStatus::Pending,
        token: Some("abc".into()),
        issuer_domain_names: Vec::new(),
        accounturi: None,
        validated: None,
        error: None,
    };
    assert_eq!(
        serde_json::to_string(&challenge).unwrap(),
        r#"{"type":"http-01","url":"https://ca.test/acme/challenge/1","status":"pending","token":"abc"}"#
    );
    challenge.status = ChallengeStatus::Invalid;
    challenge.error = Some(ProblemDocument {
        problem_type: "urn:ietf:params:acme:error:connection".into(),
        detail: "refused".into(),
        ..ProblemDocument::default()
    });
    assert_eq!(
        serde_json::to_string(&challenge).unwrap(),
        r#"{"type":"http-01","url":"https://ca.test/acme/challenge/1","status":"invalid","token":"abc","error":{"type":"urn:ietf:params:acme:error:connection","detail":"refused"}}"#
    );
}

/// DIR-1, DIR-2: members without value are left out.
#[test]
fn the_directory_says_only_what_there_is() {
    let mut directory = Directory {
        new_nonce: "https://ca.test/acme/new-nonce".into(),
        new_account: "https://ca.test/acme/new-account".into(),
        new_order: "https://ca.test/acme/new-order".into(),
        new_authz: None,
        revoke_cert: "https://ca.test/acme/revoke-cert".into(),
        key_change: "https://ca.test/acme/key-change".into(),
        renewal_info: None,
        meta: Meta::default(),
    };
    let plain = r#"{"newNonce":"https://ca.test/acme/new-nonce","newAccount":"https://ca.test/acme/new-account","newOrder":"https://ca.test/acme/new-order","revokeCert":"https://ca.test/acme/revoke-cert","keyChange":"https://ca.test/acme/key-change"}"#;
    assert_eq!(serde_json::to_string(&directory).unwrap(), plain);
    assert_eq!(serde_json::from_str::<Directory>(plain).unwrap(), directory);

    directory.meta.external_account_required = Some(true);
    directory.meta.profiles.insert("gateway".into(), "Gateways".into());
    let text = serde_json::to_string(&directory).unwrap();
    assert!(text.ends_with(r#""meta":{"externalAccountRequired":true,"profiles":{"gateway":"Gateways"}}}"#), "{text}");
}

/// ORD-1: `certificate` only in `valid`, everything optional left out; ACC-12: an empty list is `[]`.
#[test]
fn orders_and_accounts_read_back() {
    let order = r#"{"status":"valid","expires":"2026-01-01T00:00:00Z","identifiers":[{"type":"dns","value":"Gw-1.Site.Test"}],"profile":"gateway","authorizations":["https://ca.test/acme/authz/1"],"finalize":"https://ca.test/acme/order/1/finalize","certificate":"https://ca.test/acme/cert/1"}"#;
    let read: OrderObject = serde_json::from_str(order).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), order);
    let account =
        r#"{"status":"valid","contact":["mailto:ops@site.test"],"orders":"https://ca.test/acme/account/1/orders"}"#;
    let read: AccountObject = serde_json::from_str(account).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), account);
    assert_eq!(serde_json::to_string(&OrdersList::default()).unwrap(), r#"{"orders":[]}"#);
}

/// ACC-4: members that a client may not set are ignored, not refused.
#[test]
fn unknown_members_of_requests_are_ignored() {
    let read: NewAccount =
        serde_json::from_str(r#"{"termsOfServiceAgreed":true,"orders":"x","status":"revoked","resource":"new-reg"}"#)
            .unwrap();
    assert_eq!(read.terms_of_service_agreed, Some(true));
    assert_eq!(read.contact, None);
    let update: AccountUpdate = serde_json::from_str(r#"{"contact":[],"status":"something"}"#).unwrap();
    assert_eq!((update.contact, update.status.as_deref()), (Some(vec![]), Some("something")));
    let order: NewOrder = serde_json::from_str(r#"{"identifiers":[{"type":"dns","value":"a"}]}"#).unwrap();
    assert_eq!(order.identifiers.len(), 1);
}
