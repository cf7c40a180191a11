//! Some tables of a database with hypertables.
//!
//! A hypertable's rows lie in chunks of another schema, and which chunks those are is rows of TimescaleDB's own catalog, which names every
//! hypertable of the database. So the definitions of everything are dumped, which are small, with that catalog; and rows of the chosen tables
//! alone, with those of their chunks, compressed or not.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::Choice;
use super::snapshot::{Named, Snapshot};
use super::{Made, Run, archive, first_fault, has, hidden, originals, pieces, recorded, tables};
use crate::execute::backup::BackupFault;
use crate::format::contents::{Database, SomeRows, Tie};
use crate::format::dump::EntryKind;
use crate::plan::words::joined;
use crate::policy::file::Logical;
use crate::postgres::{Connection, Fault, array};
use crate::units::DumpSection;

/// Of these tables: which are hypertables, and which are TimescaleDB's own, or parts of hypertables.
const KINDS: &str = "\
    select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name, h.id is not null as is_hypertable, \
        n.nspname ~ '^_timescaledb_' or exists ( \
            select from _timescaledb_catalog.chunk k where k.schema_name = n.nspname and k.table_name = c.relname) as is_part \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    left join _timescaledb_catalog.hypertable h on h.schema_name = n.nspname and h.table_name = c.relname \
    where c.oid = any ($1::oid[]) order by c.oid";
/// Where the compressed rows of these chunks lie.
const COMPRESSED: &str = "\
    select c.oid::text as oid, z.schema_name as schema, z.table_name as name from _timescaledb_catalog.chunk k \
    join _timescaledb_catalog.chunk z on z.id = k.compressed_chunk_id \
    join pg_catalog.pg_namespace n on n.nspname = z.schema_name join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = z.table_name \
    where pg_catalog.to_regclass(pg_catalog.format('%I.%I', k.schema_name, k.table_name))::oid = any ($1::oid[])";
/// What the extension itself says that `pg_dump` has to bring back of it.
const CATALOG: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name from pg_catalog.pg_extension e \
    cross join lateral pg_catalog.unnest(e.extconfig) it join pg_catalog.pg_class c on c.oid = it \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where e.extname = 'timescaledb' order by 2, 3";
const TIES: &str = "\
    select n.nspname as schema, c.relname as table, k.conname as name \
    from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where k.contype = 'f' and k.conrelid = any ($1::oid[]) and not k.confrelid = any ($1::oid[]) order by 1, 2, 3";
/// Tables and sequences that people made, each by itself. Chunks go with their hypertable, wherever they lie.
const OF_PEOPLE: &str = "\
    select c.oid::text as oid, c.relnamespace::text as home, h.id is not null as is_hypertable \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    left join _timescaledb_catalog.hypertable h on h.schema_name = n.nspname and h.table_name = c.relname \
    where c.relkind in ('r', 'p', 'S') and c.relpersistence <> 't' and n.nspname !~ '^(pg_|_timescaledb_|information_schema$)' \
      and not exists (select from pg_catalog.pg_depend d \
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e') \
      and not exists (select from _timescaledb_catalog.chunk k where k.schema_name = n.nspname and k.table_name = c.relname) order by c.oid";
/// Continuous aggregates, and where their rows lie.
const MADE: &str = "\
    select v.oid::text as oid, v.relnamespace::text as home, \
        pg_catalog.to_regclass(pg_catalog.format('%I.%I', h.schema_name, h.table_name))::oid::text as rows \
    from _timescaledb_catalog.continuous_agg a join _timescaledb_catalog.hypertable h on h.id = a.mat_hypertable_id \
    join pg_catalog.pg_namespace n on n.nspname = a.user_view_schema \
    join pg_catalog.pg_class v on v.relnamespace = n.oid and v.relname = a.user_view_name";
const NAMED: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::oid[])";
/// What is made of another one has a larger number.
const AGGREGATES: &str = "\
    with recursive made as ( \
        select a.* from _timescaledb_catalog.continuous_agg a join _timescaledb_catalog.hypertable h on h.id = a.raw_hypertable_id \
        where pg_catalog.to_regclass(pg_catalog.format('%I.%I', h.schema_name, h.table_name))::oid = any ($1::oid[]) \
        union all select a.* from _timescaledb_catalog.continuous_agg a join made m on a.raw_hypertable_id = m.mat_hypertable_id) \
    select pg_catalog.format('%I.%I', user_view_schema, user_view_name) as name from made \
    join _timescaledb_catalog.hypertable m on m.id = made.mat_hypertable_id \
    where not pg_catalog.to_regclass(pg_catalog.format('%I.%I', m.schema_name, m.table_name))::oid = any ($2::oid[]) \
    group by 1 order by min(mat_hypertable_id)";

