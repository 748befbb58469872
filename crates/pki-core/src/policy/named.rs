//! The names that a device has without asking for any: those of its record, else those that its profile makes of it.

use std::fmt;

use crate::device::{Device, LabelKey};
use crate::ids::{DeviceName, ProfileName};
use crate::policy::profile::{IdentifierRule, Profile};
use crate::policy::template::Unfilled;
use crate::x509::name::Identifier;

/// A device that no order could name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameless {
    /// The device.
    pub device: DeviceName,
    /// Its profile.
    pub profile: ProfileName,
    /// What each template of the profile came to.
    pub templates: Vec<String>,
    /// Labels with which the device would have a name.
    pub missing: Vec<LabelKey>,
}

impl Profile {
    /// The names of its record; where that has none, those that templates make of it and an order can name.
    pub fn names_of(&self, device: &Device) -> Result<Vec<Identifier>, Nameless> {
        let recorded: Vec<_> = device.identifiers().collect();
        if !recorded.is_empty() {
            return Ok(recorded);
        }
        let (mut names, mut nameless) = (Vec::new(), self.nameless(device));
        for rule in self.identifiers.rules() {
            match made(rule, device) {
                Some(Ok(name)) if name.is_orderable() && !names.contains(&name) => names.push(name),
                Some(Ok(_)) | None => {}
                Some(Err(Unmade { why, missing })) => {
                    nameless.templates.push(format!("its rule {rule} gives nothing: {why}"));
                    nameless.missing.extend(missing);
                }
            }
        }
        if names.is_empty() { Err(nameless) } else { Ok(names) }
    }

    fn nameless(&self, device: &Device) -> Nameless {
        let (device, profile) = (device.name.clone(), self.name.clone());
        Nameless { device, profile, templates: Vec::new(), missing: Vec::new() }
    }
}

struct Unmade {
    why: String,
    missing: Option<LabelKey>,
}

/// What a rule makes of a device; none when it is no template.
fn made(rule: &IdentifierRule, device: &Device) -> Option<Result<Identifier, Unmade>> {
    let (template, place) = rule.template()?;
    let filled = template.fill(Some(device), place).map_err(|unfilled| Unmade {
        why: unfilled.told(Some(device)),
        missing: if let Unfilled::NoLabel(key) = unfilled { Some(key) } else { None },
    });
    Some(filled.and_then(|text| {
        Identifier::parse(rule.kind(), &text).map_err(|error| Unmade { why: error.to_string(), missing: None })
    }))
}

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device `{}` has no name to be certified: its record has none, and ", self.device)?;
        match self.templates.as_slice() {
            [] => write!(f, "the profile `{}` makes none of it that an order can name", self.profile),
            all => write!(f, "of the profile `{}` {}", self.profile, all.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Labels;
    use crate::policy::testing::{device, profile};

    fn texts(names: &[Identifier]) -> Vec<String> {
        names.iter().map(Identifier::value).collect()
    }

    #[test]
    fn templates_name_a_device_whose_record_does_not() {
        let made = profile(
            "  identifiers:
    dns: [{ template: \"{device.name}.site.test\" }, { template: \"{device.labels.role}.site.test\", wildcards: true }, { suffix: x.test }]
    uri: [{ template: \"urn:{device.name}:x\" }]",
        );
        let mut device = device("server");
        assert_eq!(texts(&made.names_of(&device).unwrap()), ["gw-1.site.test"], "the URI stands in the CSR only");
        device.labels = Labels::parse([("role", "edge")]).unwrap();
        assert_eq!(texts(&made.names_of(&device).unwrap()), ["gw-1.site.test", "edge.site.test"]);
        device.labels = Labels::parse([("role", "gw-1")]).unwrap();
        assert_eq!(texts(&made.names_of(&device).unwrap()), ["gw-1.site.test"], "each once");
        device.dns.push("own.x.test".parse().unwrap());
        assert_eq!(texts(&made.names_of(&device).unwrap()), ["own.x.test"], "what people wrote down counts first");
    }

    #[test]
    fn whoever_has_no_name_is_told_what_would_give_one() {
        let by_uri =
            profile("  identifiers: { dns: [{ suffix: x.test }], uri: [{ template: \"urn:{device.name}:x\" }] }");
        let told = by_uri.names_of(&device("server")).unwrap_err();
        assert!(
            told.missing.is_empty() && told.to_string().contains("makes none of it that an order can name"),
            "{told}"
        );
        let by_label = profile("  identifiers: { dns: [{ template: \"{device.labels.role}.site.test\" }] }");
        let mut device = device("server");
        let told = by_label.names_of(&device).unwrap_err();
        assert_eq!(told.missing, ["role".parse().unwrap()]);
        assert!(told.to_string().contains("dns[0]") && told.to_string().contains("`gw-1`"), "{told}");
        device.labels = Labels::parse([("role", "a.b")]).unwrap();
        let told = by_label.names_of(&device).unwrap_err();
        assert!(told.missing.is_empty() && told.to_string().contains("the label `role`"), "{told}");
        // a label of a name has 63 octets at most, and a template may put more around it
        device.labels = Labels::parse([("role", &*"a".repeat(63))]).unwrap();
        assert!(by_label.names_of(&device).is_ok());
        let longer = profile("  identifiers: { dns: [{ template: \"x-{device.labels.role}.site.test\" }] }");
        assert!(longer.names_of(&device).unwrap_err().missing.is_empty());
    }
}
