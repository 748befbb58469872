//! What a conditional request says of what its sender has (RFC 9110 section 13), for lists and answers.

use axum::http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use pki_core::time::Timestamp;

/// Whether tags are named: no date counts then (RFC 9110 section 13.2.2).
pub(super) fn has_tags(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_NONE_MATCH)
}

/// Whether this strong tag is among those named, on whatever line.
pub(super) fn names(headers: &HeaderMap, tag: &[u8]) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
    let mut named = lines.flat_map(|line| line.split(|octet| *octet == b',')).map(<[u8]>::trim_ascii);
    named.any(|named| named == b"*" || named.strip_prefix(b"W/").unwrap_or(named) == tag)
}

/// Whether the date is exactly this one. Any other was not given with what is served, but made up: something newer may have
/// been signed, under an earlier date, after its sender fetched what it has.
pub(super) fn is_dated(headers: &HeaderMap, at: Timestamp) -> bool {
    let date = headers.get(IF_MODIFIED_SINCE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let seconds = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok()).map(|since| since.as_secs());
    seconds.is_some_and(|seconds| i64::try_from(seconds) == Ok(at.unix_seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_every_line() {
        let mut headers = HeaderMap::new();
        assert!(!has_tags(&headers) && !names(&headers, b"\"a\""));
        for line in ["\"x\", \"y\"", "W/\"a\" ,\"b\""] {
            headers.append(IF_NONE_MATCH, line.parse().unwrap());
        }
        assert!(has_tags(&headers));
        for (tag, is_named) in [("\"x\"", true), ("\"y\"", true), ("\"a\"", true), ("\"b\"", true), ("\"c\"", false)] {
            assert_eq!(names(&headers, tag.as_bytes()), is_named, "{tag}");
        }
        headers.append(IF_NONE_MATCH, HeaderValue::from_static("*"));
        assert!(names(&headers, b"\"c\""));
    }

    #[test]
    fn a_date_is_that_one_or_none() {
        let at = Timestamp::from_unix_seconds(784_111_777);
        for (date, is_that) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:36 GMT", false),
            ("Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("yesterday", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_MODIFIED_SINCE, HeaderValue::from_static(date))]);
            assert_eq!(is_dated(&headers, at), is_that, "{date}");
        }
        assert!(!is_dated(&HeaderMap::new(), at));
    }
}
