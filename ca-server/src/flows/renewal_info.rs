//! Renewal information (RFC 9773 section 4), and having all certificates of an issuer replaced.

use std::time::Duration;

use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::acme::renewal_info::{BadCertificateName, CertificateName};
use pki_core::issuance::record::CertificateRecord;
use pki_core::renewal::window::{self, Replacement, Window};
use store::audit;
use store::issuers::{self, IssuerState};

use super::record::{With, event};
use super::{Context, FlowError, replace};

/// What a client is told about one certificate.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// When to renew.
    pub window: Window,
    /// When to ask again.
    pub ask_again_after: Duration,
}

/// The advice for the certificate of this name; anybody may ask (ARI-1).
pub async fn advise(ctx: &Context, name: &str) -> Result<Advice, FlowError> {
    let name: CertificateName = name.parse().map_err(BadCertificateName::problem)?;
    let found = replace::by_name(ctx, &name).await?;
    let record = found.ok_or_else(|| FlowError::not_found("certificate"))?;
    let of_profile = ctx.policy().profile(&record.profile).and_then(|profile| profile.renewal_window);
    let window = window::suggest(&record, of_profile, replacement(ctx, &record).await?);
    Ok(Advice { window, ask_again_after: window::ask_again_after(&record, ctx.now()) })
}

/// Whether the certificates of its issuer are to be replaced. Those of an issuer that signs no more are, at once, when
/// nobody said how fast.
async fn replacement(ctx: &Context, record: &CertificateRecord) -> Result<Option<Replacement>, FlowError> {
    let id = record.issuer;
    let issuer = ctx.store.look(async move |tx| Ok::<_, FlowError>(issuers::find(tx, id).await?)).await?;
    let Some(issuer) = issuer else { return Ok(None) };
    let made = record.created_at + Duration::from_secs(1);
    let at_once = Replacement { from: made, until: made };
    Ok(issuer.replacement.or_else(|| (issuer.state != IssuerState::Active).then_some(at_once)))
}

/// Has every certificate that the issuing key has signed until now replaced, spread over `within` (ARI-3).
pub async fn replace_all(
    ctx: &Context,
    within: Duration,
    comment: Option<&str>,
    actor: &str,
) -> Result<Replacement, FlowError> {
    if within > Duration::from_secs(90 * 86_400) {
        let detail = "renewals can be spread over 90 days at most";
        return Err(Problem::new(ProblemKind::Malformed, detail).into());
    }
    let (now, issuer) = (ctx.now(), ctx.issuing.id);
    let replacement = Replacement { from: now, until: now + within };
    let asked = event(ctx, actor, "certificate.replace-all", format_args!("issuer:{issuer}"))
        .with("until", replacement.until)
        .with("comment", comment.unwrap_or_default());
    ctx.store
        .write(async move |tx| {
            issuers::set_replacement(tx, issuer, Some(replacement)).await?;
            audit::append(tx, &asked).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(replacement)
}
