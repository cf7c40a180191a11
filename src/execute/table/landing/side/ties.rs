//! What ties a table to others, taken off at the origin.

use super::super::about::{About, sql};
use super::super::origin::Lost;
use super::closed;
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::plain;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, Row, array};

const KIN: &str = "select $1::oid::text as oid union select relid::oid::text from pg_partition_tree($1::oid)";

/// The table and its partitions.
pub(super) fn kin(connection: &mut Connection, about: &About) -> Result<Vec<String>, Fault> {
    of(connection, &about.oid)
}

fn of(connection: &mut Connection, oid: &str) -> Result<Vec<String>, Fault> {
    connection.query(KIN, &[oid])?.iter().map(|row| row.text("oid").map(str::to_owned)).collect()
}

/// Statements to run.
fn run_all(connection: &mut Connection, query: &str, parameters: &[&str]) -> Result<(), Fault> {
    for row in &connection.query(query, parameters)? {
        connection.run(row.text("statement")?)?;
    }
    Ok(())
}

const PARENTS: &str = "\
    select case when c.relispartition then format('alter table %I.%I detach partition %I.%I', pn.nspname, p.relname, n.nspname, c.relname) \
      else format('alter table %I.%I no inherit %I.%I', n.nspname, c.relname, pn.nspname, p.relname) end as statement \
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = $1::oid";

/// Those to it and those from it.
const REFERENCES: &str = "\
    select format('alter table %I.%I drop constraint if exists %I', n.nspname, c.relname, f.conname) as statement \
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace \
    where f.contype = 'f' and f.conparentid = 0 and (f.conrelid = any($1::oid[]) or f.confrelid = any($2::oid[])) \
      and not (f.conrelid = any($3::oid[]) and f.confrelid = any($3::oid[])) order by f.conrelid, f.conname";

const TRIGGERS: &str = "\
    select format('drop trigger if exists %I on %I.%I', t.tgname, n.nspname, c.relname) as statement \
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace \
    where t.tgrelid = any($1::oid[]) and not t.tgisinternal and t.tgparentid = 0 \
    union all select format('drop rule if exists %I on %I.%I', r.rulename, n.nspname, c.relname) \
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace where r.ev_class = any($1::oid[]) \
    union all select format('drop policy if exists %I on %I.%I', p.polname, n.nspname, c.relname) \
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where p.polrelid = any($1::oid[])";

const ANCESTORS: &str = "select $1::oid::text as oid union select relid::oid::text from pg_partition_ancestors($1::oid)";

/// From this version on an identity is that of a whole partitioned table, and goes with being a part of it. A part that had parts before it became one has
/// it, and they have not, and PostgreSQL refuses to take from them what they lack.
const FIRST_OF_WHOLE_IDENTITIES: u32 = 17;
const NO_IDENTITY: &str = "update pg_catalog.pg_attribute set attidentity = '' where attrelid = any($1::oid[]) and attidentity <> ''";

/// Foreign keys between `together`, which all come back, stay. What goes has been told before.
pub(super) fn untie(connection: &mut Connection, about: &About, together: &[String]) -> Result<(), Fault> {
    let kin = kin(connection, about)?;
    let mut up: Vec<String> =
        connection.query(ANCESTORS, &[&about.oid])?.iter().map(|row| row.text("oid").map(str::to_owned)).collect::<Result<_, _>>()?;
    up.extend(kin.iter().cloned());
    // First, because what is detached would be looked through for rows that are referenced.
    run_all(connection, REFERENCES, &[&array(&kin), &array(&up), &array(together)])?;
    if about.is_partition && connection.major() >= FIRST_OF_WHOLE_IDENTITIES {
        connection.query(NO_IDENTITY, &[&array(&kin)])?;
    }
    run_all(connection, PARENTS, &[&about.oid])?;
    // By being detached it got copies of its parent's.
    run_all(connection, REFERENCES, &[&array(&kin), &array(&kin), &array(together)])?;
    run_all(connection, TRIGGERS, &[&array(&kin)])
}

