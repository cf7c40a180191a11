//! The server that a dump comes back to, before anything is changed there.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Wanted, around, own};
use crate::execute::restore::RestoreFault;
use crate::format::contents::Database;
use crate::postgres::{Connection, Fault, Row, Rows, Settings};
use crate::units::Instant;

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub server: String,
    pub major: u32,
    /// The database is there.
    pub exists: bool,
    /// Tables, views, functions and types that are not an extension's.
    pub objects: u64,
    /// Who is connected to it.
    pub sessions: Vec<Session>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
    /// TimescaleDB's jobs and checks are off in it: a restore into it was begun and never ended.
    pub restoring: bool,
    /// Where tables and indexes of this server may lie.
    pub tablespaces: BTreeSet<String>,
}

/// Somebody's session in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Session {
    pub pid: i32,
    pub user: String,
    pub application: String,
    /// Absent for the server's own sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub since: Option<Instant>,
}

/// Sessions of a database, by its number, but for the one that asks. What a role may not see of others is empty, and of what kind they are too.
pub(super) const SESSIONS_OF: &str = "\
    select pid::text as pid, coalesce(usename, '') as name, coalesce(application_name, '') as application, client_addr::text as address, \
           (pg_catalog.date_part('epoch', backend_start) * 1000000)::bigint as micros \
    from pg_catalog.pg_stat_activity where datid = $1::oid and pid <> pg_catalog.pg_backend_pid() \
        and (backend_type in ('client backend', 'walsender') or (backend_type is null and usename is not null)) order by backend_start";

pub(super) fn sessions(rows: &Rows) -> Result<Vec<Session>, Fault> {
    let of = |row: &Row| -> Result<Session, Fault> {
        Ok(Session {
            pid: row.parse("pid")?,
            user: row.text("name")?.to_owned(),
            application: row.text("application")?.to_owned(),
            address: row.get("address").map(str::to_owned),
            since: row.parse_if::<i64>("micros")?.and_then(|micros| Instant::from_microsecond(micros).ok()),
        })
    };
    rows.iter().map(of).collect()
}

const OBJECTS: &str = "\
    select (select count(*) from pg_class c where c.relnamespace not in (select oid from pg_namespace where nspname ~ '^(pg_|information_schema$)') \
              and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'e')) \
         + (select count(*) from pg_proc p where p.pronamespace not in (select oid from pg_namespace where nspname ~ '^(pg_|information_schema$)') \
              and not exists (select from pg_depend d where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e')) as objects";

/// Looks, and refuses what would be overwritten or cannot work. Every later session goes to the same server.
pub(super) fn look(settings: &Settings, wanted: &Wanted, dumped: &Database) -> Result<(Target, Settings, Connection), RestoreFault> {
    let of = |fault: Fault| RestoreFault::new(fault.message, fault.hint);
    let mut connection = Connection::connect(settings).map_err(of)?;
    let mut settings = settings.clone();
    settings.targets = vec![connection.target().clone()];
    if connection.query("select pg_is_in_recovery() as standby", &[]).and_then(|rows| rows.one()?.flag("standby")).map_err(of)? {
        return Err(RestoreFault::new("this server is a standby", "Name the primary with `--connection`."));
    }
    let into = &wanted.into;
    let asked = connection.query("select oid::text as oid from pg_catalog.pg_database where datname = $1", &[into]).map_err(of)?;
    let oid = asked.iter().next().and_then(|row| row.get("oid"));
    let exists = oid.is_some();
    let (mut objects, mut there, mut inside, mut restoring) = (0, Vec::new(), None, false);
    if let Some(oid) = oid {
        there = connection.query(SESSIONS_OF, &[oid]).and_then(|rows| sessions(&rows)).map_err(of)?;
        let session = inside.insert(Connection::connect(&settings.clone().with_dbname(into)).map_err(of)?);
        restoring = session.query(RESTORING, &[]).and_then(|rows| rows.one()?.flag("it")).map_err(of)?;
        objects = session.query(OBJECTS, &[]).and_then(|rows| rows.one()?.parse("objects")).map_err(of)?;
    }
    let (server, major) = (connection.target().to_string(), connection.major());
    let asked = connection.query("select spcname as name from pg_catalog.pg_tablespace", &[]).map_err(of)?;
    let tablespaces = asked.iter().map(|row| row.text("name").map(str::to_owned)).collect::<Result<_, Fault>>().map_err(of)?;
    let mut target = Target { server, major, exists, objects, sessions: there, remarks: Vec::new(), restoring, tablespaces };
    target.refuse(wanted, dumped)?;
    if let Some(inside) = inside.as_mut().filter(|_| wanted.replace || wanted.snapshot) {
        around::must_be_let_go(inside, wanted)?;
    }
    if wanted.makes() {
        own::refuse_provider(dumped, target.major)?;
    }
    extensions(&mut connection, dumped)?;
    target.remarks.extend(around::versions(dumped, wanted, &mut connection, inside.as_mut())?);
    if let Some(inside) = inside.as_mut().filter(|_| wanted.replace) {
        target.remarks.extend(around::slots(&mut connection, into)?);
        target.remarks.extend(around::subscriptions(inside, into)?);
    }
    target.remarks.extend(around::left(&mut connection)?);
    Ok((target, settings, connection))
}

