//! Copies files beside a database, with the cluster's roles and settings where the policy says so, into the same repository as every
//! other backup.
//!
//! A full one is whole by itself; an increment names every file, and stores those that its chain does not have. What could not be read is named, and makes the run a failure; the
//! backup is kept, and marked. As with every backup, the descriptor comes last.

pub(in crate::execute) mod chain;
mod order;
pub mod restore;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use chain::{Parent, Place};
use order::Order;

use super::backup::opening::{Opening, abandon};
use super::backup::{BackupFault, Failure, Onlooker, Stage, Taken, Wishes, commit, describe, end_of, lease, read_back, server};
use super::dump::child::Halt;
use super::dump::globals::{self, Way};
use super::dump::{object, programs::Programs};
use crate::execute::id::new_id;
use crate::format::contents::Globals;
use crate::format::descriptor::{Cluster, Descriptor, FORMAT, Object, ObjectKind, Position, Private};
use crate::format::layout::{Repository, descriptor_id};
use crate::format::notes::{self, Named, Notes};
use crate::format::tarball::Owner;
use crate::inventory::{BackupKind, Scope};
use crate::observe::{Read, find_descriptor, read_descriptor};
use crate::pipeline::backup::tree::Before;
use crate::pipeline::backup::{Copied, Copy, Job, tree};
use crate::pipeline::restore::Source;
use crate::pipeline::{Lock, PipelineFault, Shelf, StreamWriter};
use crate::policy::file::ReadBack;
use crate::postgres::{Connection, Server};
use crate::site::{HostKeys, Site};
use crate::store::Store;
use crate::units::{BackupId, Key, Lsn, Name, Timeline};

/// How long `pg_dumpall` waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// Files that are named among the remarks; `notes.json` has all.
const MOST_REMARKS: usize = 1000;
/// Descriptors that are looked at for what is known of the cluster.
const MOST_LOOKED_AT: usize = 5;

/// Copies what a job of the policy says. Nothing that looks complete is left behind when it does not come to its end.
pub fn take(site: &Site<'_>, job: &Name, wishes: &Wishes, onlooker: Onlooker<'_>) -> Result<Taken, Failure> {
    let opening = Opening::begin(site, job, wishes, onlooker);
    let order = Order::of(site, job)?;
    let keys = opening.keys()?;
    let mut remarks = Vec::new();
    let mut asked = ask(&opening, &order, &mut remarks)?;
    let place = server::Place { store: &order.store, local: order.local.as_ref(), first_needs: order.first_needs };
    let latest = |repository: &Repository| repository.latest_of(job);
    let data_directory = asked.as_ref().and_then(|(_, server)| server.setting("data_directory")).map(Path::new);
    let tree = order.tree(site.policy, data_directory, &mut remarks)?;
    let known = match &asked {
        Some((_, server)) => Known { cluster: describe::cluster(server), timeline: server.timeline },
        None => last_known(site, &order)?,
    };
    let (store, repository) = opening.repository(place, known.cluster.system_identifier, None, &latest)?;
    let id = new_id(opening.started)?;
    let (lease, of_clocks) = opening.lease(&store, &repository, &id, asked.as_mut().map(|(connection, _)| connection))?;
    remarks.extend(of_clocks);
    let deadline = order.timeout.and_then(|timeout| opening.began.checked_add(timeout));
    let of = Place { store: &store, repository: &repository, cluster: known.cluster.system_identifier };
    let parent = Parent::find(site, &order, of, &keys, wishes, opening.started, &mut remarks)?;
    let halt = Halt { stop: onlooker.stop, abort: AtomicBool::new(false), deadline };
    let locks = (site.lock()?, site.lock_for_host(&keys)?);
    let mut run = Run {
        opening: &opening,
        order: &order,
        keys: &keys,
        known: &known,
        parent: parent.as_ref(),
        tree: &tree,
        store: &store,
        repository: &repository,
        id: &id,
        data_lock: &locks.0,
        index_lock: &locks.1,
        lease: &lease,
        halt: &halt,
        onlooker,
        remarks,
    };
    let taken = run.whole(asked);
    let remarks = std::mem::take(&mut run.remarks);
    opening.end(&store, taken, remarks, || abandon(&store, &repository, &id))
}

/// Which cluster the files stand beside.
struct Known {
    cluster: Cluster,
    timeline: Timeline,
}

