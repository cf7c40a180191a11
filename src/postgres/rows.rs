//! What a statement answers.

use std::str::FromStr;
use std::sync::Arc;

use super::fault::Fault;

/// Rows of text, under named columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    pub(super) columns: Arc<[String]>,
    pub(super) rows: Vec<Row>,
    /// What the server says it did, as `SELECT 1`.
    pub tag: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub(super) columns: Arc<[String]>,
    pub(super) values: Vec<Option<String>>,
}

impl Rows {
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }

    /// The only row.
    pub fn one(&self) -> Result<&Row, Fault> {
        match self.rows.as_slice() {
            [row] => Ok(row),
            rows => Err(Fault::protocol(format!("one row was expected, and {} came ({})", rows.len(), self.columns.join(", ")))),
        }
    }
}

impl<'r> IntoIterator for &'r Rows {
    type Item = &'r Row;
    type IntoIter = std::slice::Iter<'r, Row>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

impl Row {
    /// All values, in the order of the columns.
    pub fn values(&self) -> &[Option<String>] {
        &self.values
    }

    /// The value of a column; nothing if it is null, or if there is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.values.get(index)?.as_deref()
    }

    pub fn text(&self, column: &str) -> Result<&str, Fault> {
        self.get(column).ok_or_else(|| Fault::protocol(format!("the server's answer has no {column}")))
    }

    pub fn parse<T: FromStr>(&self, column: &str) -> Result<T, Fault> {
        let text = self.text(column)?;
        text.parse()
            .map_err(|_| Fault::protocol(format!("the server's answer for {column} cannot be read: `{}`", crate::units::clipped(text))))
    }

    /// Nothing if it is null.
    pub fn parse_if<T: FromStr>(&self, column: &str) -> Result<Option<T>, Fault> {
        self.get(column).map(|_| self.parse(column)).transpose()
    }

    pub fn flag(&self, column: &str) -> Result<bool, Fault> {
        Ok(["t", "true", "on"].contains(&self.text(column)?))
    }
}
