//! What one profile shows by itself.

use std::time::Duration;

use crate::policy::keys::usages_of;
use crate::policy::lint::kinds::{self, Kind};
use crate::policy::lint::overlap::covers;
use crate::policy::lint::{Remark, Surroundings};
use crate::policy::profile::{
    Allows, BindingRule, DnsForm, EmailForm, ExtendedKeyUsage, IdentifierRule, PermanentForm, Profile, UriForm,
};
use crate::x509::key::KeyAlgorithm;
use crate::x509::name::Identifier;

/// Without an address of revocation, so long at most.
const SHORT: Duration = Duration::from_secs(7 * 86_400);

/// Top-level domains that are nobody's, so that a whole one may be one's own (RFC 6761, RFC 6762, RFC 8375 and the
/// domain that ICANN reserved for private use).
const PRIVATE: [&str; 7] = ["test", "localhost", "internal", "local", "example", "invalid", "alt"];

pub(super) fn look(profile: &Profile, around: &Surroundings, remarks: &mut Vec<Remark>) {
    let mut view = View { profile, remarks };
    view.proof();
    view.issuance(around);
    view.life(around);
    view.keys();
    for rule in profile.identifiers.rules() {
        view.width(rule);
        view.reach(rule, around);
    }
    view.covered();
}

struct View<'a> {
    profile: &'a Profile,
    remarks: &'a mut Vec<Remark>,
}

impl View<'_> {
    fn tell(&mut self, kind: &'static Kind, field: impl Into<String>, sentence: impl Into<String>) {
        let (field, sentence) = (field.into(), sentence.into());
        self.remarks.push(Remark { kind, profile: self.profile.name.to_string(), field, sentence });
    }

    fn is_for_clients(&self) -> bool {
        self.profile.extended_key_usage.contains(&ExtendedKeyUsage::ClientAuth)
    }

    /// An administrator answers for names, a device's record says them: all others choose within the rules.
    fn proof(&mut self) {
        let chosen = self.profile.binding != BindingRule::Device && self.profile.role.is_none();
        let open = self.profile.identifiers.rules().iter().find(|rule| is_open(rule));
        if let Some(rule) = open.filter(|_| chosen && self.is_for_clients()) {
            let sentence = format!("whoever asks chooses the name within {rule}, and logs in elsewhere under it");
            self.tell(&kinds::FREE_CLIENT, field(rule), sentence);
        }
    }

    fn issuance(&mut self, around: &Surroundings) {
        if self.profile.ca.is_some() {
            self.tell(
                &kinds::NEVER,
                "spec.ca",
                "CA certificates need the approval of two persons, which no request brings",
            );
        }
        if self.profile.approval {
            self.tell(
                &kinds::NEVER,
                "spec.requires.approval",
                "a person has to approve, and there is no way to record that",
            );
        }
        if self.profile.revocation.must_staple
            && !around.has_responder
            && self.profile.revocation.ocsp_responders.is_empty()
        {
            self.tell(
                &kinds::NEVER,
                "spec.revocation.mustStaple",
                "servers would have to staple, and there is no responder",
            );
        }
        if let Some(issuer) = self.profile.issuer.as_ref().filter(|_| !around.issuers.is_empty())
            && !around.issuers.contains(issuer)
        {
            let sentence = format!("it is for `{issuer}`, and this CA is {}", around.issuers.join(", "));
            self.tell(&kinds::OTHER_ISSUER, "spec.issuer", sentence);
        }
        if self.profile.limits.active == Some(1) {
            self.tell(
                &kinds::ONE_AT_ONCE,
                "spec.limits.active",
                "with one certificate at once, none can be renewed in time",
            );
        }
    }

    fn life(&mut self, around: &Surroundings) {
        const FIELD: &str = "spec.lifetime";
        let days = |life: Duration| life.as_secs() / 86_400;
        let life = self.profile.lifetime;
        if let Some(most) = around.issuer_life.filter(|most| life > *most) {
            let told = format!("certificates live {} days, and of the CA's life {} are left", days(life), days(most));
            self.tell(&kinds::BEYOND_ISSUER, FIELD, told);
        }
        let is_leaf = self.profile.ca.is_none();
        if let Some(most) = around.signer_life.filter(|most| is_leaf && life > *most) {
            let told = format!("certificates live {} days, and the signer signs {} at most", days(life), days(most));
            self.tell(&kinds::BEYOND_SIGNER, FIELD, told);
        }
        let revocation = &self.profile.revocation;
        let is_told =
            revocation.crl || !revocation.ocsp_responders.is_empty() || revocation.ocsp && around.has_responder;
        if !is_told && life > SHORT {
            let told = format!("certificates live {} days and name neither a CRL nor an OCSP responder", days(life));
            self.tell(&kinds::UNREVOCABLE, "spec.revocation", told);
        }
    }

    fn keys(&mut self) {
        use KeyAlgorithm::{EcdsaP256, EcdsaP384, EcdsaP521, Ed25519, Rsa};
        let rsa = Rsa { bits: self.profile.keys.rsa_min_bits.unwrap_or(0) };
        for algorithm in [EcdsaP256, EcdsaP384, EcdsaP521, Ed25519, rsa] {
            let usages = usages_of(&self.profile.key_usage, &self.profile.extended_key_usage, algorithm);
            if self.profile.ca.is_none() && self.profile.keys.allows(algorithm) && usages.is_empty() {
                let told = format!("keys of type {algorithm} are allowed, and can do nothing of `usage.keyUsage`");
                self.tell(&kinds::UNFIT_KEYS, "spec.keys", told);
            }
        }
        // whole octets only are read from a request
        let (least, most) = (self.profile.keys.rsa_min_bits, self.profile.keys.rsa_max_bits.unwrap_or(8192));
        if least.is_some_and(|least| least.next_multiple_of(8) > most) {
            self.tell(&kinds::UNFIT_KEYS, "spec.keys.rsaMinBits", "no RSA key has a length between the two bounds");
        }
    }

    fn width(&mut self, rule: &IdentifierRule) {
        if let Allows::Dns { form, wildcards } = &rule.allows {
            let zone = match form {
                DnsForm::Suffix(zone) => Some(zone.as_str()),
                DnsForm::Pattern(_) | DnsForm::Exact(_) | DnsForm::Template(_) => None,
            };
            if let Some(zone) = zone.filter(|_| *wildcards) {
                let told = format!("`*.{zone}` is every name in the zone at once");
                self.tell(&kinds::WHOLE_ZONE, field(rule), told);
            }
            if let Some(zone) = zone.filter(|zone| !zone.contains('.') && !PRIVATE.contains(zone)) {
                self.tell(&kinds::TOP_LEVEL, field(rule), format!("every name under `{zone}` is allowed"));
            }
        }
        if let Some((template, place)) = rule.template() {
            if template.ambiguous(place) {
                let told = format!("in `{template}` what stands between two variables may also be a part of them");
                self.tell(&kinds::AMBIGUOUS, field(rule), told);
            }
            if self.profile.binding != BindingRule::Device {
                self.tell(&kinds::NO_RECORD, field(rule), "accounts without a device can have nothing by this rule");
            }
        }
    }

    /// Whether anybody can have anything by a rule.
    fn reach(&mut self, rule: &IdentifierRule, around: &Surroundings) {
        let by_challenge = self.profile.binding != BindingRule::Device && self.profile.role.is_none();
        let sample = sample(rule);
        if let Some(sample) = sample.as_ref().filter(|_| by_challenge)
            && !self.profile.challenges.iter().any(|kind| kind.can_prove(sample))
        {
            let told = format!("no challenge of the profile proves a name like `{sample}`");
            self.tell(&kinds::UNPROVABLE, field(rule), told);
        }
        let wild = sample.as_ref().and_then(|sample| Identifier::parse("dns", &format!("*.{sample}")).ok());
        let allows_wild = matches!(rule.allows, Allows::Dns { wildcards: true, .. });
        if let Some(wild) = wild.filter(|_| allows_wild && by_challenge)
            && !self.profile.challenges.iter().any(|kind| kind.can_prove(&wild))
        {
            self.tell(&kinds::UNPROVABLE, field(rule), format!("no challenge of the profile proves `{wild}`"));
        }
        if let Some(sample) = sample
            && around.constraints.iter().any(|one| one.allows(&sample).is_err())
        {
            let told = format!("a name like `{sample}` lies outside of what the CA certificate allows");
            self.tell(&kinds::OUTSIDE_CONSTRAINTS, field(rule), told);
        }
    }

    fn covered(&mut self) {
        let rules = self.profile.identifiers.rules();
        for (index, narrow) in rules.iter().enumerate() {
            let wide = rules.iter().enumerate().find(|(other, wide)| {
                // of two equal ones the first stays
                *other != index && covers(wide, narrow) && (*other < index || !covers(narrow, wide))
            });
            if let Some((_, wide)) = wide {
                self.tell(&kinds::COVERED, field(narrow), format!("{narrow} allows nothing that {wide} does not"));
            }
        }
    }
}

