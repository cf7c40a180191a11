//! What ties a table to others, taken off at the origin and told.

use super::super::about::{About, Kind, sql};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::{joined, plain};
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, array};

const KIN: &str = "select $1::oid::text as oid union select relid::oid::text from pg_partition_tree($1::oid)";

/// The table and its partitions.
pub(super) fn kin(connection: &mut Connection, about: &About) -> Result<Vec<String>, Fault> {
    of(connection, &about.oid)
}

fn of(connection: &mut Connection, oid: &str) -> Result<Vec<String>, Fault> {
    connection.query(KIN, &[oid])?.iter().map(|row| row.text("oid").map(str::to_owned)).collect()
}

/// Statements to run, and what each of them leaves out.
fn run_all(connection: &mut Connection, query: &str, parameters: &[&str]) -> Result<Vec<String>, Fault> {
    let mut left_out = Vec::new();
    for row in &connection.query(query, parameters)? {
        connection.run(row.text("statement")?)?;
        left_out.extend(row.get("what").map(plain));
    }
    Ok(left_out)
}

const PARENTS: &str = "\
    select case when c.relispartition then format('alter table %I.%I detach partition %I.%I', pn.nspname, p.relname, n.nspname, c.relname) \
      else format('alter table %I.%I no inherit %I.%I', n.nspname, c.relname, pn.nspname, p.relname) end as statement, \
      format('that it is a part of %I.%I', pn.nspname, p.relname) as what \
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = $1::oid";

/// Those to it and those from it; without a word for those of others.
const REFERENCES: &str = "\
    select format('alter table %I.%I drop constraint if exists %I', n.nspname, c.relname, f.conname) as statement, \
      case when f.conrelid = any($1::oid[]) then format('the foreign key %I', f.conname) end as what \
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace \
    where f.contype = 'f' and f.conparentid = 0 and (f.conrelid = any($1::oid[]) or f.confrelid = any($2::oid[])) \
      and not (f.conrelid = any($3::oid[]) and f.confrelid = any($3::oid[])) order by f.conrelid, f.conname";

const TRIGGERS: &str = "\
    select format('drop trigger if exists %I on %I.%I', t.tgname, n.nspname, c.relname) as statement, format('the trigger %I', t.tgname) as what \
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace \
    where t.tgrelid = any($1::oid[]) and not t.tgisinternal and t.tgparentid = 0 \
    union all select format('drop rule if exists %I on %I.%I', r.rulename, n.nspname, c.relname), format('the rule %I', r.rulename) \
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace where r.ev_class = any($1::oid[]) \
    union all select format('drop policy if exists %I on %I.%I', p.polname, n.nspname, c.relname), \
      format('the policy %I (row-level security stays on, so only its owner and superusers see rows)', p.polname) \
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where p.polrelid = any($1::oid[])";

const ANCESTORS: &str = "select $1::oid::text as oid union select relid::oid::text from pg_partition_ancestors($1::oid)";

/// Foreign keys between `together`, which all come back, stay.
pub(super) fn untie(connection: &mut Connection, about: &About, together: &[String]) -> Result<Vec<String>, Fault> {
    let kin = kin(connection, about)?;
    let mut up: Vec<String> =
        connection.query(ANCESTORS, &[&about.oid])?.iter().map(|row| row.text("oid").map(str::to_owned)).collect::<Result<_, _>>()?;
    up.extend(kin.iter().cloned());
    // First, because what is detached would be looked through for rows that are referenced.
    let mut left_out = run_all(connection, REFERENCES, &[&array(&kin), &array(&up), &array(together)])?;
    left_out.extend(run_all(connection, PARENTS, &[&about.oid])?);
    // By being detached it got copies of its parent's.
    left_out.extend(run_all(connection, REFERENCES, &[&array(&kin), &array(&kin), &array(together)])?);
    left_out.extend(run_all(connection, TRIGGERS, &[&array(&kin)])?);
    Ok(left_out)
}

