//! Texts of statements that are put together. A dollar sign stands nowhere in this crate's SQL but before the number of a
//! value.

use std::fmt::Write as _;

/// Appends a text whose `$1` is the value after `offset` others.
pub(crate) fn renumber(to: &mut String, sql: &str, offset: usize) {
    let mut parts = sql.split('$');
    to.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number: usize = number.parse().unwrap_or(0);
        // writing into a String cannot fail
        let _ = write!(to, "${}{rest}", number + offset);
    }
}

/// A pattern once for each of `count` values or rows, and as often again as rounds the number up to a power of two:
/// each number is a text of its own, which a server prepares once for each connection.
pub(crate) fn repeated(pattern: &str, count: usize) -> String {
    let columns = pattern.matches('$').count();
    let mut all = String::new();
    for row in 0..count.next_power_of_two() {
        all.push_str(if row == 0 { "" } else { ", " });
        renumber(&mut all, pattern, row * columns);
    }
    all
}

/// The values for [`repeated`]: the last one fills up, so the statement must not mind one that comes twice.
pub(crate) fn padded<T>(items: &[T]) -> impl Iterator<Item = &T> {
    let missing = items.len().next_power_of_two() - items.len();
    items.iter().chain(items.last().into_iter().cycle().take(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_lengths_of_powers_of_two() {
        assert_eq!(repeated("$1", 1), "$1");
        assert_eq!(repeated("($1, $2)", 3), "($1, $2), ($3, $4), ($5, $6), ($7, $8)");
        assert_eq!(padded(&[1, 2, 3]).collect::<Vec<_>>(), [&1, &2, &3, &3]);
        assert_eq!(padded(&[1, 2]).collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(padded::<i64>(&[]).count(), 0);
    }
}
