//! Cases: requests with the decision that is expected, kept beside the profiles and run on every change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::acme::problem::ProblemKind;
use crate::device::{Device, DeviceState, Labels};
use crate::ids::{ProfileName, SiteName};
use crate::policy::Policy;
use crate::policy::decide::{Held, Request, Requester};
use crate::policy::document::API_VERSION;
use crate::policy::explain::Explanation;
use crate::time::Timestamp;
use crate::x509::key::KeyAlgorithm;
use crate::x509::name::Identifier;

/// The only `kind` of such documents.
pub const KIND: &str = "Cases";

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CasesDocument {
    /// `pilotlight.dev/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `Cases`.
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// The cases.
    pub cases: Vec<CaseDocument>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseDocument {
    /// What it shows, in one sentence.
    pub name: String,
    /// Who asks for what.
    pub request: RequestDocument,
    /// What is to be decided.
    pub expect: Expectation,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestDocument {
    /// By which profile.
    pub profile: String,
    /// DNS names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<String>,
    /// URIs, as they stand in the CSR.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<String>,
    /// E-mail addresses, as they stand in the CSR.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
    /// Permanent identifiers, as they stand in the CSR.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permanent_identifier: Vec<String>,
    /// The key of the CSR, as `ECDSA P-256`, `Ed25519` or `RSA 3072`; left out when an order is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub by: By,
    /// The device's record, when one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceDocument>,
    /// What the device has already by the profile; nothing when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldDocument>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// Any ACME account.
    #[default]
    Anyone,
    /// An account bound by an external account key to no device.
    ExternalAccount,
    /// An account bound to the device.
    Device,
    /// An administrator at the API.
    Administrator,
}

/// What a device's record says.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceDocument {
    /// Its name.
    pub name: String,
    /// Where it stands; `home` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The profile it is registered for; the one asked for when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What templates may take from it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// DNS names in its record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Addresses in its record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<String>,
    /// Whether it was retired.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// What a device has already by a profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeldDocument {
    /// Certificates that are valid.
    #[serde(default)]
    pub active: u64,
    /// Certificates issued within the time of the profile's limit.
    #[serde(default)]
    pub issued: u64,
}

/// What is to be decided.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Which way.
    pub decision: Decision,
    /// By which rule: of a denial its rule, as `identifiers.allowed`; of an allowed request the rule of the profile that
    /// allows every name of it, as `dns[0]`. Any rule when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The ACME problem of a denial, as `rejectedIdentifier`. Any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// The certificate may be had.
    Allowed,
    /// It may not.
    Denied,
}

impl Decision {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The case.
    pub name: String,
    /// The profile asked for.
    pub profile: String,
    /// Which way it was decided.
    pub decision: Decision,
    /// The rule that decided: of a denial its rule, else the rules of the profile for its names.
    pub rule: String,
    /// What differs from what is expected; none when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
}

