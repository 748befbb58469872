//! The words that the programs exchange: ACME objects, problem documents, the JSON API and the enrolment token.
//!
//! Plain data and its JSON form. What a value means and whether it is allowed is decided by others: texts are
//! texts here, and whoever receives one parses it into a checked type.

pub mod acme;
pub mod admin;
pub mod agent;
pub mod problem;
pub mod token;
