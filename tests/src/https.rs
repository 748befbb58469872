//! A client that never stops: some connections are kept alive, others are opened anew, and everything is counted.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::{Leaf, chain};

/// Longest time for a handshake or an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections of each kind are in use.
const CONNECTIONS: usize = 4;

/// What the clients have seen so far.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Completed handshakes, with the chain verified against the roots.
    pub handshakes: u64,
    /// Answered requests.
    pub requests: u64,
    /// Requests on reused connections that closed before any byte of an answer, and were answered when sent again.
    pub repeated: u64,
    /// Handshakes that failed, with the reason.
    pub failed_handshakes: Vec<String>,
    /// Requests that were not answered, with the reason.
    pub dropped: Vec<String>,
    /// The different leaves in the order of their first appearance.
    pub leaves: Vec<Leaf>,
}

impl Tally {
    /// Nothing failed and nothing was dropped.
    #[track_caller]
    pub fn must_be_flawless(&self) {
        let first = |texts: &[String]| texts.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            self.failed_handshakes.is_empty(),
            "{} failed handshakes:\n{}",
            self.failed_handshakes.len(),
            first(&self.failed_handshakes)
        );
        assert!(self.dropped.is_empty(), "{} dropped requests:\n{}", self.dropped.len(), first(&self.dropped));
        assert!(self.requests > 0 && self.handshakes > 0, "the clients did nothing");
    }
}

/// Running clients.
pub struct Clients {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Clients {
    /// Starts clients of `https://localhost` at `address`, which trust the roots in a PEM file.
    pub fn start(address: &str, roots: &Path) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::<Mutex<Tally>>::default();
        let client = Client { address: address.to_owned(), config: Arc::new(trusting(roots)), tally: tally.clone() };
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            tasks.spawn(client.clone().keep_alive(stopped.clone()));
            tasks.spawn(client.clone().open_anew(stopped.clone()));
        }
        Self { tally, stop, tasks }
    }

    /// What they have seen so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Lets every client finish its request, and says what they have seen.
    pub async fn finish(mut self) -> Tally {
        self.stop.send(true).unwrap();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.tally()
    }
}

/// TLS that trusts the roots of a PEM file, and never resumes.
pub fn trusting(roots: &Path) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in chain(roots) {
        store.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// One verified handshake with `localhost` at `address`, and the leaf it showed.
pub async fn handshake(address: &str, config: Arc<ClientConfig>) -> Result<(TlsStream<TcpStream>, Leaf), String> {
    let whole = async {
        let tcp = TcpStream::connect(address).await.map_err(|error| format!("connecting: {error}"))?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| format!("handshake: {error}"))
    };
    let stream = timeout(PATIENCE, whole).await.map_err(|_| "no handshake in time".to_owned())??;
    let leaf = Leaf::from_der(&stream.get_ref().1.peer_certificates().unwrap()[0]);
    Ok((stream, leaf))
}

#[derive(Clone)]
struct Client {
    address: String,
    config: Arc<ClientConfig>,
    tally: Arc<Mutex<Tally>>,
}

/// Why a request has no answer.
enum Unanswered {
    /// The connection closed before any byte of an answer.
    Untouched(String),
    /// It broke in the middle, or took too long.
    Broken(String),
}

/// An answer, and whether the connection can be used again.
struct Answered {
    reusable: bool,
}

impl Client {
    async fn keep_alive(self, stopped: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        let mut kept: Option<TlsStream<TcpStream>> = None;
        while !*stopped.borrow() {
            pace.tick().await;
            let reused = kept.is_some();
            let Some(stream) = (match kept.take() {
                Some(stream) => Some(stream),
                None => self.connect().await,
            }) else {
                continue;
            };
            kept = match self.ask(stream).await {
                Ok(stream) => stream,
                // nginx closes the idle connections of old workers; a client may send such a request again, once.
                Err(Unanswered::Untouched(_)) if reused => self.repeat().await,
                Err(Unanswered::Untouched(reason) | Unanswered::Broken(reason)) => self.drop_request(reason),
            };
        }
    }

    async fn open_anew(self, stopped: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(Duration::from_millis(25));
        while !*stopped.borrow() {
            pace.tick().await;
            if let Some(stream) = self.connect().await
                && let Err(Unanswered::Untouched(reason) | Unanswered::Broken(reason)) = self.ask(stream).await
            {
                self.drop_request(reason);
            }
        }
    }

    async fn repeat(&self) -> Option<TlsStream<TcpStream>> {
        let stream = self.connect().await?;
        match self.ask(stream).await {
            Ok(kept) => {
                self.tally.lock().unwrap().repeated += 1;
                kept
            }
            Err(Unanswered::Untouched(reason) | Unanswered::Broken(reason)) => {
                self.drop_request(format!("again: {reason}"))
            }
        }
    }

    fn drop_request(&self, reason: String) -> Option<TlsStream<TcpStream>> {
        self.tally.lock().unwrap().dropped.push(reason);
        None
    }

    async fn connect(&self) -> Option<TlsStream<TcpStream>> {
        let result = handshake(&self.address, self.config.clone()).await;
        let mut tally = self.tally.lock().unwrap();
        match result {
            Ok((stream, leaf)) => {
                tally.handshakes += 1;
                if !tally.leaves.contains(&leaf) {
                    tally.leaves.push(leaf);
                }
                Some(stream)
            }
            Err(reason) => {
                tally.failed_handshakes.push(reason);
                None
            }
        }
    }

    /// One request; the connection comes back when it can be used again.
    async fn ask(&self, mut stream: TlsStream<TcpStream>) -> Result<Option<TlsStream<TcpStream>>, Unanswered> {
        let late = |_| Unanswered::Broken("no answer in time".to_owned());
        let answered = timeout(PATIENCE, exchange(&mut stream)).await.map_err(late)??;
        self.tally.lock().unwrap().requests += 1;
        Ok(answered.reusable.then_some(stream))
    }
}

async fn exchange(stream: &mut TlsStream<TcpStream>) -> Result<Answered, Unanswered> {
    let untouched = |error: std::io::Error| Unanswered::Untouched(format!("sending: {error}"));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.map_err(untouched)?;
    stream.flush().await.map_err(untouched)?;
    let mut answer = Vec::new();
    loop {
        let before = answer.len();
        let read = stream.read_buf(&mut answer).await;
        match (read, before) {
            (Ok(0), 0) => return Err(Unanswered::Untouched("closed".to_owned())),
            (Err(error), 0) => return Err(Unanswered::Untouched(error.to_string())),
            (Ok(0), _) => return Err(Unanswered::Broken("closed in the middle of an answer".to_owned())),
            (Err(error), _) => return Err(Unanswered::Broken(format!("in the middle of an answer: {error}"))),
            (Ok(_), _) => {}
        }
        if let Some(answered) = complete(&answer) {
            return answered;
        }
    }
}

/// `None` until the whole answer is there.
fn complete(answer: &[u8]) -> Option<Result<Answered, Unanswered>> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    if body.len() < length {
        return None;
    }
    if !head.starts_with("http/1.1 200") {
        return Some(Err(Unanswered::Broken(format!("answered {:?}", head.lines().next().unwrap_or_default()))));
    }
    Some(Ok(Answered { reusable: field("connection:") != Some("close") }))
}
