//! RFC 8555 as state machines: what an account, order, authorization and challenge is, and what may follow what.
//!
//! The states are enums whose variants carry exactly their data; a transition consumes the value. Nothing here
//! knows policy or how certificates are built.

pub mod account;
pub mod authorization;
pub mod challenge;
pub mod dns_proof;
pub mod eab;
pub mod identifiers;
mod json;
pub mod jwa;
pub mod jwk;
pub mod jws;
pub mod order;
pub mod problem;
pub mod renewal_info;
pub mod tls_alpn;