/// Tables and sequences that a job chooses.
#[derive(Debug, Default)]
pub(super) struct Roots {
    all: Vec<u32>,
    hypertables: Vec<u32>,
    /// What chosen continuous aggregates are kept in.
    made: Vec<u32>,
    /// Each was chosen by itself: what has rows of another one is among them, but for chunks.
    is_complete: bool,
    with_large_objects: bool,
}

impl Roots {
    /// `path` is where the policy names them.
    pub(super) fn look(snapshot: &mut Snapshot, oids: impl Iterator<Item = u32>, path: &str) -> Result<Roots, BackupFault> {
        let all: Vec<u32> = oids.collect();
        let mut hypertables = Vec::new();
        for row in &snapshot.session().query(KINDS, &[&array(&all)])? {
            if row.flag("is_part")? {
                let message = format!("`{path}`: {} is a part of a hypertable, or TimescaleDB's own", row.text("name")?);
                return Err(BackupFault::refused(message, "Name the hypertable: all that belongs to it comes with it."));
            }
            if row.flag("is_hypertable")? {
                hypertables.push(row.parse("oid")?);
            }
        }
        Ok(Roots { all, hypertables, ..Roots::default() })
    }

    /// By patterns.
    pub(super) fn chosen(snapshot: &mut Snapshot, choice: &Choice, options: &Logical, path: &str) -> Result<Roots, BackupFault> {
        Roots::look(snapshot, choice.roots.iter().copied(), path)?;
        let with_large_objects = options.schemas.is_empty() && options.tables.is_empty();
        let mut roots = Roots { is_complete: true, with_large_objects, ..Roots::default() };
        for row in &snapshot.session().query(OF_PEOPLE, &[])? {
            let oid = row.parse("oid")?;
            if choice.has_rows_of(oid, row.parse("home")?) {
                roots.all.push(oid);
                roots.hypertables.extend(row.flag("is_hypertable")?.then_some(oid));
            }
        }
        for row in &snapshot.session().query(MADE, &[])? {
            if choice.has_rows_of(row.parse("oid")?, row.parse("home")?) {
                roots.made.push(row.parse("rows")?);
            }
        }
        Ok(roots)
    }

    pub(super) fn leave_large_objects(&mut self) {
        self.with_large_objects = false;
    }

    pub(super) fn has_hypertable(&self) -> bool {
        !self.hypertables.is_empty()
    }
}

/// With all definitions and its catalog, whatever rows are left out: without them there are no hypertables.
pub(super) fn must_have_its_catalog(options: &Logical, database: &str, skipped: &[Named]) -> Result<(), BackupFault> {
    if let Some(lacks) = options.lacks() {
        let message = format!("`{database}` has TimescaleDB, and this job is without {lacks} (`sections`)");
        let hint = "What makes tables hypertables is rows of TimescaleDB's catalog, and comes with all sections or not at all. For definitions alone say \
                    `exclude_table_data: ['*.*']`, which leaves out every table's rows but that catalog's.";
        return Err(BackupFault::refused(message, hint));
    }
    let Some(one) = skipped.first() else { return Ok(()) };
    let message = format!("`{database}` has TimescaleDB, and the role may not read {} (`unreadable: skip`)", one.quoted());
    let hint = "The definitions of everything are dumped there, for which all tables are locked: grant the role `pg_read_all_data`.";
    Err(BackupFault::refused(message, hint))
}

