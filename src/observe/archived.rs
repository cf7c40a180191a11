//! Extents of archived rows: what lies there, whom it was signed by, and who has read it back.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aws_lc_rs::digest::{SHA256, digest};

use super::descriptors::signer_beside;
use crate::format::archived::{Contents, Extent, Form, MAX_BYTES, ReadBack, Stored};
use crate::format::descriptor::FORMAT;
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::format::signature::{ARCHIVE, Writers};
use crate::store::{Fault, Meta, Store};
use crate::units::{BackupId, Instant, Key, hex};

/// An extent that is committed, and what is in it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub extent: Extent,
    pub contents: Contents,
    /// SHA-256 of the descriptor.
    pub digest: String,
}

impl Kept {
    pub fn is_encrypted(&self) -> bool {
        !self.extent.private.starts_with('{')
    }

    /// What left its table as these later ones has all that this one has, as far as that can be told without reading them: they are of the same table,
    /// cover its stretch of time, and have at least as many rows. Of those that lie on one another the first counts, for what left after it came late;
    /// of one that reaches beyond the stretch nobody knows how many of its rows are meant, and where a hold has ended, rows that were held do not stand
    /// for others.
    pub fn is_replaced_by(&self, later: &[&Kept]) -> bool {
        let may_count = |other: &&&Kept| {
            other.extent.exported > self.extent.exported
                && other.contents.oid == self.contents.oid
                && self.contents.covers(&other.contents)
                && self.contents.leaves_out_no_more_than(&other.contents)
        };
        let mut later: Vec<&Kept> = later.iter().filter(may_count).copied().collect();
        later.sort_by_key(|other| other.extent.exported);
        let mut count: Vec<&Kept> = Vec::new();
        for other in later {
            if !count.iter().any(|one| one.contents.overlaps(&other.contents)) {
                count.push(other);
            }
        }
        let rows: u64 = count.iter().map(|one| one.extent.rows).sum();
        rows >= self.extent.rows && self.contents.is_covered_by(count.iter().map(|one| &one.contents))
    }

    /// The object that the rows come back from.
    pub fn csv(&self) -> Option<&Stored> {
        self.extent.objects.iter().find(|object| object.form == Form::Csv)
    }
}

/// Where extents lie, and whom to believe about them.
#[derive(Debug, Clone, Copy)]
pub struct Shelf<'p> {
    pub store: &'p Store,
    pub repository: &'p Repository,
    pub writers: &'p Writers,
}

/// The names of what lies there, by what they are of.
#[derive(Debug, Default)]
pub struct Names {
    pub extents: Vec<BackupId>,
    /// Of which it is noted that their rows left the table.
    pub removed: HashSet<String>,
    /// Of which it is noted that their rows were about to leave it, whatever came of that.
    pub leaving: HashSet<String>,
    /// Of which it is noted until when they are to be readable.
    pub awake: HashSet<String>,
    pub read_back: Vec<Key>,
    /// Objects of extents.
    pub objects: Vec<Meta>,
    signed: HashSet<String>,
}

impl Names {
    /// It may be the only copy of its rows, whatever a database says that was made anew.
    pub fn may_have_left(&self, id: &BackupId) -> bool {
        self.removed.contains(id.as_str()) || self.leaving.contains(id.as_str())
    }

    /// What may be the only copy of rows, and has no descriptor.
    pub fn headless(&self) -> BTreeSet<&str> {
        let known: HashSet<&str> = self.extents.iter().map(BackupId::as_str).collect();
        self.removed.iter().chain(&self.leaving).map(String::as_str).filter(|id| !known.contains(id)).collect()
    }

    /// What lies in folders of extents without a descriptor: they were never committed, or somebody took it away.
    pub fn left(&self, repository: &Repository) -> Vec<&Meta> {
        let known: HashSet<String> = self.extents.iter().map(|id| repository.prefix(&format!("archive/{id}"))).collect();
        let folder = |key: &Key| key.as_str().rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned());
        self.objects.iter().filter(|meta| !known.contains(&folder(&meta.key))).collect()
    }
}

