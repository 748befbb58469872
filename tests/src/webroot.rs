//! A web server on a port of loopback, for files or for what a function says: what `http://NAME/` is for the validator.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ports::Port;

/// A running server; it lets go of the port when it is dropped.
#[derive(Debug)]
pub struct Webroot {
    address: String,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Webroot {
    /// Serves the files of `folder`, whatever the name in the request.
    pub fn start(port: &Port, folder: PathBuf) -> Self {
        Self::answering(
            port,
            move |path| if path.contains("..") { None } else { std::fs::read(folder.join(path)).ok() },
        )
    }

    /// Serves what `content` has for a path without its first slash.
    pub fn answering(port: &Port, content: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let (address, over) = (port.address(), Arc::new(AtomicBool::new(false)));
        let (listener, seen) = (TcpListener::bind(&address).unwrap(), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if seen.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up is its own affair.
                let _ = answer(&stream, &content);
            }
        });
        Self { address, over, thread: Some(thread) }
    }
}

impl Drop for Webroot {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn answer(stream: &TcpStream, content: &impl Fn(&str) -> Option<Vec<u8>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (status, body) =
        content(path).map_or_else(|| ("404 Not Found", b"nothing here\n".to_vec()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    (&mut &*stream).write_all(&[head.as_bytes(), &body].concat())
}
