//! The way of one renewal: key, order, verified bundle, generation, swap.
//!
//! Every step is on disk before the next begins, so a power cut anywhere is answered by doing the same again: the
//! key of a certificate that is being ordered stands beside the state, and so does the order's URL. What follows
//! the swap, until the service is seen to present the certificate, is in [`crate::settle`].

use std::time::Duration;

use api::acme::{OrderObject, OrderStatus};
use pki_core::time::Clock;

use crate::acme::{AcmeClient, AcmeError, OrderRequest, certificate_id};
use crate::agent::Agent;
use crate::bundle::{self, BundleError, Verified, Wanted};
use crate::config::CertificateConfig;
use crate::device;
use crate::files;
use crate::install::recover::publish;
use crate::install::{Generation, InstallError};
use crate::keys::{KeyError, NodeKey};
use crate::probe::Probe;
use crate::schedule;
use crate::state::{self, CertificateState, OrderInFlight, StateError, Suggestion};

/// A refused generation is installed again this often before another certificate is ordered.
const REINSTALLATIONS: u32 = 3;
/// The CA is asked for renewal windows no more often than this, whatever it says,
const SHORTEST_SILENCE: Duration = Duration::from_secs(300);
/// and no less often.
const LONGEST_SILENCE: Duration = Duration::from_secs(86_400);

/// Why a renewal failed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The CA did not do its part.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// What the CA gave is not to be installed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It could not be put in place.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// State could not be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a certificate is renewed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is due.
    Due,
    /// A person asked for it.
    OnDemand,
}

impl Agent {
    /// Gets and installs another certificate. A failure is remembered, with the time of the next attempt.
    pub async fn renew(&self, config: &CertificateConfig, reason: Reason) -> Result<Generation, RenewError> {
        let name = config.name.as_str();
        let current = self.live(config).current();
        let mut state = self.state(name)?;
        tracing::info!(certificate = name, "renewing");
        match self.attempt(config, current.as_ref(), &mut state, reason).await {
            Ok(generation) => {
                let until = generation.leaf.not_after();
                tracing::info!(certificate = name, generation = generation.number, %until, "installed");
                Ok(generation)
            }
            Err(error) => {
                self.note_failure(config, current.as_ref(), &error);
                Err(error)
            }
        }
    }

    async fn attempt(
        &self,
        config: &CertificateConfig,
        current: Option<&Generation>,
        state: &mut CertificateState,
        reason: Reason,
    ) -> Result<Generation, RenewError> {
        if let Some(held) = self.held(config, state).filter(|_| reason == Reason::Due) {
            tracing::info!(certificate = %config.name, generation = held.number, "trying the refused generation again");
            return self.install(config, state, held).await;
        }
        let mut client = self.connect().await?;
        self.refresh_device(&mut client).await;
        let on_demand = reason == Reason::OnDemand || self.past_window(current, state);
        let verified = self.obtain(config, current, state, &mut client, on_demand).await?;
        let generation = self.live(config).write(&verified, self.clock.now())?;
        self.clock.raise(generation.leaf.not_before());
        state.suggested = None;
        state.ask_window_at = None;
        self.install(config, state, generation).await
    }

    /// The generation that was taken back, while it is worth another try.
    fn held(&self, config: &CertificateConfig, state: &CertificateState) -> Option<Generation> {
        let held = state.held.as_ref().filter(|held| held.attempts < REINSTALLATIONS)?;
        let generation = self.live(config).read(held.generation).ok()?;
        let facts = self.facts(config, Some(&generation), state, &config.name);
        (facts.names_fit && schedule::due(&facts, self.clock.now()) > self.clock.now()).then_some(generation)
    }

    /// Whether the CA asked for this renewal (RFC 9773): what it gives may then be shorter-lived.
    fn past_window(&self, current: Option<&Generation>, state: &CertificateState) -> bool {
        let Some((current, window)) = current.zip(state.suggested.as_ref()) else { return false };
        window.leaf_sha256 == current.leaf_sha256() && window.start <= self.clock.now()
    }

