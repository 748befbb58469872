//! Certificates for OCSP responders: asked for by replicas through a row, signed by whoever holds the CA's key.
//!
//! As with every certificate: the bytes are recorded with the audit event, then signed, then released.

use data_encoding::HEXLOWER;
use pki_core::ids::{IssuerId, ResponderId, Serial};
use pki_core::issuance::plan::{IssuingCa, Planned, ResponderRequest, plan_responder};
use pki_core::issuance::seal::seal;
use pki_core::x509::key::{PublicKey, SignatureAlgorithm};
use signer::Purpose;
use store::audit;
use store::responders::{self, ResponderRecord, ResponderState};

use super::owed::Work;
use super::record::{With, event};
use super::{Context, FlowError};

/// What a replica signs by its new key to show that it has it.
pub fn text_to_sign(id: ResponderId, issuer: IssuerId) -> Vec<u8> {
    format!("pilotlight ocsp responder {id} of {issuer}").into_bytes()
}

/// Signs what was asked for. It may run any number of times, at once and after a crash: there is one certificate.
pub async fn sign(ctx: &Context, id: ResponderId) -> Result<(), FlowError> {
    let Some(record) = find(ctx, id).await? else { return done(ctx, id).await };
    if matches!(record.state, ResponderState::Issued { .. } | ResponderState::Refused { .. }) {
        return done(ctx, id).await;
    }
    let authority = ctx.ocsp.authority(record.issuer).and_then(|found| Some((&*found.ca, found.key.as_ref()?)));
    let Some((ca, key)) = authority else {
        let why =
            format!("an OCSP responder asks for a certificate of {}, whose key is not loaded here", record.issuer);
        return Err(FlowError::Internal(why));
    };
    let record = match &record.state {
        ResponderState::Requested => match plan(ctx, ca, &record) {
            Ok(planned) => write_plan(ctx, record, &planned).await?,
            Err(Refused::ForGood(why)) => return refuse(ctx, &record, &why).await,
            Err(Refused::Here(why)) => return Err(FlowError::Internal(why)),
        },
        _ => record,
    };
    let ResponderState::Planned { tbs } = &record.state else { return Ok(()) };
    let issuer_key = ca.certificate.public_key();
    let algorithm = SignatureAlgorithm::for_issuer(issuer_key.algorithm());
    let signature = ctx.desk.signer.sign(key, Purpose::OcspResponder, algorithm, tbs).await?;
    let sealed = seal(tbs, algorithm, &signature, issuer_key).map_err(|error| {
        FlowError::Internal(format!("the certificate of the OCSP responder {id} is not released: {error}"))
    })?;
    let (state, version) = (ResponderState::Issued { der: sealed.der().to_vec() }, record.version);
    ctx.store
        .write(async move |tx| {
            responders::settle(tx, id, &state, version).await?;
            Work::SignResponder(id).done(tx).await?;
            Ok::<_, FlowError>(())
        })
        .await
}

enum Refused {
    /// Whoever signs would refuse it.
    ForGood(String),
    /// Another server may sign it.
    Here(String),
}

fn plan(ctx: &Context, ca: &IssuingCa, record: &ResponderRecord) -> Result<Planned, Refused> {
    let public_key = PublicKey::from_spki_der(&record.spki).map_err(|error| Refused::ForGood(error.to_string()))?;
    let algorithm = SignatureAlgorithm::for_issuer(public_key.algorithm());
    public_key
        .verify(algorithm, &text_to_sign(record.id, record.issuer), &record.proof)
        .map_err(|_| Refused::ForGood("the request is not signed by its key".to_owned()))?;
    let request = ResponderRequest {
        public_key: &public_key,
        serial: Serial::random(ctx.entropy.as_ref()),
        now: ctx.now(),
        lifetime: ctx.ocsp.settings.responder_life,
    };
    plan_responder(ca, request).map_err(|error| Refused::Here(error.to_string()))
}

async fn write_plan(ctx: &Context, record: ResponderRecord, planned: &Planned) -> Result<ResponderRecord, FlowError> {
    let signed = event(ctx, "system", "ocsp_responder.issue", format_args!("issuer:{}", record.issuer))
        .with("serial", planned.serial())
        .with("not_after", planned.not_after())
        .with("replica", &record.replica)
        .with("key", HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, &record.spki).as_ref()));
    let state = ResponderState::Planned { tbs: planned.tbs().to_vec() };
    let (id, version, planned) = (record.id, record.version, state.clone());
    let version = ctx
        .store
        .write(async move |tx| {
            let version = responders::settle(tx, id, &planned, version).await?;
            audit::append(tx, &signed).await?;
            Ok::<_, FlowError>(version)
        })
        .await?;
    Ok(ResponderRecord { state, version, ..record })
}

async fn refuse(ctx: &Context, record: &ResponderRecord, why: &str) -> Result<(), FlowError> {
    tracing::warn!(replica = record.replica, why, "an OCSP responder gets no certificate");
    let refused = event(ctx, "system", "ocsp_responder.refuse", format_args!("issuer:{}", record.issuer))
        .with("replica", &record.replica)
        .with("reason", why);
    let state = ResponderState::Refused { error: why.to_owned() };
    let (id, version) = (record.id, record.version);
    ctx.store
        .write(async move |tx| {
            responders::settle(tx, id, &state, version).await?;
            audit::append(tx, &refused).await?;
            Work::SignResponder(id).done(tx).await?;
            Ok::<_, FlowError>(())
        })
        .await
}

async fn find(ctx: &Context, id: ResponderId) -> Result<Option<ResponderRecord>, FlowError> {
    ctx.store.look(async move |tx| Ok::<_, FlowError>(responders::find(tx, id).await?)).await
}

async fn done(ctx: &Context, id: ResponderId) -> Result<(), FlowError> {
    ctx.store.write_held(async move |tx| Ok::<_, FlowError>(Work::SignResponder(id).done(tx).await?)).await
}
