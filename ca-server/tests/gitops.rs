//! `deploy/gitops`: the resources have the members that their readers know, kustomize makes of the example what the CA reads,
//! and the script of the pipeline refuses and publishes what it says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ca_server::config::{FILE, Validation};
use ca_server::policies::folder::Source;
use serde::Deserialize;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join("deploy/gitops").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read<T: for<'de> Deserialize<'de>>(path: &str) -> T {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A resource of a cluster; `spec` has exactly the members of its type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resource<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: String,
}

impl<S> Resource<S> {
    fn is(&self) -> [&str; 4] {
        [&self.api_version, &self.kind, &self.metadata.namespace, &self.metadata.name]
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Application {
    project: String,
    source: ArgoSource,
    destination: Destination,
    sync_policy: SyncPolicy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArgoSource {
    #[serde(rename = "repoURL")]
    repo_url: String,
    target_revision: String,
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Destination {
    server: String,
    namespace: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncPolicy {
    automated: Automated,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Automated {
    prune: bool,
    self_heal: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GitRepository {
    interval: String,
    url: String,
    #[serde(rename = "ref")]
    reference: Branch,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Branch {
    branch: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FluxKustomization {
    interval: String,
    path: String,
    prune: bool,
    source_ref: SourceRef,
    target_namespace: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceRef {
    kind: String,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    api_version: String,
    kind: String,
    namespace: String,
    config_map_generator: Vec<Generator>,
    generator_options: GeneratorOptions,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generator {
    name: String,
    files: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GeneratorOptions {
    disable_name_suffix_hash: bool,
}

#[test]
fn argo_cd_and_flux_follow_what_was_checked() {
    let argo: Resource<Application> = read("argo-cd/application.yaml");
    assert_eq!(argo.is(), ["argoproj.io/v1alpha1", "Application", "argocd", "pilotlight-policies"]);
    let Application { project, source, destination, sync_policy } = argo.spec;
    assert_eq!((project.as_str(), source.target_revision.as_str(), source.path.as_str()), ("default", "checked", "."));
    assert_eq!(destination.namespace, "pilotlight");
    assert!(destination.server.starts_with("https://kubernetes.default"), "the cluster that Argo CD runs in");
    assert!(sync_policy.automated.self_heal && !sync_policy.automated.prune);

    let repository: Resource<GitRepository> = read("flux/source.yaml");
    let group = "source.toolkit.fluxcd.io/v1";
    assert_eq!(repository.is(), [group, "GitRepository", "flux-system", "pilotlight-policies"]);
    assert_eq!((repository.spec.reference.branch.as_str(), repository.spec.interval.as_str()), ("checked", "1m"));
    assert_eq!(repository.spec.url, source.repo_url);
    let flux: Resource<FluxKustomization> = read("flux/kustomization.yaml");
    let group = "kustomize.toolkit.fluxcd.io/v1";
    assert_eq!(flux.is(), [group, "Kustomization", "flux-system", "pilotlight-policies"]);
    let SourceRef { kind, name } = &flux.spec.source_ref;
    assert_eq!([kind.as_str(), name.as_str()], [&repository.kind, &repository.metadata.name]);
    assert_eq!((flux.spec.path.as_str(), flux.spec.interval.as_str(), flux.spec.prune), ("./", "10m", false));
    assert_eq!(flux.spec.target_namespace, destination.namespace);
}

#[test]
fn the_config_map_has_every_default_profile_and_keeps_its_name() {
    let made: Kustomization = read("repository/kustomization.yaml");
    assert_eq!([made.api_version.as_str(), &made.kind], ["kustomize.config.k8s.io/v1beta1", "Kustomization"]);
    assert!(made.generator_options.disable_name_suffix_hash, "a new name would restart the CA at every change");
    let [Generator { name, files }] = made.config_map_generator.as_slice() else { panic!("one ConfigMap") };
    let listed: BTreeSet<String> = files.iter().cloned().collect();
    let mut wanted: BTreeSet<String> = profiles().map(|name| format!("policies/{name}")).collect();
    wanted.insert("policies/REVISION".to_owned());
    assert_eq!(listed, wanted, "deploy/gitops/repository/kustomization.yaml lists what is in policies/");

    let ca: Value = read("kubernetes/ca-server.yaml");
    assert_eq!([&ca["kind"], &ca["metadata"]["namespace"]], ["StatefulSet", &made.namespace]);
    let pod = &ca["spec"]["template"]["spec"];
    let volume = |list: &'static str, name: &str| {
        let all = if list == "volumes" { &pod[list] } else { &pod["containers"][0][list] };
        let found = all.as_array().unwrap().iter().find(|volume| volume["name"] == name);
        found.unwrap_or_else(|| panic!("{list}: {name}")).clone()
    };
    assert_eq!(volume("volumes", "policies")["configMap"]["name"], **name);
    let mounted = volume("volumeMounts", "policies");
    assert!(mounted["subPath"].is_null(), "a single file does not follow a change");
    let settings = text("kubernetes/ca-server.yaml");
    assert!(settings.contains(&format!("folder = {}", mounted["mountPath"])) && settings.contains(FILE), "{settings}");
    assert!(volume("volumes", "passphrase")["secret"]["secretName"].is_string());
}

/// The file names of the default profiles.
fn profiles() -> impl Iterator<Item = String> {
    let names = fs::read_dir(root().join("policies")).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name.ends_with(".yaml"))
}

#[test]
fn nothing_secret_stands_there() {
    let mut folders = vec![root().join("deploy/gitops")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for word in ["kind: Secret", "stringData", "password:", "token:", "PRIVATE KEY"] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

#[test]
fn the_pipelines_run_the_script_on_changes_and_publish_the_main_branch_only() {
    let gitlab: BTreeMap<String, Value> = read("ci/gitlab-ci.yml");
    let actions: BTreeMap<String, Value> = read("ci/actions.yml");
    assert_eq!(gitlab["check"]["script"][0], "sh ci/policies.sh check \"$BASE\"");
    assert_eq!(gitlab["publish"]["script"][0], "sh ci/policies.sh publish");
    assert_eq!(gitlab["publish"]["needs"][0], "check");
    assert_eq!(gitlab["publish"]["rules"][0]["if"], "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH");
    assert_eq!((&gitlab["publish"]["rules"][1], &gitlab["variables"]["GIT_DEPTH"]), (&Value::Null, &"0".into()));
    let jobs = &actions["jobs"];
    assert_eq!(actions["on"]["push"]["branches"], serde_json::json!(["main"]));
    assert!(actions["on"].as_object().unwrap().contains_key("pull_request"));
    assert_eq!(jobs["check"]["steps"][1]["run"], "sh ci/policies.sh check \"$BASE\"");
    assert_eq!(
        (&jobs["publish"]["needs"], &jobs["publish"]["if"]),
        (&"check".into(), &"github.event_name == 'push'".into())
    );
    for job in ["check", "publish"] {
        assert_eq!(jobs[job]["steps"][0]["with"]["fetch-depth"], 0, "{job}: changes are compared with their base");
    }
    assert_eq!(
        (&actions["permissions"]["contents"], &jobs["publish"]["permissions"]["contents"]),
        (&"read".into(), &"write".into())
    );
}

/// A repository of policies as the example has it, its origin, and a `ca-server` that writes down how it was called.
struct Site {
    place: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { place: tempfile::tempdir().unwrap() };
        for folder in ["repository/policies/cases", "repository/ci", "bin"] {
            fs::create_dir_all(site.path(folder)).unwrap();
        }
        let cases = fs::read_dir(root().join("policies/cases")).unwrap();
        let cases = cases.map(|entry| format!("cases/{}", entry.unwrap().file_name().display()));
        for name in profiles().chain(cases) {
            fs::copy(root().join("policies").join(&name), site.path("repository/policies").join(&name)).unwrap();
        }
        fs::write(site.path("repository/kustomization.yaml"), text("repository/kustomization.yaml")).unwrap();
        fs::write(site.path("repository/ci/policies.sh"), text("ci/policies.sh")).unwrap();
        site.program("echo \"$*\" >> \"$CALLS\"");
        site.git(&["init", "-q", "--bare", "../origin"]);
        site.git(&["init", "-q", "-b", "main"]);
        site.git(&["remote", "add", "origin", "../origin"]);
        site.commit();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn program(&self, script: &str) {
        let file = self.path("bin/ca-server");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path("repository")).env("CALLS", self.path("calls"));
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env_remove("GIT_DIR");
        command.output().unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let arguments = [&["-c", "user.name=Site", "-c", "user.email=site@site.test"], arguments].concat();
        let output = self.run("git", &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self) -> String {
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs the script of the pipeline; whether it passed, what it said, and how `ca-server` was called.
    fn pipeline(&self, arguments: &[&str]) -> (bool, String, String) {
        let _ = fs::remove_file(self.path("calls"));
        let output = self.run("sh", &[&["ci/policies.sh"], arguments].concat());
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        (output.status.success(), String::from_utf8(output.stderr).unwrap(), calls)
    }
}

/// Fails when a pipeline passes although one of its three questions was not asked, or was answered by no.
#[test]
fn the_script_refuses_what_any_check_refuses() {
    let site = Site::new();
    let base = site.git(&["rev-parse", "HEAD"]);
    fs::write(site.path("repository/policies/server.yaml"), "# changed\n").unwrap();
    site.commit();
    let (passed, told, calls) = site.pipeline(&["check", &base]);
    let lines: Vec<&str> = calls.lines().collect();
    assert!(passed, "{told}");
    assert_eq!(lines[..2], ["policy check policies", "policy test policies"]);
    let old = lines[2].strip_prefix("policy diff ").and_then(|rest| rest.strip_suffix("/policies policies")).unwrap();
    assert!(lines.len() == 3 && !Path::new(old).exists(), "the old policies are not left behind: {calls}");
    assert!(site.pipeline(&["check", "0000000000000000000000000000000000000000"]).0, "the first commit of a branch");

    for verb in ["check", "test", "diff"] {
        site.program(&format!("[ \"$2\" != {verb} ]"));
        assert!(!site.pipeline(&["check", &base]).0, "policy {verb} has failed");
    }
    site.program("exit 0");
    fs::write(site.path("repository/policies/new.yaml"), "# not listed\n").unwrap();
    let (passed, told, _) = site.pipeline(&["check"]);
    assert!(!passed && told.contains("kustomization.yaml does not list policies/new.yaml"), "{told}");
    assert!(!site.pipeline(&[]).0 && !site.pipeline(&["deploy"]).0, "wrong usage");
}

/// The same with the program itself: the default profiles pass, and a pipeline tells what is wrong with a change.
#[test]
fn the_default_profiles_pass_and_a_fault_is_told() {
    let site = Site::new();
    fs::remove_file(site.path("bin/ca-server")).unwrap();
    symlink(env!("CARGO_BIN_EXE_ca-server"), site.path("bin/ca-server")).unwrap();
    let (passed, told, _) = site.pipeline(&["check"]);
    assert!(passed, "{told}");
    let server = site.path("repository/policies/server.yaml");
    let good = fs::read_to_string(&server).unwrap();
    for (from, to, expected) in [
        ("lifetime:", "lifetme:", "policies/server.yaml: line"),
        ("suffix: \"site.test\"", "suffix: \"other.test\"", ""),
    ] {
        fs::write(&server, good.replace(from, to)).unwrap();
        let (passed, told, _) = site.pipeline(&["check"]);
        assert!(!passed && told.contains(expected), "{to}: {told}");
    }
}

/// Fails when the branch that clusters follow has another content than what was checked, or does not say its commit.
#[test]
fn what_is_published_is_what_was_checked_and_says_its_commit() {
    let site = Site::new();
    for round in ["first", "second"] {
        fs::write(site.path("repository/policies/README.md"), round).unwrap();
        let commit = site.commit();
        fs::write(site.path("repository/policies/server.yaml.orig"), "not committed").unwrap();
        let (passed, told, _) = site.pipeline(&["publish"]);
        assert!(passed, "{told}");
        let origin = site.path("origin").display().to_string();
        let shown = |name: &str| site.git(&["--git-dir", &origin, "show", &format!("checked:{name}")]);
        assert_eq!(shown("policies/REVISION"), commit);
        let differs = site.git(&["--git-dir", &origin, "diff", "--name-only", &commit, "checked"]);
        assert_eq!(differs, "policies/REVISION", "everything else is the commit's");
        assert!(!site.path("repository/policies/REVISION").exists(), "the working copy is left alone");
        must_be_read_by_the_ca(&site, &commit);
    }
}

/// What kustomize makes of the published branch, mounted as kubelet does, is a policy of that commit.
fn must_be_read_by_the_ca(site: &Site, commit: &str) {
    let checkout = site.path(commit).display().to_string();
    site.git(&["clone", "-q", "-b", "checked", "../origin", &checkout]);
    let Some(made) = kustomize(&checkout) else { return };
    let made: Value = serde_saphyr::from_str(&made).unwrap();
    assert_eq!([&made["kind"], &made["metadata"]["name"]], ["ConfigMap", "pilotlight-policies"]);
    let mount = site.path(commit).join("mount");
    fs::create_dir_all(mount.join("..2026")).unwrap();
    symlink("..2026", mount.join("..data")).unwrap();
    for (name, content) in made["data"].as_object().unwrap() {
        fs::write(mount.join("..2026").join(name), content.as_str().unwrap()).unwrap();
        symlink(format!("..data/{name}"), mount.join(name)).unwrap();
    }
    let look = Source::folder(&mount).look().unwrap();
    let policy = ca_server::policies::check(&look, &Validation::default().kinds()).unwrap();
    assert_eq!(policy.commit().unwrap().as_str(), commit);
    assert_eq!(policy.profiles().len(), profiles().count());
}

/// kustomize, or the one within kubectl; none when neither is installed.
fn kustomize(folder: &str) -> Option<String> {
    let ways: [(&str, &[&str]); 2] = [("kustomize", &["build"]), ("kubectl", &["kustomize"])];
    let output = ways.iter().find_map(|(program, verb)| Command::new(program).args(*verb).arg(folder).output().ok())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
