//! The CA's own TLS certificate: issued by itself, like any other, under a profile that no request can reach.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pki_core::ids::{CertificateId, LineageId, Serial, SiteName};
use pki_core::issuance::plan::{PlanRequest, Planned, plan};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Source};
use pki_core::policy::Policy;
use pki_core::policy::decide::{Approved, Request, Requester};
use pki_core::policy::document::{
    API_VERSION, DnsRule, Identifiers, KIND, Keys, Metadata, ProfileDocument, Renewal, Requires, Spec, Usage,
};
use pki_core::x509::key::PublicKey;
use pki_core::x509::name::Identifier;

use super::{Context, FlowError, issue};

/// Issues a certificate for the CA's own names; the answer is the chain in PEM.
pub async fn issue(ctx: &Context, names: &[Identifier], key: &PublicKey) -> Result<String, FlowError> {
    let policy = own_policy(names)?;
    let profile =
        policy.profiles().next().ok_or_else(|| FlowError::Internal("the CA's own profile is gone".to_owned()))?;
    let asked = Request {
        profile: &profile.name,
        identifiers: names,
        key: Some(key.algorithm()),
        requester: Requester::Administrator,
        held: None,
    };
    let approved = policy.decide(&asked).map_err(|denial| FlowError::Internal(denial.to_string()))?;
    let now = ctx.now();
    let serial = Serial::random(ctx.entropy.as_ref());
    let request = PlanRequest {
        approved: &approved,
        public_key: key,
        common_name: None,
        shard: ctx.crls.shard_of(&serial),
        serial,
        now,
        not_before: None,
        not_after: None,
    };
    let planned = plan(&ctx.issuing, request)
        .map_err(|error| FlowError::Internal(format!("the CA's own TLS certificate cannot be planned: {error}")))?;
    let record = describe(ctx, names, key, &planned, &approved, policy.revision());
    let recorded = issue::record(ctx, record, None, None, approved.profile().limits, "system").await?;
    let finished = issue::finish(ctx, recorded).await?;
    let der = finished
        .certificate
        .state
        .der()
        .ok_or_else(|| FlowError::Internal("the CA's own certificate is missing".to_owned()))?;
    Ok(super::certificate::chain_pem(ctx, der))
}

/// The row that remembers the certificate.
fn describe(
    ctx: &Context,
    names: &[Identifier],
    key: &PublicKey,
    planned: &Planned,
    approved: &Approved,
    revision: &str,
) -> CertificateRecord {
    let now = ctx.now();
    CertificateRecord {
        id: CertificateId::new(now, ctx.entropy.as_ref()),
        issuer: ctx.issuing.id,
        serial: planned.serial().clone(),
        site: SiteName::home(),
        device: None,
        account: None,
        order: None,
        source: Source::Api,
        profile: approved.profile().name.clone(),
        policy_revision: revision.to_owned(),
        // its profile is part of the program
        policy_commit: None,
        epoch: ctx.epoch,
        identifiers: names.to_vec(),
        spki_sha256: key.spki_sha256(),
        not_before: planned.not_before(),
        not_after: planned.not_after(),
        lineage: LineageId::new(now, ctx.entropy.as_ref()),
        generation: 1,
        predecessor: None,
        confirmed_at: None,
        shard: ctx.crls.shard_of(planned.serial()),
        crl_urls: planned.crl_urls().to_vec(),
        state: CertificateState::Planned { tbs: planned.tbs().to_vec() },
        created_at: now,
        version: 1,
    }
}

/// Exactly these names, for a month: the CA renews itself while it runs and when it starts.
/// A policy of one profile, for the CA's own names. It is no file's, and what it allows nobody else can ask for.
pub(crate) fn own_policy(names: &[Identifier]) -> Result<Policy, FlowError> {
    Policy::from_documents(vec![("the CA's own profile".to_owned(), own_profile(names))])
        .map_err(|errors| FlowError::Internal(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

fn own_profile(names: &[Identifier]) -> ProfileDocument {
    let dns = names.iter().filter_map(|name| match name {
        Identifier::Dns(name) => Some(DnsRule::exact(name.as_str())),
        _ => None,
    });
    let ip = names.iter().filter_map(|name| match name {
        Identifier::Ip(IpAddr::V4(address)) => Some(format!("{address}/32")),
        Identifier::Ip(IpAddr::V6(address)) => Some(format!("{address}/128")),
        _ => None,
    });
    ProfileDocument {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        metadata: Metadata {
            name: "ca-server".to_owned(),
            description: "The CA's own TLS certificate".to_owned(),
            accepts: BTreeMap::new(),
        },
        spec: Spec {
            enabled: true,
            issuer: None,
            templates: BTreeMap::new(),
            identifiers: Identifiers { dns: dns.collect(), ip: ip.collect(), ..Identifiers::default() },
            keys: Keys::default(),
            usage: Usage { extended_key_usage: vec!["serverAuth".to_owned()], key_usage: Vec::new() },
            common_name: false,
            subject: None,
            lifetime: "30d".to_owned(),
            backdate: "1h".to_owned(),
            renewal: Renewal { at: 0.5, grace: "1d".to_owned(), window: None },
            requires: Requires {
                binding: "none".to_owned(),
                challenges: vec!["http-01".to_owned()],
                role: None,
                approval: false,
            },
            limits: None,
            revocation: None,
            ca: None,
        },
    }
}