impl Run<'_> {
    /// The definitions of everything, and the rows of these.
    pub(super) fn some_rows(&mut self, number: usize, name: &str, mut snapshot: Snapshot, roots: &Roots) -> Result<Database, BackupFault> {
        let filled = filled(snapshot.session(), roots)?;
        let oids: Vec<u32> = filled.keys().copied().collect();
        let some_rows = lead(snapshot.session(), &oids, roots)?;
        self.remarks.extend(hidden::remarks(snapshot.session(), name, &roots.hypertables)?);
        let made = self.definitions_and(number, name, &mut snapshot, roots, filled)?;
        let with_rows: BTreeSet<u32> = made.iter().flat_map(|made| made.tables(EntryKind::Rows)).collect();
        let defined = made.iter().flat_map(|made| made.tables(EntryKind::Table)).collect();
        let left = snapshot.left_out(&self.order.options, &defined, &with_rows.iter().copied().collect())?;
        self.remarks.push(has(&self.order.options, name, &left));
        if !some_rows.aggregates.is_empty() {
            let names = joined(some_rows.aggregates.iter().cloned());
            self.remarks
                .push(format!("the dump of `{name}` has {names} without rows: continuous aggregates are made anew from their tables"));
        }
        let database =
            Database { partial: true, without_rows: left.rows, some_rows: Some(some_rows), ..recorded(name, &snapshot, self.order, &made) };
        let of = originals::of_dump(self.site.policy, self.settings, (name, &snapshot.id), &mut self.remarks);
        self.private.recorded.extend(of.0.map(|recorded| (name.to_owned(), recorded)));
        self.private.answers.extend(of.1);
        snapshot.end(with_rows.into_iter()).map_err(|fault| archive::of_database(name, fault))?;
        self.objects.extend(made.into_iter().map(|made| made.object));
        Ok(database)
    }

    fn definitions_and(
        &self,
        number: usize,
        name: &str,
        snapshot: &mut Snapshot,
        roots: &Roots,
        filled: BTreeMap<u32, Named>,
    ) -> Result<Vec<Made>, BackupFault> {
        let catalog = named(snapshot.session(), CATALOG, &[])?;
        let names: Vec<Named> = catalog.into_iter().map(|(_, named)| named).chain(filled.into_values()).collect();
        let mut words = self.order.sections(&[DumpSection::PreData, DumpSection::PostData]);
        // Where tables were chosen, those are none of them.
        let large_objects = if roots.with_large_objects { "--blobs" } else { "--no-blobs" };
        words.push(large_objects.to_owned());
        let mut rows = pieces::only(number, &names);
        rows.iter_mut().take(1).for_each(|piece| piece.arguments.push(large_objects.to_owned()));
        let all: Vec<pieces::Piece> = std::iter::once(pieces::definitions(number, words)).chain(rows).collect();
        snapshot.encode(all.iter().flat_map(|piece| &piece.arguments))?;
        first_fault(all.iter().map(|piece| self.archive(snapshot, name, piece)).collect())
    }
}

/// The tables that come with their rows: what was chosen, its partitions and chunks, and what has the rows of compressed chunks.
fn filled(connection: &mut Connection, roots: &Roots) -> Result<BTreeMap<u32, Named>, BackupFault> {
    let mut all = match roots.is_complete {
        true => {
            let mut all: BTreeMap<u32, Named> = named(connection, NAMED, &[&array(&roots.all)])?.into_iter().collect();
            all.extend(tables::parts(connection, roots.hypertables.iter().chain(&roots.made).copied())?);
            all
        }
        false => tables::parts(connection, roots.all.iter().copied())?,
    };
    let chunks: Vec<u32> = all.keys().copied().collect();
    all.extend(named(connection, COMPRESSED, &[&array(&chunks)])?);
    Ok(all)
}

fn named(connection: &mut Connection, sql: &str, parameters: &[&str]) -> Result<Vec<(u32, Named)>, Fault> {
    let rows = connection.query(sql, parameters)?;
    let one = |row: &crate::postgres::Row| {
        Ok((row.parse("oid")?, Named { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned(), bytes: 0 }))
    };
    rows.iter().map(one).collect()
}

/// What leads from these tables to others, and what is made of them.
fn lead(connection: &mut Connection, filled: &[u32], roots: &Roots) -> Result<SomeRows, BackupFault> {
    let mut some = SomeRows::default();
    for row in &connection.query(TIES, &[&array(filled)])? {
        let (schema, table, name) = (row.text("schema")?.to_owned(), row.text("table")?.to_owned(), row.text("name")?.to_owned());
        some.ties.push(Tie { schema, table, name });
    }
    for row in &connection.query(AGGREGATES, &[&array(&roots.hypertables), &array(&roots.made)])? {
        some.aggregates.push(row.text("name")?.to_owned());
    }
    Ok(some)
}
