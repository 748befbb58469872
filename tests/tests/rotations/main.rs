//! The main job, which takes minutes of real time: certificates that live for a minute or less are renewed, reloaded and
//! seen on the wire, with real services and without a working CA. One program, so that the waiting is done side by side.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod ca_down;
mod nginx;
mod rabbitmq;
mod roll_back;
