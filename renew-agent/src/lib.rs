//! Keeps the certificates of one node renewed, installed and seen on the wire.
//!
//! Reading order: [`renew`] is the way to a new certificate, [`settle`] the way from the disk to the wire,
//! [`daemon`] the loop around both. [`bundle`] says what may be installed and [`install`] how; [`acme`] and [`http`]
//! talk to the CA, [`enroll`] is the first contact; [`services`] and [`probe`] know the node's services. The binary
//! is [`cli`] and nothing else. Everything on disk is described in [`state`] and [`install`].

pub mod acme;
pub mod agent;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod device;
pub mod doctor;
pub mod enroll;
pub mod files;
pub mod http;
pub mod install;
pub mod keys;
pub mod notify;
pub mod probe;
pub mod renew;
pub mod report;
pub mod schedule;
pub mod services;
pub mod settle;
pub mod state;
pub mod status;
#[cfg(test)]
mod testing;