impl CasesDocument {
    /// Whether it is such a document; what is wrong with its head otherwise.
    pub fn check(&self) -> Result<(), String> {
        if self.api_version != API_VERSION {
            return Err(format!("apiVersion: `{}` is not known; write `{API_VERSION}`", shown(&self.api_version)));
        }
        if self.kind != KIND {
            return Err(format!("kind: `{}` is not known; write `{KIND}`", shown(&self.kind)));
        }
        if self.cases.is_empty() { Err("cases: there is none; add at least one".to_owned()) } else { Ok(()) }
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl CaseDocument {
    /// Decides it. Err when the case itself can not be read; the text names the field.
    pub fn run(&self, policy: &Policy) -> Result<Outcome, String> {
        let explained = self.request.explain(policy)?;
        let decision = if explained.allowed { Decision::Allowed } else { Decision::Denied };
        let rule = match &explained.rule {
            Some(rule) => rule.clone(),
            None => name_rules(&explained).collect::<Vec<_>>().join(", "),
        };
        let difference = self.expect.difference(decision, &explained)?;
        Ok(Outcome { name: self.name.clone(), profile: self.request.profile.clone(), decision, rule, difference })
    }
}

/// The rules of the profile that allow the names, each once.
fn name_rules(explained: &Explanation) -> impl Iterator<Item = &str> {
    let rules: std::collections::BTreeSet<&str> =
        explained.names.iter().filter_map(|name| name.rule.as_deref()).collect();
    rules.into_iter()
}

impl Expectation {
    fn difference(&self, decided: Decision, explained: &Explanation) -> Result<Option<String>, String> {
        if self.problem.as_ref().is_some_and(|problem| !is_problem(problem)) {
            return Err("expect.problem: it is no problem type of ACME; write for example `rejectedIdentifier`".into());
        }
        if self.decision != decided {
            let why = explained.steps.iter().find(|step| Some(&step.rule) == explained.rule.as_ref());
            let why = why.map(|step| format!(": {}", step.detail)).unwrap_or_default();
            return Ok(Some(format!("it should be {}, and is {}{why}", self.decision.as_str(), decided.as_str())));
        }
        let by_rule = match (&self.rule, &explained.rule) {
            (None, _) => None,
            (Some(expected), Some(rule)) if expected == rule => None,
            (Some(expected), Some(rule)) => Some(format!("it should be denied by `{expected}`, and is by `{rule}`")),
            (Some(expected), None) => {
                let names = |rule: &str| rule == expected || rule.split(' ').next() == Some(expected);
                let other = name_rules(explained).find(|rule| !names(rule));
                other.map(|rule| format!("each name should be allowed by `{expected}`, and one is by `{rule}`"))
            }
        };
        let by_problem = match (&self.problem, &explained.problem) {
            (Some(expected), Some(problem)) if expected != problem => {
                Some(format!("the problem should be `{expected}`, and is `{problem}`"))
            }
            (Some(_), None) => return Err("expect.problem: what is allowed has no problem; leave it out".to_owned()),
            _ => None,
        };
        Ok(by_rule.or(by_problem))
    }
}

fn is_problem(text: &str) -> bool {
    [
        ProblemKind::BadCsr,
        ProblemKind::InvalidProfile,
        ProblemKind::Malformed,
        ProblemKind::RateLimited,
        ProblemKind::RejectedIdentifier,
        ProblemKind::Unauthorized,
    ]
    .iter()
    .any(|kind| kind.name() == text)
}

impl RequestDocument {
    /// Decides it and tells why. Err when the request can not be read; the text names the field.
    pub fn explain(&self, policy: &Policy) -> Result<Explanation, String> {
        let profile: ProfileName = self.profile.parse().map_err(|error| format!("profile: {error}"))?;
        let identifiers = self.identifiers()?;
        let key = match &self.key {
            Some(key) => Some(key.parse::<KeyAlgorithm>().map_err(|error| format!("key: {error}"))?),
            None => None,
        };
        let device = self.device.as_ref().map(|device| device.record(&profile)).transpose()?;
        let requester = match (self.by, &device) {
            (By::Anyone, None) => Requester::Unbound,
            (By::ExternalAccount, None) => Requester::Bound { device: None },
            (By::Device, Some(device)) => Requester::Bound { device: Some(device) },
            (By::Administrator, None) => Requester::Administrator,
            (By::Device, None) => return Err("device: a device asks; write what its record says".to_owned()),
            (_, Some(_)) => return Err("by: there is a device's record; write `by: device`".to_owned()),
        };
        let held = self.held.unwrap_or_default();
        let held = Some(Held { active: held.active, issued: held.issued });
        Ok(policy.explain(&Request { profile: &profile, identifiers: &identifiers, key, requester, held }))
    }

    fn identifiers(&self) -> Result<Vec<Identifier>, String> {
        let mut identifiers = Vec::new();
        for (kind, member, values) in [
            ("dns", "dns", &self.dns),
            ("ip", "ip", &self.ip),
            ("uri", "uri", &self.uri),
            ("email", "email", &self.email),
            ("permanent-identifier", "permanentIdentifier", &self.permanent_identifier),
        ] {
            for value in values {
                identifiers.push(Identifier::parse(kind, value).map_err(|error| format!("{member}: {error}"))?);
            }
        }
        Ok(identifiers)
    }
}

impl DeviceDocument {
    fn record(&self, profile: &ProfileName) -> Result<Device, String> {
        const LONG_AGO: Timestamp = Timestamp::from_unix_seconds(0);
        const NOBODY: &str = "00000000000000000000000000000000";
        let site = self.site.as_ref().map_or(Ok(SiteName::home()), |site| site.parse());
        let registered = self.profile.as_ref().map_or(Ok(profile.clone()), |profile| profile.parse());
        let dns = self.dns.iter().map(|name| name.parse()).collect::<Result<_, _>>();
        let ips = self.ip.iter().map(|address| crate::x509::name::parse_ip(address)).collect::<Result<_, _>>();
        let labels = Labels::parse(self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let state = if self.retired { DeviceState::Retired { at: LONG_AGO } } else { DeviceState::Registered };
        Ok(Device {
            // no decision depends on it
            id: NOBODY.parse().map_err(|error| format!("device: {error}"))?,
            site: site.map_err(|error| format!("device.site: {error}"))?,
            name: self.name.parse().map_err(|error| format!("device.name: {error}"))?,
            profile: registered.map_err(|error| format!("device.profile: {error}"))?,
            dns: dns.map_err(|error| format!("device.dns: {error}"))?,
            ips: ips.map_err(|error| format!("device.ip: {error}"))?,
            labels: labels.map_err(|error| format!("device.labels: {error}"))?,
            state,
            created_at: LONG_AGO,
            last_seen_at: None,
            version: 0,
        })
    }
}

#[cfg(test)]
#[path = "cases_tests.rs"]
mod tests;