/// The server, which is needed only for its roles and settings: its files may be wanted just because it is down.
fn ask(opening: &Opening<'_>, order: &Order, remarks: &mut Vec<String>) -> Result<Option<(Connection, Server)>, BackupFault> {
    match opening.server() {
        Ok(asked) => Ok(Some(asked)),
        Err(fault) if order.options.globals => Err(fault),
        Err(fault) => {
            remarks.push(format!("the server was not asked, so what is recorded of it is what the last backup recorded: {fault}"));
            Ok(None)
        }
    }
}

/// What the newest backups in the store say of the cluster.
fn last_known(site: &Site<'_>, order: &Order) -> Result<Known, BackupFault> {
    let nothing = || {
        let hint = "Only the first backup in a store needs the server: start it, or take another backup first.";
        BackupFault::refused(
            format!("the server does not answer, and stores.{} has no backup that says which cluster it is", order.store),
            hint,
        )
    };
    let store = site.store(&order.store)?;
    let repository = site.find_repository(&store)?.ok_or_else(nothing)?.repository;
    let writers = site.writers()?;
    let mut ids: Vec<BackupId> = store.list(&repository.prefix("backups"))?.iter().filter_map(|meta| descriptor_id(&meta.key)).collect();
    ids.sort_by(|one, other| other.as_str().cmp(one.as_str()));
    for id in ids.iter().take(MOST_LOOKED_AT) {
        let Some((key, is_signed)) = find_descriptor(&store, &repository, id)? else { continue };
        if let Read::Good(descriptor, _) = read_descriptor(&store, &repository, &key, is_signed, site.policy.name.as_str(), &writers)? {
            return Ok(Known { timeline: descriptor.position.timeline, cluster: descriptor.cluster });
        }
    }
    Err(nothing())
}

/// One copy on its way.
struct Run<'r> {
    opening: &'r Opening<'r>,
    order: &'r Order,
    keys: &'r HostKeys,
    known: &'r Known,
    parent: Option<&'r Parent>,
    tree: &'r tree::Tree,
    store: &'r Store,
    repository: &'r Repository,
    id: &'r BackupId,
    data_lock: &'r Lock,
    index_lock: &'r Lock,
    lease: &'r lease::Lease,
    halt: &'r Halt<'r>,
    onlooker: Onlooker<'r>,
    remarks: Vec<String>,
}

