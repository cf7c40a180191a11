//! Foreign keys from and to a table whose rows have changed while no trigger ran: each is asked by an anti-join whether it still holds.

use super::about::{About, hypertables};
use crate::execute::table::TableFault;
use crate::plan::words::plain;
use crate::postgres::{Connection, Fault, Row};

/// So many keys are shown of those that lead nowhere.
const EXAMPLES: usize = 5;
const SHOWN: usize = 120;

/// A foreign key, as the conditions that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    name: String,
    /// As SQL takes them in a `from`.
    from: String,
    to: String,
    /// Between `p`, which is referenced, and `x`.
    same: String,
    /// Rows of `x` for which the constraint says something.
    says: String,
    /// What is shown of `x`.
    shown: String,
    columns: String,
    /// Nobody has promised that it holds.
    not_valid: bool,
    with_period: bool,
}

/// Where the table is a partition, those of its ancestors hold for it; where it has partitions, theirs do. What others inherit from is asked
/// without them; where nobody does, `only` would have TimescaleDB leave out the compressed rows of a chunk. A hypertable is asked with its
/// chunks, and these have no references of their own.
const REFERENCES: &str = "\
    with kin(oid) as (select $1::oid union select relid from pg_partition_ancestors($1::oid) union select relid from pg_partition_tree($1::oid) \
        union select h.inhrelid from pg_inherits h join pg_class c on c.oid = h.inhrelid where h.inhparent = $1::oid) \
    select f.conname as name, not f.convalidated as not_valid, coalesce((to_jsonb(f) ->> 'conperiod')::boolean, false) as period, \
      case when x.relkind = 'p' or not x.relhassubclass or x.oid = any($2::oid[]) then '' else 'only ' end || format('%I.%I', xn.nspname, x.relname) as from, \
      case when p.relkind = 'p' or not p.relhassubclass or p.oid = any($2::oid[]) then '' else 'only ' end || format('%I.%I', pn.nspname, p.relname) as to, \
      string_agg(format('p.%I operator(%I.%s) x.%I', pa.attname, opn.nspname, op.oprname, xa.attname), ' and ' order by k.at) as same, \
      string_agg(format('x.%I is not null', xa.attname), case f.confmatchtype when 'f' then ' or ' else ' and ' end order by k.at) as says, \
      string_agg(format('x.%I::text', xa.attname), ', ' order by k.at) as shown, \
      string_agg(xa.attname, ', ' order by k.at) as columns \
    from pg_constraint f join pg_class x on x.oid = f.conrelid join pg_namespace xn on xn.oid = x.relnamespace \
    join pg_class p on p.oid = f.confrelid join pg_namespace pn on pn.oid = p.relnamespace \
    cross join lateral unnest(f.conkey, f.confkey, f.conpfeqop) with ordinality as k(x, p, op, at) \
    join pg_attribute xa on xa.attrelid = f.conrelid and xa.attnum = k.x join pg_attribute pa on pa.attrelid = f.confrelid and pa.attnum = k.p \
    join pg_operator op on op.oid = k.op join pg_namespace opn on opn.oid = op.oprnamespace \
    where f.contype = 'f' and f.conparentid = 0 and coalesce((to_jsonb(f) ->> 'conenforced')::boolean, true) \
      and (f.conrelid in (select oid from kin) or f.confrelid in (select oid from kin)) \
      and not exists (select from pg_inherits h where h.inhrelid in (f.conrelid, f.confrelid) and h.inhparent = any($2::oid[])) \
    group by f.oid, f.conname, f.convalidated, f.confmatchtype, x.oid, x.relkind, x.relhassubclass, xn.nspname, x.relname, p.oid, p.relkind, \
      p.relhassubclass, pn.nspname, p.relname, to_jsonb(f) \
    order by xn.nspname, x.relname, f.conname";