/// With everything that lies in a schema of its own right: partitions, sequences, statistics.
pub(super) fn shift(connection: &mut Connection, about: &About, becomes: &TableName) -> Result<(), Fault> {
    const SHIFTS: &str = "\
        select format('alter table %I.%I set schema %I', n.nspname, c.relname, $2::text) as statement \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::oid[]) and n.nspname <> $2::text \
        union all select format('alter statistics %I.%I set schema %I', n.nspname, s.stxname, $2::text) \
        from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where s.stxrelid = any($1::oid[]) and n.nspname <> $2::text";
    let kin = kin(connection, about)?;
    run_all(connection, SHIFTS, &[&array(&kin), &becomes.schema])?;
    if about.table.name != becomes.name {
        let moved = TableName { schema: becomes.schema.clone(), name: about.table.name.clone() };
        connection.run(&format!("alter table {} rename to {}", sql(&moved), quoted(&becomes.name)))?;
    }
    Ok(())
}

/// What has the new name at the origin already moves out of the way, be it the hypertable itself, whose twin takes its name. Gives where the
/// table is now.
pub(super) fn make_way(connection: &mut Connection, about: &About, becomes: &TableName, number: usize) -> Result<About, TableFault> {
    const THERE: &str = "\
        select c.oid::text as oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')";
    let there = connection.query(THERE, &[&becomes.schema, &becomes.name])?;
    let Some(row) = there.iter().next() else { return Ok(about.clone()) };
    let is_itself = row.text("oid")? == about.oid;
    if is_itself && about.kind != Kind::Hypertable {
        return Ok(about.clone());
    }
    let aside = format!("seawall_aside_{number}");
    connection.run(&format!("create schema {}", quoted(&aside)))?;
    connection.run(&format!("alter table {} set schema {}", sql(becomes), quoted(&aside)))?;
    let table = if is_itself { TableName { schema: aside, name: becomes.name.clone() } } else { about.table.clone() };
    Ok(About { table, ..about.clone() })
}

/// An empty table like a hypertable, of which TimescaleDB knows nothing. Gives its number.
pub(super) fn like(connection: &mut Connection, about: &About, becomes: &TableName) -> Result<String, TableFault> {
    debug_assert_eq!(about.kind, Kind::Hypertable);
    connection.run(&format!("create table {} (like {} including all)", sql(becomes), about.name()))?;
    let made = connection.query("select $1::regclass::oid::text as oid", &[&sql(becomes)])?;
    Ok(made.one()?.text("oid")?.to_owned())
}

pub(super) fn names(connection: &mut Connection, oid: &str) -> Result<Vec<TableName>, Fault> {
    const NAMES: &str = "select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where c.oid = any($1::oid[]) \
        union select n.nspname, c.relname from pg_depend d join pg_class c on c.oid = d.objid and c.relkind = 'S' join pg_namespace n on n.oid = c.relnamespace \
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjid = any($1::oid[]) order by 1, 2";
    let kin = of(connection, oid)?;
    let rows = connection.query(NAMES, &[&array(&kin)])?;
    rows.iter().map(|row| Ok(TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() })).collect()
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
      select ad.oid as object, 'pg_attrdef'::regclass::oid as class, a.attname as name, a.attgenerated <> '' as computed, \
        format('alter table %I.%I alter column %I drop default', n.nspname, c.relname, a.attname) as statement, format('the default of %I', a.attname) as what \
      from pg_attrdef ad join pg_attribute a on a.attrelid = ad.adrelid and a.attnum = ad.adnum \
      join pg_class c on c.oid = ad.adrelid join pg_namespace n on n.oid = c.relnamespace where ad.adrelid = any($1::oid[]) \
      union all select k.oid, 'pg_constraint'::regclass, k.conname, false, \
        format('alter table %I.%I drop constraint if exists %I', n.nspname, c.relname, k.conname), format('the constraint %I', k.conname) \
      from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace \
      where k.conrelid = any($1::oid[]) and k.contype = 'c' and k.coninhcount = 0 \
      union all select i.oid, 'pg_class'::regclass, i.relname, false, format('drop index if exists %I.%I', n.nspname, i.relname), format('the index %I', i.relname) \
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = i.relnamespace \
      where x.indrelid = any($1::oid[]) and not i.relispartition) \
    select u.statement, u.what, u.computed, u.name, coalesce(p.oid::regprocedure::text, s.oid::regclass::text) as needs, p.oid is not null as calls \
    from uses u join pg_depend d on d.classid = u.class and d.objid = u.object and d.deptype = 'n' \
    left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid and p.pronamespace <> 'pg_catalog'::regnamespace \
    left join pg_class s on d.refclassid = 'pg_class'::regclass and s.oid = d.refobjid and s.relkind = 'S' \
      and not exists (select from pg_depend o where o.classid = 'pg_class'::regclass and o.objid = s.oid and o.deptype in ('a', 'i') and o.refobjid = any($1::oid[])) \
    where p.oid is not null or s.oid is not null";

