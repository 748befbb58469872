//! Public keys and signature algorithms: which are strong enough, and one table that verifies them.
