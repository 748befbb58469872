//! From a signature to a certificate that may be released.
