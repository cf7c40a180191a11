//! Looks at pages while they are in the processor's cache.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::leave_out::pages_of;
use crate::format::descriptor::{Damage, DamagedBlock};
use crate::format::page::{self, Look};
use crate::units::Lsn;

/// What must be known to look at pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    pub block_size: u32,
    /// Blocks of one file of a relation.
    pub blocks_per_file: u32,
    /// Pages that were changed after this may be read while they are written; the log has them whole.
    pub start: Lsn,
}

/// A page that is being written looks wrong for a moment.
const AGAIN: [Duration; 5] =
    [Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(250)];
/// So many are named; the others are counted.
const MAX_NAMED: usize = 1000;
const MAX_SUSPECTS: usize = 100_000;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Found(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    damage: Damage,
    /// Wrong, and changed since the backup began, or so they say. Only what the log then really holds is excused.
    suspects: Vec<(DamagedBlock, Lsn)>,
}

impl Found {
    fn wrong(&self, block: DamagedBlock) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.add(block);
    }

    fn suspect(&self, block: DamagedBlock, lsn: Lsn) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.suspect(block, lsn);
    }

    /// What was found elsewhere belongs to it too.
    pub(super) fn join(&self, other: Found) {
        let other = other.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.damage.pages += other.damage.pages;
        let room = MAX_NAMED.saturating_sub(inside.damage.blocks.len());
        inside.damage.blocks.extend(other.damage.blocks.into_iter().take(room));
        for (block, lsn) in other.suspects {
            inside.suspect(block, lsn);
        }
    }

    /// All damage, now that it is known where the log ends: no page is from after that.
    pub(super) fn finish(self, stop: Lsn) -> Damage {
        let mut inside = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (block, lsn) in std::mem::take(&mut inside.suspects) {
            if lsn > stop {
                inside.add(block);
            }
        }
        inside.damage.blocks.sort_by(|a, b| (&a.path, a.block).cmp(&(&b.path, b.block)));
        inside.damage
    }
}

impl Inside {
    /// Where there are so many, it is no page that happened to be written just then.
    fn suspect(&mut self, block: DamagedBlock, lsn: Lsn) {
        match self.suspects.len() {
            ..MAX_SUSPECTS => self.suspects.push((block, lsn)),
            _ => self.add(block),
        }
    }

    fn add(&mut self, block: DamagedBlock) {
        self.damage.pages += 1;
        if self.damage.blocks.len() < MAX_NAMED {
            self.damage.blocks.push(block);
        }
    }
}

/// Reads what lies at a place of the file once more; false when it cannot.
type Reread<'r> = &'r dyn Fn(u64, &mut [u8]) -> bool;

/// Looks at the pages in `bytes`, which lie in the file from `from` on. What is read better a second time is put in place.
pub(super) fn look(pages: &Pages, found: &Found, path: &str, again: Option<Reread<'_>>, from: u64, bytes: &mut [u8]) {
    let Some(part) = pages_of(path) else { return };
    let size = u64::from(pages.block_size);
    if !from.is_multiple_of(size) {
        return;
    }
    let first = u64::from(part) * u64::from(pages.blocks_per_file) + from / size;
    for (number, page) in bytes.chunks_exact_mut(pages.block_size as usize).enumerate() {
        let block = first + number as u64;
        // A relation has at most 2^32 blocks.
        let place = u32::try_from(block).unwrap_or(u32::MAX);
        if page::look(page, place) == Look::Sound {
            continue;
        }
        let at = from + number as u64 * size;
        let reread = |page: &mut [u8]| {
            again.is_some_and(|again| {
                AGAIN.iter().any(|pause| {
                    thread::sleep(*pause);
                    again(at, page) && page::look(page, place) == Look::Sound
                })
            })
        };
        let lsn = page::lsn(page);
        let damaged = || DamagedBlock { path: path.to_owned(), block };
        if lsn >= pages.start {
            found.suspect(damaged(), lsn);
        } else if !reread(page) {
            // It may have been changed meanwhile.
            match page::lsn(page) {
                lsn if lsn >= pages.start => found.suspect(damaged(), lsn),
                _ => found.wrong(damaged()),
            }
        }
    }
}
