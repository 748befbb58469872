//! `[challenge]`: how control of a name is proven (http-01) when no device record vouches for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The section; a node enrolled as a device needs none of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChallengeConfig {
    /// Listen here while a challenge runs.
    pub http01_listen: Option<SocketAddr>,
    /// Or put files under `DIR/.well-known/acme-challenge`, which a web server serves.
    pub webroot: Option<PathBuf>,
}
