//! Who may have which certificate: the document as written, the policy as checked, and the decision.
//!
//! [`document`] is what a person wrote, [`profile`] what it means once checked ([`keys`], [`rules`] and [`template`] are
//! its parts), [`Policy`] all profiles in force, [`decide`] the one question anybody asks of them, [`explain`] the answer
//! at length. [`cases`] are requests with the decision expected, [`lint`] tells what is allowed and dangerous, [`diff`] what a change changes.
//! [`schema`] is what editors know of the documents. Reading files is the programs' work.

pub mod cases;
mod check;
mod checks;
mod commit;
#[cfg(test)]
mod conformity;
#[cfg(test)]
mod conformity_tests;
pub mod decide;
pub mod defaults;
pub mod diff;
pub mod document;
pub mod explain;
pub mod keys;
pub mod lint;
mod named;
pub mod pattern;
pub mod profile;
mod room;
pub mod rules;
pub mod schema;
mod set;
pub mod template;
#[cfg(test)]
pub(crate) mod testing;

pub use check::PolicyError;
pub use commit::{Commit, NoCommit};
pub use named::Nameless;
pub use set::Policy;
