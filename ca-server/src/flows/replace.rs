//! Which certificate an order replaces (RFC 9773 section 5), and whether another has done so already.

use pki_core::acme::order::{Order, OrderedIdentifier, Replaces};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::acme::renewal_info::CertificateName;
use pki_core::ids::{CertificateId, IssuerId};
use pki_core::issuance::record::{CertificateRecord, CertificateState};
use pki_core::x509::certificate::Certificate;
use pki_core::x509::csr::Csr;
use store::{Tx, certificates, issuers, orders};

use super::authenticate::AccountRequest;
use super::{Context, FlowError};

/// More successors of one certificate than are looked at: a device that got so many has other problems.
const MOST_SUCCESSORS: u32 = 20;

/// Finds the certificate that `replaces` names (ARI-4). A certificate of somebody else and one that this CA never issued
/// are refused alike; clients then order without naming it.
pub(super) async fn find(
    ctx: &Context,
    request: &AccountRequest,
    as_sent: String,
    identifiers: &[OrderedIdentifier],
) -> Result<Replaces, FlowError> {
    let name: CertificateName = as_sent.parse().map_err(|_| malformed("it is not the name of a certificate"))?;
    let found = by_name(ctx, &name).await?.filter(|record| is_own(request, record));
    let record = found.ok_or_else(|| malformed("this account has no such certificate"))?;
    if !identifiers.iter().any(|ordered| record.identifiers.contains(&ordered.identifier)) {
        return Err(malformed("that certificate has none of the names of this order"));
    }
    Ok(Replaces { certificate: record.id, as_sent, not_after: record.not_after })
}

fn malformed(why: &str) -> FlowError {
    let detail = format!("`replaces` is refused: {why}; order without it, or name a certificate of this account");
    FlowError::problem(ProblemKind::Malformed, detail)
}

/// Of this account, or of the device it is bound to: a device that was let in again has another account.
fn is_own(request: &AccountRequest, record: &CertificateRecord) -> bool {
    let device = request.device().map(|device| device.id);
    record.account == Some(request.account().id) || device.is_some() && record.device == device
}

/// The certificate of a name, once it is signed.
pub(super) async fn by_name(ctx: &Context, name: &CertificateName) -> Result<Option<CertificateRecord>, FlowError> {
    let own =
        (ctx.issuing.certificate.subject_key_identifier() == Some(name.authority_key())).then_some(ctx.issuing.id);
    let name = name.clone();
    ctx.store
        .look(async move |tx| {
            let issuer = match own {
                Some(issuer) => Some(issuer),
                None => issuer_of(tx, &name).await?,
            };
            let Some(issuer) = issuer else { return Ok(None) };
            let found = certificates::find_by_serial(tx, issuer, name.serial()).await?;
            Ok::<_, FlowError>(found.filter(|record| record.state.der().is_some()))
        })
        .await
}

/// An issuing key of before: there are a handful in the life of a CA.
async fn issuer_of(tx: &mut Tx<'_>, name: &CertificateName) -> Result<Option<IssuerId>, FlowError> {
    for issuer in issuers::list(tx).await? {
        for certificate in issuers::list_certificates(tx, issuer.id).await? {
            let read = Certificate::parse(&certificate.der);
            if read.is_ok_and(|read| read.subject_key_identifier() == Some(name.authority_key())) {
                return Ok(Some(issuer.id));
            }
        }
    }
    Ok(None)
}

/// Refuses a second replacement, in the transaction that would begin it. A device's successor counts when the device was
/// seen using it: until then a power cut may have lost it (ARI-4).
pub(super) async fn require_free(tx: &mut Tx<'_>, order: &Order, is_device: bool) -> Result<(), FlowError> {
    let Some(replaces) = &order.replaces else { return Ok(()) };
    let successors = certificates::successors(tx, replaces.certificate, MOST_SUCCESSORS).await?;
    let is_taken = match is_device {
        true => successors.iter().any(|successor| successor.confirmed_at.is_some()),
        false => {
            !successors.is_empty()
                || orders::find_replacing(tx, replaces.certificate, order.created_at).await?.is_some()
        }
    };
    if !is_taken {
        return Ok(());
    }
    let detail =
        "the certificate that `replaces` names was replaced by another order already; order without `replaces`";
    Err(Problem::new(ProblemKind::AlreadyReplaced, detail).into())
}

/// The successors of what an order replaces that its device was not seen using, the newest first.
pub(super) async fn unconfirmed(tx: &mut Tx<'_>, replaced: CertificateId) -> Result<Vec<CertificateRecord>, FlowError> {
    let mut successors = certificates::successors(tx, replaced, MOST_SUCCESSORS).await?;
    successors.retain(|successor| successor.confirmed_at.is_none());
    Ok(successors)
}

/// The successor that has what this order and its CSR ask for already: the same key and names, by the same profile and
/// account.
pub(super) fn same_again<'a>(
    order: &Order,
    csr: &Csr,
    successors: &'a [CertificateRecord],
) -> Option<&'a CertificateRecord> {
    let mut names: Vec<_> = order.identifiers.iter().map(|ordered| &ordered.identifier).chain(csr.further()).collect();
    names.sort();
    let spki_sha256 = csr.public_key().spki_sha256();
    successors.iter().find(|successor| {
        let mut theirs: Vec<_> = successor.identifiers.iter().collect();
        theirs.sort();
        matches!(successor.state, CertificateState::Issued { .. })
            && successor.spki_sha256 == spki_sha256
            && successor.account == Some(order.account)
            && successor.profile == order.profile
            && theirs == names
    })
}
