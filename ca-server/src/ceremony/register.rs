//! The first rows of a new CA's database: its keys, its epoch, and the event that everything after it follows.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER;
use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, EventId, IssuerId, SiteName};
use pki_core::random::Entropy;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use signer::KeyId;
use store::issuers::{IssuerCertificateRecord, IssuerRecord, IssuerState};
use store::{OpenOptions, Store, StoreError, audit, issuers, meta};

use crate::ceremony::CeremonyError;
use crate::ceremony::authority::Made;
use crate::config::Config;

/// What is to be written down.
pub(super) struct Registration<'a> {
    pub(super) config: &'a Config,
    pub(super) made: &'a Made,
    pub(super) now: Timestamp,
    pub(super) entropy: &'a dyn Entropy,
}

/// Opens and migrates the database, relative to `base`, and writes the first rows in one transaction.
pub(super) async fn register(base: &Path, registration: Registration<'_>) -> Result<(), CeremonyError> {
    let store = Store::open(OpenOptions::new(registration.config.database.url.expose(), base)).await?;
    store.migrate().await?;
    let (keys, certificates) = registration.rows();
    let genesis = registration.genesis();
    let written = store.write(async move |tx| {
        if !issuers::list(tx).await?.is_empty() {
            return Err(Outcome::Taken);
        }
        for key in &keys {
            issuers::insert(tx, key).await?;
        }
        for certificate in &certificates {
            issuers::insert_certificate(tx, certificate).await?;
        }
        meta::set(tx, "epoch", "1").await?;
        audit::append(tx, &genesis).await?;
        Ok(())
    });
    let written = written.await;
    let name = store.name().to_owned();
    store.close().await;
    written.map_err(|outcome| match outcome {
        Outcome::Taken => CeremonyError::DatabaseTaken { name },
        Outcome::Store(error) => error.into(),
    })
}

enum Outcome {
    Taken,
    Store(StoreError),
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Registration<'_> {
    fn rows(&self) -> (Vec<IssuerRecord>, Vec<IssuerCertificateRecord>) {
        let ca = &self.config.ca;
        let (root, issuing) = (&self.made.root, &self.made.intermediate);
        let keys = vec![self.key(ca.root.id, &KeyId::root(), root), self.key(ca.issuing.id, &ca.issuing.key, issuing)];
        let certificates =
            vec![self.certificate(ca.root.id, None, root), self.certificate(ca.issuing.id, Some(ca.root.id), issuing)];
        (keys, certificates)
    }

    fn key(&self, id: IssuerId, key: &KeyId, certificate: &Certificate) -> IssuerRecord {
        IssuerRecord {
            id,
            site: SiteName::home(),
            name: certificate.common_name().unwrap_or_default(),
            key_id: key.to_string(),
            algorithm: certificate.public_key().algorithm().to_string(),
            spki_sha256: certificate.public_key().spki_sha256(),
            state: IssuerState::Active,
            replacement: None,
            created_at: self.now,
        }
    }

    fn certificate(
        &self,
        issuer: IssuerId,
        parent: Option<IssuerId>,
        certificate: &Certificate,
    ) -> IssuerCertificateRecord {
        IssuerCertificateRecord {
            id: CertificateId::new(self.now, self.entropy),
            issuer,
            parent,
            der: certificate.der().to_vec(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            sha256: certificate.sha256(),
            created_at: self.now,
        }
    }

    fn genesis(&self) -> AuditEvent {
        let details = [
            ("name", self.config.ca.name.clone()),
            ("root_sha256", HEXLOWER.encode(&self.made.root.sha256())),
            ("issuing_sha256", HEXLOWER.encode(&self.made.intermediate.sha256())),
            ("root_crl_number", self.made.root_crl.number().to_string()),
        ];
        AuditEvent {
            v: AuditEvent::VERSION,
            id: EventId::new(self.now, self.entropy),
            at: self.now,
            actor: "ceremony".into(),
            action: "ca.init".into(),
            subject: format!("issuer:{}", self.config.ca.issuing.id),
            details: details.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        }
    }
}
