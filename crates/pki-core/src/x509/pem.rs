//! Textual encodings (RFC 7468): written strictly, read nearly as strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::x509::certificate::{Certificate, CertificateError};

/// More than any bundle of certificates in the field.
const MAX_TEXT: usize = 1 << 20;

/// Label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a certificate request.
pub const CERTIFICATE_REQUEST: &str = "CERTIFICATE REQUEST";
/// Label of a CRL.
pub const CRL: &str = "X509 CRL";
/// Label of a SubjectPublicKeyInfo.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Longer than anything that is read.
    #[error("the PEM text is longer than 1 MiB")]
    TooLong,
    /// Not RFC 7468.
    #[error("line {line} of the PEM text: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something else stands in it.
    #[error("line {line} of the PEM text begins `{found}` where `{expected}` was expected")]
    Label {
        /// Counted from 1.
        line: usize,
        /// The label that was found.
        found: String,
        /// The label that was expected.
        expected: String,
    },
    /// Nothing in it.
    #[error("the PEM text holds no `{0}`")]
    Empty(String),
    /// One of the certificates is none.
    #[error("certificate {position} of the PEM text: {source}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        source: CertificateError,
    },
}

/// What a line of 64 columns holds.
pub const LINE_OCTETS: usize = 48;

/// One block: LF, 64 columns.
pub fn encode(label: &str, der: &[u8]) -> String {
    [begin(label), lines(der), end(label)].concat()
}

/// The line before a block.
pub fn begin(label: &str) -> String {
    format!("-----BEGIN {label}-----\n")
}

/// The lines of a block, or of a part of it that has a multiple of [`LINE_OCTETS`].
pub fn lines(der: &[u8]) -> String {
    der.chunks(LINE_OCTETS).flat_map(|line| [STANDARD.encode(line), "\n".to_owned()]).collect()
}

/// The line behind a block.
pub fn end(label: &str) -> String {
    format!("-----END {label}-----\n")
}

/// A certificate as PEM.
pub fn to_pem(certificate: &Certificate) -> String {
    encode(CERTIFICATE, certificate.der())
}

/// Certificates as one text, in the order given.
pub fn bundle_to_pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(to_pem).collect()
}

/// Reads a text of certificates and nothing else, at least one (RFC 8555 section 9.1).
pub fn parse_pem_bundle(text: &str) -> Result<Vec<Certificate>, PemError> {
    let blocks = decode_all(CERTIFICATE, text)?;
    let parse = |(index, der): (usize, &Vec<u8>)| {
        Certificate::parse(der).map_err(|source| PemError::Certificate { position: index + 1, source })
    };
    blocks.iter().enumerate().map(parse).collect()
}

/// Reads a text of blocks of one label and nothing else, at least one. Line ends may be LF or CRLF and blank lines
/// may stand between blocks; within a block RFC 7468's strict form is asked for.
pub fn decode_all(label: &str, text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > MAX_TEXT {
        return Err(PemError::TooLong);
    }
    let mut blocks = Vec::new();
    let mut open: Option<Body> = None;
    let mut last_line = 0;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        last_line = number;
        match open.take() {
            None if line.is_empty() => {}
            None => {
                expect_boundary(line, "BEGIN", label, number)?;
                open = Some(Body::default());
            }
            Some(body) if line.starts_with('-') => {
                expect_boundary(line, "END", label, number)?;
                blocks.push(body.finish(number)?);
            }
            Some(mut body) => {
                body.push(line, number)?;
                open = Some(body);
            }
        }
    }
    if open.is_some() {
        return Err(PemError::Syntax { line: last_line, reason: "the text ends before its END line" });
    }
    if blocks.is_empty() { Err(PemError::Empty(label.to_owned())) } else { Ok(blocks) }
}

fn expect_boundary(line: &str, side: &str, label: &str, number: usize) -> Result<(), PemError> {
    let found = line.strip_prefix("-----").and_then(|rest| rest.strip_suffix("-----"));
    match found {
        Some(found) if found.strip_prefix(side).and_then(|rest| rest.strip_prefix(' ')) == Some(label) => Ok(()),
        Some(found) => Err(PemError::Label {
            line: number,
            found: found.chars().take(64).collect(),
            expected: format!("{side} {label}"),
        }),
        None => Err(PemError::Syntax { line: number, reason: "text outside of the blocks; leave only the blocks" }),
    }
}

/// The base64 lines of one block.
#[derive(Default)]
struct Body {
    text: String,
    /// A line shorter than 64 was seen; it must be the last.
    ended: bool,
}

impl Body {
    fn push(&mut self, line: &str, number: usize) -> Result<(), PemError> {
        if self.ended || line.len() > 64 || line.is_empty() {
            return Err(PemError::Syntax { line: number, reason: "every line but the last has 64 characters" });
        }
        self.ended = line.len() < 64;
        self.text.push_str(line);
        Ok(())
    }

    fn finish(self, number: usize) -> Result<Vec<u8>, PemError> {
        match STANDARD.decode(self.text) {
            Ok(der) if !der.is_empty() => Ok(der),
            _ => Err(PemError::Syntax { line: number, reason: "what stands above is not base64" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crl_10_a_block_in_pieces_is_the_same_block() {
        let der: Vec<u8> = (0..=255).cycle().take(10 * LINE_OCTETS + 7).collect();
        for pieces in [1, 3, 10, 11] {
            let body: String = der.chunks(pieces * LINE_OCTETS).map(lines).collect();
            assert_eq!([begin(CRL), body, end(CRL)].concat(), encode(CRL, &der), "{pieces}");
        }
        assert_eq!(encode(CRL, b""), "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n");
    }

    #[test]
    fn blocks_read_back() {
        for length in [1, 47, 48, 49, 96, 1000] {
            let der = vec![0xa5; length];
            let text = encode(CRL, &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(decode_all(CRL, &format!("{text}\n{text}")).unwrap(), [der.clone(), der.clone()]);
            assert_eq!(decode_all(CRL, &text.replace('\n', "\r\n")).unwrap(), [der]);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = encode(CERTIFICATE, &[7; 100]);
        for (bad, what) in [
            (String::new(), "nothing"),
            (format!("hello\n{good}"), "text before"),
            (format!("{good}hello\n"), "text after"),
            (good.replace("END CERTIFICATE", "END X509 CRL"), "other label"),
            (good.replacen("-----BEGIN CERTIFICATE-----\n", "", 1), "no beginning"),
            (good.replacen("-----END CERTIFICATE-----\n", "", 1), "no end"),
            (good.replacen('\n', "\nKey: value\n", 1), "headers"),
            (good.replace("BwcH", "Bw H"), "spaces"),
            (good.replace("==\n", "\n"), "padding"),
            (encode(CERTIFICATE, &[]), "nothing inside"),
            (format!("{good}{}", " ".repeat(MAX_TEXT)), "endless"),
            (encode("PRIVATE KEY", &[7; 10]), "a private key"),
        ] {
            assert!(decode_all(CERTIFICATE, &bad).is_err(), "{what}");
        }
    }
}
