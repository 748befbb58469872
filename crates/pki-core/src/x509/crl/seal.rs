//! Signature and list are put together, and read again before anybody gets them.

use der::Encode;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::x509::certificate::{Certificate, split_signed};
use crate::x509::crl::read::{Fields, RawEntry};
use crate::x509::crl::{Crl, CrlError, CrlTbs};
use crate::x509::encoding;

/// As many entries of a list are read by the second parser too: all of a short list, evenly spread ones of a long list.
const COMPARED: usize = 1000;

/// Puts planned bytes and signature together and checks the result: the structure of every entry and their order, the
/// signature, and by a second parser the head and up to a thousand entries.
pub fn seal(tbs: CrlTbs, signature: &[u8]) -> Result<Crl, CrlError> {
    let (issuer, algorithm) = (tbs.issuer.clone(), tbs.algorithm);
    let crl = Crl::from_der(tbs.into_signed(signature)?)?;
    if crl.algorithm() != algorithm {
        return Err(CrlError::Disagreement("the algorithm"));
    }
    crl.verify_signed_by(issuer.public_key())?;
    compare(&crl, &issuer)?;
    Ok(crl)
}

fn compare(ours: &Crl, issuer: &Certificate) -> Result<(), CrlError> {
    let sample = sample(ours)?;
    let short;
    let der = if sample.len() == ours.entry_count() {
        ours.der()
    } else {
        short = shortened(ours.der(), &sample)?;
        &short
    };
    let (rest, theirs) =
        CertificateRevocationList::from_der(der).map_err(|_| CrlError::Disagreement("one cannot read it"))?;
    let same_entries = theirs.iter_revoked_certificates().zip(&sample).all(|(their, our)| {
        let code = their.reason_code().map(|(_, code)| code.0);
        their.serial().to_bytes_be() == our.serial
            && our.at().is_ok_and(|at| their.revocation_date.timestamp() == at.unix_seconds())
            && code == our.code
    });
    let same = [
        ("the end", rest.is_empty()),
        ("the issuer", theirs.issuer().as_raw() == ours.issuer_der() && ours.issuer_der() == issuer.subject_der()),
        ("the number", theirs.crl_number().is_some_and(|number| *number == ours.number().into())),
        ("this update", theirs.last_update().timestamp() == ours.this_update().unix_seconds()),
        ("the next update", theirs.next_update().map(|at| at.timestamp()) == Some(ours.next_update().unix_seconds())),
        ("the number of entries", theirs.iter_revoked_certificates().count() == sample.len()),
        ("the entries", same_entries && ours.is_tidy()),
    ];
    match same.into_iter().find(|(_, equal)| !equal) {
        Some((what, _)) => Err(CrlError::Disagreement(what)),
        None => Ok(()),
    }
}

/// Evenly spread entries, the first and the last among them.
fn sample(crl: &Crl) -> Result<Vec<RawEntry<'_>>, CrlError> {
    let count = crl.entry_count();
    let step = count.div_ceil(COMPARED).max(1);
    let is_taken = |place: usize| place.is_multiple_of(step) || place + 1 == count;
    crl.raw_entries()?.enumerate().filter(|(place, _)| is_taken(*place)).map(|(_, entry)| entry).collect()
}

/// The same list with no more than these entries, for a parser that keeps all of them.
fn shortened(der: &[u8], sample: &[RawEntry<'_>]) -> Result<Vec<u8>, CrlError> {
    let malformed = |_: der::Error| CrlError::Malformed("its structure");
    let (tbs, algorithm, signature) = split_signed(der).map_err(malformed)?;
    let fields = Fields::read(tbs).map_err(malformed)?;
    let entries: Vec<&[u8]> = sample.iter().map(|entry| entry.der).collect();
    let tbs = encoding::sequence(&[
        &1_u8.to_der()?,
        fields.signature,
        fields.issuer,
        &encoding::time(fields.this_update)?,
        &encoding::time(fields.next_update)?,
        &encoding::sequence(&entries)?,
        &encoding::explicit(0, fields.extensions)?,
    ])?;
    Ok(encoding::sequence(&[&tbs, algorithm, &encoding::bit_string(signature)?])?)
}
