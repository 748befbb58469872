//! The CA's own TLS certificate: kept in one file, renewed and swapped while the listener runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::key::PublicKey;
use pki_core::x509::name::Identifier;
use pki_core::x509::pem;
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::flows::{Context, FlowError, own_tls};
use crate::tls::{ServedCertificate, certified_key};

/// Keeps [`ServedCertificate`] good.
#[derive(Debug)]
pub struct OwnCertificate {
    names: Vec<Identifier>,
    file: PathBuf,
    served: Arc<ServedCertificate>,
    leaf: std::sync::Mutex<Certificate>,
}

impl OwnCertificate {
    /// Takes up the certificate of the last run, or issues one: also when the last one is over.
    pub async fn start(ctx: &Context, folder: &Path, names: Vec<Identifier>) -> Result<Self, FlowError> {
        let file = folder.join("tls.pem");
        let stored = std::fs::read_to_string(&file).ok().and_then(|text| usable(ctx, &text, &names));
        let (leaf, text) = match stored {
            Some(stored) => stored,
            None => issue(ctx, &file, &names).await?,
        };
        let served = Arc::new(ServedCertificate::new(load(&text)?));
        ctx.metrics.tls_not_after.store(leaf.not_after().unix_seconds(), Ordering::Relaxed);
        Ok(Self { names, file, served, leaf: std::sync::Mutex::new(leaf) })
    }

    /// What the listener serves.
    pub fn served(&self) -> Arc<ServedCertificate> {
        Arc::clone(&self.served)
    }

    /// Renews after half of the life, so that a long outage of the signer is survived.
    pub async fn renew_if_due(&self, ctx: &Context) -> Result<(), FlowError> {
        let due = renewal_time(&self.leaf.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if ctx.now() < due {
            return Ok(());
        }
        let (leaf, text) = issue(ctx, &self.file, &self.names).await?;
        self.served.swap(load(&text)?);
        tracing::info!(until = %leaf.not_after(), "renewed the CA's own TLS certificate");
        ctx.metrics.tls_not_after.store(leaf.not_after().unix_seconds(), Ordering::Relaxed);
        *self.leaf.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = leaf;
        Ok(())
    }
}

fn renewal_time(leaf: &Certificate) -> Timestamp {
    leaf.not_before() + leaf.not_after().since(leaf.not_before()) / 2
}

/// The stored certificate, if it is ours, for these names and young enough.
fn usable(ctx: &Context, text: &str, names: &[Identifier]) -> Option<(Certificate, String)> {
    // A bundle is certificates and nothing else; the key stands behind them.
    let (chain, _) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let leaf = pem::parse_pem_bundle(chain).ok()?.into_iter().next()?;
    let mut wanted = names.to_vec();
    wanted.sort();
    let mut carried = leaf.identifiers().to_vec();
    carried.sort();
    let is_ours = leaf.verify_signed_by(ctx.issuing.certificate.public_key()).is_ok();
    let key_fits = load(text).is_ok();
    (is_ours && key_fits && carried == wanted && ctx.now() < renewal_time(&leaf) && ctx.now() >= leaf.not_before())
        .then(|| (leaf, text.to_owned()))
}

/// A new key and its certificate, in the file before anybody is shown it.
async fn issue(ctx: &Context, file: &Path, names: &[Identifier]) -> Result<(Certificate, String), FlowError> {
    let internal = |what: String| FlowError::Internal(format!("the CA's own TLS certificate: {what}"));
    let pair = KeyPair::generate().map_err(|error| internal(error.to_string()))?;
    let key = PublicKey::from_spki_der(&pair.subject_public_key_info()).map_err(|error| internal(error.to_string()))?;
    let chain = own_tls::issue(ctx, names, &key).await?;
    let text = zeroize::Zeroizing::new(format!("{chain}{}", pair.serialize_pem()));
    signer::durable::write(file, text.as_bytes(), 0o600, signer::durable::Existing::Replace)
        .map_err(|error| internal(format!("{} cannot be written: {error}", file.display())))?;
    let leaf = pem::parse_pem_bundle(&chain).map_err(|error| internal(error.to_string()))?.into_iter().next();
    Ok((leaf.ok_or_else(|| internal("its chain is empty".to_owned()))?, text.to_string()))
}

fn load(text: &str) -> Result<rustls::sign::CertifiedKey, FlowError> {
    let internal = |what: String| FlowError::Internal(format!("the CA's own TLS certificate: {what}"));
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|error| internal(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| internal(error.to_string()))?;
    certified_key(chain, key).map_err(|error| internal(error.to_string()))
}
