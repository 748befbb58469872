//! Stored forms of small lists: JSON without white space, made and read here only.

use std::borrow::Cow;

use pki_core::acme::order::OrderedIdentifier;
use pki_core::acme::problem::Problem;
use pki_core::x509::name::Identifier;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::value::{Fields, Value};

/// Anything that serialises without fail: strings, numbers, lists and structs of them.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Value<'static> {
    let text = serde_json::to_string(value).expect("lists and structs of strings and numbers always serialise");
    Value::Text(Some(Cow::Owned(text)))
}

/// Reads what [`json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(fields: &Fields, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| fields.corrupt(format!("a list or problem does not parse: {error}")))
}

/// `[["dns","gw-1.site.test"],["ip","192.0.2.1"]]`
pub(crate) fn identifiers(identifiers: &[Identifier]) -> Value<'static> {
    json(&identifiers.iter().map(|identifier| [identifier.kind().to_owned(), identifier.value()]).collect::<Vec<_>>())
}

pub(crate) fn read_identifiers(fields: &mut Fields) -> Result<Vec<Identifier>, StoreError> {
    let text = fields.text()?;
    let pairs: Vec<[String; 2]> = from_json(fields, &text)?;
    pairs.iter().map(|[kind, value]| identifier(fields, kind, value)).collect()
}

pub(crate) fn identifier(fields: &Fields, kind: &str, value: &str) -> Result<Identifier, StoreError> {
    Identifier::parse(kind, value).map_err(|error| fields.corrupt(error.to_string()))
}

/// As [`identifiers`], with a third member where the client's spelling differs from the normal form.
pub(crate) fn ordered(identifiers: &[OrderedIdentifier]) -> Value<'static> {
    let members = identifiers.iter().map(|OrderedIdentifier { identifier, as_sent }| {
        let value = identifier.value();
        let spelling = (*as_sent != value).then(|| as_sent.clone());
        [identifier.kind().to_owned(), value].into_iter().chain(spelling).collect()
    });
    json(&members.collect::<Vec<Vec<String>>>())
}

pub(crate) fn read_ordered(fields: &mut Fields) -> Result<Vec<OrderedIdentifier>, StoreError> {
    let text = fields.text()?;
    let lists: Vec<Vec<String>> = from_json(fields, &text)?;
    let read = |list: Vec<String>| match list.as_slice() {
        [kind, value] => Ok(OrderedIdentifier { identifier: identifier(fields, kind, value)?, as_sent: value.clone() }),
        [kind, value, sent] => {
            Ok(OrderedIdentifier { identifier: identifier(fields, kind, value)?, as_sent: sent.clone() })
        }
        _ => Err(fields.corrupt("an identifier has neither two nor three members")),
    };
    lists.into_iter().map(read).collect()
}

pub(crate) fn problem(problem: Option<&Problem>) -> Value<'static> {
    problem.map_or(Value::Text(None), json)
}

pub(crate) fn read_problem(fields: &mut Fields) -> Result<Option<Problem>, StoreError> {
    fields.maybe_text()?.map(|text| from_json(fields, &text)).transpose()
}

pub(crate) fn strings(fields: &mut Fields) -> Result<Vec<String>, StoreError> {
    let text = fields.text()?;
    from_json(fields, &text)
}
