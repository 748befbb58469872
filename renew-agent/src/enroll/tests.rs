use std::sync::Arc;

use api::token::Secret;
use pki_core::time::TestClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::testing::{NOW, TestCa, names};

/// Shows its roots and answers 404 to everything else.
async fn show_roots(ca: &TestCa) -> (String, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(ca.server_config(&names(&["127.0.0.1"]))));
    let roots = ca.roots().to_pem();
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let mut head = [0; 4096];
            let length = tls.read(&mut head).await.unwrap_or(0);
            let (status, body) =
                if head[..length].starts_with(b"GET /roots.pem ") { (200, roots.as_str()) } else { (404, "") };
            let answer =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = tls.write_all(answer.as_bytes()).await;
            let _ = tls.shutdown().await;
        }
    });
    (url, task)
}

fn token(addresses: &[&str], pinned: &TestCa, kid: &str) -> EnrolmentToken {
    EnrolmentToken {
        ca: addresses.iter().map(ToString::to_string).collect(),
        root_sha256: pinned.roots().certificates().iter().map(|root| hex(&root.sha256())).collect(),
        kid: kid.to_owned(),
        secret: Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
    }
}

async fn attempt(home: &Home, token: &EnrolmentToken, now: Timestamp) -> EnrollError {
    enroll(home, token, Arc::new(TestClock::at(now)), false).await.unwrap_err()
}

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    (dir, home)
}

#[tokio::test]
async fn a_token_of_another_ca_is_told_and_nothing_of_that_ca_is_kept() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let (url, _task) = show_roots(&other).await;
    let (_dir, home) = home();
    let error = attempt(&home, &token(&[&url], &ca, "k1"), NOW).await;
    assert!(matches!(error, EnrollError::OtherCa { .. }), "{error}");
    assert!(!home.roots().exists() && !home.ca().exists() && !home.account().exists());
}

#[tokio::test]
async fn a_clock_before_the_root_is_told_with_both_times() {
    let ca = TestCa::new();
    let (url, _task) = show_roots(&ca).await;
    let (_dir, home) = home();
    let error = attempt(&home, &token(&[&url], &ca, "k1"), Timestamp::from_unix_seconds(0)).await.to_string();
    assert!(error.contains("1970-01-01T00:00:00Z") && error.contains("2025-01-01T00:00:00Z"), "{error}");
    assert!(!home.roots().exists());
}

#[tokio::test]
async fn an_absent_ca_is_told_with_every_address() {
    let ca = TestCa::new();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_dir, home) = home();
    let urls = [format!("https://{free}"), "https://ca.invalid:8443".to_owned()];
    let error = attempt(&home, &token(&[&urls[0], &urls[1]], &ca, "k1"), NOW).await;
    assert!(matches!(error, EnrollError::Unreachable(_)));
    let text = error.to_string();
    assert!(text.contains(&free.to_string()) && text.contains("ca.invalid:8443"), "{text}");
}

#[tokio::test]
async fn the_key_outlives_failed_attempts_and_the_second_address_serves() {
    let ca = TestCa::new();
    let (url, _task) = show_roots(&ca).await;
    let (_dir, home) = home();
    let token = token(&["https://ca.invalid:1", &url], &ca, "k1");
    // The server has roots but no directory, so each attempt ends after the roots were stored.
    assert!(matches!(attempt(&home, &token, NOW).await, EnrollError::Acme(_)));
    let key = std::fs::read(home.account_key()).unwrap();
    assert!(home.roots().exists());
    attempt(&home, &token, NOW).await;
    assert_eq!(std::fs::read(home.account_key()).unwrap(), key, "the token is good for one key only");
}

#[tokio::test]
async fn an_enrolled_node_is_left_alone_and_a_failed_attempt_binds_nobody() {
    let ca = TestCa::new();
    let (url, _task) = show_roots(&ca).await;
    let (_dir, home) = home();
    attempt(&home, &token(&[&url], &ca, "k1"), NOW).await;
    let key = std::fs::read(home.account_key()).unwrap();
    assert!(matches!(attempt(&home, &token(&[&url], &ca, "k2"), NOW).await, EnrollError::Acme(_)));
    assert_ne!(std::fs::read(home.account_key()).unwrap(), key, "another token, another key");
    let account = AccountRecord { url: format!("{url}/acme/account/1"), directory: format!("{url}/acme/directory") };
    state::save(&home.account(), &account).unwrap();
    let error = attempt(&home, &token(&[&url], &ca, "k3"), NOW).await;
    assert!(matches!(&error, EnrollError::Already { kid, .. } if kid == "k2"), "{error}");
}
