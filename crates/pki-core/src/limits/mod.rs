//! Rate limits: how often one may do a thing, decided from buckets that refill with time.
//!
//! An action is charged to several subjects at once (the account, its device, its network, everybody). It is allowed when
//! every bucket has something left, and then costs each of them one; a refusal costs nothing. Times are spans since any
//! fixed moment of a clock that never goes back.

mod buckets;
mod rate;

pub use buckets::Buckets;
pub use rate::{BadRate, Rate};

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::ids::{AccountId, DeviceId};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// An order that replaces no certificate.
    NewOrder,
    /// A registration.
    NewAccount,
    /// A challenge that was looked at and found wanting.
    FailedValidation,
    /// A signed request, whatever came of it.
    Request,
}

/// Whom it is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An account.
    Account(AccountId),
    /// A device: all accounts it had and has.
    Device(DeviceId),
    /// Where the request comes from, masked.
    Network(IpNet),
    /// All together.
    Everybody,
}

/// The kind of a [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of `Subject`")]
pub enum Scope {
    Account,
    Device,
    Network,
    Total,
}

impl Subject {
    const fn scope(&self) -> Scope {
        match self {
            Self::Account(_) => Scope::Account,
            Self::Device(_) => Scope::Device,
            Self::Network(_) => Scope::Network,
            Self::Everybody => Scope::Total,
        }
    }
}

/// One limit, as configuration, metrics and answers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitName {
    /// What is counted.
    pub action: Action,
    /// Against whom.
    pub scope: Scope,
}

impl LimitName {
    /// The name in configuration and metrics, such as `new_orders_per_account`.
    pub const fn as_str(self) -> &'static str {
        match (self.action, self.scope) {
            (Action::NewOrder, Scope::Account) => "new_orders_per_account",
            (Action::NewOrder, Scope::Device) => "new_orders_per_device",
            (Action::NewOrder, Scope::Network) => "new_orders_per_network",
            (Action::NewOrder, Scope::Total) => "new_orders_total",
            (Action::NewAccount, Scope::Account) => "new_accounts_per_account",
            (Action::NewAccount, Scope::Device) => "new_accounts_per_device",
            (Action::NewAccount, Scope::Network) => "new_accounts_per_network",
            (Action::NewAccount, Scope::Total) => "new_accounts_total",
            (Action::FailedValidation, Scope::Account) => "failed_validations_per_account",
            (Action::FailedValidation, Scope::Device) => "failed_validations_per_device",
            (Action::FailedValidation, Scope::Network) => "failed_validations_per_network",
            (Action::FailedValidation, Scope::Total) => "failed_validations_total",
            (Action::Request, Scope::Account) => "requests_per_account",
            (Action::Request, Scope::Device) => "requests_per_device",
            (Action::Request, Scope::Network) => "requests_per_network",
            (Action::Request, Scope::Total) => "requests_total",
        }
    }

    /// What there are too many of, and whose, for people.
    pub const fn in_words(self) -> (&'static str, &'static str) {
        let what = match self.action {
            Action::NewOrder => "new orders",
            Action::NewAccount => "new accounts",
            Action::FailedValidation => "failed validations",
            Action::Request => "requests",
        };
        let whose = match self.scope {
            Scope::Account => "of this account",
            Scope::Device => "of this device",
            Scope::Network => "from this network",
            Scope::Total => "at this CA",
        };
        (what, whose)
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an action is refused: the limit that makes it wait longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub name: LimitName,
    /// Its value.
    pub rate: Rate,
    /// When the action would be allowed, if nothing else is done meanwhile.
    pub wait: Duration,
}

/// All limits with their buckets.
#[derive(Debug, Default)]
pub struct RateLimits(BTreeMap<LimitName, Buckets<Subject>>);

impl RateLimits {
    /// Limits that are not named do not exist. Each remembers at most `most` subjects apart from each other.
    pub fn new(rates: impl IntoIterator<Item = (LimitName, Rate)>, most: usize) -> Self {
        Self(rates.into_iter().map(|(name, rate)| (name, Buckets::new(rate, most))).collect())
    }

    /// Whether the action would be allowed; costs nothing.
    pub fn check(&self, action: Action, subjects: &[Subject], now: Duration) -> Result<(), Exceeded> {
        let exceeded = subjects.iter().filter_map(|subject| {
            let name = LimitName { action, scope: subject.scope() };
            let buckets = self.0.get(&name)?;
            buckets.wait(subject, now).map(|wait| Exceeded { name, rate: buckets.rate(), wait })
        });
        exceeded.max_by_key(|exceeded| exceeded.wait).map_or(Ok(()), Err)
    }

    /// Charges what was done, allowed or not.
    pub fn spend(&mut self, action: Action, subjects: &[Subject], now: Duration) {
        for subject in subjects {
            if let Some(buckets) = self.0.get_mut(&LimitName { action, scope: subject.scope() }) {
                buckets.spend(*subject, now);
            }
        }
    }

    /// Allows and charges, or refuses and charges nothing.
    pub fn admit(&mut self, action: Action, subjects: &[Subject], now: Duration) -> Result<(), Exceeded> {
        self.check(action, subjects, now)?;
        self.spend(action, subjects, now);
        Ok(())
    }

    /// Every limit in force with its value.
    pub fn in_force(&self) -> impl Iterator<Item = (LimitName, Rate)> + '_ {
        self.0.iter().map(|(name, buckets)| (*name, buckets.rate()))
    }

    /// How many subjects are remembered, of all limits together.
    pub fn remembered(&self) -> usize {
        self.0.values().map(Buckets::remembered).sum()
    }
}

#[cfg(test)]
mod tests;
