//! A CA, a name server and a web server for the clients, and what is held against every certificate they get.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::ca::Ca;
use tests::certificate::{Leaf, chain};
use tests::dns::Dns;
use tests::folders::{Folder, write};
use tests::ports::Port;
use tests::webroot::Webroot;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The zone of all names.
pub(crate) const ZONE: &str = "site.test";

/// What every client gets that names no profile. Beside it there is `hour`, for certificates that live that long.
const SERVER: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata:\n  name: server\n  description: Servers\n\
    spec:\n  identifiers:\n    dns: [{ suffix: site.test }]\n    ip: [\"127.0.0.0/8\"]\n    wildcards: true\n\
    \x20 keys: { ecdsa: true, ed25519: true, rsaMinBits: 2048 }\n\
    \x20 usage: { extendedKeyUsage: [serverAuth] }\n  commonName: true\n  lifetime: 30d\n  backdate: 1m\n\
    \x20 renewal: { at: 0.6, grace: 0s }\n\
    \x20 requires: { binding: none, challenges: [http-01, dns-01, tls-alpn-01] }\n";

/// The challenges of that profile.
const ALL: &str = "http-01, dns-01, tls-alpn-01";

/// What is particular about a CA.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Setting {
    /// Accounts need an external account key.
    pub(crate) bound: bool,
    /// On PostgreSQL instead of SQLite.
    pub(crate) postgres: bool,
    /// Refuses each n-th good nonce (NON-8).
    pub(crate) refuse_nonces: Option<u32>,
    /// The life of its certificates, instead of 30 days.
    pub(crate) seconds: Option<u32>,
    /// The only challenge it offers, instead of all three.
    pub(crate) challenge: Option<&'static str>,
}

impl Setting {
    fn policy(&self) -> String {
        let mut policy = SERVER.to_owned();
        if let Some(seconds) = self.seconds {
            policy = policy.replace("lifetime: 30d\n  backdate: 1m", &format!("lifetime: {seconds}s\n  backdate: 0s"));
        }
        if let Some(challenge) = self.challenge {
            policy = policy.replace(ALL, challenge);
        }
        policy
    }
}

/// The CA and its surroundings.
pub(crate) struct World {
    pub(crate) ca: Ca,
    pub(crate) dns: Dns,
    pub(crate) directory: String,
    pub(crate) http: Port,
    pub(crate) tls: Port,
    webroot: Option<Webroot>,
    folder: Folder,
}

impl World {
    /// One that lets everybody register.
    pub(crate) async fn open() -> Self {
        Self::start(Setting::default()).await
    }

    /// One that wants an external account key.
    pub(crate) async fn bound() -> Self {
        Self::start(Setting { bound: true, ..Setting::default() }).await
    }

    /// Makes a CA and starts it, with a web server and a name server.
    pub(crate) async fn start(setting: Setting) -> Self {
        Self::start_configured(setting, |_| ()).await
    }

    /// The same, with a change of its configuration.
    pub(crate) async fn start_configured(setting: Setting, change: impl FnOnce(&mut toml::Table)) -> Self {
        let options: &[&str] = if setting.bound { &[] } else { &["--open-acme"] };
        let (mut ca, dns) = if setting.postgres {
            (Ca::init_on_postgres(options).await, Dns::start(&[ZONE]).await)
        } else {
            tokio::join!(Ca::init_with(&[], options), Dns::start(&[ZONE]))
        };
        let (http, tls, folder) = (Port::take(), Port::take(), Folder::new());
        write(&ca.dir().join("policies/server.yaml"), setting.policy(), 0o644);
        let hour = SERVER.replace("name: server", "name: hour").replace("lifetime: 30d", "lifetime: 1h");
        write(&ca.dir().join("policies/hour.yaml"), hour, 0o644);
        let mut directory = String::new();
        ca.configure(|config| {
            let validation = config["validation"].as_table_mut().unwrap();
            validation.insert("http_port".into(), i64::from(http.number()).into());
            validation.insert("tls_port".into(), i64::from(tls.number()).into());
            validation.insert("allow_networks".into(), vec!["127.0.0.0/8", "::1/128"].into());
            validation.insert("resolvers".into(), vec![dns.address()].into());
            change(config);
            directory = format!("{}/acme/directory", config["external"]["main"].as_str().unwrap());
        });
        match setting.refuse_nonces {
            Some(each) => ca.serve_refusing_nonces(each).await,
            None => ca.serve().await,
        }
        let webroot = Some(Webroot::start(&http, folder.sub("webroot")));
        Self { ca, dns, directory, http, tls, webroot, folder }
    }

