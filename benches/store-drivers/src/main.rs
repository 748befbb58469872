//! What a transaction costs on each driver. See README.md.

mod drivers;
#[path = "../../../crates/store/tests/support/postgres.rs"]
mod postgres;
mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use drivers::Driver;

const CALLERS: [usize; 3] = [8, 32, 128];
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(1500);
/// Other work on the machine only makes a round worse, so the best one counts.
const ROUNDS: usize = 5;

fn main() {
    let only_sqlite = std::env::args().nth(1).is_some_and(|argument| argument == "sqlite");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut table = Table::default();
        for _ in 0..ROUNDS {
            table.row("sqlx on SQLite, one commit each", drivers::sqlx_sqlite_single).await;
            table.row("sqlx on SQLite, group commit", drivers::sqlx_sqlite_group).await;
            table.row("rusqlite, one commit each", drivers::rusqlite_single).await;
            table.row("rusqlite, group commit", drivers::rusqlite_group).await;
            if !only_sqlite {
                table.row("sqlx on PostgreSQL, READ COMMITTED", drivers::postgres_read_committed).await;
                table.row("sqlx on PostgreSQL, SERIALIZABLE, 16 at once", drivers::postgres_serializable).await;
                table.row("sqlx on PostgreSQL, SERIALIZABLE, 8 at once", drivers::postgres_serializable_eight).await;
            }
        }
        table.print();
        drivers::point_reads().await;
    });
}

/// The best round of each driver, by name, with each number of callers.
#[derive(Default)]
struct Table(Vec<(&'static str, [Cell; CALLERS.len()])>);

#[derive(Clone, Copy, Default)]
struct Cell {
    rate: u64,
    micros: u64,
    again: u64,
}

impl Table {
    async fn row<D: Driver>(&mut self, name: &'static str, open: impl AsyncFn() -> D) {
        let mut cells = [Cell::default(); CALLERS.len()];
        for (cell, callers) in cells.iter_mut().zip(CALLERS) {
            *cell = measure(Arc::new(open().await), callers).await;
        }
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            None => self.0.push((name, cells)),
            Some((_, best)) => best.iter_mut().zip(cells).for_each(|(best, cell)| *best = best.better(cell)),
        }
    }

    fn print(&self) {
        let [few, some, many] = CALLERS;
        println!("SQLite {}, the best of {ROUNDS} rounds\n", rusqlite::version());
        println!(
            "| store | tx/s at {few} callers | {some} | {many} | CPU a transaction at {some} |\n|---|---|---|---|---|"
        );
        for (name, cells) in &self.0 {
            let rates: Vec<_> = cells.iter().map(Cell::shown).collect();
            println!("| {name} | {} | {} us |", rates.join(" | "), cells[1].micros);
        }
    }
}

impl Cell {
    fn better(self, other: Self) -> Self {
        let (rate, micros) = (self.rate.max(other.rate), self.micros.min(other.micros));
        Self { rate, micros, again: self.again.min(other.again) }
    }

    fn shown(&self) -> String {
        if self.again > 0 { format!("{} ({} ‰ run again)", self.rate, self.again) } else { self.rate.to_string() }
    }
}

/// Transactions a second, CPU microseconds of a transaction, and how many of a thousand were run again.
async fn measure<D: Driver>(driver: Arc<D>, callers: usize) -> Cell {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (driver, stop, done) = (Arc::clone(&driver), Arc::clone(&stop), Arc::clone(&done));
        tasks.spawn(async move {
            for order in 0_u64.. {
                for transaction in workload::order(caller as u64, order) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    driver.run(transaction).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, again, cpu, begin) = (done.load(Ordering::Relaxed), driver.retries(), cpu_time(), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let ran = done.load(Ordering::Relaxed) - before;
    let (cpu, took) = (cpu_time() - cpu, begin.elapsed());
    let again = driver.retries() - again;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let rate = ran as f64 / took.as_secs_f64();
    Cell { rate: rate as u64, micros: cpu.as_micros() as u64 / ran.max(1), again: again * 1000 / ran.max(1) }
}

/// User and system time of this process, from /proc/self/stat in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit_once(')').expect("a command in brackets").1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}
