//! A database at one moment: all pieces of its dump see the same, and so does what is recorded of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::own;
use crate::execute::backup::BackupFault;
use crate::format::contents::Own;
use crate::postgres::{Connection, Settings};
use crate::units::Lsn;

/// Questions about the catalog may have to wait for a busy server.
const SILENCE: Duration = Duration::from_secs(600);

/// Alive as long as this session is.
#[derive(Debug)]
pub(super) struct Snapshot {
    connection: Connection,
    pub id: String,
    pub position: Lsn,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    pub extensions: BTreeMap<String, String>,
    pub own: Own,
    /// By oid.
    pub tables: HashMap<u32, Named>,
}

/// A table with rows of its own.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub schema: String,
    pub name: String,
    /// As far as the server knows it without a lock: a guess.
    pub bytes: u64,
}

const ABOUT: &str = "\
    select pg_export_snapshot() as snapshot, \
           (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as position, \
           pg_encoding_to_char(encoding) as encoding, datcollate as collate, datctype as ctype \
    from pg_database where datname = current_database()";

/// No lock is taken: it would wait behind whoever changes a table, and others behind it.
const TABLES: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name, \
           greatest((c.relpages + coalesce(t.relpages, 0))::bigint * current_setting('block_size')::bigint, \
                    coalesce(pg_stat_get_live_tuples(c.oid), 0) * 64)::text as bytes \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_class t on t.oid = c.reltoastrelid \
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'";

impl Snapshot {
    pub(super) fn take(settings: &Settings, database: &str) -> Result<Snapshot, BackupFault> {
        let mut connection = Connection::connect(&settings.clone().with_dbname(database))?;
        connection.set_silence(SILENCE)?;
        connection.run(
            "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; \
             begin transaction isolation level repeatable read, read only",
        )?;
        let about = connection.query(ABOUT, &[])?;
        let about = about.one()?;
        let (id, position) = (about.text("snapshot")?.to_owned(), about.parse("position")?);
        let text = |column: &str| about.text(column).map(str::to_owned);
        let (encoding, collate, ctype) = (text("encoding")?, text("collate")?, text("ctype")?);
        let rows = connection.query("select extname as name, extversion as version from pg_extension", &[])?;
        let mut extensions = BTreeMap::new();
        for row in rows.iter() {
            extensions.insert(row.text("name")?.to_owned(), row.text("version")?.to_owned());
        }
        let rows = connection.query(TABLES, &[])?;
        let mut tables = HashMap::new();
        for row in rows.iter() {
            let named = Named { schema: row.text("schema")?.into(), name: row.text("name")?.into(), bytes: row.parse("bytes")? };
            tables.insert(row.parse("oid")?, named);
        }
        let own = own::of(&mut connection)?;
        Ok(Snapshot { connection, id, position, encoding, collate, ctype, extensions, own, tables })
    }

    /// The session that holds it.
    pub(super) fn session(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The session was there to the end.
    pub(super) fn end(mut self) -> Result<(), BackupFault> {
        Ok(self.connection.run("commit").map(drop)?)
    }
}
