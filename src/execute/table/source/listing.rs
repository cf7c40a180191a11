//! How much there is of what, and what reading it costs: known before anything large is read.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{Databases, Lot};
use crate::format::index::Frame;

/// What a backup has of one database's relations, and of what is needed whatever is wanted.
#[derive(Debug, Default)]
pub(super) struct Listing {
    databases: Databases,
    /// Plain bytes of each relation.
    pub nodes: BTreeMap<u32, u64>,
    /// Plain bytes of what is always needed, and what its frames have in the store.
    needed: u64,
    needed_stored: u64,
    /// The other frames that hold anything of the database: how much they have in the store, and of which relations.
    frames: Vec<(u32, Box<[u32]>)>,
}

impl Listing {
    pub(super) fn new(databases: Databases) -> Listing {
        Listing { databases, ..Listing::default() }
    }

    pub(super) fn add(&mut self, frame: &Frame) {
        let mut of: Vec<u32> = Vec::new();
        let mut is_needed = false;
        for piece in &frame.pieces {
            match self.databases.lot(piece) {
                Lot::Needed => {
                    is_needed |= piece.len > 0;
                    self.needed += u64::from(piece.len);
                }
                Lot::Of(node) => {
                    *self.nodes.entry(node).or_default() += u64::from(piece.len);
                    if piece.len > 0 && !of.contains(&node) {
                        of.push(node);
                    }
                }
                Lot::Hollow | Lot::Nothing => {}
            }
        }
        if is_needed {
            self.needed_stored += u64::from(frame.len);
        } else if !of.is_empty() {
            self.frames.push((frame.len, of.into_boxed_slice()));
        }
    }

    /// Plain bytes of some relations.
    pub(super) fn size(&self, nodes: &BTreeSet<u32>) -> u64 {
        nodes.iter().filter_map(|node| self.nodes.get(node)).sum()
    }

    /// Plain bytes that a copy with these relations has, and those that are read for it.
    pub(super) fn cost(&self, nodes: &BTreeSet<u32>) -> (u64, u64) {
        let frames = self.frames.iter().filter(|(_, of)| of.iter().any(|node| nodes.contains(node)));
        let stored: u64 = frames.map(|(len, _)| u64::from(*len)).sum();
        (self.needed + self.size(nodes), self.needed_stored + stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::{Kind, Piece};

    fn frame(len: u32, files: &[(&str, u32)]) -> Frame {
        let piece = |(path, len): &(&str, u32)| Piece {
            path: (*path).into(),
            kind: Kind::File,
            skip: 0,
            from: 0,
            len: *len,
            hash: None,
            size: u64::from(*len),
            mode: 0o600,
            mtime: 0,
            crc: None,
            link: None,
            more: None,
            lies: None,
        };
        Frame { at: 0, len, raw: 1 << 20, pieces: files.iter().map(piece).collect() }
    }

    #[test]
    fn a_frame_is_read_once_for_all_that_is_in_it() {
        let mut listing = Listing::new(Databases { wanted: Some(5), whole: BTreeSet::new() });
        listing.add(&frame(100, &[("global/1262", 8192), ("base/5/17000", 8192)]));
        listing.add(&frame(10, &[("base/5/17000", 4096), ("base/5/17001", 4096), ("base/7/17000", 9)]));
        listing.add(&frame(1, &[("base/5/17002", 1024), ("base/5/17003", 0)]));
        listing.add(&frame(1000, &[("base/7/17002", 1 << 20)]));
        let of = |nodes: &[u32]| listing.cost(&nodes.iter().copied().collect());
        assert_eq!(of(&[]), (8192, 100));
        assert_eq!(of(&[17_000]), (8192 + 8192 + 4096, 110));
        assert_eq!(of(&[17_000, 17_001]), (8192 + 8192 + 4096 + 4096, 110));
        assert_eq!(of(&[17_003, 9]), (8192, 100));
        assert_eq!(listing.nodes.keys().copied().collect::<Vec<_>>(), [17_000, 17_001, 17_002, 17_003]);
    }
}
