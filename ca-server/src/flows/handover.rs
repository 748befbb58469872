//! Work that a request hands straight to this process's worker. Its row is written under a lease, so nobody has to claim it:
//! one transaction less between a client's word and the look at its challenge. The row is what survives a crash. Without
//! a worker, or when it has its hands full, the row is written free and claimed like any other.

use std::sync::OnceLock;
use std::time::Duration;

use pki_core::time::Timestamp;
use store::jobs::{Job, Lease};
use tokio::sync::mpsc;

use super::underway::Look;
use super::validate::Pending;

/// A challenge to be looked at, with all that is to be known of it.
#[derive(Debug)]
pub struct Validation {
    /// The row that stands for it.
    pub job: Job,
    /// What to look at.
    pub pending: Pending,
    /// Ends with it.
    pub look: Look,
}

/// The way from requests to the worker.
#[derive(Debug)]
pub struct Handover {
    owner: String,
    lease: Duration,
    queue: OnceLock<mpsc::Sender<Validation>>,
}

/// Room for one validation.
#[derive(Debug)]
pub(super) struct Room(mpsc::OwnedPermit<Validation>);

impl Handover {
    /// `owner` names this process in leases, which last for `lease`.
    pub fn new(owner: String, lease: Duration) -> Self {
        Self { owner, lease, queue: OnceLock::new() }
    }

    /// Becomes the worker: from now on up to `room` validations are handed over at once.
    pub fn open(&self, room: usize) -> mpsc::Receiver<Validation> {
        let (sender, receiver) = mpsc::channel(room);
        // There is one worker; a second one would only have nothing handed over.
        let _ = self.queue.set(sender);
        receiver
    }

    /// What this process is called in leases.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// A lease of this process, from now on.
    pub fn lease(&self, now: Timestamp) -> Lease {
        Lease { owner: self.owner.clone(), until: now + self.lease }
    }

    /// Taken before the row is written: what is under a lease has to be handed over.
    pub(super) fn room(&self) -> Option<Room> {
        let permit = self.queue.get()?.clone().try_reserve_owned();
        permit.ok().map(Room)
    }
}

impl Room {
    pub(super) fn hand_over(self, validation: Validation) {
        self.0.send(validation);
    }
}
