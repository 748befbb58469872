//! Texts with places that a device's record fills: `{device.name}`, `{device.site}`, `{device.labels.KEY}`.
//!
//! What a record holds is never read as a template again, so nothing that somebody registers can widen a profile.

use std::collections::BTreeMap;
use std::fmt;

use crate::device::{Device, LabelKey};

/// Longer than anything that can come of one.
const MAX_TEMPLATE: usize = 512;
/// Fragments that fragments may stand in.
const MAX_DEPTH: usize = 8;

/// A template as checked: fragments are put in, variables known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// What a template takes from a device's record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// Its name.
    Name,
    /// Where it stands.
    Site,
    /// One of its labels.
    Label(LabelKey),
}

/// Why a template gives nothing for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfilled {
    /// There is no device.
    NoDevice,
    /// It has no such label.
    NoLabel(LabelKey),
    /// The value would add more to a name than the place is for.
    Unfit(Variable),
}

/// What values may be put into: the stricter, the less a value can change the structure around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One DNS label or a part of one: letters, digits and hyphens.
    DnsLabel,
    /// A segment of a URI, of a mailbox or of an identifier: letters, digits, `.`, `-` and `_`.
    Segment,
    /// A text that only people read.
    Free,
}

impl Place {
    fn takes(self, value: &str) -> bool {
        let plain = |extra: &str| value.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
        !value.is_empty()
            && match self {
                Self::DnsLabel => plain("-"),
                Self::Segment => plain(".-_") && !matches!(value, "." | ".."),
                Self::Free => !value.chars().any(char::is_control),
            }
    }

    /// Whether a character between two variables could also stand in their values.
    fn may_hold(self, c: char) -> bool {
        match self {
            Self::DnsLabel => c.is_ascii_alphanumeric() || c == '-',
            Self::Segment => c.is_ascii_alphanumeric() || ".-_".contains(c),
            Self::Free => true,
        }
    }
}

impl Template {
    /// Reads a template; `fragments` are the named parts it may refer to as `{templates.NAME}`.
    pub fn parse(text: &str, fragments: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut parts = Vec::new();
        expand(text, fragments, &mut Vec::new(), &mut parts)?;
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(more)) => before.push_str(&more),
                (_, part) => joined.push(part),
            }
        }
        let length: usize = joined.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 1 }).sum();
        if length > MAX_TEMPLATE {
            return Err(format!("the template is longer than {MAX_TEMPLATE} characters"));
        }
        Ok(Self { written: text.to_owned(), parts: joined })
    }

    /// As written in the document.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// With its fragments put in: the same for templates that always make the same.
    pub fn expanded(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(variable) => format!("{{{variable}}}"),
        };
        self.parts.iter().map(part).collect()
    }

    /// What it takes from a record.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Text(_) => None,
        })
    }

    /// What it makes when every variable is one letter.
    pub fn sample(&self) -> String {
        self.parts.iter().map(|part| if let Part::Text(text) = part { text } else { "a" }).collect()
    }

    /// What it makes of a device.
    pub fn fill(&self, device: Option<&Device>, place: Place) -> Result<String, Unfilled> {
        let mut text = String::new();
        self.walk(device, place, |piece| {
            text.push_str(piece);
            true
        })?;
        Ok(text)
    }

    /// Whether it makes exactly this of a device; nothing is built. ASCII letters count alike where `ignore_case`.
    pub fn gives(
        &self,
        text: &str,
        device: Option<&Device>,
        place: Place,
        ignore_case: bool,
    ) -> Result<bool, Unfilled> {
        let mut rest = text;
        let fits = self.walk(device, place, |piece| match rest.split_at_checked(piece.len()) {
            Some((head, tail)) if head == piece || ignore_case && head.eq_ignore_ascii_case(piece) => {
                rest = tail;
                true
            }
            _ => false,
        })?;
        Ok(fits && rest.is_empty())
    }

    /// Hands out the pieces in order until `take` has enough.
    fn walk(
        &self,
        device: Option<&Device>,
        place: Place,
        mut take: impl FnMut(&str) -> bool,
    ) -> Result<bool, Unfilled> {
        for part in &self.parts {
            let piece = match part {
                Part::Text(text) => text.as_str(),
                Part::Variable(variable) => value(variable, device, place)?,
            };
            if !take(piece) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Two variables that nothing tells apart: two different records could then make the same text.
    pub fn ambiguous(&self, place: Place) -> bool {
        let mut open = false;
        for part in &self.parts {
            match part {
                Part::Variable(_) if open => return true,
                Part::Variable(_) => open = true,
                Part::Text(text) => open = open && text.chars().all(|c| place.may_hold(c)),
            }
        }
        false
    }
}

fn value<'a>(variable: &Variable, device: Option<&'a Device>, place: Place) -> Result<&'a str, Unfilled> {
    let device = device.ok_or(Unfilled::NoDevice)?;
    let value = match variable {
        Variable::Name => device.name.as_str(),
        Variable::Site => device.site.as_str(),
        Variable::Label(key) => device.labels.get(key.as_str()).ok_or_else(|| Unfilled::NoLabel(key.clone()))?,
    };
    if place.takes(value) { Ok(value) } else { Err(Unfilled::Unfit(variable.clone())) }
}

