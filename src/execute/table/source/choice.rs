//! Which files of a backup are fetched, and which are there only in their size.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::listing::Listing;
use crate::format::filenode_map;
use crate::format::index::{Frame, Piece};
use crate::format::relation_file::{in_database, parse};
use crate::pipeline::restore::{Choice, Take};

/// What nobody knows is fetched up to this size: configuration, certificates, what an extension keeps. A server's own log is not.
const SMALL: u64 = 1 << 20;
/// What a server needs to begin, beside its catalogs.
const STATE: &[&str] = &[
    "global/",
    "pg_commit_ts/",
    "pg_logical/",
    "pg_multixact/",
    "pg_notify/",
    "pg_serial/",
    "pg_subtrans/",
    "pg_twophase/",
    "pg_wal/",
    "pg_xact/",
];
/// What leads elsewhere, or holds the log back.
const NEVER: &[&str] = &["pg_replslot/", "pg_stat/", "pg_stat_tmp/"];

/// The list of databases, and what says where each one's catalogs are.
#[derive(Debug)]
pub(super) struct Shared;

impl Choice for Shared {
    fn take(&self, piece: &Piece) -> Take {
        let map = in_database(&piece.path).is_some_and(|(_, name)| name == filenode_map::FILE);
        if map || piece.path.starts_with("global/") { Take::Whole } else { Take::Nothing }
    }
}

/// Some catalogs of one database; on the way it is written down what there is.
#[derive(Debug)]
pub(super) struct Catalogs<'l> {
    pub database: Option<u32>,
    pub nodes: BTreeSet<u32>,
    pub listing: Option<&'l Mutex<Listing>>,
}

impl Choice for Catalogs<'_> {
    fn take(&self, piece: &Piece) -> Take {
        let wanted = parse(&piece.path).is_some_and(|file| Some(file.database) == self.database && self.nodes.contains(&file.node));
        if wanted { Take::Whole } else { Take::Nothing }
    }

    fn pass(&self, frame: &Frame) {
        if let Some(listing) = self.listing {
            listing.lock().unwrap_or_else(PoisonError::into_inner).add(frame);
        }
    }
}

/// What a file is to a copy of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lot {
    Needed,
    /// It depends on the relation.
    Of(u32),
    Hollow,
    Nothing,
}

/// Which databases there is anything of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Databases {
    pub wanted: Option<u32>,
    /// Those that others are copied from.
    pub whole: BTreeSet<u32>,
}

impl Databases {
    pub(super) fn lot(&self, piece: &Piece) -> Lot {
        let path = piece.path.as_str();
        let begins = |with: &[&str]| with.iter().any(|folder| path.starts_with(folder));
        if !piece.kind.is_file() {
            return Lot::Needed;
        }
        if let Some((database, _)) = in_database(path) {
            return match parse(path) {
                _ if self.whole.contains(&database) => Lot::Needed,
                Some(file) if file.temporary => Lot::Nothing,
                Some(file) if Some(file.database) == self.wanted => Lot::Of(file.node),
                // Which catalogs are where, and of which version it is.
                None if piece.size <= SMALL => Lot::Needed,
                _ => Lot::Hollow,
            };
        }
        if begins(NEVER) {
            Lot::Nothing
        } else if begins(STATE) || piece.size <= SMALL {
            Lot::Needed
        } else {
            Lot::Hollow
        }
    }
}

/// The copy: the wanted relations of one database whole, everything else hollow.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub databases: Databases,
    pub nodes: BTreeSet<u32>,
}

impl Choice for Partial {
    fn take(&self, piece: &Piece) -> Take {
        match self.databases.lot(piece) {
            Lot::Needed => Take::Whole,
            Lot::Of(node) if self.nodes.contains(&node) => Take::Whole,
            Lot::Of(_) | Lot::Hollow => Take::Hollow,
            Lot::Nothing => Take::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::Kind;

    fn piece(path: &str, size: u64) -> Piece {
        Piece {
            path: path.into(),
            kind: Kind::File,
            skip: 0,
            from: 0,
            len: 0,
            hash: None,
            size,
            mode: 0o600,
            mtime: 0,
            crc: None,
            link: None,
            more: None,
            lies: None,
        }
    }

    #[test]
    fn everything_has_its_lot() {
        let databases = Databases { wanted: Some(5), whole: BTreeSet::from([1]) };
        let partial = Partial { databases, nodes: BTreeSet::from([1259, 17_000]) };
        let large = SMALL + 1;
        for (path, size, take) in [
            ("base/5/17000", large, Take::Whole),
            ("base/5/17000.3", large, Take::Whole),
            ("base/5/17000_vm", 8192, Take::Whole),
            ("pg_tblspc/16400/PG_15_202209061/5/17000", large, Take::Whole),
            ("base/5/17001", large, Take::Hollow),
            ("base/5/17001_fsm", 8192, Take::Hollow),
            ("base/5/t3_17000", 8192, Take::Nothing),
            ("base/7/17000", 8192, Take::Hollow),
            ("base/1/17000", large, Take::Whole),
            ("base/7/pg_filenode.map", 512, Take::Whole),
            ("base/7/PG_VERSION", 3, Take::Whole),
            ("global/1262", large, Take::Whole),
            ("pg_xact/0000", 256 << 10, Take::Whole),
            ("pg_replslot/sub/state", 200, Take::Nothing),
            ("conf.d/memory.conf", 200, Take::Whole),
            ("log/postgresql.log", large, Take::Hollow),
        ] {
            assert_eq!(partial.take(&piece(path, size)), take, "{path}");
        }
        assert_eq!(partial.take(&Piece { kind: Kind::Directory, ..piece("base/7", 0) }), Take::Whole);
    }
}
