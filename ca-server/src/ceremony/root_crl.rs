//! `root sign`: the root's CRL, signed anew. Also works while the CA serves, and on a machine without it.

use std::path::PathBuf;

use pki_core::time::Timestamp;
use signer::durable::{self, Existing};
use signer::{Envelope, FileSigner, KeyId, Passphrase};

use crate::ceremony::{CaMaterial, CeremonyError, authority};
use crate::config::Config;

/// What is to be signed.
#[derive(Debug)]
pub struct RootSignRequest<'a> {
    /// Of the CA.
    pub config: &'a Config,
    /// The root key; `keys/root.key` when absent.
    pub root_key: Option<PathBuf>,
    /// What opens it.
    pub passphrase: &'a Passphrase,
    /// The time.
    pub now: Timestamp,
}

/// A new root CRL that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRootCrl {
    /// Where.
    pub path: PathBuf,
    /// Its number.
    pub number: u64,
    /// Until when it is believed.
    pub next_update: Timestamp,
}

/// Signs a fresh root CRL with the entries of the last one, and installs it.
pub async fn sign_root_crl(request: RootSignRequest<'_>) -> Result<SignedRootCrl, CeremonyError> {
    let material = CaMaterial::read(request.config)?;
    material.check_clock(request.now)?;
    let signer = open(&request, &material)?;
    let (root, last) = (&material.root.certificate, &material.root.crl());
    let crl = authority::sign_crl(&signer, root, last.entries()?, Some(last.number()), request.now).await?;
    let path = request.config.ca.root.crl.clone();
    durable::write(&path, crl.der(), 0o644, Existing::Replace).map_err(CeremonyError::file("write", &path))?;
    Ok(SignedRootCrl { path, number: crl.number(), next_update: crl.next_update() })
}

fn open(request: &RootSignRequest<'_>, material: &CaMaterial) -> Result<FileSigner, CeremonyError> {
    let here = request.config.keys.folder.join(KeyId::root().file_name());
    let path = request.root_key.clone().unwrap_or_else(|| here.clone());
    if request.root_key.is_none() && !here.exists() {
        let why =
            format!("the root key is not in {}; it was made offline, so give its file with --root-key", here.display());
        return Err(CeremonyError::Request(why));
    }
    let signer = FileSigner::open_files(&[(KeyId::root(), path.clone())], request.passphrase, Envelope::ceremony())?;
    match signer.public_key(&KeyId::root()) == Some(material.root.certificate.public_key()) {
        true => Ok(signer),
        false => Err(CeremonyError::OtherKey { key: path, certificate: request.config.ca.root.certificate.clone() }),
    }
}
