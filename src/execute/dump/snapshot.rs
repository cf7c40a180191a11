//! A database at one moment: all pieces of its dump see the same, and so does what is recorded of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use super::locks::{self, Lockable, Locks, Which};
use super::{encoding, own};
use crate::execute::backup::BackupFault;
use crate::format::contents::Own;
use crate::policy::file::Logical;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Row, Settings};
use crate::units::{DumpSection, Lsn};

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
    /// Where those lie that are neither in `public` nor PostgreSQL's own.
    pub extension_schemas: BTreeMap<String, String>,
    pub own: Own,
    /// By oid.
    pub tables: HashMap<u32, Named>,
    /// Those of them whose rows are on the primary alone: unlogged ones, where this is a standby.
    elsewhere: HashSet<u32>,
    locks: Locks,
    lock_timeout: Duration,
    /// Words for `pg_dump`, as bytes of a database that is not in UTF-8.
    encoded: HashMap<String, Vec<u8>>,
}

/// A table with rows of its own.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub schema: String,
    pub name: String,
    /// As far as the server knows it without a lock: a guess.
    pub bytes: u64,
}

impl Named {
    /// As SQL reads it.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

const ABOUT: &str = "\
    select pg_export_snapshot() as snapshot, \
           (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as position, \
           pg_encoding_to_char(encoding) as encoding, datcollate as collate, datctype as ctype \
    from pg_database where datname = current_database()";

const EXTENSIONS: &str = "\
    select e.extname as name, e.extversion as version, n.nspname as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace";

const TABLES: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name, \
           greatest((c.relpages + coalesce(t.relpages, 0))::bigint * current_setting('block_size')::bigint, \
                    coalesce(pg_stat_get_live_tuples(c.oid), 0) * 64)::text as bytes, \
           c.relpersistence = 'u' and pg_is_in_recovery() as elsewhere \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_class t on t.oid = c.reltoastrelid \
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'";

/// What `pg_dump` would read and this role may not.
const UNREADABLE: &str = "\
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p', 'S') and c.relpersistence <> 't' and n.nspname !~ '^(pg_|information_schema$)' \
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') \
      and not (has_schema_privilege(n.oid, 'usage') \
        and case c.relkind when 'S' then has_sequence_privilege(c.oid, 'select') else has_table_privilege(c.oid, 'select') end) \
    order by 1, 2";

/// Large objects that this role may not read. Where the server lets everybody read them, there are none.
const CLOSED: &str = "\
    select count(*) as n from pg_largeobject_metadata m \
    where not current_setting('lo_compat_privileges')::boolean and not pg_has_role(m.lomowner, 'usage') and not exists ( \
      select from aclexplode(m.lomacl) a where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_has_role(a.grantee, 'usage')))";

/// What a dump of everything would have, of what has rows or partitions.
const OF_PEOPLE: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind = 'r' as has_rows \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname !~ '^(pg_|_timescaledb_|information_schema$)' \
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') \
    order by 2, 3";

/// What a dump does not have of the tables that people made, as SQL names them.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    pub tables: Vec<String>,
    /// Their definitions are there.
    pub rows: Vec<String>,
    /// Of how many.
    pub all: usize,
}

impl Snapshot {
    /// With these tables locked, where nobody is changing them for longer than `lock_timeout`.
    pub(super) fn take(settings: &Settings, database: &str, which: Which<'_>, lock_timeout: Duration) -> Result<Snapshot, BackupFault> {
        let mut connection = Connection::connect(&settings.clone().with_dbname(database))?;
        connection.set_silence(SILENCE)?;
        connection.lift_limits()?;
        let before = which.list(&mut connection)?;
        let patience = (!matches!(which, Which::Idle)).then_some(lock_timeout);
        // Neither this nor a lock takes a snapshot: the first query does.
        connection.run("begin transaction isolation level repeatable read, read only")?;
        let mut locks = Locks::default();
        locks.add(&mut connection, before, patience)?;
        let about = connection.query(ABOUT, &[])?;
        let about = about.one()?;
        let (id, position) = (about.text("snapshot")?.to_owned(), about.parse("position")?);
        let text = |column: &str| about.text(column).map(str::to_owned);
        let (encoding, collate, ctype) = (text("encoding")?, text("collate")?, text("ctype")?);
        let rows = connection.query(EXTENSIONS, &[])?;
        let (mut extensions, mut extension_schemas) = (BTreeMap::new(), BTreeMap::new());
        for row in rows.iter() {
            extensions.insert(row.text("name")?.to_owned(), row.text("version")?.to_owned());
            if !["public", "pg_catalog"].contains(&row.text("schema")?) {
                extension_schemas.insert(row.text("name")?.to_owned(), row.text("schema")?.to_owned());
            }
        }
        let rows = connection.query(TABLES, &[])?;
        let (mut tables, mut elsewhere) = (HashMap::new(), HashSet::new());
        for row in rows.iter() {
            let named = Named { schema: row.text("schema")?.into(), name: row.text("name")?.into(), bytes: row.parse("bytes")? };
            let oid = row.parse("oid")?;
            elsewhere.extend(row.flag("elsewhere")?.then_some(oid));
            tables.insert(oid, named);
        }
        let own = own::of(&mut connection)?;
        // What was made meanwhile. As it could be emptied meanwhile too, that is looked at.
        let late = which.list(&mut connection)?;
        let late = locks.add(&mut connection, late, patience)?;
        locks::must_be_unchanged(&mut connection, &late.into_iter().collect())?;
        let encoded = HashMap::new();
        Ok(Snapshot {
            connection,
            id,
            position,
            encoding,
            collate,
            ctype,
            extensions,
            extension_schemas,
            own,
            tables,
            elsewhere,
            locks,
            lock_timeout,
            encoded,
        })
    }

