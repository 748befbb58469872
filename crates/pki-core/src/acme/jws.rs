//! JSON Web Signatures as RFC 8555 section 6.2 restricts them.
