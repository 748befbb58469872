//! The commented file that `init` writes.

use pki_core::ids::IssuerId;
use pki_core::x509::name::Identifier;

/// What differs between one CA's file and another's.
#[derive(Debug)]
#[expect(missing_docs, reason = "named as the keys of the file")]
pub struct Template<'a> {
    pub name: &'a str,
    pub external_main: &'a str,
    pub external_public: &'a str,
    pub external_names: &'a [Identifier],
    pub listen_main: &'a str,
    pub listen_public: &'a str,
    pub listen_operations: &'a str,
    pub database_url: &'a str,
    pub external_account_required: bool,
    pub allow_networks: &'a [String],
    pub passphrase_file: &'a str,
    pub root_id: IssuerId,
    pub issuing_id: IssuerId,
}

impl<'a> Template<'a> {
    /// The documented defaults for a CA of this name and these addresses.
    pub fn new(
        name: &'a str,
        main: &'a str,
        public: &'a str,
        names: &'a [Identifier],
        ids: (IssuerId, IssuerId),
    ) -> Self {
        Self {
            name,
            external_main: main,
            external_public: public,
            external_names: names,
            listen_main: "[::]:8443",
            listen_public: "[::]:8080",
            listen_operations: "127.0.0.1:9180",
            database_url: "sqlite:pilotlight.db",
            external_account_required: true,
            allow_networks: &[],
            passphrase_file: "",
            root_id: ids.0,
            issuing_id: ids.1,
        }
    }
}

/// The text of `ca-server.toml`.
pub fn render(template: &Template<'_>) -> String {
    let names: Vec<String> = template.external_names.iter().map(Identifier::value).collect();
    let values = [
        ("@name@", quote(template.name)),
        ("@external_main@", quote(template.external_main)),
        ("@external_public@", quote(template.external_public)),
        ("@external_names@", list(&names)),
        ("@listen_main@", quote(template.listen_main)),
        ("@listen_public@", quote(template.listen_public)),
        ("@listen_operations@", quote(template.listen_operations)),
        ("@database_url@", quote(template.database_url)),
        ("@external_account_required@", template.external_account_required.to_string()),
        ("@allow_networks@", list(template.allow_networks)),
        ("@passphrase_file@", quote(template.passphrase_file)),
        ("@root_id@", quote(&template.root_id.to_string())),
        ("@issuing_id@", quote(&template.issuing_id.to_string())),
    ];
    // line by line, each place filled once: a value that looks like a place is left alone
    let fill = |line: &str| match values.iter().find(|(place, _)| line.contains(place)) {
        Some((place, value)) => line.replacen(place, value, 1),
        None => line.to_owned(),
    };
    TEXT.lines().map(|line| fill(line) + "\n").collect()
}

fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", "))
}

const TEXT: &str = include_str!("ca-server.template.toml");