fn references(connection: &mut Connection, about: &About) -> Result<Vec<Reference>, Fault> {
    let reference = |row: &Row| {
        let text = |name: &str| row.text(name).map(str::to_owned);
        Ok(Reference {
            name: text("name")?,
            from: text("from")?,
            to: text("to")?,
            same: text("same")?,
            says: text("says")?,
            shown: text("shown")?,
            columns: text("columns")?,
            not_valid: row.flag("not_valid")?,
            with_period: row.flag("period")?,
        })
    };
    let hypertables = hypertables(connection)?;
    connection.query(REFERENCES, &[&about.oid, &hypertables])?.iter().map(reference).collect()
}

/// Before anything is done: is there one of a kind that cannot be asked?
pub(super) fn must_be_askable(connection: &mut Connection, about: &About) -> Result<(), TableFault> {
    match references(connection, about)?.into_iter().find(|reference| reference.with_period) {
        Some(reference) => {
            let message =
                format!("the foreign key `{}` of {} goes by a period of time, and cannot be checked here", reference.name, reference.from);
            Err(TableFault::new(message, "Restore into a schema beside it (`--into-schema NAME`), and take over the rows by SQL."))
        }
        None => Ok(()),
    }
}

/// Every one of them holds, or the rows of those that do not are named. What was never validated is only told.
pub(super) fn must_hold(connection: &mut Connection, tables: &[&About], remarks: &mut Vec<String>) -> Result<(), TableFault> {
    let mut broken = Vec::new();
    let mut asked: Vec<Reference> = Vec::new();
    for about in tables {
        for reference in references(connection, about)? {
            if asked.contains(&reference) {
                continue;
            }
            if let Some(what) = reference.broken(connection)? {
                if reference.not_valid {
                    remarks.push(format!("{what} (it is NOT VALID, so nobody has promised otherwise)"))
                } else {
                    broken.push(what)
                }
            }
            asked.push(reference);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let hint = "Nothing was changed. Restore the tables that these rows need or that need these rows together (`--table` again), or restore \
                into a schema beside it (`--into-schema NAME`) and decide there.";
    Err(TableFault::new(format!("foreign keys would not hold any more: {}", broken.join("; ")), hint))
}

/// Of those that hold: their names, and the rows for which they would not, as a `select`.
pub(super) fn broken(connection: &mut Connection, tables: &[&About]) -> Result<Vec<(String, String)>, Fault> {
    let mut all: Vec<Reference> = Vec::new();
    for about in tables {
        for reference in references(connection, about)? {
            if !reference.not_valid && !all.contains(&reference) {
                all.push(reference);
            }
        }
    }
    let select = |Reference { name, from, to, same, says, .. }: Reference| {
        let rows = format!("select from {from} x where ({says}) and not exists (select from {to} p where {same})");
        (name, rows)
    };
    Ok(all.into_iter().map(select).collect())
}

impl Reference {
    fn broken(&self, connection: &mut Connection) -> Result<Option<String>, Fault> {
        let Reference { from, to, same, says, shown, .. } = self;
        let sql = format!(
            "select x.*, count(*) over () as n from (select concat_ws(', ', {shown}) as key, count(*) as rows from {from} x \
             where ({says}) and not exists (select from {to} p where {same}) group by 1) x order by key limit {EXAMPLES}"
        );
        let rows = connection.query(&sql, &[])?;
        let Some(first) = rows.iter().next() else { return Ok(None) };
        let keys: u64 = first.parse("n")?;
        let total = format!("select count(*) as n from {from} x where ({says}) and not exists (select from {to} p where {same})");
        let count: u64 = connection.query(&total, &[])?.one()?.parse("n")?;
        let examples: Vec<String> = rows.iter().map(|row| clip(row.get("key").unwrap_or_default())).collect();
        let more = if keys > examples.len() as u64 { ", …" } else { "" };
        let bare = |name: &str| name.strip_prefix("only ").unwrap_or(name).to_owned();
        Ok(Some(format!(
            "`{}`: {count} of the rows in {} lead to none in {}: {} = {}{more}",
            plain(&self.name),
            bare(from),
            bare(to),
            self.columns,
            examples.join("; ")
        )))
    }
}

fn clip(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}
