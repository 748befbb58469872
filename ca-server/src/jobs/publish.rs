//! Publishes revocation lists: soon after a revocation, and by the clock. Every replica looks; the one that is told of the
//! revocation is the first to act, and whoever is late finds another number in the place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pki_core::ids::IssuerId;
use tokio::time::Instant;

use crate::flows::Context;
use crate::flows::crl::{self, Occasion};
use crate::tasks::Tasks;
use crate::telemetry::crl::Part;

/// How often the database is looked at when nothing wakes the publisher.
const LOOK: Duration = Duration::from_secs(1);

/// What is revoked within so long of each other comes onto one list. A publication that takes longer is followed by as long
/// a pause: revocations that never end must not keep a core busy.
const GATHER: Duration = Duration::from_millis(150);

/// How long a replica leaves a revocation to the one it was made at.
const OTHERS: Duration = Duration::from_secs(2);

/// The longest pause after a publication that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Pace {
    /// When the last publication has rested as long as it took.
    rested_at: Option<Instant>,
    /// Since when this process knows of what another one was told of.
    seen: BTreeMap<IssuerId, Instant>,
    /// Issuers whose lists could not be published.
    failing: BTreeMap<IssuerId, Failing>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    times: u32,
    again_at: Instant,
}

impl Pace {
    /// When what was revoked now is to be published.
    fn next(&self) -> Instant {
        let gathered = Instant::now() + GATHER;
        self.rested_at.map_or(gathered, |rested_at| rested_at.max(gathered))
    }

    /// How long to leave an issuer alone after one more failure.
    fn failed(&mut self, issuer: IssuerId) -> Duration {
        let times = self.failing.get(&issuer).map_or(1, |failing| failing.times.saturating_add(1));
        let pause = Duration::from_secs(1 << times.min(5)).min(LONGEST_PAUSE);
        self.failing.insert(issuer, Failing { times, again_at: Instant::now() + pause });
        pause
    }
}

/// Runs until shutdown.
pub async fn run(ctx: Arc<Context>, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    let mut pace = Pace::default();
    let mut is_told = true;
    loop {
        turn(&ctx, &mut pace, is_told).await;
        is_told = tokio::select! {
            () = ctx.crls.wake.notified() => true,
            () = tokio::time::sleep(LOOK) => false,
            () = shutdown.cancelled() => return,
        };
        if is_told {
            tokio::select! {
                () = tokio::time::sleep_until(pace.next()) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}

async fn turn(ctx: &Context, pace: &mut Pace, is_told: bool) {
    let due = match crl::look(ctx).await {
        Ok(due) => due,
        Err(error) => {
            // told once; the next look is soon
            return crl::report(ctx, Part::Publish, None, Err(error.to_string())).await;
        }
    };
    crl::report(ctx, Part::Publish, None, Ok(())).await;
    let is_due = |issuer: &IssuerId| due.iter().any(|due| due.issuer == *issuer);
    pace.seen.retain(|issuer, _| is_due(issuer));
    pace.failing.retain(|issuer, _| is_due(issuer)); // another replica published: the next failure is a first one
    for due in due {
        let is_others = due.occasion == Occasion::Changed && !is_told && !ctx.owns_database();
        let seen = *pace.seen.entry(due.issuer).or_insert_with(Instant::now);
        // what fails for one issuer keeps no other one waiting
        let rests = pace.failing.get(&due.issuer).is_some_and(|failing| Instant::now() < failing.again_at);
        if rests || is_others && seen.elapsed() < OTHERS {
            continue;
        }
        let begun = Instant::now();
        if let Err(error) = crl::publish(ctx, due).await {
            let pause = pace.failed(due.issuer);
            tracing::warn!(%error, issuer = %due.issuer, again_in = ?pause, "revocation lists are not published");
        } else {
            pace.failing.remove(&due.issuer);
        }
        pace.rested_at = Some(Instant::now() + begun.elapsed());
    }
}
