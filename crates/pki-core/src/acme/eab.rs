//! External account binding (RFC 8555 section 7.3.4).
