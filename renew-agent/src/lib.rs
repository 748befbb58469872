//! Keeps the certificates of one node renewed, installed and seen on the wire.
//!
//! Reading order: [`renew`] is the way of one renewal; [`bundle`] says what may be installed, [`install`] how;
//! [`acme`] and [`http`] talk to the CA, [`enroll`] is the first contact; [`services`] and [`probe`] close the loop.
//! The binary is [`cli`] and nothing else. Everything on disk is described in [`state`] and [`install`].

pub mod acme;
pub mod bundle;
pub mod config;
pub mod files;
pub mod http;
pub mod install;
pub mod keys;
pub mod probe;
pub mod services;
pub mod state;
#[cfg(test)]
mod testing;
