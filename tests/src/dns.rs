//! Debian's BIND, in a folder of its own: zones that tests and the hooks of clients change while it runs.
//!
//! Every zone takes updates (RFC 2136) from loopback without a key. Its apex names one server, `ns1` in the zone, which
//! is 127.0.0.1, and every name of it that has no records is 127.0.0.1 too: `*.ZONE` holds an address. A name stops being
//! covered by that wildcard once it, or a name below it, has records (RFC 4592 section 2.2.2); give it an address of its
//! own where that matters.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::folders::{Folder, write};
use crate::ports::Port;
use crate::process::Process;
use crate::wait;

/// Where Debian puts it.
pub const BINARY: &str = "/usr/sbin/named";

/// A running server, authoritative for its zones and for nothing else.
pub struct Dns {
    _process: Process,
    address: SocketAddr,
    port: std::sync::Arc<Port>,
    folder: Folder,
}

impl Dns {
    /// Starts one on 127.0.0.1 that is authoritative for these zones, and waits until it answers.
    pub async fn start(zones: &[&str]) -> Self {
        // Only the TCP side of a port can be kept; should another program hold its UDP side, the next one is tried.
        for _ in 0..20 {
            let port = std::sync::Arc::new(Port::take());
            if let Some(dns) = Self::start_at(Ipv4Addr::LOCALHOST.into(), port, zones).await {
                return dns;
            }
        }
        panic!("no port is free for UDP and TCP at once")
    }

    /// Another server on `[::1]` with the same port, and with zones of its own; none when something else has that port.
    pub async fn twin(&self, zones: &[&str]) -> Option<Self> {
        Self::start_at(std::net::Ipv6Addr::LOCALHOST.into(), std::sync::Arc::clone(&self.port), zones).await
    }

    async fn start_at(ip: IpAddr, port: std::sync::Arc<Port>, zones: &[&str]) -> Option<Self> {
        let (folder, address) = (Folder::new(), SocketAddr::new(ip, port.number()));
        for zone in zones {
            write(&zone_file(folder.path(), zone), zone_text(zone), 0o644);
        }
        write(&folder.path().join("named.conf"), configuration(folder.path(), address, zones), 0o644);
        for (name, verb) in [("add", "add"), ("remove", "delete")] {
            write(&folder.path().join(name), script(address, verb), 0o755);
        }
        // Where AppArmor confines the program, it does so by its path, and to the folders of Debian's own service. Copied by
        // another process: a file that this one had open for writing may still be so in a child of another test.
        let program = folder.path().join("named");
        crate::process::run(Command::new("cp").arg(BINARY).arg(&program)).await.success();
        let mut command = Command::new(program);
        command.arg("-g").args(["-n", "1", "-c"]).arg(folder.path().join("named.conf"));
        let mut process = Process::start("named", &mut command, folder.path().join("named.log"));
        let answers = wait::until("named to answer", 20, async || {
            process.must_run();
            if process.log().contains("creating IPv") || process.log().contains("address in use") {
                return Some(false);
            }
            let zone = zones.first()?;
            let is_there = answers_udp(address, zone).await && answers_tcp(address, zone).await;
            is_there.then_some(true)
        });
        answers.await.then_some(Self { _process: process, address, port, folder })
    }

    /// Where it answers over UDP and TCP, as `validation.resolvers` takes it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Adds a record, such as `("gw.clients.test", "A", "127.0.0.1")`; texts of TXT are given without quotation marks.
    pub fn add(&self, name: &str, kind: &str, value: &str) {
        self.update(&[&format!("add {name} 0 {kind} {}", presented(kind, value))]);
    }

    /// Removes all records of one type from a name.
    pub fn remove(&self, name: &str, kind: &str) {
        self.update(&[&format!("delete {name} {kind}")]);
    }

    /// Sends update commands of nsupdate, such as `add NAME TTL TYPE DATA`, as one message; they are in force afterwards.
    #[track_caller]
    pub fn update(&self, commands: &[&str]) {
        let mut text = format!("server {} {}\n", self.address.ip(), self.address.port());
        commands.iter().for_each(|command| text += &format!("update {command}\n"));
        text += "send\n";
        let mut child = Command::new("nsupdate")
            .args(["-t", "20"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "nsupdate: {said}\n{text}");
    }

    /// A program that hooks of clients call as `ADD NAME TYPE VALUE`.
    pub fn add_command(&self) -> PathBuf {
        self.folder.path().join("add")
    }

    /// A program that hooks of clients call as `REMOVE NAME TYPE [VALUE]`; without a value all records of that type go.
    pub fn remove_command(&self) -> PathBuf {
        self.folder.path().join("remove")
    }

    /// How often a name was asked for, in whatever letters.
    pub fn asked(&self, name: &str, kind: &str) -> usize {
        let asked = format!("query: {} in {} ", name.trim_end_matches('.'), kind).to_ascii_lowercase();
        let log = std::fs::read_to_string(self.folder.path().join("named.log")).unwrap_or_default();
        log.lines().filter(|line| line.to_ascii_lowercase().contains(&asked)).count()
    }
}

fn presented(kind: &str, value: &str) -> String {
    let is_bare = kind.eq_ignore_ascii_case("TXT") && !value.starts_with('"');
    if is_bare { format!("\"{value}\"") } else { value.to_owned() }
}

fn zone_file(folder: &Path, zone: &str) -> PathBuf {
    folder.join(format!("{zone}.zone"))
}

/// No resolver remembers anything of it: every time to live is zero.
fn zone_text(zone: &str) -> String {
    format!(
        "$ORIGIN {zone}.\n$TTL 0\n@ SOA ns1 nobody 1 3600 600 86400 0\n@ NS ns1\n@ A 127.0.0.1\nns1 A 127.0.0.1\n* A 127.0.0.1\n"
    )
}

fn configuration(folder: &Path, address: SocketAddr, zones: &[&str]) -> String {
    let (path, port, ip) = (folder.display(), address.port(), address.ip());
    let (v4, v6) = match ip {
        IpAddr::V4(_) => (format!("{{ {ip}; }}"), "{ none; }".to_owned()),
        IpAddr::V6(_) => ("{ none; }".to_owned(), format!("{{ {ip}; }}")),
    };
    let mut text = format!(
        r#"options {{
    directory "{path}";
    pid-file "{path}/named.pid";
    lock-file none;
    session-keyfile "{path}/session.key";
    listen-on port {port} {v4};
    listen-on-v6 port {port} {v6};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
    querylog yes;
    max-cache-size 2m;
}};
controls {{ }};
"#
    );
    for zone in zones {
        let file = zone_file(folder, zone);
        text += &format!(
            "zone \"{zone}\" {{ type primary; file \"{}\"; allow-update {{ 127.0.0.0/8; ::1; }}; }};\n",
            file.display()
        );
    }
    text
}

