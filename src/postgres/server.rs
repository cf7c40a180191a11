//! What a server says of itself and its cluster.

use std::collections::BTreeMap;

use super::array::array;
use super::connection::Connection;
use super::conninfo::Settings;
use super::fault::Fault;
use super::rows::Rows;
use crate::units::Timeline;

/// Facts about a cluster that a backup, its description or a restore needs. What this role may not see is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// As `150020`.
    pub version: u32,
    /// As the server writes it, with the packager's words.
    pub version_text: String,
    pub system: u64,
    pub timeline: Timeline,
    pub in_recovery: bool,
    pub segment_bytes: u64,
    pub block_bytes: u32,
    pub data_checksums: bool,
    pub tablespaces: Vec<Tablespace>,
    pub databases: Vec<Database>,
    /// By name, as SHOW writes them but in base units; only those in [`SETTINGS`], and of them what this role may see.
    pub settings: BTreeMap<String, String>,
}

/// A tablespace outside the data directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tablespace {
    pub oid: u32,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub oid: u32,
    pub name: String,
    pub encoding: String,
    /// Not where a `DROP DATABASE` was broken off.
    pub allows_connections: bool,
    pub collate: String,
    /// libc or icu, from version 15.
    pub provider: Option<String>,
    /// The version its indexes were built with, from version 15.
    pub collation_version: Option<String>,
    /// The version that the machine has now, from version 15.
    pub actual_collation_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub database: String,
    pub name: String,
    pub version: String,
}

/// A collation that indexes may depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation {
    pub database: String,
    pub name: String,
    pub provider: String,
    pub recorded: Option<String>,
    pub actual: Option<String>,
}

/// What all databases have, and which of them could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Everywhere<T> {
    pub found: Vec<T>,
    pub unasked: Vec<(String, Fault)>,
}

const NO_SUCH_DATABASE: &str = "3D000";

/// What is asked of pg_settings.
pub const SETTINGS: &[&str] = &[
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "archive_mode",
    "archive_command",
    "archive_library",
    "archive_timeout",
    "wal_level",
    "full_page_writes",
    "summarize_wal",
    "data_directory_mode",
    "unix_socket_directories",
    "listen_addresses",
    "port",
    "server_encoding",
    "segment_size",
    "shared_preload_libraries",
    // A server that replays this cluster's log must have at least as much of these.
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// A restored server must not have less of these, or recovery stops.
pub const AT_LEAST: [&str; 5] =
    ["max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction"];

impl Server {
    pub fn observe(connection: &mut Connection) -> Result<Server, Fault> {
        let about = connection.query(ABOUT, &[])?;
        let about = about.one()?;
        Ok(Server {
            version: connection.version(),
            version_text: about.text("version")?.to_owned(),
            system: about.parse("system")?,
            timeline: about.parse("timeline")?,
            in_recovery: about.flag("in_recovery")?,
            segment_bytes: about.parse("segment_bytes")?,
            block_bytes: about.parse("block_bytes")?,
            data_checksums: about.flag("data_checksums")?,
            tablespaces: tablespaces(connection)?,
            databases: databases(connection)?,
            settings: settings(connection)?,
        })
    }

    pub fn major(&self) -> u32 {
        self.version / 10_000
    }

    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// What a server must have at least that replays this one's log.
    pub fn at_least(&self) -> BTreeMap<&'static str, u64> {
        AT_LEAST.iter().filter_map(|name| Some((*name, self.setting(name)?.parse().ok()?))).collect()
    }

    /// The extensions of every database; a session is opened in each, one after the other.
    pub fn extensions(&self, settings: &Settings) -> Result<Everywhere<Extension>, Fault> {
        everywhere(settings, |connection, database| {
            let rows = connection.query("select extname as name, extversion as version from pg_extension order by 1", &[])?;
            read(&rows, |row| {
                Ok(Extension { database: database.to_owned(), name: row.text("name")?.into(), version: row.text("version")?.into() })
            })
        })
    }

    /// The collations of every database whose version the machine knows, with what was recorded.
    pub fn collations(&self, settings: &Settings) -> Result<Everywhere<Collation>, Fault> {
        everywhere(settings, |connection, database| {
            let rows = connection.query(COLLATIONS, &[])?;
            read(&rows, |row| {
                Ok(Collation {
                    database: database.to_owned(),
                    name: row.text("name")?.into(),
                    provider: row.text("provider")?.into(),
                    recorded: row.get("recorded").map(str::to_owned),
                    actual: row.get("actual").map(str::to_owned),
                })
            })
        })
    }
}