/// Of a hypertable TimescaleDB lets nobody take its own triggers, and of a compressed one hardly anything. Here only `pg_dump` looks at them, and
/// that reads what is written in the catalogs: without these lines it is a table like any other.
pub(super) fn untie_hypertable(connection: &mut Connection, about: &About) -> Result<(), Fault> {
    const LINES: [&str; 3] = [
        "delete from pg_catalog.pg_trigger where tgrelid = $1::oid and not tgisinternal",
        "delete from pg_catalog.pg_policy where polrelid = $1::oid",
        "delete from pg_catalog.pg_constraint where conrelid = $1::oid and contype = 'f'",
    ];
    LINES.iter().try_for_each(|sql| connection.query(sql, &[&about.oid]).map(drop))
}

/// With everything that lies in a schema of its own right: partitions, sequences, statistics. Under its own name all of it stays where it is.
pub(super) fn shift(connection: &mut Connection, about: &About, becomes: &TableName) -> Result<(), Fault> {
    const SHIFTS: &str = "\
        select format('alter table %I.%I set schema %I', n.nspname, c.relname, $2::text) as statement \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::oid[]) and n.nspname <> $2::text \
        union all select format('alter statistics %I.%I set schema %I', n.nspname, s.stxname, $2::text) \
        from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where s.stxrelid = any($1::oid[]) and n.nspname <> $2::text";
    if about.table == *becomes {
        return Ok(());
    }
    let kin = kin(connection, about)?;
    run_all(connection, SHIFTS, &[&array(&kin), &becomes.schema])?;
    if about.table.name != becomes.name {
        let moved = TableName { schema: becomes.schema.clone(), name: about.table.name.clone() };
        connection.run(&format!("alter table {} rename to {}", sql(&moved), quoted(&becomes.name)))?;
    }
    Ok(())
}

/// What has the new name at the origin already moves out of the way.
pub(super) fn make_way(connection: &mut Connection, about: &About, becomes: &TableName, number: usize) -> Result<(), TableFault> {
    const THERE: &str = "\
        select c.oid::text as oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')";
    let there = connection.query(THERE, &[&becomes.schema, &becomes.name])?;
    let Some(row) = there.iter().next() else { return Ok(()) };
    if row.text("oid")? != about.oid {
        let aside = format!("seawall_aside_{number}");
        connection.run(&format!("create schema {}", quoted(&aside)))?;
        connection.run(&format!("alter table {} set schema {}", sql(becomes), quoted(&aside)))?;
    }
    Ok(())
}

/// Of tables that `pg_dump` is told by name, not all of its versions take the statistics.
pub(super) struct Statistics {
    name: TableName,
    /// With what is said of them.
    makes: String,
}

const STATISTICS: &str = "\
    select n.nspname as schema, s.stxname as name, pg_get_statisticsobjdef(s.oid) \
      || coalesce(format('; comment on statistics %I.%I is ', n.nspname, s.stxname) || quote_literal(obj_description(s.oid, 'pg_statistic_ext')), '') \
      || case when (to_jsonb(s) ->> 'stxstattarget')::int >= 0 \
        then format('; alter statistics %I.%I set statistics %s', n.nspname, s.stxname, to_jsonb(s) ->> 'stxstattarget') else '' end as makes \
    from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where s.stxrelid = any($1::oid[]) order by s.oid";

pub(super) fn statistics(connection: &mut Connection, kin: &[String]) -> Result<Vec<Statistics>, Fault> {
    let one = |row: &Row| {
        let name = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
        Ok(Statistics { name, makes: row.text("makes")?.to_owned() })
    };
    connection.query(STATISTICS, &[&array(kin)])?.iter().map(one).collect()
}

impl Statistics {
    /// Where they have not come.
    pub(super) fn make(&self, connection: &mut Connection) -> Result<(), Fault> {
        const THERE: &str =
            "select from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where n.nspname = $1 and s.stxname = $2";
        if connection.query(THERE, &[&self.name.schema, &self.name.name])?.is_empty() {
            connection.run(&self.makes)?;
        }
        Ok(())
    }
}

