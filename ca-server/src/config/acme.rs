//! `[acme]`: who may make accounts, what the service offers, and what it tells its clients.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The ACME service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acme {
    /// Whether every account needs an external account binding (RFC 8555 section 7.3.4).
    pub external_account_required: bool,
    /// Terms that accounts have to agree to (section 7.3.3); empty: none.
    #[serde(deserialize_with = "web_address")]
    pub terms_of_service: String,
    /// Where people read about this CA; told in the directory unless empty.
    #[serde(deserialize_with = "web_address")]
    pub website: String,
    /// Where people read why certificates are to be renewed; told with renewal windows unless empty (RFC 9773).
    #[serde(deserialize_with = "web_address")]
    pub explanation_url: String,
    /// Whether names can be authorised before they are ordered (section 7.4.1).
    pub new_authz: bool,
    /// Whether pages of other origins may speak ACME here (section 6.1).
    pub cross_origin: bool,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            external_account_required: true,
            terms_of_service: String::new(),
            website: String::new(),
            explanation_url: String::new(),
            new_authz: false,
            cross_origin: false,
        }
    }
}

/// An address that may stand in a header: `https://` or `http://` and printable ASCII.
fn web_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    if text.is_empty() || is_plain && is_web {
        return Ok(text);
    }
    let shown = text.escape_debug();
    Err(D::Error::custom(format!("`{shown}` is not a web address; begin it with https://, or leave it empty")))
}
