//! Every file in `deploy/` is read by what will read it: the programs themselves, nginx and systemd where they are
//! installed, and a plain look at keys and values elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ca_server::config::passphrase::CREDENTIAL;
use ca_server::config::{Config, FILE, Template, render};
use pki_core::x509::name::Identifier;
use rcgen::{CertificateParams, KeyPair};
use renew_agent::config::{Config as AgentConfig, DEFAULT_FILE};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// Reads a sample as the agent does. Groups are looked up when a configuration is read, and not every machine has them.
fn agent(sample: &str) -> AgentConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let line = |line: &str| if line.starts_with("group = ") { "group = 0".to_owned() } else { line.to_owned() };
    fs::write(&file, text(sample).lines().map(|it| line(it) + "\n").collect::<String>()).unwrap();
    AgentConfig::load(&file, true).unwrap_or_else(|error| panic!("{sample}: {error}"))
}

const AGENTS: [(&str, &[(&str, &str)]); 3] = [
    ("samples/agent-nginx.toml", &[("web", "nginx")]),
    ("samples/agent-rabbitmq.toml", &[("broker", "rabbitmq")]),
    ("samples/agent-gateway.toml", &[("identity", "none"), ("pages", "nginx")]),
];

#[test]
fn the_agent_reads_its_samples() {
    for (sample, expected) in AGENTS {
        let config = agent(sample);
        let found: Vec<_> = config.certificates.iter().map(|it| (it.name.as_str(), it.service.kind())).collect();
        assert_eq!(found, expected, "{sample}");
        for certificate in config.certificates {
            let listens = certificate.service.kind() != "none";
            assert_eq!(!certificate.probes.is_empty(), listens, "{sample}: who serves is looked at");
        }
    }
}

#[test]
fn a_sample_that_is_commented_in_is_good_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let broker = text("samples/agent-rabbitmq.toml")
        .replace("group = \"rabbitmq\"", "group = 0")
        .replace("clear_pem_cache = false\n", "")
        .replace("# clear_pem_cache", "clear_pem_cache")
        .replace("# node", "node");
    fs::write(&file, broker).unwrap();
    AgentConfig::load(&file, true).unwrap();
    let web = text("samples/agent-nginx.toml");
    for way in ["pid_file", "command"] {
        fs::write(&file, web.replace(&format!("# {way}"), way)).unwrap();
        AgentConfig::load(&file, true).unwrap_or_else(|error| panic!("{way}: {error}"));
    }
}

#[test]
fn the_sample_of_the_ca_is_what_init_writes() {
    let names = [Identifier::parse("dns", "ca.site.test"), Identifier::parse("ip", "192.0.2.10")].map(Result::unwrap);
    let ids = ("6b2f0e9c41d84a7fb3c5d2e8f1a09b74", "d01c7be2935f4e068fa1b6c4ee72930d");
    let rendered = render(&Template::new(
        "Site",
        "https://ca.site.test:8443",
        "http://ca.site.test:8080",
        &names,
        (ids.0.parse().unwrap(), ids.1.parse().unwrap()),
    ));
    assert_eq!(text("samples/ca-server.toml"), rendered);
    Config::parse(&rendered, Path::new("/var/lib/pilotlight")).unwrap();
}

/// Section, key and value of every line of a unit file or of `rabbitmq.conf`.
fn settings(text: &str) -> Vec<(String, String, String)> {
    let (mut section, mut found) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("neither section nor setting: {line}"));
        found.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
    }
    found
}

fn value<'a>(settings: &'a [(String, String, String)], key: &str) -> &'a str {
    let found = settings.iter().find(|(_, name, _)| name == key);
    &found.unwrap_or_else(|| panic!("{key} is missing")).2
}

#[test]
fn the_units_say_what_the_programs_do() {
    for (unit, state) in [("ca-server", "/var/lib/pilotlight"), ("renew-agent", "/var/lib/renew-agent")] {
        let settings = settings(&text(&format!("systemd/{unit}.service")));
        assert!(settings.iter().all(|(section, _, _)| ["Unit", "Service", "Install"].contains(&section.as_str())));
        assert_eq!(value(&settings, "Type"), "notify");
        assert_eq!(format!("/var/lib/{}", value(&settings, "StateDirectory")), state);
        assert!(value(&settings, "ConditionPathExists").starts_with(state));
        assert!(value(&settings, "ExecStart").starts_with(&format!("/usr/bin/{unit} ")));
        assert_eq!(value(&settings, "NoNewPrivileges"), "yes");
    }
    let ca = settings(&text("systemd/ca-server.service"));
    assert!(value(&ca, "LoadCredential").starts_with(&format!("{CREDENTIAL}:")));
    assert!(value(&ca, "ConditionPathExists").ends_with(FILE));
    assert_eq!(value(&ca, "CapabilityBoundingSet"), "");
    let state = AgentConfig::default().agent.state;
    assert_eq!(state, Path::new("/var/lib/renew-agent"));
    assert!(text("samples/agent-gateway.toml").contains(DEFAULT_FILE));
}

