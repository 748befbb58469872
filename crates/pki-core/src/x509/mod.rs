//! X.509 as this CA reads and writes it: parsed and checked types on one side, exact bytes on the other.
//!
//! Nothing here knows who asks or whether they may; see [`crate::policy`] for that and [`crate::issuance`]
//! for what is put into a certificate.

pub mod certificate;
pub mod crl;
pub mod csr;
pub(crate) mod encoding;
pub mod key;
pub mod lint;
pub mod name;
pub mod ocsp;
pub mod pem;

#[cfg(test)]
pub(crate) mod testing;