/// `NAME TYPE [VALUE]` as an update without a key.
fn script(address: SocketAddr, verb: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    let ttl = if verb == "add" { " 0" } else { "" };
    format!(
        "#!/bin/sh\nset -eu\nvalue=${{3-}}\n[ \"$2\" != TXT ] || [ -z \"$value\" ] || value=\"\\\"$value\\\"\"\n\
         printf 'server {ip} {port}\\nupdate {verb} %s{ttl} %s %s\\nsend\\n' \"$1\" \"$2\" \"$value\" | nsupdate -t 20\n"
    )
}

/// A query for the SOA record of a zone (RFC 1035 section 4.1).
fn query(zone: &str) -> Vec<u8> {
    let mut message = vec![0x50, 0x4c, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in zone.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 6, 0, 1]);
    message
}

async fn answers_udp(address: SocketAddr, zone: &str) -> bool {
    let exchange = async {
        let own = SocketAddr::new(address.ip(), 0);
        let socket = UdpSocket::bind(own).await?;
        socket.connect(address).await?;
        socket.send(&query(zone)).await?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).await?;
        std::io::Result::Ok(is_found(&answer[..length]))
    };
    matches!(tokio::time::timeout(Duration::from_millis(500), exchange).await, Ok(Ok(true)))
}

async fn answers_tcp(address: SocketAddr, zone: &str) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let message = query(zone);
        stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).await?;
        stream.write_all(&message).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(is_found(&answer))
    };
    matches!(tokio::time::timeout(Duration::from_millis(500), exchange).await, Ok(Ok(true)))
}

/// An answer to our query, without an error, with at least one record.
fn is_found(answer: &[u8]) -> bool {
    answer.starts_with(&[0x50, 0x4c]) && answer.len() > 12 && answer[3] & 0x0f == 0 && answer[7] > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn dig(dns: &Dns, name: &str, kind: &str) -> String {
        let (ip, port) = (dns.address.ip().to_string(), dns.port().to_string());
        let mut command = Command::new("dig");
        command.args([&format!("@{ip}"), "-p", &port, "+short", "+tries=1", name, kind]);
        crate::process::run(&mut command).await.success().trim().to_owned()
    }

    #[tokio::test]
    async fn records_come_and_go_while_it_runs() {
        let dns = Dns::start(&["clients.test", "other.test"]).await;
        assert_eq!(dig(&dns, "anything.clients.test", "A").await, "127.0.0.1");
        dns.add("gw.clients.test", "AAAA", "::1");
        assert_eq!(dig(&dns, "gw.clients.test", "AAAA").await, "::1");
        dns.add("alias.clients.test", "CNAME", "gw.other.test.");
        assert_eq!(dig(&dns, "alias.clients.test", "CNAME").await, "gw.other.test.");
        assert_eq!(dns.asked("GW.clients.test", "AAAA"), 1);
        dns.remove("gw.clients.test", "AAAA");
        assert_eq!(dig(&dns, "gw.clients.test", "AAAA").await, "");
    }

    #[tokio::test]
    async fn hooks_change_it_by_a_command_line() {
        let dns = Dns::start(&["clients.test"]).await;
        let name = "_acme-challenge.a.clients.test";
        for value in ["one", "two words"] {
            crate::process::run(Command::new(dns.add_command()).args([name, "TXT", value])).await.success();
        }
        let mut seen: Vec<String> = dig(&dns, name, "TXT").await.lines().map(str::to_owned).collect();
        seen.sort();
        assert_eq!(seen, ["\"one\"", "\"two words\""]);
        crate::process::run(Command::new(dns.remove_command()).args([name, "TXT", "one"])).await.success();
        assert_eq!(dig(&dns, name, "TXT").await, "\"two words\"");
        crate::process::run(Command::new(dns.remove_command()).args([name, "TXT"])).await.success();
        assert_eq!(dig(&dns, name, "TXT").await, "");
    }

    #[tokio::test]
    async fn a_twin_answers_at_the_other_address_of_the_same_port() {
        let dns = Dns::start(&["clients.test"]).await;
        let Some(twin) = dns.twin(&["clients.test"]).await else { panic!("[::1]:{} is taken", dns.port()) };
        twin.add("only.clients.test", "TXT", "twin");
        assert_eq!(dig(&twin, "only.clients.test", "TXT").await, "\"twin\"");
        assert_eq!(dig(&dns, "only.clients.test", "TXT").await, "");
    }
}
