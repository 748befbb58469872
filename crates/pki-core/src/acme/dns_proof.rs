//! What the challenges of the DNS expect to find there: dns-01 (RFC 8555 section 8.4), dns-account-01
//! (draft-ietf-acme-dns-account-label-03) and dns-persist-01 (draft-ietf-acme-dns-persist-01).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::acme::challenge::ChallengeKind;
use crate::acme::problem::{Problem, ProblemKind};
use crate::time::Timestamp;
use crate::x509::name::DnsName;

/// Where the record of a challenge stands, without a dot at the end; none for kinds that the DNS does not answer. A
/// wildcard and the name it stands in have the same place (VAL-5).
pub fn record_name(kind: ChallengeKind, name: &DnsName, account_url: &str) -> Option<String> {
    let base = name.base();
    match kind {
        ChallengeKind::Dns01 => Some(format!("_acme-challenge.{base}")),
        ChallengeKind::DnsAccount01 => Some(format!("{}._acme-challenge.{base}", account_label(account_url))),
        ChallengeKind::DnsPersist01 => Some(format!("_validation-persist.{base}")),
        ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => None,
    }
}

/// `_` and the first ten octets of SHA-256 over the account's URL, in base32, lower case.
fn account_label(account_url: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(account_url).into();
    let (label, _) = hash.split_at(10);
    format!("_{}", BASE32_NOPAD.encode(label).to_ascii_lowercase())
}

/// The text of the record for a key authorization: base64url of its SHA-256.
pub fn digest(key_authorization: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(key_authorization))
}

/// Who may rest on a standing record of dns-persist-01, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The names this CA goes by, lower case.
    pub issuers: &'a [String],
    /// The account that asks.
    pub account_url: &'a str,
    /// Whether a wildcard is asked for.
    pub is_wildcard: bool,
    /// The time.
    pub now: Timestamp,
}

/// Looks for a record that names this CA and this account. `Ok` holds the end the record sets itself, if any.
pub fn find_standing<'r>(
    records: impl IntoIterator<Item = &'r [u8]>,
    wanted: Standing<'_>,
) -> Result<Option<Timestamp>, Problem> {
    let mut nearest: Option<Problem> = None;
    for record in records {
        match read_standing(record, wanted) {
            Some(Ok(until)) => return Ok(until),
            Some(Err(problem)) => drop(nearest.get_or_insert(problem)),
            None => {}
        }
    }
    let none = || Problem::new(ProblemKind::Unauthorized, "none of its records names this CA as the issuer");
    Err(nearest.unwrap_or_else(none))
}

/// None for a record that is for another CA, or no issuer's at all.
fn read_standing(record: &[u8], wanted: Standing<'_>) -> Option<Result<Option<Timestamp>, Problem>> {
    let text = std::str::from_utf8(record).ok()?;
    let (issuer, rest) = text.split_once(';').unwrap_or((text, ""));
    let issuer = issuer.trim_matches([' ', '\t']).trim_end_matches('.');
    if !wanted.issuers.iter().any(|own| own.eq_ignore_ascii_case(issuer)) {
        return None;
    }
    Some(parameters(rest).and_then(|parameters| judge(&parameters, wanted)))
}

fn malformed(why: &str) -> Problem {
    Problem::new(ProblemKind::Malformed, format!("its record that names this CA cannot be read: {why}"))
}

/// Tags in lower case and their values (RFC 8659 section 4.2).
fn parameters(text: &str) -> Result<BTreeMap<String, &str>, Problem> {
    let mut found = BTreeMap::new();
    let all: Vec<&str> = text.split(';').map(|one| one.trim_matches([' ', '\t'])).collect();
    for (at, one) in all.iter().enumerate() {
        if one.is_empty() && at + 1 == all.len() {
            break;
        }
        let (tag, value) = one.split_once('=').ok_or_else(|| malformed("a parameter has no `=`"))?;
        let (tag, value) = (tag.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
        if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(malformed("the name of a parameter is not made of letters, digits and hyphens"));
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("the value of a parameter has characters that may not stand there"));
        }
        if found.insert(tag.to_ascii_lowercase(), value).is_some() {
            return Err(malformed("a parameter stands there twice"));
        }
    }
    Ok(found)
}

