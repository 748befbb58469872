//! Names as sets: what one profile's rules give and the other's do not.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::policy::diff::{Change, impossible, possible};
use crate::policy::profile::{Allows, DnsForm, EmailForm, PermanentForm, Profile, UriForm};

/// A set of names of one kind. Wildcards are names of their own, so a rule that allows them is two of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Names {
    kind: Kind,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Dns,
    Wildcard,
    Uri,
    ApplicationUri,
    Email,
    Permanent,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Exact(String),
    /// A zone and what is below it, or a mailbox's domain.
    Zone(String),
    Prefix(String),
    Pattern(String),
    Template(String),
}

impl Kind {
    const fn field(self) -> &'static str {
        match self {
            Self::Dns => "identifiers.dns",
            Self::Wildcard => "identifiers.dns (wildcards)",
            Self::Uri => "identifiers.uri",
            Self::ApplicationUri => "identifiers.opcUaApplicationUri",
            Self::Email => "identifiers.email",
            Self::Permanent => "identifiers.permanentIdentifier",
        }
    }
}

impl Names {
    fn text(&self) -> String {
        match &self.form {
            Form::Exact(name) => format!("exact {name}"),
            Form::Zone(zone) if self.kind == Kind::Email => format!("domain {zone}"),
            Form::Zone(zone) => format!("suffix {zone}"),
            Form::Prefix(prefix) => format!("prefix {prefix}"),
            Form::Pattern(pattern) => format!("pattern {pattern}"),
            Form::Template(template) => format!("template {template}"),
        }
    }

    /// Whether every name of `other` is one of these, as far as the two tell by themselves.
    fn covers(&self, other: &Self) -> bool {
        let below =
            |name: &str, zone: &str| name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.kind == other.kind
            && match (&self.form, &other.form) {
                (one, other) if one == other => true,
                (Form::Zone(domain), Form::Exact(address)) if self.kind == Kind::Email => {
                    address.rsplit_once('@').is_some_and(|(_, of)| of == domain)
                }
                (Form::Zone(_), _) if self.kind == Kind::Email => false,
                // a pattern's stars stay in their labels, so its end is the end of all its names
                (Form::Zone(zone), Form::Zone(name) | Form::Exact(name) | Form::Pattern(name)) => below(name, zone),
                (Form::Pattern(pattern), Form::Exact(name)) => fits(pattern, name),
                (Form::Prefix(wide), Form::Prefix(narrow)) => narrow.starts_with(wide),
                (Form::Prefix(prefix), Form::Exact(uri)) => uri.starts_with(prefix) && uri != prefix,
                _ => false,
            }
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    crate::policy::pattern::Pattern::parse(pattern).is_ok_and(|pattern| pattern.fits(name))
}

/// What names become impossible and possible.
pub(super) fn changes(old: Option<&Profile>, new: Option<&Profile>) -> Vec<Change> {
    let (before, after) = (old.map(names).unwrap_or_default(), new.map(names).unwrap_or_default());
    let mut changes: Vec<Change> =
        missing(&before, &after).map(|(names, text)| impossible(names.kind.field(), text)).collect();
    changes.extend(missing(&after, &before).map(|(names, text)| possible(names.kind.field(), text)));
    let (before, after) = (old.map(networks).unwrap_or_default(), new.map(networks).unwrap_or_default());
    let told = |network: IpNet| format!("network {network}");
    changes.extend(without(&before, &after).into_iter().map(|network| impossible("identifiers.ip", told(network))));
    changes.extend(without(&after, &before).into_iter().map(|network| possible("identifiers.ip", told(network))));
    changes
}

/// What of `wanted` is not among `had`, with what of it nevertheless is.
fn missing<'a>(wanted: &'a BTreeSet<Names>, had: &'a BTreeSet<Names>) -> impl Iterator<Item = (&'a Names, String)> {
    wanted.iter().filter(|names| !had.iter().any(|other| other.covers(names))).map(|names| {
        let kept: Vec<String> = had.iter().filter(|other| names.covers(other)).map(Names::text).collect();
        let except = if kept.is_empty() { String::new() } else { format!(", except {}", kept.join(", ")) };
        (names, names.text() + &except)
    })
}

/// The sets that a profile's rules give, without those that lie in others.
fn names(profile: &Profile) -> BTreeSet<Names> {
    let all: BTreeSet<Names> = profile.identifiers.rules().iter().flat_map(|rule| sets(&rule.allows)).collect();
    all.iter().filter(|one| !all.iter().any(|other| other != *one && other.covers(one))).cloned().collect()
}

fn sets(allows: &Allows) -> Vec<Names> {
    let one = |kind, form| vec![Names { kind, form }];
    match allows {
        Allows::Dns { form: DnsForm::Exact(name), .. } if name.is_wildcard() => {
            one(Kind::Wildcard, Form::Exact(name.base().to_owned()))
        }
        Allows::Dns { form: DnsForm::Exact(name), .. } => one(Kind::Dns, Form::Exact(name.to_string())),
        Allows::Dns { form, wildcards } => {
            let form = match form {
                DnsForm::Exact(name) | DnsForm::Suffix(name) => Form::Zone(name.to_string()),
                DnsForm::Pattern(pattern) => Form::Pattern(pattern.as_str().to_owned()),
                DnsForm::Template(template) => Form::Template(template.expanded()),
            };
            let kinds = [(Kind::Dns, true), (Kind::Wildcard, *wildcards)];
            let given = kinds.into_iter().filter(|(_, given)| *given);
            given.map(|(kind, _)| Names { kind, form: form.clone() }).collect()
        }
        Allows::Network(_) => Vec::new(),
        Allows::Uri { form, is_application } => {
            let kind = if *is_application { Kind::ApplicationUri } else { Kind::Uri };
            one(
                kind,
                match form {
                    UriForm::Exact(uri) => Form::Exact(uri.as_str().to_owned()),
                    UriForm::Prefix(prefix) => Form::Prefix(prefix.clone()),
                    UriForm::Template(template) => Form::Template(template.expanded()),
                },
            )
        }
        Allows::Email(form) => one(
            Kind::Email,
            match form {
                EmailForm::Exact(address) => Form::Exact(address.as_str().to_owned()),
                EmailForm::Domain(domain) => Form::Zone(domain.to_string()),
                EmailForm::Template(template) => Form::Template(template.expanded()),
            },
        ),
        Allows::Permanent(form) => one(
            Kind::Permanent,
            match form {
                PermanentForm::Exact(id) => Form::Exact(id.as_str().to_owned()),
                PermanentForm::Template(template) => Form::Template(template.expanded()),
            },
        ),
    }
}

fn networks(profile: &Profile) -> Vec<IpNet> {
    IpNet::aggregate(&profile.identifiers.networks().copied().collect())
}

/// The addresses of `wanted` that are not in `had`, as networks.
fn without(wanted: &[IpNet], had: &[IpNet]) -> Vec<IpNet> {
    let mut rest = Vec::new();
    for network in wanted {
        if had.iter().any(|other| other.contains(network)) {
            continue;
        }
        let within: Vec<IpNet> = had.iter().filter(|other| network.contains(*other)).copied().collect();
        match network.subnets(network.prefix_len().saturating_add(1)) {
            // at most as many halvings as an address has bits
            Ok(halves) if !within.is_empty() => rest.extend(without(&halves.collect::<Vec<_>>(), &within)),
            _ => rest.push(*network),
        }
    }
    rest
}
