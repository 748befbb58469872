//! Who may have which certificate: the document as written, the policy as checked, and the decision.

pub mod decide;
pub mod document;
pub mod profile;
