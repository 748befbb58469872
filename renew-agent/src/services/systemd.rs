//! systemd units, asked through `systemctl`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::run::{Ran, Tool};
use super::{Finding, ServiceError, Settle};

/// Longest time a unit may take; systemd's own default is 90 s.
const TIMEOUT: Duration = Duration::from_secs(100);

/// `type = "systemd"`: the unit's own reload, or a restart for services that read their files only at start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// The unit.
    pub unit: UnitName,
    /// What to ask for.
    #[serde(default)]
    pub action: UnitAction,
}

/// What systemd is asked to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitAction {
    /// `systemctl reload`: connections stay.
    #[default]
    Reload,
    /// `systemctl restart`: for units without `ExecReload`, and for users of `LoadCredential=`.
    Restart,
}

/// A unit name that cannot be taken for an option or a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitName(String);

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || ":-_.\\@".contains(character);
        if text.is_empty() || text.len() > 255 || text.starts_with('-') || !text.chars().all(allowed) {
            return Err(format!(
                "{text:?} is not a unit name; write it as `systemctl list-units` shows it, such as nginx.service"
            ));
        }
        Ok(Self(text))
    }
}

impl UnitName {
    pub(super) fn nginx() -> Self {
        Self("nginx.service".to_owned())
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Systemd {
    pub(super) async fn reload(&self) -> Result<(), ServiceError> {
        ask(&self.unit, self.action).await
    }

    pub(super) async fn preflight(&self) -> Vec<Finding> {
        check(&self.unit, self.action).await
    }

    pub(super) fn settle(&self) -> Settle {
        let (deadline, silence) = match self.action {
            UnitAction::Reload => (60, 30),
            UnitAction::Restart => (120, 90),
        };
        Settle { deadline: Duration::from_secs(deadline), silence: Duration::from_secs(silence) }
    }
}

/// Has systemd act on `unit`, and waits until it has.
pub(super) async fn ask(unit: &UnitName, action: UnitAction) -> Result<(), ServiceError> {
    let verb = match action {
        UnitAction::Reload => "reload",
        UnitAction::Restart => "restart",
    };
    let attempted = format!("{verb}ing unit {unit}");
    match systemctl(&[verb, &unit.0]).await {
        Ran::Succeeded(_) => Ok(()),
        Ran::TimedOut(cause) => Err(ServiceError::retry(attempted, cause, format!("see `systemctl status {unit}`"))),
        Ran::NotStarted(cause) => Err(ServiceError::person(
            attempted,
            cause,
            "this node seems to run without systemd: use a pid file, a signal or a command instead",
        )),
        Ran::Failed(cause) => Err(refused(unit, attempted, cause)),
    }
}

/// systemd's own words tell a unit that is missing or not ours to touch from one that merely failed this time.
fn refused(unit: &UnitName, attempted: String, cause: String) -> ServiceError {
    let remedies = [
        ("not found", "correct the unit's name in the agent's configuration"),
        ("Job type reload is not applicable", "the unit declares no reload: set action = \"restart\""),
        ("authentication required", "allow the agent's user this unit by a polkit rule"),
        ("Access denied", "allow the agent's user this unit by a polkit rule"),
        ("not been booted with systemd", "use a pid file, a signal or a command instead"),
        ("is masked", "unmask the unit, or remove it from the agent's configuration"),
    ];
    match remedies.iter().find(|(words, _)| cause.contains(words)) {
        Some((_, remedy)) => ServiceError::person(attempted, cause, *remedy),
        None => {
            ServiceError::retry(attempted, cause, format!("see `systemctl status {unit}` and `journalctl -u {unit}`"))
        }
    }
}

/// Whether the unit exists, runs, and can do what will be asked of it.
pub(super) async fn check(unit: &UnitName, action: UnitAction) -> Vec<Finding> {
    let properties = match systemctl(&["show", "--property=LoadState,ActiveState,CanReload", &unit.0]).await {
        Ran::Succeeded(properties) => properties,
        Ran::Failed(cause) | Ran::TimedOut(cause) | Ran::NotStarted(cause) => {
            return vec![Finding::bad(
                "unit",
                format!("systemd did not answer for {unit}: {cause}"),
                "use a pid file, a signal or a command where there is no systemd",
            )];
        }
    };
    let has = |line: &str| properties.lines().any(|found| found == line);
    if !has("LoadState=loaded") {
        return vec![Finding::bad(
            "unit",
            format!("systemd knows no unit {unit}"),
            "correct the unit's name in the agent's configuration",
        )];
    }
    let mut findings = Vec::new();
    findings.push(match has("ActiveState=active") {
        true => Finding::good("unit", format!("unit {unit} is active")),
        false => {
            Finding::bad("unit", format!("unit {unit} is not active"), format!("start it: systemctl start {unit}"))
        }
    });
    if action == UnitAction::Reload && has("CanReload=no") {
        findings.push(Finding::bad(
            "unit-reload",
            format!("unit {unit} declares no reload"),
            "set action = \"restart\"",
        ));
    }
    findings
}

async fn systemctl(arguments: &[&str]) -> Ran {
    let mut all = vec!["--no-ask-password", "--no-pager"];
    all.extend(arguments);
    Tool { program: Path::new("systemctl"), arguments: all, environment: vec![("LC_ALL", "C")], timeout: TIMEOUT }
        .run()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_are_never_options_or_patterns() {
        for good in ["nginx.service", "rabbitmq-server", "web@1.service", "dev-disk-by\\x2duuid.device"] {
            assert!(UnitName::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "--now", "*.service", "a b", "a;b", "../x", "a\nb"] {
            assert!(UnitName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn systemds_words_decide_between_waiting_and_a_person() {
        let unit = UnitName::nginx();
        let words = |text: &str| refused(&unit, "reloading unit nginx.service".to_owned(), text.to_owned());
        assert!(words("Unit nginx.service not found.").needs_person());
        assert!(words("Job type reload is not applicable for unit nginx.service.").needs_person());
        let error = words("nginx.service is not active, cannot reload.");
        assert!(!error.needs_person());
        assert!(error.to_string().contains("systemctl status nginx.service"), "{error}");
    }
}