const TYPES: &str = "\
    with recursive used(oid) as ( \
      select a.atttypid from pg_attribute a where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped \
      union select x.oid from used u join pg_type t on t.oid = u.oid cross join lateral ( \
        select t.typelem as oid where t.typelem <> 0 union all select t.typbasetype where t.typbasetype <> 0 \
        union all select a.atttypid from pg_attribute a where t.typrelid <> 0 and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped \
        union all select r.rngsubtype from pg_range r where r.rngtypid = t.oid \
        union all select r.rngtypid from pg_range r where to_jsonb(r) ->> 'rngmultitypid' = t.oid::text) x) \
    select format('%I.%I', n.nspname, t.typname) as name, c.relkind::text as kind, t.typtype::text as type, e.extname as extension \
    from used u join pg_type t on t.oid = u.oid join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid \
    left join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e' left join pg_extension e on e.oid = d.refobjid \
    where n.nspname <> 'pg_catalog' and t.typcategory <> 'A' order by 1";

/// Functions and sequences that its defaults, checks and indexes go by, and what would have to go without them.
const USED: &str = "\
    with uses as ( \
      select format('alter table %I.%I alter column %I set default ', n.nspname, c.relname, a.attname) || pg_get_expr(ad.adbin, ad.adrelid) as again, \
        case when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then format('(%I) from %I.%I', a.attname, n.nspname, c.relname) end as numbers, ad.oid as object, 'pg_attrdef'::regclass::oid as class, a.attname as name, a.attgenerated <> '' as computed, \
        format('alter table %I.%I alter column %I drop default', n.nspname, c.relname, a.attname) as statement, format('the default of %I', a.attname) as what \
      from pg_attrdef ad join pg_attribute a on a.attrelid = ad.adrelid and a.attnum = ad.adnum \
      join pg_class c on c.oid = ad.adrelid join pg_namespace n on n.oid = c.relnamespace where ad.adrelid = any($1::oid[]) \
      union all select format('alter table %I.%I add constraint %I ', n.nspname, c.relname, k.conname) || pg_get_constraintdef(k.oid), null, \
        k.oid, 'pg_constraint'::regclass, k.conname, false, \
        format('alter table %I.%I drop constraint if exists %I', n.nspname, c.relname, k.conname), format('the constraint %I', k.conname) \
      from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace \
      where k.conrelid = any($1::oid[]) and k.contype = 'c' and k.coninhcount = 0 \
      union all select pg_get_indexdef(i.oid), null, i.oid, 'pg_class'::regclass, i.relname, false, format('drop index if exists %I.%I', n.nspname, i.relname), format('the index %I', i.relname) \
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = i.relnamespace \
      where x.indrelid = any($1::oid[]) and not i.relispartition) \
    select u.statement, u.what, u.computed, u.name, coalesce(p.oid::regprocedure::text, s.oid::regclass::text) as needs, p.oid is not null as calls, \
      case when p.oid is null or p.prokind <> 'a' and not p.prosecdef then coalesce(pg_get_functiondef(p.oid), format( \
        'create sequence %s as %s increment %s minvalue %s maxvalue %s start %s cache %s%s', s.oid::regclass, format_type(q.seqtypid, null), q.seqincrement, \
        q.seqmin, q.seqmax, q.seqstart, q.seqcache, case when q.seqcycle then ' cycle' else '' end)) || '; ' || u.again || coalesce(format('; select pg_catalog.setval(%L, (select ', s.oid::regclass) || case when q.seqincrement > 0 then 'max' else 'min' end \
          || u.numbers || '))', '') end as again \
    from uses u join pg_depend d on d.classid = u.class and d.objid = u.object and d.deptype = 'n' \
    left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid and p.pronamespace <> 'pg_catalog'::regnamespace \
    left join pg_class s on d.refclassid = 'pg_class'::regclass and s.oid = d.refobjid and s.relkind = 'S' \
      and not exists (select from pg_depend o where o.classid = 'pg_class'::regclass and o.objid = s.oid and o.deptype in ('a', 'i') and o.refobjid = any($1::oid[])) \
    left join pg_sequence q on q.seqrelid = s.oid \
    where p.oid is not null or s.oid is not null";

