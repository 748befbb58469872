//! A TBSCertList read field by field: of its entries, of which there may be millions, nothing is kept.

use x509_parser::asn1_rs::{Any, Class, Header, Tag};
use x509_parser::extensions::X509Extension;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AlgorithmIdentifier, X509Name};

/// What a list says beside its entries.
pub(super) struct Head<'a> {
    pub(super) signature: AlgorithmIdentifier<'a>,
    pub(super) this_update: ASN1Time,
    pub(super) next_update: ASN1Time,
    pub(super) extensions: Vec<X509Extension<'a>>,
}

impl<'a> Head<'a> {
    /// Reads a list of version 2 with an end, and nothing behind it; each entry is a SEQUENCE that begins with an INTEGER.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let whole = element(bytes, Tag::Sequence).filter(|(_, rest)| rest.is_empty());
        let (inside, _) = whole.ok_or("the bytes are not a TBSCertList, or bytes follow it")?;
        let (version, rest) = element(inside, Tag::Integer).ok_or("it has no version")?;
        if version != [1] {
            return Err("it is not a CRL of version 2".into());
        }
        let (rest, signature) = AlgorithmIdentifier::from_der(rest).map_err(|_| "its algorithm is damaged")?;
        let (rest, _) = X509Name::from_der(rest).map_err(|_| "its issuer is damaged")?;
        let (rest, this_update) = ASN1Time::from_der(rest).map_err(|_| "its thisUpdate is damaged")?;
        let (rest, next_update) = ASN1Time::from_der(rest).map_err(|_| "it has no nextUpdate")?;
        let rest = match element(rest, Tag::Sequence) {
            Some((entries, rest)) => {
                check_entries(entries)?;
                rest
            }
            None => rest,
        };
        Ok(Self { signature, this_update, next_update, extensions: extensions(rest)? })
    }
}

/// A delta says the number of the list that it is to, and whoever does not know deltas has to see that it is one.
pub(super) fn check_base(extensions: &[X509Extension<'_>]) -> Result<(), String> {
    let Some(delta) = extensions.iter().find(|extension| extension.oid.to_id_string() == super::DELTA) else {
        return Ok(());
    };
    let number = element(delta.value, Tag::Integer).filter(|(_, rest)| rest.is_empty());
    let is_number = number.is_some_and(|(octets, _)| matches!(octets, [first, ..] if *first < 0x80) && octets != [0]);
    if is_number && delta.critical { Ok(()) } else { Err("it is a delta that does not say to which list".into()) }
}

fn check_entries(mut entries: &[u8]) -> Result<(), String> {
    if entries.is_empty() {
        return Err("its list of entries is empty instead of absent".into());
    }
    while !entries.is_empty() {
        let entry = element(entries, Tag::Sequence).filter(|(entry, _)| element(entry, Tag::Integer).is_some());
        (_, entries) = entry.ok_or("one of its entries is damaged")?;
    }
    Ok(())
}

/// The contents of the next element, which has this tag, and what follows it.
fn element(bytes: &[u8], tag: Tag) -> Option<(&[u8], &[u8])> {
    let (rest, header) = Header::from_der(bytes).ok()?;
    if header.tag() != tag || header.class() != Class::Universal {
        return None;
    }
    rest.split_at_checked(header.length().definite().ok()?)
}

/// What stands in `[0]`, to the end.
fn extensions(bytes: &[u8]) -> Result<Vec<X509Extension<'_>>, String> {
    const DAMAGED: &str = "its extensions are damaged";
    let (rest, outer) = Any::from_der(bytes).map_err(|_| "it has no extensions")?;
    if outer.header.class() != Class::ContextSpecific || outer.header.tag() != Tag(0) || !rest.is_empty() {
        return Err(DAMAGED.into());
    }
    let list = element(outer.data, Tag::Sequence).filter(|(_, rest)| rest.is_empty());
    let (mut list, _) = list.ok_or(DAMAGED)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let (rest, extension) = X509Extension::from_der(list).map_err(|_| DAMAGED)?;
        found.push(extension);
        list = rest;
    }
    Ok(found)
}
