//! The challenges that the DNS answers: dns-01 (RFC 8555 section 8.4), dns-account-01 and dns-persist-01. What their records
//! say is decided in `pki_core::acme::dns_proof`.

use std::time::Duration;

use pki_core::acme::challenge::ChallengeKind;
use pki_core::acme::dns_proof::{self, Standing};
use pki_core::acme::problem::ProblemKind;
use pki_core::x509::name::{DnsName, Identifier};

use super::resolver::Text;
use super::{Expectation, Failure, Seen, Validator};

/// A proof by a record that stays counts at least this long: an order in flight has to be finished.
const LEAST_LIFE: Duration = Duration::from_secs(600);

pub(super) async fn validate(
    validator: &Validator,
    kind: ChallengeKind,
    expectation: Expectation<'_>,
) -> Result<Seen, Failure> {
    let place = match expectation.identifier {
        Identifier::Dns(name) => place(kind, name, expectation.account_url),
        _ => None,
    };
    let place = place.ok_or_else(|| {
        let detail = format!("{} cannot be proven by {}", expectation.identifier, kind.as_str());
        Failure::permanent(ProblemKind::Malformed, detail)
    })?;
    let lists = validator.resolver.texts(&validator.guard, &place).await?;
    if kind == ChallengeKind::DnsPersist01 {
        return standing(validator, &place, &lists, expectation);
    }
    let expected: Vec<String> = expectation.key_authorizations.iter().map(|text| dns_proof::digest(text)).collect();
    let has_it =
        |list: &Vec<Text>| list.iter().any(|text| expected.iter().any(|digest| text.content == digest.as_bytes()));
    if lists.iter().all(has_it) { Ok(Seen::default()) } else { Err(mismatch(&place, &lists, has_it)) }
}

fn place(kind: ChallengeKind, name: &DnsName, account_url: &str) -> Option<String> {
    dns_proof::record_name(kind, name, account_url)
}

/// Records of an earlier challenge may still be about, so it is worth another look.
fn mismatch(place: &str, lists: &[Vec<Text>], has_it: impl Fn(&Vec<Text>) -> bool) -> Failure {
    let detail = if lists.iter().any(&has_it) {
        format!("not every authoritative name server has the expected TXT record at {place} yet")
    } else {
        let found = lists.iter().map(Vec::len).max().unwrap_or_default();
        format!(
            "none of the {found} TXT records at {place} is the expected one; look at its name and for quotation marks"
        )
    };
    Failure::transient(ProblemKind::IncorrectResponse, detail)
}

fn standing(
    validator: &Validator,
    place: &str,
    lists: &[Vec<Text>],
    expectation: Expectation<'_>,
) -> Result<Seen, Failure> {
    let wanted = Standing {
        issuers: &validator.issuers,
        account_url: expectation.account_url,
        is_wildcard: expectation.is_wildcard,
        now: expectation.now,
    };
    let mut least: Option<Duration> = None;
    for list in lists {
        let until = dns_proof::find_standing(list.iter().map(|text| text.content.as_slice()), wanted);
        let until = until.map_err(|mut problem| {
            problem.detail = format!("{place}: {}", problem.detail);
            Failure { problem, is_transient: true }
        })?;
        let remembered = list.iter().map(|text| text.life).min().unwrap_or_default().max(LEAST_LIFE);
        let left = until.map_or(remembered, |until| remembered.min(until.since(expectation.now)));
        least = Some(least.map_or(left, |least| least.min(left)));
    }
    Ok(Seen { counts_for: least })
}
