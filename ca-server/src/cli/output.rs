//! What is printed: tables for people, JSON for programs, errors for whoever is at the terminal.

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;

use crate::cli::args::Format;
use crate::cli::error::CliError;

/// Writes a result to standard output.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => CliError::ReaderGone,
        _ => CliError::Failed(format!("cannot write to standard output: {error}")),
    })
}

/// Says something beside the result. Nobody may be there to hear it.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells why a command failed.
pub(super) fn complain(error: &CliError) {
    let text = error.to_string();
    if !text.is_empty() {
        let label = if is_coloured() { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        note(&format!("{label} {text}"));
    }
}

/// Whether somebody sits at the terminal and waits.
pub(super) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

#[expect(clippy::disallowed_methods, reason = "https://no-color.org is a convention of the environment")]
fn is_coloured() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !no_color
}

/// Prints many things: a row each, or a JSON array.
pub(super) fn list<T: Serialize, const N: usize>(
    format: Format,
    items: &[T],
    header: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<(), CliError> {
    match format {
        Format::Json => json(items),
        Format::Table => print(&table(header, items.iter().map(row))),
    }
}

/// Prints one thing: a line for each of its facts, or a JSON object.
pub(super) fn show<T: Serialize>(format: Format, item: &T, facts: Vec<(&str, String)>) -> Result<(), CliError> {
    match format {
        Format::Json => json(item),
        Format::Table => print(&sheet(facts)),
    }
}

/// Prints JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(CliError::failed)?;
    print(&(text + "\n"))
}

/// Columns as wide as their widest cell; the last one is not padded.
pub(super) fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let widths: Vec<usize> = (0..N).map(|column| width(&rows, column)).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn width<const N: usize>(rows: &[[String; N]], column: usize) -> usize {
    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", plain(cell))).collect();
    padded.join("  ").trim_end().to_owned() + "\n"
}

fn sheet(facts: Vec<(&str, String)>) -> String {
    let widest = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line =
        |(name, value): (&str, String)| format!("{name:<widest$}  {}", plain(&value)).trim_end().to_owned() + "\n";
    facts.into_iter().filter(|(_, value)| !value.is_empty()).map(line).collect()
}

/// Names come from clients; none of them shall move somebody's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `1 certificate`, `2 certificates`.
pub(super) fn many(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Something that may be absent.
pub(super) fn maybe(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

/// The word that a state is written as in JSON.
pub(super) fn word(state: &impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
