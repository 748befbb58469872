//! When an agent renews, and when it tries again.
