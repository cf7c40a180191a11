//! Takes a physical backup.

mod archived;
mod awaited;
mod commit;
mod config;
mod describe;
mod fault;
mod journal;
mod lease;
mod order;
mod protocol;
mod read_back;
mod resume;
mod server;
mod watch;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant as Stopwatch};

pub use awaited::Awaited;
pub use commit::Latest;
pub use fault::{BackupFault, Failure};
pub use order::Wishes;

use archived::{Archive, Needed};
use lease::Lease;
use order::Order;
use resume::Basis;
use server::Source;
use watch::Watch;

use crate::format::control;
use crate::format::descriptor::{By, Cluster, Descriptor, FORMAT, Position};
use crate::format::label::{self, BackupLabel};
use crate::format::layout::{Repository, compact};
use crate::format::manifest::WalNeeded;
use crate::inventory::{BackupKind, SystemIdentifier};
use crate::pipeline::Lock;
use crate::pipeline::backup::{Copied, Copy, Job, Pages, Progress, SmallFile, scan};
use crate::plan::words::counted;
use crate::policy::file::{DamagedPages, ReadBack};
use crate::postgres::{BackupSession, Connection, Server, StopPoint};
use crate::site::{HostKeys, Site};
use crate::store::Store;
use crate::units::{BackupId, Instant, Key, Name, SegmentSize};
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
    /// The server writes a checkpoint.
    Checkpoint,
    Copying,
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
    let (started, began) = (clock::now(), Stopwatch::now());
    let order = Order::of(site, job)?;
    let keys = site.host_keys()?;
    site.must_be_writer(&keys)?;
    let mut connection = Connection::connect(&site.connection()?)?;
    let server = Server::observe(&mut connection)?;
    server::check(&order, &server)?;
    let source = server::source(&order, &server)?;
    let store = site.store(&order.store)?;
    let unmade = order.local.as_ref().map(|(path, _)| path).filter(|path| !path.is_dir());
    let cluster = SystemIdentifier(server.system);
    let repository = site.own_repository(&order.store, &store, cluster, started)?;
    let root = match &source {
        Source::Files { root, .. } => Some(root.as_path()),
        Source::Protocol => None,
    };
    server::check_disk(&order, root, commit::latest(&store, &repository).map(|latest| latest.stored_size))?;

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
    let lease = Lease::take(&store, &repository, &basis.id, &order.job, site.host(), started, wishes.force)?;
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
    };
    let taken = run.whole(connection, source);
    let mut remarks = std::mem::take(&mut run.remarks);
    let taken = match taken {
        Ok((descriptor, key)) => Ok(Taken { descriptor, key, store: store.url(), remarks, took: began.elapsed() }),
        Err(fault) => {
            // What may have been committed must keep its objects.
            if !matches!(fault, BackupFault::Unknown { .. }) {
                remarks.push(basis.abandon(&store, &repository));
            }
            Err(Failure { fault, remarks })
        }
    };
    drop(lease);
    taken
}

