//! What an administrator takes back and what follows at once: one certificate, a device, a set; hold and release; servers
//! that share a database; power cuts. The names of tests are those of the requirements (REV, CRL) where there is one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod alerts;
mod cuts;
mod denied;
mod device;
mod one;
mod races;
mod release;
mod report;
mod set;
mod stolen;
mod typed;
mod world;
