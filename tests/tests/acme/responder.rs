//! What answers http-01 on loopback: a web server that says what it is told to, also over TLS.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use tests::ports::Port;

/// What is answered for one path.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// 200 with this body.
    Body(String),
    /// Another status.
    Status(u16),
    /// 302 to this address.
    Redirect(String),
    /// Nothing, until another reply is set.
    Hold,
}

#[derive(Default)]
struct State {
    replies: Mutex<HashMap<String, Reply>>,
    changed: Condvar,
    asked: Mutex<Vec<String>>,
    hosts: Mutex<HashMap<String, String>>,
}

/// A running server on 127.0.0.1, and on no other loopback address.
pub(crate) struct Responder {
    state: Arc<State>,
}

impl Responder {
    /// Serves plain HTTP on `plain` and TLS, with a certificate that nobody trusts, on `tls`.
    pub(crate) fn start(plain: &Port, tls: &Port) -> Self {
        let state = Arc::<State>::default();
        let config = Arc::new(untrusted());
        serve(plain, &state, Ok);
        serve(tls, &state, move |stream| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
            Ok(rustls::StreamOwned::new(connection, stream))
        });
        Self { state }
    }

    /// Serves plain HTTP at another address, too.
    pub(crate) fn also(&self, address: &str) {
        listen(TcpListener::bind(address).unwrap(), &self.state, Ok);
    }

    /// Says what to answer for a token.
    pub(crate) fn set(&self, token: &str, reply: Reply) {
        self.set_path(&format!("/.well-known/acme-challenge/{token}"), reply);
    }

    /// Says what to answer for a path.
    pub(crate) fn set_path(&self, path: &str, reply: Reply) {
        self.state.replies.lock().unwrap().insert(path.to_owned(), reply);
        self.state.changed.notify_all();
    }

    /// The `Host` with which a token was asked for the last time.
    pub(crate) fn host(&self, token: &str) -> String {
        self.state.hosts.lock().unwrap()[&format!("/.well-known/acme-challenge/{token}")].clone()
    }

    /// How often a token was asked for.
    pub(crate) fn asked(&self, token: &str) -> usize {
        self.state.asked.lock().unwrap().iter().filter(|path| path.ends_with(token)).count()
    }
}

fn serve<S, F>(port: &Port, state: &Arc<State>, accept: F)
where
    S: std::io::Read + Write,
    F: Fn(TcpStream) -> std::io::Result<S> + Clone + Send + 'static,
{
    listen(TcpListener::bind(port.address()).unwrap(), state, accept);
}

fn listen<S, F>(listener: TcpListener, state: &Arc<State>, accept: F)
where
    S: std::io::Read + Write,
    F: Fn(TcpStream) -> std::io::Result<S> + Clone + Send + 'static,
{
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (state, accept) = (Arc::clone(&state), accept.clone());
            // A client that goes away is none of this server's business.
            std::thread::spawn(move || stream.and_then(accept).and_then(|stream| answer(stream, &state)));
        }
    });
}

fn answer<S: std::io::Read + Write>(stream: S, state: &State) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    state.asked.lock().unwrap().push(path.clone());
    let host = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
    state.hosts.lock().unwrap().insert(path.clone(), host.unwrap_or_default());
    let replies = state.replies.lock().unwrap();
    let is_held = |replies: &mut HashMap<String, Reply>| matches!(replies.get(&path), Some(Reply::Hold));
    let replies = state.changed.wait_while(replies, is_held).unwrap();
    let reply = replies.get(&path).cloned().unwrap_or(Reply::Status(404));
    drop(replies);
    let (status, location, body) = match reply {
        Reply::Body(body) => (200, String::new(), body),
        Reply::Redirect(to) => (302, format!("Location: {to}\r\n"), String::new()),
        Reply::Status(status) => (status, String::new(), "no".to_owned()),
        Reply::Hold => unreachable!("waited for another"),
    };
    let head = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all((head + &body).as_bytes())?;
    stream.get_mut().flush()
}

fn untrusted() -> rustls::ServerConfig {
    let made = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap()
}
