//! A raw ACME client: every member and every byte of a request can be made wrong, and every answer is held against the
//! rules that all answers to requests under `/acme/` keep. It shares no code with the programs under test.

mod signed;

pub use signed::{Account, Jws, Key, new_account, sign_text};

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Id;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ca::Ca;
use crate::https::trusting;

/// What every problem type of RFC 8555 begins with.
const URN: &str = "urn:ietf:params:acme:error:";

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// One server, by one address; nonces of earlier answers are used again.
pub struct Client {
    tls: TlsConnector,
    address: String,
    host: String,
    /// The directory, as the server gave it.
    pub directory: Value,
    nonces: Mutex<Vec<String>>,
    free: Mutex<Vec<(Id, TlsStream<TcpStream>)>>,
}

impl Client {
    /// Reads the directory of a running CA.
    pub async fn of(ca: &Ca) -> Arc<Self> {
        Self::at(&ca.main_address(), &ca.roots()).await
    }

    /// Reads the directory at `127.0.0.1:PORT`.
    pub async fn at(address: &str, roots: &Path) -> Arc<Self> {
        Self::at_host(address, roots, "localhost").await
    }

    /// The same, asking for another host.
    pub async fn at_host(address: &str, roots: &Path, host: &str) -> Arc<Self> {
        let tls = TlsConnector::from(Arc::new(trusting(roots)));
        let (nonces, free) = (Mutex::default(), Mutex::default());
        let mut client =
            Self { tls, address: address.to_owned(), host: host.to_owned(), directory: Value::Null, nonces, free };
        client.directory = client.request("GET", "/acme/directory", &[], b"").await.json();
        Arc::new(client)
    }

    /// The URL of a resource of the directory.
    pub fn url(&self, resource: &str) -> String {
        self.directory[resource].as_str().unwrap_or_else(|| panic!("no {resource} in the directory")).to_owned()
    }

    /// `https://localhost:PORT`, with which all URLs begin.
    pub fn base(&self) -> String {
        self.url("newNonce").strip_suffix("/acme/new-nonce").unwrap().to_owned()
    }

    /// A nonce that was not used yet.
    pub async fn nonce(&self) -> String {
        let known = self.nonces.lock().unwrap().pop();
        match known {
            Some(nonce) => nonce,
            None => {
                let answer = self.request("HEAD", &self.url("newNonce"), &[], b"").await;
                answer.header("replay-nonce").unwrap().to_owned()
            }
        }
    }

    /// POSTs a signed request.
    pub async fn post(&self, url: &str, body: &Value) -> Answer {
        self.post_bytes(url, body.to_string().as_bytes()).await
    }

    /// POSTs what may be a signed request.
    pub async fn post_bytes(&self, url: &str, body: &[u8]) -> Answer {
        let answer = self.request("POST", url, &[("Content-Type", "application/jose+json")], body).await;
        self.nonces.lock().unwrap().extend(answer.header("replay-nonce").map(str::to_owned));
        answer
    }

    /// Sends any request.
    pub async fn request(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let base = if url.starts_with('/') { String::new() } else { self.base() };
        let path = url.strip_prefix(&base).unwrap_or_else(|| panic!("{url} is not of this CA"));
        let host = &self.host;
        let mut message = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| message += &format!("{name}: {value}\r\n"));
        let message = [message.as_bytes(), b"\r\n", body].concat();
        let answer = tokio::time::timeout(PATIENCE, self.exchange(method, &message)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} {url}: no answer"));
        if path.starts_with("/acme/") && !self.directory.is_null() {
            answer.must_keep_the_rules(method, path, &self.url("newNonce").replace("new-nonce", "directory"));
        }
        answer
    }

    /// On a connection that is free, or on a new one. Connections belong to the runtime of one test.
    async fn exchange(&self, method: &str, message: &[u8]) -> Answer {
        let runtime = tokio::runtime::Handle::current().id();
        let free = {
            let mut free = self.free.lock().unwrap();
            let own = free.iter().position(|(owner, _)| *owner == runtime);
            own.map(|at| free.swap_remove(at).1)
        };
        if let Some(mut stream) = free
            && let Some(answer) = converse(&mut stream, method, message).await
        {
            return self.keep(runtime, stream, answer);
        }
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        let mut stream = self.tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        let answer = converse(&mut stream, method, message).await.expect("an answer");
        self.keep(runtime, stream, answer)
    }

    fn keep(&self, runtime: Id, stream: TlsStream<TcpStream>, answer: Answer) -> Answer {
        if answer.header("connection").is_none() {
            self.free.lock().unwrap().push((runtime, stream));
        }
        answer
    }
}

