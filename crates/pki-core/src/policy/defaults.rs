//! The default profiles, as texts with comments, filled with the names of this installation.

use std::fmt::Write as _;

use ipnet::IpNet;

use crate::x509::name::DnsName;

/// The texts in `policies/`, each with a block of names, examples there, to fill in.
const TEMPLATES: [(&str, &str); 3] = [
    ("gateway.yaml", include_str!("../../../../policies/gateway.yaml")),
    ("rabbitmq-broker.yaml", include_str!("../../../../policies/rabbitmq-broker.yaml")),
    ("server.yaml", include_str!("../../../../policies/server.yaml")),
];

const BEGIN: &str = "    # names: begin\n";
const END: &str = "    # names: end\n";

/// File names and YAML texts of the default profiles, allowing every name within `domains` and every address within
/// `networks`.
pub fn documents(domains: &[DnsName], networks: &[IpNet]) -> Vec<(String, String)> {
    let names = names(domains, networks);
    TEMPLATES.iter().map(|(file_name, template)| ((*file_name).to_owned(), fill(template, &names))).collect()
}

fn fill(template: &str, names: &str) -> String {
    let (before, rest) = template.split_once(BEGIN).expect("every template marks where names begin");
    let (_, after) = rest.split_once(END).expect("every template marks where names end");
    format!("{before}{names}{after}")
}

fn names(domains: &[DnsName], networks: &[IpNet]) -> String {
    let mut text = String::new();
    // quoted: a zone such as `no` or `1e3` would otherwise be read as something else
    list(&mut text, "dns", domains.iter().map(|domain| format!("{{ suffix: \"{}\" }}", domain.base())));
    list(&mut text, "ip", networks.iter().map(|network| format!("\"{}\"", network.trunc())));
    text
}

fn list(text: &mut String, key: &str, items: impl ExactSizeIterator<Item = String>) {
    const INFALLIBLE: &str = "writing to a String does not fail";
    if items.len() == 0 {
        return writeln!(text, "    {key}: []").expect(INFALLIBLE);
    }
    writeln!(text, "    {key}:").expect(INFALLIBLE);
    for item in items {
        writeln!(text, "      - {item}").expect(INFALLIBLE);
    }
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
        assert_eq!(names, ["gateway", "rabbitmq-broker", "server"]);
        for profile in policy.profiles() {
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
        let server = policy.profile(&"server".parse().unwrap()).unwrap();
        assert_eq!(server.extended_key_usage, [ExtendedKeyUsage::ServerAuth]);
    }

    #[test]
    fn the_texts_in_the_repository_hold_as_they_are() {
        let texts = TEMPLATES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        assert_eq!(read(texts.collect()).profiles().len(), 3);
    }

    #[test]
    fn either_kind_of_name_may_be_missing() {
        assert_eq!(policy(&["test"], &[]).profiles().len(), 3);
        assert_eq!(policy(&[], &["10.0.0.0/8"]).profiles().len(), 3);
    }

    #[test]
    fn comments_stay_in_the_texts() {
        for (name, text) in documents(&["test".parse().unwrap()], &[]) {
            assert!(
                text.starts_with("# ") && text.contains("suffix: \"test\"") && !text.contains("names: begin"),
                "{name}"
            );
        }
    }
}
