//! The default profiles, as texts with comments, filled with the names of this installation.

use std::fmt::Write as _;

use ipnet::IpNet;

use crate::x509::name::DnsName;

macro_rules! texts {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../../../policies/", $name)))),*]
    };
}

/// The texts in `policies/`, each with blocks of names, examples there, to fill in.
const TEMPLATES: [(&str, &str); 11] = texts![
    "device-client.yaml",
    "gateway.yaml",
    "k3s-ca.yaml",
    "kubernetes-ingress.yaml",
    "mqtt-broker.yaml",
    "opcua-application.yaml",
    "operator.yaml",
    "postgresql.yaml",
    "rabbitmq-broker.yaml",
    "server.yaml",
    "site-ca.yaml"
];

/// People have mailboxes at domains; without one nobody could have a certificate by this profile.
const OF_PEOPLE: &str = "operator.yaml";

/// File names and YAML texts of the default profiles, allowing every name within `domains` and every address within
/// `networks`.
pub fn documents(domains: &[DnsName], networks: &[IpNet]) -> Vec<(String, String)> {
    let zones: Vec<&str> = domains.iter().map(DnsName::base).collect();
    let networks: Vec<String> = networks.iter().map(|network| network.trunc().to_string()).collect();
    // quoted: a zone such as `no` or `1e3` would otherwise be read as something else
    let blocks = [
        (
            "names",
            list("    ", "dns", zones.iter().map(|zone| format!("suffix: \"{zone}\"")))
                + &list("    ", "ip", networks.iter().map(|network| format!("\"{network}\""))),
        ),
        (
            "constraints",
            list("      ", "dns", zones.iter().map(|zone| format!("\"{zone}\"")))
                + &list("      ", "ip", networks.iter().map(|network| format!("\"{network}\""))),
        ),
        ("mailboxes", list("    ", "email", zones.iter().map(|zone| format!("domain: \"{zone}\"")))),
    ];
    TEMPLATES
        .iter()
        .filter(|(file_name, _)| *file_name != OF_PEOPLE || !zones.is_empty())
        .map(|(file_name, template)| {
            let filled = blocks.iter().fold((*template).to_owned(), |text, (mark, lines)| fill(&text, mark, lines));
            ((*file_name).to_owned(), filled)
        })
        .collect()
}

/// Puts lines in the place of a block that is marked so, where there is one.
fn fill(text: &str, mark: &str, lines: &str) -> String {
    let (begin, end) = (format!("# {mark}: begin\n"), format!("# {mark}: end\n"));
    let Some((before, rest)) = text.split_once(&begin) else { return text.to_owned() };
    let (_, after) = rest.split_once(&end).expect("what begins ends, in every template");
    format!("{}{lines}{after}", before.trim_end_matches(' '))
}

fn list(indent: &str, key: &str, items: impl ExactSizeIterator<Item = String>) -> String {
    const INFALLIBLE: &str = "writing to a String does not fail";
    if items.len() == 0 {
        return format!("{indent}{key}: []\n");
    }
    let mut text = format!("{indent}{key}:\n");
    for item in items {
        writeln!(text, "{indent}  - {item}").expect(INFALLIBLE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::policy::document::ProfileDocument;
    use crate::policy::profile::{BindingRule, ExtendedKeyUsage};
    use crate::x509::name::Identifier;

    fn policy(domains: &[&str], networks: &[&str]) -> Policy {
        let domains: Vec<DnsName> = domains.iter().map(|domain| domain.parse().unwrap()).collect();
        let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        read(documents(&domains, &networks))
    }

    fn read(texts: Vec<(String, String)>) -> Policy {
        let read = |(name, text): (String, String)| {
            let document =
                serde_saphyr::from_str::<ProfileDocument>(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, document)
        };
        Policy::from_documents(texts.into_iter().map(read).collect()).unwrap()
    }

    #[test]
    fn the_default_profiles_hold_and_allow_what_was_asked_for() {
        let policy = policy(&["test", "no", "1e3"], &["10.0.0.0/8", "fc00::/7"]);
        let names: Vec<&str> = policy.profiles().map(|profile| profile.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "device-client",
                "gateway",
                "k3s-ca",
                "kubernetes-ingress",
                "mqtt-broker",
                "opcua-application",
                "operator",
                "postgresql",
                "rabbitmq-broker",
                "server",
                "site-ca"
            ]
        );
        let for_hosts = |profile: &&std::sync::Arc<crate::policy::profile::Profile>| profile.is_offered();
        for profile in policy.profiles().filter(for_hosts) {
            for (kind, value, allowed) in [
                ("dns", "gw-1.site.test", true),
                ("dns", "test", true),
                ("dns", "x.no", true),
                ("dns", "x.1e3", true),
                ("dns", "*.test", false),
                ("dns", "gw-1.example", false),
                ("ip", "10.1.2.3", true),
                ("ip", "fd00::1", true),
                ("ip", "192.0.2.1", false),
            ] {
                let identifier = Identifier::parse(kind, value).unwrap();
                assert_eq!(profile.identifiers.allows(&identifier), allowed, "{}: {value}", profile.name);
            }
        }
        let gateway = policy.profile(&"gateway".parse().unwrap()).unwrap();
        assert_eq!(gateway.binding, BindingRule::Device);
        assert_eq!(gateway.renew_at_permille, 500);
        for switched_off in ["site-ca", "k3s-ca"] {
            let profile = policy.profile(&switched_off.parse().unwrap()).unwrap();
            let ca = profile.ca.as_ref().unwrap();
            assert!(!profile.enabled && profile.approval && ca.path_len == 0, "{switched_off}");
            assert_eq!((ca.dns.len(), ca.ip.len()), (3, 2), "{switched_off}");
        }
        let operator = policy.profile(&"operator".parse().unwrap()).unwrap();
        for (mailbox, allowed) in [("ana@test", true), ("ana@x.test", false), ("ana@1e3", true)] {
            let mailbox = Identifier::parse("email", mailbox).unwrap();
            assert_eq!(operator.identifiers.allows(&mailbox), allowed, "{mailbox}");
        }
        let server = policy.profile(&"server".parse().unwrap()).unwrap();
        assert_eq!(server.extended_key_usage, [ExtendedKeyUsage::ServerAuth]);
    }

    #[test]
    fn the_texts_in_the_repository_hold_as_they_are() {
        let texts = TEMPLATES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        assert_eq!(read(texts.collect()).profiles().len(), 11);
    }

    #[test]
    fn either_kind_of_name_may_be_missing() {
        assert_eq!(policy(&["test"], &[]).profiles().len(), 11);
        assert_eq!(policy(&[], &["10.0.0.0/8"]).profiles().len(), 10, "people need a domain");
    }

    #[test]
    fn comments_stay_in_the_texts() {
        for (name, text) in documents(&["test".parse().unwrap()], &[]) {
            assert!(
                text.starts_with("# ")
                    && text.contains("\"test\"")
                    && !text.contains(": begin")
                    && !text.contains(": end"),
                "{name}"
            );
        }
    }
}
