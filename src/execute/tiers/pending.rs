//! What is not there yet, in the database itself: so it is known after `kill -9`, and nobody takes what is empty for what it will be.
//!
//! A table that has not come has another name, and in its place stands a view with its columns that has no rows to give and says so to
//! whoever asks, the superuser too. Views, materialized views and functions that would read it go the same way. All of that ends in the one transaction in which
//! the course is opened.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::order::Order;
use crate::execute::table::TableFault;
use crate::execute::table::landing::session::go_on;
use crate::format::dump::Item;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Rows, array};
use crate::units::Instant;

/// Where it is noted. It goes when everything is there.
pub(super) const SCHEMA: &str = "seawall_pending";
/// By which our sessions know each other.
pub(super) const SESSIONS: &str = "seawall restore --tier";
const LOOK: Duration = Duration::from_millis(50);
/// Whoever restores holds this.
const LOCK: &str = "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('seawall_pending')) as it";

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// `dump` or `physical`.
    pub source: String,
    pub backup: String,
    pub store: String,
    /// The state, for people.
    pub moment: String,
    /// Where the log ended, so that a second look goes no further.
    pub position: Option<String>,
    pub tiers: Vec<String>,
    /// Out of which database, and what was said of how: `--no-owner`.
    pub database: String,
    pub words: Vec<String>,
    pub started: Instant,
}

/// What has another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub oid: String,
    pub kind: Kind,
    pub schema: String,
    pub name: String,
    pub course: usize,
    pub is_filled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    View,
    Materialized,
    Routine,
    /// An extension's own table: it has its name, and some of its rows.
    Extension,
}

impl Kind {
    fn letter(self) -> &'static str {
        match self {
            Kind::Table => "t",
            Kind::View => "v",
            Kind::Materialized => "m",
            Kind::Routine => "r",
            Kind::Extension => "x",
        }
    }

    fn of(letter: &str) -> Kind {
        match letter {
            "v" => Kind::View,
            "m" => Kind::Materialized,
            "r" => Kind::Routine,
            "x" => Kind::Extension,
            _ => Kind::Table,
        }
    }
}