impl Shelf<'_> {
    pub fn names(&self) -> Result<Names, Fault> {
        self.names_below(&self.repository.prefix("archive"))
    }

    /// What is to be deleted, and when each was marked, by the store's clock.
    pub fn marks(&self) -> Result<BTreeMap<BackupId, Instant>, Fault> {
        let listed = self.store.list(&self.repository.prefix("expiring/archive"))?;
        let id = |key: &Key| key.file_name().strip_suffix(".json")?.parse().ok();
        Ok(listed.into_iter().filter_map(|meta| Some((id(&meta.key)?, meta.modified))).collect())
    }

    /// Only of this one.
    pub fn names_of(&self, id: &BackupId) -> Result<Names, Fault> {
        self.names_below(self.repository.extent_data(id, "read-back").as_str())
    }

    fn names_below(&self, prefix: &str) -> Result<Names, Fault> {
        let mut names = Names::default();
        for meta in self.store.list(prefix)? {
            let key = &meta.key;
            if let Some(id) = self.repository.extent_id(key) {
                names.extents.push(id);
            } else if let Some(of) = key.as_str().strip_suffix(".sig") {
                names.signed.insert(of.to_owned());
            } else {
                match self.inside(key) {
                    Some((id, "removed.json")) => drop(names.removed.insert(id.to_owned())),
                    Some((id, "leaving.json")) => drop(names.leaving.insert(id.to_owned())),
                    Some((id, "awake.json")) => drop(names.awake.insert(id.to_owned())),
                    Some((_, rest)) if rest.starts_with("read-back/") => names.read_back.push(meta.key),
                    _ => names.objects.push(meta),
                }
            }
        }
        Ok(names)
    }

    /// Objects of extents whose rows left their table.
    pub fn gone<'n>(&self, names: &'n Names) -> impl Iterator<Item = &'n Meta> {
        let has_left = |meta: &&Meta| self.inside(&meta.key).is_some_and(|(id, _)| names.removed.contains(id));
        names.objects.iter().filter(has_left)
    }

    /// The extent that an object belongs to, and its name there.
    pub fn inside<'k>(&self, key: &'k Key) -> Option<(&'k str, &'k str)> {
        self.repository.rest_of(key)?.strip_prefix("archive/")?.split_once('/')
    }

    /// What one says to everybody, and the SHA-256 of that; or why it is not believed.
    pub fn extent(&self, id: &BackupId, names: &Names) -> Result<Result<(Extent, String), String>, Fault> {
        let key = self.repository.extent(id);
        let json = self.store.get(&key, MAX_BYTES)?;
        let is_signed = names.signed.contains(key.as_str());
        if let Err(why) = signer_beside(self.store, &key, is_signed, ARCHIVE, &json, self.writers)? {
            return Ok(Err(why));
        }
        let extent: Extent = match serde_json::from_slice(&json) {
            Ok(extent) => extent,
            Err(error) => return Ok(Err(format!("it cannot be read: {error}"))),
        };
        Ok(if extent.format > FORMAT {
            Err(format!("it was written by a newer seawall (format {})", extent.format))
        } else if extent.id != *id {
            Err(format!("it is the descriptor of {} under another name", extent.id))
        } else {
            Ok((extent, sha256(&json)))
        })
    }

    /// One extent with what is in it; or why it is not believed, or cannot be opened.
    pub fn read(&self, id: &BackupId, names: &Names, identities: &Identities) -> Result<Result<Kept, String>, Fault> {
        Ok(self.extent(id, names)?.and_then(|(extent, digest)| match extent.contents(identities) {
            Ok(contents) => Ok(Kept { extent, contents, digest }),
            Err(error) => Err(format!("what it says of its rows cannot be opened: {error}")),
        }))
    }

    /// Who has read it back, of those who are believed.
    pub fn readers(&self, kept: &Kept, names: &Names) -> Result<Vec<ReadBack>, Fault> {
        let folder = format!("{}/", self.repository.extent_data(&kept.extent.id, "read-back"));
        let mut readers = Vec::new();
        for key in names.read_back.iter().filter(|key| key.as_str().starts_with(&folder)) {
            let json = self.store.get(key, MAX_BYTES)?;
            let is_signed = names.signed.contains(key.as_str());
            let is_believed = signer_beside(self.store, key, is_signed, ARCHIVE, &json, self.writers)?.is_ok();
            let Ok(read) = serde_json::from_slice::<ReadBack>(&json) else { continue };
            let is_of_this = read.id == kept.extent.id && read.descriptor == kept.digest && read.rows == kept.extent.rows;
            if is_believed && is_of_this {
                readers.push(read);
            }
        }
        Ok(readers)
    }
}

/// As descriptors are named by those who have read an extent back.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}
