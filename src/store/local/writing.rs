//! Writes a large object in a thread of its own, so that whoever makes it does not wait for the disk, and past the system's cache: the database
//! next to us needs the memory for pages that somebody reads.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use rustix::fs::{Advice, fadvise};

use crate::world::direct::{DirectFile, Room};

/// A file under way. Small objects need no thread.
#[derive(Debug)]
pub(super) enum Writing {
    Here(DirectFile),
    There(SyncSender<(Bytes, u64)>, JoinHandle<io::Result<DirectFile>>),
    /// After a fault, which was told.
    Gone,
}

impl Writing {
    pub(super) fn new(file: File) -> Writing {
        Writing::Here(DirectFile::new(file))
    }

    /// A fault of an earlier piece may come out here or in `finish`.
    pub(super) fn write(&mut self, piece: Bytes, at: u64, is_large: bool) -> io::Result<()> {
        if is_large && let Writing::Here(_) = self {
            self.start()?;
        }
        match self {
            Writing::Here(file) => file.write_all_at(&piece, at).map(drop),
            Writing::There(pieces, _) => match pieces.send((piece, at)) {
                Ok(()) => Ok(()),
                Err(_) => self.join().map(drop),
            },
            Writing::Gone => Err(gone()),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let Writing::Here(mut file) = std::mem::replace(self, Writing::Gone) else { return Err(gone()) };
        let (sender, pieces) = sync_channel::<(Bytes, u64)>(1);
        let work = move || {
            let mut room = Room::default();
            for (piece, at) in pieces {
                file.write_copied_at(&piece, at, &mut room)?;
            }
            Ok(file)
        };
        *self = Writing::There(sender, Builder::new().name("seawall-write".to_owned()).spawn(work)?);
        Ok(())
    }

    fn join(&mut self) -> io::Result<DirectFile> {
        match std::mem::replace(self, Writing::Gone) {
            Writing::Here(file) => Ok(file),
            Writing::There(pieces, thread) => {
                drop(pieces);
                thread.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread ended without a word")))
            }
            Writing::Gone => Err(gone()),
        }
    }

    /// Durable when it returns. The file stays open, and so locked.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let file = self.join()?;
        file.file().sync_all()?;
        // Only a hint.
        let _ = fadvise(file.file(), 0, None, Advice::DontNeed);
        *self = Writing::Here(file);
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("an earlier write failed")
}
