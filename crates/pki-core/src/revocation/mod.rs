//! Revocation: who may revoke what and with which reason, what a set of certificates is, who is denied since, and
//! how revocation lists follow each other.

mod authorise;
pub mod denied;
mod reason;
pub mod reference;
pub mod selection;
mod step;
pub mod succession;

pub use authorise::{Revoker, authorise};
pub use reason::Reason;
pub use step::{Release, Status, Step, is_released_of_many, release, step, step_of_many};
