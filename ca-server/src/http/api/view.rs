//! Records in the form of the JSON API.

use api::acme::IdentifierObject;
use api::admin::{
    AuditView, CertificateState as CertificateStateView, CertificateView, CrlView, DeviceState as DeviceStateView,
    DeviceView, EabState, EabView, EnrolmentConflict, PolicyFailureView, PolicyView, ProfileView,
};
use data_encoding::HEXLOWER;
use pki_core::audit::AuditEvent;
use pki_core::device::{Device, DeviceState, EabKey, EabKeyState};
use pki_core::issuance::record::{CertificateRecord, CertificateState};
use pki_core::policy::profile::Profile;
use pki_core::time::Timestamp;
use pki_core::x509::pem;
use ring::digest::{SHA256, digest};

use super::super::wire;
use crate::flows::Context;
use crate::flows::crl::{self, Published};
use crate::flows::inventory::Listed;
use crate::flows::policy::{InForce, PolicyState};

/// Rows of one page.
pub(super) fn limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(200).clamp(1, 1000)
}

/// Where the next page begins, when this one is full.
pub(super) fn next<T>(items: &[T], limit: u32, cursor: impl Fn(&T) -> String) -> Option<String> {
    if items.len() < usize::try_from(limit).unwrap_or(usize::MAX) { None } else { items.last().map(cursor) }
}

pub(super) fn hex(octets: &[u8]) -> String {
    HEXLOWER.encode(octets)
}

pub(super) fn sha256(der: &[u8]) -> String {
    hex(digest(&SHA256, der).as_ref())
}

pub(super) fn device(device: &Device, newest: Option<&CertificateRecord>) -> DeviceView {
    let (state, since) = match device.state {
        DeviceState::Registered => (DeviceStateView::Registered, None),
        DeviceState::Enrolled { at } => (DeviceStateView::Enrolled, Some(at)),
        DeviceState::Retired { at } => (DeviceStateView::Retired, Some(at)),
        DeviceState::Compromised { at } => (DeviceStateView::Compromised, Some(at)),
    };
    DeviceView {
        id: device.id.to_string(),
        name: device.name.to_string(),
        site: device.site.to_string(),
        profile: device.profile.to_string(),
        dns: device.dns.iter().map(ToString::to_string).collect(),
        ips: device.ips.iter().map(ToString::to_string).collect(),
        labels: device.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        state,
        created_at: device.created_at.rfc3339(),
        state_since: since.map(Timestamp::rfc3339),
        last_seen_at: device.last_seen_at.map(Timestamp::rfc3339),
        certificate_until: newest.filter(|record| !is_revoked(record)).map(|record| record.not_after.rfc3339()),
        conflicts: Vec::new(),
    }
}

/// One that was taken back certifies nobody, whatever its end.
fn is_revoked(record: &CertificateRecord) -> bool {
    matches!(record.state, CertificateState::Revoked { .. })
}

pub(super) fn conflict(event: &AuditEvent) -> EnrolmentConflict {
    let detail = |name: &str| event.details.get(name).cloned().unwrap_or_default();
    EnrolmentConflict { at: event.at.rfc3339(), kid: detail("eab_key"), offered_key: detail("offered_key") }
}

pub(super) fn certificate(listed: &Listed, now: Timestamp, with_pem: bool) -> CertificateView {
    let record = &listed.record;
    let (state, revocation) = match &record.state {
        CertificateState::Planned { .. } => (CertificateStateView::Planned, None),
        CertificateState::Issued { .. } if record.not_after < now => (CertificateStateView::Expired, None),
        CertificateState::Issued { .. } => (CertificateStateView::Issued, None),
        CertificateState::Revoked { revocation, .. } => (CertificateStateView::Revoked, Some(revocation)),
    };
    let identifiers = record.identifiers.iter().map(wire::identifier).collect::<Vec<IdentifierObject>>();
    let event = listed.revoked.as_ref().and_then(|revoked| revoked.event.as_ref());
    let detail = |name: &str| event.and_then(|event| event.details.get(name)).filter(|text| !text.is_empty()).cloned();
    let first_crl = listed.revoked.as_ref().and_then(|revoked| revoked.first_crl);
    CertificateView {
        id: record.id.to_string(),
        serial: record.serial.to_string(),
        issuer: record.issuer.to_string(),
        profile: record.profile.to_string(),
        policy_revision: record.policy_revision.clone(),
        policy_commit: record.policy_commit.as_ref().map(ToString::to_string),
        identifiers,
        not_before: record.not_before.rfc3339(),
        not_after: record.not_after.rfc3339(),
        state,
        revoked_at: revocation.map(|revocation| revocation.at.rfc3339()),
        reason: revocation.and_then(|revocation| revocation.reason).map(|reason| reason.name().to_owned()),
        revoked_by: event.map(|event| event.actor.clone()),
        comment: detail("comment"),
        revoked_with: detail("with"),
        first_crl: first_crl.map(|crl| crl.number),
        first_crl_at: first_crl.map(|crl| crl.at.rfc3339()),
        device: listed.device.as_ref().map(ToString::to_string),
        account: record.account.map(|id| id.to_string()),
        source: record.source.as_str().to_owned(),
        sha256: record.state.der().map(sha256),
        spki_sha256: hex(&record.spki_sha256),
        confirmed_at: record.confirmed_at.map(Timestamp::rfc3339),
        pem: record.state.der().filter(|_| with_pem).map(|der| pem::encode("CERTIFICATE", der)),
    }
}

