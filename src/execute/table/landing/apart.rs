//! Tables that come together lie apart: a partitioned table comes with all of its parts, and one of them beside it would come twice, or be missing in
//! the whole.

use super::about::About;
use crate::execute::table::TableFault;
use crate::postgres::{Connection, array};

const WITHIN: &str = "\
    select format('%I.%I', n.nspname, c.relname) as part, format('%I.%I', wn.nspname, w.relname) as whole \
    from unnest($1::oid[]) one(oid) cross join lateral pg_partition_ancestors(one.oid) a \
    join pg_class c on c.oid = one.oid join pg_namespace n on n.oid = c.relnamespace \
    join pg_class w on w.oid = a.relid join pg_namespace wn on wn.oid = w.relnamespace \
    where a.relid <> one.oid and a.relid = any($1::oid[]) order by 1, 2 limit 1";

pub(super) fn must_be_apart<'a>(connection: &mut Connection, tables: impl IntoIterator<Item = &'a About>) -> Result<(), TableFault> {
    let oids: Vec<&str> = tables.into_iter().map(|about| about.oid.as_str()).collect();
    let rows = connection.query(WITHIN, &[&array(&oids)])?;
    let Some(row) = rows.iter().next() else { return Ok(()) };
    let message = format!("{} is a part of {}, and both are wanted", row.text("part")?, row.text("whole")?);
    Err(TableFault::new(message, "A partitioned table comes with all of its parts: name one of the two."))
}
