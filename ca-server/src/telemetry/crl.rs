//! Revocation lists: what is served, how long publication takes, and what of it does not go well.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pki_core::ids::IssuerId;
use pki_core::time::Timestamp;
use store::crls::CrlRecord;

use super::{Family, Histogram, header};

/// Upper ends of the delay's buckets, in milliseconds.
const DELAYS: [u64; 7] = [250, 500, 1000, 2000, 5000, 30_000, 300_000];

/// A part of publication that can go wrong by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Making lists and storing them.
    Publish,
    /// The keys of other issuers.
    Key,
    /// The copy in a folder.
    Folder,
    /// The high-water marks.
    Marks,
    /// The clock, when lists are dated after it.
    Clock,
    /// The file of the root's list, when it is older than what was published, or none.
    Root,
}

impl Part {
    const ALL: [Self; 6] = [Self::Publish, Self::Key, Self::Folder, Self::Marks, Self::Clock, Self::Root];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Key => "key",
            Self::Folder => "folder",
            Self::Marks => "marks",
            Self::Clock => "clock",
            Self::Root => "root",
        }
    }
}

/// Metrics of lists.
#[derive(Debug, Default)]
pub struct CrlMetrics {
    lists: Mutex<BTreeMap<(IssuerId, String), Served>>,
    publications: Family,
    failures: Family,
    failing: Mutex<BTreeMap<Part, bool>>,
    waiting: Mutex<BTreeMap<IssuerId, i64>>,
    went_back: AtomicU64,
    delays: Delays,
}

#[derive(Debug, Clone, Copy)]
struct Served {
    number: u64,
    this_update: i64,
    next_update: i64,
    entries: u64,
    covers: u64,
}

#[derive(Debug)]
struct Delays(Histogram);

impl Default for Delays {
    fn default() -> Self {
        Self(Histogram::with_ends(&DELAYS))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CrlMetrics {
    /// A list is served from now on.
    pub fn serves(&self, record: &CrlRecord) {
        let scope = record.shard.map_or_else(|| "complete".to_owned(), |shard| shard.to_string());
        let served = Served {
            number: record.number,
            this_update: record.this_update.unix_seconds(),
            next_update: record.next_update.unix_seconds(),
            entries: record.entries,
            covers: record.covers,
        };
        locked(&self.lists).insert((record.issuer, scope), served);
    }

    /// Forgets the lists of other issuers, and what waits for them: they are not renewed any more.
    pub fn keep(&self, is_renewed: impl Fn(IssuerId) -> bool) {
        locked(&self.lists).retain(|(issuer, _), _| is_renewed(*issuer));
        locked(&self.waiting).retain(|issuer, _| is_renewed(*issuer));
    }

    /// Lists were published.
    pub fn published(&self, occasion: &str) {
        self.publications.add(&format!("occasion=\"{occasion}\""));
    }

    /// How a part of publication went just now, and whether it goes well for all issuers.
    pub fn went(&self, part: Part, is_well: bool, goes_well: bool) {
        locked(&self.failing).insert(part, !goes_well);
        if !is_well {
            self.failures.add(&format!("part=\"{}\"", part.as_str()));
        }
    }

    /// Since when the oldest revocation of an issuer waits for a list.
    pub fn waiting(&self, issuer: IssuerId, since: Option<Timestamp>) {
        match since {
            Some(since) => locked(&self.waiting).insert(issuer, since.unix_seconds()),
            None => locked(&self.waiting).remove(&issuer),
        };
    }

    /// The oldest revocation of a publication waited so long for it.
    pub fn delayed(&self, delay: Duration) {
        self.delays.0.observe(delay);
    }

    /// The database knew less than was published.
    pub fn went_back(&self) {
        self.went_back.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn render(&self, out: &mut String) {
        self.render_lists(out);
        self.publications.render(out, "pilotlight_crl_publications_total", "Publications by what they were made for.");
        self.failures.render(
            out,
            "pilotlight_crl_publication_failures_total",
            "What did not go well, by part: publish, key, folder, marks, clock, root.",
        );
        header(out, "pilotlight_crl_publication_failing", "gauge", "1 while that part does not go well.");
        let failing = locked(&self.failing).clone();
        for part in Part::ALL {
            let value = i32::from(failing.get(&part).copied().unwrap_or(false));
            let _ = writeln!(out, "pilotlight_crl_publication_failing{{part=\"{}\"}} {value}", part.as_str());
        }
        header(
            out,
            "pilotlight_crl_waiting_since_seconds",
            "gauge",
            "Since when the oldest revocation waits for its list; 0 when none does.",
        );
        let since = locked(&self.waiting).values().min().copied().unwrap_or(0);
        let _ = writeln!(out, "pilotlight_crl_waiting_since_seconds {since}");
        header(
            out,
            "pilotlight_crl_number_went_back_total",
            "counter",
            "How often the database knew less than was published: it was restored from an old backup.",
        );
        let _ = writeln!(out, "pilotlight_crl_number_went_back_total {}", self.went_back.load(Ordering::Relaxed));
        self.delays.0.render(
            out,
            "pilotlight_crl_publication_delay_seconds",
            "From the oldest revocation of a publication to the list that names it.",
        );
    }

    fn render_lists(&self, out: &mut String) {
        type Of = fn(&Served) -> String;
        let gauges: [(&str, Of, &str); 5] = [
            ("number", |list| list.number.to_string(), "The number of the list that is served."),
            ("this_update_seconds", |list| list.this_update.to_string(), "When it was made."),
            ("next_update_seconds", |list| list.next_update.to_string(), "Until when it is believed."),
            ("entries", |list| list.entries.to_string(), "How many certificates it names."),
            ("covers", |list| list.covers.to_string(), "The number of the last revocation that it covers."),
        ];
        let lists = locked(&self.lists).clone();
        for (name, value, help) in gauges {
            header(out, &format!("pilotlight_crl_{name}"), "gauge", help);
            for ((issuer, scope), list) in &lists {
                let value = value(list);
                let _ = writeln!(out, "pilotlight_crl_{name}{{issuer=\"{issuer}\",scope=\"{scope}\"}} {value}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when the buckets that alerts and figures ask for are others, or a delay falls into the wrong one.
    #[test]
    fn delays_fall_into_buckets_of_seconds_and_minutes() {
        let metrics = CrlMetrics::default();
        for millis in [250, 251, 29_000, 400_000] {
            metrics.delayed(Duration::from_millis(millis));
        }
        let mut out = String::new();
        metrics.render(&mut out);
        let name = "pilotlight_crl_publication_delay_seconds";
        let buckets = [("0.25", 1), ("0.5", 2), ("1", 2), ("2", 2), ("5", 2), ("30", 3), ("300", 3), ("+Inf", 4)];
        let lines = buckets.map(|(end, count)| format!("{name}_bucket{{le=\"{end}\"}} {count}\n")).concat();
        assert!(out.ends_with(&format!("{lines}{name}_sum 429.501\n{name}_count 4\n")), "{out}");
    }
}
