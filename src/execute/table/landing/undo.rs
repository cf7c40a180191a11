//! The SQL that takes a change back, for people.
//!
//! It is run whenever somebody likes, hours later and by hand. So it looks itself whether anybody has written to what it would take away, and
//! whether foreign keys hold afterwards, and takes itself back where not.

use super::about::{About, KeyColumn, Kind, joined_columns, same_key, same_row, sql};
use super::{references, uniques};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::quoted as shown;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::Connection;

/// Where rows are kept as they were before they were changed or removed; and those that came, as they came.
pub(super) fn kept(schema: &str, about: &About) -> (TableName, TableName) {
    let named = |name: String| TableName { schema: schema.to_owned(), name };
    (named(about.table.name.clone()), named(format!("{}_brought", about.table.name)))
}

/// One table of a change.
pub(super) struct Part<'p> {
    pub about: &'p About,
    pub key: &'p [KeyColumn],
    /// So many rows the table has since; where all that it had were kept.
    pub whole: Option<u64>,
    /// Of a hypertable, what is true of each row `t` that was brought: it lies in one of these spans of time. A statement that says so leaves
    /// all other chunks compressed.
    pub within: Option<Vec<String>>,
    /// What its continuous aggregates must be told again.
    pub told: Option<&'p str>,
}

/// Of all tables in one transaction: what leads from one to the other may hold only when all are as they were.
pub(super) fn undo(connection: &mut Connection, schema: &str, parts: &[Part<'_>]) -> Result<String, TableFault> {
    let mut all = vec!["begin".to_owned(), "set local row_security = off".to_owned()];
    if parts.iter().any(|part| part.about.kind == Kind::Hypertable) {
        // As many rows may come out of compressed chunks as it takes.
        all.push("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0".to_owned());
    }
    all.push(format!("lock table {} in exclusive mode", joined_columns(parts.iter().map(|part| part.about.name()))));
    for part in parts {
        let message = format!("rows of {} were written since, and would be lost", part.about.name());
        let hint = format!("What was there before is in the schema {}: take over from there what is wanted.", quoted(schema));
        all.push(raise(&part.written_since(schema), &message, &hint));
    }
    all.push("set local session_replication_role = replica".to_owned());
    for part in parts {
        all.extend(part.back(schema));
    }
    let abouts: Vec<&About> = parts.iter().map(|part| part.about).collect();
    let nothing = "Nothing was changed.";
    for (name, broken) in references::broken(connection, &abouts)? {
        all.push(raise(&format!("exists ({broken})"), &format!("the foreign key {} would not hold any more", shown(name)), nothing));
    }
    for about in abouts {
        for one in uniques::unique(connection, about)? {
            let message = format!("the constraint {} of {} would not hold any more", shown(&one.name), one.table);
            all.push(raise(&format!("exists (select {})", one.broken()), &message, nothing));
        }
    }
    all.extend(parts.iter().filter_map(|part| part.told).map(str::to_owned));
    all.push("commit;".to_owned());
    Ok(all.join("; "))
}

fn raise(unwanted: &str, message: &str, hint: &str) -> String {
    let (message, hint) = (literal(message), literal(hint));
    let body = format!("begin if {unwanted} then raise exception using message = {message}, hint = {hint}; end if; end");
    format!("do {}", literal(&body))
}

impl Part<'_> {
    fn names(&self, schema: &str) -> (String, String, String) {
        let (rows, brought) = kept(schema, self.about);
        (self.about.name(), sql(&rows), sql(&brought))
    }

    /// True where a row is neither one that was kept nor one that was brought, or one that was brought is gone.
    fn written_since(&self, schema: &str) -> String {
        let (name, rows, brought) = self.names(schema);
        let columns: Vec<_> = self.about.stored().collect();
        let of = |one: &str, other: &str| (same_key(self.key, one, other), same_row(&columns, one, other));
        match self.whole {
            Some(count) if self.key.is_empty() => {
                let text = |of: &str| {
                    format!("row({})::text", joined_columns(columns.iter().map(|column| format!("{of}.{}", quoted(&column.name)))))
                };
                let (now, then) = (text("t"), text("b"));
                format!(
                    "(select count(*) from {name}) <> {count} or exists (select {now} from {name} t except all select {then} from {brought} b)"
                )
            }
            whole => {
                let ((key_b, row_b), (key_k, row_k)) = (of("t", "b"), of("t", "k"));
                let gone = format!("exists (select from {brought} b where not exists (select from {name} t where {key_b} and {row_b}))");
                let new = match whole {
                    Some(count) => format!(
                        "(select count(*) from {name}) <> {count} or exists (select from {name} t \
                         where not exists (select from {brought} b where {key_b} and {row_b}) \
                         and not exists (select from {rows} k where {key_k} and {row_k}))"
                    ),
                    // Columns that somebody named for a key need not be one any more.
                    None => format!(
                        "exists (select from {rows} k join {name} t on {key_k} where not exists (select from {brought} b where {key_b})) \
                         or (select count(*) from {name} t join {brought} b on {key_b}) <> (select count(*) from {brought})"
                    ),
                };
                format!("{gone} or {new}")
            }
        }
    }

    fn back(&self, schema: &str) -> Vec<String> {
        let ((name, rows, brought), columns) = (self.names(schema), self.about.stored_list());
        let insert = format!("insert into {name} ({columns}) overriding system value select {columns} from {rows} k");
        if self.key.is_empty() {
            return vec![format!("delete from {name}"), insert];
        }
        let delete = format!("delete from {name} t using {brought} b where {}", same_key(self.key, "t", "b"));
        let mut back = match &self.within {
            Some(spans) => spans.iter().map(|within| format!("{delete} and {within}")).collect(),
            None => vec![delete],
        };
        back.push(format!("{insert} where not exists (select from {name} t where {})", same_key(self.key, "t", "k")));
        back
    }
}

pub(super) fn key_list(key: &[KeyColumn], of: &str) -> String {
    joined_columns(key.iter().map(|column| format!("{of}.{}", quoted(&column.name))))
}
