//! The document as written: raw, versioned, unknown keys refused.
