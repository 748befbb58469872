//! From an approved request to the exact bytes to be signed.
