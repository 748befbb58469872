//! `[[certificate]]`: one certificate, who may read it, which service uses it and where it is seen.

use std::fmt;

use pki_core::ids::ProfileName;
use pki_core::x509::name::Identifier;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::owner;
use crate::files::Access;
use crate::keys::KeyKind;
use crate::probe::Probe;
use crate::services::Service;

/// The certificate every enrolled device has.
pub const DEFAULT_NAME: &str = "identity";

/// A checked section.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawCertificate")]
pub struct CertificateConfig {
    /// Its name: a folder under `live`.
    pub name: String,
    /// Names it shall carry; empty for all names of the device.
    pub identifiers: Vec<Identifier>,
    /// Another profile than the device's.
    pub profile: Option<ProfileName>,
    /// The kind of key.
    pub key: KeyKind,
    /// Owner and mode of the files that hold the key.
    pub secret: Access,
    /// Mode of the folders.
    pub dir_mode: u32,
    /// When to renew, in thousandths of the lifetime; else what the CA says.
    pub renew_at_permille: Option<u16>,
    /// Who uses it.
    pub service: Service,
    /// Where it must be seen.
    pub probes: Vec<Probe>,
}

impl CertificateConfig {
    /// The certificate that an enrolled device has without any configuration.
    pub fn identity() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            identifiers: Vec::new(),
            profile: None,
            key: KeyKind::default(),
            secret: Access::SECRET,
            dir_mode: 0o755,
            renew_at_permille: None,
            service: Service::default(),
            probes: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    name: Option<String>,
    #[serde(default)]
    dns: Vec<String>,
    #[serde(default)]
    ip: Vec<String>,
    profile: Option<ProfileName>,
    #[serde(default)]
    key: KeyKind,
    owner: Option<Account>,
    group: Option<Account>,
    mode: Option<Mode>,
    dir_mode: Option<Mode>,
    renew_at: Option<f64>,
    #[serde(default)]
    service: Service,
    #[serde(default, deserialize_with = "one_or_many")]
    probe: Vec<Probe>,
}

impl TryFrom<RawCertificate> for CertificateConfig {
    type Error = String;

    fn try_from(raw: RawCertificate) -> Result<Self, String> {
        let identifiers = identifiers(&raw.dns, &raw.ip)?;
        let name = match raw.name {
            Some(name) => name,
            None => default_name(&raw.dns),
        };
        check_name(&name)?;
        let mode = raw.mode.map_or(0o600, |mode| mode.0);
        if mode & 0o007 != 0 {
            return Err(format!("mode {mode:04o} lets everyone read the private key; give 0600 or 0640 and a `group`"));
        }
        let owner = |account: Account, lookup: fn(&str) -> Result<u32, String>| lookup(&account.0);
        Ok(Self {
            name,
            identifiers,
            profile: raw.profile,
            key: raw.key,
            secret: Access {
                mode,
                uid: raw.owner.map(|account| owner(account, owner::user)).transpose()?,
                gid: raw.group.map(|account| owner(account, owner::group)).transpose()?,
            },
            dir_mode: raw.dir_mode.map_or(0o755, |mode| mode.0),
            renew_at_permille: raw.renew_at.map(renew_at).transpose()?,
            service: raw.service,
            probes: raw.probe,
        })
    }
}

fn identifiers(dns: &[String], ip: &[String]) -> Result<Vec<Identifier>, String> {
    let dns = dns.iter().map(|name| Identifier::parse("dns", name));
    let ip = ip.iter().map(|address| Identifier::parse("ip", address));
    let mut all = dns.chain(ip).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    all.sort();
    all.dedup();
    Ok(all)
}

/// The first DNS name without its wildcard, else the certificate every device has.
fn default_name(dns: &[String]) -> String {
    dns.first().map_or(DEFAULT_NAME.to_owned(), |name| name.trim_start_matches("*.").to_ascii_lowercase())
}

/// A name is a folder and a file: no way out of it, nothing hidden.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!("`{name}` cannot name a certificate: use letters, digits, `-`, `_` and `.`, 100 at most"))
}

fn renew_at(share: f64) -> Result<u16, String> {
    if !(0.05..=0.95).contains(&share) {
        return Err(format!("renew_at is {share}; give the share of the lifetime, such as 0.5, between 0.05 and 0.95"));
    }
    // The range was checked, so rounding to thousandths always fits.
    format!("{:.0}", share * 1000.0).parse().map_err(|_| format!("renew_at {share} is no number"))
}

/// A user or group by name or number.
struct Account(String);

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Account;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Account, E> {
                Ok(Account(text.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Account, E> {
                Ok(Account(number.to_string()))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// Permission bits as text (`"0640"`) or as a TOML octal number (`0o640`).
struct Mode(u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Mode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("permission bits such as \"0640\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
                let bits = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|bits| *bits <= 0o777);
                bits.map(Mode).ok_or_else(|| E::custom(format!("`{text}` is no mode; write it like \"0640\"")))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Mode, E> {
                let bits = u32::try_from(number).ok().filter(|bits| *bits <= 0o777 && bits & 0o600 != 0);
                bits.map(Mode).ok_or_else(|| E::custom(format!("{number} is no mode; write it like \"0640\"")))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// `[certificate.probe]` for one, `[[certificate.probe]]` for several.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Probe>, D::Error> {
    struct Seen;
    impl<'de> Visitor<'de> for Seen {
        type Value = Vec<Probe>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a [certificate.probe] section or several [[certificate.probe]]")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Probe::deserialize(de::value::MapAccessDeserializer::new(map)).map(|probe| vec![probe])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut probes = Vec::new();
            while let Some(probe) = seq.next_element()? {
                probes.push(probe);
            }
            Ok(probes)
        }
    }
    deserializer.deserialize_any(Seen)
}