    /// The folder of the web server on the port of http-01.
    pub(crate) fn webroot(&self) -> PathBuf {
        self.folder.sub("webroot")
    }

    /// Leaves the port of http-01 to a client.
    pub(crate) fn close_webroot(&mut self) {
        self.webroot = None;
    }

    /// Holds a chain that a client stored against the root, the names, and the key beside it; its leaf.
    #[track_caller]
    pub(crate) fn must_be_good(&self, file: &Path, key: &Path, names: &[&str], kind: Kind) -> Leaf {
        self.must_be_good_under(&self.ca.roots(), file, key, names, kind)
    }

    #[track_caller]
    fn must_be_good_under(&self, roots: &Path, file: &Path, key: &Path, names: &[&str], kind: Kind) -> Leaf {
        let (roots, path) = (roots.to_str().unwrap(), file.to_str().unwrap());
        let verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", roots, "-untrusted", path, path];
        openssl(&verify);
        let certificates = chain(file);
        assert!(certificates.len() >= 2, "{path}: CRT-2: a chain of one");
        let (_, parsed) = X509Certificate::from_der(&certificates[0]).unwrap();
        let alternative = parsed.subject_alternative_name().unwrap().expect("names").value.general_names.clone();
        let mut found: Vec<String> = alternative.iter().map(name).collect();
        let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{path}");
        let algorithm = parsed.public_key().algorithm.algorithm.to_id_string();
        assert_eq!(algorithm, kind.oid(), "{path}: another kind of key");
        let leaf = Leaf::from_der(&certificates[0]);
        let public = openssl(&["pkey", "-in", key.to_str().unwrap(), "-pubout", "-outform", "DER"]);
        assert_eq!(public, leaf.public_key, "{path}: the key is another one");
        leaf
    }

    /// What the CA says about a certificate.
    pub(crate) async fn state(&self, leaf: &Leaf) -> serde_json::Value {
        let all = self.ca.certificates().await;
        let known = |row: &&serde_json::Value| {
            let serial = row["serial"].as_str().unwrap().trim_start_matches('0');
            serial.eq_ignore_ascii_case(leaf.serial.trim_start_matches('0'))
        };
        all.iter().find(known).unwrap_or_else(|| panic!("the CA does not know {}", leaf.serial)).clone()
    }

    /// Fails unless the CA has revoked a certificate.
    pub(crate) async fn must_be_revoked(&self, leaf: &Leaf) {
        let row = self.state(leaf).await;
        assert_eq!(row["state"], "revoked", "{row:#}");
    }

    /// An external account key: its name and its secret.
    pub(crate) async fn external_key(&self) -> (String, String) {
        let made = self.ca.json(&["eab", "create"]).await;
        (made["kid"].as_str().unwrap().to_owned(), made["hmacKey"].as_str().unwrap().to_owned())
    }
}

/// What kind of key a certificate is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ecdsa,
    Rsa,
}

impl Kind {
    const fn oid(self) -> &'static str {
        match self {
            Self::Ecdsa => "1.2.840.10045.2.1",
            Self::Rsa => "1.2.840.113549.1.1.1",
        }
    }
}

fn name(general: &GeneralName<'_>) -> String {
    match general {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(octets) => {
            <[u8; 4]>::try_from(*octets).map(std::net::Ipv4Addr::from).unwrap().to_string()
        }
        other => panic!("an unexpected name: {other}"),
    }
}

/// Runs openssl; its standard output.
#[track_caller]
pub(crate) fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
