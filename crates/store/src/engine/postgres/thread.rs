//! The thread that speaks to PostgreSQL. Bodies run there as they do on SQLite's writer: their futures need not be
//! sendable, and a caller that stops waiting stops no transaction.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::engine::Database;
use crate::engine::postgres::transactions::Transactions;
use crate::error::StoreError;
use crate::tx::Tx;

/// Transactions that may wait; more callers wait for a place.
const QUEUE: usize = 1024;

type Work = Box<dyn FnOnce(Rc<Transactions>) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

enum Order {
    Work(Work),
    Close(oneshot::Sender<()>),
}

/// The way to the thread.
pub(crate) struct Postgres {
    database: Arc<Database>,
    queue: mpsc::Sender<Order>,
}

impl Postgres {
    /// Starts the thread and connects once, to know that it is possible.
    pub(crate) async fn open(to: PgConnectOptions, database: Database, patience: Duration) -> Result<Self, StoreError> {
        let database = Arc::new(database);
        let (queue, orders) = mpsc::channel(QUEUE);
        let (opened, opens) = oneshot::channel();
        let name = Arc::clone(&database);
        let refuse =
            |error: std::io::Error| StoreError::fault(format!("cannot start a thread for PostgreSQL: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refuse)?;
        let run = move || {
            LocalSet::new().block_on(&runtime, async move {
                match Transactions::open(to, name, patience).await {
                    Ok(transactions) => {
                        let _ = opened.send(Ok(()));
                        serve(Rc::new(transactions), orders).await;
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            });
        };
        std::thread::Builder::new().name("store-postgres".to_owned()).spawn(run).map_err(refuse)?;
        opens.await.map_err(|_| StoreError::fault("the thread for PostgreSQL ended"))??;
        Ok(Self { database, queue })
    }

    /// The name for messages.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Runs a body in a transaction and commits it; again, when it collides with another.
    pub(crate) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(async move |transactions: Rc<Transactions>| transactions.write(body).await).await
    }

    /// Runs a body that holds what it decides on, and commits it.
    pub(crate) async fn write_held<T, E, F>(&self, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(async move |transactions: Rc<Transactions>| transactions.write_held(body).await).await
    }

    /// Runs a body whose statements are transactions of their own.
    pub(crate) async fn direct<T, E, F>(&self, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(async move |transactions: Rc<Transactions>| transactions.direct(body).await).await
    }

    /// Runs a body on one snapshot; stops it when a statement takes longer than `limit`.
    pub(crate) async fn read<T, E, F>(&self, body: F, limit: Option<Duration>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(async move |transactions: Rc<Transactions>| transactions.read(body, limit).await).await
    }

    /// Runs a body while no other server runs one under the same key.
    pub(crate) async fn exclusive<T, F>(&self, key: i64, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit(async move |transactions: Rc<Transactions>| transactions.exclusive(key, body).await).await
    }

    async fn submit<T, E, R>(&self, run: R) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        R: AsyncFnOnce(Rc<Transactions>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = move |transactions: Rc<Transactions>| {
            let run = tokio::task::spawn_local(async move { run(transactions).await });
            // a caller that stopped waiting is told nothing
            let answered: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move { drop(reply.send(run.await)) });
            answered
        };
        self.queue.send(Order::Work(Box::new(work))).await.map_err(|_| StoreError::Closed)?;
        match answer.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) => match ended.try_into_panic() {
                // the caller sees the panic of its own body, as if it had run in place
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(StoreError::Closed.into()),
            },
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Waits for everything that was handed in before, and for the connections to be given back.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Order::Close(reply)).await.is_ok() {
            // the sender falls when the thread ends: both ways it is closed
            let _ = closed.await;
        }
    }
}

async fn serve(transactions: Rc<Transactions>, mut orders: mpsc::Receiver<Order>) {
    let mut running = tokio::task::JoinSet::new();
    let closing = loop {
        match orders.recv().await {
            Some(Order::Work(work)) => drop(running.spawn_local(work(Rc::clone(&transactions)))),
            Some(Order::Close(reply)) => break Some(reply),
            None => break None,
        }
        while running.try_join_next().is_some() {}
    };
    orders.close();
    while running.join_next().await.is_some() {}
    transactions.close().await;
    if let Some(reply) = closing {
        let _ = reply.send(());
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.database)
    }
}
