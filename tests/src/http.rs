//! One request over plain HTTP, by curl or as it is written here, and the answer as it came.

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::folders::Folder;
use crate::process::run;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of its first line; 0 when curl got none.
    pub status: u16,
    /// All lines before the body.
    pub head: String,
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the first header of that name, whose case does not count.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// `None` without a status line.
    fn new(head: String, body: Vec<u8>) -> Option<Self> {
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head, body })
    }
}

/// What curl gets with these arguments; a status of 0 when nobody answers.
pub async fn curl(arguments: &[&str]) -> Answer {
    let folder = Folder::new();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "-D"]).arg(&head).arg("-o").arg(&body).args(arguments);
    run(&mut command).await;
    let (head, body) = (std::fs::read_to_string(head).unwrap_or_default(), std::fs::read(body).unwrap_or_default());
    Answer::new(head, body).unwrap_or_else(|| Answer { status: 0, head: String::new(), body: Vec::new() })
}

/// Sends one request as it is written, with whole lines in `head`, and reads the whole answer.
pub async fn ask(address: &str, line: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n");
    stream.write_all(&[text.as_bytes(), body].concat()).await.unwrap();
    let mut whole = Vec::new();
    // a server that has said enough may close before it has read everything
    let _ = stream.read_to_end(&mut whole).await;
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("{line}: no answer"));
    let head = String::from_utf8(whole[..end].to_vec()).unwrap();
    Answer::new(head, whole[end + 4..].to_vec()).unwrap_or_else(|| panic!("{line}: no status"))
}
