//! Takes a physical backup.

pub(in crate::execute) mod archived;
pub(in crate::execute) mod awaited;
mod bench;
pub(in crate::execute) mod clocks;
pub(in crate::execute) mod commit;
mod config;
pub(in crate::execute) mod describe;
mod fault;
mod journal;
pub(in crate::execute) mod lease;
pub(in crate::execute) mod opening;
pub(in crate::execute) mod order;
pub(in crate::execute) mod originals;
mod own_log;
mod protocol;
pub(in crate::execute) mod read_back;
mod resume;
pub(in crate::execute) mod server;
pub(in crate::execute) mod sweep;
mod watch;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant as Stopwatch};

pub use awaited::Awaited;
pub use bench::{Benched, bench};
pub use commit::Latest;
pub use fault::{BackupFault, Failure};
pub use order::Wishes;

use archived::{Archive, Needed, Restartpoint};
use lease::Lease;
use opening::Opening;
use order::Order;
use own_log::{Held, OwnLog};
use resume::Basis;
use server::Source;
use watch::Watch;

use crate::format::codec::Envelope;
use crate::format::control;
use crate::format::descriptor::{Descriptor, FORMAT, Position};
use crate::format::label::{self, BackupLabel};
use crate::format::layout::Repository;
use crate::format::manifest::WalNeeded;
use crate::inventory::{BackupKind, SystemIdentifier};
use crate::pipeline::Lock;
use crate::pipeline::backup::{Copied, Copy, Job, Pages, Progress, SmallFile, scan};
use crate::plan::words::counted;
use crate::policy::file::{DamagedPages, ReadBack};
use crate::postgres::{BackupSession, Connection, Server, StopPoint};
use crate::site::{HostKeys, Site};
use crate::store::Store;
use crate::units::{Instant, Key, Lsn, Name, SegmentSize};
use crate::world::clock;

/// How long a checkpoint may take.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(3600);
/// How long the log may take to come to the store.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(900);

/// A backup that is complete.
#[derive(Debug)]
pub struct Taken {
    pub descriptor: Descriptor,
    /// Where its descriptor lies.
    pub key: Key,
    pub store: String,
    /// What people should know: sentences without a full stop.
    pub remarks: Vec<String>,
    pub took: Duration,
}

/// What a backup is doing, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Is everything there that it needs: keys, the server, the store, room?
    Checking,
    /// The server writes a checkpoint.
    Checkpoint,
    Copying,
    /// Files beside the cluster are read.
    ReadingFiles,
    /// A database is dumped.
    Dumping(String),
    /// Roles, tablespaces and settings are dumped.
    DumpingGlobals,
    /// Everything is copied; the log that belongs to it is on its way, and for what of it.
    WaitingForLog(Option<Awaited>),
    /// What the store has is compared with what was sent.
    ReadingBack,
    Committing,
}

/// Those who watch, and those who may stop it.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    pub progress: &'o Progress,
    pub stage: &'o (dyn Fn(Stage) + Sync),
    pub stop: &'o AtomicBool,
}

impl std::fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onlooker").field("progress", self.progress).finish_non_exhaustive()
    }
}

/// Takes a backup. Nothing that looks complete is left behind when it does not come to its end.
pub fn take(site: &Site<'_>, job: &Name, wishes: &Wishes, onlooker: Onlooker<'_>) -> Result<Taken, Failure> {
    let opening = Opening::begin(site, job, wishes, onlooker);
    let (started, began) = (opening.started, opening.began);
    let order = Order::of(site, job)?;
    let keys = opening.keys()?;
    let (mut connection, server) = opening.server()?;
    server::check(&order, &server)?;
    let source = server::source(&order, &server)?;
    if order.wal_store.is_none() {
        own_log::check(&mut connection, &source)?;
    }
    let unmade = order.local.as_ref().map(|(path, _)| path).filter(|path| !path.is_dir());
    let cluster = SystemIdentifier(server.system);
    let root = match &source {
        Source::Files { root, .. } => Some(root.as_path()),
        Source::Protocol => None,
    };
    root.map_or(Ok(()), |root| server::sees_tablespaces(root, &server))?;
    let place = server::Place { store: &order.store, local: order.local.as_ref(), first_needs: order.first_needs };
    let (store, repository) = opening.repository(place, cluster, root, &Repository::latest)?;

    let made = |path: &PathBuf| format!("`stores.{}`: {} was not there and was made", order.store, path.display());
    let mut remarks: Vec<String> = unmade.map(made).into_iter().collect();
    remarks.extend(server::late_archiving(site, &server));
    let mut basis = match root {
        Some(root) => {
            let terms = resume::terms(site, &order, &keys, &store, cluster, root);
            Basis::find(site, &order, (&store, &repository), terms, (started, wishes.anew), &mut remarks)?
        }
        None => Basis::new(started)?,
    };
    let (lease, of_clocks) = opening.lease(&store, &repository, &basis.id, Some(&mut connection))?;
    remarks.extend(of_clocks);
    basis.tidy(&store, &repository)?;
    let mut run = Run {
        site,
        order: &order,
        wishes,
        keys: &keys,
        server: &server,
        store: &store,
        repository: &repository,
        basis: &basis,
        started,
        began,
        lease: &lease,
        onlooker,
        remarks,
        restartpoint: None,
        held: None,
        own_log: None,
    };
    let taken = run.whole(connection, source);
    let remarks = std::mem::take(&mut run.remarks);
    opening.end(&store, taken, remarks, || basis.abandon(&store, &repository))
}

