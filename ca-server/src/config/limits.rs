//! `[limits]`: how long short-lived things live, and how large requests may be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Overload, Rates};

/// Limits of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long an order may stay unfinished.
    #[serde(rename = "order_hours", with = "hours")]
    pub order_life: Duration,
    /// How long an authorization stands, pending or valid.
    #[serde(rename = "authorization_hours", with = "hours")]
    pub authorization_life: Duration,
    /// How long a request waits for a signature before it answers `processing`.
    #[serde(rename = "signing_seconds", with = "seconds")]
    pub signing_deadline: Duration,
    /// Names in one order.
    #[serde(deserialize_with = "max_identifiers")]
    pub max_identifiers: usize,
    /// How often one may do a thing.
    pub rates: Rates,
    /// How much work is taken on.
    pub overload: Overload,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            order_life: Duration::from_secs(24 * 3600),
            authorization_life: Duration::from_secs(24 * 3600),
            signing_deadline: Duration::from_secs(10),
            max_identifiers: 100,
            rates: Rates::default(),
            overload: Overload::default(),
        }
    }
}

fn max_identifiers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let number_of_names = usize::try_from(number).ok().filter(|number| (1..=1000).contains(number));
    number_of_names.ok_or_else(|| serde::de::Error::custom(format!("{number} is not a number from 1 to 1000")))
}

macro_rules! span_in {
    ($module:ident, $unit:literal, $seconds:literal, $most:literal) => {
        pub(super) mod $module {
            use std::time::Duration;

            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(in super::super) fn serialize<S: Serializer>(
                span: &Duration,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(span.as_secs() / $seconds)
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Duration, D::Error> {
                let number = i64::deserialize(deserializer)?;
                match u64::try_from(number) {
                    Ok(number @ 1..=$most) => Ok(Duration::from_secs(number * $seconds)),
                    _ => Err(D::Error::custom(format!(
                        concat!("{} is not a number of ", $unit, " from 1 to {}"),
                        number, $most
                    ))),
                }
            }
        }
    };
}

span_in!(seconds, "seconds", 1, 300);
span_in!(age, "seconds", 1, 86_400);
span_in!(hours, "hours", 3600, 8760);
span_in!(days, "days", 86_400, 400);
