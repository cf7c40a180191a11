//! What a condition reads beside the row.
//!
//! The private server has rows of the wanted tables only. A condition that looked into another table there would find nothing in it, and
//! decide by that which rows are missing.

use super::about::About;
use crate::execute::table::TableFault;
use crate::policy::sql_name::quoted;
use crate::postgres::Connection;

/// A view's own tree names each relation that it reads, and each function that it calls, also by an operator. Those of PostgreSQL itself are
/// recorded nowhere else.
const READS: &str = "\
    with rule as (select r.oid, r.ev_class, r.ev_action::text as tree from pg_rewrite r where r.ev_class = to_regclass($1)), \
    named(what, oid) as (select m[1], m[2]::oid \
        from rule cross join lateral regexp_matches(rule.tree, ':(relid|funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') m), \
    depends(class, oid) as (select d.refclassid, d.refobjid from rule join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = rule.oid), \
    calls(oid) as (select oid from named where what <> 'relid' union select oid from depends where class = 'pg_proc'::regclass \
        union select o.oprcode from depends join pg_operator o on o.oid = depends.oid where class = 'pg_operator'::regclass) \
    select case when c.oid = $2::oid then 'row' else 'relation' end as what, format('%I.%I', n.nspname, c.relname) as name \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.oid in (select oid from named where what = 'relid') and c.oid not in (select ev_class from rule) \
    union select 'function', format('%I.%I', n.nspname, p.proname) from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
    where p.oid in (select oid from calls) and p.provolatile <> 'i' \
      and (n.nspname <> 'pg_catalog' or p.proname ~ '^((query|table|schema|database|cursor)_to_xml|ts_stat|ts_rewrite|lo_|loread)') \
    order by 1, 2";

/// The condition, of which the view is made, reads nothing but the row. What an immutable function does is its author's word.
pub(super) fn must_be_the_row(connection: &mut Connection, about: &About, view: &str) -> Result<(), TableFault> {
    let rows = connection.query(READS, &[view, &about.oid])?;
    let mut reads_row = false;
    for row in &rows {
        let name = row.text("name")?;
        let does = match row.text("what")? {
            "row" => {
                reads_row = true;
                continue;
            }
            "relation" => format!("reads {name}"),
            _ => format!("calls {name}, which may read tables, because it is not `immutable`"),
        };
        let message = format!("the condition on rows of {} {does}: of other tables no rows are at hand as they were", about.name());
        let hint = "Write down the values that it stands for (`customer in (17, 18)`), or restore into a schema beside it (`--into-schema NAME`) \
                    without a condition, and choose there.";
        return Err(TableFault::new(message, hint));
    }
    if reads_row {
        return Ok(());
    }
    let message = format!("what the condition on rows of {} reads cannot be told on this server", about.name());
    Err(TableFault::new(message, "Restore into a schema beside it (`--into-schema NAME`) without a condition, and choose there."))
}

/// Columns that are taken for text, or for another type of PostgreSQL's own, without anybody having said so: the operators of their type lie in
/// its schema, and nothing is looked for there. In a view's tree that is a relabelling or a call with the format 2.
const RELABELLED: &str = "\
    with recursive rule as (select r.ev_action::text as tree from pg_rewrite r where r.ev_class = to_regclass($1)), \
    taken(attnum, oid, made) as (select m[1]::int2, m[2]::oid, m[3]::oid from rule cross join lateral regexp_matches(rule.tree, \
        '\\{RELABELTYPE :arg \\{VAR :varno [0-9]+ :varattno ([0-9]+) :vartype ([0-9]+) [^{}]*\\} :resulttype ([0-9]+) [^{}]*:relabelformat 2', 'g') m), \
    base(attnum, oid) as (select attnum, oid from taken where made in (select oid from pg_type where typnamespace = 'pg_catalog'::regnamespace) \
        union select b.attnum, t.typbasetype from base b join pg_type t on t.oid = b.oid where t.typtype = 'd') \
    select a.attname as name, format('%I.%I', n.nspname, t.typname) as type, quote_ident(n.nspname) as home \
    from base b join pg_type t on t.oid = b.oid and t.typtype <> 'd' join pg_namespace n on n.oid = t.typnamespace and n.nspname <> 'pg_catalog' \
    join pg_attribute a on a.attrelid = $2::oid and a.attnum = b.attnum order by 1 limit 1";

/// A condition does not mean another thing here than in a session of the application. That the schema of such a type is searched would let anybody who may
/// make functions there have them run by whoever restores.
pub(super) fn must_be_said(connection: &mut Connection, about: &About, view: &str) -> Result<(), TableFault> {
    let rows = connection.query(RELABELLED, &[view, &about.oid])?;
    let Some(row) = rows.iter().next() else { return Ok(()) };
    let (name, home) = (quoted(row.text("name")?), row.text("home")?);
    let message = format!(
        "the condition on rows of {} would compare {name} as PostgreSQL's own text, and not as the {} that it is",
        about.name(),
        row.text("type")?
    );
    let hint =
        format!("Its operators need their schema: `{name} operator({home}.=) 'it'`. Where text is meant, say so: `{name}::text = 'it'`.");
    Err(TableFault::new(message, hint))
}
