//! The one record of a device that every protocol consults, and the keys that bind accounts to it.

mod eab_key;
mod labels;

use std::net::IpAddr;

use crate::acme::problem::Problem;
use crate::ids::{DeviceId, DeviceName, ProfileName, SiteName};
use crate::random::Entropy;
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::transition::IllegalTransition;
use crate::x509::name::{DnsName, Identifier};

pub use eab_key::{BindRefusal, Bound, EabKey, EabKeyState};
pub use labels::{LabelChange, LabelError, LabelKey, LabelSelector, LabelValue, Labels};

/// A device, from its registration to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Identifier.
    pub id: DeviceId,
    /// Where it stands.
    pub site: SiteName,
    /// The name people use; unique.
    pub name: DeviceName,
    /// The profile its certificates are issued by.
    pub profile: ProfileName,
    /// DNS names it may have without challenge.
    pub dns: Vec<DnsName>,
    /// IP addresses it may have without challenge.
    pub ips: Vec<IpAddr>,
    /// What templates of profiles may take from it besides name and site.
    pub labels: Labels,
    /// What it may do.
    pub state: DeviceState,
    /// When it was registered.
    pub created_at: Timestamp,
    /// The last authenticated request of an account bound to it.
    pub last_seen_at: Option<Timestamp>,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// What to begin with.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Where it stands.
    pub site: SiteName,
    /// The name people use.
    pub name: DeviceName,
    /// The profile its certificates are issued by.
    pub profile: ProfileName,
    /// DNS names it may have without challenge.
    pub dns: Vec<DnsName>,
    /// IP addresses it may have without challenge.
    pub ips: Vec<IpAddr>,
    /// What templates of profiles may take from it besides name and site.
    pub labels: Labels,
}

/// Why a device can not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// It has too many names.
    #[error("the device `{0}` has more than {MAX_NAMES} names; register it with fewer")]
    TooManyNames(DeviceName),
}

const MAX_NAMES: usize = 100;

impl Device {
    /// Registers a device; names given twice are one name. Whether it has any is for its profile to say, whose templates may
    /// make some.
    pub fn new(request: NewDevice, now: Timestamp, entropy: &dyn Entropy) -> Result<Self, RegistrationError> {
        let NewDevice { site, name, profile, mut dns, mut ips, labels } = request;
        dns.sort();
        dns.dedup();
        ips.sort();
        ips.dedup();
        if dns.len() + ips.len() > MAX_NAMES {
            return Err(RegistrationError::TooManyNames(name));
        }
        let id = DeviceId::new(now, entropy);
        let state = DeviceState::Registered;
        Ok(Self { id, site, name, profile, dns, ips, labels, state, created_at: now, last_seen_at: None, version: 0 })
    }

    /// An account is bound to it. One that is enrolled already stays so since then: a device has many accounts in
    /// its life, and a token used again after a power cut changes nothing.
    pub fn enrol(self, at: Timestamp) -> Result<Self, IllegalTransition> {
        match self.state {
            DeviceState::Registered => Ok(Self { state: DeviceState::Enrolled { at }, ..self }),
            DeviceState::Enrolled { .. } => Ok(self),
            state => Err(state.illegal("enrolled")),
        }
    }

    /// The state in which it ends so; none when it has. Whoever knows that it is in wrong hands does not take that back by
    /// retiring it, and no end has a way back: a device is registered anew, under another name.
    pub fn end(&self, end: End, now: Timestamp) -> Result<Option<DeviceState>, Problem> {
        match (self.state, end) {
            (DeviceState::Retired { .. }, End::Retired) | (DeviceState::Compromised { .. }, End::Compromised) => {
                Ok(None)
            }
            (DeviceState::Compromised { at }, End::Retired) => Err(Problem::conflict(format!(
                "device {} is out of service as compromised since {at}, which says more",
                self.name
            ))),
            (_, End::Retired) => Ok(Some(DeviceState::Retired { at: now })),
            (_, End::Compromised) => Ok(Some(DeviceState::Compromised { at: now })),
        }
    }

    /// Whether its record has this name. A wildcard in the record is that wildcard and nothing below it.
    pub fn has(&self, identifier: &Identifier) -> bool {
        match identifier {
            Identifier::Dns(name) => self.dns.contains(name),
            Identifier::Ip(address) => self.ips.contains(address),
            Identifier::Uri(_) | Identifier::Email(_) | Identifier::Permanent(_) => false,
        }
    }