pub(super) fn eab_key(key: &EabKey, now: Timestamp) -> EabView {
    let (state, account) = match &key.state {
        EabKeyState::Unused { .. } if key.expires_at.is_some_and(|end| end <= now) => (EabState::Expired, None),
        EabKeyState::Unused { .. } => (EabState::Unused, None),
        EabKeyState::Bound { account, .. } => (EabState::Bound, Some(account.to_string())),
        EabKeyState::Revoked { .. } => (EabState::Revoked, None),
    };
    EabView {
        kid: key.id.to_string(),
        state,
        device: key.device.map(|id| id.to_string()),
        account,
        created_at: key.created_at.rfc3339(),
        expires_at: key.expires_at.map(Timestamp::rfc3339),
    }
}

pub(super) fn policy(state: &PolicyState) -> PolicyView {
    let InForce { policy, since } = state.in_force();
    PolicyView {
        revision: policy.revision().to_owned(),
        commit: policy.commit().map(ToString::to_string),
        since: since.rfc3339(),
        last_success: state.good_at().map(Timestamp::rfc3339),
        last_failure: state.last_failure().map(|failure| PolicyFailureView {
            at: failure.at.rfc3339(),
            message: failure.message,
            over: failure.over_at.map(Timestamp::rfc3339),
        }),
    }
}

pub(super) fn profile(profile: &Profile, revision: &str) -> ProfileView {
    let usages = profile.extended_key_usage.iter().map(|usage| usage.as_str());
    let keys = [
        profile.keys.ecdsa.then(|| "ecdsa".to_owned()),
        profile.keys.ed25519.then(|| "ed25519".to_owned()),
        profile.keys.rsa_min_bits.map(|bits| format!("rsa of {bits} bits or more")),
    ];
    ProfileView {
        name: profile.name.to_string(),
        description: profile.description.clone(),
        enabled: profile.enabled,
        binding: profile.binding.as_str().to_owned(),
        role: profile.role.map(|role| role.as_str().to_owned()),
        rules: profile.identifiers.rules().iter().map(ToString::to_string).collect(),
        extended_key_usage: usages.map(str::to_owned).collect(),
        lifetime_seconds: profile.lifetime.as_secs(),
        backdate_seconds: profile.backdate.as_secs(),
        renew_at_permille: profile.renew_at_permille,
        grace_seconds: profile.grace.as_secs(),
        dns_exact: profile.identifiers.dns_exact().map(ToString::to_string).collect(),
        dns_suffix: profile.identifiers.dns_suffix().map(ToString::to_string).collect(),
        wildcards: profile.identifiers.wildcards(),
        ip: profile.identifiers.networks().map(ToString::to_string).collect(),
        keys: keys.into_iter().flatten().collect(),
        challenges: profile.challenges.iter().map(|kind| kind.as_str().to_owned()).collect(),
        policy_revision: revision.to_owned(),
    }
}

pub(super) fn event(event: &AuditEvent) -> AuditView {
    AuditView {
        id: event.id.to_string(),
        number: None,
        at: event.at.rfc3339(),
        actor: event.actor.clone(),
        action: event.action.clone(),
        subject: event.subject.clone(),
        details: event.details.clone(),
    }
}

pub(super) fn crl(ctx: &Context, list: &Published) -> CrlView {
    let record = &list.record;
    CrlView {
        issuer: record.issuer.to_string(),
        shard: record.shard,
        number: record.number,
        this_update: record.this_update.rfc3339(),
        next_update: record.next_update.rfc3339(),
        entries: record.entries,
        url: crl::url(ctx, list),
        age_seconds: Some(ctx.now().since(record.this_update).as_secs()),
        covers: Some(record.covers),
        bytes: Some(u64::try_from(list.full.der().len()).unwrap_or(u64::MAX)),
        sha256: Some(list.sha256.clone()),
        delta_entries: list.delta.as_ref().map(|delta| u64::try_from(delta.entry_count()).unwrap_or(u64::MAX)),
    }
}
