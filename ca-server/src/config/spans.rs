//! Where in the text a key stands.

use toml::de::{DeTable, DeValue};

/// The number, from 1, of the line that `offset` lies in.
pub(super) fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The dotted key whose name or value covers `offset`: the deepest one.
pub(super) fn key_at(text: &str, offset: usize) -> Option<String> {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut path = Vec::new();
    descend(document.get_ref(), offset, &mut path);
    (!path.is_empty()).then(|| path.join("."))
}

fn descend(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) {
    for (key, value) in table {
        let inner = match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        };
        // the span of a table is its header alone, so what is below it is looked at in any case
        let here = key.span().contains(&offset) || value.span().contains(&offset);
        path.push(key.get_ref().to_string());
        let depth = path.len();
        if let Some(inner) = inner {
            descend(inner, offset, path);
        }
        if here || path.len() > depth {
            return;
        }
        path.pop();
    }
}

/// Where the value of a dotted key begins, or else where its nearest existing section does.
pub(super) fn offset_of(text: &str, key: &str) -> Option<usize> {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut table = document.get_ref();
    let mut found = None;
    for part in key.split('.') {
        let Some((_, value)) = table.iter().find(|(name, _)| name.get_ref().as_ref() == part) else { break };
        found = Some(value.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    found
}
