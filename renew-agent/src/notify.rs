//! What systemd is told (sd_notify(3)): that the agent is ready, and that it is alive.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The line to systemd, when the agent is a unit of `Type=notify`.
#[derive(Debug, Default)]
pub struct Notify {
    socket: Option<(UnixDatagram, String)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Reads where systemd listens.
    #[expect(clippy::disallowed_methods, reason = "NOTIFY_SOCKET and WATCHDOG_USEC are systemd's interface")]
    pub fn from_environment() -> Self {
        let path = std::env::var("NOTIFY_SOCKET").ok();
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let socket = path.and_then(|path| UnixDatagram::unbound().ok().map(|socket| (socket, path)));
        Self { socket, watchdog: micros.map(Duration::from_micros) }
    }

    /// How often [`alive`](Self::alive) must be said: twice as often as systemd asks for.
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|span| span / 2)
    }

    /// The agent reads state and schedules from now on.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The loop goes round.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.say("WATCHDOG=1");
        }
    }

    /// No further renewal is begun.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.say(&format!("STATUS={text}"));
    }

    fn say(&self, text: &str) {
        let Some((socket, path)) = &self.socket else { return };
        let sent = match path.strip_prefix('@') {
            Some(name) => abstract_address(name).and_then(|address| socket.send_to_addr(text.as_bytes(), &address)),
            None => socket.send_to(text.as_bytes(), path),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "systemd does not listen");
        }
    }
}

fn abstract_address(name: &str) -> std::io::Result<std::os::unix::net::SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    std::os::unix::net::SocketAddr::from_abstract_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_what_it_asked_for_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let socket = Some((UnixDatagram::unbound().unwrap(), path.to_string_lossy().into_owned()));
        let mut notify = Notify { socket, watchdog: None };
        let heard = || {
            let mut buffer = [0; 64];
            let length = listener.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        notify.alive();
        notify.ready();
        assert_eq!(heard(), "READY=1", "no watchdog was asked for");
        notify.watchdog = Some(Duration::from_secs(60));
        notify.alive();
        assert_eq!((heard().as_str(), notify.pulse()), ("WATCHDOG=1", Some(Duration::from_secs(30))));
        Notify::default().ready();
    }
}
