//! What must not happen to a thing in its present state.

/// An event that its state does not allow. Flows that check first never see one; seeing one means that somebody else
/// was faster, so the flow loads again and decides anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{thing} is {state} and can not be {event}")]
pub struct IllegalTransition {
    /// What it is about, with its article.
    pub thing: &'static str,
    /// The state it is in.
    pub state: &'static str,
    /// What was to happen, as a participle.
    pub event: &'static str,
}