/// Asks every database that there is now. One that does not let us in hides nothing of the others; one that went away meanwhile has nothing.
fn everywhere<T>(settings: &Settings, ask: impl Fn(&mut Connection, &str) -> Result<Vec<T>, Fault>) -> Result<Everywhere<T>, Fault> {
    let mut all = Everywhere { found: Vec::new(), unasked: Vec::new() };
    let names = databases(&mut Connection::connect(settings)?)?;
    for Database { name, .. } in names.into_iter().filter(|database| database.allows_connections) {
        let asked = Connection::connect(&settings.clone().with_dbname(&name)).and_then(|mut connection| ask(&mut connection, &name));
        match asked {
            Ok(found) => all.found.extend(found),
            Err(fault) if fault.code() == Some(NO_SUCH_DATABASE) => {}
            Err(fault) => all.unasked.push((name, fault)),
        }
    }
    Ok(all)
}

const ABOUT: &str = "\
    select version() as version, system_identifier::text as system, \
           (select timeline_id from pg_control_checkpoint())::text as timeline, \
           pg_is_in_recovery() as in_recovery, bytes_per_wal_segment::text as segment_bytes, \
           database_block_size::text as block_bytes, data_page_checksum_version <> 0 as data_checksums \
    from pg_control_system(), pg_control_init()";

const COLLATIONS: &str = "\
    select c.collname as name, case c.collprovider when 'c' then 'libc' when 'i' then 'icu' else c.collprovider::text end as provider, \
           c.collversion as recorded, pg_collation_actual_version(c.oid) as actual \
    from pg_collation c \
    where c.collprovider in ('c', 'i') and c.collversion is not null \
      and c.collencoding in (-1, (select encoding from pg_database where datname = current_database())) \
    order by 1";

fn read<T>(rows: &Rows, row: impl Fn(&super::Row) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    rows.iter().map(row).collect()
}

fn tablespaces(connection: &mut Connection) -> Result<Vec<Tablespace>, Fault> {
    let sql =
        "select oid::text as oid, pg_tablespace_location(oid) as path from pg_tablespace where spcname not like 'pg\\_%' order by oid";
    read(&connection.query(sql, &[])?, |row| Ok(Tablespace { oid: row.parse("oid")?, path: row.text("path")?.to_owned() }))
}

fn databases(connection: &mut Connection) -> Result<Vec<Database>, Fault> {
    let versions = match connection.major() {
        ..15 => "null as provider, null as recorded, null as actual",
        _ => {
            "case datlocprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' else datlocprovider::text end as provider, \
             datcollversion as recorded, pg_database_collation_actual_version(oid) as actual"
        }
    };
    let sql = format!(
        "select oid::text as oid, datname as name, pg_encoding_to_char(encoding) as encoding, datallowconn and datconnlimit <> -2 as enter, datcollate as collate, {versions} \
         from pg_database order by datname"
    );
    read(&connection.query(&sql, &[])?, |row| {
        Ok(Database {
            oid: row.parse("oid")?,
            name: row.text("name")?.to_owned(),
            encoding: row.text("encoding")?.to_owned(),
            allows_connections: row.flag("enter")?,
            collate: row.text("collate")?.to_owned(),
            provider: row.get("provider").map(str::to_owned),
            collation_version: row.get("recorded").map(str::to_owned),
            actual_collation_version: row.get("actual").map(str::to_owned),
        })
    })
}

fn settings(connection: &mut Connection) -> Result<BTreeMap<String, String>, Fault> {
    let rows = connection.query("select name, setting from pg_settings where name = any($1::text[])", &[&array(SETTINGS)])?;
    rows.iter().map(|row| Ok((row.text("name")?.to_owned(), row.get("setting").unwrap_or_default().to_owned()))).collect()
}
