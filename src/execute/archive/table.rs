//! The table whose rows move: its columns, its time, and which of its rows are old enough and under no hold.

use super::held::{Holds, Rows};
use crate::format::archived::{Column, Contents, Zoned};
use crate::inventory::{HoldEntry, TableName};
use crate::policy::model::{Archive, Policy};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name::{self, literal};
use crate::postgres::{Connection, Fault, Row};
use crate::schedule::Zone;
use crate::site::SiteFault;
use crate::units::{Instant, Period};

/// So that the same row is the same text in every session.
pub(in crate::execute) const SETTINGS: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("datestyle", "ISO, MDY"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    // What this role may not see would stay behind unnoticed.
    ("row_security", "off"),
];

/// What kind of time the column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) enum Time {
    WithZone,
    Wall,
    Date,
}

impl Time {
    pub(in crate::execute) fn of(text: &str) -> Option<Time> {
        match text {
            "date" => Some(Time::Date),
            _ => {
                let rest = text.strip_prefix("timestamp")?;
                // `timestamp(3) with time zone`
                let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
                match rest {
                    " with time zone" => Some(Time::WithZone),
                    " without time zone" => Some(Time::Wall),
                    _ => None,
                }
            }
        }
    }

    pub(super) fn sql(self) -> &'static str {
        match self {
            Time::WithZone => "timestamptz",
            Time::Wall => "timestamp",
            Time::Date => "date",
        }
    }

    /// The days that a hold names, both of them held, as conditions of a column. They begin and end by the clocks of its zone; a column without a zone
    /// has the days that it says.
    pub(in crate::execute) fn days(self, column: &str, (from, to): (Option<&str>, Option<&str>), zone: &str) -> Vec<String> {
        let begins = |day: &str, later: u8| match self {
            Time::WithZone => format!("(({}::date + {later})::timestamp at time zone {})", literal(day), literal(zone)),
            Time::Wall | Time::Date => format!("({}::date + {later})::{}", literal(day), self.sql()),
        };
        let from = from.map(|day| format!("{column} >= {}", begins(day, 0)));
        from.into_iter().chain(to.map(|day| format!("{column} < {}", begins(day, 1)))).collect()
    }
}

/// Which rows of which table, by the policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'p> {
    pub path: &'p PolicyPath,
    pub database: &'p str,
    pub table: &'p str,
    /// That of a hypertable is its own.
    pub column: Option<&'p str>,
    pub after: Period,
}

impl<'p> From<&'p Archive> for Subject<'p> {
    fn from(archive: &'p Archive) -> Self {
        let Archive { path, database, table, after, column, .. } = archive;
        Subject { path, database, table, column: column.as_deref(), after: *after }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    pub oid: String,
    /// `public.orders`, quoted where it must be.
    pub name: String,
    /// The continuous aggregate whose rows these are, as it is and quoted: `name` is then the hypertable inside of it.
    pub view: Option<String>,
    /// What people know it by, as the database's own records have it.
    pub known: TableName,
    pub database: String,
    pub schema: String,
    pub table: String,
    /// As it is, and quoted.
    pub column: (String, String),
    pub time: Time,
    pub columns: Vec<Column>,
    /// Quoted, with commas between.
    pub listed: String,
    /// Rows before it are old enough.
    pub cutoff: String,
    /// Each a condition that is false of what is not held.
    pub holds: Vec<String>,
    /// What of them is read in a time zone of its own.
    pub zoned: Vec<Zoned>,
    /// The holds that were known when it was looked at, with their policies.
    pub known_holds: Vec<(String, HoldEntry)>,
    /// The version of TimescaleDB, where this is a hypertable.
    pub hypertable: Option<String>,
    /// Somebody's triggers that run when rows are deleted.
    pub triggers: Vec<String>,
    pub job: String,
}

