//! Revocation: who may revoke what and with which reason, what a set of certificates is, and who is denied since.

mod authorise;
pub mod denied;
mod reason;
pub mod reference;
pub mod selection;
mod step;

pub use authorise::{Revoker, authorise};
pub use reason::Reason;
pub use step::{Release, Status, Step, release, step};
