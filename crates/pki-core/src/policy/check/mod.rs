//! From the document as written to the profile as checked: every value gets its meaning or an error that names the
//! field and what to write instead.

mod names;
mod values;

use crate::acme::challenge::ChallengeKind;
use crate::ids::ProfileName;
use crate::policy::document::{
    API_VERSION, Ca, KIND, Keys, Limits, ProfileDocument, Revocation, Spec, Subject, Window,
};
use crate::policy::lint;
use crate::policy::profile::{
    BindingRule, CaRules, Curves, ExtendedKeyUsage, KeyRules, KeyUsage, Profile, ProfileLimits, RevocationRules, Role,
    SubjectRules,
};
use crate::policy::template::{self, Template};

use values::{address, duration, grace, lifetime, network, one_of, permille, share, shorten, suffix, text_as};

/// Something in a document that can not be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {field}: {problem}")]
pub struct PolicyError {
    /// The file, as people know it.
    pub source_name: String,
    /// The field, as `spec.renewal.at`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// The profile a document describes, or everything that is wrong with it.
pub(super) fn profile(source_name: &str, document: &ProfileDocument) -> Result<Profile, Vec<PolicyError>> {
    let mut errors = Errors { source_name, found: Vec::new() };
    let profile = read(&mut errors, document);
    match profile {
        Some(profile) if errors.found.is_empty() => Ok(profile),
        _ => Err(errors.found),
    }
}

struct Errors<'a> {
    source_name: &'a str,
    found: Vec<PolicyError>,
}

impl Errors<'_> {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.found.push(PolicyError {
            source_name: self.source_name.to_owned(),
            field: field.into(),
            problem: problem.into(),
        });
    }

    fn keep<T>(&mut self, field: impl Into<String>, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|problem| self.add(field, problem)).ok()
    }

    /// Reads a list of words, each once.
    fn words<T: Copy + PartialEq>(
        &mut self,
        field: &str,
        texts: &[String],
        all: &[T],
        written: fn(T) -> &'static str,
    ) -> Vec<T> {
        let mut read = Vec::new();
        for text in texts {
            match one_of(text, all, written) {
                Err(problem) => self.add(field, problem),
                Ok(one) if read.contains(&one) => self.add(field, format!("`{text}` stands there twice")),
                Ok(one) => read.push(one),
            }
        }
        read
    }
}

/// None when a field could not be read; errors may have been found all the same when it is Some.
fn read(errors: &mut Errors<'_>, document: &ProfileDocument) -> Option<Profile> {
    head(errors, document);
    let spec = &document.spec;
    let name = errors.keep("metadata.name", text_as::<ProfileName>(&document.metadata.name));
    let lifetime = errors.keep("spec.lifetime", lifetime(&spec.lifetime));
    let backdate = errors.keep("spec.backdate", duration(&spec.backdate));
    let grace = errors.keep("spec.renewal.grace", grace(&spec.renewal.grace));
    let renew_at_permille = errors.keep("spec.renewal.at", share(spec.renewal.at));
    let binding = errors.keep("spec.requires.binding", binding(&spec.requires.binding));
    let role = spec.requires.role.as_ref().map(|role| one_of(role, &[Role::Administrator], Role::as_str));
    let profile = Profile {
        description: document.metadata.description.clone(),
        enabled: spec.enabled,
        issuer: spec.issuer.clone(),
        identifiers: names::rules(errors, &spec.identifiers, &spec.templates, spec.ca.is_some()),
        keys: key_rules(errors, &spec.keys),
        extended_key_usage: purposes(errors, spec),
        key_usage: errors.words("spec.usage.keyUsage", &spec.usage.key_usage, &KeyUsage::ALL, KeyUsage::as_str),
        common_name: spec.common_name,
        subject: spec.subject.as_ref().map(|subject| subject_rules(errors, subject, spec)),
        renewal_window: spec.renewal.window.and_then(|window| renewal_window(errors, window)),
        role: role.and_then(|role| errors.keep("spec.requires.role", role)),
        approval: spec.requires.approval,
        challenges: challenges(errors, spec),
        limits: limits(errors, spec.limits.as_ref()),
        revocation: revocation(errors, spec.revocation.as_ref()),
        ca: spec.ca.as_ref().map(|ca| authority(errors, ca)),
        name: name?,
        lifetime: lifetime?,
        backdate: backdate?,
        renew_at_permille: renew_at_permille?,
        grace: grace?,
        binding: binding?,
    };
    relations(errors, &profile);
    Some(profile)
}