impl Thing {
    pub(super) fn named(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// Where it is now.
    pub(super) fn at(&self) -> String {
        match self.kind {
            Kind::Extension => self.named(),
            _ => format!("{}.{}", quoted(&self.schema), quoted(&self.away())),
        }
    }

    fn away(&self) -> String {
        format!("{SCHEMA}_{}", self.oid)
    }
}

/// Sessions of a run that is gone: a server finishes what it was asked before it finds that nobody waits, and would do it beside us.
pub(super) fn end_others(connection: &mut Connection, stop: &AtomicBool) -> Result<(), TableFault> {
    let sql = format!(
        "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = pg_catalog.current_database() \
         and application_name = {} and pid <> pg_catalog.pg_backend_pid()",
        literal(SESSIONS)
    );
    while !connection.query(&sql, &[])?.is_empty() {
        go_on(stop)?;
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// What a course is, and whether it has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Noted {
    pub number: usize,
    pub tier: Option<String>,
    /// After so many seconds it was usable.
    pub usable: Option<f64>,
}

const TABLES: &str = "\
    create schema seawall_pending; grant usage on schema seawall_pending to public; \
    create table seawall_pending.run (source text, backup text, store text, moment text, position text, tiers text[], started text, \
        database text, words text); \
    create table seawall_pending.asked (asked boolean); insert into seawall_pending.asked values (true); \
    create table seawall_pending.courses (number int primary key, tier text, opened boolean not null default false, usable double precision); \
    create table seawall_pending.things (oid oid, kind text, schema text, name text, course int, filled boolean not null default false, primary key (kind, oid)); \
    create table seawall_pending.done (what text primary key); \
    create table seawall_pending.keys (oid oid primary key, course int, broken text); \
    create function seawall_pending.refuse(what text, tier text) returns boolean language plpgsql as $$ begin \
        raise exception using errcode = '55000', message = what || ' is not restored yet' || coalesce(': it comes with the tier ' || tier, ''), \
        hint = 'This database is being restored tier by tier. If nobody is at it any more: run `seawall restore --tier` again, it goes on.'; end $$";

/// Notes what will come, and puts it away. The database has no name yet by which anybody would find it.
pub(super) fn put_away(
    connection: &mut Connection,
    items: &[Item],
    order: &Order,
    of_extension: &BTreeSet<(&str, &str)>,
    begun: &Begun,
) -> Result<(), TableFault> {
    connection.run(TABLES)?;
    let list = array(&begun.tiers);
    connection.query_or_null(
        "insert into seawall_pending.run values ($1, $2, $3, $4, $5, $6::text[], $7, $8, $9)",
        &[
            Some(&begun.source),
            Some(&begun.backup),
            Some(&begun.store),
            Some(&begun.moment),
            begun.position.as_deref(),
            Some(&list),
            Some(&begun.started.to_string()),
            Some(&begun.database),
            Some(&begun.words.join(" ")),
        ],
    )?;
    for (number, course) in order.courses.iter().enumerate() {
        let tier = course.tier.as_ref().map(|(name, _)| name.as_str());
        connection.query_or_null("insert into seawall_pending.courses values ($1::int, $2)", &[Some(&number.to_string()), tier])?;
    }
    for item in items {
        let kind = match item.kind.as_str() {
            "TABLE" => Kind::Table,
            "VIEW" if order.is_away(item.id) => Kind::View,
            "MATERIALIZED VIEW" if order.is_away(item.id) => Kind::Materialized,
            _ => continue,
        };
        note(connection, (&item.schema, &item.name), kind, order.course_of(item.id))?;
    }
    for named in of_extension {
        note(connection, *named, Kind::Extension, 0)?;
    }
    connection.run(&format!("insert into seawall_pending.things {ROUTINES}"))?;
    let all = things(connection, None)?;
    for thing in all.iter().filter(|thing| thing.kind != Kind::Extension) {
        let tier = order.courses.get(thing.course).and_then(|course| course.tier.as_ref()).map(|(name, _)| name.to_string());
        let columns = shape(connection, thing)?;
        connection.run(&away(&columns, thing, tier.as_deref()))?;
    }
    Ok(())
}

/// Functions whose body is kept as what it means and not as its words, and what is made of them.
const ROUTINES: &str = "\
    with recursive late(class, oid, course) as ( \
        select 1259::oid, oid, course from seawall_pending.things \
        union select d.classid, d.objid, l.course from pg_catalog.pg_depend d \
            join late l on d.refclassid = l.class and d.refobjid = l.oid where d.classid = 1255 and d.deptype = 'n') \
    select p.oid, 'r', n.nspname, p.proname, max(l.course), true from late l join pg_catalog.pg_proc p on p.oid = l.oid \
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace where l.class = 1255 group by 1, 2, 3, 4";

fn note(connection: &mut Connection, (schema, name): (&str, &str), kind: Kind, course: usize) -> Result<(), TableFault> {
    let sql = "insert into seawall_pending.things select c.oid, $3::text, n.nspname, c.relname, $4::int, c.relkind not in ('r', 'f') \
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
        where n.nspname = $1::text and c.relname = $2::text and c.relkind in ('r', 'p', 'v', 'm', 'f') returning 1 as it";
    let noted = connection.query(sql, &[schema, name, kind.letter(), &course.to_string()])?;
    if noted.is_empty() {
        let message = format!("{}.{} is in the backup, and was not made", quoted(schema), quoted(name));
        return Err(TableFault::new(message, "Restore all of it without `--tier`."));
    }
    Ok(())
}

/// `case when asked then null::integer end as "id"`, in their order: a plain null would be known to the planner, and whoever asks for `id = 7` would be
/// answered without the question being asked; of a function what tells it from others.
fn shape(connection: &mut Connection, thing: &Thing) -> Result<String, TableFault> {
    if thing.kind == Kind::Routine {
        let sql = "select p.oid::regprocedure::text as it from pg_catalog.pg_proc p where p.oid = $1::oid";
        return Ok(connection.query(sql, &[&thing.oid])?.one()?.text("it")?.to_owned());
    }
    let sql = "select coalesce(string_agg(format('case when asked then null::%s end as %I', pg_catalog.format_type(atttypid, atttypmod), attname), ', ' order by attnum), '') as it \
        from pg_catalog.pg_attribute where attrelid = $1::oid and attnum > 0 and not attisdropped";
    Ok(connection.query(sql, &[&thing.oid])?.one()?.text("it")?.to_owned())
}

fn away(columns: &str, thing: &Thing, tier: Option<&str>) -> String {
    let (named, away) = (thing.named(), quoted(&thing.away()));
    let what = literal(&format!("{}.{}", thing.schema, thing.name));
    let tier = tier.map_or_else(|| "null".to_owned(), literal);
    let refuse = format!("seawall_pending.refuse({what}, {tier})");
    let rename = match thing.kind {
        Kind::Routine => return format!("alter routine {columns} rename to {away}"),
        Kind::View => "view",
        Kind::Materialized => "materialized view",
        _ => "table",
    };
    // Rules and not a trigger: a session that replicates passes over both, and then the server itself refuses to write into such a view. With a
    // trigger it would say that it has written.
    let returning = if columns.is_empty() { String::new() } else { format!(" returning {columns}") };
    let rules: String = ["insert", "update", "delete"]
        .map(|event| {
            format!(
                "create rule {SCHEMA}_{event} as on {event} to {named} do instead \
                 delete from seawall_pending.asked where {refuse}{returning}; "
            )
        })
        .concat();
    format!(
        "begin; alter {rename} {named} rename to {away}; create view {named} as select {columns} from {refuse} as asked; \
         grant select, insert, update, delete on {named} to public; {rules}commit"
    )
}

/// The statements that bring a course's names back.
pub(super) fn back(connection: &mut Connection, things: &[Thing]) -> Result<Vec<String>, TableFault> {
    let mut all = Vec::new();
    for thing in things {
        let (named, name) = (thing.named(), quoted(&thing.name));
        match thing.kind {
            Kind::Extension => {}
            Kind::Routine => all.push(format!("alter routine {} rename to {name}", shape(connection, thing)?)),
            Kind::Materialized => all.push(format!("drop view {named}; alter materialized view {} rename to {name}", thing.at())),
            Kind::View => all.push(format!("drop view {named}; alter view {} rename to {name}", thing.at())),
            Kind::Table => all.push(format!("drop view {named}; alter table {} rename to {name}", thing.at())),
        }
    }
    Ok(all)
}

pub(super) fn begun(connection: &mut Connection) -> Result<Option<Begun>, TableFault> {
    if connection.query("select 1 from pg_catalog.pg_class where oid = pg_catalog.to_regclass('seawall_pending.run')", &[])?.is_empty() {
        return Ok(None);
    }
    let rows = connection.query("select *, array_to_string(tiers, ' ') as all_tiers from seawall_pending.run", &[])?;
    let row = rows.one()?;
    Ok(Some(Begun {
        source: row.text("source")?.to_owned(),
        backup: row.text("backup")?.to_owned(),
        store: row.text("store")?.to_owned(),
        moment: row.text("moment")?.to_owned(),
        position: row.get("position").map(str::to_owned),
        tiers: row.text("all_tiers")?.split_ascii_whitespace().map(str::to_owned).collect(),
        database: row.text("database")?.to_owned(),
        words: row.text("words")?.split_ascii_whitespace().map(str::to_owned).collect(),
        started: row.parse("started")?,
    }))
}

/// Nobody else is at it, as long as this session is.
pub(super) fn lock(connection: &mut Connection) -> Result<(), TableFault> {
    if connection.query(LOCK, &[])?.one()?.flag("it")? {
        return Ok(());
    }
    Err(TableFault::new("somebody else is restoring this database tier by tier", "Wait for its end; or end that `seawall restore` first."))
}

pub(super) fn courses(connection: &mut Connection) -> Result<Vec<Noted>, TableFault> {
    let rows = connection.query("select number::text, tier, usable::text from seawall_pending.courses order by number", &[])?;
    let noted = |row: &crate::postgres::Row| {
        Ok(Noted { number: row.parse("number")?, tier: row.get("tier").map(str::to_owned), usable: row.parse_if("usable")? })
    };
    rows.iter().map(noted).collect()
}

/// Of a course, or of all.
pub(super) fn things(connection: &mut Connection, course: Option<usize>) -> Result<Vec<Thing>, TableFault> {
    let which = course.map_or_else(String::new, |course| format!("where course = {course}"));
    let sql = format!("select oid::text, kind, schema, name, course::text, filled from seawall_pending.things {which} order by kind, oid");
    of(&connection.query(&sql, &[])?)
}

fn of(rows: &Rows) -> Result<Vec<Thing>, TableFault> {
    let thing = |row: &crate::postgres::Row| {
        Ok(Thing {
            oid: row.text("oid")?.to_owned(),
            kind: Kind::of(row.text("kind")?),
            schema: row.text("schema")?.to_owned(),
            name: row.text("name")?.to_owned(),
            course: row.parse("course")?,
            is_filled: row.flag("filled")?,
        })
    };
    rows.iter().map(thing).collect()
}

/// Whether the names of a course are back.
pub(super) fn is_open(connection: &mut Connection, course: usize) -> Result<bool, TableFault> {
    let sql = "select opened from seawall_pending.courses where number = $1::int";
    Ok(connection.query(sql, &[&course.to_string()])?.one()?.flag("opened")?)
}

/// Foreign keys that do not hold.
pub(super) fn broken(connection: &mut Connection) -> Result<Vec<String>, TableFault> {
    let sql = "select c.conrelid::regclass || ' ' || c.conname as key from seawall_pending.keys k \
        join pg_catalog.pg_constraint c on c.oid = k.oid where k.broken is not null and not c.convalidated order by 1";
    connection.query(sql, &[])?.iter().map(|row| Ok(row.text("key")?.to_owned())).collect()
}

/// Everything is there.
pub(super) fn forget(connection: &mut Connection) -> Result<(), TableFault> {
    Ok(connection.run("set client_min_messages = 'warning'; drop schema seawall_pending cascade").map(drop)?)
}
