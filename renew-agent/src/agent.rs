//! An enrolled node: what is on disk and in the configuration, opened and checked once.

use std::sync::{Arc, Mutex, PoisonError};

use pki_core::time::Clock;
use pki_core::x509::name::Identifier;

use crate::acme::{AcmeClient, AcmeError};
use crate::bundle::{BundleError, Roots};
use crate::clock::FlooredClock;
use crate::config::{CertificateConfig, Config, DEFAULT_NAME};
use crate::files::{self, FileError};
use crate::install::recover::{Recovered, finish_order, recover};
use crate::install::{Generation, InstallError, Live};
use crate::keys::{AccountKey, KeyError};
use crate::schedule::Facts;
use crate::state::{self, AccountRecord, CaRecord, CertificateState, Contact, DeviceRecord, Home, StateError};

/// The largest file of roots.
const ROOTS_LIMIT: u64 = 64 * 1024;

/// Why the agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no account, or not all of it.
    #[error(
        "this node is not enrolled in {dir}: {missing} is missing; run `renew-agent enroll` with the token of this device"
    )]
    NotEnrolled {
        /// The state folder.
        dir: String,
        /// The file that is missing.
        missing: &'static str,
    },
    /// Nobody says what certificates there are.
    #[error("there is nothing to keep: the account is bound to no device, and no [[certificate]] is configured")]
    NothingToKeep,
    /// A certificate has no names.
    #[error(
        "the certificate `{0}` has no names: give `dns` or `ip`, since the account is bound to no device that has some"
    )]
    NoNames(String),
    /// No such certificate.
    #[error("there is no certificate `{name}`; there is {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The account key is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The roots are no certificates.
    #[error("cannot read the pinned roots: {0}")]
    Roots(BundleError),
    /// Generations could not be brought in order.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// An enrolled node.
#[derive(Debug)]
pub struct Agent {
    /// Its folder.
    pub home: Home,
    /// What the operator decided.
    pub config: Config,
    /// The time.
    pub clock: Arc<FlooredClock>,
    /// The CA.
    pub ca: CaRecord,
    /// What it trusts.
    pub roots: Roots,
    /// Its account.
    pub account: AccountRecord,
    /// What it is, when the account is bound to a device; the CA may change it.
    device: Mutex<Option<DeviceRecord>>,
    /// One http-01 listener at a time.
    pub(crate) challenges: tokio::sync::Mutex<()>,
}

impl Agent {
    /// Opens an enrolled node. Nothing is written.
    pub fn open(home: Home, config: Config, clock: Arc<FlooredClock>) -> Result<Self, OpenError> {
        let not_enrolled = |missing| OpenError::NotEnrolled { dir: home.dir().display().to_string(), missing };
        let ca = state::load(&home.ca())?.ok_or_else(|| not_enrolled("ca.json"))?;
        let roots = files::read(&home.roots(), ROOTS_LIMIT)?.ok_or_else(|| not_enrolled("roots.pem"))?;
        let roots = Roots::from_pem(&String::from_utf8_lossy(&roots)).map_err(OpenError::Roots)?;
        for root in roots.certificates() {
            clock.raise(root.not_before());
        }
        AccountKey::load(&home.account_key())?.ok_or_else(|| not_enrolled("account.key"))?;
        let account = state::load(&home.account())?.ok_or_else(|| not_enrolled("account.json"))?;
        let device = Mutex::new(state::load(&home.device())?);
        let mut agent =
            Self { home, config, clock, ca, roots, account, device, challenges: tokio::sync::Mutex::new(()) };
        agent.complete()?;
        Ok(agent)
    }

    /// Adds the certificate that every device has, and refuses one without names.
    fn complete(&mut self) -> Result<(), OpenError> {
        let is_device = self.device().is_some();
        let certificates = &mut self.config.certificates;
        if is_device && certificates.iter().all(|certificate| certificate.name != DEFAULT_NAME) {
            certificates.insert(0, CertificateConfig::identity());
        }
        if certificates.is_empty() {
            return Err(OpenError::NothingToKeep);
        }
        match self.config.certificates.iter().find(|certificate| self.names(certificate).is_empty()) {
            Some(nameless) => Err(OpenError::NoNames(nameless.name.clone())),
            None => Ok(()),
        }
    }