fn head(errors: &mut Errors<'_>, document: &ProfileDocument) {
    if document.api_version != API_VERSION {
        errors.add("apiVersion", format!("`{}` is not known; write `{API_VERSION}`", document.api_version));
    }
    if document.kind != KIND {
        errors.add("kind", format!("`{}` is not known; write `{KIND}`", document.kind));
    }
    if document.metadata.description.len() > 200 || document.metadata.description.contains(char::is_control) {
        errors.add("metadata.description", "write one line of at most 200 characters");
    }
    for (id, reason) in &document.metadata.accepts {
        let field = format!("metadata.accepts.{}", shorten(id));
        if !lint::KINDS.iter().any(|kind| kind.id == id) {
            errors.add(field, "there is no such finding; see docs/policy.md for their ids");
        } else if reason.trim().is_empty() {
            errors.add(field, "write why it is meant so");
        }
    }
    let spec = &document.spec;
    if spec.issuer.as_ref().is_some_and(|issuer| issuer.trim().is_empty() || issuer.contains(char::is_control)) {
        errors.add("spec.issuer", "write the common name of the CA certificate that issues, or leave it out");
    }
    for (key, text) in &spec.templates {
        let field = format!("spec.templates.{}", shorten(key));
        if !template::is_key(key) {
            errors.add(field, "its name has letters, digits, `-` and `_`, 63 at most");
        } else if let Err(problem) = Template::parse(&format!("{{templates.{key}}}"), &spec.templates) {
            errors.add(field, problem);
        } else if text.is_empty() {
            errors.add(field, "it is empty");
        }
    }
}

/// What has to hold between fields.
fn relations(errors: &mut Errors<'_>, profile: &Profile) {
    if profile.backdate > profile.lifetime / 10 {
        errors.add("spec.backdate", "it is more than a tenth of `spec.lifetime`; make it shorter");
    }
    let client = profile.extended_key_usage.contains(&ExtendedKeyUsage::ClientAuth);
    if client && profile.binding == BindingRule::None && profile.role.is_none() {
        errors.add(
            "spec.requires.binding",
            "a profile with `clientAuth` lets its holders log in elsewhere, so it needs `externalAccount` or `device`",
        );
    }
    match profile.binding {
        BindingRule::Device if !profile.challenges.is_empty() => errors.add(
            "spec.requires.challenges",
            "with the binding `device` names are proven by the device record; leave challenges out",
        ),
        BindingRule::None | BindingRule::ExternalAccount if profile.challenges.is_empty() && profile.role.is_none() => {
            errors.add("spec.requires.challenges", "name at least one, for example `http-01`");
        }
        _ => {}
    }
    if profile.role.is_some() && profile.binding != BindingRule::None {
        errors.add(
            "spec.requires.role",
            "a role is of people, a binding is of accounts: write `binding: none` beside it",
        );
    }
    if profile.limits.count() && profile.binding != BindingRule::Device {
        errors.add(
            "spec.limits",
            "`active` and `issued` are counted by device; write `binding: device`, or leave them out",
        );
    }
    if profile.subject.is_some() && profile.common_name {
        errors.add("spec.commonName", "`spec.subject` says what the subject is; leave this out");
    }
    let is_server = profile.extended_key_usage.contains(&ExtendedKeyUsage::ServerAuth);
    if profile.revocation.must_staple && (!is_server || !profile.revocation.ocsp) {
        errors.add("spec.revocation.mustStaple", "only TLS servers with an OCSP address can staple; leave it out");
    }
}

fn binding(text: &str) -> Result<BindingRule, String> {
    one_of(text, &[BindingRule::None, BindingRule::ExternalAccount, BindingRule::Device], BindingRule::as_str)
}

fn key_rules(errors: &mut Errors<'_>, keys: &Keys) -> KeyRules {
    const LEAST: &str = "spec.keys.rsaMinBits";
    if !keys.ecdsa && !keys.ed25519 && keys.rsa_min_bits.is_none() {
        errors.add("spec.keys", "no key is allowed; set `ecdsa: true` or another");
    }
    if keys.rsa_min_bits.is_some_and(|bits| !(2048..=8192).contains(&bits)) {
        errors.add(LEAST, "it is not between 2048 and 8192; write for example 3072");
    }
    match (keys.rsa_min_bits, keys.rsa_max_bits) {
        (None, Some(_)) => errors.add("spec.keys.rsaMaxBits", "write `rsaMinBits` too, or RSA is refused"),
        (Some(least), Some(most)) if !(least..=8192).contains(&most) => {
            errors.add("spec.keys.rsaMaxBits", "it is not between `rsaMinBits` and 8192");
        }
        _ => {}
    }
    if !keys.ecdsa && !keys.curves.is_empty() {
        errors.add(
            "spec.keys.curves",
            "these are curves of ECDSA, which is refused; set `ecdsa: true` or leave them out",
        );
    }
    let named = errors.words("spec.keys.curves", &keys.curves, &["P-256", "P-384", "P-521"], |curve| curve);
    let has = |curve| keys.curves.is_empty() || named.contains(&curve);
    KeyRules {
        ecdsa: keys.ecdsa,
        curves: Curves { p256: has("P-256"), p384: has("P-384"), p521: has("P-521") },
        ed25519: keys.ed25519,
        rsa_min_bits: keys.rsa_min_bits,
        rsa_max_bits: keys.rsa_max_bits,
    }
}

