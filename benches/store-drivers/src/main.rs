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
const MEASURED: Duration = Duration::from_secs(2);
/// Other work on the machine only makes a round worse, so the best one counts.
const ROUNDS: usize = 3;

fn main() {
    let only_sqlite = std::env::args().nth(1).is_some_and(|argument| argument == "sqlite");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        println!("SQLite {}", rusqlite::version());
        println!(
            "| store | {} callers | {} | {} | CPU a transaction at {} |",
            CALLERS[0], CALLERS[1], CALLERS[2], CALLERS[1]
        );
        println!("|---|---|---|---|---|");
        row("sqlx on SQLite, one commit each", drivers::sqlx_sqlite_single).await;
        row("sqlx on SQLite, group commit", drivers::sqlx_sqlite_group).await;
        row("rusqlite, one commit each", drivers::rusqlite_single).await;
        row("rusqlite, group commit", drivers::rusqlite_group).await;
        if !only_sqlite {
            row("sqlx on PostgreSQL, READ COMMITTED", drivers::postgres_read_committed).await;
            row("sqlx on PostgreSQL, SERIALIZABLE, 16 at once", drivers::postgres_serializable).await;
            row("sqlx on PostgreSQL, SERIALIZABLE, 8 at once", drivers::postgres_serializable_eight).await;
        }
        drivers::point_reads().await;
    });
}

async fn row<D: Driver>(name: &str, open: impl AsyncFn() -> D) {
    let mut cells = Vec::new();
    let mut cost = String::new();
    for callers in CALLERS {
        let (mut rate, mut micros, mut retries) = (0, u64::MAX, u64::MAX);
        for _ in 0..ROUNDS {
            let round = measure(Arc::new(open().await), callers).await;
            (rate, micros, retries) = (rate.max(round.0), micros.min(round.1), retries.min(round.2));
        }
        cells.push(if retries > 0 { format!("{rate} ({retries} ‰ run again)") } else { rate.to_string() });
        if callers == CALLERS[1] {
            cost = format!("{micros} us");
        }
    }
    println!("| {name} | {} | {cost} |", cells.join(" | "));
}

/// Transactions a second, CPU microseconds of a transaction, and how many of a thousand were run again.
async fn measure<D: Driver>(driver: Arc<D>, callers: usize) -> (u64, u64, u64) {
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
    (rate as u64, cpu.as_micros() as u64 / ran.max(1), again * 1000 / ran.max(1))
}

/// User and system time of this process, from /proc/self/stat in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit_once(')').expect("a command in brackets").1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}