    async fn install(
        &self,
        config: &CertificateConfig,
        state: &mut CertificateState,
        generation: Generation,
    ) -> Result<Generation, RenewError> {
        let served_before = shakes_hands(&config.probes).await;
        publish(&self.home, &self.live(config), state, &generation, served_before, self.clock.now())?;
        Ok(generation)
    }

    /// Order, proof, request, download: whatever of it was not done before a power cut.
    async fn obtain(
        &self,
        config: &CertificateConfig,
        current: Option<&Generation>,
        state: &mut CertificateState,
        client: &mut AcmeClient,
        on_demand: bool,
    ) -> Result<Verified, RenewError> {
        let names = self.names(config);
        let key = self.pending_key(config, current)?;
        failpoint::failpoint!("agent.order.key_stored");
        let (url, order) = self.open_order(config, current, state, client).await?;
        let chain = match self.carry_through(client, &url, order, &key.request(&names)?).await {
            Ok(chain) => chain,
            Err(error) => {
                // What the CA refused for good is not asked for again; another order may fare better.
                if !matches!(error, AcmeError::NoAnswer { .. } | AcmeError::NotYet { .. }) && !is_passing(&error) {
                    self.forget_order(config, state)?;
                }
                return Err(error.into());
            }
        };
        failpoint::failpoint!("agent.order.downloaded");
        let current = current.map(|current| &current.leaf);
        let wanted = Wanted { names: &names, roots: &self.roots, current, on_demand, now: self.clock.now() };
        let verified = bundle::verify(&chain, key, &wanted);
        if verified.is_err() {
            self.forget_order(config, state)?;
        }
        Ok(verified?)
    }

    /// The key of the certificate that is being ordered; never the one in service, which a power cut may have left.
    fn pending_key(&self, config: &CertificateConfig, current: Option<&Generation>) -> Result<NodeKey, RenewError> {
        let path = self.home.pending_key(&config.name);
        let key = NodeKey::load_or_make(&path, config.key)?;
        if current.is_none_or(|current| current.leaf.public_key().spki_der() != key.spki_der()) {
            return Ok(key);
        }
        files::remove_if_there(&path).map_err(KeyError::from)?;
        Ok(NodeKey::load_or_make(&path, config.key)?)
    }

    /// The order that was on its way, while the CA still knows it; else a new one.
    async fn open_order(
        &self,
        config: &CertificateConfig,
        current: Option<&Generation>,
        state: &mut CertificateState,
        client: &mut AcmeClient,
    ) -> Result<(String, OrderObject), RenewError> {
        let names = self.names(config);
        if let Some(flying) = &state.order {
            match client.order(&flying.url).await {
                Ok(order) if order.status != OrderStatus::Invalid && same_names(&order, &names) => {
                    return Ok((flying.url.clone(), order));
                }
                Err(error) if error.status().is_none() || is_passing(&error) => return Err(error.into()),
                Ok(_) | Err(_) => {}
            }
        }
        let replaces = current.and_then(|current| certificate_id(&current.leaf));
        let profile = self.profile(config);
        let request = OrderRequest { names: &names, profile: profile.as_deref(), replaces };
        let (url, order) = client.new_order(&request).await?;
        failpoint::failpoint!("agent.order.created");
        state.order = Some(OrderInFlight { url: url.clone(), since: self.clock.now() });
        self.remember(&config.name, state)?;
        failpoint::failpoint!("agent.order.stored");
        Ok((url, order))
    }

    async fn carry_through(
        &self,
        client: &mut AcmeClient,
        url: &str,
        mut order: OrderObject,
        csr: &[u8],
    ) -> Result<String, AcmeError> {
        if order.status == OrderStatus::Pending {
            let _alone = self.challenges.lock().await;
            order = client.prove(url, order, &self.config.challenge).await?;
        }
        if order.status == OrderStatus::Ready {
            order = client.finalize(&order, csr).await?;
            failpoint::failpoint!("agent.order.finalized");
        }
        let order = client.settled(url, order).await?;
        client.chain(&order).await
    }

    fn forget_order(&self, config: &CertificateConfig, state: &mut CertificateState) -> Result<(), StateError> {
        state.order = None;
        self.remember(&config.name, state)
    }

