//! Ports that nobody else gets.
//!
//! A socket that is bound but never listens keeps the kernel from giving its port to anybody who asks for a free one or
//! connects somewhere. A server that names the port and sets `SO_REUSEADDR` (all of ours do) can still listen on it.

use tokio::net::TcpSocket;

/// A port of 127.0.0.1, kept for as long as this value lives.
#[derive(Debug)]
pub struct Port {
    socket: TcpSocket,
}

impl Port {
    /// Takes a free port.
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { socket }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_taken_port_can_be_listened_on_again_and_again_and_is_given_to_nobody_else() {
        let port = Port::take();
        for _ in 0..3 {
            let listener = TcpListener::bind(port.address()).unwrap();
            let client = TcpStream::connect(port.address()).unwrap();
            drop((listener.accept().unwrap(), client));
        }
        let others: Vec<TcpListener> = (0..2000).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let given: BTreeSet<u16> = others.iter().map(|other| other.local_addr().unwrap().port()).collect();
        assert!(!given.contains(&port.number()));
    }
}
