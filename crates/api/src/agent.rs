//! What the agent and the CA tell each other beside ACME: `/api/v1/agent/*`, each a JWS by the account key.

use serde::{Deserialize, Serialize};

use crate::acme::IdentifierObject;

/// What the CA's record says about the device that asks: the answer of `POST /api/v1/agent/config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    /// The device's name.
    pub device: String,
    /// Its site.
    pub site: String,
    /// The profile its certificates are issued by.
    pub profile: String,
    /// The names it may have without challenge: those of its record, else those that its profile makes of it.
    pub identifiers: Vec<IdentifierObject>,
    /// notAfter minus notBefore of that profile, in seconds.
    pub lifetime_seconds: u64,
    /// When to renew, in thousandths of the lifetime.
    pub renew_at_permille: u16,
    /// How long after the end a renewal is still granted, in seconds.
    pub grace_seconds: u64,
    /// The roots to trust, as one PEM text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_pem: Option<String>,
}

/// What an agent saw of one certificate in use: the payload of `POST /api/v1/agent/report`. The first report of a
/// certificate confirms it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The agent's name for the certificate.
    pub name: String,
    /// SHA-256 of the certificate in lower-case hexadecimal.
    pub certificate_sha256: String,
    /// Whether its service presents it.
    pub probe: Probe,
    /// How far the agent believes its clock.
    pub clock: ClockClass,
    /// Whole days until the first certificate or CRL in use ends, were the CA gone from now on.
    pub autonomy_days: u32,
    /// Whether a reload is still owed to the service.
    #[serde(default)]
    pub reload_owed: bool,
    /// The agent's version.
    pub agent_version: String,
}

/// What a TLS client saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Probe {
    /// The service presents this certificate.
    Seen,
    /// The service presents another one.
    Other {
        /// SHA-256 of that one in lower-case hexadecimal.
        sha256: String,
    },
    /// No handshake came about.
    Failed {
        /// Why.
        error: String,
    },
    /// No probe is configured.
    NotProbed,
}

/// Where the agent's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClockClass {
    /// Synchronised by NTP or the like.
    Synchronised,
    /// A hardware clock that nobody confirmed.
    Hardware,
    /// Neither: time is only known from signed material.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_have_a_stable_form() {
        let report = Report {
            name: "nginx".into(),
            certificate_sha256: "ab".repeat(32),
            probe: Probe::Other { sha256: "cd".repeat(32) },
            clock: ClockClass::Synchronised,
            autonomy_days: 44,
            reload_owed: true,
            agent_version: "0.1.0".into(),
        };
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"name":"nginx","certificateSha256":"{}","probe":{{"outcome":"other","sha256":"{}"}},"clock":"synchronised","autonomyDays":44,"reloadOwed":true,"agentVersion":"0.1.0"}}"#,
                "ab".repeat(32),
                "cd".repeat(32)
            )
        );
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert_eq!(serde_json::to_string(&Probe::NotProbed).unwrap(), r#"{"outcome":"notProbed"}"#);
    }
}
