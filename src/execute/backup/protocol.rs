//! A backup of a server whose files are not on this host: it sends them itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::own_log::Held;
use super::watch::Watch;
use super::{BackupFault, CHECKPOINT_PATIENCE, Run, Stage, Whole, config};
use crate::format::descriptor::Position;
use crate::format::manifest::WalNeeded;
use crate::format::tarball::Owner;
use crate::inventory::SystemIdentifier;
use crate::pipeline::Lock;
use crate::pipeline::backup::{Copy, Job, Pages};
use crate::policy::file::DamagedPages;
use crate::postgres::{BaseBackup, BaseBackupOptions, Connection, Piece};
use crate::units::{SegmentSize, unhex};

/// Blocks of a relation's file, where the server does not say.
const BLOCKS_PER_FILE: u32 = 131_072;
/// What a page that may just be written is read again with.
const READ_AGAIN: &str = "select encode(pg_read_binary_file($1, $2::bigint, $3::bigint, true), 'hex') as page";

impl Run<'_> {
    /// Pages are looked at here as with local files, and `damaged_pages` means the same. One that may just have been written is read
    /// again by SQL. Where this role may not do that, a torn page cannot be told from a damaged one: then `fail` leaves the judgement
    /// to the server, and `mark` says so.
    pub(super) fn over_protocol(&mut self, sql: &mut Connection, data_lock: &Lock, index_lock: &Lock) -> Result<Whole, BackupFault> {
        self.remark_configuration(sql);
        let checksums = self.server.data_checksums;
        let can_reread = checksums && sql.query(READ_AGAIN, &["PG_VERSION", "0", "1"]).is_ok();
        let server_judges = checksums && !can_reread && self.order.damaged_pages == DamagedPages::Fail;
        self.hold_log(sql)?;
        let mut connection = Connection::replicate(&self.site.connection()?)?;
        connection.set_silence(CHECKPOINT_PATIENCE)?;
        (self.onlooker.stage)(Stage::Checkpoint);
        let options = BaseBackupOptions {
            label: format!("seawall {} {}", self.order.job, self.basis.id),
            manifest: false,
            verify_checksums: server_judges,
            max_rate: self.order.read_limit.map(|limit| u32::try_from(limit.get() / 1024).unwrap_or(u32::MAX).clamp(32, 1 << 20)),
            ..BaseBackupOptions::default()
        };
        let mut base = connection.base_backup(&options)?;
        (self.onlooker.stage)(Stage::Copying);
        self.onlooker.progress.total.store(base.total(), Ordering::Relaxed);
        let start = base.start_point();
        self.begins(start.lsn, sql)?;
        let pages = Pages { block_size: self.server.block_bytes, blocks_per_file: self.blocks_per_file(), start: start.lsn };
        let sql = Mutex::new(sql);
        let again =
            |path: &str, at: u64, page: &mut [u8]| read_again(&mut sql.lock().unwrap_or_else(PoisonError::into_inner), path, at, page);
        let abort = AtomicBool::new(false);
        let deadline = self.order.timeout.and_then(|timeout| self.began.checked_add(timeout));
        let held = self.held.clone();
        let watch = Watch { stop: self.onlooker.stop, abort: &abort, deadline, held: held.as_deref() };
        let (repository, id) = (self.repository, &self.basis.id);
        let key = move |name: &str| repository.data(id, name);
        let cluster = SystemIdentifier(self.server.system);
        let copy = Copy::begin(Job {
            store: self.store,
            key: &key,
            codec: self.order.codec,
            data_lock,
            index_lock,
            workers: self.order.workers,
            pages: (checksums && !server_judges).then_some(pages),
            again: if can_reread { Some(&again) } else { None },
            read_limit: None,
            owner: Owner::default(),
            major: self.server.major(),
            cluster,
            progress: self.onlooker.progress,
            put: &|_| (),
            stop: &abort,
        })?;
        copy.archive(|intake| feed(&mut base, &watch, intake)).map_err(of_pages)?;
        let end = base.finish().map_err(|fault| of_pages(fault.into()))?;
        if end.timeline != start.timeline {
            let message = format!("the server went from timeline {} to {} while it was backed up", start.timeline.0, end.timeline.0);
            return Err(BackupFault::refused(message, "Take a new backup."));
        }
        let position = Position { timeline: start.timeline, start: start.lsn, stop: end.lsn };
        let wal = WalNeeded { timeline: position.timeline, start: position.start, end: position.stop };
        let copied = copy.finish(&[wal], end.lsn)?;
        if copied.damage.pages > 0 && !can_reread {
            let remark = "pages that were just being written cannot be told from damaged ones, because this role may not read them again: \
                          grant it `execute on function pg_read_binary_file(text, bigint, bigint, boolean)`";
            self.remarks.push(remark.to_owned());
        }
        let segment = SegmentSize::new(self.server.segment_bytes)
            .ok_or_else(|| BackupFault::refused("the server names an impossible size of its segments", ""))?;
        Ok(Whole { copied, position, segment, config_files: Vec::new() })
    }
}

impl Run<'_> {
    fn blocks_per_file(&self) -> u32 {
        self.server.setting("segment_size").and_then(|blocks| blocks.parse().ok()).filter(|blocks| *blocks > 0).unwrap_or(BLOCKS_PER_FILE)
    }

    /// What lies outside the data directory is not among what the server sends.
    fn remark_configuration(&mut self, sql: &mut Connection) {
        let Some(root) = self.server.setting("data_directory") else {
            let remark = "this role may not see whether configuration lies outside the data directory (`grant pg_read_all_settings`); none of \
                          it is in this backup";
            return self.remarks.push(remark.to_owned());
        };
        let outside = config::outside(self.server, sql, Path::new(root));
        if !outside.is_empty() {
            let files: Vec<String> = outside.iter().map(|path| path.display().to_string()).collect();
            let files = files.join(", ");
            self.remarks.push(format!(
                "configuration outside the data directory does not come over the protocol and is not in this backup: {files}"
            ));
        }
    }
}

/// By SQL, from the server's own disk.
fn read_again(sql: &mut Connection, path: &str, at: u64, page: &mut [u8]) -> bool {
    let Ok(rows) = sql.query(READ_AGAIN, &[path, &at.to_string(), &page.len().to_string()]) else { return false };
    let read = rows.iter().next().and_then(|row| unhex(row.get("page")?)).filter(|bytes| bytes.len() == page.len());
    let Some(bytes) = read else { return false };
    page.copy_from_slice(&bytes);
    true
}

/// The server's word for pages that it found damaged.
const DATA_CORRUPTED: &str = "XX001";

fn of_pages(fault: BackupFault) -> BackupFault {
    match fault {
        BackupFault::Postgres(fault) if fault.code() == Some(DATA_CORRUPTED) => BackupFault::refused(
            format!("the server found pages with wrong checksums: {}", fault.message),
            "Its log names them; `damaged_pages: mark` keeps such a backup.",
        ),
        other => other,
    }
}

fn feed(base: &mut BaseBackup<'_>, watch: &Watch<'_>, intake: &mut crate::pipeline::backup::Intake) -> Result<(), BackupFault> {
    while let Some(piece) = base.next()? {
        watch.check()?;
        watch.held.map_or(Ok(()), Held::keeps)?;
        match piece {
            Piece::Archive(archive) => intake.begin(archive.tablespace.map(|tablespace| tablespace.oid))?,
            Piece::Data(bytes) => intake.data(&bytes)?,
            Piece::Manifest(_) | Piece::Progress(_) => {}
        }
    }
    Ok(())
}
