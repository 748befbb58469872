//! DNS names by their form.

use crate::x509::name::DnsName;

/// A DNS name in which `*` stands for any letters, digits and hyphens, also none, within one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads one; without any `*` it would be an exact name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let stars = lower.matches('*').count();
        if stars == 0 {
            return Err(format!("`{text}` has no `*`; write `exact: {text}`"));
        }
        if stars > 8 || lower.contains("**") {
            return Err(format!("`{text}` has too many `*`, or two side by side"));
        }
        // a star may be nothing or a letter: both must leave a name
        match lower.replace('*', "a").parse::<DnsName>() {
            Ok(_) => Ok(Self(lower)),
            Err(error) => Err(format!("`{text}` is no pattern of a DNS name: {}", error.reason)),
        }
    }

    /// As written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name without `*.` is of this form.
    pub(super) fn fits(&self, name: &str) -> bool {
        let (mut labels, mut forms) = (name.split('.'), self.0.split('.'));
        loop {
            match (labels.next(), forms.next()) {
                (None, None) => return true,
                (Some(label), Some(form)) if label_fits(label, form) => {}
                _ => return false,
            }
        }
    }
}

/// Each piece between stars at its first place after the one before; the last one at the end.
fn label_fits(label: &str, form: &str) -> bool {
    let Some((first, mut rest)) = form.split_once('*') else { return label == form };
    let Some(mut label) = label.strip_prefix(first) else { return false };
    while let Some((piece, after)) = rest.split_once('*') {
        let Some((_, behind)) = label.split_once(piece) else { return false };
        (label, rest) = (behind, after);
    }
    label.ends_with(rest)
}
