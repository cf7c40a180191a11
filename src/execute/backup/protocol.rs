//! A backup of a server whose files are not on this host: it sends them itself.

use std::sync::atomic::AtomicBool;

use super::watch::Watch;
use super::{BackupFault, CHECKPOINT_PATIENCE, Run, Stage, Whole};
use crate::format::descriptor::Position;
use crate::format::manifest::WalNeeded;
use crate::format::tarball::Owner;
use crate::inventory::SystemIdentifier;
use crate::pipeline::Lock;
use crate::pipeline::backup::{Copy, Job};
use crate::postgres::{BaseBackup, BaseBackupOptions, Connection, Piece};
use crate::units::SegmentSize;

impl Run<'_> {
    /// The server looks at its pages itself, and reads again what looks torn: a page that is wrong ends the backup, whatever the
    /// policy says, because only the server could read it again.
    pub(super) fn over_protocol(&mut self, data_lock: &Lock, index_lock: &Lock) -> Result<Whole, BackupFault> {
        let mut connection = Connection::replicate(&self.site.connection()?)?;
        connection.set_silence(CHECKPOINT_PATIENCE)?;
        (self.onlooker.stage)(Stage::Checkpoint);
        let options = BaseBackupOptions {
            label: format!("seawall {} {}", self.order.job, self.basis.id),
            manifest: false,
            max_rate: self.order.read_limit.map(|limit| u32::try_from(limit.get() / 1024).unwrap_or(u32::MAX).clamp(32, 1 << 20)),
            ..BaseBackupOptions::default()
        };
        let mut base = connection.base_backup(&options)?;
        (self.onlooker.stage)(Stage::Copying);
        let abort = AtomicBool::new(false);
        let deadline = self.order.timeout.and_then(|timeout| self.began.checked_add(timeout));
        let watch = Watch { stop: self.onlooker.stop, abort: &abort, deadline };
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
            pages: None,
            read_limit: None,
            owner: Owner::default(),
            major: self.server.major(),
            cluster,
            progress: self.onlooker.progress,
            put: &|_| (),
            stop: &abort,
        })?;
        let start = base.start_point();
        copy.archive(|intake| feed(&mut base, &watch, intake))?;
        let end = base.finish()?;
        if end.timeline != start.timeline {
            let message = format!("the server went from timeline {} to {} while it was backed up", start.timeline.0, end.timeline.0);
            return Err(BackupFault::refused(message, "Take a new backup."));
        }
        let position = Position { timeline: start.timeline, start: start.lsn, stop: end.lsn };
        let wal = WalNeeded { timeline: position.timeline, start: position.start, end: position.stop };
        let copied = copy.finish(&[wal], end.lsn)?;
        let segment = SegmentSize::new(self.server.segment_bytes)
            .ok_or_else(|| BackupFault::refused("the server names an impossible size of its segments", ""))?;
        Ok(Whole { copied, position, segment, config_files: Vec::new() })
    }
}

fn feed(base: &mut BaseBackup<'_>, watch: &Watch<'_>, intake: &mut crate::pipeline::backup::Intake) -> Result<(), BackupFault> {
    while let Some(piece) = base.next()? {
        watch.check()?;
        match piece {
            Piece::Archive(archive) => intake.begin(archive.tablespace.map(|tablespace| tablespace.oid))?,
            Piece::Data(bytes) => intake.data(&bytes)?,
            Piece::Manifest(_) | Piece::Progress(_) => {}
        }
    }
    Ok(())
}
