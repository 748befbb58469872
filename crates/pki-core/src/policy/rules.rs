//! Which names a profile allows, and by which of its rules: prepared once, looked up without walking through all rules.

use std::collections::HashMap;
use std::fmt;

use ipnet::IpNet;

use crate::device::Device;
use crate::policy::pattern::Pattern;
use crate::policy::template::{Place, Template, Unfilled};
use crate::x509::name::{DnsName, EmailAddress, Identifier, PermanentId, UriName};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierRule {
    /// Where it stands in the document, below `spec.identifiers`, as `dns[0]`.
    pub place: String,
    /// What it allows.
    pub allows: Allows,
}

/// What a rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allows {
    /// DNS names.
    Dns {
        /// Which.
        form: DnsForm,
        /// Whether wildcards of them too.
        wildcards: bool,
    },
    /// Addresses of a network.
    Network(IpNet),
    /// URIs.
    Uri {
        /// Which.
        form: UriForm,
        /// Whether it is the application URI of OPC UA.
        is_application: bool,
    },
    /// E-mail addresses.
    Email(EmailForm),
    /// Permanent identifiers.
    Permanent(PermanentForm),
}

/// DNS names, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsForm {
    /// This name.
    Exact(DnsName),
    /// This zone and every name below it.
    Suffix(DnsName),
    /// Names of this form.
    Pattern(Pattern),
    /// The name made of the device's record.
    Template(Template),
}

/// URIs, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UriForm {
    /// This one.
    Exact(UriName),
    /// Every one that begins so.
    Prefix(String),
    /// The one made of the device's record.
    Template(Template),
}

/// E-mail addresses, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailForm {
    /// This one.
    Exact(EmailAddress),
    /// Every one at this domain.
    Domain(DnsName),
    /// The one made of the device's record.
    Template(Template),
}

/// Permanent identifiers, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermanentForm {
    /// This one.
    Exact(PermanentId),
    /// The one made of the device's record.
    Template(Template),
}

impl IdentifierRule {
    /// Its template, if it is one, and what values may be in it.
    pub fn template(&self) -> Option<(&Template, Place)> {
        match &self.allows {
            Allows::Dns { form: DnsForm::Template(template), .. } => Some((template, Place::DnsLabel)),
            Allows::Uri { form: UriForm::Template(template), .. }
            | Allows::Email(EmailForm::Template(template))
            | Allows::Permanent(PermanentForm::Template(template)) => Some((template, Place::Segment)),
            _ => None,
        }
    }

    /// The type of name it is about, as in [`Identifier::kind`].
    pub const fn kind(&self) -> &'static str {
        match self.allows {
            Allows::Dns { .. } => "dns",
            Allows::Network(_) => "ip",
            Allows::Uri { .. } => "uri",
            Allows::Email(_) => "email",
            Allows::Permanent(_) => "permanent-identifier",
        }
    }

    /// Whether it allows the name to this device. Err when it is a template that this device does not fill.
    pub fn fits(&self, identifier: &Identifier, device: Option<&Device>) -> Result<bool, Unfilled> {
        Ok(match (&self.allows, identifier) {
            (Allows::Dns { form, wildcards }, Identifier::Dns(name)) => {
                (*wildcards || !name.is_wildcard() || matches!(form, DnsForm::Exact(_))) && form.fits(name, device)?
            }
            (Allows::Network(network), Identifier::Ip(address)) => network.contains(address),
            (Allows::Uri { form, .. }, Identifier::Uri(uri)) => match form {
                UriForm::Exact(exact) => exact == uri,
                UriForm::Prefix(prefix) => uri.as_str().starts_with(prefix) && uri.as_str() != prefix,
                UriForm::Template(template) => template.gives(uri.as_str(), device, Place::Segment, false)?,
            },
            (Allows::Email(form), Identifier::Email(address)) => match form {
                EmailForm::Exact(exact) => exact == address,
                EmailForm::Domain(domain) => address.domain() == domain.as_str(),
                EmailForm::Template(template) => template.gives(address.as_str(), device, Place::Segment, false)?,
            },
            (Allows::Permanent(form), Identifier::Permanent(id)) => match form {
                PermanentForm::Exact(exact) => exact == id,
                PermanentForm::Template(template) => template.gives(id.as_str(), device, Place::Segment, false)?,
            },
            _ => false,
        })
    }
}

