//! Which certificates in force could not be had again under another policy. Reads the database page by page, and changes
//! nothing; the CA need not run, and may.

use std::collections::BTreeMap;

use pki_core::device::Device;
use pki_core::ids::{CertificateId, DeviceId, DeviceName, ProfileName, Serial};
use pki_core::policy::Policy;
use pki_core::policy::decide::{Request, Requester};
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::name::Identifier;
use store::Store;
use store::certificates::holdings::{self, Holding, Holdings};

use super::FlowError;

/// Certificates of one look at the database.
const PAGE: u32 = 2000;

/// A certificate that could not be renewed.
#[derive(Debug)]
pub struct Unrenewable {
    /// The device that holds it.
    pub device: Option<DeviceName>,
    /// The profile it was issued by.
    pub profile: ProfileName,
    /// Its serial number.
    pub serial: Serial,
    /// Its names.
    pub identifiers: Vec<Identifier>,
    /// Its last second.
    pub not_after: Timestamp,
    /// The rule that denies it.
    pub rule: &'static str,
    /// Why, for people.
    pub detail: String,
    /// Whether the old policy denies it already.
    pub is_denied_already: bool,
}

/// About how many certificates there are to look at, and at most.
pub async fn count(store: &Store, now: Timestamp) -> Result<u64, FlowError> {
    store.scan(async move |tx| Ok(holdings::count(tx, now).await?)).await
}

/// Asks of every certificate in force whether its holder could have it again; the number of those asked about. `tell` hears
/// of each page: how many it had, and which of them could not be renewed.
pub async fn look(
    store: &Store,
    old: &Policy,
    new: &Policy,
    now: Timestamp,
    mut tell: impl FnMut(u64, Vec<Unrenewable>),
) -> Result<u64, FlowError> {
    // certificates are large, and say of their holders nothing but the key
    let with_der = new.refuses_keys_of(old);
    let (mut after, mut asked): (Option<CertificateId>, u64) = (None, 0);
    loop {
        let page = store.scan(async move |tx| holdings::page(tx, now, after, with_der, PAGE).await).await?;
        let Some(last) = page.certificates.last() else { return Ok(asked) };
        after = Some(last.id);
        let Holdings { certificates, devices } = page;
        let read = u64::try_from(certificates.len()).unwrap_or(u64::MAX);
        let ours = certificates.into_iter().filter(|holding| is_asked_for(holding, old, new));
        let mut found = Vec::new();
        for holding in ours {
            asked += 1;
            found.extend(judge(holding, &devices, old, new));
        }
        tell(read, found);
    }
}

/// The CA's own certificate is of a profile that no file holds.
fn is_asked_for(holding: &Holding, old: &Policy, new: &Policy) -> bool {
    let is_nobodys = holding.account.is_none() && holding.device.is_none();
    !is_nobodys || old.profile(&holding.profile).is_some() || new.profile(&holding.profile).is_some()
}

fn judge(holding: Holding, devices: &BTreeMap<DeviceId, Device>, old: &Policy, new: &Policy) -> Option<Unrenewable> {
    let device = holding.device.and_then(|id| devices.get(&id));
    let requester = match (device, holding.account) {
        (Some(device), _) => Requester::Bound { device: Some(device) },
        (None, Some(_)) if holding.is_bound => Requester::Bound { device: None },
        (None, Some(_)) => Requester::Unbound,
        (None, None) => Requester::Administrator,
    };
    let key = holding.der.as_deref().and_then(|der| Certificate::parse(der).ok());
    let key = key.map(|certificate| certificate.public_key().algorithm());
    let request = Request { profile: &holding.profile, identifiers: &holding.identifiers, key, requester, held: None };
    let denial = new.denies_renewal(&request)?;
    let is_denied_already = old.denies_renewal(&request).is_some();
    Some(Unrenewable {
        device: device.map(|device| device.name.clone()),
        rule: denial.rule,
        detail: denial.detail,
        is_denied_already,
        profile: holding.profile,
        serial: holding.serial,
        identifiers: holding.identifiers,
        not_after: holding.not_after,
    })
}