/// Sends a request and reads the answer; none when the connection was closed before there was any.
async fn converse(stream: &mut TlsStream<TcpStream>, method: &str, message: &[u8]) -> Option<Answer> {
    // A server that refuses a body may stop reading it.
    let _ = stream.write_all(message).await;
    // What TLS holds back, because the task has had its turn, would stay there while the answer is waited for.
    let _ = stream.flush().await;
    let mut bytes = Vec::new();
    loop {
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) if bytes.is_empty() => return None,
            Ok(0) | Err(_) => panic!("the connection ended within an answer"),
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let answer = Answer::parse(&bytes, end);
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if method == "HEAD" || answer.body.len() >= length {
            return Some(answer);
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// `end` is where the head ends.
    fn parse(bytes: &[u8], end: usize) -> Self {
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    /// The only header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} stands there {} times", all.len());
        all.first().copied()
    }

    /// Every header line of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The `Location`.
    pub fn location(&self) -> String {
        self.header("location").unwrap_or_else(|| panic!("no Location: {self}")).to_owned()
    }

    /// The type of the problem, without its URN; empty for an answer that is none.
    pub fn problem(&self) -> String {
        if self.status < 400 {
            return String::new();
        }
        self.json()["type"].as_str().unwrap_or_default().trim_start_matches(URN).to_owned()
    }

    /// Fails unless it has this status and, from 400 on, this type of problem.
    #[track_caller]
    pub fn expect(self, what: &str, status: u16, problem: &str) -> Self {
        assert!(
            self.status == status && self.problem() == problem,
            "{what}: expected {status} {problem}, got {}",
            self
        );
        self
    }

    /// Protocols NON-2, HTP-2, HTP-3, HTP-6, HTP-10, HTP-11 and ERR-1 hold for every answer there is.
    #[track_caller]
    fn must_keep_the_rules(&self, method: &str, path: &str, directory: &str) {
        let what = format!("{method} {path}");
        if method == "POST" || path == "/acme/new-nonce" && matches!(method, "GET" | "HEAD") {
            let nonce = self.header("replay-nonce").unwrap_or_else(|| panic!("NON-2: {what}: no nonce: {self}"));
            assert!(
                BASE64_URL_SAFE_NO_PAD.decode(nonce).is_ok_and(|nonce| nonce.len() >= 16),
                "NON-3: {what}: {nonce}"
            );
            assert_eq!(self.header("cache-control"), Some("no-store"), "HTP-6: {what}");
        }
        let index = format!("<{directory}>;rel=\"index\"");
        let is_directory = path.ends_with("/directory") && self.status < 400;
        let indices = self.all("link").iter().filter(|link| **link == index).count();
        assert_eq!(indices, usize::from(!is_directory), "HTP-2: {what}: {self}");
        assert!(self.all("link").iter().all(|link| link.matches("rel=\"").count() == 1), "HTP-2: {what}: {self}");
        let retry_after = self.header("retry-after").map(|seconds| seconds.parse::<u32>());
        let most = if path.starts_with("/acme/renewal-info/") { 6 * 3600 } else { 600 };
        assert!(retry_after.is_none_or(|seconds| seconds.is_ok_and(|s| s <= most)), "HTP-10: {what}: {self}");
        let content_type = self.header("content-type");
        match self.status {
            400.. if method != "HEAD" => self.must_be_a_problem(&what),
            _ if self.body.is_empty() => {}
            _ if path.starts_with("/acme/certificate/") => {
                assert_eq!(content_type, Some("application/pem-certificate-chain"), "HTP-3: {what}");
            }
            _ => assert_eq!(content_type, Some("application/json"), "HTP-3: {what}"),
        }
    }

    #[track_caller]
    fn must_be_a_problem(&self, what: &str) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "HTP-3: {what}: {self}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "HTP-11: {what}: {self}");
        assert!(problem["type"].as_str().is_some_and(|kind| kind.starts_with(URN)), "ERR-1: {what}: {self}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty() && !detail.contains(char::is_control), "ERR-1: {what}: {self}");
        assert!(problem["requestId"].is_string(), "ERR-1: {what}: {self}");
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{:#?}\n{}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}
