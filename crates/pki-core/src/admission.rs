//! Who is served when more comes than can be done: a place now, a wait, or an early no.
//!
//! So many requests are under way at once; the others wait, the more urgent ones in front. What would wait longer than
//! the bound is refused at once, when that is cheap. Every fourth place goes to whoever waited longest, whatever its
//! rank, so that nothing starves; and a waiter that is pushed out by a more urgent one is told so, and never forgotten.
//!
//! Times are spans since any fixed moment of a clock that never goes back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// Every so manieth place goes to the oldest waiter.
const FAIR: u64 = 4;

/// What a request is worth when not all can be served; the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Belongs to an order that was accepted, or withdraws something.
    UnderWay,
    /// Something new that is not authenticated yet: how urgent it is will be known then.
    Entering,
    /// An order in the place of a certificate that ends then.
    Replacing(Timestamp),
    /// An order for something that was not there before.
    Fresh,
}

impl Rank {
    /// The word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnderWay => "under_way",
            Self::Entering => "entering",
            Self::Replacing(_) => "replacing",
            Self::Fresh => "fresh",
        }
    }
}

/// How much is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Requests under way at the same time.
    pub at_once: usize,
    /// Requests that wait for a place.
    pub waiting: usize,
    /// The longest wait.
    pub patience: Duration,
}

/// Names a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Why somebody is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many wait already, none of them less urgent.
    Full,
    /// It would wait longer than the bound.
    TooSlow,
    /// It waited as long as the bound.
    Waited,
    /// Somebody more urgent took its place in a full queue.
    Displaced,
}

impl Refusal {
    /// The word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooSlow => "too_slow",
            Self::Waited => "waited",
            Self::Displaced => "displaced",
        }
    }
}

/// What becomes of one who comes.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Served now.
    Go,
    /// Has to wait under this ticket; somebody else may have lost his place by it.
    Wait(Ticket, Option<Ticket>),
    /// Not served.
    Refused(Refusal),
}

/// What becomes of those who wait when a place is free.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Departure {
    /// Served now.
    pub go: Option<Ticket>,
    /// Waited too long.
    pub refused: Vec<Ticket>,
}

/// Places and waiters.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    under_way: usize,
    next: u64,
    grants: u64,
    /// By urgency, then by age; since when each waits.
    waiting: BTreeMap<(Rank, Ticket), Duration>,
    /// The same by age.
    by_age: BTreeMap<Ticket, Rank>,
    pace: Pace,
}

/// How long it takes until the next place becomes free while all are taken: smoothed over about eight of them.
#[derive(Debug, Default)]
struct Pace {
    interval: Duration,
    last: Option<Duration>,
}

impl Pace {
    fn left(&mut self, was_full: bool, now: Duration) {
        let last = self.last.replace(now).filter(|_| was_full);
        if let Some(last) = last {
            self.interval = (self.interval * 7 + now.saturating_sub(last)) / 8;
        }
    }

    fn broken(&mut self) {
        self.last = None;
    }
}

impl Queue {
    /// All places free.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            under_way: 0,
            next: 0,
            grants: 0,
            waiting: BTreeMap::new(),
            by_age: BTreeMap::new(),
            pace: Pace::default(),
        }
    }

    /// The bounds in force.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many are served.
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How long one who came now, behind all others, would wait.
    pub fn expected_wait(&self) -> Duration {
        self.wait_behind(self.waiting.len())
    }

    fn wait_behind(&self, ahead: usize) -> Duration {
        self.pace.interval.saturating_mul(u32::try_from(ahead + 1).unwrap_or(u32::MAX))
    }

    /// Somebody comes.
    pub fn enter(&mut self, rank: Rank, now: Duration) -> Arrival {
        if self.under_way < self.bounds.at_once && self.waiting.is_empty() {
            self.under_way += 1;
            return Arrival::Go;
        }
        let ticket = Ticket(self.next);
        if self.wait_behind(self.waiting.range(..(rank, ticket)).count()) > self.bounds.patience {
            return Arrival::Refused(Refusal::TooSlow);
        }
        let mut displaced = None;
        if self.waiting.len() >= self.bounds.waiting {
            match self.waiting.last_key_value() {
                Some(((last, loser), _)) if *last > rank => displaced = Some(*loser),
                _ => return Arrival::Refused(Refusal::Full),
            }
        }
        displaced.map(|loser| self.abandon(loser));
        self.next += 1;
        self.waiting.insert((rank, ticket), now);
        self.by_age.insert(ticket, rank);
        Arrival::Wait(ticket, displaced)
    }

    /// Somebody is done: his place is the next one's.
    pub fn leave(&mut self, now: Duration) -> Departure {
        self.pace.left(self.under_way >= self.bounds.at_once, now);
        self.under_way = self.under_way.saturating_sub(1);
        let mut departure = Departure::default();
        while self.under_way < self.bounds.at_once
            && let Some(ticket) = self.choose()
        {
            let since = self.take(ticket);
            if since.is_some_and(|since| now.saturating_sub(since) > self.bounds.patience) {
                departure.refused.push(ticket);
                continue;
            }
            self.under_way += 1;
            self.grants += 1;
            departure.go = Some(ticket);
            return departure;
        }
        self.pace.broken();
        departure
    }

    /// A waiter does not wait any more; whether he still did.
    pub fn abandon(&mut self, ticket: Ticket) -> bool {
        self.take(ticket).is_some()
    }

    fn choose(&self) -> Option<Ticket> {
        if self.grants % FAIR == FAIR - 1 {
            return self.by_age.keys().next().copied();
        }
        self.waiting.keys().next().map(|(_, ticket)| *ticket)
    }

    fn take(&mut self, ticket: Ticket) -> Option<Duration> {
        let rank = self.by_age.remove(&ticket)?;
        self.waiting.remove(&(rank, ticket))
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
