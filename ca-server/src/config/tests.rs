use std::path::Path;
use std::time::Duration;

use pki_core::ids::IssuerId;

use super::*;

const ID: &str = "000102030405060708090a0b0c0d0e0f";

fn template_text() -> String {
    let names = [external::parse_name("ca.site.test").unwrap(), external::parse_name("10.0.0.1").unwrap()];
    let id: IssuerId = ID.parse().unwrap();
    render(&Template::new(
        "Site \"A\" @root_id@",
        "https://ca.site.test:8443",
        "http://ca.site.test:8080",
        &names,
        (id, id),
    ))
}

fn refusal(change: impl FnOnce(String) -> String) -> String {
    Config::parse(&change(template_text()), Path::new("/ca")).unwrap_err().to_string()
}

#[test]
fn the_template_says_what_the_defaults_are() {
    let written = Config::parse(&template_text(), Path::new("/ca")).unwrap();
    let minimal = format!(
        "[external]\nmain = \"https://ca.site.test:8443\"\npublic = \"http://ca.site.test:8080\"\nnames = [\"ca.site.test\", \"10.0.0.1\"]\n\
         [ca]\nname = 'Site \"A\" @root_id@'\n\
         [ca.root]\nid = \"{ID}\"\ncertificate = \"ca/root.crt\"\ncrl = \"ca/root.crl\"\n\
         [ca.issuing]\nid = \"{ID}\"\ncertificate = \"ca/intermediate.crt\"\nkey = \"intermediate\"\n"
    );
    assert_eq!(written, Config::parse(&minimal, Path::new("/ca")).unwrap());
    // the defaults that interfaces and documentation promise
    assert_eq!(written.listen.main, "[::]:8443".parse().unwrap());
    assert_eq!(written.listen.public, "[::]:8080".parse().unwrap());
    assert_eq!(written.listen.operations, "127.0.0.1:9180".parse().unwrap());
    assert_eq!(written.database.url.expose(), "sqlite:pilotlight.db");
    assert_eq!((written.validation.http_port, written.validation.tls_port), (80, 443));
    assert_eq!(written.crl.life, Duration::from_secs(30 * 86_400));
    assert!(written.acme.external_account_required);
    assert_eq!(written.admin.socket, Path::new("/ca/admin.sock"));
    assert_eq!(written.keys.site_key(), Path::new("/ca/keys/site.key"));
    assert_eq!(written.keys.passphrase_file, Path::new(""));
    assert!(!template_text().contains("@listen"), "every place is filled");
}

#[test]
fn every_key_of_the_template_is_effective_and_reads_back() {
    let config = Config::parse(&template_text(), Path::new("/ca")).unwrap();
    let printed = config.effective();
    assert!(printed.contains("socket = \"admin.sock\""), "relative to DIR, as in the file: {printed}");
    assert_eq!(Config::parse(&printed, Path::new("/ca")).unwrap(), config);
    let keys = |text: &str| text.lines().filter(|line| line.contains(" = ")).count();
    assert_eq!(keys(&printed), keys(&template_text()), "{printed}");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let told = refusal(|text| text.replace("http_port = 80", "htpp_port = 80"));
    let line = 1 + template_text().lines().position(|line| line.starts_with("http_port")).unwrap();
    assert_eq!(
        told,
        format!("/ca/ca-server.toml:{line}: unknown key `htpp_port` in [validation]; did you mean `http_port`?")
    );
    let section = refusal(|text| text.replace("[validation]", "[validaton]"));
    assert!(section.contains("unknown key `validaton` at the top level; did you mean `validation`?"), "{section}");
    let nested = refusal(|text| text.replace("key = \"intermediate\"", "key = \"intermediate\"\ncolour = 1"));
    let known = "id, certificate, alternate_chains, key";
    assert!(nested.contains(&format!("unknown key `colour` in [ca.issuing]; known there: {known}")), "{nested}");
}

/// Fails when whoever pastes a section of the manual below the one that is there is not told where to write instead.
#[test]
fn what_is_written_twice_is_to_be_changed_where_it_stands() {
    let twice = refusal(|text| format!("{text}\n[crl]\nkeys = [\"former\"]\n"));
    assert!(twice.contains("`crl`: it stands in this file already; change it there"), "{twice}");
    let key = refusal(|text| text.replace("life_days = 30", "life_days = 30\nlife_days = 60"));
    assert!(key.contains("it stands in this file already; change it there"), "{key}");
}

