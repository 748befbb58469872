//! The JSON API under `/api/v1`, as the administration commands and the console use it.
//!
//! Times are RFC 3339 in UTC, fingerprints and serials lower-case hexadecimal. Requests refuse unknown members: a
//! misspelt one must not be taken for an absent one.

use serde::{Deserialize, Serialize};

mod certificate;
mod device;
mod eab;
mod overview;
mod revocation;

pub use certificate::{CertificateState, CertificateView, ReplaceAllRequest, ReplaceAllView};
pub use device::{
    DeviceQuery, DeviceRequest, DeviceState, DeviceView, EnrolmentConflict, LabelRequest, RevokeDevice, TokenRequest,
    TokenView,
};
pub use eab::{EabRequest, EabSecretView, EabState, EabView};
pub use overview::{AuditView, CrlView, IssuerView, PolicyFailureView, PolicyView, ProfileView, Status};
pub use revocation::{
    ReleaseRequest, RevocationQuery, RevocationView, RevokeRequest, RevokedView, RunRequest, RunView, SameKey,
    SetDevice, SetGroup, SetPlan, SetRequest, TakenOutView,
};

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Hand this back as `cursor` for what follows; absent on the last page.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

fn none<T>() -> Option<T> {
    None
}

/// Which page of a listing, as query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageQuery {
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many rows at most; the server has a limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only rows with this name, or names that begin with it when it ends in `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
