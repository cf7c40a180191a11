//! Begins to write to the disk while the object still comes, so that its end does not wait for all of it.
//!
//! And lets go of what is on the disk: the database next to us needs the memory for pages that somebody reads.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::{Advice, fadvise};

const EVERY: usize = 64 << 20;

/// One thread for each large object, at most one flush under way and one waiting.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    unflushed: usize,
    thread: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
}

impl Flusher {
    /// A fault of an earlier flush comes out in `finish`: the system tells it only once, to whoever asks first.
    pub(super) fn wrote(&mut self, file: &Arc<File>, bytes: usize) -> io::Result<()> {
        self.unflushed += bytes;
        if self.unflushed < EVERY {
            return Ok(());
        }
        self.unflushed = 0;
        if self.thread.is_none() {
            self.thread = Some(start(file.clone())?);
        }
        if let Some((flush, _)) = &self.thread
            && let Err(TrySendError::Disconnected(())) = flush.try_send(())
        {
            return self.join();
        }
        Ok(())
    }

    fn join(&mut self) -> io::Result<()> {
        let Some((flush, thread)) = self.thread.take() else { return Ok(()) };
        drop(flush);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended without a word")))
    }

    pub(super) fn finish(&mut self, file: &File) -> io::Result<()> {
        self.join()?;
        file.sync_all()?;
        let_go(file);
        Ok(())
    }
}

fn start(file: Arc<File>) -> io::Result<(SyncSender<()>, JoinHandle<io::Result<()>>)> {
    let (flush, asked) = sync_channel(1);
    let work = move || {
        while asked.recv().is_ok() {
            file.sync_data()?;
            let_go(&file);
        }
        Ok(())
    };
    Ok((flush, std::thread::Builder::new().name("seawall-flush".to_owned()).spawn(work)?))
}

/// Only a hint: what is not on the disk yet stays.
fn let_go(file: &File) {
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}
