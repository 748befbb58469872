//! Which policy is in force: the one way to put another in its place, and what is told when the new one cannot be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use pki_core::audit::AuditEvent;
use pki_core::policy::Policy;
use pki_core::time::Timestamp;
use store::audit;

use super::record::{With, event};
use super::{Context, FlowError};
use crate::telemetry::policy::Outcome;

/// What the audit events of policies are about.
const SUBJECT: &str = "policy";

/// How much of a fault is kept and told: what is wrong stands in its first lines.
const MAX_TOLD: usize = 1000;

/// The policy in force and what became of the last looks at its files.
#[derive(Debug)]
pub struct PolicyState {
    in_force: RwLock<InForce>,
    looks: Mutex<Looks>,
}

/// A policy that decides.
#[derive(Debug, Clone)]
pub struct InForce {
    /// What decides.
    pub policy: Arc<Policy>,
    /// Since when it does, here.
    pub since: Timestamp,
}

#[derive(Debug, Clone, Default)]
struct Looks {
    good_at: Option<Timestamp>,
    failure: Option<Failure>,
    audited: bool,
}

/// A policy in files that could not be put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it was first seen.
    pub at: Timestamp,
    /// What is wrong, a line a fault; long texts are cut.
    pub message: String,
    /// When a policy without a fault was seen again.
    pub over_at: Option<Timestamp>,
    key: String,
}

/// What [`put_in_force`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another policy decides now.
    Changed,
    /// The files say what is in force.
    Same,
}

impl PolicyState {
    /// In force from the beginning.
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        let looks = Looks { good_at: Some(now), ..Looks::default() };
        Self { in_force: RwLock::new(InForce { policy: Arc::new(policy), since: now }), looks: Mutex::new(looks) }
    }

    /// The policy in force.
    pub fn in_force(&self) -> InForce {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last policy in files that could not be put in force, over or not.
    pub fn last_failure(&self) -> Option<Failure> {
        self.looks().failure.clone()
    }

    /// What keeps the files from being in force now.
    pub fn fault(&self) -> Option<Failure> {
        self.last_failure().filter(|failure| failure.over_at.is_none())
    }

    /// When the files were last seen without a fault.
    pub fn good_at(&self) -> Option<Timestamp> {
        self.looks().good_at
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, policy: Policy, now: Timestamp) {
        let next = InForce { policy: Arc::new(policy), since: now };
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn mark_good(&self, now: Timestamp) {
        let mut looks = self.looks();
        looks.good_at = Some(now);
        if let Some(failure) = &mut looks.failure {
            failure.over_at.get_or_insert(now);
        }
    }

    /// Whether its audit event is still owed.
    fn mark_broken(&self, key: &str, message: &str, now: Timestamp) -> bool {
        let mut looks = self.looks();
        if looks.failure.as_ref().is_none_or(|known| known.key != key || known.over_at.is_some()) {
            let message = shorten(message);
            looks.failure = Some(Failure { at: now, message, over_at: None, key: key.to_owned() });
            looks.audited = false;
        }
        !looks.audited
    }
}

/// Records the policy that a start puts in force, if it is another one than before.
pub async fn begin(ctx: &Context) -> Result<(), FlowError> {
    let InForce { policy, since } = ctx.policies.in_force();
    let loaded = loaded(ctx, &policy, "start");
    ctx.store
        .write(async move |tx| {
            // the newest events of the subject: refusals may have come after what was last in force
            let newest = audit::newest(tx, SUBJECT, 100).await?;
            let last = newest.iter().find(|event| event.action == loaded.action);
            if last.is_none_or(|last| named(&last.details) != named(&loaded.details)) {
                audit::append(tx, &loaded).await?;
            }
            Ok::<_, FlowError>(())
        })
        .await?;
    ctx.metrics.policy.in_force(policy.revision(), commit(&policy), since);
    ctx.metrics.policy.looked(Outcome::Loaded, since);
    Ok(())
}

/// What tells one policy from another in an event.
fn named(details: &BTreeMap<String, String>) -> (Option<&String>, Option<&String>) {
    (details.get("revision"), details.get("commit"))
}

/// Puts a policy in force for every request that comes from now on; those under way are decided by the one they took. The
/// audit log knows of it first: without that nothing changes.
pub async fn put_in_force(ctx: &Context, policy: Policy) -> Result<Change, FlowError> {
    let old = ctx.policies.in_force().policy;
    let is_same = old.revision() == policy.revision() && old.commit() == policy.commit();
    if !is_same || ctx.policies.fault().is_some() {
        let loaded = loaded(ctx, &policy, "reload").with("before", old.revision());
        append(ctx, loaded).await?;
    }
    let now = ctx.now();
    ctx.policies.mark_good(now);
    if is_same {
        ctx.metrics.policy.looked(Outcome::Unchanged, now);
        return Ok(Change::Same);
    }
    ctx.metrics.policy.in_force(policy.revision(), commit(&policy), now);
    ctx.policies.replace(policy, now);
    ctx.metrics.policy.looked(Outcome::Loaded, now);
    Ok(Change::Changed)
}

/// Tells that the files hold no policy; what is in force stays. `key` tells one fault from another: the audit log gets each
/// once, however often it is looked at.
pub async fn refuse(ctx: &Context, key: &str, message: &str) -> Result<(), FlowError> {
    let now = ctx.now();
    let is_owed = ctx.policies.mark_broken(key, message, now);
    ctx.metrics.policy.looked(Outcome::Failed, now);
    if is_owed {
        let refused = event(ctx, "system", "policy.refuse", SUBJECT)
            .with("why", shorten(message))
            .with("in_force", ctx.policy().revision());
        append(ctx, refused).await?;
        ctx.policies.looks().audited = true;
    }
    Ok(())
}

/// The files are what they were at the last look.
pub fn look_again(ctx: &Context) {
    let now = ctx.now();
    if ctx.policies.fault().is_some() {
        return ctx.metrics.policy.looked(Outcome::Failed, now);
    }
    ctx.policies.mark_good(now);
    ctx.metrics.policy.looked(Outcome::Unchanged, now);
}

fn loaded(ctx: &Context, policy: &Policy, by: &str) -> AuditEvent {
    let names: Vec<&str> = policy.profiles().map(|profile| profile.name.as_str()).collect();
    event(ctx, "system", "policy.load", SUBJECT)
        .with("revision", policy.revision())
        .with("commit", commit(policy))
        .with("profiles", shorten(&names.join(" ")))
        .with("by", by)
}

fn commit(policy: &Policy) -> &str {
    policy.commit().map(pki_core::policy::Commit::as_str).unwrap_or_default()
}

async fn append(ctx: &Context, event: AuditEvent) -> Result<(), FlowError> {
    ctx.store.write(async move |tx| Ok::<_, FlowError>(audit::append(tx, &event).await?)).await
}

/// The first lines of a text, and that there are more.
fn shorten(text: &str) -> String {
    if text.len() <= MAX_TOLD {
        return text.to_owned();
    }
    let kept: String = text.char_indices().take_while(|(at, _)| *at < MAX_TOLD).map(|(_, char)| char).collect();
    let whole = kept.rsplit_once(['\n', ' ']).map_or(kept.as_str(), |(whole, _)| whole);
    format!("{whole} … and more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_faults_are_cut_between_words() {
        assert_eq!(shorten("a.yaml: no\nb.yaml: no"), "a.yaml: no\nb.yaml: no");
        let long = shorten(&"file.yaml: ünknown\n".repeat(100));
        assert!(long.len() < MAX_TOLD + 20 && long.ends_with("… and more"), "{long}");
    }
}
