use super::*;

fn load(files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    Config::load(&dir.path().join("agent.toml"), false)
}

fn refusal(text: &str) -> String {
    let error = load(&[("agent.toml", text)]).unwrap_err().to_string();
    error.split_once("agent.toml").unwrap().1.to_owned()
}

#[test]
fn main_file_and_drop_ins_are_one() {
    let config = load(&[
        ("agent.toml", "[agent]\nstate = '/srv/agent'\nlog = 'debug'\n[[certificate]]\nname = 'web'\ndns = ['b.test', 'a.test']\nip = ['10.0.0.1']"),
        ("conf.d/20-broker.toml", "[[certificate]]\ndns = ['*.Broker.test']\nkey = 'ecdsa-p384'\nowner = 0\ngroup = 'root'\nmode = '0640'\nrenew_at = 0.5\nprofile = 'server'\n[certificate.service]\ntype = 'rabbitmq'\n[certificate.probe]\naddress = '127.0.0.1:5671'\nserver_name = 'broker.test'"),
        ("conf.d/10-plain.toml", "[[certificate]]\nname='x'\n[[certificate.probe]]\naddress='a:1'\n[[certificate.probe]]\naddress='b:2'"),
        ("conf.d/ignored.toml.bak", "nonsense"),
    ])
    .unwrap();
    assert_eq!(config.agent.state, Path::new("/srv/agent"));
    let names: Vec<_> = config.certificates.iter().map(|certificate| certificate.name.as_str()).collect();
    assert_eq!(names, ["web", "x", "broker.test"]);
    let broker = &config.certificates[2];
    assert_eq!((broker.secret.mode, broker.secret.uid, broker.secret.gid), (0o640, Some(0), Some(0)));
    assert_eq!((broker.renew_at_permille, broker.service.kind(), broker.probes.len()), (Some(500), "rabbitmq", 1));
    assert_eq!(config.certificates[1].probes.len(), 2);
}

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    let text = refusal("[agent]\nstate = '/x'\n\n[[certificate]]\nname = 'web'\nonwer = 'root'\n");
    assert!(text.starts_with(", line 6: unknown field `onwer`"), "{text}");
    assert!(text.ends_with("did you mean `owner`?"), "{text}");
    let text = refusal("[certificates]\n");
    assert!(text.starts_with(", line 1: ") && text.ends_with("did you mean `certificate`?"), "{text}");
    let text = refusal("[[certificate]]\nkey = 'ecdsa-p265'");
    assert!(text.contains("line 2") && text.ends_with("did you mean `ecdsa-p256`?"), "{text}");
}

#[test]
fn impossible_values_say_what_to_write() {
    for (text, wanted) in [
        ("[[certificate]]\nname = '../etc'", "cannot name a certificate"),
        ("[[certificate]]\nmode = '0644'", "lets everyone read the private key"),
        ("[[certificate]]\nmode = 'rw'", "write it like"),
        ("[[certificate]]\nowner = 'nobody-of-that-name'", "there is no user"),
        ("[[certificate]]\nrenew_at = 50", "such as 0.5"),
        ("[[certificate]]\ndns = ['a b']", "only letters"),
        ("[[certificate]]\nip = ['10.0.0.0/8']", "not a valid IP address"),
        ("[[certificate]]\nname = 'web", "line 2"),
        ("[[certificate]]\nname='a'\n[[certificate]]\nname='a'", "configured twice"),
        ("[[certificate]]\n[certificate.probe]\naddress = 'x'", "host:port"),
    ] {
        let message = refusal(text);
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

#[test]
fn sections_stand_once_and_a_named_file_must_exist() {
    let error = load(&[("agent.toml", "[agent]\n"), ("conf.d/a.toml", "[agent]\n")]).unwrap_err();
    assert!(error.to_string().contains("keep it in one file"), "{error}");
    assert!(load(&[]).unwrap().certificates.is_empty());
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Config::load(&dir.path().join("x.toml"), true), Err(ConfigError::Missing(_))));
}
