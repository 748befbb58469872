//! `init`: a CA in an empty folder, wholly or not at all.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use ipnet::IpNet;
use pki_core::ids::IssuerId;
use pki_core::policy;
use pki_core::random::{self, Entropy};
use pki_core::time::{Clock, Timestamp};
use pki_core::x509::certificate::Certificate;
use pki_core::x509::key::{KeyAlgorithm, PublicKey};
use pki_core::x509::name::DnsName;
use pki_core::x509::pem;
use signer::{Envelope, FileSigner, KeyId, Passphrase, SiteKey, generate};
use zeroize::Zeroizing;

use crate::ceremony::CeremonyError;
use crate::ceremony::authority::{self, Made, Wanted};
use crate::ceremony::names::Names;
use crate::ceremony::register::{self, Registration};
use crate::ceremony::staging::Staging;
use crate::config::{self, Config, DatabaseUrl, ExternalUrl, Template};

/// What the new CA is to be.
#[derive(Debug)]
pub struct InitRequest {
    /// The folder, absent or empty.
    pub dir: PathBuf,
    /// Its name; part of the names of its certificates.
    pub name: String,
    /// Names it is reached by; the first one stands in URLs.
    pub dns_names: Vec<DnsName>,
    /// Addresses it is reached by.
    pub ips: Vec<IpAddr>,
    /// Zones of the devices.
    pub domains: Vec<DnsName>,
    /// Networks of the devices; private and local ones when empty.
    pub networks: Vec<IpNet>,
    /// The kind of its keys.
    pub key: KeyAlgorithm,
    /// Where the root key goes.
    pub root: RootCustody,
    /// Its database.
    pub database: DatabaseUrl,
    /// Whether accounts need no external binding.
    pub open_acme: bool,
    /// Whether the intermediate is limited to `domains` and `networks`.
    pub name_constraints: bool,
    /// The URL of the main listener; from the first name and the port when absent.
    pub external_main: Option<ExternalUrl>,
    /// The URL of the public listener; from the first name and the port when absent.
    pub external_public: Option<ExternalUrl>,
    /// `listen.main`, `listen.public` and `listen.operations`, as `ADDRESS:PORT`.
    pub listen: [String; 3],
    /// Networks that validation may connect to although they are local.
    pub validation_allow: Vec<IpNet>,
    /// What is written into `keys.passphrase_file`, if anything.
    pub passphrase_file: Option<PathBuf>,
}

impl InitRequest {
    /// A CA with the documented defaults.
    pub fn new(dir: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            name: name.into(),
            dns_names: Vec::new(),
            ips: Vec::new(),
            domains: Vec::new(),
            networks: Vec::new(),
            key: KeyAlgorithm::EcdsaP256,
            root: RootCustody::Online,
            database: config::Database::default().url,
            open_acme: false,
            name_constraints: true,
            external_main: None,
            external_public: None,
            listen: ["[::]:8443".into(), "[::]:8080".into(), "127.0.0.1:9180".into()],
            validation_allow: Vec::new(),
            passphrase_file: None,
        }
    }
}

/// Where the root key goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCustody {
    /// Into the key folder.
    Online,
    /// Into a file that is carried away; nothing of it stays in the folder. `NAME-root.key` beside the folder when none
    /// is given.
    Offline {
        /// The file, which must not exist.
        out: Option<PathBuf>,
    },
}

/// What encrypts the keys.
#[derive(Debug)]
pub enum PassphraseChoice {
    /// A passphrase that somebody keeps elsewhere.
    Given(Passphrase),
    /// A new one in `keys/passphrase`, for a CA that is tried out.
    Made,
}

