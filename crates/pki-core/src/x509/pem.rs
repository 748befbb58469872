//! PEM as RFC 7468 wants it.
