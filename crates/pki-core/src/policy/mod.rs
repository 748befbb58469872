//! Who may have which certificate: the document as written, the policy as checked, and the decision.
//!
//! [`document`] is what a person wrote, [`profile`] what it means once checked, [`Policy`] all profiles in force,
//! [`decide`] the one question anybody asks of them. Reading files is the programs' work.

mod check;
pub mod decide;
pub mod defaults;
pub mod document;
pub mod profile;
mod set;

pub use check::PolicyError;
pub use set::Policy;
