//! Sequences: load, decide, save; one verb a file.
//!
//! A flow takes the proof of who asks, loads what the decision needs, lets `pki_core` decide and saves the outcome in one
//! transaction. The signer is reached from [`issue`], [`crl`] and [`responder`] only. Nothing here knows HTTP: results carry ids, and
//! the http layer makes URLs of them.

pub mod account;
pub mod agent;
pub mod authenticate;
pub mod authorization;
pub mod certificate;
mod context;
pub mod crl;
pub mod denied;
pub mod device;
pub mod eab;
mod error;
pub mod finalize;
pub mod handover;
pub mod health;
mod held;
pub mod inventory;
pub mod issue;
pub mod key_change;
pub mod label;
pub mod nonce;
pub mod ocsp;
pub mod order;
pub mod owed;
pub mod own_tls;
pub mod policy;
pub mod pruning;
pub mod rates;
mod record;
pub mod recovery;
pub mod renewal_info;
mod replace;
pub mod responder;
pub mod revoke;
mod standing;
mod turnstile;
pub mod underway;
pub mod urgency;
pub mod validate;
pub mod what_if;

pub use context::{Context, ContextParts, Limits, RootAuthority, Service};
pub use error::FlowError;
