//! Where in a document a field stands. Values are checked after they were read, when their lines are forgotten.

use std::iter::Peekable;

use granit_parser::{Event, Parser, Span};

/// The line of a field, as `spec.identifiers.dns[1].suffix`, counted from 1; when it is not written, that of the nearest field
/// around it. None when nothing of it is written, or only behind a reference.
pub(crate) fn line_of(text: &str, field: &str) -> Option<usize> {
    let events = Parser::new_from_str(text).map_while(Result::ok);
    let nodes = events.filter(|(event, _)| !matches!(event, Event::Comment(..) | Event::Anchor(..)));
    let mut nodes =
        nodes.skip_while(|(event, _)| matches!(event, Event::StreamStart | Event::DocumentStart(..))).peekable();
    find(&mut nodes, &steps(field))
}

/// One step of the way to a field.
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

fn steps(field: &str) -> Vec<Step<'_>> {
    let parts = field.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']').map(str::parse) {
            Some(Ok(number)) => Step::Item(number),
            _ => Step::Key(part),
        })
        .collect()
}

/// Looks into the node that comes next. Steps are few, so this goes no deeper than they do.
fn find<'i>(nodes: &mut Peekable<impl Iterator<Item = (Event<'i>, Span)>>, steps: &[Step<'_>]) -> Option<usize> {
    let (step, further) = steps.split_first()?;
    let (node, _) = nodes.next()?;
    let mut number = 0;
    loop {
        let (next, span) = nodes.peek()?;
        let (line, over) = (span.start.line(), matches!(next, Event::MappingEnd | Event::SequenceEnd));
        let is_here = match (&node, next, step) {
            (Event::MappingStart(..), Event::Scalar(key, ..), Step::Key(wanted)) => key == wanted,
            (Event::SequenceStart(..), _, Step::Item(wanted)) => number == *wanted,
            _ => false,
        };
        if over {
            return None;
        }
        if matches!(node, Event::MappingStart(..)) {
            skip(nodes);
        }
        if is_here {
            return find(nodes, further).or(Some(line));
        }
        skip(nodes);
        number += 1;
    }
}

/// Passes one node and all that is in it.
fn skip<'i>(nodes: &mut Peekable<impl Iterator<Item = (Event<'i>, Span)>>) {
    let mut depth = 0_usize;
    for (event, _) in nodes {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\nkind: Profile\nspec:\n  identifiers:\n    dns:\n      - suffix: a.test # here\n      - { suffix: \
                        b.test, wildcards: true }\n    ip: [10.0.0.0/8]\n  renewal: { at: 0.5,\n    grace: 1d }\n  life: &x 30d\n  \
                        other: *x\n";

    #[test]
    fn fields_have_lines() {
        for (field, line) in [
            ("kind", Some(2)),
            ("spec", Some(3)),
            ("spec.identifiers.dns", Some(5)),
            ("spec.identifiers.dns[0]", Some(6)),
            ("spec.identifiers.dns[1]", Some(7)),
            ("spec.identifiers.dns[1].wildcards", Some(7)),
            ("spec.identifiers.ip[0]", Some(8)),
            ("spec.renewal.grace", Some(10)),
            ("spec.other", Some(12)),
            // what is not written is told where it belongs
            ("spec.identifiers.dns[2]", Some(5)),
            ("spec.renewal.window", Some(9)),
            ("spec.kind", Some(3)),
            ("spec.kind.deeper[3]", Some(3)),
            ("metadata.name", None),
            ("", None),
        ] {
            assert_eq!(line_of(TEXT, field), line, "{field}");
        }
        for odd in ["", "[", "- a\n- b", "{ a", "a: b: c", "\u{0}", "*x"] {
            assert_eq!(line_of(odd, "spec.identifiers.dns[7]"), None, "{odd}");
        }
    }
}
