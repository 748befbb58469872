//! Requests in the path of a GET (RFC 6960 appendix A.1), as all kinds of clients and proxies write them (OCS-3).

use crate::x509::ocsp::MAX_REQUEST;

/// A request from a path, on the stack.
#[derive(Debug, Clone)]
pub struct PathRequest {
    octets: [u8; MAX_REQUEST],
    length: usize,
}

impl PathRequest {
    /// Decodes what stands after the responder's address in a raw path: percent signs undone once, `+` kept as it is, one
    /// or more slashes before it, either alphabet of base64, with `=` at its end or without. None for anything else, and
    /// for more than [`MAX_REQUEST`] octets.
    pub fn decode(raw: &str) -> Option<Self> {
        let mut request = Self { octets: [0; MAX_REQUEST], length: 0 };
        // No request begins with it: in base64 a SEQUENCE begins with M.
        let mut rest = raw.trim_start_matches('/').as_bytes();
        let (mut bits, mut held) = (0_u32, 0_u32);
        let mut digits = 0_usize;
        while let Some(octet) = next(&mut rest)? {
            if octet == b'=' {
                return request.end(&mut rest, digits, bits, held);
            }
            bits = (bits << 6) | value(octet)?;
            held += 6;
            digits += 1;
            if held >= 8 {
                held -= 8;
                request.push(bits >> held)?;
                bits &= (1 << held) - 1;
            }
        }
        request.finished(digits, bits, held)
    }

    /// The request.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, octet: u32) -> Option<()> {
        *self.octets.get_mut(self.length)? = u8::try_from(octet & 0xff).ok()?;
        self.length += 1;
        Some(())
    }

    /// After the first `=`: nothing but what is missing to a group of four.
    fn end(self, rest: &mut &[u8], digits: usize, bits: u32, held: u32) -> Option<Self> {
        let mut padding = 1;
        while let Some(octet) = next(rest)? {
            if octet != b'=' {
                return None;
            }
            padding += 1;
        }
        if (digits + padding).is_multiple_of(4) && padding <= 2 { self.finished(digits, bits, held) } else { None }
    }

    /// The bits that are left over make no octet and are zero, so that a request has one text in each alphabet.
    fn finished(self, digits: usize, bits: u32, held: u32) -> Option<Self> {
        (digits % 4 != 1 && held < 6 && bits == 0).then_some(self)
    }
}

/// The next octet with percent-encoding undone; none at the end, and none at all for a broken escape.
fn next(rest: &mut &[u8]) -> Option<Option<u8>> {
    match *rest {
        [] => Some(None),
        [b'%', high, low, after @ ..] => {
            *rest = after;
            Some(Some(hex(*high)? << 4 | hex(*low)?))
        }
        [b'%', ..] => None,
        [octet, after @ ..] => {
            *rest = after;
            Some(Some(*octet))
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn percent(text: &str) -> String {
        text.chars()
            .map(|c| match c {
                '+' => "%2B".to_owned(),
                '/' => "%2f".to_owned(),
                '=' => "%3D".to_owned(),
                c => c.to_string(),
            })
            .collect()
    }

    proptest! {
        /// OCS-3: fails when a form that some client uses is not understood, or understood as something else.
        #[test]
        fn ocs_3_every_form_of_a_path_gives_the_same_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            // a request begins with a SEQUENCE
            let octets = [&[0x30], &octets[..]].concat();
            for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let text = engine.encode(&octets);
                for form in [text.clone(), percent(&text), format!("/{text}"), format!("//{}", percent(&text))] {
                    let read = PathRequest::decode(&form);
                    prop_assert_eq!(read.as_ref().map(PathRequest::octets), Some(&octets[..]), "{}", form);
                }
            }
        }

        #[test]
        fn no_path_breaks_it(text in "[A-Za-z0-9+/=%_-]{0,60}") {
            if let Some(read) = PathRequest::decode(&text) {
                let again = PathRequest::decode(&URL_SAFE_NO_PAD.encode(read.octets())).unwrap();
                prop_assert_eq!(again.octets(), read.octets());
            }
        }
    }

    #[test]
    fn ocs_3_what_is_no_base64_is_refused() {
        for bad in
            ["M", "MA=", "MA===", "MA==MA==", "MA==x", "M A", "MB", "%4", "%zz", "MA%3", "MEUw%252B", "MÄ", "MA?x"]
        {
            assert!(PathRequest::decode(bad).is_none(), "{bad}");
        }
        assert_eq!(PathRequest::decode("").unwrap().octets(), [0_u8; 0]);
        let long = STANDARD.encode(vec![0x30; MAX_REQUEST + 1]);
        assert!(PathRequest::decode(&long).is_none());
        let longest = STANDARD.encode(vec![0x30; MAX_REQUEST]);
        assert_eq!(PathRequest::decode(&longest).unwrap().octets().len(), MAX_REQUEST);
    }
}