    /// Names on `pg_dump`'s command line are read in the database's own encoding: these words are going to be said.
    pub(super) fn encode<'w>(&mut self, words: impl Iterator<Item = &'w String>) -> Result<(), BackupFault> {
        for word in words.filter(|word| self.encoding != encoding::UTF8 && !word.is_ascii()) {
            self.encoded.insert(word.clone(), encoding::bytes(&mut self.connection, word)?);
        }
        Ok(())
    }

    /// A word as the database reads it.
    pub(super) fn word(&self, word: &str) -> OsString {
        self.encoded.get(word).map_or_else(|| word.into(), |bytes| OsString::from_vec(bytes.clone()))
    }

    /// What is locked of what has rows of its own.
    pub(super) fn locked(&self) -> Vec<&Named> {
        self.locks.iter().filter_map(|oid| self.tables.get(&oid)).collect()
    }

    /// Locks those of these tables that could not be locked before, and are in the dump.
    pub(super) fn hold(&mut self, oids: impl Iterator<Item = u32>) -> Result<(), BackupFault> {
        let known = oids.filter_map(|oid| Some(Lockable { oid, name: self.tables.get(&oid)?.quoted() })).collect();
        let late = self.locks.add(&mut self.connection, known, Some(self.lock_timeout))?;
        locks::must_be_unchanged(&mut self.connection, &late.into_iter().collect())
    }

    /// Tables and sequences that this role may not read.
    pub(super) fn unreadable(&mut self) -> Result<Vec<Named>, BackupFault> {
        let rows = self.connection.query(UNREADABLE, &[])?;
        let named = |row: &Row| Ok(Named { schema: row.text("schema")?.into(), name: row.text("name")?.into(), bytes: 0 });
        rows.iter().map(named).collect()
    }

    /// How many large objects it may not read.
    pub(super) fn closed(&mut self) -> Result<u64, BackupFault> {
        Ok(self.connection.query(CLOSED, &[])?.one()?.parse("n")?)
    }

    /// Held against what is in the dump, as `pg_dump` chose it. Of sections that it does not have nothing is missed; where it has no definitions,
    /// what was locked for it is what was chosen.
    pub(super) fn left_out(&mut self, options: &Logical, defined: &HashSet<u32>, filled: &HashSet<u32>) -> Result<LeftOut, BackupFault> {
        let mut left = LeftOut::default();
        for row in &self.connection.query(OF_PEOPLE, &[])? {
            let (oid, has_rows): (u32, bool) = (row.parse("oid")?, row.flag("has_rows")?);
            let named = Named { schema: row.text("schema")?.into(), name: row.text("name")?.into(), bytes: 0 };
            let is_there = self.is_chosen(oid, options, defined);
            left.all += 1;
            if !is_there {
                left.tables.push(named.quoted());
            } else if has_rows && options.has(DumpSection::Data) && !filled.contains(&oid) && !self.elsewhere.contains(&oid) {
                left.rows.push(named.quoted());
            }
        }
        Ok(left)
    }

    fn is_chosen(&self, oid: u32, options: &Logical, defined: &HashSet<u32>) -> bool {
        if options.has(DumpSection::PreData) { defined.contains(&oid) } else { self.locks.has(oid) }
    }

    /// Of what is in the dump, that of which `pg_dump` writes no row on a standby, and says nothing.
    pub(super) fn unlogged(&self, options: &Logical, defined: &HashSet<u32>) -> Vec<String> {
        let is_in = |oid: &&u32| options.has(DumpSection::Data) && self.is_chosen(**oid, options, defined);
        let mut names: Vec<String> =
            self.elsewhere.iter().filter(is_in).filter_map(|oid| self.tables.get(oid)).map(Named::quoted).collect();
        names.sort();
        names
    }

    pub(super) fn has_timescale(&self) -> bool {
        self.extensions.contains_key("timescaledb")
    }

    /// The session that holds it.
    pub(super) fn session(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The session was there to the end, and these tables, with all that are locked, as it saw them.
    pub(super) fn end(mut self, dumped: impl Iterator<Item = u32>) -> Result<(), BackupFault> {
        let oids: HashSet<u32> = dumped.chain(self.locks.iter()).collect();
        locks::must_be_unchanged(&mut self.connection, &oids)?;
        Ok(self.connection.run("commit").map(drop)?)
    }
}
