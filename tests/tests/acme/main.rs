//! RFC 8555 against a real `ca-server`, request by request, with a client that can do everything wrong. The names of tests
//! and rows are those of the requirements: directory and nonces (DIR, NON, HTP, ERR), signed requests (JWS), accounts and
//! their binding (ACC, EAB), orders, authorizations and challenges (ORD, AUZ, CHL), finalize, download and revocation
//! (FIN, CRT, REV), renewal information and profiles (ARI, PRO), validation and its guard (VAL), rate limits, overload and
//! what is forgotten.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod accounts;
mod binding;
mod certificate_rules;
mod certificates;
mod finalize;
mod hostile;
mod labels;
mod limits;
mod mutations;
mod orders;
mod overload;
mod pkilint;
mod postgres;
mod problems;
mod profiles;
mod reload;
mod renewal;
mod responder;
mod samples;
mod service;
mod signed;
mod transport;
mod validation;
mod validation_dns;
mod validation_net;
mod validation_tls;
mod world;
