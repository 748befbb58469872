//! Reads the policy again: on SIGHUP, and by looking every few seconds where that is configured.
//!
//! Looking means reading everything and comparing hashes. Notifications of the kernel are cheaper and miss what matters
//! here: changes by another machine on NFS, a ConfigMap whose symlink is turned, a bind mount whose source was replaced. A
//! folder of profiles is a few dozen kilobytes.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use pki_core::acme::challenge::ChallengeKind;
use pki_core::policy::Policy;
use tokio::signal::unix::Signal;

use super::folder::{Identity, Snapshot, Source, identity};
use super::{PolicyFolderError, check};
use crate::config::Config;
use crate::flows::policy::{self, Change};
use crate::flows::{Context, FlowError};
use crate::tasks::Tasks;

/// When a change is tried again that could not be recorded.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the policy is and how it is read.
#[derive(Debug)]
pub struct Watch {
    source: Source,
    kinds: Vec<ChallengeKind>,
    every: Option<Duration>,
    /// What was last acted upon, and done with.
    seen: Option<Identity>,
}

impl Watch {
    /// Reads what a configuration names, for the first time: a fault ends the start. The policy counts when
    /// [`Watch::confirm`] has seen that it rests.
    pub async fn begin(config: &Config) -> Result<(Self, Policy), PolicyFolderError> {
        let every = config.policies.watch.then_some(config.policies.watch_every);
        let source = Source::of(&config.policies, &config.dir);
        let mut watch = Self { source, kinds: config.validation.kinds(), every, seen: None };
        let look = watch.source.look_aside().await;
        watch.seen = Some(identity(&look));
        let policy = check(&look?, &watch.kinds)?;
        Ok((watch, policy))
    }

    /// The same policy when the files have not changed since; else what they settle on.
    pub async fn confirm(&mut self, policy: Policy) -> Result<Policy, PolicyFolderError> {
        if Some(identity(&self.source.look_aside().await)) == self.seen {
            return Ok(policy);
        }
        let settled = self.source.settle().await;
        self.seen = Some(identity(&settled));
        check(&settled?, &self.kinds)
    }

    /// Looks until shutdown.
    pub async fn run(mut self, ctx: Arc<Context>, mut hangup: Signal, tasks: Tasks) {
        let shutdown = tasks.shutdown();
        let work = async {
            loop {
                let cause = tokio::select! {
                    Some(()) = hangup.recv() => Cause::Told,
                    () = self.pause() => Cause::Clock,
                };
                self.look(&ctx, cause).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Until the next look that nobody asks for.
    async fn pause(&self) {
        match (&self.seen, self.every) {
            // what was asked for is still owed
            (None, _) => tokio::time::sleep(AGAIN).await,
            (Some(_), Some(every)) => tokio::time::sleep(every).await,
            (Some(_), None) => std::future::pending().await,
        }
    }

    /// One look, and what follows from it. What could not be recorded is tried again at the next one.
    async fn look(&mut self, ctx: &Context, cause: Cause) {
        if cause == Cause::Clock && self.seen == Some(identity(&self.source.look_aside().await)) {
            return policy::look_again(ctx);
        }
        let look = self.source.settle().await;
        let found = identity(&look);
        self.seen = match self.act(ctx, look, &found).await {
            Ok(()) => Some(found),
            Err(error) => {
                tracing::error!(%error, "the policies are not changed: that cannot be recorded; it is tried again");
                None
            }
        };
    }

    async fn act(
        &self,
        ctx: &Context,
        look: Result<Snapshot, PolicyFolderError>,
        found: &Identity,
    ) -> Result<(), FlowError> {
        match self.check_aside(look).await {
            Ok(policy) => {
                let revision = policy.revision().to_owned();
                match policy::put_in_force(ctx, policy).await? {
                    Change::Changed => tracing::info!(revision, "policies were read again"),
                    Change::Same => tracing::info!(revision, "policies were read again: they say what they said"),
                }
            }
            Err(error) => {
                tracing::error!(%error, "the policies are not changed: the new ones have faults");
                policy::refuse(ctx, &key(found), &error.to_string()).await?;
            }
        }
        Ok(())
    }

    /// Many profiles take a while to understand: requests are not held up by it.
    async fn check_aside(&self, look: Result<Snapshot, PolicyFolderError>) -> Result<Policy, PolicyFolderError> {
        let (snapshot, kinds) = (look?, self.kinds.clone());
        let checked = tokio::task::spawn_blocking(move || check(&snapshot, &kinds)).await;
        checked.unwrap_or_else(|gone| {
            Err(PolicyFolderError::Invalid(vec![format!("the policies cannot be read: {gone}")]))
        })
    }
}

/// Why the files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// SIGHUP.
    Told,
    /// It is time.
    Clock,
}

/// Tells one fault from another.
fn key(found: &Identity) -> String {
    match found {
        Identity::Files(digest, _) => HEXLOWER.encode(digest),
        Identity::Unreadable(why) => why.clone(),
    }
}
