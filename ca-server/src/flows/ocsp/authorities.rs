//! Which issuing keys are answered for (OCS-7): the one that issues, and those before it while their certificates live.

use std::sync::Arc;

use pki_core::ids::IssuerId;
use pki_core::issuance::plan::IssuingCa;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use signer::KeyId;
use store::Store;
use store::issuers::{self, IssuerCertificateRecord, IssuerRecord, IssuerState};

use crate::flows::issue::IssueDesk;
use crate::flows::{FlowError, RootAuthority};

/// An issuing key that is answered for.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its certificate, and those above it.
    pub ca: Arc<IssuingCa>,
    /// The key, if this process holds it; otherwise another server signs the responder's certificate.
    pub key: Option<KeyId>,
}

/// The issuing keys before `issuing`: all whose key is at this desk (`crl.keys`) or, at a desk without any key, all. Keys
/// that are compromised sign nothing, and whose certificate has ended has no leaf left that lives.
pub async fn former(
    store: &Store,
    desk: &IssueDesk,
    issuing: IssuerId,
    root: &RootAuthority,
    now: Timestamp,
) -> Result<Vec<Authority>, FlowError> {
    let root_id = root.id;
    let known = store
        .read(async move |tx| {
            let mut known = Vec::new();
            for record in issuers::list(tx).await? {
                if record.id != issuing && record.id != root_id && record.state != IssuerState::Compromised {
                    let certificates = issuers::list_certificates(tx, record.id).await?;
                    known.push((record, certificates));
                }
            }
            Ok::<_, FlowError>(known)
        })
        .await?;
    Ok(known.iter().filter_map(|(record, certificates)| authority(desk, record, certificates, root, now)).collect())
}

fn authority(
    desk: &IssueDesk,
    record: &IssuerRecord,
    certificates: &[IssuerCertificateRecord],
    root: &RootAuthority,
    now: Timestamp,
) -> Option<Authority> {
    let key = record.key_id.parse().ok().filter(|key| desk.holds(key));
    if desk.has_key() && key.is_none() {
        return None; // publication of its lists says that it is missing
    }
    let parsed = certificates.iter().filter_map(|row| Certificate::parse(&row.der).ok());
    let certificate = parsed.filter(Certificate::may_sign).find(|certificate| now < certificate.not_after())?;
    let above = certificate.verify_signed_by(root.certificate.public_key()).is_ok().then(|| root.certificate.clone());
    // it issues to nobody but its responders, whose certificates carry no address
    let ca = IssuingCa::without_addresses(record.id, certificate, above);
    Some(Authority { ca: Arc::new(ca), key })
}
