//! A CA with its agents: the steps that many tests begin with.

use crate::agent::Agent;
use crate::ca::{Ca, Profile};

/// A profile whose certificates live for a minute, and are renewed at half of it.
pub const MINUTE: Profile = Profile { name: "minute", seconds: 60 };

/// A node that has enrolled as `name` and got its first certificate, which is called `identity`.
pub async fn enrolled(ca: &Ca, name: &str, profile: &str, dns: &[&str]) -> Agent {
    let token = ca.device_add(name, profile, dns).await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    agent.enroll(&token).await.success();
    agent
}

/// What must hold after whatever happened: every certificate on this node's disk has its key beside it and is known to
/// the CA as issued, and the CA has nothing left that it began and did not finish.
pub async fn must_be_consistent(ca: &Ca, agent: &Agent, name: &str) {
    agent.pair_must_match(name);
    let leaf = agent.leaf(name);
    let known = ca.certificates().await;
    let same = |serial: &str| serial.trim_start_matches('0').eq_ignore_ascii_case(leaf.serial.trim_start_matches('0'));
    let row = known.iter().find(|row| row["serial"].as_str().is_some_and(same));
    let row = row.unwrap_or_else(|| panic!("the CA does not know {}: {known:#?}", leaf.serial));
    assert_eq!(row["state"], "issued", "{row:#}");
    let unfinished: Vec<_> = known.iter().filter(|row| row["state"] == "planned").collect();
    assert!(unfinished.is_empty(), "recorded and never finished: {unfinished:#?}");
}
