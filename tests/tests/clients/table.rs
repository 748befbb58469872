//! Keeps `docs/clients.md` and these tests together: what the table says of a client is what its file of tests shows.

use std::path::Path;

use tests::manual::Manual;
use tests::process::run;

use crate::client::PAGE;

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    client: String,
    version: String,
    cells: Vec<String>,
}

impl Row {
    /// The row of a client.
    pub(crate) fn of(client: &str) -> Self {
        let all = rows();
        all.iter().find(|row| row.client == client).unwrap_or_else(|| panic!("{PAGE} has no row for {client}")).clone()
    }

    fn cell(&self, column: &str) -> &str {
        let columns = header();
        &self.cells[columns.iter().position(|name| name == column).unwrap_or_else(|| panic!("no column {column}"))]
    }

    /// The name that files and tests of the client have.
    fn file(&self) -> String {
        self.client.replace("x/crypto/acme", "xcrypto").replace(['-', '.'], "_").to_lowercase()
    }
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn table() -> Vec<String> {
    let whole = Manual::whole(PAGE);
    let from = whole.lines().skip_while(|line| !line.starts_with("| client |"));
    from.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

fn header() -> Vec<String> {
    cells(&table()[0])
}

fn rows() -> Vec<Row> {
    let row = |line: &String| {
        let cells = cells(line);
        let client = cells[0].trim_start_matches('[').split(']').next().unwrap().to_owned();
        Row { client, version: cells[1].clone(), cells }
    };
    table().iter().skip(2).map(row).collect()
}

fn sources(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(format!("{file}.rs"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Prints the version of a client, so that a run says what was tested, and holds it against the table.
pub(crate) async fn print_version(client: &str, command: &[&str]) {
    let ran = run(std::process::Command::new(command[0]).args(&command[1..])).await;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let row = Row::of(client);
    assert!(said.contains(&row.version), "{PAGE} has {client} {}, and here is: {said}", row.version);
    println!("{client}: {}", said.trim());
}

/// The same for a crate, whose version is the one of `Cargo.lock`.
pub(crate) fn print_crate_version(client: &str) {
    let lock = include_str!("../../../Cargo.lock");
    let row = Row::of(client);
    let entry = format!("name = \"{client}\"\nversion = \"{}\"\n", row.version);
    assert!(lock.contains(&entry), "{PAGE} has {client} {}, and Cargo.lock another", row.version);
    println!("{client}: {}", row.version);
}

#[test]
fn every_client_of_the_page_has_its_tests() {
    assert!(rows().len() >= 9, "{}", rows().len());
    for row in rows() {
        let (client, text) = (&row.client, sources(&row.file()));
        let tests: Vec<&str> = text.lines().filter(|line| line.starts_with("async fn ")).collect();
        let is_tested = |word: &str| tests.iter().any(|name| name.contains(word));
        let says = |column: &str, word: &str| row.cell(column).contains(word);
        assert!(is_tested(&row.file()), "{client}: no test has its name");
        assert_eq!(says("EAB", "yes"), is_tested("external"), "{client}: EAB");
        assert_eq!(says("ARI", "yes"), is_tested("ari_"), "{client}: ARI");
        assert_eq!(says("also", "refused nonces"), is_tested("non_") && is_tested("8_"), "{client}: refused nonces");
        assert_eq!(says("renew", "yes"), text.contains("assert_ne!("), "{client}: renewing");
        assert_eq!(says("revoke by", "key"), text.contains("revoke-by-key"), "{client}: revoking by key");
        assert_eq!(says("key change", "yes"), text.contains("change-key") || text.contains("update_key"), "{client}");
        for (challenge, words) in [
            ("http-01", ["http", "Http01", "issue-webroot", "\"issue\"", "caddy"].as_slice()),
            ("dns-01", &["dns-01", "Dns01", "issue-dns"]),
            ("tls-alpn-01", &["tls-alpn-01", "TlsAlpn01", "issue-tls"]),
        ] {
            let is_used = words.iter().any(|word| text.contains(word));
            assert_eq!(says("challenges", challenge), is_used, "{client}: {challenge}");
        }
    }
    let behind = sources("proxy");
    assert!(behind.contains("\"certbot\"") && behind.contains("\"lego\""), "the table has them behind nginx");
    assert!(sources("certbot").contains("postgres: true"), "the table has certbot on PostgreSQL");
}

#[test]
fn every_command_of_the_page_is_typed_by_a_test() {
    for row in rows() {
        let whole = Manual::whole(PAGE);
        assert!(whole.contains(&format!("\n## {}\n", row.client)), "no section for {}", row.client);
        let text = sources(&row.file());
        for (block, _) in Manual::of(PAGE, &row.client).blocks() {
            // `setup` goes before each block; `trust` changes the whole system and is done in a namespace instead.
            let is_typed = ["setup", "trust"].contains(&block.as_str()) || text.contains(&format!("\"{block}\""));
            assert!(is_typed, "{}: nobody types `{block}`", row.client);
        }
    }
}