impl DnsForm {
    fn fits(&self, name: &DnsName, device: Option<&Device>) -> Result<bool, Unfilled> {
        Ok(match self {
            Self::Exact(exact) => exact == name,
            Self::Suffix(zone) => name.is_within(zone),
            Self::Pattern(pattern) => pattern.fits(name.base()),
            Self::Template(template) => template.gives(name.base(), device, Place::DnsLabel, true)?,
        })
    }
}

/// The rules of one profile.
#[derive(Debug, Clone, Default)]
pub struct IdentifierRules {
    rules: Vec<IdentifierRule>,
    exact: HashMap<DnsName, usize>,
    /// By zone: the first rule for it, and the first that also allows wildcards.
    suffix: HashMap<String, (usize, Option<usize>)>,
    templates: Vec<usize>,
    patterns: Vec<usize>,
    networks: Vec<usize>,
    /// URIs, e-mail addresses, permanent identifiers.
    others: Vec<usize>,
}

/// What is looked up follows from the rules.
impl PartialEq for IdentifierRules {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for IdentifierRules {}

impl IdentifierRules {
    /// Prepares rules, in the order of the document.
    pub fn new(rules: Vec<IdentifierRule>) -> Self {
        let mut prepared = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            prepared.sort_in(index, rule);
        }
        Self { rules, ..prepared }
    }

    fn sort_in(&mut self, index: usize, rule: &IdentifierRule) {
        if rule.template().is_some() {
            return self.templates.push(index);
        }
        match &rule.allows {
            Allows::Dns { form: DnsForm::Exact(name), .. } => {
                self.exact.entry(name.clone()).or_insert(index);
            }
            Allows::Dns { form: DnsForm::Suffix(zone), wildcards } => {
                let known = self.suffix.entry(zone.to_string()).or_insert((index, None));
                if *wildcards && known.1.is_none() {
                    known.1 = Some(index);
                }
            }
            Allows::Dns { .. } => self.patterns.push(index),
            Allows::Network(_) => self.networks.push(index),
            Allows::Uri { .. } | Allows::Email(_) | Allows::Permanent(_) => self.others.push(index),
        }
    }

    /// All of them.
    pub fn rules(&self) -> &[IdentifierRule] {
        &self.rules
    }

    /// The rule that allows the name: what is said of this very device first, then the narrowest.
    pub fn allowing(&self, identifier: &Identifier, device: Option<&Device>) -> Option<&IdentifierRule> {
        let index = self.template_allowing(identifier, device).or_else(|| match identifier {
            Identifier::Dns(name) => self
                .exact
                .get(name)
                .copied()
                .or_else(|| self.suffix_allowing(name))
                .or_else(|| self.first(&self.patterns, identifier)),
            Identifier::Ip(_) => self.first(&self.networks, identifier),
            Identifier::Uri(_) | Identifier::Email(_) | Identifier::Permanent(_) => {
                self.first(&self.others, identifier)
            }
        })?;
        self.rules.get(index)
    }

    /// Whether any rule allows the name to whomever.
    pub fn allows(&self, identifier: &Identifier) -> bool {
        self.allowing(identifier, None).is_some()
    }

    fn first(&self, candidates: &[usize], identifier: &Identifier) -> Option<usize> {
        candidates.iter().copied().find(|index| self.fits(*index, identifier, None))
    }

    fn fits(&self, index: usize, identifier: &Identifier, device: Option<&Device>) -> bool {
        self.rules.get(index).is_some_and(|rule| rule.fits(identifier, device) == Ok(true))
    }

