//! Devices and profiles for the tests of this crate.

use crate::device::{Device, DeviceState, Labels};
use crate::ids::{DeviceId, SiteName};
use crate::policy::Policy;
use crate::policy::document::ProfileDocument;
use crate::policy::profile::Profile;
use crate::random::SystemEntropy;
use crate::time::Timestamp;

/// A device of this profile without names.
pub(crate) fn device(profile: &str) -> Device {
    Device {
        id: DeviceId::random(&SystemEntropy::new()),
        site: SiteName::home(),
        name: "gw-1".parse().unwrap(),
        profile: profile.parse().unwrap(),
        dns: Vec::new(),
        ips: Vec::new(),
        labels: Labels::default(),
        state: DeviceState::Registered,
        created_at: Timestamp::from_unix_seconds(0),
        last_seen_at: None,
        version: 0,
    }
}

/// What every document says unless it says something else: a server profile without names.
pub(crate) const USUAL: &str = "apiVersion: pilotlight.dev/v1
kind: Profile
metadata: { name: server }
spec:
  usage: { extendedKeyUsage: [serverAuth] }
  lifetime: 30d
  backdate: 1h
  renewal: { at: 0.6, grace: 0s }
  requires: { binding: none, challenges: [http-01] }
";

/// [`USUAL`] with further members of `spec`, each line indented by two.
pub(crate) fn document(further: &str) -> ProfileDocument {
    let text = format!("{USUAL}{further}");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The policy of one such document.
pub(crate) fn policy(further: &str) -> Policy {
    Policy::from_documents(vec![("server.yaml".to_owned(), document(further))]).unwrap_or_else(|all| panic!("{all:#?}"))
}

/// Its profile.
pub(crate) fn profile(further: &str) -> Profile {
    let policy = policy(further);
    let only = policy.profiles().next().unwrap();
    Profile::clone(only)
}
