//! What goes into statements and comes out of rows. Three types: whole numbers, text and bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use pki_core::revocation::Reason;
use pki_core::time::Timestamp;

use crate::error::StoreError;

/// An argument of a statement. NULL keeps its type: PostgreSQL asks for it.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// BIGINT.
    Int(Option<i64>),
    /// TEXT.
    Text(Option<Cow<'a, str>>),
    /// BLOB or BYTEA.
    Bytes(Option<Cow<'a, [u8]>>),
}

impl Value<'_> {
    /// An identifier, or anything else that is stored as it is displayed.
    pub fn text(value: impl fmt::Display) -> Self {
        Self::Text(Some(Cow::Owned(value.to_string())))
    }

    /// A number or a count, of whose 64 bits a database keeps 63. What is counted from one, or from the Unix time in seconds,
    /// never comes near.
    pub(crate) fn number(number: u64) -> Result<Self, StoreError> {
        let beyond = || StoreError::fault(format!("the number {number} is beyond 63 bits"));
        i64::try_from(number).map(Self::from).map_err(|_| beyond())
    }

    /// The same value, owned.
    pub(crate) fn to_owned_value(&self) -> Value<'static> {
        match self {
            Self::Int(value) => Value::Int(*value),
            Self::Text(value) => Value::Text(value.as_deref().map(|text| Cow::Owned(text.to_owned()))),
            Self::Bytes(value) => Value::Bytes(value.as_deref().map(|bytes| Cow::Owned(bytes.to_vec()))),
        }
    }

    /// The same, or NULL.
    pub fn maybe(value: Option<impl fmt::Display>) -> Self {
        Self::Text(value.map(|value| Cow::Owned(value.to_string())))
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int(..)",
            Self::Text(_) => "Text(..)",
            Self::Bytes(_) => "Bytes(..)",
        })
    }
}

macro_rules! into_value {
    ($($from:ty => |$value:ident| $to:expr;)*) => {
        $(impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $to
            }
        })*
    };
}

into_value! {
    i64 => |value| Value::Int(Some(value));
    u32 => |value| Value::Int(Some(i64::from(value)));
    Option<i64> => |value| Value::Int(value);
    Timestamp => |value| Value::Int(Some(value.unix_millis()));
    Option<Timestamp> => |value| Value::Int(value.map(Timestamp::unix_millis));
    Option<Reason> => |value| Value::Int(value.map(|reason| i64::from(reason.code())));
    &'a str => |value| Value::Text(Some(Cow::Borrowed(value)));
    &'a String => |value| Value::Text(Some(Cow::Borrowed(value)));
    String => |value| Value::Text(Some(Cow::Owned(value)));
    Option<&'a str> => |value| Value::Text(value.map(Cow::Borrowed));
    Option<String> => |value| Value::Text(value.map(Cow::Owned));
    &'a [u8] => |value| Value::Bytes(Some(Cow::Borrowed(value)));
    &'a Vec<u8> => |value| Value::Bytes(Some(Cow::Borrowed(value)));
    Vec<u8> => |value| Value::Bytes(Some(Cow::Owned(value)));
    Option<&'a [u8]> => |value| Value::Bytes(value.map(Cow::Borrowed));
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BLOB or BYTEA.
    Bytes(Vec<u8>),
}

/// One row, its values in the order of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Cell>);

impl Row {
    /// Reads the values one after the other; what does not fit is named as a fault of `table`.
    pub fn fields(self, table: &'static str) -> Fields {
        Fields { table, id: "?".to_owned(), column: 0, cells: self.0.into_iter() }
    }
}

/// The values of a row, taken from left to right.
#[derive(Debug)]
pub struct Fields {
    table: &'static str,
    id: String,
    column: usize,
    cells: std::vec::IntoIter<Cell>,
}