    /// What the node is, when its account is bound to a device.
    pub fn device(&self) -> Option<DeviceRecord> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_device(&self, record: DeviceRecord) {
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    /// The configuration of one certificate.
    pub fn certificate(&self, name: &str) -> Result<&CertificateConfig, OpenError> {
        let found = self.config.certificates.iter().find(|certificate| certificate.name == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self.config.certificates.iter().map(|one| format!("`{}`", one.name)).collect();
            OpenError::Unknown { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// The names a certificate shall carry: its own, else all of the device's.
    pub fn names(&self, certificate: &CertificateConfig) -> Vec<Identifier> {
        if !certificate.identifiers.is_empty() {
            return certificate.identifiers.clone();
        }
        self.device().as_ref().map(device_names).unwrap_or_default()
    }

    /// The profile to order by, when it is not left to the CA.
    pub(crate) fn profile(&self, certificate: &CertificateConfig) -> Option<String> {
        let own = certificate.profile.as_ref().map(ToString::to_string);
        own.or_else(|| self.device().map(|device| device.profile))
    }

    /// The folder of a certificate's generations.
    pub fn live(&self, certificate: &CertificateConfig) -> Live {
        Live::new(&certificate.name, self.home.live(&certificate.name), certificate.secret, certificate.dir_mode)
    }

    /// Where a certificate stands. A damaged state file is put aside: certificates and keys are the truth.
    pub fn state(&self, name: &str) -> Result<CertificateState, StateError> {
        let path = self.home.certificate_state(name);
        match state::load(&path) {
            Ok(state) => Ok(state.unwrap_or_default()),
            Err(error @ StateError::Damaged { .. }) => {
                tracing::warn!(certificate = name, %error, "starting over from what is installed");
                Ok(CertificateState::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers where a certificate stands.
    pub fn remember(&self, name: &str, state: &CertificateState) -> Result<(), StateError> {
        state::save(&self.home.certificate_state(name), state)
    }

    /// Who holds a certificate, for its place in the schedule.
    pub fn holder(&self, certificate: &CertificateConfig) -> String {
        let device = self.device().map_or_else(|| self.account.url.clone(), |device| device.device);
        format!("{device}/{}", certificate.name)
    }

    /// What the schedule decides from.
    pub(crate) fn facts<'a>(
        &self,
        config: &'a CertificateConfig,
        current: Option<&'a Generation>,
        state: &'a CertificateState,
        holder: &'a str,
    ) -> Facts<'a> {
        let wanted = self.names(config);
        let names_fit =
            current.is_none_or(|current| wanted.iter().all(|name| current.leaf.identifiers().contains(name)));
        let advice = self.device().and_then(|device| device.renew_at_permille);
        Facts { config, current, state, names_fit, advice, holder }
    }

    /// Brings the generations of every certificate in order after a start, and takes the time from them.
    pub fn recover(&self) -> Result<(), OpenError> {
        for certificate in &self.config.certificates {
            let name = certificate.name.as_str();
            let live = self.live(certificate);
            let mut state = self.state(name)?;
            match recover(&self.home, &live, &mut state, self.clock.now())? {
                Recovered::Nothing | Recovered::Sound(_) => {}
                Recovered::Completed(_) => {
                    tracing::info!(certificate = name, "finished an installation that was cut short")
                }
                Recovered::FellBack { to, because } => tracing::error!(
                    certificate = name,
                    generation = to.number,
                    "{because}; went back to the newest good generation"
                ),
                Recovered::Lost { because } => {
                    tracing::error!(
                        certificate = name,
                        "{because}, and no other is whole; a new certificate is ordered"
                    );
                }
            }
            if let Some(current) = live.current() {
                self.clock.raise(current.leaf.not_before());
                finish_order(&self.home, &live, &mut state, &current)?;
            }
        }
        if let Some(floor) = self.clock.ahead_of_system() {
            tracing::warn!(%floor, "this node's clock is behind its own certificates; set it (`timedatectl`). Until then \
                the agent reckons from that time");
        }
        Ok(())
    }

    /// A client that acts for this node's account, and what the CA says of it.
    pub(crate) async fn connect(&self) -> Result<AcmeClient, AcmeError> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let key = AccountKey::load(&self.home.account_key())?.ok_or_else(|| KeyError::Unusable {
            of: "the account".to_owned(),
            detail: "account.key is missing; run `renew-agent enroll` with the token of this device".to_owned(),
        })?;
        let directory = Some(self.account.directory.as_str());
        let client = AcmeClient::connect(&self.ca.addresses, directory, &self.roots, clock, key).await;
        self.note_contact(client.as_ref().err());
        Ok(client?.with_account(self.account.url.clone()))
    }

    /// Remembers whether the CA is there. A failure to write it down must not stop a renewal.
    fn note_contact(&self, failure: Option<&AcmeError>) {
        let path = self.home.contact();
        let now = self.clock.now();
        let before = state::load::<Contact>(&path).ok().flatten().unwrap_or_default();
        let contact = match failure {
            Some(error) => Contact {
                unreachable_since: before.unreachable_since.or(Some(now)),
                last_error: Some(error.to_string()),
                ..before
            },
            None => Contact { reached_at: Some(now), unreachable_since: None, last_error: None },
        };
        if let Err(error) = state::save(&path, &contact) {
            tracing::warn!(%error, "cannot note how the CA was reached");
        }
    }
}

/// The names of a device; those that this release does not understand are left out.
fn device_names(device: &DeviceRecord) -> Vec<Identifier> {
    let dns = device.dns.iter().filter_map(|name| Identifier::parse("dns", name).ok());
    let ip = device.ip.iter().filter_map(|address| Identifier::parse("ip", address).ok());
    let mut all: Vec<_> = dns.chain(ip).collect();
    all.sort();
    all.dedup();
    all
}
