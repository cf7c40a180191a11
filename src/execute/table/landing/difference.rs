//! What a merge would change, before it does.

use schemars::JsonSchema;
use serde::Serialize;

use super::about::{About, Column, KeyColumn, same_key, same_row};
use super::session;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Fault};

/// Of a value no more is shown.
const SHOWN: usize = 120;

/// The rows as they were against those that are there now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    pub table: String,
    /// The columns by which rows are the same.
    pub key: Vec<String>,
    /// In the backup, and not there now.
    pub added: u64,
    /// In both, and not the same.
    pub changed: u64,
    /// There now, and not in the backup.
    pub missing: u64,
    pub same: u64,
    /// Rows that are there and not in the backup go.
    pub missing_go: bool,
    /// The first of each, by their keys.
    pub first_added: Vec<String>,
    pub first_changed: Vec<Changed>,
    pub first_missing: Vec<String>,
}

/// A row that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changed {
    pub key: String,
    pub columns: Vec<ChangedColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangedColumn {
    pub name: String,
    /// What is there now; absent where that is null. Of a long value only its beginning.
    pub now: Option<String>,
    /// What would be there.
    pub then: Option<String>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.added == 0 && self.changed == 0 && (self.missing == 0 || !self.missing_go)
    }
}

/// The two sets of rows, as temporary tables, and how they are compared.
pub(super) struct Sides<'s> {
    pub about: &'s About,
    pub key: &'s [KeyColumn],
    pub then: &'s str,
    pub now: &'s str,
}

impl Sides<'_> {
    fn columns(&self) -> Vec<&Column> {
        self.about.stored().collect()
    }

    /// Rows of `then` (`s`) that are not in `now` (`n`).
    fn added(&self) -> String {
        format!("from {} s where not exists (select from {} n where {})", self.then, self.now, same_key(self.key, "n", "s"))
    }

    pub(super) fn missing(&self) -> String {
        format!("from {} n where not exists (select from {} s where {})", self.now, self.then, same_key(self.key, "n", "s"))
    }

    pub(super) fn changed(&self) -> String {
        let (key, row) = (same_key(self.key, "n", "s"), same_row(&self.columns(), "n", "s"));
        format!("from {} n join {} s on {key} where not {row}", self.now, self.then)
    }

    fn key_text(&self, of: &str, is_bytes: bool) -> String {
        let each: Vec<String> = self.key.iter().map(|column| format!("{of}.{}::text", quoted(&column.name))).collect();
        as_text(&format!("left(concat_ws(', ', {}), {SHOWN})", each.join(", ")), is_bytes)
    }

    fn order(&self, of: &str) -> String {
        super::undo::key_list(self.key, of)
    }

    pub(super) fn read(&self, connection: &mut Connection, most: u32, missing_go: bool) -> Result<Difference, Fault> {
        let mut count =
            |what: &str| -> Result<u64, Fault> { connection.query(&format!("select count(*) as n {what}"), &[])?.one()?.parse("n") };
        let (added, changed, missing) = (count(&self.added())?, count(&self.changed())?, count(&self.missing())?);
        let all = count(&format!("from {} s", self.then))?;
        Ok(Difference {
            table: self.about.name(),
            key: self.key.iter().map(|column| column.name.clone()).collect(),
            added,
            changed,
            missing,
            same: all.saturating_sub(added + changed),
            missing_go,
            first_added: self.keys(connection, &self.added(), "s", most)?,
            first_changed: self.first_changed(connection, most)?,
            first_missing: self.keys(connection, &self.missing(), "n", most)?,
        })
    }

    fn keys(&self, connection: &mut Connection, what: &str, of: &str, most: u32) -> Result<Vec<String>, Fault> {
        let key = self.key_text(of, session::is_of_bytes(connection));
        let sql = format!("select {key} as key {what} order by {} limit {most}", self.order(of));
        connection.query(&sql, &[])?.iter().map(|row| Ok(row.get("key").unwrap_or_default().to_owned())).collect()
    }

    /// As the rows read, not as they are stored; a value that reads the same in another form is named without its texts.
    fn first_changed(&self, connection: &mut Connection, most: u32) -> Result<Vec<Changed>, Fault> {
        let values: Vec<String> = (self.columns().iter())
            .map(|column| format!("({}, (c.n).{1}::text, (c.s).{1}::text)", literal(&column.name), quoted(&column.name)))
            .collect();
        let is_bytes = session::is_of_bytes(connection);
        let shown = |value: &str| as_text(&format!("left({value}, {SHOWN})"), is_bytes);
        // Rows as values: a bare `n` would be a column of that name, where the table has one.
        let sql = format!(
            "select c.at::text as at, c.key, v.name, {here} as here, {back} as back, \
             coalesce(length(v.here) > {SHOWN}, false) as here_goes_on, coalesce(length(v.back) > {SHOWN}, false) as back_goes_on \
             from (select row_number() over (order by {order}) as at, {key} as key, coalesce(n.*) as n, coalesce(s.*) as s {changed} order by 1 limit {most}) c \
             left join lateral (values {values}) v(name, here, back) on v.here is distinct from v.back order by c.at",
            order = self.order("n"),
            key = self.key_text("n", is_bytes),
            here = shown("v.here"),
            back = shown("v.back"),
            changed = self.changed(),
            values = values.join(", ")
        );
        let (mut all, mut last): (Vec<Changed>, Option<String>) = (Vec::new(), None);
        for row in &connection.query(&sql, &[])? {
            if last.as_deref() != row.get("at") {
                last = row.get("at").map(str::to_owned);
                all.push(Changed { key: row.get("key").unwrap_or_default().to_owned(), columns: Vec::new() });
            }
            if let (Some(changed), Some(name)) = (all.last_mut(), row.get("name")) {
                // Not every encoding of a database has this sign.
                let end = |column: &str| -> Result<&str, Fault> { Ok(if row.flag(column)? { "…" } else { "" }) };
                let text = |column: &str, end: &str| row.get(column).map(|text| format!("{text}{end}"));
                let (now, then) = (text("here", end("here_goes_on")?), text("back", end("back_goes_on")?));
                changed.columns.push(ChangedColumn { name: name.to_owned(), now, then });
            }
        }
        Ok(all)
    }
}

/// What has no encoding may be no text: of that, bytes beyond ASCII read as `\351`.
fn as_text(text: &str, is_bytes: bool) -> String {
    if is_bytes { format!("encode(convert_to({text}, 'SQL_ASCII'), 'escape')") } else { text.to_owned() }
}
