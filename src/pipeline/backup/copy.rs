//! The copy of a cluster's files: workers, lanes, and the few things that they share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::adopt::Left;
use super::cut::{Cutter, Given, Task, Work};
use super::fill::{Filled, Filler, Ground};
use super::intake::Intake;
use super::lane::{Done, Lane};
use super::listing::{Listed, Listing};
use super::pages::Found;
use super::part::PartWriter;
use super::text::TextWriter;
use super::tree::{self, Before, Tree};
use super::{Job, PipelineFault};
use crate::format::descriptor::{Damage, Object, ObjectKind};
use crate::format::index::Piece;
use crate::format::manifest::{Manifest, WalNeeded};
use crate::format::tarball;
use crate::pipeline::Pace;
use crate::units::Lsn;

/// More workers on one part would wait for each other: one encrypts and writes about a gigabyte in a second.
const WORKERS_OF_A_LANE: usize = 4;

/// A copy on its way.
#[derive(Debug)]
pub struct Copy<'j> {
    pub(super) job: Job<'j>,
    /// PostgreSQL's; files beside a cluster have none.
    manifest: Option<Mutex<(Manifest, TextWriter)>>,
    /// Of an increment.
    tale: Option<Mutex<Tale>>,
    tree: tree::Shared,
    pub(super) next_part: AtomicU32,
    objects: Mutex<Vec<Object>>,
    pub(super) found: Found,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// What an increment tells those who restore it without an index: every path that there is, and headers of what was only touched.
#[derive(Debug)]
struct Tale {
    names: TextWriter,
    attributes: TextWriter,
}

/// What a copy came to.
#[derive(Debug, Clone)]
pub struct Copied {
    pub objects: Vec<Object>,
    pub files: u64,
    /// Plain bytes of all files.
    pub bytes: u64,
    pub damage: Damage,
    /// Of files beside a cluster.
    pub found: tree::Found,
}

/// A small file that is in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallFile {
    pub path: String,
    pub mode: u32,
    pub mtime: i64,
    pub bytes: Vec<u8>,
}

