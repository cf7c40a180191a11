//! Rows that fit a condition now, and did not fit it then.
//!
//! That nothing in the backup fits with such a row's key does not say that the backup has no such row. So it is asked for each by its key,
//! whatever the condition says of it there; only what it does not have at all is missing.

use super::about::{About, Column, KeyColumn, joined_columns, same_key};
use super::{Onlooker, stream};
use crate::execute::table::TableFault;
use crate::policy::sql_name::quoted;
use crate::postgres::Connection;

/// What is asked of one table.
pub(super) struct Question<'q> {
    /// The table at the destination.
    pub about: &'q About,
    pub key: &'q [KeyColumn],
    pub number: usize,
    /// As it is read at the origin.
    pub original: &'q str,
    /// `from … n …`: the rows of now that have no counterpart yet.
    pub missing: &'q str,
    /// Where the answer goes, beside the rows that fitted then.
    pub then: &'q str,
}

impl Question<'_> {
    /// Gives rows and bytes that came.
    pub(super) fn ask(&self, from: &mut Connection, to: &mut Connection, onlooker: Onlooker<'_>) -> Result<(u64, u64), TableFault> {
        let asked = format!("pg_temp.seawall_asked_{}", self.number);
        let each = |of: &str| joined_columns(self.key.iter().map(|column| format!("{of}{}", quoted(&column.name))));
        let names = each("");
        from.run(&format!("drop table if exists {asked}"))?;
        from.run(&format!("create temporary table seawall_asked_{} as select {names} from {} with no data", self.number, self.original))?;
        let key: Vec<&Column> = self.about.stored().filter(|column| self.key.iter().any(|key| key.name == column.name)).collect();
        let (keys, into) = (format!("select {} {}", each("n."), self.missing), format!("{asked} ({names})"));
        let is_binary = stream::is_binary(to, from, &key);
        let (count, _) = stream::copy(to, &keys, from, &into, is_binary, onlooker.bytes, onlooker.stop)?;
        if count == 0 {
            return Ok((0, 0));
        }
        let list = self.about.stored_list();
        let columns = joined_columns(self.about.stored().map(|column| format!("t.{}", quoted(&column.name))));
        let same = same_key(self.key, "t", "k");
        let query = format!("select {columns} from {} t where exists (select from {asked} k where {same})", self.original);
        let is_binary = stream::is_binary(from, to, &self.about.stored().collect::<Vec<_>>());
        stream::copy(from, &query, to, &format!("{} ({list})", self.then), is_binary, onlooker.bytes, onlooker.stop)
    }
}
