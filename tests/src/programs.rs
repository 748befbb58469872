//! The real programs, built once with their fail points.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the programs under test are.
#[derive(Debug)]
pub struct Programs {
    /// The certificate authority.
    pub ca_server: PathBuf,
    /// The agent.
    pub renew_agent: PathBuf,
}

impl Programs {
    /// Builds them if that is needed. `PILOTLIGHT_TEST_PROGRAMS` names a folder with programs that are built already.
    pub fn get() -> &'static Self {
        static PROGRAMS: OnceLock<Programs> = OnceLock::new();
        PROGRAMS.get_or_init(|| match std::env::var_os("PILOTLIGHT_TEST_PROGRAMS").map(PathBuf::from) {
            Some(folder) => Self { ca_server: folder.join("ca-server"), renew_agent: folder.join("renew-agent") },
            None => Self::build(),
        })
    }

    fn build() -> Self {
        let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        // What cargo tells a running test about its own package would look to build scripts like a change, and have
        // half of the dependencies built again.
        let about_the_test =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"].iter().any(|p| name.starts_with(p));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_the_test)) {
            cargo.env_remove(name);
        }
        let output = cargo
            .args(["build", "--locked", "--message-format=json", "-p", "ca-server", "-p", "renew-agent"])
            .args(["--features", "ca-server/failpoints,renew-agent/failpoints"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the programs under test do not build");
        let messages = String::from_utf8(output.stdout).unwrap();
        let executable = |name: &str| keep(&find(&messages, name));
        Self { ca_server: executable("ca-server"), renew_agent: executable("renew-agent") }
    }
}

fn find(messages: &str, name: &str) -> PathBuf {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("cargo built no program {name}"))
}

/// A copy that a build without fail points, going on beside the tests, does not replace.
fn keep(built: &Path) -> PathBuf {
    let folder = built.parent().unwrap().join("with-failpoints");
    std::fs::create_dir_all(&folder).unwrap();
    let kept = folder.join(built.file_name().unwrap());
    let newest = std::fs::metadata(built).unwrap();
    if let Ok(old) = std::fs::metadata(&kept)
        && old.len() == newest.len()
        && old.modified().unwrap() >= newest.modified().unwrap()
    {
        return kept;
    }
    let beside = folder.join(format!("{}.{}", kept.file_name().unwrap().display(), std::process::id()));
    std::fs::copy(built, &beside).unwrap();
    std::fs::rename(&beside, &kept).unwrap();
    kept
}