impl<'j> Copy<'j> {
    pub fn begin(job: Job<'j>) -> Result<Copy<'j>, PipelineFault> {
        let end = job.codec.extension(job.index_lock.envelope());
        let mut text = TextWriter::new(job.store, &(job.key)(&format!("backup_manifest{end}")), job.index_lock, job.codec)?;
        let manifest = Manifest::begin(job.major, job.cluster, &mut text.text);
        Ok(Copy { manifest: Some(Mutex::new((manifest, text))), ..Copy::without_manifest(job) })
    }

    /// A copy of what is no cluster.
    pub fn beside(job: Job<'j>) -> Copy<'j> {
        Copy::without_manifest(job)
    }

    /// A copy of what is no cluster, which refers to earlier ones.
    pub fn upon(job: Job<'j>) -> Result<Copy<'j>, PipelineFault> {
        let end = job.codec.extension(job.index_lock.envelope());
        let text = |name: &str| TextWriter::new(job.store, &(job.key)(&format!("{name}{end}")), job.index_lock, job.codec);
        let tale = Tale { names: text("names")?, attributes: text("attributes.tar")? };
        Ok(Copy { tale: Some(Mutex::new(tale)), ..Copy::without_manifest(job) })
    }

    fn without_manifest(job: Job<'j>) -> Copy<'j> {
        Copy {
            job,
            manifest: None,
            tale: None,
            tree: tree::Shared::default(),
            next_part: AtomicU32::new(1),
            objects: Mutex::default(),
            found: Found::default(),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Copies all that is listed.
    pub fn files(&self, root: &Path, listing: &Listing) -> Result<(), PipelineFault> {
        let lanes = self.job.workers.div_ceil(WORKERS_OF_A_LANE);
        let cutter = Cutter::new(listing, root, lanes);
        self.run(root, listing, lanes, &|home| {
            // Its own lane first; when that has nothing more, it helps the others.
            for lane in (0..lanes).map(|step| (home + step) % lanes) {
                if let Some(task) = cutter.take(lane)? {
                    return Ok(Some((lane, task)));
                }
            }
            Ok(None)
        })
    }

    /// Copies what lies in memory, in this order, as a part of its own.
    pub fn small(&self, files: Vec<SmallFile>) -> Result<(), PipelineFault> {
        let works = files.into_iter().map(|file| {
            let listed = Listed { path: file.path, size: file.bytes.len() as u64, mtime: file.mtime, mode: file.mode, is_directory: false };
            Work::Given(vec![Given { listed: Arc::new(listed), from: 0, bytes: file.bytes }])
        });
        let tasks = works.chain([Work::EndOfPart]).enumerate().map(|(number, work)| Task { number: number as u64, work });
        let tasks = Mutex::new(tasks.collect::<Vec<_>>().into_iter());
        let listing = Listing::of(self.job.owner);
        self.run(Path::new(""), &listing, 1, &|_| Ok(tasks.lock().unwrap_or_else(PoisonError::into_inner).next().map(|task| (0, task))))
    }

    /// Copies what a tar brings that somebody else makes. `feed` is called in this thread and hands over what comes.
    pub fn archive<E: From<PipelineFault>>(&self, feed: impl FnOnce(&mut Intake) -> Result<(), E>) -> Result<(), E> {
        let listing = Listing::of(self.job.owner);
        let (sender, tasks) = mpsc::sync_channel(2 * self.job.workers);
        let tasks = Mutex::new(tasks);
        thread::scope(|scope| {
            let (listing, tasks) = (&listing, &tasks);
            let workers = scope.spawn(move || {
                let taken = self.run(Path::new(""), listing, 1, &|_| {
                    // Whoever waits for the next task holds the lock; all others have nothing to do either.
                    Ok(tasks.lock().unwrap_or_else(PoisonError::into_inner).recv().ok().map(|task| (0, task)))
                });
                // What is still sent has nobody to take it: the sender must not wait.
                drop(std::mem::replace(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner), mpsc::sync_channel(0).1));
                taken
            });
            let mut intake = Intake::new(sender);
            let fed = feed(&mut intake).and_then(|()| intake.finish().map_err(E::from));
            // The workers end when nothing more can come.
            drop(intake);
            let worked = workers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // A worker's fault is why the feeding ended, if both failed.
            worked.map_err(E::from).and(fed)
        })
    }

    /// Copies what lies below some paths; what an earlier backup has is only named.
    pub fn tree(&self, what: &Tree, before: Option<Before<'_>>) -> Result<(), PipelineFault> {
        let listing = Listing::of(self.job.owner);
        let (sender, tasks) = mpsc::sync_channel(self.job.workers);
        let tasks = Mutex::new(tasks);
        let on_their_way = 4 * self.job.workers;
        thread::scope(|scope| {
            let (listing, tasks) = (&listing, &tasks);
            let workers = scope.spawn(move || {
                let taken = self.run(Path::new(""), listing, 1, &|_| {
                    Ok(tasks.lock().unwrap_or_else(PoisonError::into_inner).recv().ok().map(|task| (0, task)))
                });
                drop(std::mem::replace(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner), mpsc::sync_channel(0).1));
                taken
            });
            let walked = tree::walk(what, &self.tree, before, sender, &self.job, on_their_way);
            let worked = workers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            worked.and(walked)
        })
    }

    /// Ends the manifest and says what was put.
    pub fn finish(self, wal: &[WalNeeded], stop: Lsn) -> Result<Copied, PipelineFault> {
        let manifest = self.manifest.map(|manifest| {
            let (manifest, mut text) = manifest.into_inner().unwrap_or_else(PoisonError::into_inner);
            manifest.finish(wal, &mut text.text);
            text.finish(ObjectKind::Manifest)
        });
        let mut objects = self.objects.into_inner().unwrap_or_else(PoisonError::into_inner);
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        objects.extend(manifest.transpose()?);
        if let Some(tale) = self.tale {
            let Tale { names, mut attributes } = tale.into_inner().unwrap_or_else(PoisonError::into_inner);
            objects.push(names.finish(ObjectKind::Names)?);
            attributes.text.extend_from_slice(&tarball::END);
            objects.push(attributes.finish(ObjectKind::Attributes)?);
        }
        let mut damage = self.found.finish(stop);
        let found = self.tree.finish();
        damage.unread = found.unread.count;
        Ok(Copied { objects, files: self.files.into_inner(), bytes: self.bytes.into_inner(), damage, found })
    }

    pub(super) fn add_objects(&self, objects: [Object; 2]) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).extend(objects);
    }

    pub(super) fn file_is_complete(&self, piece: &Piece) -> Result<(), PipelineFault> {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(piece.size, Ordering::Relaxed);
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let mut manifest = manifest.lock().unwrap_or_else(PoisonError::into_inner);
        let (manifest, text) = &mut *manifest;
        manifest.file(&piece.path, piece.size, piece.mtime, piece.crc.unwrap_or_default(), &mut text.text);
        text.line_is_complete()
    }

    fn tell(&self, filled: &Filled) -> Result<(), PipelineFault> {
        let Some(tale) = &self.tale else { return Ok(()) };
        let mut tale = tale.lock().unwrap_or_else(PoisonError::into_inner);
        let Tale { names, attributes } = &mut *tale;
        for piece in filled.pieces.iter().filter(|piece| piece.from == 0) {
            names.text.extend_from_slice(piece.path_bytes());
            names.text.push(0);
            names.line_is_complete()?;
        }
        attributes.text.extend_from_slice(&filled.touched);
        attributes.line_is_complete()
    }

    fn run(&self, root: &Path, listing: &Listing, lanes: usize, take: &Take<'_>) -> Result<(), PipelineFault> {
        let pace = Pace::new(self.job.read_limit);
        let ground = Ground {
            root,
            listing,
            owner: self.job.owner,
            pages: self.job.pages,
            again: self.job.again,
            found: &self.found,
            tree: &self.tree,
            pace: &pace,
            progress: self.job.progress,
        };
        let lanes: Vec<Lane> = (0..lanes).map(|_| Lane::default()).collect();
        let (finisher, complete) = mpsc::sync_channel(lanes.len());
        let shared = Shared {
            job: &self.job,
            copy: self,
            most_waiting: 2 * self.job.workers.min(WORKERS_OF_A_LANE),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
            finisher: Mutex::new(Some(finisher)),
            lanes: &lanes,
        };
        thread::scope(|scope| {
            let shared = &shared;
            let last = scope.spawn(|| shared.attempt(|| finish_parts(self, complete)));
            let work = |home: usize| shared.attempt(|| self.work(home, &ground, shared, take));
            let workers: Vec<_> = (1..self.job.workers).map(|home| scope.spawn(move || work(home))).collect();
            work(0);
            workers.into_iter().for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            // Without a sender its work comes to an end.
            drop(shared.finisher.lock().unwrap_or_else(PoisonError::into_inner).take());
            last.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        if let Some(fault) = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(fault);
        }
        if self.job.stop.load(Ordering::Relaxed) { Err(PipelineFault::Interrupted) } else { Ok(()) }
    }

    fn work(&self, home: usize, ground: &Ground<'_>, shared: &Shared<'_>, take: &Take<'_>) -> Result<(), PipelineFault> {
        let mut filler = Filler::new(ground, self.job.codec)?;
        while !shared.is_stopped() {
            let Some((lane, Task { number, work })) = take(home)? else { break };
            let lane = &shared.lanes[lane];
            let done = match work {
                Work::PartIsFull => Done::PartIsFull,
                Work::EndOfPart => Done::EndOfPart,
                work => Done::Frame(filler.fill(&work, lane.buffer())?),
            };

            lane.deposit(number, done, shared)?;
        }
        Ok(())
    }
}

/// The next task for a worker: in which lane, and what.
type Take<'t> = dyn Fn(usize) -> Result<Option<(usize, Task)>, PipelineFault> + Sync + 't;

/// Ends parts while workers go on: a file that is made durable keeps no processor busy.
fn finish_parts(copy: &Copy<'_>, complete: Receiver<PartWriter>) -> Result<(), PipelineFault> {
    for part in complete {
        let [part, index] = part.finish(&copy.job)?;
        (copy.job.put)(&Left { part: part.clone(), index: index.clone() });
        copy.add_objects([part, index]);
    }
    Ok(())
}

/// One that is done with its work, well, badly or in a panic, leaves nobody waiting.
struct WakeAll<'s>(&'s Shared<'s>);

impl Drop for WakeAll<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
        if self.0.is_stopped() {
            self.0.lanes.iter().for_each(Lane::wake);
        }
    }
}

/// What the workers of one run share.
#[derive(Debug)]
pub(super) struct Shared<'s> {
    pub job: &'s Job<'s>,
    copy: &'s Copy<'s>,
    /// How many frames may wait for their turn in a lane.
    pub most_waiting: usize,
    failed: AtomicBool,
    failure: Mutex<Option<PipelineFault>>,
    finisher: Mutex<Option<SyncSender<PartWriter>>>,
    lanes: &'s [Lane],
}

impl Shared<'_> {
    pub(super) fn is_stopped(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.job.stop.load(Ordering::Relaxed)
    }

    /// The first failure is the one that is told.
    fn attempt(&self, work: impl FnOnce() -> Result<(), PipelineFault>) {
        let _awake = WakeAll(self);
        if let Err(fault) = work() {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn begin_part(&self) -> Result<PartWriter, PipelineFault> {
        PartWriter::begin(self.job, self.copy.next_part.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn finish_part(&self, part: PartWriter) -> Result<(), PipelineFault> {
        let finisher = self.finisher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Nobody takes it any more when finishing another one failed, and that failure is told.
        finisher.map_or(Ok(()), |finisher| finisher.send(part).or(Ok(())))
    }

    pub(super) fn file_is_complete(&self, piece: &Piece) -> Result<(), PipelineFault> {
        self.copy.file_is_complete(piece)
    }

    pub(super) fn tell(&self, filled: &Filled) -> Result<(), PipelineFault> {
        self.copy.tell(filled)
    }
}
