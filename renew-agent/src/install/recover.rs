//! What is done with `live/NAME` after a start, a failed reload or a power cut.
//!
//! The journal is the `debt` of the state file: it names the generation that is to be current *before* the link
//! moves, so that a start completes a swap that was cut short, and falls back to the newest good generation when
//! the current one is damaged.

use pki_core::time::Timestamp;
use zeroize::Zeroizing;

use super::generation::Unsound;
use super::{Generation, InstallError, Live};
use crate::keys::NodeKey;
use crate::state::{self, CertificateState, Debt, Held, Home};

/// The largest key file ever read.
const KEY_LIMIT: u64 = 16 * 1024;

/// What a start found.
#[derive(Debug)]
pub enum Recovered {
    /// No certificate yet.
    Nothing,
    /// The current generation is whole.
    Sound(Generation),
    /// The swap that was cut short is done.
    Completed(Generation),
    /// The current generation is damaged; the newest good one stands in its place.
    FellBack {
        /// Now current.
        to: Generation,
        /// What was wrong with the other.
        because: String,
    },
    /// No generation is good.
    Lost {
        /// What was wrong with the current one.
        because: String,
    },
}

/// Puts a written generation into service: journal, swap.
pub fn publish(
    home: &Home,
    live: &Live,
    state: &mut CertificateState,
    generation: &Generation,
    served_before: Option<bool>,
    now: Timestamp,
) -> Result<(), InstallError> {
    failpoint::failpoint!("agent.install.before_journal");
    state.order = None;
    state.failure = None;
    // A generation that was never seen in service is no way back; the one before it is.
    let seen_last = state.debt.as_ref().and_then(|debt| debt.came_from);
    let came_from = seen_last.or(live.current_number()).filter(|number| *number != generation.number);
    state.debt = Some(Debt { came_from, served_before, ..owed(generation, now) });
    state::save(&home.certificate_state(&live.name), state)?;
    failpoint::failpoint!("agent.install.before_swap");
    live.swap_to(generation.number)?;
    failpoint::failpoint!("agent.install.swapped");
    // The key now stands in its generation; kept here it would be used for a second certificate.
    crate::files::remove_if_there(&home.pending_key(&live.name))?;
    let held = state.held.as_ref().map(|held| held.generation);
    live.prune(&[held, came_from])
}

/// Takes the generation in debt back and returns to `previous`, which must be whole.
pub fn roll_back(
    home: &Home,
    live: &Live,
    state: &mut CertificateState,
    previous: &Generation,
    now: Timestamp,
) -> Result<(), InstallError> {
    let refused = state.debt.as_ref().map_or(0, |debt| debt.generation);
    let before = state.held.as_ref();
    let attempts = before.filter(|held| held.generation == refused).map_or(0, |held| held.attempts);
    let refusals = before.map_or(0, |held| held.refusals);
    state.held =
        Some(Held { generation: refused, attempts: attempts.saturating_add(1), refusals: refusals.saturating_add(1) });
    state.debt = Some(owed(previous, now));
    state::save(&home.certificate_state(&live.name), state)?;
    failpoint::failpoint!("agent.rollback.before_swap");
    live.swap_to(previous.number)
}

fn owed(generation: &Generation, now: Timestamp) -> Debt {
    Debt {
        generation: generation.number,
        leaf_sha256: generation.leaf_sha256(),
        since: now,
        came_from: None,
        served_before: None,
        failure: None,
    }
}

/// Ends the order whose certificate is in service already: a power cut came after its generation was written.
pub fn finish_order(
    home: &Home,
    live: &Live,
    state: &mut CertificateState,
    current: &Generation,
) -> Result<(), InstallError> {
    let path = home.pending_key(&live.name);
    let Some(pem) = crate::files::read(&path, KEY_LIMIT)?.map(Zeroizing::new) else { return Ok(()) };
    let is_in_service = NodeKey::from_pem(&live.name, &pem)
        .is_ok_and(|pending| pending.spki_der() == current.leaf.public_key().spki_der());
    if is_in_service {
        state.order = None;
        state::save(&home.certificate_state(&live.name), state)?;
        crate::files::remove_if_there(&path)?;
    }
    Ok(())
}

/// Makes `current` point at a whole generation again, if there is one. Repeating it changes nothing.
pub fn recover(
    home: &Home,
    live: &Live,
    state: &mut CertificateState,
    now: Timestamp,
) -> Result<Recovered, InstallError> {
    sweep(live)?;
    let current = live.current_number();
    let journalled = state.debt.as_ref().map(|debt| debt.generation);
    if let Some(number) = journalled.filter(|number| Some(*number) != current)
        && let Ok(generation) = live.read(number)
    {
        live.swap_to(number)?;
        return Ok(Recovered::Completed(generation));
    }
    let because = match current.map(|number| live.read(number)) {
        Some(Ok(generation)) => return Ok(Recovered::Sound(generation)),
        Some(Err(Unsound::File(error))) => return Err(error.into()),
        Some(Err(error)) => error.to_string(),
        None => "`current` points nowhere".to_owned(),
    };
    match newest_good(live, state)? {
        Some(to) => {
            state.debt = Some(owed(&to, now));
            state::save(&home.certificate_state(&live.name), state)?;
            live.swap_to(to.number)?;
            Ok(Recovered::FellBack { to, because })
        }
        None if current.is_none() => Ok(Recovered::Nothing),
        None => Ok(Recovered::Lost { because }),
    }
}

/// The newest whole generation; one that its service refused only when there is no other.
fn newest_good(live: &Live, state: &CertificateState) -> Result<Option<Generation>, InstallError> {
    let refused = state.held.as_ref().map(|held| held.generation);
    let mut numbers = live.numbers()?;
    numbers.reverse();
    numbers.sort_by_key(|number| Some(*number) == refused);
    Ok(numbers.into_iter().find_map(|number| live.read(number).ok()))
}

/// Removes generations that a power cut left half-written or half-removed; `current` is judged elsewhere.
fn sweep(live: &Live) -> Result<(), InstallError> {
    let current = live.current_number();
    for number in live.numbers()? {
        if Some(number) != current && !live.generation_dir(number).join("meta.json").exists() {
            live.remove(number)?;
        }
    }
    Ok(())
}
