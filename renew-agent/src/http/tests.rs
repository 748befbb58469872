use std::sync::atomic::{AtomicUsize, Ordering};

use pki_core::time::TestClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::testing::{NOW, TestCa, names};

/// A TLS server that gives the answers of a list, one request each; an empty answer closes the connection.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    _task: tokio::task::JoinSet<()>,
}

async fn serve(ca: &TestCa, names_of_server: &[&str], answers: Vec<String>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(ca.server_config(&names(names_of_server))));
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        let answers = Arc::new(std::sync::Mutex::new(answers.into_iter()));
        let mut visitors = tokio::task::JoinSet::new();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
            visitors.spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let mut buffer = [0; 4096];
                while matches!(tls.read(&mut buffer).await, Ok(1..)) {
                    let answer = answers.lock().unwrap().next();
                    let Some(answer) = answer.filter(|answer| !answer.is_empty()) else { return };
                    if tls.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Server { url, connections, _task: task }
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nRetry-After: 7\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn client(ca: &TestCa, addresses: &[&str]) -> Client {
    let tls = pinned(&ca.roots().to_der(), Arc::new(TestClock::at(NOW))).unwrap();
    Client::new(tls, &addresses.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

async fn get(client: &mut Client, url: &str) -> Result<Response, HttpError> {
    client.send(&Request { method: Method::GET, url, body: None }, Route::AnyAddress).await
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_a_closed_one_is_replaced() {
    let ca = TestCa::new();
    let server = serve(&ca, &["127.0.0.1"], vec![answer("a"), answer("b"), String::new(), answer("c")]).await;
    let mut client = client(&ca, &[]);
    let first = get(&mut client, &server.url).await.unwrap();
    assert_eq!((first.status, first.body.as_slice()), (200, b"a".as_slice()));
    assert_eq!(first.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(get(&mut client, &server.url).await.unwrap().body, b"b");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(get(&mut client, &server.url).await.unwrap().body, b"c");
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_server_that_closes_after_its_answer_is_read_to_the_end() {
    let ca = TestCa::new();
    let text = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend";
    let server = serve(&ca, &["127.0.0.1"], vec![text.to_owned()]).await;
    assert_eq!(get(&mut client(&ca, &[]), &server.url).await.unwrap().body, b"end");
}

#[tokio::test]
async fn another_address_serves_when_it_proves_to_be_the_same_host() {
    let ca = TestCa::new();
    let server = serve(&ca, &["127.0.0.1", "ca.site.invalid"], vec![answer("x"), answer("y")]).await;
    let mut client = client(&ca, &[&server.url]);
    assert_eq!(get(&mut client, "https://ca.site.invalid:1/acme").await.unwrap().body, b"x");
    let error = get(&mut client, "https://other.invalid:1/acme").await.unwrap_err().to_string();
    assert!(error.contains("other.invalid:1 (") && error.contains("does not carry that name"), "{error}");
}

#[tokio::test]
async fn a_stranger_is_told_from_an_absent_one() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let server = serve(&other, &["127.0.0.1"], vec![]).await;
    let error = get(&mut client(&ca, &[]), &server.url).await.unwrap_err().to_string();
    assert!(error.contains("does not come from the pinned root"), "{error}");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = get(&mut client(&ca, &[]), &format!("https://{free}")).await.unwrap_err();
    assert!(matches!(&error, HttpError::Unreachable(all) if all.len() == 1), "{error}");
}

#[tokio::test]
async fn the_clock_is_named_when_it_is_at_fault() {
    let ca = TestCa::new();
    let server = serve(&ca, &["127.0.0.1"], vec![]).await;
    let early = Arc::new(TestClock::at(pki_core::time::Timestamp::from_unix_seconds(0)));
    let mut client = Client::new(pinned(&ca.roots().to_der(), early).unwrap(), &[]).unwrap();
    let error = get(&mut client, &server.url).await.unwrap_err().to_string();
    assert!(error.contains("not valid yet by this node's clock"), "{error}");
}

#[tokio::test]
async fn a_large_answer_is_not_read() {
    let ca = TestCa::new();
    let server = serve(&ca, &["127.0.0.1"], vec![answer(&"x".repeat(ANSWER_LIMIT + 1))]).await;
    let error = get(&mut client(&ca, &[]), &server.url).await.unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
}

#[test]
fn only_https_addresses_are_spoken_to() {
    for bad in ["http://ca.test", "ca.test", "https://", "https://user@ca.test/", "", "https://ca.test/ x"] {
        assert!(Target::parse(bad).is_err(), "{bad:?}");
    }
    let target = Target::parse("https://[2001:db8::1]:8443/a?b").unwrap();
    assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("2001:db8::1", 8443, "/a?b"));
    assert_eq!(origin("https://ca.test/x/y").unwrap(), "https://ca.test");
}