    fn note_failure(&self, config: &CertificateConfig, current: Option<&Generation>, error: &RenewError) {
        let name = config.name.as_str();
        let retry_after = match error {
            RenewError::Acme(error) => error.retry_after(),
            _ => None,
        };
        let now = self.clock.now();
        let noted = self.state(name).and_then(|mut state| {
            let before = state.failure.as_ref();
            let holder = self.holder(config);
            let failure = schedule::failed(before, current, &holder, error.to_string(), retry_after, now);
            loud(name, current, &failure, now);
            state.failure = Some(failure);
            self.remember(name, &state)
        });
        if let Err(unwritten) = noted {
            tracing::error!(certificate = name, %error, %unwritten, "renewal failed, and that could not be written down");
        }
    }

    /// Takes over what the CA's record says now; a CA that has no answer changes nothing.
    async fn refresh_device(&self, client: &mut AcmeClient) {
        match device::ask(client).await {
            Ok(Some(record)) if self.device().as_ref() != Some(&record) => {
                tracing::info!(device = %record.device, "this device's record has changed at the CA");
                if let Err(error) = state::save(&self.home.device(), &record) {
                    tracing::warn!(%error, "cannot store this device's record");
                }
                self.set_device(record);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "going on with the record of last time"),
        }
    }

    /// Asks the CA when to renew, if its last answer no longer holds. A CA without an answer leaves the local rule.
    pub async fn ask_window(&self, config: &CertificateConfig) -> Result<(), RenewError> {
        let name = config.name.as_str();
        let Some(current) = self.live(config).current() else { return Ok(()) };
        let mut client = self.connect().await?;
        let window = client.renewal_window(&current.leaf).await?;
        let mut state = self.state(name)?;
        let wait =
            window.map_or(LONGEST_SILENCE, |window| window.ask_again_after.clamp(SHORTEST_SILENCE, LONGEST_SILENCE));
        state.ask_window_at = Some(self.clock.now() + wait);
        state.suggested = window.map(|window| Suggestion {
            leaf_sha256: current.leaf_sha256(),
            start: window.start,
            end: window.end,
        });
        Ok(self.remember(name, &state)?)
    }
}

/// Whether a refusal may be another one in a minute (ERR-2): not the fault of this order.
fn is_passing(error: &AcmeError) -> bool {
    error.status().is_some_and(|status| status == 429 || status >= 500) || error.kind() == Some("badNonce")
}

fn same_names(order: &OrderObject, names: &[pki_core::x509::name::Identifier]) -> bool {
    let ordered = |name: &pki_core::x509::name::Identifier| {
        let (kind, value) = (name.kind(), name.value());
        order.identifiers.iter().any(|one| one.kind == kind && one.value.eq_ignore_ascii_case(&value))
    };
    order.identifiers.len() == names.len() && names.iter().all(ordered)
}

/// Whether every probed address completes a handshake; unknown without probes.
async fn shakes_hands(probes: &[Probe]) -> Option<bool> {
    if probes.is_empty() {
        return None;
    }
    for probe in probes {
        if probe.presented().await.leaves.is_empty() {
            return Some(false);
        }
    }
    Some(true)
}

/// The less life is left, the louder a failure is told.
fn loud(name: &str, current: Option<&Generation>, failure: &state::Failure, now: pki_core::time::Timestamp) {
    let (attempts, next) = (failure.attempts, failure.next_attempt);
    let left = current.map(|current| (current.leaf.not_after().since(now), current.leaf.not_after()));
    match left {
        Some((left, end)) if left.is_zero() => tracing::error!(
            certificate = name, attempts, %next, "the certificate has EXPIRED at {end}, and renewing failed: {}", failure.error
        ),
        Some((_, end)) if attempts >= 5 => tracing::error!(
            certificate = name, attempts, %next, "still not renewed; the certificate ends at {end}: {}", failure.error
        ),
        Some(_) => tracing::warn!(certificate = name, attempts, %next, "renewing failed: {}", failure.error),
        None => tracing::error!(certificate = name, attempts, %next, "there is no certificate yet: {}", failure.error),
    }
}
