//! Sets of certificates to be revoked, and what is revoked.

use std::sync::Arc;

use api::admin::{
    Page, RevocationQuery, RevocationView, RunRequest, RunView, SetDevice, SetGroup, SetPlan, SetRequest,
};
use axum::Json;
use axum::extract::{Query, State};
use pki_core::acme::problem::ProblemKind;
use pki_core::revocation::Reason;
use pki_core::revocation::selection::Selection;

use super::super::{Http, HttpError};
use super::{Administrator, Body, parse, view};
use crate::flows::revoke::plan::{self, Aim, Fate, Order, Plan};
use crate::flows::revoke::report::{self, Told};
use crate::flows::revoke::set::{self, BatchRequest};

pub(super) async fn plan(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Body(request): Body<SetRequest>,
) -> Result<Json<SetPlan>, HttpError> {
    let order = order(&request.selection, request.reason.as_deref(), request.release)?;
    let text = order.selection.to_string();
    let plan = plan::plan(&http.ctx, order, request.count).await?;
    Ok(Json(show(text, &plan)))
}

fn show(selection: String, plan: &Plan) -> SetPlan {
    let affected = plan.groups.iter().filter(|group| group.fate == Fate::Affected);
    let devices = plan.devices.iter();
    SetPlan {
        selection,
        affected: plan.count(Fate::Affected),
        already: plan.count(Fate::Already),
        kept: plan.count(Fate::Kept),
        under_way: plan.count(Fate::Planned),
        expired: plan.count(Fate::Expired),
        everything: plan.is_everything,
        groups: affected
            .map(|group| SetGroup {
                site: group.site.to_string(),
                profile: group.profile.to_string(),
                count: group.count,
            })
            .collect(),
        devices: devices
            .map(|(name, count)| SetDevice { name: name.as_ref().map(ToString::to_string), count: *count })
            .collect(),
        device_count: plan.holders,
        up_to: plan.up_to.map(|id| id.to_string()),
        set: plan.begun.as_ref().map(|begun| begun.id.to_string()),
        begun: plan.begun.as_ref().map(|begun| begun.at.rfc3339()),
    }
}

pub(super) async fn run(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Body(request): Body<RunRequest>,
) -> Result<Json<RunView>, HttpError> {
    let actor = who.actor();
    let wanted = BatchRequest {
        order: order(&request.selection, request.reason.as_deref(), request.release)?,
        comment: request.comment.as_deref(),
        actor: &actor,
        up_to: parse(&request.up_to, "upTo")?,
        count: request.count,
        set: request.set.as_deref().map(|set| parse(set, "set")).transpose()?,
        after: request.after.as_deref().map(|after| parse(after, "after")).transpose()?,
    };
    let batch = set::run(&http.ctx, wanted).await?;
    let done = u64::try_from(batch.done).unwrap_or(u64::MAX);
    let (revoked, released) = if request.release { (0, done) } else { (done, 0) };
    Ok(Json(RunView {
        set: batch.set.to_string(),
        revoked,
        released,
        next: batch.after.map(|id| id.to_string()),
        under_way: batch.planned,
    }))
}

pub(super) async fn list(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Query(query): Query<RevocationQuery>,
) -> Result<Json<Page<RevocationView>>, HttpError> {
    let limit = view::limit(query.limit);
    let after = query.cursor.as_deref().map_or(Ok(0), |cursor| parse(cursor, "cursor"))?;
    let selection = query.selection.as_deref().map_or_else(|| Ok(Selection::default()), selection)?;
    let told = report::list(&http.ctx, selection, after, limit).await?;
    let next = view::next(&told, limit, |told| told.reported.number.to_string());
    Ok(Json(Page { items: told.iter().map(revocation).collect(), next }))
}

fn revocation(told: &Told) -> RevocationView {
    let reported = &told.reported;
    let detail = |name: &str| told.event.as_ref().and_then(|event| event.details.get(name)).cloned();
    RevocationView {
        number: reported.number,
        serial: reported.serial.to_string(),
        issuer: reported.issuer.to_string(),
        site: reported.site.to_string(),
        profile: reported.profile.to_string(),
        names: reported.identifiers.iter().map(|name| name.value()).collect(),
        device: reported.device.as_ref().map(ToString::to_string),
        not_after: reported.not_after.rfc3339(),
        revoked_at: reported.revocation.at.rfc3339(),
        reason: reported.revocation.reason.map(|reason| reason.name().to_owned()),
        by: told.event.as_ref().map(|event| event.actor.clone()),
        comment: detail("comment"),
        with: detail("with"),
        first_crl: reported.first_crl.map(|crl| crl.number),
        first_crl_at: reported.first_crl.map(|crl| crl.at.rfc3339()),
    }
}

fn order(text: &str, name: Option<&str>, release: bool) -> Result<Order, HttpError> {
    let aim = match (release, name) {
        (true, Some(_)) => {
            return Err(HttpError::new(ProblemKind::Malformed, "a release takes no `reason`"));
        }
        (true, None) => Aim::Release,
        (false, name) => Aim::Revoke(reason(name)?),
    };
    Ok(Order { selection: selection(text)?, aim })
}

fn selection(text: &str) -> Result<Selection, HttpError> {
    Selection::parse(text).map_err(|error| HttpError::new(ProblemKind::Malformed, format!("where: {error}")))
}

/// A reason by its name, for whoever may give any.
pub(super) fn reason(name: Option<&str>) -> Result<Option<Reason>, HttpError> {
    let Some(name) = name else { return Ok(None) };
    Reason::from_name(name).map(Some).ok_or_else(|| {
        let detail = format!(
            "`{name}` is not a reason of RFC 5280: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, \
             cessationOfOperation, certificateHold, privilegeWithdrawn"
        );
        HttpError::new(ProblemKind::BadRevocationReason, detail)
    })
}
