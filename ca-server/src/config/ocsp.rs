//! `[ocsp]`: how questions about certificates are answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ocsp {
    /// From an answer's thisUpdate to its nextUpdate: how long whoever has it goes on when the responder is away.
    #[serde(rename = "answer_hours", with = "super::limits::hours")]
    pub answer_life: Duration,
    /// How long caches between here and a client may keep an answer; a revocation is unseen behind them for so long.
    #[serde(rename = "max_age_seconds", with = "super::limits::age")]
    pub max_age: Duration,
    /// The life of the responder's own certificate, which is renewed at half of it.
    #[serde(rename = "responder_days", with = "super::limits::days")]
    pub responder_life: Duration,
    /// Answers kept in memory.
    pub cached_answers: u32,
    /// What they may take.
    pub cached_megabytes: u32,
}

impl Default for Ocsp {
    fn default() -> Self {
        Self {
            answer_life: Duration::from_secs(12 * 3600),
            max_age: Duration::from_secs(300),
            responder_life: Duration::from_secs(7 * 86_400),
            cached_answers: 20_000,
            cached_megabytes: 32,
        }
    }
}

impl Ocsp {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(16..=10_000_000).contains(&self.cached_answers) {
            return Err(("ocsp.cached_answers", "it is not a number from 16 to 10000000".into()));
        }
        if !(1..=16_384).contains(&self.cached_megabytes) {
            return Err(("ocsp.cached_megabytes", "it is not a number from 1 to 16384".into()));
        }
        // what is asked for is signed anew at half of its life; until then caches have to be told the whole time
        if self.max_age * 4 > self.answer_life {
            let why =
                "caches may keep an answer for a quarter of its life at most; raise `ocsp.answer_hours` or lower this";
            return Err(("ocsp.max_age_seconds", why.into()));
        }
        if self.responder_life > pki_core::issuance::plan::MAX_RESPONDER_LIFE {
            let why = "nobody can take a responder's certificate back, so it lives for 30 days at most; lower it";
            return Err(("ocsp.responder_days", why.into()));
        }
        if self.answer_life * 2 > self.responder_life {
            let why = "an answer ends with the certificate of who signed it, which is renewed at half of its life; lower this or raise `ocsp.responder_days`";
            return Err(("ocsp.answer_hours", why.into()));
        }
        Ok(())
    }
}