/// The same before anything else is known of what will come: of a database that is made for it.
pub(in crate::execute) fn must_be_free(settings: &Settings, wanted: &Wanted) -> Result<(), RestoreFault> {
    if !wanted.create {
        return Ok(());
    }
    let of = |fault: Fault| RestoreFault::new(fault.message, fault.hint);
    let mut connection = Connection::connect(settings).map_err(of)?;
    let there = connection.query("select 1 from pg_catalog.pg_database where datname = $1", &[&wanted.into]).map_err(of)?;
    if there.is_empty() { Ok(()) } else { Err(is_there(&wanted.into)) }
}

fn is_there(into: &str) -> RestoreFault {
    RestoreFault::new(
        format!("the database `{into}` is there already"),
        "Choose another name, or say `--replace` instead of `--create`: then this one is set aside under another name.",
    )
}

/// As the extension's own functions set it for the whole database; where it is not loaded the setting is there all the same.
const RESTORING: &str = "select coalesce(current_setting('timescaledb.restoring', true), '') in ('on', 'true', 'yes', '1') as it";

/// What to do about a database that was left in that mode. `end` is the statement that ends it.
pub(super) fn way_out(end: &str) -> String {
    format!(
        "Drop it and restore anew with `--create`. Or, to keep what is in it: turn off the jobs that came with the dump (docs/dumps.md), then say `{end}` there."
    )
}

impl Target {
    fn refuse(&self, wanted: &Wanted, dumped: &Database) -> Result<(), RestoreFault> {
        let into = &wanted.into;
        match (self.exists, wanted.create) {
            (true, true) => {
                return Err(is_there(into));
            }
            (false, false) => {
                let hint =
                    if wanted.replace { "There is nothing to replace: say `--create` instead." } else { "Say `--create` to make it." };
                return Err(RestoreFault::new(format!("there is no database `{into}`"), hint));
            }
            _ => {}
        }
        if wanted.replace {
            return self.refuse_in_use(wanted);
        }
        if self.restoring {
            let message = format!("`{into}` is in TimescaleDB's restoring mode: a restore into it was begun and not ended");
            let out = way_out("select timescaledb_post_restore()");
            return Err(RestoreFault::new(message, format!("Its jobs and checks are off. {out} Or say `--replace`.")));
        }
        let is_in_use = !self.sessions.is_empty() || self.objects > 0;
        if wanted.occupied && !wanted.goes_on && is_in_use && dumped.extensions.contains_key("timescaledb") {
            let message = format!("`{into}` is in use, and a dump with TimescaleDB comes back only into a database of its own");
            return Err(RestoreFault::new(
                message,
                "While it is restored, the extension's jobs and checks are off: say `--create` with another name.",
            ));
        }
        if wanted.snapshot && !self.sessions.is_empty() && !wanted.end_connections {
            let message = format!(
                "{} connected to the database `{into}`, and only one that nobody uses can be copied",
                are(self.sessions.len() as u64, "session")
            );
            return Err(RestoreFault::new(message, "End them, or say `--end-connections`: then they are ended when it is copied."));
        }
        if wanted.occupied {
            return Ok(());
        }
        let hint = "Restore into another database, or say `--replace`, or `--occupied` when that is meant.";
        if !self.sessions.is_empty() {
            return Err(RestoreFault::new(
                format!("{} connected to the database `{into}`", are(self.sessions.len() as u64, "session")),
                hint,
            ));
        }
        if self.objects > 0 {
            return Err(RestoreFault::new(format!("{} in the database `{into}`", are(self.objects, "object")), hint));
        }
        Ok(())
    }
}

impl Target {
    fn refuse_in_use(&self, wanted: &Wanted) -> Result<(), RestoreFault> {
        if self.sessions.is_empty() || wanted.end_connections {
            return Ok(());
        }
        let message = format!("{} connected to the database `{}`", are(self.sessions.len() as u64, "session"), wanted.into);
        Err(RestoreFault::new(
            message,
            "End them, or say `--end-connections`: then they are ended when everything is restored, and not before.",
        ))
    }
}

fn are(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what} is") } else { format!("{count} {what}s are") }
}

/// Each extension can be made here; TimescaleDB comes back only into the very same version.
fn extensions(connection: &mut Connection, dumped: &Database) -> Result<(), RestoreFault> {
    for (name, version) in &dumped.extensions {
        let sql = "select string_agg(version, ', ' order by version) as versions from pg_available_extension_versions where name = $1";
        let rows = connection.query(sql, &[name]).map_err(|fault| RestoreFault::new(fault.message, fault.hint))?;
        let versions = rows.iter().next().and_then(|row| row.get("versions")).map(str::to_owned);
        match versions {
            None => {
                let message = format!("the extension `{name}` ({version}) is not installed on this server");
                return Err(RestoreFault::new(message, "Install its package there."));
            }
            Some(versions) if name == "timescaledb" && !versions.split(", ").any(|one| one == version) => {
                let message = format!("the dump is of TimescaleDB {version}, and this server has {versions}");
                return Err(RestoreFault::new(message, "Install the same version; update the extension when the dump is in."));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
