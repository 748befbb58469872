//! Rules for names: each member of the document becomes a rule with its place.

use std::collections::BTreeMap;

use crate::policy::check::Errors;
use crate::policy::check::values::{network, suffix, text_as};
use crate::policy::document::{DnsRule, EmailRule, Identifiers, PermanentRule, UriRule};
use crate::policy::pattern::Pattern;
use crate::policy::rules::{Allows, DnsForm, EmailForm, IdentifierRule, IdentifierRules, PermanentForm, UriForm};
use crate::policy::template::Template;
use crate::x509::name::{DnsName, UriName};

/// More rules than any profile needs.
const MAX_RULES: usize = 10_000;

type Fragments = BTreeMap<String, String>;

pub(super) fn rules(
    errors: &mut Errors<'_>,
    written: &Identifiers,
    fragments: &Fragments,
    is_ca: bool,
) -> IdentifierRules {
    let Identifiers { dns, ip, uri, opc_ua_application_uri: application, email, permanent_identifier, .. } = written;
    let count = [dns.len(), ip.len(), uri.len(), application.len(), email.len(), permanent_identifier.len()];
    let count: usize = count.iter().sum();
    if count == 0 && !is_ca {
        errors.add("spec.identifiers", "no name is allowed; add a rule under `dns` or a network under `ip`");
    }
    if count > MAX_RULES {
        errors.add("spec.identifiers", format!("there are more than {MAX_RULES} rules; use suffixes"));
        return IdentifierRules::default();
    }
    let mut reader = Reader { errors, fragments, found: Vec::new() };
    reader.all("dns", dns, |rule, fragments| dns_rule(rule, fragments, written.wildcards));
    reader.all("ip", ip, |text, _| network(text).map(Allows::Network));
    reader
        .all("uri", uri, |rule, fragments| Ok(Allows::Uri { form: uri_rule(rule, fragments)?, is_application: false }));
    reader.all("opcUaApplicationUri", application, |rule, fragments| {
        Ok(Allows::Uri { form: uri_rule(rule, fragments)?, is_application: true })
    });
    reader.all("email", email, |rule, fragments| email_rule(rule, fragments).map(Allows::Email));
    reader.all("permanentIdentifier", permanent_identifier, |rule, fragments| {
        permanent_rule(rule, fragments).map(Allows::Permanent)
    });
    let rules = IdentifierRules::new(reader.found);
    if written.wildcards && rules.dns_suffix().next().is_none() {
        errors.add("spec.identifiers.wildcards", "wildcards need a `suffix` to stand in; add one or leave this out");
    }
    rules
}

struct Reader<'e, 'a> {
    errors: &'e mut Errors<'a>,
    fragments: &'e Fragments,
    found: Vec<IdentifierRule>,
}

impl Reader<'_, '_> {
    fn all<T>(&mut self, member: &str, written: &[T], read: impl Fn(&T, &Fragments) -> Result<Allows, String>) {
        for (index, rule) in written.iter().enumerate() {
            let place = format!("{member}[{index}]");
            let read = self.errors.keep(format!("spec.identifiers.{place}"), read(rule, self.fragments));
            self.found.extend(read.map(|allows| IdentifierRule { place, allows }));
        }
    }
}

fn dns_rule(rule: &DnsRule, fragments: &Fragments, wildcards_of_profile: bool) -> Result<Allows, String> {
    let DnsRule { exact, suffix: zone, pattern, template, wildcards } = rule;
    let form = match (exact, zone, pattern, template) {
        (Some(name), None, None, None) => DnsForm::Exact(text_as::<DnsName>(name)?),
        (None, Some(zone), None, None) => DnsForm::Suffix(suffix(zone)?),
        (None, None, Some(pattern), None) => DnsForm::Pattern(Pattern::parse(pattern)?),
        (None, None, None, Some(text)) => DnsForm::Template(dns_template(text, fragments)?),
        _ => return Err("write exactly one of `exact`, `suffix`, `pattern` and `template`".to_owned()),
    };
    // what the profile says of wildcards is about its zones, as it was before rules could say it themselves
    let usual = wildcards_of_profile && matches!(form, DnsForm::Suffix(_));
    if matches!(form, DnsForm::Exact(_)) && wildcards.is_some() {
        return Err("an exact name needs no `wildcards`; write the wildcard itself as `exact`".to_owned());
    }
    Ok(Allows::Dns { form, wildcards: wildcards.unwrap_or(usual) })
}

