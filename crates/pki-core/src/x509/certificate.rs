//! Certificates: parsed ones, and the exact to-be-signed bytes of new ones (RFC 5280 section 4).