fn purposes(errors: &mut Errors<'_>, spec: &Spec) -> Vec<ExtendedKeyUsage> {
    const FIELD: &str = "spec.usage.extendedKeyUsage";
    let all = [ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth];
    let mut purposes = errors.words(FIELD, &spec.usage.extended_key_usage, &all, ExtendedKeyUsage::as_str);
    match (spec.usage.extended_key_usage.is_empty(), spec.ca.is_some()) {
        (true, false) => errors.add(FIELD, "name at least one of `serverAuth` and `clientAuth`"),
        (false, true) => errors.add(FIELD, "CA certificates are for signing only; write `[]`"),
        _ => {}
    }
    purposes.sort_unstable();
    purposes
}

fn challenges(errors: &mut Errors<'_>, spec: &Spec) -> Vec<ChallengeKind> {
    const FIELD: &str = "spec.requires.challenges";
    let mut kinds = Vec::new();
    for text in &spec.requires.challenges {
        match ChallengeKind::from_name(text) {
            None => errors.add(FIELD, format!("`{}` is not known; write {}", shorten(text), known_challenges())),
            Some(kind) if kinds.contains(&kind) => errors.add(FIELD, format!("`{text}` stands there twice")),
            Some(kind) => kinds.push(kind),
        }
    }
    kinds
}

fn known_challenges() -> String {
    ChallengeKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ")
}

fn subject_rules(errors: &mut Errors<'_>, subject: &Subject, spec: &Spec) -> SubjectRules {
    let mut read = |member: &str, text: &Option<String>| {
        let text = text.as_ref()?;
        let parsed = match Template::parse(text, &spec.templates) {
            Ok(parsed) if parsed.sample().trim().is_empty() || parsed.sample().contains(char::is_control) => {
                Err("write one line of text, or leave it out".to_owned())
            }
            parsed => parsed,
        };
        errors.keep(format!("spec.subject.{member}"), parsed)
    };
    SubjectRules {
        common_name: read("commonName", &subject.common_name),
        organization: read("organization", &subject.organization),
        organizational_unit: read("organizationalUnit", &subject.organizational_unit),
    }
}

/// Shares of life between a tenth and nine tenths, the first before the second.
fn renewal_window(errors: &mut Errors<'_>, window: Window) -> Option<(u16, u16)> {
    match (permille(window.from, 900), permille(window.to, 900)) {
        (Some(from), Some(to)) if from < to => Some((from, to)),
        _ => {
            errors.add("spec.renewal.window", "write two shares between 0.1 and 0.9, the first the smaller");
            None
        }
    }
}

fn limits(errors: &mut Errors<'_>, limits: Option<&Limits>) -> ProfileLimits {
    let Some(limits) = limits else { return ProfileLimits::default() };
    let numbers = [
        ("names", limits.names),
        ("active", limits.active),
        ("issued.count", limits.issued.as_ref().map(|rate| rate.count)),
    ];
    for (member, _) in numbers.iter().filter(|(_, number)| *number == Some(0)) {
        errors.add(format!("spec.limits.{member}"), "none at all is no limit; write `enabled: false` instead");
    }
    let issued = limits.issued.as_ref().and_then(|rate| {
        let per =
            duration(&rate.per).and_then(|per| if per.is_zero() { Err("0s is no time".to_owned()) } else { Ok(per) });
        Some((u64::from(rate.count), errors.keep("spec.limits.issued.per", per)?))
    });
    let names = limits.names.map(|names| usize::try_from(names).unwrap_or(usize::MAX));
    ProfileLimits { names, active: limits.active.map(u64::from), issued }
}

fn revocation(errors: &mut Errors<'_>, written: Option<&Revocation>) -> RevocationRules {
    let Some(written) = written else { return RevocationRules::default() };
    let mut urls = |member: &str, texts: &[String], is_on: bool| -> Vec<String> {
        if !is_on && !texts.is_empty() {
            errors
                .add(format!("spec.revocation.{member}"), "these go with the CA's own address, which is switched off");
        }
        texts.iter().filter_map(|text| errors.keep(format!("spec.revocation.{member}"), address(text))).collect()
    };
    RevocationRules {
        crl: written.crl,
        crl_mirrors: urls("crlMirrors", &written.crl_mirrors, written.crl),
        ocsp: written.ocsp,
        ocsp_responders: urls("ocspResponders", &written.ocsp_responders, written.ocsp),
        must_staple: written.must_staple,
    }
}

fn authority(errors: &mut Errors<'_>, ca: &Ca) -> CaRules {
    const FIELD: &str = "spec.ca.nameConstraints";
    if ca.name_constraints.dns.is_empty() && ca.name_constraints.ip.is_empty() {
        errors.add(FIELD, "a CA that may issue for any name is no part of a policy; name zones or networks");
    }
    let dns = ca.name_constraints.dns.iter();
    let dns = dns.filter_map(|zone| errors.keep(format!("{FIELD}.dns"), suffix(zone))).collect();
    let ip = ca.name_constraints.ip.iter();
    let ip = ip.filter_map(|text| errors.keep(format!("{FIELD}.ip"), network(text))).collect();
    CaRules { path_len: ca.path_length, dns, ip }
}
