//! Chosen tables of a database, all as of one snapshot: as `pg_dump` writes them, or their rows as CSV or Parquet.

use std::collections::{BTreeMap, HashSet};

use super::locks::Which;
use super::order::Chosen;
use super::snapshot::{Named, Snapshot};
use super::{Run, archive, hyper, pieces, recorded};
use crate::execute::archive::{SETTINGS, columns};
use crate::execute::backup::BackupFault;
use crate::format::archived::Form;
use crate::format::codec::Codec;
use crate::format::contents::{Database, Export, Table};
use crate::format::descriptor::{Object, ObjectKind};
use crate::format::dump::EntryKind;
use crate::pipeline::{RowsWriter, Shelf};
use crate::policy::file::TableFormat;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::Connection;
use crate::units::hex;

/// What a name means: as the role's `search_path` finds it, like every other name of a table in a policy.
const FIND: &str = "\
    select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind::text as kind \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = pg_catalog.to_regclass($1)";
/// What has its rows: partitions, and tables that inherit from it.
const PARTS: &str = "\
    with recursive tree as ( \
        select $1::oid as oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid) \
    select c.oid::text as oid, n.nspname as schema, c.relname as name from tree t join pg_catalog.pg_class c on c.oid = t.oid \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace order by t.oid";
/// A table that the policy names.
struct Found {
    oid: u32,
    schema: String,
    name: String,
}

impl Found {
    /// As SQL reads it.
    fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

impl Run<'_> {
    pub(super) fn chosen(&mut self, number: usize, database: &str, chosen: &Chosen) -> Result<Database, BackupFault> {
        let which = if chosen.format == TableFormat::Custom { Which::Defined(&chosen.names) } else { Which::Named(&chosen.names) };
        let mut snapshot = Snapshot::take(self.settings, database, which, self.order.lock_timeout)
            .map_err(|fault| archive::of_database(database, fault))?;
        let tables = self.find(&mut snapshot, database, chosen)?;
        if chosen.format == TableFormat::Custom && snapshot.has_timescale() {
            let path = format!("backups.{}.tables.tables", self.order.job);
            let roots = hyper::Roots::look(&mut snapshot, tables.iter().map(|table| table.oid), &path)?;
            if roots.has_hypertable() {
                return self.some_rows(number, database, snapshot, &roots);
            }
        }
        let (mut made, mut exports, mut types) = (Vec::new(), Vec::new(), None);
        match chosen.format {
            TableFormat::Custom => {
                let parts = parts(snapshot.session(), tables.iter().map(|table| table.oid))?;
                let piece = pieces::tables(number, &parts.into_values().collect::<Vec<_>>());
                snapshot.encode(piece.arguments.iter())?;
                made.push(self.archive(&snapshot, database, &piece)?);
                types = Some(self.archive(&snapshot, database, &pieces::types(number))?);
            }
            TableFormat::Csv | TableFormat::Parquet => {
                prepare(snapshot.session())?;
                for (at, table) in tables.iter().enumerate() {
                    exports.push(self.export(snapshot.session(), at + 1, table, chosen.format)?);
                }
            }
        }
        let oids = tables.iter().map(|table| table.oid).chain(made.iter().flat_map(|made| made.tables(EntryKind::Rows)));
        let mut recorded = recorded(database, &snapshot, self.order, &made);
        snapshot.end(oids).map_err(|fault| archive::of_database(database, fault))?;
        self.objects.extend(made.into_iter().map(|made| made.object));
        if let Some(types) = types {
            recorded.types = Some(types.archive);
            self.objects.push(types.object);
        }
        for (object, export) in exports {
            self.objects.push(object);
            recorded.tables.push(Table { schema: export.schema.clone(), name: export.table.clone(), rows: export.rows });
            recorded.exports.push(export);
        }
        Ok(recorded)
    }

    /// Each once, whatever it is called.
    fn find(&self, snapshot: &mut Snapshot, database: &str, chosen: &Chosen) -> Result<Vec<Found>, BackupFault> {
        let path = format!("backups.{}.tables.tables", self.order.job);
        let (mut all, mut known) = (Vec::new(), HashSet::new());
        for name in &chosen.names {
            let rows = snapshot.session().query(FIND, &[name])?;
            let Some(row) = rows.iter().next() else {
                let message = format!("`{path}`: there is no table `{name}` in the database `{database}`");
                return Err(BackupFault::refused(message, "Write its schema before it if that is not in the role's search_path."));
            };
            let kind = row.text("kind")?;
            if !["r", "p", "m"].contains(&kind) {
                return Err(BackupFault::refused(
                    format!("`{path}`: `{name}` is no table"),
                    "Only tables and materialized views have rows.",
                ));
            }
            let found = Found { oid: row.parse("oid")?, schema: row.text("schema")?.into(), name: row.text("name")?.into() };
            if known.insert(found.oid) {
                all.push(found);
            }
        }
        Ok(all)
    }

