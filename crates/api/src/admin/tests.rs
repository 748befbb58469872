//! The JSON API's texts.

use super::*;
use crate::token::Secret;

#[test]
fn a_misspelt_member_of_a_request_is_refused() {
    let error = serde_json::from_str::<DeviceRequest>(r#"{"name":"gw-1","profile":"gateway","dnsNames":["a"]}"#);
    assert!(error.unwrap_err().to_string().contains("unknown field `dnsNames`"));
    assert!(serde_json::from_str::<RevokeRequest>(r#"{"why":"x"}"#).is_err());
    let request: DeviceRequest = serde_json::from_str(r#"{"name":"gw-1","profile":"gateway"}"#).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"name":"gw-1","profile":"gateway"}"#);
}

#[test]
fn devices_and_tokens_have_a_stable_form() {
    let device = DeviceView {
        id: "00".into(),
        name: "gw-1".into(),
        site: "home".into(),
        profile: "gateway".into(),
        dns: vec!["gw-1.site.test".into()],
        ips: vec![],
        labels: [("role".to_owned(), "edge".to_owned())].into(),
        state: DeviceState::Registered,
        created_at: "2026-01-01T00:00:00Z".into(),
        state_since: None,
        last_seen_at: None,
        certificate_until: None,
        conflicts: vec![],
    };
    let view = TokenView { device, token: Secret::new("plt1.0.0.".into()), expires_at: None };
    let text = serde_json::to_string(&view).unwrap();
    assert_eq!(
        text,
        r#"{"device":{"id":"00","name":"gw-1","site":"home","profile":"gateway","dns":["gw-1.site.test"],"ips":[],"labels":{"role":"edge"},"state":"registered","createdAt":"2026-01-01T00:00:00Z"},"token":"plt1.0.0."}"#
    );
    assert_eq!(serde_json::from_str::<TokenView>(&text).unwrap(), view);
    assert!(!format!("{view:?}").contains("plt1"), "a token is a secret");
}

#[test]
fn pages_end_without_a_cursor() {
    let last = Page { items: vec![1, 2], next: None };
    assert_eq!(serde_json::to_string(&last).unwrap(), r#"{"items":[1,2]}"#);
    let page: Page<u8> = serde_json::from_str(r#"{"items":[],"next":"c"}"#).unwrap();
    assert_eq!(page.next.as_deref(), Some("c"));
}
