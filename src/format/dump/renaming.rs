//! What follows a dump's head, on its way: TimescaleDB's jobs get other owners, and everything else passes as it is.

use std::io::{Cursor, ErrorKind, Read, Result};

use super::blocks::{DATA, int};
use super::jobs;

/// A database has some hundred jobs.
const MOST: u64 = 64 << 20;

pub(super) struct Renaming<R, F> {
    from: R,
    int_size: usize,
    /// The entry with the jobs, and its columns. None where nothing more is to be changed.
    jobs: Option<(i64, String)>,
    to: F,
    /// What has been read, and not been given.
    ready: Cursor<Vec<u8>>,
    at: At,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Block,
    /// Of a large object; 0 ends the block.
    LargeObject,
    /// Of a chunk, of a large object or of a table; 0 ends it.
    Length {
        is_large_object: bool,
    },
    Chunk {
        left: u64,
        is_large_object: bool,
    },
}

impl<R: Read, F: Fn(&str) -> Option<String>> Renaming<R, F> {
    pub(super) fn new(from: R, int_size: usize, jobs: Option<(i64, String)>, to: F) -> Renaming<R, F> {
        Renaming { from, int_size, jobs, to, ready: Cursor::default(), at: At::Block }
    }

    /// Reads what comes next, and makes it ready.
    fn next(&mut self) -> Result<()> {
        self.at = match self.at {
            At::Block => {
                let mut kind = [0];
                if self.from.read(&mut kind)? == 0 {
                    self.jobs = None;
                    return Ok(());
                }
                let id = self.number()?;
                if kind[0] == DATA && self.jobs.as_ref().is_some_and(|(jobs, _)| int(&id) == Some(*jobs)) {
                    return self.change(kind[0], &id);
                }
                self.ready = Cursor::new([&kind, id.as_slice()].concat());
                if kind[0] == DATA { At::Length { is_large_object: false } } else { At::LargeObject }
            }
            At::LargeObject => match self.pass()? {
                0 => At::Block,
                _ => At::Length { is_large_object: true },
            },
            At::Length { is_large_object } | At::Chunk { is_large_object, .. } => match self.pass()? {
                0 if is_large_object => At::LargeObject,
                0 => At::Block,
                left => At::Chunk { left, is_large_object },
            },
        };
        Ok(())
    }

    /// Whoever reads it finds that it is no dump.
    fn pass(&mut self) -> Result<u64> {
        let number = self.number()?;
        let value = int(&number).and_then(|value| u64::try_from(value).ok());
        self.ready = Cursor::new(number);
        value.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn number(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 1 + self.int_size];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn change(&mut self, kind: u8, id: &[u8]) -> Result<()> {
        let Some((_, columns)) = self.jobs.take() else { return Ok(()) };
        let mut rows = Vec::new();
        loop {
            let length = int(&self.number()?).and_then(|length| u64::try_from(length).ok());
            let length = length.filter(|length| rows.len() as u64 + length <= MOST).ok_or(ErrorKind::InvalidData)?;
            if length == 0 {
                break;
            }
            let at = rows.len();
            rows.resize(at + length as usize, 0);
            self.from.read_exact(&mut rows[at..])?;
        }
        let strange = || std::io::Error::new(ErrorKind::InvalidData, "TimescaleDB's jobs are not as they are known here");
        let rows = jobs::with_owners(&columns, &rows, &self.to).ok_or_else(strange)?;
        let length = |length: u64| [&[0], &length.to_le_bytes()[..self.int_size]].concat();
        self.ready = Cursor::new([&[kind], id, &length(rows.len() as u64), &rows, &length(0)].concat());
        Ok(())
    }
}

impl<R: Read, F: Fn(&str) -> Option<String>> Read for Renaming<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let got = self.ready.read(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            if self.jobs.is_none() {
                return self.from.read(buffer);
            }
            if let At::Chunk { left, is_large_object } = &mut self.at
                && *left > 0
            {
                let most = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                let got = self.from.read(&mut buffer[..most])?;
                *left -= got as u64;
                if *left == 0 {
                    self.at = At::Length { is_large_object: *is_large_object };
                }
                return Ok(got);
            }
            self.next()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u32) -> Vec<u8> {
        [&[0], &value.to_le_bytes()[..]].concat()
    }

    fn chunks(of: &[&[u8]]) -> Vec<u8> {
        of.iter().flat_map(|chunk| [number(chunk.len() as u32), chunk.to_vec()].concat()).chain(number(0)).collect()
    }

    fn body(jobs: &[&[u8]]) -> Vec<u8> {
        let large = [&[3][..], &number(6), &number(77), &chunks(&[b"large", b"object"]), &number(78), &chunks(&[]), &number(0)].concat();
        let rows = [&[1][..], &number(5), &chunks(&[b"app\tapp\n", b"\\.\n\n\n"])].concat();
        [large, rows.clone(), [&[1][..], &number(7), &chunks(jobs)].concat(), rows].concat()
    }

    /// By as many bytes at once.
    fn renamed(body: &[u8], jobs: Option<i64>, at_once: usize) -> Vec<u8> {
        let to = |role: &str| (role == "app").then(|| "a longer name".to_owned());
        let mut renaming = Renaming::new(body, 4, jobs.map(|id| (id, "(id, owner)".to_owned())), to);
        let (mut out, mut buffer) = (Vec::new(), vec![0; at_once]);
        loop {
            match renaming.read(&mut buffer).expect("it is whole") {
                0 => return out,
                got => out.extend(&buffer[..got]),
            }
        }
    }

    #[test]
    fn only_the_rows_of_the_jobs_change() {
        let before = body(&[b"1000\tap", b"p\n1001\tb\n\\.\n\n\n"]);
        let after = body(&[b"1000\t\"a longer name\"\n1001\tb\n\\.\n\n\n"]);
        for at_once in [1, 3, 4096] {
            assert_eq!(renamed(&before, Some(7), at_once), after, "{at_once}");
            assert_eq!(renamed(&before, None, at_once), before);
            assert_eq!(renamed(&before, Some(99), at_once), before, "it never comes");
        }
    }

    #[test]
    fn what_is_cut_short_is_no_whole_dump() {
        let before = body(&[b"1000\tapp\n\\.\n\n\n"]);
        for end in 0..before.len() {
            let mut renaming = Renaming::new(&before[..end], 4, Some((7, "(id, owner)".to_owned())), |_: &str| None);
            let mut out = Vec::new();
            // It ends sooner or with a fault, and never gives more.
            let _ = renaming.read_to_end(&mut out);
            assert!(before.starts_with(&out), "{end}");
        }
    }
}