    /// Every name of its record.
    pub fn identifiers(&self) -> impl Iterator<Item = Identifier> {
        self.dns.iter().cloned().map(Identifier::Dns).chain(self.ips.iter().copied().map(Identifier::Ip))
    }
}

/// Why a device ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has served.
    Retired,
    /// It is in wrong hands.
    Compromised,
}

impl End {
    /// Why its certificates are revoked, when nobody says.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Retired => Reason::CessationOfOperation,
            Self::Compromised => Reason::KeyCompromise,
        }
    }
}

/// The life of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Known, but no account is bound to it yet.
    Registered,
    /// An account is bound to it.
    Enrolled {
        /// Since when.
        at: Timestamp,
    },
    /// Out of service.
    Retired {
        /// Since when.
        at: Timestamp,
    },
    /// In wrong hands: nothing it asks for is granted.
    Compromised {
        /// Since when.
        at: Timestamp,
    },
}

impl DeviceState {
    /// Whether requests in its name are served.
    pub const fn is_in_service(self) -> bool {
        matches!(self, Self::Registered | Self::Enrolled { .. })
    }

    /// The word for it, also the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Enrolled { .. } => "enrolled",
            Self::Retired { .. } => "retired",
            Self::Compromised { .. } => "compromised",
        }
    }

    fn illegal(self, event: &'static str) -> IllegalTransition {
        IllegalTransition { thing: "the device", state: self.as_str(), event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemEntropy;

    const AT: Timestamp = Timestamp::from_unix_seconds(7);
    const LATER: Timestamp = Timestamp::from_unix_seconds(8);

    fn new(dns: &[&str], ips: &[&str]) -> Result<Device, RegistrationError> {
        let request = NewDevice {
            site: SiteName::home(),
            name: "gw-1".parse().unwrap(),
            profile: "gateway".parse().unwrap(),
            dns: dns.iter().map(|name| name.parse().unwrap()).collect(),
            ips: ips.iter().map(|address| address.parse().unwrap()).collect(),
            labels: Labels::default(),
        };
        Device::new(request, AT, &SystemEntropy::new())
    }

    fn in_state(state: DeviceState) -> Device {
        Device { state, ..new(&["gw-1.site.test"], &[]).unwrap() }
    }

    #[test]
    fn a_device_has_each_name_once() {
        let many: Vec<String> = (0..=MAX_NAMES).map(|number| format!("n{number}.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(new(&many, &[]), Err(RegistrationError::TooManyNames(_))));
        assert!(new(&many[1..], &[]).is_ok() && new(&[], &[]).is_ok());
        let device = new(&["b.test", "a.test", "B.test"], &["10.0.0.1", "10.0.0.1"]).unwrap();
        let names: Vec<String> = device.identifiers().map(|identifier| identifier.value()).collect();
        assert_eq!(names, ["a.test", "b.test", "10.0.0.1"]);
        assert!(device.has(&Identifier::parse("ip", "10.0.0.1").unwrap()));
        assert!(!device.has(&Identifier::parse("dns", "x.a.test").unwrap()));
        let wild = new(&["*.a.test"], &[]).unwrap();
        assert!(!wild.has(&Identifier::parse("dns", "x.a.test").unwrap()), "a wildcard is itself only");
    }

    /// Fails when a device that is out of service comes back, or when one in wrong hands is said to be merely retired.
    #[test]
    fn each_state_allows_its_own_events_only() {
        use DeviceState::{Compromised, Enrolled, Registered, Retired};
        let (retired, compromised) = (Some(Retired { at: LATER }), Some(Compromised { at: LATER }));
        for (state, enrolled, on_retiring, on_compromise) in [
            (Registered, Some(Enrolled { at: LATER }), Ok(retired), compromised),
            (Enrolled { at: AT }, Some(Enrolled { at: AT }), Ok(retired), compromised),
            (Retired { at: AT }, None, Ok(None), compromised),
            (Compromised { at: AT }, None, Err(Some(409)), None),
        ] {
            let device = in_state(state);
            assert_eq!(device.end(End::Retired, LATER).map_err(|problem| problem.status), on_retiring, "{state:?}");
            assert_eq!(device.end(End::Compromised, LATER), Ok(on_compromise), "{state:?}");
            assert_eq!(device.enrol(LATER).ok().map(|device| device.state), enrolled, "{state:?}");
        }
    }
}
