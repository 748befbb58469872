//! Problem documents (RFC 7807) as RFC 8555 section 6.7 uses them; the JSON API answers errors in the same form.

use serde::{Deserialize, Serialize};

use crate::acme::IdentifierObject;

/// What every type of RFC 8555 begins with.
pub const URN_PREFIX: &str = "urn:ietf:params:acme:error:";

/// Content type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// An answer that says why not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDocument {
    /// The type, a URN for the types of RFC 8555.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// What was attempted, on which thing, and what to do.
    #[serde(default)]
    pub detail: String,
    /// The HTTP status, repeated; absent inside challenges and orders of some servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The identifier at fault; inside `subproblems` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<IdentifierObject>,
    /// One entry for each identifier at fault (section 6.7.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<ProblemDocument>,
    /// Signature algorithms that would have been accepted (section 6.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<String>>,
    /// Where a person finds out what to do, with `userActionRequired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Names this request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ProblemDocument {
    /// The name after [`URN_PREFIX`], when the type is one of RFC 8555.
    pub fn acme_name(&self) -> Option<&str> {
        self.problem_type.strip_prefix(URN_PREFIX)
    }
}

impl std::fmt::Display for ProblemDocument {
    /// `rejectedIdentifier: no profile allows gw-9.example; gw-9.example: ...`, for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.acme_name().unwrap_or(&self.problem_type), self.detail)?;
        for sub in &self.subproblems {
            match &sub.identifier {
                Some(identifier) => write!(f, "; {}: {}", identifier.value, sub.detail)?,
                None => write!(f, "; {}", sub.detail)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_only_the_members_that_say_something() {
        let bad_nonce = ProblemDocument {
            problem_type: format!("{URN_PREFIX}badNonce"),
            detail: "JWS has an invalid anti-replay nonce".into(),
            status: Some(400),
            ..ProblemDocument::default()
        };
        assert_eq!(
            serde_json::to_string(&bad_nonce).unwrap(),
            r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"JWS has an invalid anti-replay nonce","status":400}"#
        );
        assert_eq!(bad_nonce.acme_name(), Some("badNonce"));
    }

    #[test]
    fn subproblems_name_their_identifier() {
        let text = r#"{"type":"urn:ietf:params:acme:error:malformed","detail":"two names are wrong","status":400,"subproblems":[{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"outside policy","identifier":{"type":"dns","value":"a.test"}}]}"#;
        let read: ProblemDocument = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(read.to_string(), "malformed: two names are wrong; a.test: outside policy");
    }

    #[test]
    fn other_servers_may_leave_out_detail_and_add_members() {
        let read: ProblemDocument = serde_json::from_str(r#"{"type":"about:blank","title":"x"}"#).unwrap();
        assert_eq!((read.acme_name(), read.detail.as_str()), (None, ""));
    }
}
