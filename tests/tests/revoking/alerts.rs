//! The alert rules in `deploy/prometheus`: promtool takes them, each fires and does not fire where it should, and they watch
//! what a real server tells.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::ca::{Ca, plain_get};
use tests::folders::{Folder, write};
use tests::process::{Ran, run};
use tests::wait;

const RULES: &str = "pilotlight.rules.yml";
const CASES: &str = "pilotlight.tests.yml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join("deploy/prometheus").join(name)).unwrap()
}

async fn promtool(folder: &Path, arguments: &[&str]) -> Ran {
    run(Command::new("promtool").args(arguments).current_dir(folder)).await
}

/// The rules one by one, as `(name, text)`.
fn alerts(rules: &str) -> Vec<(&str, &str)> {
    let texts = rules.split("      - alert: ").skip(1);
    texts.map(|text| (text.lines().next().unwrap(), text)).collect()
}

/// An expression: the line itself, or those below it that go further in.
fn expression(alert: &str) -> String {
    let from = alert.split("\n        expr: ").nth(1).unwrap();
    let lines =
        from.lines().take_while(|line| !line.starts_with("        for:") && !line.starts_with("        labels:"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_the_rules_and_every_case_comes_out_as_written() {
    let folder = root().join("deploy/prometheus");
    promtool(&folder, &["check", "config", "prometheus.yml"]).await.success();
    promtool(&folder, &["test", "rules", CASES]).await.success();
}

/// Fails when an alert could be silenced, or could cry for ever, without a case that notices.
#[tokio::test(flavor = "multi_thread")]
async fn every_alert_has_a_case_that_fires_and_one_that_does_not() {
    let (rules, folder) = (read(RULES), Folder::new());
    write(&folder.path().join(CASES), read(CASES), 0o644);
    let found = alerts(&rules);
    assert!(found.len() >= 15, "{}", found.len());
    // one that always fires is noticed by the case of a CA that is well, whichever it is
    let spoiled = found.iter().map(|alert| (alert, "vector(0) > 1")).chain([(&found[1], "vector(1)")]);
    for ((name, text), never) in spoiled {
        let other = text.replace(&expression(text), never);
        assert_ne!(other, *text, "{name}");
        write(&folder.path().join(RULES), rules.replace(text, &other), 0o644);
        let ran = promtool(folder.path(), &["test", "rules", CASES]).await;
        assert!(ran.code != 0 && ran.to_string().contains("FAILED"), "no case notices {name} as {never}: {ran}");
    }
}

/// Fails when a rule asks for a name, or a value of a label, that no server tells, or leads to no page.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_watch_what_a_server_tells_and_lead_to_what_is_to_be_done() {
    let ca = Ca::start(&[]).await;
    let ask = async || plain_get(&ca.operations_address(), "/metrics").await.unwrap();
    wait::until_true("the first lists", 60, async || ask().await.contains("\npilotlight_crl_number{")).await;
    let metrics = ask().await;
    let told: BTreeSet<&str> = metrics.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let rules = read(RULES);
    for (name, text) in alerts(&rules) {
        let expression = expression(text);
        let names = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: BTreeSet<&str> = names.filter(|word| word.starts_with("pilotlight_")).collect();
        assert!(!names.is_empty(), "{name} watches nothing");
        assert!(names.is_subset(&told), "{name} watches {names:?}");
        for values in expression.split("=~\"").chain(expression.split("=\"")).skip(1) {
            let values = values.split('"').next().unwrap();
            if values.chars().all(|c| c.is_ascii_lowercase() || "_|".contains(c)) {
                for value in values.split('|') {
                    assert!(metrics.contains(&format!("=\"{value}\"")), "{name}: no label says {value}");
                }
            }
        }
        for wanted in ["summary: ", "description: ", "action: ", "severity: "] {
            assert!(text.contains(wanted), "{name} has no {wanted}");
        }
        let link = text.split("docs: ").nth(1).unwrap().lines().next().unwrap();
        let (file, anchor) = link.split_once('#').unwrap();
        let page = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{link}: {error}"));
        let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
        let mut anchors = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"));
        assert!(anchors.any(|found| found == anchor), "{name}: {link} leads nowhere");
    }
}
