//! What goes into a statement and what comes back: four kinds of value, the same in both databases.

use std::borrow::Cow;
use std::vec;

use super::fault::{CatalogFault, FaultKind};
use super::packed;
use crate::units::Instant;

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Int(flag.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

/// To the microsecond: what both databases can hold exactly.
impl From<Instant> for Value {
    fn from(at: Instant) -> Value {
        Value::Int(at.as_microsecond())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row, read from its first column on.
#[derive(Debug)]
pub(super) struct Row<'t>(Columns<'t>);

#[derive(Debug)]
enum Columns<'t> {
    Each(vec::IntoIter<Value>),
    /// What is left of one whose values came as one.
    Packed(Option<&'t str>),
}

/// A value of a row. What came packed is shown where it lies.
enum Found<'t> {
    Null,
    Int(i64),
    Real(f64),
    Text(Cow<'t, str>),
}

impl From<Found<'_>> for Value {
    fn from(found: Found<'_>) -> Value {
        match found {
            Found::Null => Value::Null,
            Found::Int(number) => Value::Int(number),
            Found::Real(number) => Value::Real(number),
            Found::Text(text) => Value::Text(text.into_owned()),
        }
    }
}

impl Row<'static> {
    pub(super) fn new(values: Vec<Value>) -> Row<'static> {
        Row(Columns::Each(values.into_iter()))
    }
}

impl<'t> Row<'t> {
    /// One whose values came as one.
    pub(super) fn packed(row: &'t str) -> Row<'t> {
        Row(Columns::Packed(Some(row)))
    }

    pub(super) fn int(&mut self) -> Result<i64, CatalogFault> {
        self.maybe_int()?.ok_or_else(|| unexpected("a number", &Value::Null))
    }

    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>, CatalogFault> {
        match self.next()? {
            Found::Null => Ok(None),
            Found::Int(number) => Ok(Some(number)),
            // PostgreSQL's answers come as text.
            Found::Text(text) => text.parse().map(Some).map_err(|_| unexpected("a number", &text.as_ref().into())),
            other => Err(unexpected("a number", &other.into())),
        }
    }

    pub(super) fn real(&mut self) -> Result<f64, CatalogFault> {
        match self.next()? {
            Found::Real(number) => Ok(number),
            Found::Text(text) => text.parse().map_err(|_| unexpected("a number", &text.as_ref().into())),
            other => Err(unexpected("a number", &other.into())),
        }
    }

    pub(super) fn flag(&mut self) -> Result<bool, CatalogFault> {
        Ok(self.int()? != 0)
    }

    pub(super) fn text(&mut self) -> Result<String, CatalogFault> {
        self.shown().map(Cow::into_owned)
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, CatalogFault> {
        Ok(self.maybe_shown()?.map(Cow::into_owned))
    }

    /// A text that is looked at and not kept.
    pub(super) fn shown(&mut self) -> Result<Cow<'t, str>, CatalogFault> {
        self.maybe_shown()?.ok_or_else(|| unexpected("a text", &Value::Null))
    }

    pub(super) fn maybe_shown(&mut self) -> Result<Option<Cow<'t, str>>, CatalogFault> {
        match self.next()? {
            Found::Null => Ok(None),
            Found::Text(text) => Ok(Some(text)),
            other => Err(unexpected("a text", &other.into())),
        }
    }

    pub(super) fn instant(&mut self) -> Result<Instant, CatalogFault> {
        self.maybe_instant()?.ok_or_else(|| unexpected("a time", &Value::Null))
    }

    pub(super) fn maybe_instant(&mut self) -> Result<Option<Instant>, CatalogFault> {
        let of = |number: i64| Instant::from_microsecond(number).map_err(|_| unexpected("a time", &Value::Int(number)));
        self.maybe_int()?.map(of).transpose()
    }

    pub(super) fn maybe_unsigned(&mut self) -> Result<Option<u64>, CatalogFault> {
        let of = |number: i64| u64::try_from(number).map_err(|_| unexpected("a size", &Value::Int(number)));
        self.maybe_int()?.map(of).transpose()
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, CatalogFault> {
        self.maybe_unsigned()?.ok_or_else(|| unexpected("a size", &Value::Null))
    }

    fn next(&mut self) -> Result<Found<'t>, CatalogFault> {
        let found = match &mut self.0 {
            Columns::Each(values) => values.next().map(|value| match value {
                Value::Null => Found::Null,
                Value::Int(number) => Found::Int(number),
                Value::Real(number) => Found::Real(number),
                Value::Text(text) => Found::Text(Cow::Owned(text)),
            }),
            Columns::Packed(left) => packed::next(left).map(|value| value.map_or(Found::Null, |text| Found::Text(Cow::Borrowed(text)))),
        };
        found.ok_or_else(|| CatalogFault::new(FaultKind::Other, "a row of the catalog is too short", REPORT))
    }
}

const REPORT: &str = "This is a bug in Seawall, or somebody changed the catalog's tables: please report it.";

/// A value that the tables do not allow. What it is, is not repeated: it may be long.
pub(super) fn unexpected(wanted: &str, found: &Value) -> CatalogFault {
    let found = match found {
        Value::Null => "nothing".to_owned(),
        Value::Int(number) => format!("{number}"),
        Value::Real(number) => format!("{number}"),
        Value::Text(text) => format!("`{}`", crate::units::clipped(text)),
    };
    let hint = "Somebody else wrote into the catalog's tables, or it is damaged: restore it from a copy or move it aside.";
    CatalogFault::new(FaultKind::Damaged, format!("the catalog has {found} where {wanted} belongs"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_row_is_read_by_what_is_asked_for() {
        let mut row = Row::packed("a text\u{1f}-7\u{1f}\0\u{1f}\u{1f}1790000000000000");
        assert_eq!(row.text(), Ok("a text".into()));
        assert_eq!(row.int(), Ok(-7));
        assert_eq!(row.maybe_unsigned(), Ok(None));
        assert_eq!(row.maybe_shown(), Ok(Some("".into())));
        assert_eq!(row.instant().map(Instant::as_second), Ok(1_790_000_000));
        assert!(row.text().expect_err("that was all").message.contains("too short"));
        assert_eq!(Row::packed("one").int().expect_err("a text").kind, FaultKind::Damaged);
        assert_eq!(Row::packed("\0").text().expect_err("nothing").kind, FaultKind::Damaged);
    }
}
