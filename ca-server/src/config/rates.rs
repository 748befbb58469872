//! `[limits.rates]`: how often one may do a thing.

use std::fmt;
use std::str::FromStr;

use pki_core::limits::{Action, BadRate, LimitName, Rate, Scope};
use serde::{Deserialize, Serialize};

/// Rate limits. What devices of the inventory do is counted for their account and device only: a network and the total
/// are what strangers can use up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Whether there are any.
    pub enabled: bool,
    /// Orders that replace no certificate, of one account.
    pub new_orders_per_account: Limit,
    /// Of all accounts of one device.
    pub new_orders_per_device: Limit,
    /// From one network.
    pub new_orders_per_network: Limit,
    /// Of all.
    pub new_orders_total: Limit,
    /// Registrations from one network.
    pub new_accounts_per_network: Limit,
    /// Of all.
    pub new_accounts_total: Limit,
    /// Challenges not met, of one account.
    pub failed_validations_per_account: Limit,
    /// Of all accounts of one device.
    pub failed_validations_per_device: Limit,
    /// From one network.
    pub failed_validations_per_network: Limit,
    /// Of all.
    pub failed_validations_total: Limit,
    /// Signed requests of one account.
    pub requests_per_account: Limit,
    /// Of all accounts of one device.
    pub requests_per_device: Limit,
    /// From one network, those whose signature is wrong included.
    pub requests_per_network: Limit,
    /// Of all.
    pub requests_total: Limit,
    /// How much of an IPv4 address is a network.
    #[serde(deserialize_with = "prefix::<32, _>")]
    pub ipv4_prefix: u8,
    /// How much of an IPv6 address is a network.
    #[serde(deserialize_with = "prefix::<128, _>")]
    pub ipv6_prefix: u8,
}

impl Default for Rates {
    fn default() -> Self {
        let limit = |text: &str| text.parse().expect("a rate as it is written in the template");
        Self {
            enabled: true,
            new_orders_per_account: limit("1000/hour burst 5000"),
            new_orders_per_device: limit("1000/hour burst 5000"),
            new_orders_per_network: limit("20000/hour burst 100000"),
            new_orders_total: limit("100000/hour burst 200000"),
            new_accounts_per_network: limit("500/hour burst 2000"),
            new_accounts_total: limit("2000/hour burst 20000"),
            failed_validations_per_account: limit("200/hour"),
            failed_validations_per_device: limit("200/hour"),
            failed_validations_per_network: limit("2000/hour"),
            failed_validations_total: limit("20000/hour"),
            requests_per_account: limit("100/second burst 50000"),
            requests_per_device: limit("100/second burst 50000"),
            requests_per_network: limit("2000/second burst 200000"),
            requests_total: Limit(None),
            ipv4_prefix: 24,
            ipv6_prefix: 64,
        }
    }
}

impl Rates {
    /// Those in force.
    pub fn in_force(&self) -> Vec<(LimitName, Rate)> {
        use Scope::{Account, Device, Network, Total};
        let all = [
            (Action::NewOrder, Account, self.new_orders_per_account),
            (Action::NewOrder, Device, self.new_orders_per_device),
            (Action::NewOrder, Network, self.new_orders_per_network),
            (Action::NewOrder, Total, self.new_orders_total),
            (Action::NewAccount, Network, self.new_accounts_per_network),
            (Action::NewAccount, Total, self.new_accounts_total),
            (Action::FailedValidation, Account, self.failed_validations_per_account),
            (Action::FailedValidation, Device, self.failed_validations_per_device),
            (Action::FailedValidation, Network, self.failed_validations_per_network),
            (Action::FailedValidation, Total, self.failed_validations_total),
            (Action::Request, Account, self.requests_per_account),
            (Action::Request, Device, self.requests_per_device),
            (Action::Request, Network, self.requests_per_network),
            (Action::Request, Total, self.requests_total),
        ];
        let named = |(action, scope, limit): (Action, Scope, Limit)| Some((LimitName { action, scope }, limit.0?));
        if self.enabled { all.into_iter().filter_map(named).collect() } else { Vec::new() }
    }
}

/// A rate, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit(pub Option<Rate>);

impl FromStr for Limit {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|rate| Self(Some(rate))) }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => rate.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl TryFrom<String> for Limit {
    type Error = BadRate;
    fn try_from(text: String) -> Result<Self, BadRate> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> String {
        limit.to_string()
    }
}

fn prefix<'de, const MOST: u8, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let prefix = u8::try_from(number).ok().filter(|prefix| (1..=MOST).contains(prefix));
    prefix.ok_or_else(|| serde::de::Error::custom(format!("{number} is not a prefix length from 1 to {MOST}")))
}
