//! An AMQP client that publishes and consumes over mutual TLS without end: one connection lasts, another is made anew
//! again and again with whatever certificate the gateway has by then.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::certificate::Leaf;

/// Longest time for a connection, a publisher confirm or a delivery.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients have seen so far.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Messages that were confirmed by the broker, delivered and acknowledged, on the connection that lasts.
    pub delivered: u64,
    /// New connections over which a message went through.
    pub reconnected: u64,
    /// What failed.
    pub failures: Vec<String>,
    /// The gateway's leaves with which connections were made, in the order of their first use.
    pub used: Vec<Leaf>,
}

impl Tally {
    /// Nothing failed.
    #[track_caller]
    pub fn must_be_flawless(&self) {
        let first: Vec<&str> = self.failures.iter().take(5).map(String::as_str).collect();
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), first.join("\n"));
        assert!(self.delivered > 0 && self.reconnected > 0, "the clients did nothing");
    }
}

/// A gateway as an AMQP client.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// `127.0.0.1:PORT` of the broker.
    pub address: String,
    /// PEM file with what it trusts.
    pub roots: PathBuf,
    /// The `live/NAME` folder of its own certificate.
    pub live: PathBuf,
}

/// Running clients.
pub struct Clients {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Clients {
    /// Starts both clients of this gateway.
    pub fn start(gateway: &Gateway) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::<Mutex<Tally>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(last(gateway.clone(), tally.clone(), stopped.clone()));
        tasks.spawn(reconnect(gateway.clone(), tally.clone(), stopped));
        Self { tally, stop, tasks }
    }

    /// What they have seen so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Lets both finish, and says what they have seen.
    pub async fn finish(mut self) -> Tally {
        self.stop.send(true).unwrap();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.tally()
    }
}

impl Gateway {
    /// Connects with the certificate that is current now.
    pub async fn connect(&self) -> Result<(Connection, Leaf), String> {
        // One generation for both files, even when the link moves in between.
        let generation = std::fs::canonicalize(self.live.join("current")).unwrap();
        let read = |path: &Path| std::fs::read(path).unwrap();
        let tls = OwnedTLSConfig {
            identity: Some(OwnedIdentity::PKCS8 {
                pem: read(&generation.join("fullchain.pem")),
                key: read(&generation.join("key.pem")),
            }),
            cert_chain: Some(String::from_utf8(read(&self.roots)).unwrap()),
        };
        let (_, port) = self.address.rsplit_once(':').unwrap();
        let uri = format!("amqps://guest:guest@localhost:{port}/%2f?heartbeat=10");
        let runtime = lapin::runtime::default_runtime().unwrap();
        let connecting = Connection::connect_with_config(&uri, ConnectionProperties::default(), tls, runtime);
        let connection = timeout(PATIENCE, connecting).await.map_err(|_| "no connection in time".to_owned())?;
        let connection = connection.map_err(|error| format!("connecting: {error}"))?;
        Ok((connection, Leaf::from_file(&generation.join("cert.pem"))))
    }
}

/// The connection that lasts: it is never made anew, so anything that ends it is a failure.
async fn last(gateway: Gateway, tally: Arc<Mutex<Tally>>, stopped: watch::Receiver<bool>) {
    let result = async {
        let (connection, _) = gateway.connect().await?;
        let (channel, mut consumer) = open(&connection, "lasting").await?;
        let mut number: u64 = 0;
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        while !*stopped.borrow() {
            pace.tick().await;
            number += 1;
            through(&channel, &mut consumer, "lasting", number).await?;
            tally.lock().unwrap().delivered += 1;
        }
        connection.close(200, "done".into()).await.map_err(|error| format!("closing: {error}"))
    };
    if let Err(reason) = result.await {
        tally.lock().unwrap().failures.push(format!("the lasting connection: {reason}"));
    }
}

/// A new connection a few times a second, each of which carries one message both ways.
async fn reconnect(gateway: Gateway, tally: Arc<Mutex<Tally>>, stopped: watch::Receiver<bool>) {
    let mut pace = tokio::time::interval(Duration::from_millis(300));
    let mut number = 0;
    while !*stopped.borrow() {
        pace.tick().await;
        number += 1;
        let result = async {
            let (connection, leaf) = gateway.connect().await?;
            let (channel, mut consumer) = open(&connection, "again").await?;
            through(&channel, &mut consumer, "again", number).await?;
            connection.close(200, "done".into()).await.map_err(|error| format!("closing: {error}"))?;
            Ok::<_, String>(leaf)
        };
        let result = result.await;
        let mut tally = tally.lock().unwrap();
        match result {
            Ok(leaf) => {
                tally.reconnected += 1;
                if !tally.used.contains(&leaf) {
                    tally.used.push(leaf);
                }
            }
            Err(reason) => tally.failures.push(format!("connection {number}: {reason}")),
        }
    }
}

async fn open(connection: &Connection, queue: &str) -> Result<(Channel, Consumer), String> {
    let whole = async {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let declare = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        channel.queue_declare(queue.into(), declare, FieldTable::default()).await?;
        let consume = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.into(), "".into(), consume, FieldTable::default()).await?;
        Ok::<_, lapin::Error>((channel, consumer))
    };
    let opened = timeout(PATIENCE, whole).await.map_err(|_| "no channel in time".to_owned())?;
    opened.map_err(|error| format!("opening a channel: {error}"))
}

/// One message to the broker and back: confirmed, delivered, acknowledged.
async fn through(channel: &Channel, consumer: &mut Consumer, queue: &str, number: u64) -> Result<(), String> {
    let whole = async {
        let payload = number.to_be_bytes();
        let options = BasicPublishOptions::default();
        let publish = channel.basic_publish("".into(), queue.into(), options, &payload, BasicProperties::default());
        let confirm = publish.await.map_err(|error| format!("publishing: {error}"))?;
        let confirmation = confirm.await.map_err(|error| format!("waiting for the confirm: {error}"))?;
        if !confirmation.is_ack() {
            return Err(format!("the broker did not take message {number}: {confirmation:?}"));
        }
        let delivery = consumer.next().await.ok_or("the consumer was cancelled")?;
        let delivery = delivery.map_err(|error| format!("consuming: {error}"))?;
        if delivery.data != payload {
            return Err(format!("message {number} came back as {:?}", delivery.data));
        }
        delivery.ack(BasicAckOptions::default()).await.map_err(|error| format!("acknowledging: {error}")).map(drop)
    };
    timeout(PATIENCE, whole).await.map_err(|_| format!("message {number} took too long"))?
}
