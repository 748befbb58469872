//! Waiting for a state, with a deadline.

use std::time::{Duration, Instant};

/// How often a state is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks until `state` returns something; panics with `what` after `seconds`.
pub async fn until<T>(what: &str, seconds: u64, mut state: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = state().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {seconds} s for {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Looks until `state` is true.
pub async fn until_true(what: &str, seconds: u64, mut state: impl AsyncFnMut() -> bool) {
    until(what, seconds, async || state().await.then_some(())).await;
}
