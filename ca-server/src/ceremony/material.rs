//! What the ceremonies left, read when the server starts.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use pki_core::issuance::plan::IssuingCa;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::crl::Crl;
use pki_core::x509::pem;
use signer::{Envelope, FileSigner, PermittedNames};

use crate::ceremony::{CeremonyError, authority};
use crate::config::{Config, ExternalUrl};
use crate::flows::RootAuthority;

const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The CA's certificates and the root's CRL, checked against each other.
#[derive(Debug)]
pub struct CaMaterial {
    /// The CA that issues; its chain is issuing CA, then root.
    pub issuing: IssuingCa,
    /// Other chains of its certificates.
    pub alternates: Vec<Vec<Certificate>>,
    /// The root that signed it, with its CRL.
    pub root: RootAuthority,
    /// What devices trust: at least the root.
    pub roots: Vec<Certificate>,
}

/// How urgent a new root CRL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootCrlState {
    /// In the first half of its life.
    Fresh,
    /// Past the half: time for `ca-server root sign`.
    Due,
    /// Over: nginx, PostgreSQL and others refuse every client that checks it.
    Over,
}

impl RootCrlState {
    /// Of this CRL, at this time.
    pub fn of(crl: &Crl, now: Timestamp) -> Self {
        let half = crl.this_update() + crl.next_update().since(crl.this_update()) / 2;
        match now {
            now if now >= crl.next_update() => Self::Over,
            now if now >= half => Self::Due,
            _ => Self::Fresh,
        }
    }
}

/// Says in the log when a new root CRL is needed.
pub fn warn_when_due(crl: &Crl, now: Timestamp) {
    const REMEDY: &str = "run `ca-server root sign` with the root key";
    let next_update = crl.next_update();
    match RootCrlState::of(crl, now) {
        RootCrlState::Fresh => {}
        RootCrlState::Due => tracing::warn!(%next_update, "the root's CRL is past half of its life; {REMEDY}"),
        RootCrlState::Over => {
            tracing::error!(%next_update, "the root's CRL is over and services that check it refuse everyone; {REMEDY} now");
        }
    }
}

impl CaMaterial {
    /// Reads the certificates that the configuration names, checks that they belong together, and that the clock is
    /// not before their beginning.
    pub fn load(config: &Config, now: Timestamp) -> Result<Self, CeremonyError> {
        let material = Self::read(config)?;
        material.check_clock(now)?;
        warn_when_due(&material.root.crl(), now);
        Ok(material)
    }

    /// Reads and checks, whatever the time.
    pub(crate) fn read(config: &Config) -> Result<Self, CeremonyError> {
        let root = certificate(&config.ca.root.certificate)?;
        let issuing = certificate(&config.ca.issuing.certificate)?;
        let roots = certificates(&config.ca.roots)?;
        check_signatures(config, &root, &issuing)?;
        if !roots.iter().any(|trusted| trusted.der() == root.der()) {
            return Err(content(&config.ca.roots, "the root is not in it, so devices would not trust this CA"));
        }
        let (id, addresses) = (config.ca.issuing.id, &config.ca.issuing.publication);
        let bases = |told: &[ExternalUrl]| -> Vec<String> {
            let own = std::slice::from_ref(&config.external.public);
            (if told.is_empty() { own } else { told }).iter().map(|url| url.as_str().to_owned()).collect()
        };
        let mut crl_bases = bases(&addresses.crl_urls).into_iter();
        let issuing = IssuingCa {
            id,
            chain: vec![issuing.clone(), root.clone()],
            certificate: issuing,
            ca_urls: bases(&addresses.ca_urls).iter().map(|base| authority::ca_url(base, id)).collect(),
            crl_base: crl_bases.next().unwrap_or_default(),
            crl_mirrors: crl_bases.collect(),
            has_deltas: config.crl.deltas,
            ocsp_urls: bases(&addresses.ocsp_urls).iter().map(|base| format!("{base}/ocsp")).collect(),
        };
        let crl = root_crl(&config.ca.root.crl, &root)?;
        let files = &config.ca.issuing.alternate_chains;
        let alternates = files.iter().map(|file| alternate(file, &issuing.certificate)).collect::<Result<_, _>>()?;
        Ok(Self { issuing, alternates, root: RootAuthority::new(config.ca.root.id, root, crl), roots })
    }

    /// Until when the root's CRL is believed; for metrics.
    pub fn root_crl_next_update(&self) -> Timestamp {
        self.root.crl().next_update()
    }

