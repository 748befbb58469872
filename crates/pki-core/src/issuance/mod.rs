//! How an approved request becomes exact bytes: plan, lint, seal; and the record that remembers it.
//!
//! `Approved` (policy) -> [`plan::Planned`] -> recorded -> signed -> [`seal::Sealed`]: each can be made only by its step.

pub mod plan;
pub mod record;
pub mod seal;
