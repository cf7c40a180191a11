//! `archive_command`: one file must be durable, and those that wait behind it may come along.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::Plain;
use super::fault::WalFaultKind;
use super::packer::Scratch;
use super::ready::ready;
use super::ship::{IN_ONE_PIECE, Run};
use super::{Settings, WalFault, debt};
use crate::units::{NotAWalFile, WalFile};

/// How many files one call takes along, at most.
const AHEAD: usize = 128;
/// After this no further file is begun: PostgreSQL waits, and counts nothing as archived meanwhile.
const BEGIN_UNTIL: Duration = Duration::from_secs(10);
/// How long files that are on their way may hold up an answer that is known.
const HAND_OVER: Duration = Duration::from_secs(5);
/// For the buffers of all workers together.
const MEMORY: u64 = 88 << 20;

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Files that were shipped ahead of their turn.
    pub ahead: usize,
}

/// Ships a file, and others that are ready. Success means that this very file is durable wherever the policy wants it.
pub fn push(settings: Settings, path: &Path) -> Result<Pushed, WalFault> {
    let own = own(path)?;
    let wal = path.parent().unwrap_or(Path::new(".")).to_owned();
    let ready = ready(&wal).unwrap_or_default();
    let waited_for: HashSet<String> = ready.iter().chain([&own.file]).map(ToString::to_string).collect();
    settings.markers.sweep(own.cluster, |name| waited_for.contains(name));
    let queue = queue(&own, &wal, &ready, &settings);
    let files: Vec<WalFile> = queue.iter().map(|plain| plain.file).collect();
    let workers = workers(&settings, &queue);
    let run = Arc::new(Run::begin(settings, own.cluster, &files));
    let pushed = ship_all(&run, queue, workers);
    if pushed.is_ok() {
        debt::pay(&run, Instant::now() + HAND_OVER);
    }
    pushed
}

fn own(path: &Path) -> Result<Plain, WalFault> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let file: WalFile = name.parse().map_err(|error: NotAWalFile| {
        WalFault::new(WalFaultKind::Local, error.to_string(), "`archive_command` is `seawall wal push %p`.")
    })?;
    Plain::look(path, file)
}

/// This call's own file first, then what PostgreSQL will ask for next and nobody has shipped yet.
fn queue(own: &Plain, wal: &Path, ready: &[WalFile], settings: &Settings) -> VecDeque<Plain> {
    let next = ready.iter().filter(|file| **file != own.file);
    let look = |file: &WalFile| Plain::look(&wal.join(file.to_string()), *file).ok();
    // What cannot be read now is complained of when its turn comes; so is what belongs to another cluster.
    let next = next.filter_map(look).filter(|plain| plain.cluster == own.cluster && !settings.markers.acknowledges(plain));
    std::iter::once(own.clone()).chain(next.take(AHEAD)).collect()
}

/// As many as the settings allow, and as their buffers have room.
fn workers(settings: &Settings, queue: &VecDeque<Plain>) -> usize {
    let largest = queue.iter().filter_map(|plain| std::fs::metadata(&plain.path).ok()).map(|about| about.len()).max().unwrap_or(0);
    // The plain frame, the compressed one, and the object; in pieces, two pieces of some MiB.
    let each = largest.min(IN_ONE_PIECE) + (6 << 20);
    let room = usize::try_from(MEMORY / each).unwrap_or(1);
    settings.workers.min(room).min(queue.len()).max(1)
}

enum Said {
    Own(Result<(), WalFault>),
    Other(bool),
}

/// The workers are not waited for without end: when the answer is known and they hang, the process ends under them, which is as
/// harmless as any other crash.
fn ship_all(run: &Arc<Run>, queue: VecDeque<Plain>, workers: usize) -> Result<Pushed, WalFault> {
    let own = queue[0].file;
    let queue = Arc::new(Mutex::new(queue));
    let until = Instant::now() + BEGIN_UNTIL;
    let (say, heard) = mpsc::channel();
    for _ in 0..workers {
        let (run, queue, say) = (run.clone(), queue.clone(), say.clone());
        thread::spawn(move || {
            let mut scratch = Scratch::default();
            loop {
                let Some(next) = queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front() else { return };
                if next.file != own && Instant::now() > until {
                    return;
                }
                let done = run.ship(&next, &mut scratch);
                let said = if next.file == own { Said::Own(done) } else { Said::Other(done.is_ok()) };
                if say.send(said).is_err() {
                    return;
                }
            }
        });
    }
    drop(say);
    listen(&heard, until)
}

fn listen(heard: &mpsc::Receiver<Said>, until: Instant) -> Result<Pushed, WalFault> {
    let mut own = None;
    let mut ahead = 0;
    loop {
        let said = match own {
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => heard.recv_timeout((until + HAND_OVER).saturating_duration_since(Instant::now())),
        };
        match said {
            Ok(Said::Own(done)) => own = Some(done),
            Ok(Said::Other(done)) => ahead += usize::from(done),
            Err(_) => break,
        }
    }
    match own {
        Some(done) => done.map(|()| Pushed { ahead }),
        None => {
            Err(WalFault::new(WalFaultKind::Local, "a worker ended without an answer", "This is a fault of seawall; please report it."))
        }
    }
}
