//! What goes into a statement and what comes back: four kinds of value, the same in both databases.

use std::fmt;
use std::vec;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::fault::{CatalogFault, FaultKind};
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

/// As SQLite puts values into JSON.
impl<'d> Deserialize<'d> for Value {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Value, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a row")
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Int(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
                i64::try_from(number).map(Value::Int).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text))
            }
        }
        from.deserialize_any(Any)
    }
}

/// A row, read from its first column on.
#[derive(Debug)]
pub(super) struct Row(vec::IntoIter<Value>);

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Row {
        Row(values.into_iter())
    }

    /// One whose values came as one.
    pub(super) fn unpacked(mut packed: Row) -> Result<Row, CatalogFault> {
        let text = packed.text()?;
        let values: Result<Vec<Value>, _> = serde_json::from_str(&text);
        values.map(Row::new).map_err(|_| unexpected("a row", &Value::Text(text)))
    }

    pub(super) fn int(&mut self) -> Result<i64, CatalogFault> {
        self.maybe_int()?.ok_or_else(|| unexpected("a number", &Value::Null))
    }

    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>, CatalogFault> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            // PostgreSQL's answers come as text.
            Value::Text(text) => text.parse().map(Some).map_err(|_| unexpected("a number", &Value::Text(text))),
            other => Err(unexpected("a number", &other)),
        }
    }

    pub(super) fn real(&mut self) -> Result<f64, CatalogFault> {
        match self.next()? {
            Value::Real(number) => Ok(number),
            Value::Text(text) => text.parse().map_err(|_| unexpected("a number", &Value::Text(text))),
            other => Err(unexpected("a number", &other)),
        }
    }

    pub(super) fn flag(&mut self) -> Result<bool, CatalogFault> {
        Ok(self.int()? != 0)
    }

    /// A comparison, as the databases answer it: SQLite with 1, a server with `t`.
    pub(super) fn truth(&mut self) -> Result<bool, CatalogFault> {
        match self.next()? {
            Value::Int(number) => Ok(number != 0),
            Value::Text(text) if matches!(text.as_str(), "t" | "1") => Ok(true),
            Value::Text(text) if matches!(text.as_str(), "f" | "0") => Ok(false),
            other => Err(unexpected("yes or no", &other)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, CatalogFault> {
        self.maybe_text()?.ok_or_else(|| unexpected("a text", &Value::Null))
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, CatalogFault> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(unexpected("a text", &other)),
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

    fn next(&mut self) -> Result<Value, CatalogFault> {
        self.0.next().ok_or_else(|| CatalogFault::new(FaultKind::Other, "a row of the catalog is too short", REPORT))
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
