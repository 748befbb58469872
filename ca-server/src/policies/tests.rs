use std::fs;

use super::*;
use crate::config::Validation;

const PROFILE: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: { name: x }\nspec:\n  identifiers: { dns: [{ suffix: test }] }\n  usage: { extendedKeyUsage: [serverAuth] }\n  lifetime: LIFE\n  backdate: 1h\n  renewal: { at: 0.5, grace: 1d }\n  requires: { binding: none, challenges: [KIND] }\n";

fn load_one(life: &str, kind: &str) -> Result<Policy, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.yaml"), PROFILE.replace("LIFE", life).replace("KIND", kind)).unwrap();
    load(folder.path(), &Validation::default().kinds()).map_err(|error| error.to_string())
}

#[test]
fn what_could_never_be_issued_is_refused_when_it_is_read() {
    assert!(load_one("90d", "http-01").is_ok());
    assert!(load_one("500d", "http-01").unwrap_err().contains("398 days"));
    for kind in ["dns-01", "tls-alpn-01"] {
        assert!(load_one("90d", kind).is_ok(), "{kind}");
    }
    assert!(load_one("90d", "dns-persist-01").unwrap_err().contains("set `dns_persist = true`"));
    assert!(load_one("90d", "http-01, dns-account-01").unwrap_err().contains("set `dns_account = true`"));
}

/// A folder with one good profile and these files beside it.
fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let good = PROFILE.replace("LIFE", "90d").replace("KIND", "http-01");
    fs::write(folder.path().join("good.yaml"), good).unwrap();
    files.iter().for_each(|(name, content)| fs::write(folder.path().join(name), content).unwrap());
    folder
}

fn refusal(folder: &Path) -> String {
    load(folder, &Validation::default().kinds()).unwrap_err().to_string()
}

/// Fails when such a file is taken, passed over, or refused without its name.
#[test]
fn files_that_nobody_can_have_meant_are_refused_by_name() {
    let utf16: Vec<u8> = "apiVersion: x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let large = vec![b'#'; 256 * 1024 + 1];
    let good = PROFILE.replace("LIFE", "90d").replace("KIND", "http-01").replace("name: x", "name: y");
    let two = format!("{good}---\n{}", good.replace("name: y", "name: z")).into_bytes();
    let cases: [(&str, &[u8], &str); 8] = [
        ("latin1.yaml", b"# ok\n# f\xfcr\n", "line 2 is not UTF-8"),
        ("utf16.yaml", &[b"\xff\xfe".as_slice(), &utf16].concat(), "line 1 is not UTF-8"),
        ("large.yaml", &large, "larger than 256 kB"),
        ("tabs.yaml", b"apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata:\n\tname: y\n", "line 4"),
        ("empty.yaml", b"", ""),
        ("two.yaml", &two, "multiple YAML documents"),
        ("bomb.yml", b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b]\n", ""),
        ("nul.yaml", b"a: \0\n", ""),
    ];
    for (name, content, expected) in cases {
        let told = refusal(folder_with(&[(name, content)]).path());
        assert!(told.contains(name) && told.contains(expected) && !told.contains("good.yaml"), "{told}");
    }
}

/// Fails when a value that makes no sense is told without its line.
#[test]
fn values_are_refused_with_their_line() {
    let good = PROFILE.replace("LIFE", "90d").replace("KIND", "http-01").replace("name: x", "name: y");
    let line = |of: &str| 1 + good.lines().position(|line| line.contains(of)).unwrap();
    for (from, to) in [("lifetime: 90d", "lifetime: 90 moons"), ("http-01", "carrier-pigeon")] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good);
        let told = refusal(folder_with(&[("odd.yaml", changed.as_bytes())]).path());
        assert!(told.contains(&format!("odd.yaml: line {}: spec.", line(from))), "{told}");
    }
}