    /// Refuses to work by a clock that is behind the CA's own beginning: everything signed would be dated wrongly.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), CeremonyError> {
        let begin = self.root.certificate.not_before().max(self.issuing.certificate.not_before());
        if now < begin { Err(CeremonyError::ClockBehind { now, begin }) } else { Ok(()) }
    }

    /// The signer's limits while serving: leaves and CRLs only, and only names that the issuing certificate permits.
    pub fn envelope(&self) -> Envelope {
        Envelope { permitted: permitted(&self.issuing.certificate), ..Envelope::serving() }
    }

    /// Refuses a signer whose key is not the one in the issuing certificate.
    pub fn check_key(&self, config: &Config, signer: &FileSigner) -> Result<(), CeremonyError> {
        let issuing = &config.ca.issuing;
        match signer.public_key(&issuing.key) == Some(self.issuing.certificate.public_key()) {
            true => Ok(()),
            false => Err(CeremonyError::OtherKey {
                key: config.keys.folder.join(issuing.key.file_name()),
                certificate: issuing.certificate.clone(),
            }),
        }
    }
}

fn check_signatures(config: &Config, root: &Certificate, issuing: &Certificate) -> Result<(), CeremonyError> {
    if !root.may_sign() || root.verify_signed_by(root.public_key()).is_err() {
        return Err(content(&config.ca.root.certificate, "it is not a root: a CA certificate signed by its own key"));
    }
    if issuing.public_key() == root.public_key() {
        return Err(content(&config.ca.issuing.certificate, "it is the root itself, which issues to nobody"));
    }
    let is_below = issuing.may_sign() && issuing.issuer_der() == root.subject_der();
    match is_below && issuing.verify_signed_by(root.public_key()).is_ok() {
        true => Ok(()),
        false => Err(content(&config.ca.issuing.certificate, "it is not a CA certificate that the root signed")),
    }
}

/// Reads a chain that begins with another certificate of the issuing key; each next one has signed the former.
fn alternate(path: &Path, issuing: &Certificate) -> Result<Vec<Certificate>, CeremonyError> {
    let chain = certificates(path)?;
    // leaves name their issuer by these three
    let first = chain.first().filter(|first| {
        first.public_key() == issuing.public_key()
            && first.subject_der() == issuing.subject_der()
            && first.subject_key_identifier() == issuing.subject_key_identifier()
            && first.may_sign()
    });
    if first.is_none() {
        let why = "its first certificate is not one of the issuing key, under the same name and key identifier";
        return Err(content(path, why));
    }
    let is_chain = chain.iter().zip(chain.iter().skip(1)).all(|(below, above)| {
        below.issuer_der() == above.subject_der() && below.verify_signed_by(above.public_key()).is_ok()
    });
    if is_chain { Ok(chain) } else { Err(content(path, "a certificate in it did not sign the one before it")) }
}

/// Reads the root's CRL; called again when it may have been renewed.
pub fn root_crl(path: &Path, root: &Certificate) -> Result<Crl, CeremonyError> {
    let crl = Crl::parse(&read(path)?).map_err(|error| content(path, error))?;
    match crl.verify_signed_by(root.public_key()).is_ok() && crl.issuer_der() == root.subject_der() {
        true => Ok(crl),
        false => Err(content(path, "it is not a CRL that this root signed")),
    }
}

/// The permitted part of the name constraints, in the signer's own terms.
fn permitted(certificate: &Certificate) -> Option<PermittedNames> {
    let constraints = certificate.name_constraints()?;
    let mut dns: Vec<String> = constraints.permitted_dns.iter().map(|zone| zone.as_str().to_owned()).collect();
    let mut networks = constraints.permitted_ips.clone();
    // a type without permitted subtree is free, unless all of it is excluded
    if dns.is_empty() && constraints.excluded_dns.is_empty() {
        dns.push(String::new());
    }
    if networks.is_empty() && constraints.excluded_ips.is_empty() {
        networks = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()).collect();
    }
    Some(PermittedNames { dns, networks })
}

fn certificate(path: &Path) -> Result<Certificate, CeremonyError> {
    let mut found = certificates(path)?;
    match (found.pop(), found.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(content(path, "more than one certificate is in it")),
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, CeremonyError> {
    let text = String::from_utf8(read(path)?).map_err(|_| content(path, "it is not PEM"))?;
    pem::parse_pem_bundle(&text).map_err(|error| content(path, error))
}

fn content(path: &Path, why: impl fmt::Display) -> CeremonyError {
    CeremonyError::Content { path: path.to_owned(), why: why.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    read.map_err(CeremonyError::file("read", path))?;
    Ok(bytes)
}