fn judge(parameters: &BTreeMap<String, &str>, wanted: Standing<'_>) -> Result<Option<Timestamp>, Problem> {
    let refuse = |why: &str| Err(Problem::new(ProblemKind::Unauthorized, why));
    match parameters.get("accounturi") {
        None => return Err(malformed("it has no `accounturi`")),
        Some(account) if *account != wanted.account_url => {
            return refuse("its record that names this CA is for another account");
        }
        Some(_) => {}
    }
    let allows_wildcards = parameters.get("policy").is_some_and(|policy| policy.eq_ignore_ascii_case("wildcard"));
    if wanted.is_wildcard && !allows_wildcards {
        return refuse("its record allows no wildcards; add `policy=wildcard` to it");
    }
    let Some(until) = parameters.get("persistuntil") else { return Ok(None) };
    let is_number = !until.is_empty() && until.bytes().all(|byte| byte.is_ascii_digit());
    let until = until.parse::<i64>().ok().filter(|_| is_number);
    let until = until.ok_or_else(|| malformed("`persistUntil` is not a number of seconds since 1970"))?;
    let until = Timestamp::from_unix_seconds(until);
    if until <= wanted.now { refuse("the time of its record that names this CA is over") } else { Ok(Some(until)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.test/acme/account/1";

    /// The example of draft-ietf-acme-dns-account-label.
    #[test]
    fn dns_1_the_label_of_an_account() {
        let name: DnsName = "*.example.org".parse().unwrap();
        assert_eq!(
            record_name(ChallengeKind::DnsAccount01, &name, "https://example.com/acme/acct/ExampleAccount").unwrap(),
            "_ujmmovf2vn55tgye._acme-challenge.example.org"
        );
        assert_eq!(record_name(ChallengeKind::Dns01, &name, ACCOUNT).unwrap(), "_acme-challenge.example.org");
        assert_eq!(
            record_name(ChallengeKind::DnsPersist01, &name, ACCOUNT).unwrap(),
            "_validation-persist.example.org"
        );
        assert_eq!(record_name(ChallengeKind::Http01, &name, ACCOUNT), None);
    }

    /// The key authorization of RFC 8555 section 8.4 has no printed digest: this one is `openssl dgst`'s.
    #[test]
    fn a_digest_is_43_characters() {
        assert_eq!(digest("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    }

    fn look(records: &[&str], is_wildcard: bool) -> Result<Option<i64>, &'static str> {
        let issuers = ["ca.test".to_owned()];
        let now = Timestamp::from_unix_seconds(1000);
        let wanted = Standing { issuers: &issuers, account_url: ACCOUNT, is_wildcard, now };
        find_standing(records.iter().map(|record| record.as_bytes()), wanted)
            .map(|until| until.map(Timestamp::unix_seconds))
            .map_err(|problem| problem.kind.name())
    }

    proptest::proptest! {
        /// Whoever runs a zone writes what they like.
        #[test]
        fn any_record_is_read_or_refused(issuer in "(ca.test)?", text in ".{0,200}", bytes: Vec<u8>) {
            let issuers = ["ca.test".to_owned()];
            let now = Timestamp::from_unix_seconds(1000);
            let wanted = Standing { issuers: &issuers, account_url: ACCOUNT, is_wildcard: true, now };
            let record = format!("{issuer};{text}");
            let found = find_standing([record.as_bytes(), bytes.as_slice()], wanted);
            proptest::prop_assert!(found.is_err(), "the account's URL stands nowhere");
        }
    }

    #[test]
    fn dns_2_standing_records_are_for_one_ca_and_one_account() {
        let ours = format!("ca.test; accounturi={ACCOUNT}");
        let with = |more: &str| format!("{ours}{more}");
        for (record, is_wildcard, expected) in [
            (ours.clone(), false, Ok(None)),
            (with(";"), false, Ok(None)),
            (format!("  CA.test. ;accounturi = {ACCOUNT} "), false, Ok(None)),
            (with("; unknown=1; x-2=y"), false, Ok(None)),
            (with("; persistUntil=1001"), false, Ok(Some(1001))),
            (with("; policy=wildcard"), true, Ok(None)),
            (with("; POLICY=Wildcard"), true, Ok(None)),
            (ours.clone(), true, Err("unauthorized")),
            (with("; policy=other"), true, Err("unauthorized")),
            (with("; persistUntil=1000"), false, Err("unauthorized")),
            (with("; persistUntil=soon"), false, Err("malformed")),
            (with("; persistUntil=+2000"), false, Err("malformed")),
            (with("; persistUntil="), false, Err("malformed")),
            (with(&format!("; AccountURI={ACCOUNT}")), false, Err("malformed")),
            (with("; nonsense"), false, Err("malformed")),
            (with(";;"), false, Err("malformed")),
            (with("; a b=c"), false, Err("malformed")),
            (with("; a=b c"), false, Err("malformed")),
            ("ca.test".to_owned(), false, Err("malformed")),
            (format!("ca.test; accounturi={ACCOUNT}2"), false, Err("unauthorized")),
            (format!("other.test; accounturi={ACCOUNT}"), false, Err("unauthorized")),
            (format!("sub.ca.test; accounturi={ACCOUNT}"), false, Err("unauthorized")),
            (String::new(), false, Err("unauthorized")),
        ] {
            assert_eq!(look(&[&record], is_wildcard), expected, "{record}");
        }
        assert_eq!(look(&[], false), Err("unauthorized"));
        assert_eq!(look(&["other.test", "ca.test; x", &ours], false), Ok(None), "one good record is enough");
        assert_eq!(look(&["\u{7f}", "ca.test; x"], false), Err("malformed"), "the nearest miss is told");
    }
}
