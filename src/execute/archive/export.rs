//! Rows on their way into the store, in one snapshot of the server.

use std::sync::atomic::Ordering;

use super::kept::put_signed;
use super::slice::Slice;
use super::table::SETTINGS;
use super::{Archived, Done, Run};
use crate::execute::id::new_id;
use crate::format::archived::{Contents, Extent, Form, Stored};
use crate::format::codec::Codec;
use crate::format::descriptor::{By, FORMAT};
use crate::observe::{Kept, sha256};
use crate::pipeline::{self, Lock, RowsWriter, Written};
use crate::policy::file::ArchiveFormat;
use crate::postgres::Connection;
use crate::site::SiteFault;
use crate::units::{BackupId, Instant, hex};
use crate::world::clock;

/// Rows that the server has sent. They may still be on their way into the store, and without a descriptor they are no extent.
struct Sent {
    slice: Slice,
    id: BackupId,
    exported: Instant,
    condition: String,
    /// As the server counts them.
    rows: u64,
    /// The server's.
    version: u32,
    writer: RowsWriter,
}

impl Run<'_> {
    pub(super) fn export(&self, connection: &mut Connection, slice: &Slice, done: &mut Archived) -> Result<Kept, SiteFault> {
        let sent = self.send(connection, slice.clone())?;
        self.commit(sent, done)
    }

    /// What is exported now can be read back here.
    pub(super) fn opens_rows(&self) -> Result<bool, SiteFault> {
        Ok(!self.identities.is_empty() || !self.site.lock()?.is_encrypted())
    }

    /// Nobody reads anything back here, so no row leaves its table: the server sends the next ones while those before become durable. Says up to where.
    pub(super) fn export_ahead(
        &self,
        connection: &mut Connection,
        mut after: Option<String>,
        rows_at_once: u64,
        done: &mut Archived,
    ) -> Result<Option<String>, SiteFault> {
        let mut before: Option<Sent> = None;
        loop {
            let next = self.send_next(connection, after.as_deref(), rows_at_once, done);
            // Whatever became of the next ones, these are whole.
            if let Some(sent) = before.take() {
                let kept = self.commit(sent, done)?;
                self.finish(connection, &kept, done)?;
            }
            let Some(sent) = next? else { return Ok(after) };
            after = Some(sent.slice.to.clone());
            before = Some(sent);
        }
    }

    /// None where nothing is left, or somebody asked the run to end.
    fn send_next(
        &self,
        connection: &mut Connection,
        after: Option<&str>,
        rows_at_once: u64,
        done: &mut Archived,
    ) -> Result<Option<Sent>, SiteFault> {
        if self.is_stopped(done) {
            return Ok(None);
        }
        let Some(slice) = Slice::next(connection, &self.table, after, rows_at_once, &done.bounds)? else { return Ok(None) };
        let mut sent = self.send(connection, slice)?;
        // The rest is put while somebody does something else.
        sent.writer.end()?;
        Ok(Some(sent))
    }

    fn send(&self, connection: &mut Connection, slice: Slice) -> Result<Sent, SiteFault> {
        let exported = clock::now();
        let id = new_id(exported)?;
        let table = &self.table;
        let (lock, codec) = (self.site.lock()?, self.site.codec(None));
        let condition = table.condition(&slice.from, &slice.to);
        let key = self.repository.extent_data(&id, &csv_name(&lock, codec));
        let columnar_key = self.repository.extent_data(&id, &parquet_name(&lock));
        let in_columns = self.archive.formats.contains(&ArchiveFormat::Parquet).then_some((&columnar_key, table.columns.as_slice()));
        let shelf = pipeline::Shelf { store: &self.store, lock: &lock, codec };
        let mut writer = RowsWriter::new(&shelf, Some(&key), in_columns)?;
        connection.run("begin isolation level repeatable read read only")?;
        let sql = format!("copy (select {} from {} where {condition}) to stdout (format csv, header true)", table.listed, table.name);
        let mut rows = connection.copy_out(&sql)?;
        let mut come = Vec::new();
        while rows.add_to(&mut come)? {
            writer.push(&come)?;
            come.clear();
            if self.onlooker.stop.load(Ordering::Relaxed) {
                return Err(SiteFault::interrupted());
            }
        }
        let counted = rows.rows();
        drop(rows);
        connection.run("commit")?;
        Ok(Sent { slice, id, exported, condition, rows: counted, version: connection.version(), writer })
    }

    /// Waits until they are durable, and makes them an extent.
    fn commit(&self, sent: Sent, done: &mut Archived) -> Result<Kept, SiteFault> {
        let Sent { slice, id, exported, condition, rows, version, writer } = sent;
        let (table, policy) = (&self.table, self.site.policy);
        let (lock, codec) = (self.site.lock()?, self.site.codec(None));
        let written = writer.finish()?;
        if written.rows.rows != rows {
            let message = format!("the server says that it sent {rows} rows, and {} were read", written.rows.rows);
            return Err(SiteFault::new(message, "Nothing was taken out of the table."));
        }
        let contents = Contents {
            job: table.job.clone(),
            database: table.database.clone(),
            schema: table.schema.clone(),
            table: table.table.clone(),
            oid: table.oid.parse().ok(),
            column: table.column.0.clone(),
            from: slice.from,
            to: slice.to,
            condition,
            zoned: table.zoned.clone(),
            columns: table.columns.clone(),
            sum: written.rows.sum,
            settings: SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            timescaledb: table.hypertable.clone(),
        };
        let stored = |name, form, written: &Written, plain_sha256| {
            let sha256 = hex(&written.sha256);
            Stored { name, form, size: written.size, sha256, plain_sha256 }
        };
        let mut objects: Vec<Stored> = written.csv.iter().map(|csv| stored(csv_name(&lock, codec), Form::Csv, csv, None)).collect();
        if let Some(parquet) = written.parquet {
            if parquet.misfits > 0 {
                let (misfits, table) = (parquet.misfits, &table.name);
                tracing::warn!("{misfits} values of {table} cannot be expressed in Parquet and are null there; in the CSV they are whole");
            }
            objects.push(stored(parquet_name(&lock), Form::Parquet, &parquet.object, Some(parquet.sha256)));
        }
        let readers = self.site.lock_for_host(&self.keys)?;
        let private = contents.seal(readers.recipients()).map_err(|error| SiteFault::new(error.to_string(), ""))?;
        let extent = Extent {
            format: FORMAT,
            id: id.clone(),
            exported,
            by: By {
                seawall: env!("CARGO_PKG_VERSION").to_owned(),
                host: self.site.host().to_owned(),
                policy: policy.name.to_string(),
                digest: policy.digest.clone(),
                commit: self.site.commit().map(str::to_owned),
            },
            system_identifier: self.cluster,
            version,
            rows: written.rows.rows,
            size: written.size,
            stored_size: objects.iter().map(|object| object.size).sum(),
            objects,
            private,
        };
        let json = serde_json::to_vec_pretty(&extent).expect("texts and numbers");
        let digest = sha256(&json);
        put_signed(&self.store, &self.repository.extent(&id), json, &self.keys.signing)?;
        let kept = Kept { extent, contents, digest };
        let deed = self.deed(&kept);
        (self.onlooker.deed)(Done::Exported, &deed);
        done.exported.push(deed);
        Ok(kept)
    }
}

fn csv_name(lock: &Lock, codec: Codec) -> String {
    format!("rows.csv{}", codec.extension(lock.envelope()))
}

fn parquet_name(lock: &Lock) -> String {
    format!("rows.parquet{}", Codec::None.extension(lock.envelope()))
}
