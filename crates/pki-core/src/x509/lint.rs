//! Rules every certificate is held against before it is signed (RFC 5280).