#[test]
fn systemd_accepts_the_units() {
    let analyze = Path::new("/usr/bin/systemd-analyze");
    if !analyze.exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for unit in ["ca-server", "renew-agent"] {
        // the programs are not installed where units expect them
        let file = folder.path().join(format!("{unit}.service"));
        fs::write(&file, text(&format!("systemd/{unit}.service")).replace(&format!("/usr/bin/{unit}"), "/bin/true"))
            .unwrap();
        let outcome = Command::new(analyze).arg("verify").arg(&file).env("SYSTEMD_PAGER", "").output().unwrap();
        let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(outcome.status.success() && !told.contains(&format!("{unit}.service:")), "{told}");
    }
}

/// The folder of a certificate's current generation.
fn current(name: &str) -> String {
    format!("/var/lib/renew-agent/live/{name}/current")
}

#[test]
fn nginx_accepts_its_files_and_reads_through_current() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["gw-1.site.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    for (name, content) in
        [("fullchain.pem", certificate.pem()), ("roots.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
    {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for sample in ["nginx/site.conf", "nginx/mutual-tls.conf"] {
        let site = text(sample);
        let paths = site.lines().filter(|line| line.contains(".pem") && !line.contains('#')).count();
        assert_eq!(site.matches(&current("web")).count(), paths, "{sample}: every path goes through current");
        test_with_nginx(folder.path(), &site);
    }
    let mutual = text("nginx/mutual-tls.conf");
    assert!(mutual.contains("ssl_session_tickets    off;") && mutual.contains("ssl_verify_client      on;"));
}

/// `nginx -t`, with files that exist and sockets that are nobody's.
fn test_with_nginx(folder: &Path, site: &str) {
    let nginx = Path::new("/usr/sbin/nginx");
    if !nginx.exists() {
        return;
    }
    let here = folder.display().to_string();
    let mut listeners = 0;
    let line = |line: &str| {
        if !line.trim_start().starts_with("listen ") {
            return line.replace(&current("web"), &here) + "\n";
        }
        listeners += 1;
        format!("listen unix:{here}/{listeners}.sock ssl;\n")
    };
    let site: String = site.lines().map(line).collect();
    let whole = format!(
        "pid {here}/nginx.pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{site}}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, whole).unwrap();
    let mut command = Command::new(nginx);
    command.args(["-tq", "-e", &format!("{here}/early.log"), "-p", &here, "-c"]).arg(&file);
    let outcome = command.output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(outcome.status.success() && !told.contains("[warn]"), "{told}");
}

#[test]
fn the_broker_reads_through_current_and_asks_for_certificates() {
    let settings = settings(&text("rabbitmq/rabbitmq.conf"));
    for (key, file) in [("certfile", "fullchain.pem"), ("keyfile", "key.pem"), ("cacertfile", "roots.pem")] {
        assert_eq!(value(&settings, &format!("ssl_options.{key}")), format!("{}/{file}", current("broker")));
    }
    assert_eq!(value(&settings, "ssl_options.verify"), "verify_peer");
    assert_eq!(value(&settings, "ssl_options.fail_if_no_peer_cert"), "true");
    assert_eq!(value(&settings, "ssl_options.depth"), "2");
    assert_eq!(value(&settings, "listeners.tcp"), "none");
}

#[test]
fn the_map_of_deploy_names_every_file_and_nothing_else() {
    let map = text("README.md");
    let gitops = ["repository", "ci", "argo-cd", "flux", "kubernetes"].map(|folder| format!("gitops/{folder}"));
    for folder in ["systemd", "samples", "nginx", "rabbitmq"].into_iter().chain(gitops.iter().map(String::as_str)) {
        for entry in fs::read_dir(deploy(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(map.contains(&format!("({path})")), "deploy/README.md does not name {path}");
        }
    }
    for link in map.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(deploy(link).exists(), "deploy/README.md names {link}, which is not there");
    }
}