fn expand<'a>(
    text: &str,
    fragments: &'a BTreeMap<String, String>,
    path: &mut Vec<&'a str>,
    parts: &mut Vec<Part>,
) -> Result<(), String> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a `{` has no `}`; write for example {device.name}")?;
        plain(before, parts)?;
        match variable(name) {
            Some(variable) => parts.push(Part::Variable(variable)),
            None => expand_fragment(name, fragments, path, parts)?,
        }
        rest = after;
    }
    plain(rest, parts)
}

fn plain(text: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    if text.contains('}') {
        return Err("a `}` has no `{`; write for example {device.name}".to_owned());
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

fn variable(name: &str) -> Option<Variable> {
    match name {
        "device.name" => Some(Variable::Name),
        "device.site" => Some(Variable::Site),
        _ => name.strip_prefix("device.labels.").and_then(|key| key.parse().ok()).map(Variable::Label),
    }
}

/// Whether a text can be the name of a fragment.
pub(super) fn is_key(key: &str) -> bool {
    (1..=63).contains(&key.len()) && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn expand_fragment<'a>(
    name: &str,
    fragments: &'a BTreeMap<String, String>,
    path: &mut Vec<&'a str>,
    parts: &mut Vec<Part>,
) -> Result<(), String> {
    let found = name.strip_prefix("templates.").and_then(|key| fragments.get_key_value(key));
    let Some((key, text)) = found else {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(format!(
            "`{{{shown}}}` is not known; write {{device.name}}, {{device.site}}, {{device.labels.KEY}}, or {{templates.NAME}} \
             with NAME under `spec.templates`"
        ));
    };
    if path.contains(&key.as_str()) {
        let way = path.iter().copied().chain([key.as_str()]).collect::<Vec<_>>().join("` -> `");
        return Err(format!("the templates refer to each other in a circle: `{way}`; break it"));
    }
    if path.len() >= MAX_DEPTH || parts.len() > MAX_TEMPLATE {
        return Err(format!("templates stand in each other more than {MAX_DEPTH} deep, or are too many"));
    }
    path.push(key);
    expand(text, fragments, path, parts)?;
    path.pop();
    Ok(())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("device.name"),
            Self::Site => f.write_str("device.site"),
            Self::Label(key) => write!(f, "device.labels.{key}"),
        }
    }
}

impl Unfilled {
    /// What is so, about this device.
    pub(super) fn told(&self, device: Option<&Device>) -> String {
        let name = device.map_or("", |device| device.name.as_str());
        match self {
            Self::NoDevice => {
                "it is a template over a device's record, and this account is bound to no device".to_owned()
            }
            Self::NoLabel(key) => {
                format!("it is a template over the label `{key}`, which the device `{name}` does not have")
            }
            Self::Unfit(Variable::Label(key)) => {
                format!("the label `{key}` of the device `{name}` holds characters that can not stand there")
            }
            Self::Unfit(variable) => {
                format!("the `{variable}` of the device `{name}` holds characters that can not stand there")
            }
        }
    }

    /// The same, with what an administrator does about it.
    pub(super) fn told_with_remedy(&self, device: Option<&Device>) -> String {
        let told = self.told(device);
        match (self, device) {
            (Self::NoLabel(key), Some(Device { name, .. })) => {
                format!("{told} (`ca-server device label {name} {key}=VALUE` gives it one)")
            }
            (Self::Unfit(Variable::Label(key)), Some(Device { name, .. })) => {
                format!("{told} (`ca-server device label {name} {key}=VALUE` changes it)")
            }
            _ => told,
        }
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