pub(super) fn field(rule: &IdentifierRule) -> String {
    format!("spec.identifiers.{}", rule.place)
}

/// Whether it leaves the requester a choice.
pub(super) fn is_open(rule: &IdentifierRule) -> bool {
    match &rule.allows {
        Allows::Dns { form, .. } => matches!(form, DnsForm::Suffix(_) | DnsForm::Pattern(_)),
        Allows::Network(network) => network.prefix_len() < network.max_prefix_len(),
        Allows::Uri { form, .. } => matches!(form, UriForm::Prefix(_)),
        Allows::Email(form) => matches!(form, EmailForm::Domain(_)),
        Allows::Permanent(_) => false,
    }
}

/// A name that the rule allows; none of templates and of patterns, which no name stands for.
fn sample(rule: &IdentifierRule) -> Option<Identifier> {
    let (kind, value) = match &rule.allows {
        Allows::Dns { form: DnsForm::Exact(name) | DnsForm::Suffix(name), .. } => ("dns", name.to_string()),
        Allows::Dns { form: DnsForm::Pattern(pattern), .. } => ("dns", pattern.as_str().replace('*', "a")),
        Allows::Network(network) => ("ip", network.addr().to_string()),
        Allows::Uri { form: UriForm::Exact(uri), .. } => ("uri", uri.to_string()),
        Allows::Uri { form: UriForm::Prefix(prefix), .. } => ("uri", format!("{prefix}a")),
        Allows::Email(EmailForm::Exact(address)) => ("email", address.to_string()),
        Allows::Email(EmailForm::Domain(domain)) => ("email", format!("a@{domain}")),
        Allows::Permanent(PermanentForm::Exact(id)) => ("permanent-identifier", id.to_string()),
        Allows::Dns { form: DnsForm::Template(_), .. }
        | Allows::Uri { form: UriForm::Template(_), .. }
        | Allows::Email(EmailForm::Template(_))
        | Allows::Permanent(PermanentForm::Template(_)) => return None,
    };
    Identifier::parse(kind, &value).ok()
}
