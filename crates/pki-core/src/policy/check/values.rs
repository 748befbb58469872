//! Single values: texts to durations, shares, networks, zones; each error says what to write instead.

use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::x509::name::DnsName;

/// The shortest life a certificate may have: shorter ones end before a client has fetched them.
const MIN_LIFETIME: Duration = Duration::from_secs(10);
/// The longest life any certificate may have.
const MAX_LIFETIME: Duration = days(3650);
/// The longest time after the end in which a device may still renew.
const MAX_GRACE: Duration = days(1825);

pub(super) const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

pub(super) fn text_as<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        life if life < MIN_LIFETIME => Err(format!("`{text}` is too short; 10s is the least")),
        life if life > MAX_LIFETIME => Err(format!("`{text}` is too long; 3650d is the most")),
        life => Ok(life),
    }
}

pub(super) fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if grace > MAX_GRACE { Err(format!("`{text}` is too long; 1825d is the most")) } else { Ok(grace) }
}

/// A number and a unit. Nothing is ever taken for seconds that says no unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{}` is no duration; write for example 90d, 12h, 10m or 60s", shorten(text));
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(refuse()),
    };
    let digits = text.get(..text.len() - 1).ok_or_else(refuse)?;
    // u64's own parser also takes a plus sign
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let seconds = number.and_then(|number| number.checked_mul(unit)).ok_or_else(refuse)?;
    Ok(Duration::from_secs(seconds))
}

/// Thousandths. Agents spread renewals over the 15 % after this point and call the last 10 % an emergency.
pub(super) fn share(at: f64) -> Result<u16, String> {
    permille(at, 750).ok_or_else(|| format!("{at} is not between 0.1 and 0.75; write for example 0.5"))
}

/// Thousandths from a tenth on.
pub(super) fn permille(share: f64, most: u16) -> Option<u16> {
    let permille = (share * 1000.0).round();
    (100..=most).find(|candidate| f64::from(*candidate) == permille)
}

pub(super) fn suffix(text: &str) -> Result<DnsName, String> {
    let bare = text.trim_start_matches("*.").trim_start_matches('.');
    match text_as::<DnsName>(text) {
        Ok(zone) if !zone.is_wildcard() => Ok(zone),
        _ if bare != text && text_as::<DnsName>(bare).is_ok() => {
            Err(format!("write `suffix: {bare}`, which means the zone and every name below it"))
        }
        other => other,
    }
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet =
        text.parse().map_err(|_| format!("`{}` is no network; write for example 10.0.0.0/8", shorten(text)))?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("`{text}` has address bits beyond its prefix; write `{}`", network.trunc()))
    }
}

/// Plain HTTP: whoever fetches these can not yet verify a certificate (X5-11).
pub(super) fn address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    match rest {
        Some(rest) if rest.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 1024 => Ok(text.to_owned()),
        _ => Err(format!(
            "`{}` is no address of a list or responder; write for example http://crl.site.test/ca.crl",
            shorten(text)
        )),
    }
}

/// The member of `all` that is written so.
pub(super) fn one_of<T: Copy>(text: &str, all: &[T], written: fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|one| written(*one) == text).ok_or_else(|| {
        let words: Vec<String> = all.iter().map(|one| format!("`{}`", written(*one))).collect();
        let words = match words.as_slice() {
            [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            all => all.join(", "),
        };
        format!("`{}` is not known; write {words}", shorten(text))
    })
}

pub(super) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90d"), Ok(days(90)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "90",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "90D",
            "1h30m",
            "99999999999999999999d",
            "9999999999999999999d",
            "ä",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_thousandths_within_reason() {
        assert_eq!(share(0.5), Ok(500));
        assert_eq!(share(0.6), Ok(600));
        assert_eq!(share(0.333), Ok(333));
        for bad in [0.0, 0.0994, 0.76, 50.0, -0.5, f64::NAN, f64::INFINITY] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn suffixes_and_networks_tell_the_right_spelling() {
        assert!(suffix("site.test").is_ok());
        assert!(suffix(".site.test").unwrap_err().contains("`suffix: site.test`"));
        assert!(suffix("*.site.test").unwrap_err().contains("`suffix: site.test`"));
        assert!(network("10.0.0.1/8").unwrap_err().contains("`10.0.0.0/8`"));
        assert!(network("10.0.0.1").is_err());
        assert!(address("http://crl.site.test/x.crl").is_ok());
        for bad in ["https://crl.site.test/", "http://", "http:///x", "http://a b", "ldap://x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
