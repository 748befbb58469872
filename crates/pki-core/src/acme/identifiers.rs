//! The identifiers of a newOrder request: all of them read, or one problem about all that are wrong (ORD-2 to ORD-5).

use std::collections::BTreeSet;

use crate::acme::order::OrderedIdentifier;
use crate::acme::problem::{Problem, ProblemKind, Subproblem};
use crate::x509::name::{Identifier, IdentifierError};

/// How much of a wrong value is repeated in the answer.
const ECHO: usize = 253;

/// Reads pairs of type and value as they were sent, `most` at most. Names asked for twice, in whatever spelling, are one
/// name.
pub fn parse_identifiers<K: AsRef<str>, V: AsRef<str>>(
    pairs: &[(K, V)],
    most: usize,
) -> Result<Vec<OrderedIdentifier>, Problem> {
    if pairs.is_empty() {
        return Err(Problem::new(ProblemKind::Malformed, "the order has no identifiers; name at least one"));
    }
    if pairs.len() > most {
        let detail = format!("the order has {} identifiers; {most} is the most", pairs.len());
        return Err(Problem::new(ProblemKind::Malformed, detail));
    }
    let mut seen = BTreeSet::new();
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    for (kind, value) in pairs.iter().map(|(kind, value)| (kind.as_ref(), value.as_ref())) {
        match Identifier::parse_ordered(kind, value) {
            Err(error) => wrong.push(subproblem(kind, value, &error)),
            Ok(identifier) if seen.insert(identifier.clone()) => {
                read.push(OrderedIdentifier { identifier, as_sent: value.to_owned() });
            }
            Ok(_) => {}
        }
    }
    if wrong.is_empty() { Ok(read) } else { Err(together(wrong)) }
}

fn subproblem(kind: &str, value: &str, error: &IdentifierError) -> Subproblem {
    Subproblem {
        kind: match error {
            IdentifierError::UnsupportedType(_) => ProblemKind::UnsupportedIdentifier,
            IdentifierError::Malformed(_) => ProblemKind::Malformed,
        },
        detail: error.to_string(),
        identifier_type: kind.chars().take(40).collect(),
        identifier_value: value.chars().take(ECHO).collect(),
    }
}

/// One problem about several identifiers: of their type when it is the same, else `compound` (section 6.7.1).
fn together(wrong: Vec<Subproblem>) -> Problem {
    let first = wrong.first().map_or(ProblemKind::Malformed, |sub| sub.kind);
    let kind = if wrong.iter().all(|sub| sub.kind == first) { first } else { ProblemKind::Compound };
    let detail = match wrong.as_slice() {
        [only] => only.detail.clone(),
        several => format!("{} of the identifiers are wrong; see the subproblems", several.len()),
    };
    Problem::new(kind, detail).with_subproblems(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ORD-2: what is echoed is what was sent; ORD-3: one authorization for each distinct identifier.
    #[test]
    fn names_keep_their_spelling_and_lose_their_twins() {
        let read = parse_identifiers(&[("dns", "Gw-1.Site.Test"), ("dns", "gw-1.site.test"), ("ip", "2001:DB8::0")], 3)
            .unwrap();
        let pairs: Vec<_> = read.iter().map(|it| (it.identifier.value(), it.as_sent.as_str())).collect();
        assert_eq!(pairs, [("gw-1.site.test".to_owned(), "Gw-1.Site.Test"), ("2001:db8::".to_owned(), "2001:DB8::0")]);
    }

    /// ORD-4.
    #[test]
    fn everything_wrong_is_told_at_once() {
        let problem = parse_identifiers(&[("dns", "ok.test"), ("dns", "a..b"), ("email", "x@y"), ("ip", "1.2.3")], 4)
            .unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Compound);
        let subs: Vec<_> = problem
            .subproblems
            .iter()
            .map(|s| (s.kind, s.identifier_type.as_str(), s.identifier_value.as_str()))
            .collect();
        assert_eq!(
            subs,
            [
                (ProblemKind::Malformed, "dns", "a..b"),
                (ProblemKind::UnsupportedIdentifier, "email", "x@y"),
                (ProblemKind::Malformed, "ip", "1.2.3"),
            ]
        );
        let one = parse_identifiers(&[("dns", "a_b.test")], 1).unwrap_err();
        assert_eq!(one.kind, ProblemKind::Malformed);
        assert!(one.detail.contains("`a_b.test`"), "{}", one.detail);
    }

    #[test]
    fn none_and_too_many_are_malformed() {
        assert_eq!(parse_identifiers::<&str, &str>(&[], 9).unwrap_err().kind, ProblemKind::Malformed);
        let many: Vec<_> = (0..=9).map(|n| ("dns", format!("n{n}.test"))).collect();
        assert_eq!(parse_identifiers(&many, 9).unwrap_err().kind, ProblemKind::Malformed);
        assert_eq!(parse_identifiers(&many[1..], 9).unwrap().len(), 9);
    }
}