#[test]
fn wrong_values_name_the_key_the_line_and_the_remedy() {
    let cases = [
        ("http_port = 80", "http_port = 99999", "`validation.http_port`: 99999 is not a port"),
        ("http_port = 80", "http_port = \"80\"", "`validation.http_port`: "),
        ("main = \"[::]:8443\"", "main = \"8443\"", "`listen.main`: "),
        ("main = \"https://", "main = \"http://", "`external.main`: ACME is spoken over https only"),
        ("aliases = []", "aliases = [\"http://a.test\"]", "`external.aliases`: ACME is spoken over https only"),
        ("website = \"\"", "website = \"ca.site.test\"", "`acme.website`: `ca.site.test` is not a web address"),
        ("website = \"\"", "website = \"https://a.test/>;x\"", "`acme.website`: "),
        ("public = \"http://", "public = \"https://", "`external.public`: CRLs are fetched before TLS"),
        (
            "ca.site.test:8443\"",
            "ca.site.test:8443/acme\"",
            "`external.main`: `https://ca.site.test:8443/acme` is not an address",
        ),
        (
            "public = \"[::]:8080\"",
            "public = \"[::]:8443\"",
            "`listen.public`: [::]:8443 is the address of `listen.main`",
        ),
        ("sqlite:pilotlight.db", "mysql://u:secret@h/d", "`database.url`: expected sqlite:FILE or postgres://"),
        ("deny_networks = []", "deny_networks = [\"10.0.0.0\"]", "`validation.deny_networks`"),
        (
            "resolvers = []",
            "resolvers = [\"dns.site.test\"]",
            "`validation.resolvers`: `dns.site.test` is not the address of a name server",
        ),
        ("level = \"info\"", "level = \"loud\"", "`log.level`: `loud` is not a log level"),
        ("format = \"text\"", "format = \"xml\"", "`log.format`: "),
        (
            "publish_hours = 24",
            "publish_hours = 200",
            "`crl.publish_hours`: a CRL must outlive three missed publications",
        ),
        ("life_days = 30", "life_days = 0", "`crl.life_days`: 0 is not a number of days from 1 to 400"),
        ("max_identifiers = 100", "max_identifiers = 0", "`limits.max_identifiers`: 0 is not a number from 1 to 1000"),
        (
            "requests_total = \"none\"",
            "requests_total = \"never\"",
            "`limits.rates.requests_total`: `never` is not a rate; write it as `100/hour` or `100/hour burst 500`",
        ),
        ("ipv4_prefix = 24", "ipv4_prefix = 33", "`limits.rates.ipv4_prefix`: 33 is not a prefix length from 1 to 32"),
        ("at_once = 128", "at_once = 0", "`limits.overload.at_once`: 0 is not a number from 1 to 100000"),
        ("orders_days = 7", "orders_days = 0", "`retention.orders_days`: 0 is not a number of days from 1 to 400"),
        ("key = \"intermediate\"", "key = \"../x\"", "`ca.issuing.key`: "),
        ("proxy_protocol = false", "proxy_protocol = true", "`listen.proxy_protocol`: this version does not read"),
        (
            "socket = \"admin.sock\"",
            "socket = \"/run/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sock\"",
            "`admin.socket`: the path /run/aaa",
        ),
        ("[admin]", "[admin", ""),
    ];
    for (from, to, expected) in cases {
        assert!(template_text().contains(from), "{from}");
        let told = refusal(|text| text.replacen(from, to, 1));
        let line = 1 + template_text()
            .replacen(from, to, 1)
            .lines()
            .position(|line| line.contains(to.lines().next().unwrap()))
            .unwrap();
        assert!(told.starts_with(&format!("/ca/ca-server.toml:{line}: ")), "{line} {told}");
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn passwords_are_not_printed() {
    for url in [
        "postgres://pilot:s3cret@db.site.test/pilot",
        "postgres://db/pilot?user=x&password=s3cret&sslmode=require",
        "postgres://pilot:s3cret@db/x?password=s3cret",
    ] {
        let url: DatabaseUrl = url.parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("s3cret"), "{url}");
        assert!(url.expose().contains("s3cret") && url.is_shared());
    }
}

#[test]
fn own_names_hold_the_external_host_once() {
    let config = Config::parse(&template_text(), Path::new("/ca")).unwrap();
    let names: Vec<_> = config.external.own_names().iter().map(pki_core::x509::name::Identifier::value).collect();
    assert_eq!(names.len(), 2);
    let url: ExternalUrl = "https://[fd00::1]:8443/".parse().unwrap();
    assert_eq!((url.host(), url.port(), url.authority().as_str()), ("fd00::1", 8443, "[fd00::1]:8443"));
    for bad in [
        "",
        "ca.site.test",
        "https://",
        "https://a:b@c",
        "https://a:0",
        "https://a:99999",
        "https://a?x",
        "ftp://a",
        "https://a b",
    ] {
        assert!(bad.parse::<ExternalUrl>().is_err(), "{bad}");
    }
}

#[test]
fn a_folder_without_ca_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let told = Config::load(folder.path()).unwrap_err().to_string();
    assert!(told.contains("there is no ca-server.toml in") && told.contains("ca-server init --dir"), "{told}");
}