fn new_id(now: Instant) -> Result<BackupId, BackupFault> {
    let random = getrandom::u32().map_err(|error| BackupFault::refused(format!("there is no randomness: {error}"), ""))?;
    Ok(format!("{}-{random:08x}", compact(now)).parse().expect("digits, letters and a hyphen"))
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
        let (copy, mut connection) = match source {
            Source::Files { root, control } => self.of_files(connection, &root, &control, &data_lock, &index_lock)?,
            Source::Protocol => (self.over_protocol(&mut connection, &data_lock, &index_lock)?, connection),
        };
        if copy.copied.damage.pages > 0 && self.order.damaged_pages == DamagedPages::Fail {
            return Err(damaged(&copy.copied));
        }
        (self.onlooker.stage)(Stage::WaitingForLog(None));
        self.wait_for_log(&copy, &mut connection, files.as_deref(), data_lock.is_encrypted())?;
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
        let key = commit::commit(self.store, self.repository, &descriptor, &self.keys.signing)?;
        Ok((descriptor, key))
    }

    /// Backup mode on, copy, `pg_control` last, backup mode off, then what only the server knows.
    fn of_files(
        &mut self,
        connection: Connection,
        root: &Path,
        control: &control::Control,
        data_lock: &Lock,
        index_lock: &Lock,
    ) -> Result<(Whole, Connection), BackupFault> {
        (self.onlooker.stage)(Stage::Checkpoint);
        let mut session =
            BackupSession::start(connection, &format!("seawall {} {}", self.order.job, self.basis.id), true, CHECKPOINT_PATIENCE)?;
        (self.onlooker.stage)(Stage::Copying);
        let abort = AtomicBool::new(false);
        let deadline = self.order.timeout.and_then(|timeout| self.began.checked_add(timeout));
        let watch = Watch { stop: self.onlooker.stop, abort: &abort, deadline };
        let mut listing = watch.over(&mut session, || scan(root))?;
        self.remarks.extend(listing.remarks.iter().cloned());
        self.onlooker.progress.total.store(listing.bytes, std::sync::atomic::Ordering::Relaxed);
        let start = session.start_point();
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
    fn wait_for_log(&mut self, copy: &Whole, connection: &mut Connection, root: Option<&Path>, encrypted: bool) -> Result<(), BackupFault> {
        let needed = Needed {
            cluster: SystemIdentifier(self.server.system),
            timeline: copy.position.timeline,
            start: copy.position.start,
            stop: copy.position.stop,
            segment: copy.segment,
        };
        if self.server.in_recovery {
            self.switch_on_primary();
        }
        let store = self.site.store(&self.order.wal_store)?;
        let repository = self.site.own_repository(&self.order.wal_store, &store, needed.cluster, self.started)?;
        let archive = Archive { store: &store, repository: &repository, codec: self.site.codec(None), encrypted };
        let left = self.order.timeout.map_or(ARCHIVE_PATIENCE, |timeout| timeout.saturating_sub(self.began.elapsed()));
        let tell = |awaited| (self.onlooker.stage)(Stage::WaitingForLog(Some(awaited)));
        archived::wait(archive, &needed, left.min(ARCHIVE_PATIENCE), self.onlooker.stop, connection, &tell)?;
        // A standby has only what it received of a segment.
        let wal = root.filter(|_| !self.server.in_recovery).map(|root| root.join("pg_wal"));
        archived::must_be_own(archive, &needed, wal.as_deref(), self.started)
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
        let private = describe::private(self.server, &self.site.connection()?, copy.config_files, &mut self.remarks);
        let recipients = match index_lock {
            Lock::Age(recipients) => Some(recipients.as_ref()),
            Lock::Open => None,
        };
        let private = private.seal(recipients).map_err(|error| BackupFault::refused(error.to_string(), ""))?;
        let policy = self.site.policy;
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
            by: By {
                seawall: env!("CARGO_PKG_VERSION").to_owned(),
                host: self.site.host().to_owned(),
                policy: policy.name.to_string(),
                digest: policy.digest.clone(),
                commit: self.site.commit().map(str::to_owned),
            },
            cluster: Cluster {
                system_identifier: SystemIdentifier(self.server.system),
                version: self.server.version,
                block_size: self.server.block_bytes,
                wal_segment_size: self.server.segment_bytes,
                data_checksums: self.server.data_checksums,
                standby: self.server.in_recovery,
            },
            position: copy.position,
            size: copy.copied.bytes,
            stored_size: copy.copied.objects.iter().map(|object| object.size).sum(),
            files: copy.copied.files,
            objects: copy.copied.objects,
            damage: copy.copied.damage,
            private,
        })
    }

    /// Never before the beginning: the clock may have been set back meanwhile, and nobody would believe such a backup.
    fn end(&self) -> Instant {
        let now = clock::now();
        self.started.checked_add(self.began.elapsed()).map_or(now, |at_least| now.max(at_least))
    }
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
