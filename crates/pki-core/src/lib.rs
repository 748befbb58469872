//! Decisions of a certificate authority, and nothing else.
//!
//! Everything here is a plain function over owned values: no I/O, no async, no clock and no randomness.
//! `now`, serial numbers and identifiers are arguments; [`time::Clock`] and [`random::Entropy`] are the two
//! doors through which programs obtain them.
//!
//! Reading order: [`ids`] and [`time`], then [`x509`] (what arrives and what is built), [`acme`] (RFC 8555
//! state machines), [`device`], [`policy`] (who may have what), [`issuance`] (how a decision becomes bytes),
//! [`revocation`], [`renewal`] and [`audit`]; [`limits`] and [`admission`] decide who has to wait.

pub mod acme;
pub mod admission;
pub mod audit;
pub mod device;
pub mod ids;
pub mod issuance;
pub mod limits;
pub mod policy;
pub mod random;
pub mod renewal;
pub mod revocation;
pub mod time;
pub mod transition;
pub mod x509;