    fn template_allowing(&self, identifier: &Identifier, device: Option<&Device>) -> Option<usize> {
        device?;
        self.templates.iter().copied().find(|index| self.fits(*index, identifier, device))
    }

    /// Walks up from the name: as many steps as it has labels, whatever the number of zones.
    fn suffix_allowing(&self, name: &DnsName) -> Option<usize> {
        let mut zone = Some(name.base());
        while let Some(current) = zone {
            match self.suffix.get(current) {
                Some((first, _)) if !name.is_wildcard() => return Some(*first),
                Some((_, Some(wild))) => return Some(*wild),
                _ => zone = current.split_once('.').map(|(_, parent)| parent),
            }
        }
        None
    }

    /// Why the templates for this type of name give nothing for this device.
    pub fn unfilled(&self, identifier: &Identifier, device: Option<&Device>) -> Option<(&IdentifierRule, Unfilled)> {
        let rules = self.templates.iter().filter_map(|index| self.rules.get(*index));
        rules
            .filter(|rule| rule.kind() == identifier.kind())
            .find_map(|rule| rule.fits(identifier, device).err().map(|unfilled| (rule, unfilled)))
    }

    /// Names allowed exactly.
    pub fn dns_exact(&self) -> impl Iterator<Item = &DnsName> {
        self.rules.iter().filter_map(|rule| match &rule.allows {
            Allows::Dns { form: DnsForm::Exact(name), .. } => Some(name),
            _ => None,
        })
    }

    /// Zones whose every name is allowed, the zone itself included.
    pub fn dns_suffix(&self) -> impl Iterator<Item = &DnsName> {
        self.rules.iter().filter_map(|rule| match &rule.allows {
            Allows::Dns { form: DnsForm::Suffix(zone), .. } => Some(zone),
            _ => None,
        })
    }

    /// Networks whose every address is allowed.
    pub fn networks(&self) -> impl Iterator<Item = &IpNet> {
        self.rules.iter().filter_map(|rule| match &rule.allows {
            Allows::Network(network) => Some(network),
            _ => None,
        })
    }

    /// Whether any rule allows wildcards.
    pub fn wildcards(&self) -> bool {
        self.rules.iter().any(|rule| matches!(&rule.allows, Allows::Dns { wildcards: true, .. }))
    }

    /// Whether certificates carry an application URI of OPC UA.
    pub fn has_application_uri(&self) -> bool {
        self.rules.iter().any(|rule| matches!(&rule.allows, Allows::Uri { is_application: true, .. }))
    }
}

impl fmt::Display for IdentifierRule {
    /// `dns[1] suffix site.test`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.place)?;
        match &self.allows {
            Allows::Dns { form, wildcards } => {
                match form {
                    DnsForm::Exact(name) => write!(f, "exact {name}")?,
                    DnsForm::Suffix(zone) => write!(f, "suffix {zone}")?,
                    DnsForm::Pattern(pattern) => write!(f, "pattern {}", pattern.as_str())?,
                    DnsForm::Template(template) => write!(f, "template {template}")?,
                }
                f.write_str(if *wildcards { " with wildcards" } else { "" })
            }
            Allows::Network(network) => write!(f, "network {network}"),
            Allows::Uri { form: UriForm::Exact(uri), .. } => write!(f, "exact {uri}"),
            Allows::Uri { form: UriForm::Prefix(prefix), .. } => write!(f, "prefix {prefix}"),
            Allows::Uri { form: UriForm::Template(template), .. }
            | Allows::Email(EmailForm::Template(template))
            | Allows::Permanent(PermanentForm::Template(template)) => write!(f, "template {template}"),
            Allows::Email(EmailForm::Exact(address)) => write!(f, "exact {address}"),
            Allows::Email(EmailForm::Domain(domain)) => write!(f, "domain {domain}"),
            Allows::Permanent(PermanentForm::Exact(id)) => write!(f, "exact {id}"),
        }
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