/// What makes a type again.
const MAKES: &str = "\
    select case t.typtype when 'e' then format('create type %I.%I as enum (%s)', n.nspname, t.typname, \
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)) \
      when 'd' then format('create domain %I.%I as %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod)) \
        || coalesce(' default ' || t.typdefault, '') || case when t.typnotnull then ' not null' else '' end \
        || coalesce((select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by k.conname) \
          from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '') \
      when 'c' then format('create type %I.%I as (%s)', n.nspname, t.typname, (select string_agg(format('%I %s', a.attname, \
        format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) from pg_attribute a \
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)) end as makes \
    from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.oid = to_regtype($1)";

fn without_type(from: &mut Connection, name: &str) -> Result<TableFault, TableFault> {
    let makes = from.query(MAKES, &[name])?.one()?.get("makes").map(|sql| format!(": `{sql}`")).unwrap_or_default();
    let hint = format!("Restore into a schema that is new, and the type comes along; or make it there first{makes}.");
    Ok(TableFault::new(format!("the destination does not have the type {name}"), hint))
}

/// Before PostgreSQL 16 a function whose arguments are of a type that is not there, or of a schema that is not, was asked for in vain: it is gone
/// like those.
pub(super) fn is_gone(to: &mut Connection, look: &str, name: &str) -> Result<bool, Fault> {
    match to.query(look, &[name]) {
        Err(fault) if matches!(fault.code(), Some("42704" | "3F000")) => Ok(true),
        asked => asked?.one()?.flag("gone"),
    }
}

pub(super) const IS_NO_FUNCTION: &str = "select to_regprocedure($1) is null as gone";
pub(super) const IS_NO_RELATION: &str = "select to_regclass($1) is null as gone";

/// What the destination does not have: types come along where there is a schema to put them into; what calls a function that is not there goes.
pub(super) fn lacking(from: &mut Connection, to: &mut Connection, oid: &str, schema: Option<&str>) -> Result<Vec<Lost>, TableFault> {
    let kin = array(of(from, oid)?);
    for row in &from.query(TYPES, &[&kin])? {
        let name = row.text("name")?;
        let there = to.query("select to_regtype($1) is not null as there", &[name])?.one()?.flag("there")?;
        match (there, row.get("extension"), row.get("kind"), schema) {
            (true, ..) => {}
            (false, Some(extension), ..) => {
                let message = format!("the destination does not have the type {name} of the extension `{}`", plain(extension));
                return Err(TableFault::new(message, format!("`create extension {}` there first.", quoted(extension))));
            }
            (false, None, None | Some("c"), Some(schema)) if !name.starts_with(&format!("{}.", quoted_as_shown(from, schema)?)) => {
                from.run(&format!("alter type {name} set schema {}", quoted(schema)))?;
            }
            (false, None, None | Some("c"), Some(_)) => {}
            (false, ..) => return Err(without_type(from, name)?),
        }
    }
    let mut left_out = Vec::new();
    for row in &from.query(USED, &[&kin])? {
        let (needs, calls) = (row.text("needs")?, row.flag("calls")?);
        if !is_gone(to, if calls { IS_NO_FUNCTION } else { IS_NO_RELATION }, needs)? {
            continue;
        }
        if row.flag("computed")? {
            let message = format!("the column {} is computed by {needs}, which the destination does not have", quoted(row.text("name")?));
            return Err(TableFault::new(message, "Make the function there first, or write the rows as CSV (`--csv FILE`)."));
        }
        from.run(row.text("statement")?)?;
        let what = format!("{}, which needs {}", plain(row.text("what")?), plain(needs));
        let closes = if calls { None } else { closed::closes(to, "S", needs)? };
        let sql = row.get("again").map(|again| [again.to_owned()].into_iter().chain(closes).collect::<Vec<_>>().join("; "));
        left_out.push(Lost { what, sql });
    }
    Ok(left_out)
}

/// As `format('%I')` writes it.
fn quoted_as_shown(connection: &mut Connection, name: &str) -> Result<String, Fault> {
    Ok(connection.query("select quote_ident($1) as name", &[name])?.one()?.text("name")?.to_owned())
}
