//! Account keys as JSON Web Keys (RFC 7517), checked, and their thumbprints (RFC 7638).

/// SHA-256 of a key in its canonical form (RFC 7638).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint(pub [u8; 32]);

/// A public account key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    canonical: String,
}

impl Jwk {
    /// The canonical JSON of RFC 7638: required members only, sorted, no white space. Also the stored form.
    pub fn canonical_json(&self) -> &str {
        &self.canonical
    }
}
