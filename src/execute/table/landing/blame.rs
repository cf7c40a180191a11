//! Who has the lock that was not given in time.

use super::session;
use crate::execute::table::source::TableName;
use crate::execute::table::{TableFault, Why};
use crate::plan::words::{joined, quoted as shown};
use crate::postgres::{Settings, array};

/// By the tables' names: what locks a table may keep us from being told its number.
const HOLDERS: &str = "\
    with recursive kin(oid) as ( \
        select c.oid from unnest($1::text[], $2::text[]) as w(schema, name) join pg_namespace n on n.nspname = w.schema \
          join pg_class c on c.relnamespace = n.oid and c.relname = w.name \
        union select i.inhrelid from pg_inherits i join kin k on k.oid = i.inhparent) \
    select format('%s (%s, %s, %s)', a.pid, a.usename, nullif(a.application_name, ''), a.state) as who \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    where l.granted and a.pid <> pg_backend_pid() and l.locktype = 'relation' and l.mode <> 'AccessShareLock' \
      and l.database = (select oid from pg_database where datname = current_database()) and l.relation in (select oid from kin) \
    group by 1 order by 1 limit 5";

pub(super) fn blamed(settings: &Settings, tables: &[TableName], fault: TableFault) -> TableFault {
    if fault.why != Why::Passing || !fault.message.contains("lock") {
        return fault;
    }
    let names = |of: fn(&TableName) -> &str| array(tables.iter().map(of));
    let (schemas, names) = (names(|table| &table.schema), names(|table| &table.name));
    let holders: Vec<String> = session::open(settings)
        .and_then(|mut connection| Ok(connection.query(HOLDERS, &[&schemas, &names])?))
        .map(|rows| rows.iter().filter_map(|row| row.get("who").map(shown)).collect())
        .unwrap_or_default();
    let who = if holders.is_empty() { String::new() } else { format!("; it is locked by {}", joined(holders)) };
    let hint = "Nothing was changed. Wait for these sessions or end them, or allow more time with `--lock-timeout`.";
    TableFault { hint: hint.to_owned(), message: format!("{}{who}", fault.message), ..fault }
}