/// A CA that was made.
#[derive(Debug)]
pub struct Initialised {
    /// Its folder.
    pub dir: PathBuf,
    /// Its root.
    pub root: Certificate,
    /// Its issuing CA.
    pub intermediate: Certificate,
    /// The URL of the ACME directory.
    pub directory_url: String,
    /// Where the offline root key is.
    pub root_key: Option<PathBuf>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Makes a CA. RSA keys take seconds.
pub async fn init(
    request: &InitRequest,
    passphrase: PassphraseChoice,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Initialised, CeremonyError> {
    config::check_name(&request.name).map_err(CeremonyError::Request)?;
    let names = Names::new(request)?;
    let staging = Staging::begin(&request.dir)?;
    let root_key = OfflineKey::plan(request, staging.target())?;
    let folder = Folder { request, names: &names, staging: &staging, now: clock.now(), entropy };
    let (made, directory_url) = folder.fill(passphrase, root_key.as_ref()).await?;
    staging.publish()?;
    let root_key = root_key.map(OfflineKey::keep);
    let dir = request.dir.clone();
    Ok(Initialised {
        dir,
        root: made.root,
        intermediate: made.intermediate,
        directory_url,
        root_key,
        notes: names.notes,
    })
}

/// A root key file outside of the folder; removed again unless the CA came to be.
struct OfflineKey {
    path: PathBuf,
    is_kept: bool,
}

impl OfflineKey {
    fn plan(request: &InitRequest, target: &Path) -> Result<Option<Self>, CeremonyError> {
        let RootCustody::Offline { out } = &request.root else { return Ok(None) };
        let path =
            out.clone().unwrap_or_else(|| target.with_file_name(format!("{}-root.key", file_name(&request.name))));
        let path = std::path::absolute(&path).map_err(CeremonyError::file("find", &path))?;
        if path.starts_with(target) {
            let why = format!(
                "{} lies in the folder of the CA; give --root-out a place that is carried away",
                path.display()
            );
            return Err(CeremonyError::Request(why));
        }
        // checked before anything exists, so that dropping this never removes a file of somebody else
        match path.symlink_metadata() {
            Ok(_) => Err(signer::KeyFileError::Exists { path }.into()),
            Err(_) => Ok(Some(Self { path, is_kept: false })),
        }
    }

    fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        self.path.clone()
    }
}

impl Drop for OfflineKey {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

/// Everything that goes into the folder.
struct Folder<'a> {
    request: &'a InitRequest,
    names: &'a Names,
    staging: &'a Staging,
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

impl Folder<'_> {
    async fn fill(
        &self,
        choice: PassphraseChoice,
        offline: Option<&OfflineKey>,
    ) -> Result<(Made, String), CeremonyError> {
        let keys = self.staging.folder("keys")?;
        let (passphrase, passphrase_file) = self.passphrase(choice)?;
        let (root_id, issuing_id) = (IssuerId::random(self.entropy), IssuerId::random(self.entropy));
        let config = self.configuration(passphrase_file, (root_id, issuing_id))?;
        let root_key = offline.map_or_else(|| keys.join(KeyId::root().file_name()), |offline| offline.path.clone());
        let intermediate_key = self.make_keys(&keys, &root_key, &passphrase)?;
        let signer = FileSigner::open_files(&[(KeyId::root(), root_key)], &passphrase, Envelope::ceremony())?;
        let wanted = Wanted {
            name: &self.request.name,
            constraints: self.names.constraints.as_ref(),
            root_id,
            public_url: config.external.public.as_str(),
            intermediate_key: &intermediate_key,
            now: self.now,
        };
        let made = authority::make(&signer, wanted, self.entropy).await?;
        self.write_certificates(&made)?;
        self.write_policies()?;
        let registration = Registration { config: &config, made: &made, now: self.now, entropy: self.entropy };
        register::register(self.staging.path(), registration).await?;
        Ok((made, format!("{}/acme/directory", config.external.main)))
    }

    fn passphrase(&self, choice: PassphraseChoice) -> Result<(Passphrase, Option<PathBuf>), CeremonyError> {
        match choice {
            PassphraseChoice::Given(passphrase) => Ok((passphrase, self.request.passphrase_file.clone())),
            PassphraseChoice::Made => {
                let text = Zeroizing::new(BASE32_NOPAD.encode(&random::bytes::<20>(self.entropy)) + "\n");
                self.staging.file("keys/passphrase", text.as_bytes(), 0o600)?;
                let passphrase = Passphrase::from_first_line(&text).expect("32 letters are a passphrase");
                Ok((passphrase, Some("keys/passphrase".into())))
            }
        }
    }

    fn make_keys(&self, keys: &Path, root: &Path, passphrase: &Passphrase) -> Result<PublicKey, CeremonyError> {
        generate::generate_key_file(root, self.request.key, passphrase, self.entropy)?;
        SiteKey::create(&keys.join("site.key"), passphrase, self.entropy)?;
        let key = KeyId::intermediate();
        Ok(generate::generate_key(keys, &key, self.request.key, passphrase, self.entropy)?)
    }

    /// Writes `ca-server.toml`, and reads it back: what `serve` would refuse is refused now.
    fn configuration(
        &self,
        passphrase_file: Option<PathBuf>,
        ids: (IssuerId, IssuerId),
    ) -> Result<Config, CeremonyError> {
        let [main, public, operations] = &self.request.listen;
        let url = |given: &Option<ExternalUrl>, scheme: &str, listen: &str| match given {
            Some(url) => url.to_string(),
            None => format!("{scheme}://{}:{}", self.names.host(), listen.rsplit(':').next().unwrap_or_default()),
        };
        let (main_url, public_url) =
            (url(&self.request.external_main, "https", main), url(&self.request.external_public, "http", public));
        let allow_networks: Vec<_> = self.request.validation_allow.iter().map(IpNet::to_string).collect();
        let passphrase_file = passphrase_file.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let text = config::render(&Template {
            listen_main: main,
            listen_public: public,
            listen_operations: operations,
            database_url: self.request.database.expose(),
            external_account_required: !self.request.open_acme,
            allow_networks: &allow_networks,
            passphrase_file: &passphrase_file,
            ..Template::new(&self.request.name, &main_url, &public_url, &self.names.own, ids)
        });
        // the database URL may hold a password
        self.staging.file(config::FILE, text.as_bytes(), 0o600)?;
        Ok(Config::parse(&text, self.staging.path())?)
    }

    fn write_certificates(&self, made: &Made) -> Result<(), CeremonyError> {
        self.staging.folder("ca")?;
        self.staging.file("ca/root.crt", pem::to_pem(&made.root).as_bytes(), 0o644)?;
        self.staging.file("ca/intermediate.crt", pem::to_pem(&made.intermediate).as_bytes(), 0o644)?;
        self.staging.file("ca/root.crl", made.root_crl.der(), 0o644)?;
        self.staging.file("roots.pem", pem::to_pem(&made.root).as_bytes(), 0o644)
    }

    fn write_policies(&self) -> Result<(), CeremonyError> {
        self.staging.folder("policies")?;
        let documents = policy::defaults::documents(&self.names.domains, &self.names.networks);
        // the first line of every document points editors to it
        let schema = (policy::schema::FILE.to_owned(), policy::schema::profile());
        let mut files = documents.iter().chain([&schema]);
        files.try_for_each(|(name, text)| self.staging.file(&format!("policies/{name}"), text.as_bytes(), 0o644))
    }
}
