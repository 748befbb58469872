//! Who is denied: every certificate, account, device, site, API key and session that was taken out, in memory, as of one
//! number of the changes that the database counts.

use std::collections::{BTreeSet, HashSet};

use crate::ids::{AccountId, DeviceId, IssuerId, Serial, SiteName};

/// Something that can be denied. Requests are refused by account, device, site and session; none is made with a certificate or
/// an API key (revocation by a certificate's own key is decided by its row, RFC 8555 section 7.6), so whoever lets one in with
/// these asks [`DeniedSet::denies`] here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A certificate, by issuing key and number.
    Certificate(IssuerId, Serial),
    /// An ACME account.
    Account(AccountId),
    /// A device, with everything that is bound to it.
    Device(DeviceId),
    /// A site, with everything in it.
    Site(SiteName),
    /// A key of the JSON API, by its id.
    ApiKey(String),
    /// The sessions of an administrator, by the actor that audit events name: `uid:1000` on the local socket.
    Session(String),
}

/// That a subject is denied from a number on, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The number of the change. Numbers rise; that of a subject that changed again later is passed over.
    pub number: u64,
    /// Whom it concerns.
    pub subject: Subject,
    /// Whether it is denied.
    pub denied: bool,
}

/// How many are denied, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of Subject")]
pub struct Sizes {
    pub certificates: usize,
    pub accounts: usize,
    pub devices: usize,
    pub sites: usize,
    pub api_keys: usize,
    pub sessions: usize,
}

/// The place of an issuer, and a serial number. A tree of these takes some 35 octets an
/// entry, and grows without ever holding the whole twice.
type CertificateKey = (u32, [u8; Serial::MAX]);

/// What is denied as of [`DeniedSet::number`].
#[derive(Debug, Default)]
pub struct DeniedSet {
    number: u64,
    issuers: Vec<IssuerId>,
    certificates: BTreeSet<CertificateKey>,
    accounts: HashSet<AccountId>,
    devices: HashSet<DeviceId>,
    sites: HashSet<SiteName>,
    api_keys: HashSet<String>,
    sessions: HashSet<String>,
}

impl DeniedSet {
    /// The last change that was taken in; 0 before the first.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Takes a change in. One that is older than what is known already is passed over: the same changes may come twice.
    pub fn apply(&mut self, change: &Change) {
        if change.number <= self.number {
            return;
        }
        self.number = change.number;
        let denied = change.denied;
        match &change.subject {
            Subject::Certificate(issuer, serial) => {
                let key = (self.place(*issuer), serial.padded());
                match denied {
                    true => self.certificates.insert(key),
                    false => self.certificates.remove(&key),
                };
            }
            Subject::Account(id) => toggle(&mut self.accounts, id, denied),
            Subject::Device(id) => toggle(&mut self.devices, id, denied),
            Subject::Site(name) => toggle(&mut self.sites, name, denied),
            Subject::ApiKey(id) => toggle(&mut self.api_keys, id, denied),
            Subject::Session(id) => toggle(&mut self.sessions, id, denied),
        }
    }

    /// Takes certificates in that are denied as of no number yet: the caller tells it by [`DeniedSet::advance`], once it has
    /// taken in everything that was denied by then.
    pub fn deny(&mut self, certificates: impl IntoIterator<Item = (IssuerId, Serial)>) {
        for (issuer, serial) in certificates {
            let key = (self.place(issuer), serial.padded());
            self.certificates.insert(key);
        }
    }

    /// Everything up to a number is known: the rows of what changed last are forgotten by now.
    pub fn advance(&mut self, number: u64) {
        self.number = self.number.max(number);
    }

    /// Whether a subject is denied.
    pub fn denies(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Certificate(issuer, serial) => self.denies_certificate(*issuer, serial),
            Subject::Account(id) => self.accounts.contains(id),
            Subject::Device(id) => self.devices.contains(id),
            Subject::Site(name) => self.sites.contains(name),
            Subject::ApiKey(id) => self.api_keys.contains(id),
            Subject::Session(id) => self.sessions.contains(id),
        }
    }

    fn denies_certificate(&self, issuer: IssuerId, serial: &Serial) -> bool {
        let place = self.issuers.iter().position(|known| *known == issuer).and_then(|place| u32::try_from(place).ok());
        place.is_some_and(|place| self.certificates.contains(&(place, serial.padded())))
    }

    /// How many are denied.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            certificates: self.certificates.len(),
            accounts: self.accounts.len(),
            devices: self.devices.len(),
            sites: self.sites.len(),
            api_keys: self.api_keys.len(),
            sessions: self.sessions.len(),
        }
    }

    /// Issuing keys are few; each entry names its own by a place among them.
    fn place(&mut self, issuer: IssuerId) -> u32 {
        let place = self.issuers.iter().position(|known| *known == issuer).unwrap_or_else(|| {
            self.issuers.push(issuer);
            self.issuers.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

fn toggle<T: Clone + Eq + std::hash::Hash>(all: &mut HashSet<T>, one: &T, denied: bool) {
    if denied {
        all.insert(one.clone());
    } else {
        all.remove(one);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::random::SystemEntropy;

    fn subjects() -> Vec<Subject> {
        let entropy = SystemEntropy::new();
        let (one, other) = (IssuerId::random(&entropy), IssuerId::random(&entropy));
        let serial = Serial::from_octets(&[1]).unwrap();
        vec![
            Subject::Certificate(one, serial.clone()),
            Subject::Certificate(other, serial),
            Subject::Certificate(one, Serial::from_octets(&[1, 0]).unwrap()),
            Subject::Certificate(one, Serial::from_octets(&[0xff; 20]).unwrap()),
            Subject::Account(AccountId::random(&entropy)),
            Subject::Device(DeviceId::random(&entropy)),
            Subject::Site("line-3".parse().unwrap()),
            Subject::ApiKey("a".to_owned()),
            Subject::Session("a".to_owned()),
        ]
    }

    proptest! {
        /// The last word on each subject counts, whatever came before, and changes told again change nothing.
        #[test]
        fn the_last_change_of_each_subject_counts(changes in proptest::collection::vec((0_usize..9, any::<bool>()), 0..60)) {
            let subjects = subjects();
            let (mut denied, mut last) = (DeniedSet::default(), HashMap::new());
            let changes: Vec<Change> = changes.into_iter().zip(1..).map(|((which, denied), number)| {
                last.insert(which, denied);
                Change { number, subject: subjects[which].clone(), denied }
            }).collect();
            changes.iter().for_each(|change| denied.apply(change));
            changes.iter().for_each(|change| denied.apply(change));
            for (which, subject) in subjects.iter().enumerate() {
                prop_assert_eq!(denied.denies(subject), last.get(&which).copied().unwrap_or(false), "{:?}", subject);
            }
            prop_assert_eq!(denied.number(), u64::try_from(changes.len()).unwrap());
            let mut whole = DeniedSet::default();
            whole.deny(subjects.iter().filter(|subject| denied.denies(subject)).filter_map(|subject| match subject {
                Subject::Certificate(issuer, serial) => Some((*issuer, serial.clone())),
                _ => None,
            }));
            prop_assert!(subjects[..4].iter().all(|subject| whole.denies(subject) == denied.denies(subject)));
            let sizes = denied.sizes();
            let all = sizes.certificates + sizes.accounts + sizes.devices + sizes.sites + sizes.api_keys + sizes.sessions;
            prop_assert_eq!(all, last.values().filter(|denied| **denied).count());
        }
    }
}
