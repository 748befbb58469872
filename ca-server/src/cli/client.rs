//! The JSON API of the running CA, spoken over its local socket.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use api::admin::{Page, PageQuery};
use api::problem::ProblemDocument;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::cli::args::Dir;
use crate::cli::error::CliError;

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const PAGE: u32 = 500;

/// Speaks to the CA of one folder.
#[derive(Debug)]
pub(super) struct Client {
    dir: PathBuf,
    socket: PathBuf,
    patience: Duration,
}

impl Client {
    /// For the CA of this folder.
    pub(super) fn of(dir: &Dir) -> Result<Self, CliError> {
        let config = dir.config()?;
        Ok(Self { dir: config.dir, socket: config.admin.socket, patience: PATIENCE })
    }

    /// For questions whose answer may take the CA longer than a minute.
    pub(super) fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        read(path, &self.exchange(Method::GET, path, None).await?)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        read(path, &self.send(path, body).await?)
    }

    /// A request whose answer has no body.
    pub(super) async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), CliError> {
        self.send(path, body).await.map(drop)
    }

    /// Every row of a listing, or the first `limit` of them.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        name: Option<String>,
        limit: Option<u32>,
    ) -> Result<Vec<T>, CliError> {
        let wanted = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut query = PageQuery { name, limit: Some(limit.unwrap_or(PAGE).min(PAGE)), cursor: None };
        let mut rows = Vec::new();
        loop {
            let page: Page<T> = self.get(&with_query(path, &query)).await?;
            // an empty page that names a next one would be asked for without end
            let is_last = page.items.is_empty() || page.next.is_none();
            rows.extend(page.items);
            if is_last || rows.len() >= wanted {
                rows.truncate(wanted);
                return Ok(rows);
            }
            query.cursor = page.next;
        }
    }

    async fn send(&self, path: &str, body: &impl Serialize) -> Result<Bytes, CliError> {
        let body = serde_json::to_vec(body).map_err(CliError::failed)?;
        self.exchange(Method::POST, path, Some(body)).await
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, CliError> {
        let late = |_| self.broken(&format!("it did not answer within {} s", self.patience.as_secs()));
        let (status, answer) =
            tokio::time::timeout(self.patience, self.converse(method, path, body)).await.map_err(late)??;
        if status.is_success() { Ok(answer) } else { Err(refusal(status, &answer)) }
    }

    async fn converse(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), CliError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let broken = |error: hyper::Error| self.broken(&error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(CliError::failed)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            body.map(|body| (status, body.to_bytes())).map_err(|error| self.broken(&error.to_string()))
        };
        tokio::pin!(answer);
        // the connection moves only while it is polled, so both are
        tokio::select! {
            answer = &mut answer => answer,
            ended = connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(broken(error)),
            },
        }
    }

    fn unreachable(&self, error: &std::io::Error) -> CliError {
        let dir = self.dir.display();
        CliError::Failed(match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                format!("no ca-server is running on {dir}; start it with `ca-server serve --dir {dir}`")
            }
            ErrorKind::PermissionDenied => format!(
                "{} belongs to another user; run this command as the user that runs the CA, or as root",
                self.socket.display()
            ),
            _ => format!("cannot reach the CA at {}: {error}", self.socket.display()),
        })
    }

    fn broken(&self, why: &str) -> CliError {
        CliError::Failed(format!(
            "the conversation with the CA at {} broke off: {why}; look at its log",
            self.socket.display()
        ))
    }
}

fn read<T: DeserializeOwned>(path: &str, answer: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(answer).map_err(|error| {
        CliError::Failed(format!(
            "the CA's answer to {path} is not understood ({error}); use the ca-server of the same version"
        ))
    })
}

fn refusal(status: StatusCode, answer: &[u8]) -> CliError {
    match serde_json::from_slice::<ProblemDocument>(answer) {
        Ok(problem) if !problem.detail.is_empty() => {
            // the first reason is often the whole text already
            let others = problem.subproblems.iter().filter(|sub| !problem.detail.contains(&sub.detail));
            let lines = others.map(|sub| match &sub.identifier {
                Some(identifier) => format!("\n  {}: {}", identifier.value, sub.detail),
                None => format!("\n  {}", sub.detail),
            });
            CliError::Failed(problem.detail.clone() + &lines.collect::<String>())
        }
        _ => CliError::Failed(format!("the CA answered {status} without saying why; look at its log")),
    }
}

fn with_query(path: &str, query: &PageQuery) -> String {
    let limit = query.limit.map(|limit| limit.to_string());
    let members = [("cursor", query.cursor.as_deref()), ("limit", limit.as_deref()), ("name", query.name.as_deref())];
    let pairs: Vec<String> =
        members.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", encode(value?)))).collect();
    let first = if path.contains('?') { '&' } else { '?' };
    format!("{path}{first}{}", pairs.join("&"))
}

/// One segment of a path, or one value of a query (RFC 3986 section 2.3).
pub(super) fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
