//! Everything that is looked for.

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// Somebody may get what nobody meant to give, or nobody gets anything.
    Danger,
}

impl Severity {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Danger => "danger",
        }
    }
}

/// One thing that is looked for.
#[derive(Debug)]
pub struct Kind {
    /// `PL001` and so on.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! kinds {
    ($($name:ident $id:literal $severity:ident $title:literal $remedy:literal;)*) => {
        $(pub(super) static $name: Kind =
            Kind { id: $id, severity: Severity::$severity, title: $title, remedy: $remedy };)*

        /// All of them, by id.
        pub static KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    FREE_CLIENT "PL001" Danger "names chosen freely, with client authentication"
        "bind the profile to devices (`binding: device`), or take `clientAuth` away";
    WHOLE_ZONE "PL002" Danger "wildcards over a whole zone"
        "leave `wildcards` out, or allow them in a zone below that holds nothing else";
    TOP_LEVEL "PL003" Danger "a whole top-level domain"
        "name the zones that are yours";
    BEYOND_ISSUER "PL004" Warning "lives longer than what is left of the CA's"
        "shorten `lifetime`, or renew the CA certificate: until then certificates are cut to its end";
    BEYOND_SIGNER "PL005" Danger "lives longer than the signer signs"
        "shorten `lifetime`";
    WEAKER_TWIN "PL006" Danger "another profile gives the same for less proof"
        "give the two profiles different zones or purposes, or the weaker one the stricter binding";
    EACH_OTHER "PL007" Danger "devices' names can be had by a challenge"
        "give servers a zone in which no device's name stands, or allow `dns-01` only";
    COVERED "PL008" Warning "a rule that another one covers"
        "remove the narrower rule, or the wider one if that was not meant";
    UNPROVABLE "PL009" Warning "a rule for names that nobody can prove"
        "add a challenge that can prove such names (wildcards: `dns-01`; addresses: `http-01`), a binding, or remove the rule";
    UNFIT_KEYS "PL010" Danger "keys that can do nothing of what the profile is for"
        "refuse those keys under `keys`, or change `usage.keyUsage`";
    AMBIGUOUS "PL011" Danger "two devices may have one name by a template"
        "put a dot (in URIs `/` or `:`) between the variables";
    UNREVOCABLE "PL012" Warning "nobody learns of a revocation"
        "write the CRL's address (`revocation.crl: true`), or keep `lifetime` at seven days or less";
    NEVER "PL013" Danger "nothing can be issued by it"
        "set `enabled: false` until it can, or take away what stands in the way";
    OTHER_ISSUER "PL014" Danger "for a CA that is not this one"
        "name this CA in `issuer`, or leave it out";
    OUTSIDE_CONSTRAINTS "PL015" Warning "names that the CA certificate does not allow"
        "remove the rule, or issue a new intermediate with wider name constraints";
    NEEDLESS "PL016" Warning "accepts what is not found"
        "remove the entry";
    ONE_AT_ONCE "PL017" Warning "a limit that leaves no room to renew"
        "allow two at once: a certificate is renewed before the old one ends";
    NO_RECORD "PL018" Warning "a template where no device asks"
        "set `binding: device`: only a device has a record that fills it";
}