    fn export(
        &self,
        connection: &mut Connection,
        number: usize,
        table: &Found,
        format: TableFormat,
    ) -> Result<(Object, Export), BackupFault> {
        let name = table.quoted();
        let (columns, listed, _) = columns(connection, &table.oid.to_string(), "")?;
        if columns.is_empty() {
            let message = format!("{name} has no columns, and rows without columns are none as CSV");
            return Err(BackupFault::refused(message, "Leave it out, or say `format: custom`."));
        }
        let (form, codec) = if format == TableFormat::Csv { (Form::Csv, self.order.codec) } else { (Form::Parquet, Codec::None) };
        let word = if form == Form::Csv { "csv" } else { "parquet" };
        let object = format!("table-{number:05}.{word}{}", codec.extension(self.data_lock.envelope()));
        let key = self.repository.data(self.id, &object);
        let shelf = Shelf { store: self.store, lock: self.data_lock, codec: self.order.codec };
        let mut writer = match form {
            Form::Csv => RowsWriter::new(&shelf, Some(&key), None)?,
            Form::Parquet => RowsWriter::new(&shelf, None, Some((&key, &columns)))?,
        };
        let sql = format!("copy (select {listed} from {name}) to stdout (format csv, header true)");
        let mut rows = connection.copy_out(&sql)?;
        while let Some(piece) = rows.piece()? {
            writer.push(&piece)?;
            self.onlooker.progress.read.fetch_add(piece.len() as u64, std::sync::atomic::Ordering::Relaxed);
            self.pace.take_if(piece.len() as u64, &|| self.halt.check())?;
        }
        let counted = rows.rows();
        drop(rows);
        let written = writer.finish()?;
        if written.rows.rows != counted {
            let message = format!("{name}: the server says that it sent {counted} rows, and {} were read", written.rows.rows);
            return Err(BackupFault::refused(message, "Something between the server and here changes what passes through it."));
        }
        let misfits = written.parquet.as_ref().map_or(0, |parquet| parquet.misfits);
        if misfits > 0 {
            let message =
                format!("{misfits} values of {name} cannot be expressed in Parquet (infinity, or years beyond 9999) and would be null");
            return Err(BackupFault::refused(message, "Say `format: csv` for this table: a backup must not lose values."));
        }
        let (stored, plain_size, plain_sha256) = match (written.csv, written.parquet) {
            (Some(csv), _) => (csv, written.size, None),
            (None, Some(parquet)) => (parquet.object, parquet.size, Some(parquet.sha256)),
            (None, None) => return Err(BackupFault::refused(format!("{name} was written nowhere"), "")),
        };
        self.onlooker.progress.stored.fetch_add(stored.size, std::sync::atomic::Ordering::Relaxed);
        let entry = Object { name: object.clone(), is: ObjectKind::Rows, size: stored.size, sha256: hex(&stored.sha256), plain_size };
        let (schema, table) = (table.schema.clone(), table.name.clone());
        Ok((entry, Export { object, form, schema, table, columns, rows: counted, sum: written.rows.sum, plain_sha256 }))
    }
}

/// Tables and what has their rows, each once, as `pg_dump` can be told of them.
pub(super) fn parts(connection: &mut Connection, tables: impl Iterator<Item = u32>) -> Result<BTreeMap<u32, Named>, BackupFault> {
    let mut all = BTreeMap::new();
    for table in tables {
        for row in &connection.query(PARTS, &[&table.to_string()])? {
            all.insert(row.parse("oid")?, Named { schema: row.text("schema")?.into(), name: row.text("name")?.into(), bytes: 0 });
        }
    }
    Ok(all)
}

/// So that the same row is the same text in every session.
fn prepare(connection: &mut Connection) -> Result<(), BackupFault> {
    for (name, value) in SETTINGS {
        connection.run(&format!("set {name} = {}", literal(value)))?;
    }
    Ok(())
}