impl Fields {
    /// An inconsistency of this row.
    pub fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::corrupt(self.table, &self.id, what)
    }

    fn next(&mut self) -> Result<Cell, StoreError> {
        self.column += 1;
        self.cells.next().ok_or_else(|| self.unexpected("a value"))
    }

    fn unexpected(&self, expected: &str) -> StoreError {
        self.corrupt(format!("column {} holds no {expected}", self.column))
    }

    /// An identifier; later faults name it.
    pub fn id<T: FromStr>(&mut self) -> Result<T, StoreError> {
        self.id = self.text()?;
        self.parse_text(&self.id)
    }

    /// A whole number.
    pub fn int(&mut self) -> Result<i64, StoreError> {
        self.maybe_int()?.ok_or_else(|| self.unexpected("number"))
    }

    /// A whole number or NULL.
    pub fn maybe_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Int(value) => Ok(Some(value)),
            _ => Err(self.unexpected("number")),
        }
    }

    /// A whole number of 32 bits without sign.
    pub fn u32(&mut self) -> Result<u32, StoreError> {
        u32::try_from(self.int()?).map_err(|_| self.unexpected("number of that size"))
    }

    /// A number or a count: a whole number without sign.
    pub fn u64(&mut self) -> Result<u64, StoreError> {
        self.maybe_u64()?.ok_or_else(|| self.unexpected("number"))
    }

    /// The same, or NULL.
    pub fn maybe_u64(&mut self) -> Result<Option<u64>, StoreError> {
        let number = self.maybe_int()?.map(u64::try_from).transpose();
        number.map_err(|_| self.unexpected("number that is not negative"))
    }

    /// The reason of a revocation, by its code (RFC 5280 section 5.3.1), or NULL.
    pub fn maybe_reason(&mut self) -> Result<Option<Reason>, StoreError> {
        let Some(code) = self.maybe_int()? else { return Ok(None) };
        let unknown = || self.corrupt(format!("no revocation reason has the code {code}"));
        Reason::from_code(code).map(Some).ok_or_else(unknown)
    }

    /// A text.
    pub fn text(&mut self) -> Result<String, StoreError> {
        self.maybe_text()?.ok_or_else(|| self.unexpected("text"))
    }

    /// A text or NULL.
    pub fn maybe_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Text(value) => Ok(Some(value)),
            _ => Err(self.unexpected("text")),
        }
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.maybe_bytes()?.ok_or_else(|| self.unexpected("bytes"))
    }

    /// Bytes or NULL.
    pub fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Bytes(value) => Ok(Some(value)),
            _ => Err(self.unexpected("bytes")),
        }
    }

    /// Thirty-two bytes: a SHA-256.
    pub fn sha256(&mut self) -> Result<[u8; 32], StoreError> {
        self.bytes()?.try_into().map_err(|_| self.unexpected("SHA-256"))
    }

    /// A point in time.
    pub fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp::from_unix_millis)
    }

    /// A point in time or NULL.
    pub fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_int()?.map(Timestamp::from_unix_millis))
    }

    /// Something that reads itself from text.
    pub fn parse<T: FromStr>(&mut self) -> Result<T, StoreError> {
        let text = self.text()?;
        self.parse_text(&text)
    }

    /// The same, or NULL.
    pub fn maybe_parse<T: FromStr>(&mut self) -> Result<Option<T>, StoreError> {
        self.maybe_text()?.map(|text| self.parse_text(&text)).transpose()
    }

    fn parse_text<T: FromStr>(&self, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.corrupt(format!("column {} holds `{text:.80}`", self.column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(cell: Cell) -> Fields {
        Row(vec![cell]).fields("crl")
    }

    /// Fails when a damaged row reads as something else, or a number is stored as another one.
    #[test]
    fn numbers_and_reasons_come_back_or_are_refused() {
        let is_corrupt = |error: StoreError| matches!(error, StoreError::Corrupt { table: "crl", .. });
        for number in [0, 1_790_000_000, i64::MAX.unsigned_abs()] {
            let Value::Int(Some(stored)) = Value::number(number).unwrap() else { panic!("{number}") };
            assert_eq!(fields(Cell::Int(stored)).u64(), Ok(number));
        }
        assert!(matches!(Value::number(1 << 63), Err(StoreError::Fault { .. })));
        assert!(is_corrupt(fields(Cell::Int(-1)).u64().unwrap_err()));
        assert!(is_corrupt(fields(Cell::Int(-1)).maybe_u64().unwrap_err()));
        assert!(is_corrupt(fields(Cell::Null).u64().unwrap_err()));
        assert_eq!(fields(Cell::Null).maybe_u64(), Ok(None));
        assert_eq!(Value::from(Some(Reason::CertificateHold)), Value::Int(Some(6)));
        assert_eq!(fields(Cell::Int(6)).maybe_reason(), Ok(Some(Reason::CertificateHold)));
        assert_eq!(fields(Cell::Null).maybe_reason(), Ok(None));
        assert!(is_corrupt(fields(Cell::Int(7)).maybe_reason().unwrap_err()));
    }
}
