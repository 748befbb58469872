//! `ca-server init`

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use data_encoding::HEXLOWER;
use ipnet::IpNet;
use pki_core::random::SystemEntropy;
use pki_core::time::SystemClock;
use pki_core::x509::key::KeyAlgorithm;
use pki_core::x509::name::DnsName;

use crate::ceremony::{CeremonyError, InitRequest, Initialised, PassphraseChoice, RootCustody, init};
use crate::cli::args::PassphraseFile;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::config::DatabaseUrl;
use crate::config::passphrase::{self, Prompt};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The folder to make; it must be absent or empty
    #[arg(long)]
    dir: PathBuf,
    /// The CA's name, as in "NAME Root CA"
    #[arg(long)]
    name: String,
    /// A DNS name the CA is reached by; the first one stands in URLs
    #[arg(long = "dns-name", value_name = "NAME", required_unless_present = "ips", value_parser = dns_name)]
    dns_names: Vec<DnsName>,
    /// An IP address the CA is reached by
    #[arg(long = "ip", value_name = "IP")]
    ips: Vec<IpAddr>,
    /// A domain that devices have names in
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = dns_name)]
    domains: Vec<DnsName>,
    /// A network that devices have addresses in [default: private and loopback networks]
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<IpNet>,
    /// The kind of the CA's keys
    #[arg(long, value_enum, default_value_t = KeyType::P256)]
    key_type: KeyType,
    /// Where keys are kept
    #[arg(long, value_enum, default_value_t = Custody::File)]
    key: Custody,
    /// Whether the root key stays on this machine
    #[arg(long, value_enum, default_value_t = Root::Online)]
    root: Root,
    /// Where an offline root's key goes [default: NAME-root.key beside DIR]
    #[arg(long, value_name = "FILE")]
    root_out: Option<PathBuf>,
    /// sqlite:FILE or postgres://user@host/database
    #[arg(long, value_name = "URL", default_value = "sqlite:pilotlight.db")]
    database: DatabaseUrl,
    /// Let ACME clients make accounts without a key from this CA
    #[arg(long)]
    open_acme: bool,
    /// Do not limit the intermediate to --domain and --network
    #[arg(long)]
    no_name_constraints: bool,
    #[command(flatten)]
    passphrase: PassphraseFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeyType {
    P256,
    P384,
    Rsa3072,
    Rsa4096,
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Custody {
    /// Encrypted files in DIR/keys
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Root {
    /// In DIR/keys, encrypted
    Online,
    /// In a file to be carried away; nothing of it stays in DIR
    Offline,
}

impl Arguments {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        if self.root == Root::Online && self.root_out.is_some() {
            return Err(CliError::Usage("--root-out is for --root offline; give both or none".into()));
        }
        let Custody::File = self.key;
        let passphrase =
            passphrase::find(self.passphrase.path(), Path::new(""), Prompt::New).map_err(CliError::failed)?;
        let option = self.passphrase.path().map(|path| format!(" --passphrase-file {}", path.display()));
        let request = self.request();
        if matches!(request.key, KeyAlgorithm::Rsa { .. }) && output::is_watched() {
            output::note(&format!("making keys of the kind {}; this takes some seconds", request.key));
        }
        let done = init(&request, PassphraseChoice::Given(passphrase), &SystemClock, &SystemEntropy::new()).await;
        let done = done.map_err(|error| match error {
            CeremonyError::Request(why) => CliError::Usage(why),
            other => CliError::failed(other),
        })?;
        report(&done, &option.unwrap_or_default())
    }

    fn request(self) -> InitRequest {
        let root = match self.root {
            Root::Online => RootCustody::Online,
            Root::Offline => RootCustody::Offline { out: self.root_out },
        };
        InitRequest {
            dns_names: self.dns_names,
            ips: self.ips,
            domains: self.domains,
            networks: self.networks,
            key: self.key_type.algorithm(),
            root,
            database: self.database,
            open_acme: self.open_acme,
            name_constraints: !self.no_name_constraints,
            ..InitRequest::new(self.dir, self.name)
        }
    }
}

impl KeyType {
    fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::P256 => KeyAlgorithm::EcdsaP256,
            Self::P384 => KeyAlgorithm::EcdsaP384,
            Self::Rsa3072 => KeyAlgorithm::Rsa { bits: 3072 },
            Self::Rsa4096 => KeyAlgorithm::Rsa { bits: 4096 },
            Self::Ed25519 => KeyAlgorithm::Ed25519,
        }
    }
}

fn dns_name(text: &str) -> Result<DnsName, String> {
    text.parse().map_err(|error: pki_core::x509::name::NameError| error.to_string())
}

fn report(done: &Initialised, option: &str) -> Result<(), CliError> {
    done.notes.iter().for_each(|text| output::note(&format!("note: {text}")));
    let dir = done.dir.display();
    let mut text = format!(
        "{} is made in {dir}\n  root          {}  until {}\n  root SHA-256  {}\n  issuing CA    {}  until {}\n  directory     {}\n",
        done.root.common_name().unwrap_or_default(),
        done.root.public_key().algorithm(),
        done.root.not_after(),
        HEXLOWER.encode(&done.root.sha256()),
        done.intermediate.public_key().algorithm(),
        done.intermediate.not_after(),
        done.directory_url,
    );
    if let Some(key) = &done.root_key {
        text += &format!(
            "  root key      {}  carry it away, and keep two copies; `ca-server root sign` needs it once a year\n",
            key.display()
        );
    }
    text += &format!("start it with: ca-server serve --dir {dir}{option}\n");
    output::print(&text)
}
