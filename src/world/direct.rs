//! Files that are written past the system's cache: what is only put down need not be copied into memory that the database wants,
//! page by page. On a machine whose memory is new to it that costs more than all other work of a restore.
//!
//! It needs addresses, places and lengths that are multiples of a block. What is not, and what a file system does not take, goes
//! through the cache as always. None of this makes anything durable: whoever wants that syncs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// A multiple of every device's block, and the usual file system's.
const BLOCK: usize = 4096;
/// Less than this is not worth a wait for the disk.
const LEAST: usize = 128 << 10;
/// Stays in the processor's cache.
const COPIED: usize = 1 << 20;

/// A file, and how it is written at the moment.
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    direct: bool,
    able: bool,
}

impl DirectFile {
    pub fn new(file: File) -> DirectFile {
        DirectFile { file, direct: false, able: true }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn into_file(self) -> File {
        self.file
    }

    /// Reads through the cache, where addresses are as they come.
    pub fn read_exact_at(&mut self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.set(false)?;
        self.file.read_exact_at(bytes, at)
    }

    /// Writes all of it, past the cache as far as that goes. Says how many bytes went through the cache.
    pub fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let past = if self.able { past_the_cache(bytes, at) } else { 0 };
        let (past, rest) = bytes.split_at(past);
        let mut cached = rest.len();
        if !past.is_empty() {
            match self.set(true).and_then(|()| self.file.write_all_at(past, at)) {
                Ok(()) => {}
                Err(error) if is_unable(&error) => {
                    self.able = false;
                    self.set(false)?;
                    self.file.write_all_at(past, at)?;
                    cached = bytes.len();
                }
                Err(error) => return Err(error),
            }
        }
        if !rest.is_empty() {
            self.set(false)?;
            self.file.write_all_at(rest, at + past.len() as u64)?;
        }
        Ok(cached)
    }

    /// The same for bytes that lie anywhere in memory: they are copied, a little at a time.
    pub fn write_copied_at(&mut self, bytes: &[u8], at: u64, room: &mut Room) -> io::Result<()> {
        if bytes.len() < LEAST || !at.is_multiple_of(BLOCK as u64) {
            return self.write_all_at(bytes, at).map(drop);
        }
        let mut at = at;
        for piece in bytes.chunks(COPIED) {
            let copy = room.of(piece.len(), 0);
            copy.copy_from_slice(piece);
            self.write_all_at(copy, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn set(&mut self, direct: bool) -> io::Result<()> {
        if self.direct != direct {
            let mut flags = fcntl_getfl(&self.file)?;
            flags.set(OFlags::DIRECT, direct);
            fcntl_setfl(&self.file, flags)?;
            self.direct = direct;
        }
        Ok(())
    }
}

fn is_unable(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// How many bytes from the beginning on can go past the cache.
fn past_the_cache(bytes: &[u8], at: u64) -> usize {
    let aligned = bytes.as_ptr().addr().is_multiple_of(BLOCK) && at.is_multiple_of(BLOCK as u64);
    if aligned && bytes.len() >= LEAST { bytes.len() / BLOCK * BLOCK } else { 0 }
}

/// Memory in which something can be given an address that suits. It is used again and again.
#[derive(Debug, Default)]
pub struct Room(Vec<u8>);

impl Room {
    /// So many bytes, of which the one at `suits` has an address that suits. What is in them is left over from before.
    pub fn of(&mut self, len: usize, suits: usize) -> &mut [u8] {
        if self.0.len() < len + BLOCK {
            self.0 = vec![0; len + BLOCK];
        }
        let from = (BLOCK - (self.0.as_ptr().addr() + suits) % BLOCK) % BLOCK;
        &mut self.0[from..from + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_however_it_lies() {
        let folder = tempfile::tempdir().expect("a folder");
        let pattern = |seed: usize, len: usize| (0..len).map(|at| (at * 7 + seed) as u8).collect::<Vec<u8>>();
        let mut expected = vec![0; 3 << 20];
        let path = folder.path().join("file");
        let mut file = DirectFile::new(File::options().read(true).write(true).create_new(true).open(&path).expect("a file"));
        let mut room = Room::default();
        for (seed, (at, len, suits)) in
            [(0, 1 << 20, 0), (1 << 20, (1 << 20) + 512, 0), (4096, 200_000, 512), (777, 300_000, 0), (2_500_000, 9, 0)]
                .into_iter()
                .enumerate()
        {
            let bytes = room.of(len + suits, suits);
            bytes[suits..].copy_from_slice(&pattern(seed, len));
            assert_eq!(bytes[suits..].as_ptr().addr() % BLOCK, 0);
            let cached = file.write_all_at(&bytes[suits..], at as u64).expect("it is written");
            assert!(cached == len || cached == len % BLOCK, "{cached} of {len}");
            expected[at..at + len].copy_from_slice(&pattern(seed, len));
            let other = format!("{}.{seed}", path.display());
            let mut copied = DirectFile::new(File::create(&other).expect("a file"));
            copied.write_copied_at(&pattern(seed, len), 0, &mut Room::default()).expect("it is written");
            assert!(std::fs::read(&other).expect("it is read") == pattern(seed, len));
            let mut anywhere = vec![0; len];
            file.read_exact_at(&mut anywhere[1..], at as u64 + 1).expect("it is read");
            assert!(anywhere[1..] == expected[at + 1..at + len]);
        }
        let found = std::fs::read(&path).expect("it is read");
        expected.truncate(found.len());
        assert!(found == expected && found.len() == 2_500_009);
    }
}
