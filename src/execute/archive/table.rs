//! The table whose rows move: its columns, its time, and which of its rows are old enough and under no hold.

use crate::execute::table::landing::Condition;
use crate::format::archived::{Column, Contents};
use crate::inventory::{NoRows, TableName, Touch};
use crate::observe::{family, holds_of_others, kin, no_rows};
use crate::policy::model::{Archive, OtherHold, Policy, RowHold};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name::{self, literal, quoted};
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
pub(super) enum Time {
    WithZone,
    Wall,
    Date,
}

impl Time {
    pub(super) fn of(text: &str) -> Option<Time> {
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
        let holds = holds(connection, policy, archive, &oid, &quoted, time, now)?;
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

/// A hold that stands, by whichever policy.
struct Standing<'h> {
    policy: &'h str,
    name: &'h str,
    hold: &'h RowHold,
    zone: &'h Zone,
}

impl Standing<'_> {
    /// Whoever wrote a hold that holds no row of any table thinks otherwise.
    fn must_have_rows(&self, connection: &mut Connection) -> Result<(), SiteFault> {
        let why = no_rows(connection, &[&self.hold.table])?.pop().flatten();
        why.map_or(Ok(()), |why| Err(self.holds_nothing(why)))
    }

    fn holds_nothing(&self, why: NoRows) -> SiteFault {
        let Standing { policy, name, hold, .. } = self;
        let (message, hint) = match why {
            NoRows::Missing => (
                format!(
                    "holds.{name}.rows.table: there is no table `{}` in `{}`, so nobody knows what it holds",
                    hold.table, hold.database
                ),
                format!("Write its schema before it, or take the hold out of the policy `{policy}`."),
            ),
            NoRows::NotATable => (
                format!("holds.{name}.rows.table: `{}` in `{}` has no rows of its own, so it holds none", hold.table, hold.database),
                format!("Name the table that the rows are in, in the policy `{policy}`."),
            ),
        };
        SiteFault::new(message, hint)
    }
}

/// Each is false of a row that the hold lets go; what the hold's own condition does not know of a row holds it.
fn holds(
    connection: &mut Connection,
    policy: &Policy,
    archive: &Subject<'_>,
    oid: &str,
    column: &str,
    time: Time,
    now: Instant,
) -> Result<Vec<String>, SiteFault> {
    let today = policy.zone.wall_clock(now).date();
    let stands = |hold: &RowHold| hold.database == archive.database && hold.stands_on(today);
    let shown = holds_of_others(connection, policy.name.as_str())?;
    let mut others: Vec<OtherHold> = shown.iter().map(|(policy, entry)| OtherHold::shown(archive.database, policy, entry)).collect();
    for other in &mut others {
        // Nobody reviewed it with this policy: what would not stay one expression among others holds all rows.
        other.hold.condition = other.hold.condition.take().filter(|text| Condition::read(text).is_ok());
    }
    let own = policy.row_holds.iter().filter(|(_, hold)| stands(hold));
    let own = own.map(|(name, hold)| Standing { policy: policy.name.as_str(), name: name.as_str(), hold, zone: &policy.zone });
    let theirs = others.iter().map(|one| Standing { policy: &one.policy, name: &one.name, hold: &one.hold, zone: &one.zone });
    let standing: Vec<Standing<'_>> = own.chain(theirs).collect();
    if standing.is_empty() {
        return Ok(Vec::new());
    }
    let kin = kin(connection, oid)?;
    let mut all = Vec::new();
    for one in standing {
        let mut parts = match kin.touch(&sql_name::meaning(&one.hold.table)) {
            Some(Touch::Whole) => Vec::new(),
            // Its partitions may have partitions.
            Some(Touch::Part(part)) => vec![format!("tableoid in ({})", family(&oid_of(connection, part)?))],
            Some(Touch::View(_)) => return Err(one.holds_nothing(NoRows::NotATable)),
            None => {
                one.must_have_rows(connection)?;
                continue;
            }
        };
        parts.extend(held(one.zone, one.hold, column, time));
        let held = if parts.is_empty() { "true".to_owned() } else { parts.join(" and ") };
        all.push(format!("({held}) is false"));
    }
    Ok(all)
}

fn oid_of(connection: &mut Connection, table: &TableName) -> Result<String, Fault> {
    let name = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    Ok(connection.query("select $1::regclass::oid::text as oid", &[&name])?.one()?.text("oid")?.to_owned())
}

fn held(zone: &Zone, hold: &RowHold, column: &str, time: Time) -> Vec<String> {
    let begins = |date: jiff::civil::Date, none| date.to_zoned(zone.time_zone().clone()).map_or(none, |start| start.timestamp());
    let at = |instant| format!("{}::{}", literal(&moment(time, instant, zone)), time.sql());
    let mut parts = Vec::new();
    if let Some(from) = hold.from {
        parts.push(format!("{column} >= {}", at(begins(from.0, Instant::MIN))));
    }
    if let Some(to) = hold.to {
        parts.push(format!("{column} < {}", at(Period::from_days(1).after(begins(to.0, Instant::MAX), zone.time_zone()))));
    }
    if let Some(condition) = &hold.condition {
        // A comment at its end must not swallow what follows.
        parts.push(format!("({condition}\n)"));
    }
    parts
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
