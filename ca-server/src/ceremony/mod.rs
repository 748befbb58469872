//! Ceremonies: the rare acts in which CA certificates come to be, and the files they leave.
//!
//! [`init`](mod@init) makes a CA in an empty folder, [`root_crl`] keeps the root's revocation list alive, [`material`] reads
//! what they left when the server starts. Signing goes through the `signer` crate with a ceremony's envelope, which the
//! serving process never has.

mod authority;
mod error;
pub mod init;
pub mod material;
mod names;
mod register;
pub mod root_crl;
mod staging;

pub use error::CeremonyError;
pub use init::{InitRequest, Initialised, PassphraseChoice, RootCustody, init};
pub use material::{CaMaterial, RootCrlState};
pub use root_crl::{RootSignRequest, SignedRootCrl, sign_root_crl};

#[cfg(test)]
mod tests;
