//! A CA with its agents: the steps that many tests begin with.

use crate::agent::Agent;
use crate::ca::{Ca, Profile};
use crate::folders::write;
use crate::nginx::Nginx;

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

/// Sections for an agent whose service takes up no certificate but the one that is current now: with any other nginx
/// stops shaking hands, and goes on as soon as it is told to take up the first one again.
pub fn stubborn(agent: &Agent, nginx: &Nginx) -> String {
    let current = agent.live("identity").join("current/cert.pem");
    let (first, reload) = (agent.state().join("first.pem"), agent.state().join("reload"));
    std::fs::copy(&current, &first).unwrap();
    let script = format!(
        "#!/bin/sh\npid=$(cat {pid})\nall=\"$pid $(cat /proc/$pid/task/$pid/children)\"\n\
         if cmp -s {current} {first}; then kill -CONT $all; else kill -STOP $all; fi\n",
        pid = nginx.pid_file().display(),
        current = current.display(),
        first = first.display(),
    );
    write(&reload, script, 0o755);
    format!(
        "[[certificate]]\nname = \"identity\"\n\n[certificate.service]\ntype = \"command\"\nargv = [\"{}\"]\n\n\
         [[certificate.probe]]\naddress = \"{}\"\nserver_name = \"localhost\"\nconnections = 1\n",
        reload.display(),
        nginx.address()
    )
}