impl Run<'_> {
    fn whole(&mut self, asked: Option<(Connection, Server)>) -> Result<(Descriptor, Key), BackupFault> {
        let cleared = lease::clear_leftovers(self.store, self.repository, self.lease)?;
        self.remarks.extend(cleared.iter().map(|id| format!("the remains of the broken-off backup {id} were removed")));
        (self.onlooker.stage)(Stage::ReadingFiles);
        let mut copied = self.files()?;
        let globals = match asked {
            Some((mut connection, server)) if self.order.options.globals => {
                (self.onlooker.stage)(Stage::DumpingGlobals);
                let (globals, object) = self.globals(&mut connection, &server)?;
                copied.objects.push(object);
                Some(globals)
            }
            _ => None,
        };
        let notes = self.notes(&copied.found, globals)?;
        copied.objects.push(notes);
        if self.order.read_back == ReadBack::Contents {
            (self.onlooker.stage)(Stage::ReadingBack);
            read_back::read_back((self.store, self.repository), self.id, &copied.objects, &|| self.halt.check())?;
        }
        self.halt.check()?;
        (self.onlooker.stage)(Stage::Committing);
        let place = Place { store: self.store, repository: self.repository, cluster: self.known.cluster.system_identifier };
        self.parent.map_or(Ok(()), |parent| parent.must_be_committed(place))?;
        let descriptor = self.describe(copied)?;
        let key = commit::commit(self.store, self.repository, &descriptor, &self.keys.signing)?;
        Ok((descriptor, key))
    }

    fn files(&self) -> Result<Copied, BackupFault> {
        let key = |name: &str| self.repository.data(self.id, name);
        let job = Job {
            store: self.store,
            key: &key,
            codec: self.order.codec,
            data_lock: self.data_lock,
            index_lock: self.index_lock,
            workers: self.order.workers,
            pages: None,
            again: None,
            read_limit: None,
            owner: Owner::default(),
            major: 0,
            cluster: self.known.cluster.system_identifier,
            progress: self.onlooker.progress,
            put: &|_| {},
            stop: &self.halt.abort,
        };
        let source = |parent: &Parent| Source::of(self.store, self.repository, &parent.descriptor, &self.keys.metadata);
        let source = self.parent.map(source).transpose()?;
        let before = self.parent.zip(source.as_ref()).map(|(parent, source)| Before::of(&parent.descriptor.id, source, &self.tree.paths));
        let copy = if before.is_some() { Copy::upon(job)? } else { Copy::beside(job) };
        let copied = self.watched(|| {
            // Without paths there are roles and settings alone.
            if !self.tree.paths.is_empty() {
                copy.tree(self.tree, before)?;
            }
            copy.finish(&[], Lsn(0))
        });
        match copied {
            Err(PipelineFault::Interrupted) => Err(self.halt.check().err().unwrap_or(BackupFault::Interrupted)),
            copied => Ok(copied?),
        }
    }

    /// Ends what is done when nobody wants it any more, or its time is over.
    fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            scope.spawn(move || {
                while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if self.halt.check().is_err() {
                        self.halt.abort.store(true, Ordering::Relaxed);
                    }
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    fn globals(&mut self, connection: &mut Connection, server: &Server) -> Result<(Globals, Object), BackupFault> {
        let programs = Programs::find(None, server.major())?;
        let mut settings = self.opening.site.connection()?;
        settings.targets = vec![connection.target().clone()];
        let environment = settings.environment(connection.target());
        let way = Way {
            shelf: Shelf { store: self.store, lock: self.data_lock, codec: self.order.codec },
            key: &|name| self.repository.data(self.id, name),
            programs: &programs,
            settings: &settings,
            environment: &environment,
            lock_timeout: LOCK_TIMEOUT,
            halt: self.halt,
        };
        globals::dump(&way, connection, &mut self.remarks)
    }

    /// What is not in the backup as it should be, for those who watch, and beside the files for those who restore them.
    fn notes(&mut self, found: &tree::Found, globals: Option<Globals>) -> Result<Object, BackupFault> {
        let kinds = [("could not be read", &found.unread), ("changed while it was read", &found.changed), ("left out", &found.left_out)];
        for (what, named) in kinds {
            self.remarks.extend(told(what, named));
        }
        let notes = Notes {
            format: notes::FORMAT,
            paths: self.tree.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            exclude: self.order.options.exclude.clone(),
            unread: found.unread.clone(),
            changed: found.changed.clone(),
            left_out: found.left_out.clone(),
            globals,
        };
        let name = format!("notes.json{}", self.order.codec.extension(self.index_lock.envelope()));
        let shelf = Shelf { store: self.store, lock: self.index_lock, codec: self.order.codec };
        let mut writer = StreamWriter::new(&shelf, &self.repository.data(self.id, &name))?;
        writer.push(&notes.to_json())?;
        Ok(object(name, ObjectKind::Notes, &writer.finish()?))
    }

    fn describe(&mut self, copied: Copied) -> Result<Descriptor, BackupFault> {
        let paths = self.tree.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let scope = Scope::Files { paths: self.order.options.paths.clone(), excluded: self.order.options.exclude.clone() };
        let private = Private { paths, scope: Some(scope), ..Private::default() };
        let private = private.seal(self.index_lock.recipients()).map_err(|error| BackupFault::refused(error.to_string(), ""))?;
        let Opening { site, wishes, started, began, .. } = self.opening;
        Ok(Descriptor {
            format: FORMAT,
            id: self.id.clone(),
            job: self.order.job.clone(),
            kind: BackupKind::Files,
            parent: self.parent.map(|parent| parent.descriptor.id.clone()),
            label: wishes.label.clone(),
            keep: wishes.keep,
            started: *started,
            stopped: end_of(*started, *began),
            by: describe::by(site),
            cluster: self.known.cluster.clone(),
            position: Position { timeline: self.known.timeline, start: Lsn(0), stop: Lsn(0) },
            carries_log: false,
            size: copied.bytes,
            stored_size: copied.objects.iter().map(|object| object.size).sum(),
            files: copied.files,
            objects: copied.objects,
            damage: copied.damage,
            private,
        })
    }
}

fn told<'n>(what: &'n str, named: &'n Named) -> impl Iterator<Item = String> + 'n {
    let more = named.count.saturating_sub(MOST_REMARKS.min(named.files.len()) as u64);
    let each = named.files.iter().take(MOST_REMARKS).map(move |note| format!("{what}: {}: {}", note.path, note.why));
    each.chain((more > 0).then(|| format!("{what}: {more} more; `notes.json` of the backup names them")))
}