impl Table {
    pub(super) fn find(connection: &mut Connection, policy: &Policy, archive: &Subject<'_>, now: Instant) -> Result<Table, SiteFault> {
        let Some(found) = Relation::named(connection, archive.table)? else {
            let message = format!("{}: there is no table `{}` in the database `{}`", archive.path, archive.table, archive.database);
            return Err(SiteFault::new(message, "Write its schema before it if that is not in the role's search_path."));
        };
        let known = TableName { schema: found.schema.clone(), name: found.table.clone() };
        let (found, view) = match found.kind.as_str() {
            "v" => match inside(connection, &found)? {
                Some(inside) => (inside, Some(found.name)),
                None => (found, None),
            },
            _ => (found, None),
        };
        let Relation { oid, name, schema, table, kind } = found;
        if !["r", "p"].contains(&kind.as_str()) {
            return Err(SiteFault::new(format!("{}: `{name}` is not a table", archive.path), "Only tables can be archived."));
        }
        let hypertable = hypertable(connection, &schema, &table)?;
        let column = match (&archive.column, &hypertable) {
            // Chunks are cut by it: by another column, rows would go with a chunk that are not old, or not exported.
            (Some(column), Some((_, own))) if sql_name::meaning(column).pop().as_ref() != Some(own) => {
                let message = format!("{}: `{name}` is a hypertable, whose chunks go by `{own}` and not by `{column}`", archive.path);
                return Err(SiteFault::new(message, "Name that column, or write the archive below `timescaledb`."));
            }
            (Some(column), _) => sql_name::meaning(column).pop().unwrap_or_default(),
            (None, Some((_, column))) => column.clone(),
            (None, None) => {
                let message = format!("{}: `{name}` is no hypertable", archive.path);
                let hint = "A plain table goes under `archive:` of the policy, with the column that has the time.";
                return Err(SiteFault::new(message, hint));
            }
        };
        must_stand_alone(connection, archive, &oid, &name)?;
        let (columns, listed, quoted) = columns(connection, &oid, &column)?;
        let time = columns.iter().find(|known| known.name == column).map(|known| Time::of(&known.r#type));
        let (Some(quoted), Some(time)) = (quoted, time) else {
            let message = format!("{}: `{name}` has no column `{column}`", archive.path);
            return Err(SiteFault::new(message, "A generated column cannot be used either."));
        };
        let Some(time) = time else {
            let message = format!("{}: the column `{column}` of `{name}` holds no time", archive.path);
            return Err(SiteFault::new(message, "It must be a timestamp, with or without zone, or a date."));
        };
        let cutoff = moment(time, archive.after.before(now, policy.zone.time_zone()), &policy.zone);
        let rows = Rows { oid: &oid, table: &table, columns: &columns, column: &quoted, time };
        let Holds { conditions: holds, zoned, known: known_holds } = Holds::find(connection, policy, archive, &rows, now)?;
        let triggers = triggers(connection, &oid)?;
        if kind == "r" && hypertable.is_none() {
            must_have_no_children(connection, archive, &oid, &name)?;
        }
        Ok(Table {
            oid,
            name,
            view,
            known,
            database: archive.database.to_owned(),
            schema,
            table,
            column: (column, quoted),
            time,
            columns,
            listed,
            cutoff,
            holds,
            zoned,
            known_holds,
            hypertable: hypertable.map(|(version, _)| version),
            triggers,
            job: archive.path.to_string(),
        })
    }

    /// As people know it.
    pub(super) fn known_as(&self) -> &str {
        self.view.as_ref().unwrap_or(&self.name)
    }

    /// The rows of a stretch of time that are under no hold.
    pub(super) fn condition(&self, from: &str, to: &str) -> String {
        let (column, time) = (&self.column.1, self.time.sql());
        let mut condition = format!("{column} >= {}::{time} and {column} < {}::{time}", literal(from), literal(to));
        for hold in &self.holds {
            condition.push_str(" and ");
            condition.push_str(hold);
        }
        condition
    }

    /// What was exported would be the same rows today: no hold came or went.
    pub(super) fn still_means(&self, contents: &Contents) -> bool {
        let same = (&self.database, &self.schema, &self.table, &self.column.0, &self.columns);
        same == (&contents.database, &contents.schema, &contents.table, &contents.column, &contents.columns)
            && contents.condition == self.condition(&contents.from, &contents.to)
    }

    /// Nothing that was added to the table since it was looked at would be lost or changed with its rows. Asked under a lock that keeps it so.
    pub(super) fn is_unchanged(&self, connection: &mut Connection) -> Result<bool, Fault> {
        let (columns, _, _) = columns(connection, &self.oid, &self.column.0)?;
        Ok(columns == self.columns && dependent(connection, &self.oid)?.is_none())
    }

    /// A job of the database that drops chunks of it by nothing but their age.
    pub(super) fn blind_job(&self, connection: &mut Connection) -> Result<Option<SiteFault>, Fault> {
        if self.hypertable.is_none() {
            return Ok(None);
        }
        // Before 2.20 jobs of a continuous aggregate name the table inside of it.
        let sql = "select job_id::text as id from timescaledb_information.jobs where proc_name = 'policy_retention' and scheduled \
                   and proc_schema like '\\_timescaledb\\_%' and (hypertable_schema, hypertable_name) in (($1, $2), ($3, $4)) order by job_id limit 1";
        let rows = connection.query(sql, &[&self.known.schema, &self.known.name, &self.schema, &self.table])?;
        let Some(id) = rows.iter().next().map(|row| row.text("id")).transpose()? else { return Ok(None) };
        let message = format!("job {id} of the database drops chunks of {}, be they archived or held or not", self.known_as());
        Ok(Some(SiteFault::new(message, "`seawall apply` takes it away. What it drops until then is gone for good.")))
    }

    /// Moments as the server compares them.
    pub(super) fn is_later(&self, connection: &mut Connection, one: &str, other: &str) -> Result<bool, SiteFault> {
        let time = self.time.sql();
        let sql = format!("select {}::{time} > {}::{time} as later", literal(one), literal(other));
        Ok(connection.query(&sql, &[])?.one()?.flag("later")?)
    }
}

/// A table or a view.
struct Relation {
    oid: String,
    /// Both, quoted where they must be.
    name: String,
    schema: String,
    table: String,
    kind: String,
}

impl Relation {
    fn named(connection: &mut Connection, name: &str) -> Result<Option<Relation>, Fault> {
        let about = "select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as name, n.nspname as schema, c.relname as table, \
                     c.relkind::text as kind from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)";
        let rows = connection.query(about, &[name])?;
        let text = |row: &Row, column| row.text(column).map(str::to_owned);
        let one = |row| {
            let (oid, name, schema) = (text(row, "oid")?, text(row, "name")?, text(row, "schema")?);
            Ok(Relation { oid, name, schema, table: text(row, "table")?, kind: text(row, "kind")? })
        };
        rows.iter().next().map(one).transpose()
    }
}

/// Where a continuous aggregate keeps its rows: in a hypertable with the same columns.
fn inside(connection: &mut Connection, view: &Relation) -> Result<Option<Relation>, Fault> {
    if version(connection)?.is_none() {
        return Ok(None);
    }
    let sql = "select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) as name \
               from timescaledb_information.continuous_aggregates where view_schema = $1 and view_name = $2";
    let rows = connection.query(sql, &[&view.schema, &view.table])?;
    let Some(name) = rows.iter().next().map(|row| row.text("name")).transpose()? else { return Ok(None) };
    Relation::named(connection, name)
}

fn moment(time: Time, moment: Instant, zone: &Zone) -> String {
    match time {
        Time::WithZone => moment.to_string(),
        Time::Wall => zone.wall_clock(moment).to_string(),
        Time::Date => zone.wall_clock(moment).date().to_string(),
    }
}

/// They run for each row that is taken out.
fn triggers(connection: &mut Connection, oid: &str) -> Result<Vec<String>, Fault> {
    let sql = "select t.tgname as name from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace \
               where t.tgrelid = $1::oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 8 <> 0 \
                 and n.nspname not like '\\_timescaledb%' order by 1";
    connection.query(sql, &[oid])?.iter().map(|row| row.text("name").map(str::to_owned)).collect()
}

/// The version of TimescaleDB and the column with the time.
fn hypertable(connection: &mut Connection, schema: &str, table: &str) -> Result<Option<(String, String)>, SiteFault> {
    let Some(version) = version(connection)? else { return Ok(None) };
    let sql = "select column_name as column from timescaledb_information.dimensions \
               where hypertable_schema = $1 and hypertable_name = $2 and dimension_number = 1";
    let rows = connection.query(sql, &[schema, table])?;
    rows.iter().next().map(|row| Ok((version, row.text("column")?.to_owned()))).transpose()
}

/// That of TimescaleDB, where it is installed.
fn version(connection: &mut Connection) -> Result<Option<String>, Fault> {
    let installed = connection.query("select extversion as version from pg_extension where extname = 'timescaledb'", &[])?;
    installed.iter().next().map(|row| row.text("version").map(str::to_owned)).transpose()
}

/// Deleting a row must delete nothing else.
fn must_stand_alone(connection: &mut Connection, archive: &Subject<'_>, oid: &str, name: &str) -> Result<(), SiteFault> {
    let Some((by, constraint)) = dependent(connection, oid)? else { return Ok(()) };
    let message = format!("{}: deleting rows of `{name}` would change rows of `{by}` (by its constraint `{constraint}`)", archive.path);
    Err(SiteFault::new(message, "Archive the referencing table first and let the constraint restrict, or leave this table out."))
}

/// A table whose rows would be deleted or changed with this one's, and the constraint by which.
fn dependent(connection: &mut Connection, oid: &str) -> Result<Option<(String, String)>, Fault> {
    // Of a partition, and of what a partitioned table consists of, too.
    let sql = "select conrelid::regclass::text as by, conname as name from pg_constraint \
               where contype = 'f' and confdeltype in ('c', 'n', 'd') \
                 and confrelid in (select $1::oid union all select relid from pg_partition_tree($1::oid)) limit 1";
    let rows = connection.query(sql, &[oid])?;
    rows.iter().next().map(|row| Ok((row.text("by")?.to_owned(), row.text("name")?.to_owned()))).transpose()
}

/// Those that inherit may have columns of their own, which would be lost.
fn must_have_no_children(connection: &mut Connection, archive: &Subject<'_>, oid: &str, name: &str) -> Result<(), SiteFault> {
    let sql = "select inhrelid::regclass::text as child from pg_inherits where inhparent = $1::oid limit 1";
    let rows = connection.query(sql, &[oid])?;
    let Some(row) = rows.iter().next() else { return Ok(()) };
    let message = format!("{}: `{}` inherits from `{name}` and may have columns of its own", archive.path, row.text("child")?);
    Err(SiteFault::new(message, "Archive each table that inherits by itself; a partitioned table can be archived as a whole."))
}

/// All that `COPY` can take back: a generated column is made again.
pub(in crate::execute) fn columns(
    connection: &mut Connection,
    oid: &str,
    time: &str,
) -> Result<(Vec<Column>, String, Option<String>), Fault> {
    let sql = "select attname as name, quote_ident(attname) as quoted, format_type(atttypid, atttypmod) as type, attnotnull as required \
               from pg_attribute where attrelid = $1::oid and attnum > 0 and not attisdropped and attgenerated = '' order by attnum";
    let (mut columns, mut listed, mut of_time) = (Vec::new(), Vec::new(), None);
    for row in connection.query(sql, &[oid])?.iter() {
        let (name, quoted) = (row.text("name")?.to_owned(), row.text("quoted")?.to_owned());
        if name == time {
            of_time = Some(quoted.clone());
        }
        listed.push(quoted);
        columns.push(Column { name, r#type: row.text("type")?.to_owned(), not_null: row.flag("required")? });
    }
    Ok((columns, listed.join(", "), of_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In Cairo the clocks went from 00:00 to 01:00 on that day: what has no zone of its own has the hour that the day begins with.
    #[test]
    fn days_are_those_of_the_column_or_of_the_zone() {
        let days = |time: Time, to| time.days("at", (Some("2024-04-26"), to), "Africa/Cairo");
        assert_eq!(
            days(Time::Wall, Some("2024-04-27")),
            ["at >= ('2024-04-26'::date + 0)::timestamp", "at < ('2024-04-27'::date + 1)::timestamp"]
        );
        assert_eq!(days(Time::Date, None), ["at >= ('2024-04-26'::date + 0)::date"]);
        assert_eq!(days(Time::WithZone, None), ["at >= (('2024-04-26'::date + 0)::timestamp at time zone 'Africa/Cairo')"]);
        assert!(Time::Date.days("at", (None, None), "UTC").is_empty());
    }
}