const OWNER: &str = "select pg_catalog.pg_get_userbyid(relowner)::text as owner from pg_catalog.pg_class where oid = $1::oid";
const GRANTED: &str = "\
    select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as name \
    from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a where c.oid = $1::oid and a.grantee <> c.relowner order by 1";

/// Whose it was, and who might use it, where that is not so for whoever restores it.
pub(super) fn rights(from: &mut Connection, to: &mut Connection, oid: &str) -> Result<Option<String>, Fault> {
    let owner = from.query(OWNER, &[oid])?.one()?.text("owner")?.to_owned();
    let granted = from.query(GRANTED, &[oid])?;
    let granted: Vec<String> = granted.iter().map(|row| row.text("name").map(plain)).collect::<Result<_, Fault>>()?;
    let is_mine = to.query("select current_user::text = $1 as it", &[&owner])?.one()?.flag("it")?;
    let owned = (!is_mine).then(|| format!("that it belongs to {}", plain(quoted(&owner))));
    let granted = (!granted.is_empty()).then(|| format!("what is granted to {}", joined(granted)));
    let both: Vec<String> = owned.into_iter().chain(granted).collect();
    Ok((!both.is_empty()).then(|| both.join(" and ")))
}

/// What the destination does not have: types come along where there is a schema to put them into; what calls a function that is not there goes.
pub(super) fn lacking(from: &mut Connection, to: &mut Connection, oid: &str, schema: Option<&str>) -> Result<Vec<String>, TableFault> {
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
            (false, ..) => {
                let message = format!("the destination does not have the type {name}");
                return Err(TableFault::new(
                    message,
                    "Restore into a schema that is new, and the type comes along; or make it there first.",
                ));
            }
        }
    }
    let mut left_out = Vec::new();
    for row in &from.query(USED, &[&kin])? {
        let (needs, calls) = (row.text("needs")?, row.flag("calls")?);
        let look = if calls { "select to_regprocedure($1) is not null as there" } else { "select to_regclass($1) is not null as there" };
        if to.query(look, &[needs])?.one()?.flag("there")? {
            continue;
        }
        if row.flag("computed")? {
            let message = format!("the column {} is computed by {needs}, which the destination does not have", quoted(row.text("name")?));
            return Err(TableFault::new(message, "Make the function there first, or write the rows as CSV (`--csv FILE`)."));
        }
        from.run(row.text("statement")?)?;
        left_out.push(format!("{}, which needs {}", plain(row.text("what")?), plain(needs)));
    }
    Ok(left_out)
}

/// As `format('%I')` writes it.
fn quoted_as_shown(connection: &mut Connection, name: &str) -> Result<String, Fault> {
    Ok(connection.query("select quote_ident($1) as name", &[name])?.one()?.text("name")?.to_owned())
}
