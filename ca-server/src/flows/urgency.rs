//! How urgent an order is, when not all can be served: what ends first goes first.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki_core::admission::Rank;
use pki_core::ids::Serial;
use pki_core::issuance::record::CertificateRecord;
use store::certificates;

use super::authenticate::AccountRequest;
use super::{Context, FlowError};

/// By the certificate that the order names as replaced (RFC 9773 section 5), if it is of the same account or device; else
/// by the newest one of the account's device, which an order of that device replaces in all likelihood.
pub async fn of_order(ctx: &Context, request: &AccountRequest, replaces: Option<&str>) -> Result<Rank, FlowError> {
    let (account, device) = (request.account().id, request.device());
    let (of_device, profile) = (device.map(|device| device.id), device.map(|device| device.profile.clone()));
    let (issuer, serial) = (ctx.issuing.id, replaces.and_then(serial));
    let is_own = move |found: &CertificateRecord| {
        found.account == Some(account) || of_device.is_some() && found.device == of_device
    };
    let found = ctx
        .store
        .read(async move |tx| {
            if let Some(serial) = &serial
                && let Some(named) = certificates::find_by_serial(tx, issuer, serial).await?.filter(is_own)
            {
                return Ok(Some(named));
            }
            match (of_device, &profile) {
                (Some(device), Some(profile)) => Ok(certificates::latest_for_device(tx, device, profile).await?),
                _ => Ok::<_, FlowError>(None),
            }
        })
        .await?;
    Ok(found.map_or(Rank::Fresh, |replaced| Rank::Replacing(replaced.not_after)))
}

/// The serial number in a certificate identifier (RFC 9773 section 4.1).
fn serial(replaces: &str) -> Option<Serial> {
    let (_, serial) = replaces.split_once('.').filter(|_| replaces.len() < 100)?;
    Serial::from_octets(&URL_SAFE_NO_PAD.decode(serial).ok()?).ok()
}
