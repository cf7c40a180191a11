//! Every constraint is validated, and every foreign key has its rows: looked at row by row, for whoever trusted the mark alone would not
//! notice what was written past it.

use super::judge::{Verdict, all_well, tally};
use super::session::Limit;
use super::{Copy, everywhere};
use crate::plan::words::quoted;
use crate::policy::sql_name;
use crate::postgres::{Connection, Fault, Row};
use crate::units::Decimal;

/// Constraints of tables and of domains that are to hold and that nobody has proved.
const NOT_VALID: &str = "select c.conname, coalesce(n.nspname, d.nspname) as schema, coalesce(t.relname, y.typname) as name \
    from pg_constraint c left join pg_class t on t.oid = c.conrelid left join pg_namespace n on n.oid = t.relnamespace \
    left join pg_type y on y.oid = c.contypid left join pg_namespace d on d.oid = y.typnamespace \
    where not c.convalidated and c.contype in ('c', 'f', 'n') and coalesce((pg_catalog.to_jsonb(c) ->> 'conenforced')::boolean, true) \
    order by 2, 3, 1";
const ALL: &str = "select count(*) as count from pg_constraint where contype in ('c', 'f', 'p', 'u', 'x', 'n')";
/// Each foreign key as PostgreSQL itself would compare its columns. Of one between partitioned tables those of the parts are left out, for the
/// whole is looked at. What points to a hypertable points into its chunks, while what points from one has a key in each of them.
const FOREIGN_KEYS: &str = "select c.conname, fn.nspname as schema, f.relname as name, pn.nspname as other_schema, p.relname as other_name, \
    f.relkind = 'p' as parted, \
    p.relkind = 'p' or exists (select from pg_inherits i join pg_class h on h.oid = i.inhrelid where i.inhparent = p.oid and h.relname ~ '^_hyper_') \
        as other_parted, c.confmatchtype = 'f' as is_full, \
    coalesce((pg_catalog.to_jsonb(c) ->> 'conperiod')::boolean, false) as is_temporal, \
    pg_catalog.array_to_json(array(select a.attname::text from unnest(c.conkey) with ordinality k(n, o) \
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by k.o))::text as columns, \
    pg_catalog.array_to_json(array(select a.attname::text from unnest(c.confkey) with ordinality k(n, o) \
        join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.n order by k.o))::text as other_columns, \
    pg_catalog.array_to_json(array(select 'operator(' || pg_catalog.quote_ident(s.nspname) || '.' || q.oprname || ')' \
        from unnest(c.conpfeqop) with ordinality k(n, o) join pg_operator q on q.oid = k.n join pg_namespace s on s.oid = q.oprnamespace \
        order by k.o))::text as operators \
    from pg_constraint c join pg_class f on f.oid = c.conrelid join pg_namespace fn on fn.oid = f.relnamespace \
    join pg_class p on p.oid = c.confrelid join pg_namespace pn on pn.oid = p.relnamespace \
    where c.contype = 'f' and c.conparentid = 0 and c.convalidated and coalesce((pg_catalog.to_jsonb(c) ->> 'conenforced')::boolean, true) \
    order by 2, 3, 1";

pub(super) fn look(copy: &Copy<'_>, databases: &[String], limit: &Limit<'_>) -> Result<Verdict, String> {
    let (mut wrong, mut constraints, mut keys, mut temporal) = (Vec::new(), 0, 0, 0);
    everywhere(copy, databases, limit, |database, connection| {
        constraints += connection.query(ALL, &[])?.one()?.parse::<usize>("count")?;
        for row in &connection.query(NOT_VALID, &[])? {
            wrong.push(format!("{} of {} was never validated", quoted(row.text("conname")?), place(database, row, "schema", "name")?));
        }
        for row in &connection.query(FOREIGN_KEYS, &[])? {
            if row.flag("is_temporal")? {
                temporal += 1;
                continue;
            }
            keys += 1;
            wrong.extend(orphans(database, connection, row)?);
        }
        Ok(())
    })?;
    let mut well =
        format!("{} valid, and every row of {} has its counterpart", tally(constraints, "constraint"), tally(keys, "foreign key"));
    if temporal > 0 {
        well.push_str(&format!("; {} over periods not looked at row by row", tally(temporal, "foreign key")));
    }
    Ok(all_well(well, &wrong))
}

fn place(database: &str, row: &Row, schema: &str, name: &str) -> Result<String, Fault> {
    Ok(quoted(format!("{database}: {}.{}", row.text(schema)?, row.text(name)?)))
}

/// The rows of a foreign key that point to nothing.
fn orphans(database: &str, connection: &mut Connection, key: &Row) -> Result<Option<String>, Fault> {
    let rows = connection.query(&anti_join(key)?, &[])?;
    let count: u64 = rows.one()?.parse("count")?;
    if count == 0 {
        return Ok(None);
    }
    let (of, to) = (place(database, key, "schema", "name")?, place(database, key, "other_schema", "other_name")?);
    let rows = if count == 1 { "1 row".to_owned() } else { format!("{} rows", Decimal::from(count)) };
    Ok(Some(format!("{rows} of {of} without a row of {to} ({})", quoted(key.text("conname")?))))
}

/// As PostgreSQL validates a foreign key, but counted.
fn anti_join(key: &Row) -> Result<String, Fault> {
    let list = |name: &str| -> Result<Vec<String>, Fault> {
        serde_json::from_str(key.text(name)?).map_err(|error| Fault::unexpected(format!("the columns of a foreign key: {error}"), ""))
    };
    let (own, other, operators) = (list("columns")?, list("other_columns")?, list("operators")?);
    let own: Vec<String> = own.iter().map(|name| format!("f.{}", sql_name::quoted(name))).collect();
    let other: Vec<String> = other.iter().map(|name| format!("p.{}", sql_name::quoted(name))).collect();
    let first = other.first().ok_or_else(|| Fault::unexpected("a foreign key without columns", ""))?;
    let same: Vec<String> =
        other.iter().zip(&operators).zip(&own).map(|((other, operator), own)| format!("{other} {operator} {own}")).collect();
    let is_set: Vec<String> = own.iter().map(|column| format!("{column} is not null")).collect();
    // A partly null key points nowhere by `match simple`, and is itself wrong by `match full`.
    let counts = if key.flag("is_full")? { is_set.join(" or ") } else { is_set.join(" and ") };
    let table = |schema: &str, name: &str, parted: &str| -> Result<String, Fault> {
        let only = if key.flag(parted)? { "" } else { "only " };
        Ok(format!("{only}{}.{}", sql_name::quoted(key.text(schema)?), sql_name::quoted(key.text(name)?)))
    };
    Ok(format!(
        "select count(*) as count from {} f left join {} p on {} where {first} is null and ({counts})",
        table("schema", "name", "parted")?,
        table("other_schema", "other_name", "other_parted")?,
        same.join(" and "),
    ))
}
