//! The decision: one request against one profile.

use std::sync::Arc;

use crate::policy::profile::Profile;
use crate::x509::name::Identifier;

/// The proof that policy allows a certificate; only [the decision](self) makes one.
#[derive(Debug, Clone)]
pub struct Approved {
    profile: Arc<Profile>,
    identifiers: Vec<Identifier>,
}

impl Approved {
    /// The profile it is issued by.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The names it carries, sorted, without duplicates.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }
}
