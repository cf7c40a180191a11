//! What goes into a statement and what comes back: four kinds of value, the same in both databases.

use std::borrow::Cow;
use std::vec;

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

/// A row, read from its first column on.
#[derive(Debug)]
pub(super) struct Row<'t>(Columns<'t>);

#[derive(Debug)]
enum Columns<'t> {
    Each(vec::IntoIter<Value>),
    /// What is left of a JSON array of whole numbers, texts and nulls, as SQLite writes it, and what comes after all of them.
    Packed(&'t str, Option<&'t str>),
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
    pub(super) fn packed(array: &'t str) -> Row<'t> {
        Row(Columns::Packed(array, None))
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
            Columns::Packed(left, document) => match unpacked(left) {
                Some((found, rest)) => {
                    *left = rest;
                    Some(found)
                }
                None if matches!(*left, "]" | "[]") => document.take().map(|text| Found::Text(Cow::Borrowed(text))),
                None => return Err(unexpected("a row", &(*left).into())),
            },
        };
        found.ok_or_else(|| CatalogFault::new(FaultKind::Other, "a row of the catalog is too short", REPORT))
    }
}

/// Shows each row of a text of many, a line each. With documents, each line has another value before all others: how many bytes of a document
/// follow in the next line.
pub(super) fn packed_rows(
    text: &str,
    documents: bool,
    mut look: impl FnMut(&mut Row<'_>) -> Result<(), CatalogFault>,
) -> Result<(), CatalogFault> {
    // JSON has no line of its own in it.
    if !documents {
        return text.lines().try_for_each(|row| look(&mut Row::packed(row)));
    }
    let mut left = text;
    while !left.is_empty() {
        let cut = || unexpected("a row", &left.into());
        let (array, rest) = left.split_once('\n').ok_or_else(cut)?;
        let mut row = Row::packed(array);
        let length = usize::try_from(row.unsigned()?).map_err(|_| cut())?;
        let (document, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        if let Columns::Packed(_, place) = &mut row.0 {
            *place = Some(document);
        }
        look(&mut row)?;
        left = if rest.is_empty() { rest } else { rest.strip_prefix('\n').ok_or_else(cut)? };
    }
    Ok(())
}

/// The next value of an array, and what follows it.
fn unpacked(left: &str) -> Option<(Found<'_>, &str)> {
    let (b'[' | b',', first) = (*left.as_bytes().first()?, *left.as_bytes().get(1)?) else { return None };
    let value = &left[1..];
    match first {
        b'"' => unpacked_text(value),
        b'n' => Some((Found::Null, value.strip_prefix("null")?)),
        _ => {
            let end = value.bytes().position(|byte| matches!(byte, b',' | b']'))?;
            let (number, rest) = value.split_at(end);
            Some((Found::Int(number.parse().ok()?), rest))
        }
    }
}

/// Between its quotes; only where something is escaped it is written anew.
fn unpacked_text(value: &str) -> Option<(Found<'_>, &str)> {
    let mut end = 1;
    let mut as_it_is = true;
    loop {
        end += memchr::memchr2(b'"', b'\\', value.as_bytes().get(end..)?)?;
        if value.as_bytes()[end] == b'"' {
            break;
        }
        as_it_is = false;
        end += 2;
    }
    let text = if as_it_is { Cow::Borrowed(&value[1..end]) } else { Cow::Owned(serde_json::from_str(&value[..=end]).ok()?) };
    Some((Found::Text(text), &value[end + 1..]))
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out(text: String, other: Option<String>, number: i64) {
            let packed = serde_json::json!([text, other, number, null, text]).to_string();
            let mut row = Row::packed(&packed);
            prop_assert_eq!(row.text().expect("a text"), text.clone());
            prop_assert_eq!(row.maybe_text().expect("maybe a text"), other);
            prop_assert_eq!(row.int().expect("a number"), number);
            prop_assert_eq!(row.maybe_instant().expect("no time"), None);
            prop_assert_eq!(row.shown().expect("a text"), text);
            prop_assert!(row.text().expect_err("that was all").message.contains("too short"));
        }
    }

    proptest! {
        #[test]
        fn documents_come_out_as_they_lie(rows: Vec<(String, String)>) {
            let packed = |(name, document): &(String, String)| format!("{}\n{document}", serde_json::json!([document.len(), name]));
            let text = rows.iter().map(packed).collect::<Vec<_>>().join("\n");
            let mut found = Vec::new();
            packed_rows(&text, true, |row| {
                found.push((row.text()?, row.text()?));
                assert!(row.text().is_err(), "that was all");
                Ok(())
            })
            .expect("read");
            prop_assert_eq!(found, rows);
        }
    }

    #[test]
    fn documents_that_are_cut_are_refused() {
        for wrong in ["[3]", "[3]\nab", "[1]\nab", "[1]\n\u{e4}", "[-1]\n", "[\"x\"]\na", "[1]\na\n[1"] {
            assert!(packed_rows(wrong, true, |_| Ok(())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for wrong in ["", "{}", "[1.5]", "[\"open", "[\"end\\", "[tru]", "[\"\\x\"]"] {
            let mut row = Row::packed(wrong);
            assert!(row.maybe_text().is_err(), "{wrong}");
        }
        assert_eq!(Row::packed("[1]").text().expect_err("a number").kind, FaultKind::Damaged);
        assert_eq!(Row::packed("[\"one\"]").int().expect_err("a text").kind, FaultKind::Damaged);
    }
}
