//! Constraints that are only checked at the end of a transaction: the check is a trigger, and no trigger runs for rows that come back.

use super::about::About;
use crate::execute::table::TableFault;
use crate::plan::words::{plain, quoted as shown};
use crate::postgres::{Connection, Fault, Row};

/// A unique one, as what it forbids. Or one that cannot be asked.
pub(super) struct Deferrable {
    pub name: String,
    pub table: String,
    /// `group by` these, where `says`, and no group has two rows.
    columns: String,
    says: String,
    shown: String,
    excludes: bool,
}

/// Of a partition that comes alone its own, also where it is its parent's too; of its parts only what the parent does not say.
const DEFERRABLE: &str = "\
    with kin(oid) as (select $1::oid union select relid from pg_partition_tree($1::oid)) \
    select k.conname as name, format('%I.%I', n.nspname, c.relname) as table, \
      k.contype = 'x' or coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) as excludes, \
      coalesce(string_agg(format('x.%I', a.attname), ', ' order by u.at) filter (where a.attname is not null), '') as columns, \
      coalesce(string_agg(format('x.%I::text', a.attname), ', ' order by u.at) filter (where a.attname is not null), '') as shown, \
      case when coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) then 'true' \
        else coalesce(string_agg(format('x.%I is not null', a.attname), ' and ' order by u.at) filter (where a.attname is not null), 'true') end as says \
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace \
    left join pg_index i on i.indexrelid = k.conindid \
    left join lateral unnest(k.conkey) with ordinality as u(att, at) on true \
    left join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.att \
    where k.condeferrable and k.contype in ('p', 'u', 'x') and k.conrelid in (select oid from kin) and (k.conrelid = $1::oid or k.conparentid = 0) \
    group by k.oid, k.conname, n.nspname, c.relname, k.contype, to_jsonb(k), to_jsonb(i) order by n.nspname, c.relname, k.conname";

fn deferrable(connection: &mut Connection, about: &About) -> Result<Vec<Deferrable>, Fault> {
    let one = |row: &Row| {
        let text = |name: &str| row.text(name).map(str::to_owned);
        Ok(Deferrable {
            name: text("name")?,
            table: text("table")?,
            columns: text("columns")?,
            says: text("says")?,
            shown: text("shown")?,
            excludes: row.flag("excludes")?,
        })
    };
    connection.query(DEFERRABLE, &[&about.oid])?.iter().map(one).collect()
}

/// Those that can be asked.
pub(super) fn unique(connection: &mut Connection, about: &About) -> Result<Vec<Deferrable>, Fault> {
    Ok(deferrable(connection, about)?.into_iter().filter(|one| !one.excludes).collect())
}

/// Before anything is done: is there one of a kind that cannot be asked?
pub(super) fn must_be_askable(connection: &mut Connection, about: &About) -> Result<(), TableFault> {
    match deferrable(connection, about)?.into_iter().find(|one| one.excludes) {
        Some(one) => {
            let message =
                format!("the constraint {} of {} excludes rows, is deferrable, and cannot be checked here", shown(&one.name), one.table);
            Err(TableFault::new(message, "Restore into a schema beside it (`--into-schema NAME`), and take over the rows by SQL."))
        }
        None => Ok(()),
    }
}

/// No two rows have what only one may have.
pub(super) fn must_hold(connection: &mut Connection, tables: &[&About]) -> Result<(), TableFault> {
    for about in tables {
        for one in unique(connection, about)? {
            let sql = format!("select left(concat_ws(', ', {}), 120) as key {} limit 1", one.shown, one.broken());
            if let Some(row) = connection.query(&sql, &[])?.iter().next() {
                let key = plain(row.get("key").unwrap_or_default());
                let message =
                    format!("the constraint {} of {} would not hold any more: several rows have `{key}`", shown(&one.name), one.table);
                let hint = "Nothing was changed. Bring back the rows that have these values now as well (without `--where`, or with a wider one), or \
                            restore into a schema beside it (`--into-schema NAME`) and decide there.";
                return Err(TableFault::new(message, hint));
            }
        }
    }
    Ok(())
}

impl Deferrable {
    /// `from … having …`: a row for each group that must not be.
    pub(super) fn broken(&self) -> String {
        format!("from {} x where {} group by {} having count(*) > 1", self.table, self.says, self.columns)
    }
}