/// One backup on its way.
struct Run<'r> {
    site: &'r Site<'r>,
    order: &'r Order,
    wishes: &'r Wishes,
    keys: &'r HostKeys,
    server: &'r Server,
    store: &'r Store,
    repository: &'r Repository,
    basis: &'r Basis,
    started: Instant,
    began: Stopwatch,
    lease: &'r Lease,
    onlooker: Onlooker<'r>,
    remarks: Vec<String>,
    /// Of a standby.
    restartpoint: Option<Restartpoint>,
    /// Of a backup that brings its own log.
    held: Option<Arc<Held>>,
    own_log: Option<OwnLog>,
}

/// A whole copy, before it is described.
struct Whole {
    copied: Copied,
    position: Position,
    segment: SegmentSize,
    config_files: Vec<String>,
}

impl Run<'_> {
    fn whole(&mut self, mut connection: Connection, source: Source) -> Result<(Descriptor, Key), BackupFault> {
        let cleared = lease::clear_leftovers(self.store, self.repository, self.lease)?;
        self.remarks.extend(cleared.iter().map(|id| format!("the remains of the broken-off backup {id} were removed")));
        let data_lock = self.site.lock()?;
        let index_lock = self.site.lock_for_host(self.keys)?;
        let files = match &source {
            Source::Files { root, .. } => Some(root.clone()),
            Source::Protocol => None,
        };
        if self.server.in_recovery {
            self.restartpoint = Some(Restartpoint::ask(&mut connection)?);
        }
        let (copy, mut connection) = match source {
            Source::Files { root, control } => self.of_files(connection, &root, &control, &data_lock, &index_lock)?,
            Source::Protocol => (self.over_protocol(&mut connection, &data_lock, &index_lock)?, connection),
        };
        if copy.copied.damage.pages > 0 && self.order.damaged_pages == DamagedPages::Fail {
            return Err(damaged(&copy.copied));
        }
        (self.onlooker.stage)(Stage::WaitingForLog(None));
        let needed = Needed {
            cluster: SystemIdentifier(self.server.system),
            timeline: copy.position.timeline,
            start: copy.position.start,
            stop: copy.position.stop,
            segment: copy.segment,
        };
        match self.order.wal_store.clone() {
            Some(store) => self.wait_for_log(&store, &needed, &mut connection, files.as_deref(), data_lock.envelope())?,
            None => self.bring_log(needed, files.as_deref(), (&data_lock, &index_lock))?,
        }
        // With its session goes the slot.
        self.held = None;
        drop(connection);
        if self.order.read_back == ReadBack::Contents {
            (self.onlooker.stage)(Stage::ReadingBack);
            if let Err(fault) = self.read_back(&copy.copied.objects) {
                // The next run must not go on with what cannot be read.
                if !matches!(fault, BackupFault::Interrupted) {
                    self.basis.end()?;
                }
                return Err(fault);
            }
        }
        (self.onlooker.stage)(Stage::Committing);
        let descriptor = self.describe(copy, &index_lock)?;
        self.basis.end()?;
        let log = || self.log_must_be_there();
        let key = commit::commit_with(self.store, self.repository, &descriptor, &self.keys.signing, &log)?;
        Ok((descriptor, key))
    }

    /// Backup mode on, copy, `pg_control` last, backup mode off, then what only the server knows.
    fn of_files(
        &mut self,
        mut connection: Connection,
        root: &Path,
        control: &control::Control,
        data_lock: &Lock,
        index_lock: &Lock,
    ) -> Result<(Whole, Connection), BackupFault> {
        (self.onlooker.stage)(Stage::Checkpoint);
        self.hold_log(&mut connection)?;
        let mut session =
            BackupSession::start(connection, &format!("seawall {} {}", self.order.job, self.basis.id), true, CHECKPOINT_PATIENCE)?;
        (self.onlooker.stage)(Stage::Copying);
        let abort = AtomicBool::new(false);
        let deadline = self.order.timeout.and_then(|timeout| self.began.checked_add(timeout));
        let held = self.held.clone();
        let watch = Watch { stop: self.onlooker.stop, abort: &abort, deadline, held: held.as_deref() };
        let mut listing = watch.over(&mut session, || scan(root))?;
        self.remarks.extend(listing.remarks.iter().cloned());
        self.onlooker.progress.total.store(listing.bytes, std::sync::atomic::Ordering::Relaxed);
        let start = session.start_point();
        self.begins(start.lsn, session.connection())?;
        let (repository, basis) = (self.repository, self.basis);
        let key = move |name: &str| repository.data(&basis.id, name);
        let pages = Pages { block_size: control.block_size, blocks_per_file: control.blocks_per_file, start: start.lsn };
        let job = Job {
            store: self.store,
            key: &key,
            codec: self.order.codec,
            data_lock,
            index_lock,
            workers: self.order.workers,
            pages: control.data_checksums.then_some(pages),
            again: None,
            read_limit: self.order.read_limit.map(|limit| limit.get()),
            owner: listing.owner,
            major: self.server.major(),
            cluster: control.system_identifier,
            progress: self.onlooker.progress,
            put: &|part| basis.note(part),
            stop: &abort,
        };
        let paths = config::outside(self.server, session.connection(), root);
        let config = config::put(&job, &paths, &mut self.remarks)?;
        let copy = Copy::begin(job)?;
        let adopted = watch.over(&mut session, || copy.adopt(root, &mut listing, basis.left.clone(), &self.keys.metadata))?;
        basis.begin(self.store, repository, &adopted, &mut self.remarks)?;
        watch.over(&mut session, || copy.files(root, &listing))?;
        drop(listing);

        // On a standby this tells recovery how far it must come, so nothing may be copied after it.
        let (bytes, control) = server::read_control(root)?;
        let timeline = control.min_recovery_timeline.filter(|_| session.is_from_standby()).unwrap_or(start.timeline);
        let (stop, connection) = session.stop(false, CHECKPOINT_PATIENCE)?;
        let label = BackupLabel::parse(&stop.backup_label).map_err(|bad| BackupFault::refused(bad.to_string(), ""))?;
        if label.timeline != timeline {
            let message = format!("the server went from timeline {} to {timeline} while it was backed up", label.timeline.0);
            return Err(BackupFault::refused(message, "Take a new backup."));
        }
        let position = Position { timeline: label.timeline, start: label.start, stop: stop.lsn };
        copy.small(last_files(&stop, bytes, mode_of_files(root)))?;
        let wal = WalNeeded { timeline: position.timeline, start: position.start, end: position.stop };
        let mut copied = copy.finish(&[wal], stop.lsn)?;
        let config_files = config.map(|(object, files)| {
            copied.objects.push(object);
            files
        });
        Ok((Whole { copied, position, segment: control.wal_segment_size, config_files: config_files.unwrap_or_default() }, connection))
    }

    /// A backup is complete only when its last segment is seen in the store.
    fn wait_for_log(
        &mut self,
        wal_store: &Name,
        needed: &Needed,
        connection: &mut Connection,
        root: Option<&Path>,
        envelope: Envelope,
    ) -> Result<(), BackupFault> {
        if self.server.in_recovery {
            self.switch_on_primary();
        }
        let store = self.site.store(wal_store)?;
        let repository = self.site.own_repository(wal_store, &store, needed.cluster, self.started)?;
        let archive = Archive { store: &store, repository: &repository, codec: self.site.codec(None), envelope };
        let left = self.order.timeout.map_or(ARCHIVE_PATIENCE, |timeout| timeout.saturating_sub(self.began.elapsed()));
        let tell = |awaited| (self.onlooker.stage)(Stage::WaitingForLog(Some(awaited)));
        archived::wait(archive, needed, left.min(ARCHIVE_PATIENCE), self.onlooker.stop, connection, &tell)?;
        // A standby has only what it received of a segment.
        let wal = root.filter(|_| !self.server.in_recovery).map(|root| root.join("pg_wal"));
        let since = self.restartpoint.map_or(self.started, |restartpoint| restartpoint.at);
        archived::must_be_own(archive, needed, wal.as_deref(), since)
    }

    /// Asked as soon as it is known.
    fn begins(&mut self, start: Lsn, connection: &mut Connection) -> Result<(), BackupFault> {
        if let Some(before) = self.restartpoint {
            self.restartpoint = Some(before.of_backup(start, connection)?);
        }
        Ok(())
    }

    /// A standby cannot end a segment; without this an idle primary would keep it for a long time.
    fn switch_on_primary(&mut self) {
        let switched = self.site.cluster_connection().map_err(BackupFault::from).and_then(|settings| {
            let mut primary = Connection::connect(&settings)?;
            let recovery = primary.query("select pg_is_in_recovery() as standby", &[])?.one()?.flag("standby")?;
            if recovery {
                return Err(BackupFault::refused("`cluster.connection` leads to a standby", ""));
            }
            Ok(primary.switch_wal()?)
        });
        if let Err(fault) = switched {
            self.remarks
                .push(format!("the primary could not be asked to end its segment of the log, so its own time was waited for: {fault}"));
        }
    }

    fn describe(&mut self, copy: Whole, index_lock: &Lock) -> Result<Descriptor, BackupFault> {
        let private = describe::private(self.server, &self.site.connection()?, copy.config_files, self.site.policy, &mut self.remarks);
        let private = private.seal(index_lock.recipients()).map_err(|error| BackupFault::refused(error.to_string(), ""))?;
        Ok(Descriptor {
            format: FORMAT,
            id: self.basis.id.clone(),
            job: self.order.job.clone(),
            kind: BackupKind::Full,
            parent: None,
            label: self.wishes.label.clone(),
            keep: self.wishes.keep,
            started: self.started,
            stopped: self.end(),
            by: describe::by(self.site),
            cluster: describe::cluster(self.server),
            position: copy.position,
            carries_log: self.own_log.is_some(),
            size: copy.copied.bytes,
            stored_size: copy.copied.objects.iter().map(|object| object.size).sum(),
            files: copy.copied.files,
            objects: copy.copied.objects,
            damage: copy.copied.damage,
            private,
        })
    }

    fn end(&self) -> Instant {
        end_of(self.started, self.began)
    }
}