/// What stands between the variables must make a name when each of them is one label.
fn dns_template(text: &str, fragments: &Fragments) -> Result<Template, String> {
    let template = varying(text, fragments)?;
    let sample = template.sample();
    match text_as::<DnsName>(&sample) {
        Ok(name) if !name.is_wildcard() => Ok(template),
        Ok(_) => Err("a template holds no `*`; set `wildcards: true` beside it".to_owned()),
        Err(error) => Err(format!("the template makes no DNS name: {error}")),
    }
}

fn varying(text: &str, fragments: &Fragments) -> Result<Template, String> {
    let template = Template::parse(text, fragments)?;
    if template.variables().next().is_none() {
        return Err(format!("the template has no variable; write `exact: {text}`"));
    }
    Ok(template)
}

fn uri_rule(rule: &UriRule, fragments: &Fragments) -> Result<UriForm, String> {
    let UriRule { exact, prefix, template } = rule;
    match (exact, prefix, template) {
        (Some(uri), None, None) => Ok(UriForm::Exact(text_as(uri)?)),
        (None, Some(prefix), None) => uri_prefix(prefix).map(UriForm::Prefix),
        (None, None, Some(text)) => {
            let template = varying(text, fragments)?;
            text_as::<UriName>(&template.sample()).map_err(|error| format!("the template makes no URI: {error}"))?;
            Ok(UriForm::Template(template))
        }
        _ => Err("write exactly one of `exact`, `prefix` and `template`".to_owned()),
    }
}

/// Without an end that separates, `spiffe://site.test` would also allow `spiffe://site.test.evil`.
fn uri_prefix(text: &str) -> Result<String, String> {
    if !text.ends_with(['/', ':']) || text.ends_with("://") {
        return Err(format!(
            "`{text}` has no end that separates; let it end in `/` or `:` behind a host or a namespace"
        ));
    }
    let whole: UriName = text_as(&format!("{text}x"))?;
    let prefix = whole.as_str().strip_suffix('x').unwrap_or_default().to_owned();
    if prefix.split_once(':').is_some_and(|(_, rest)| rest.is_empty()) {
        return Err(format!("`{text}` is a scheme alone; name a host or a namespace too"));
    }
    Ok(prefix)
}

fn email_rule(rule: &EmailRule, fragments: &Fragments) -> Result<EmailForm, String> {
    let EmailRule { exact, domain, template } = rule;
    match (exact, domain, template) {
        (Some(address), None, None) => Ok(EmailForm::Exact(text_as(address)?)),
        (None, Some(domain), None) => match text_as::<DnsName>(domain)? {
            domain if domain.is_wildcard() => Err("a domain has no wildcard; write each domain".to_owned()),
            domain => Ok(EmailForm::Domain(domain)),
        },
        (None, None, Some(text)) => {
            let template = varying(text, fragments)?;
            text_as::<crate::x509::name::EmailAddress>(&template.sample())
                .map_err(|error| format!("the template makes no e-mail address: {error}"))?;
            Ok(EmailForm::Template(template))
        }
        _ => Err("write exactly one of `exact`, `domain` and `template`".to_owned()),
    }
}

fn permanent_rule(rule: &PermanentRule, fragments: &Fragments) -> Result<PermanentForm, String> {
    match (&rule.exact, &rule.template) {
        (Some(id), None) => Ok(PermanentForm::Exact(text_as(id)?)),
        (None, Some(text)) => varying(text, fragments).map(PermanentForm::Template),
        _ => Err("write exactly one of `exact` and `template`".to_owned()),
    }
}