/// Never before the beginning: the clock may have been set back meanwhile, and nobody would believe such a backup.
pub(in crate::execute) fn end_of(started: Instant, began: Stopwatch) -> Instant {
    let now = clock::now();
    started.checked_add(began.elapsed()).map_or(now, |at_least| now.max(at_least))
}

/// What belongs to the copy and is known only at its end. `pg_control` comes last of all: a restore that breaks off before it
/// leaves nothing that starts.
fn last_files(stop: &StopPoint, control: Vec<u8>, mode: u32) -> Vec<SmallFile> {
    let mtime = clock::now().as_second();
    let file = |path: &str, bytes: Vec<u8>| SmallFile { path: path.to_owned(), mode, mtime, bytes };
    let mut files = vec![file(label::LABEL, stop.backup_label.clone().into_bytes())];
    if !stop.tablespace_map.is_empty() {
        files.push(file(label::MAP, stop.tablespace_map.clone().into_bytes()));
    }
    files.push(file(control::PATH, control));
    files
}

/// A cluster whose group may read it has files that the group may read.
fn mode_of_files(root: &Path) -> u32 {
    let group = std::fs::metadata(root).is_ok_and(|about| about.mode() & 0o050 != 0);
    if group { 0o640 } else { 0o600 }
}

fn damaged(copied: &Copied) -> BackupFault {
    let blocks: Vec<String> =
        copied.damage.blocks.iter().take(5).map(|damaged| format!("block {} of {}", damaged.block, damaged.path)).collect();
    let message = format!("{} with wrong checksums: {}", counted(copied.damage.pages, "page"), blocks.join(", "));
    BackupFault::refused(
        message,
        "Find out which relations they belong to with `pg_filenode_relation`; `damaged_pages: mark` keeps such a backup.",
    )
}
