//! What this room puts into the archive beside the rows, and what it finds there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::remove::record_of;
use super::{Archived, Run};
use crate::execute::id::random_word;
use crate::format::archived::{Awake, Leaving, MAX_BYTES, ReadBack, Removed};
use crate::format::descriptor::FORMAT;
use crate::format::layout::signature_of;
use crate::format::seal::Identities;
use crate::format::signature::{ARCHIVE, SigningKey};
use crate::observe::{self, Kept, Names, Shelf};
use crate::pipeline::{hash_object, read_plain, read_rows};
use crate::postgres::Connection;
use crate::site::{HostKeys, SiteFault};
use crate::store::{Fault, FaultKind, Meta, Put, Store};
use crate::units::{BackupId, Instant, Key, hex};
use crate::world::{clock, parallel};

/// An export needs seconds between its last object and its descriptor.
const LEFT_ALONE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Puts the signature, then what it is of. What is there already under this name was put by the same run, or is another.
pub(super) fn put_signed(store: &Store, key: &Key, json: Vec<u8>, signing: &SigningKey) -> Result<(), SiteFault> {
    let signature = signing.sign_armored(ARCHIVE, &json).map_err(|error| SiteFault::new(format!("{key} cannot be signed: {error}"), ""))?;
    put(store, &signature_of(key), Bytes::from(signature))?;
    put(store, key, Bytes::from(json))
}

/// A store may have done what it failed to confirm: then it is asked.
fn put(store: &Store, key: &Key, body: Bytes) -> Result<(), SiteFault> {
    let put = match store.put_new(key, body.clone()) {
        Ok(Put::Created) => return Ok(()),
        other => other,
    };
    match (store.get(key, MAX_BYTES), put) {
        (Ok(found), _) if found == body => Ok(store.settle(key)?),
        (_, Err(fault)) | (Err(fault), _) => Err(fault.into()),
        (Ok(_), Ok(_)) => Err(SiteFault::new(format!("{key} is there already"), "Two runs chose the same name; run it again.")),
    }
}

impl Run<'_> {
    /// The extents of this database that it does not have on record as gone, and what the store says of everything in it.
    pub(super) fn kept(&self, removed: &BTreeSet<String>, done: &mut Archived) -> Result<(Vec<Kept>, Names), SiteFault> {
        let place = self.shelf();
        // Before the rest: what is let go meanwhile loses its mark last.
        let marks = place.marks()?;
        let names = place.names()?;
        // The database's own record is the truth; the store's notes follow it.
        for id in names.extents.iter().filter(|id| removed.contains(id.as_str()) && !names.removed.contains(id.as_str())) {
            note_removed(&place, self.site.host(), id);
        }
        self.sweep(&names, removed, &marks, done)?;
        let open: Vec<&BackupId> = names.extents.iter().filter(|id| !removed.contains(id.as_str())).collect();
        // The host's own key opens what it wrote itself.
        let identities = self.site.identities(None)?;
        let read = parallel::map_with(observe::width(&self.store), &open, &|id: &&BackupId| place.read(id, &names, &identities));
        let mut all = Vec::new();
        for (id, read) in open.iter().zip(read) {
            match read? {
                Ok(kept) if kept.extent.system_identifier == self.cluster && kept.contents.database == self.table.database => {
                    all.push(kept)
                }
                Ok(_) => {}
                // Its rows are exported once more; nothing is taken out of a table on its word.
                Err(why) => tracing::warn!("the archived extent {id} is not believed: {why}"),
            }
        }
        Ok((all, names))
    }

    /// Lately; or it was once, and lies where nobody can read it again.
    pub(super) fn is_read_back(&self, kept: &Kept) -> Result<bool, SiteFault> {
        let place = self.shelf();
        let readers = place.readers(kept, &place.names_of(&kept.extent.id)?)?;
        let now = clock::now();
        if readers.is_empty() || readers.iter().any(|read| read.is_fresh(now)) {
            return Ok(!readers.is_empty());
        }
        for object in &kept.extent.objects {
            let there = self.store.head(&self.repository.extent_data(&kept.extent.id, &object.name))?;
            if there.is_some_and(|meta| meta.frozen) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Somebody has read it back once, and it is still the same, byte by byte: what he signed for is the descriptor, which has the hashes of these
    /// objects. So his word is good for as long as they are, however seldom this runs, and whoever cannot open them can see that.
    pub(super) fn is_as_it_was_read(&self, kept: &Kept) -> Result<bool, SiteFault> {
        let place = self.shelf();
        if place.readers(kept, &place.names_of(&kept.extent.id)?)?.is_empty() {
            return Ok(false);
        }
        for object in &kept.extent.objects {
            let key = self.repository.extent_data(&kept.extent.id, &object.name);
            let sum = hash_object(&self.store, &key, object.size, &mut |_| !self.onlooker.stop.load(Ordering::Relaxed))?;
            if sum != object.sha256 {
                let message = format!("{key} is not any more what was read back: its SHA-256 is {sum} instead of {}", object.sha256);
                return Err(SiteFault::new(message, "Its rows stay in the table. Look for who changes objects in this store."));
            }
        }
        Ok(true)
    }

    /// Its descriptor and all of its objects lie there, as large as they were. Asked last, because somebody read them days ago.
    pub(super) fn is_there(&self, kept: &Kept) -> Result<Result<(), SiteFault>, SiteFault> {
        let id = &kept.extent.id;
        let missing = |key: &Key, found: String| {
            let message = format!("{key} {found}, so the rows of {} stay in the table", kept.contents.table_name());
            Ok(Err(SiteFault::new(message, "It was whole when it was read back. Look for who deletes or changes objects in this store.")))
        };
        let descriptor = self.repository.extent(id);
        if self.store.head(&descriptor)?.is_none() {
            return missing(&descriptor, "is gone from the store".into());
        }
        for object in &kept.extent.objects {
            let key = self.repository.extent_data(id, &object.name);
            match self.store.head(&key)?.map(|meta| meta.size) {
                Some(size) if size == object.size => {}
                Some(size) => return missing(&key, format!("has {size} bytes instead of {}", object.size)),
                None => return missing(&key, "is gone from the store".into()),
            }
        }
        Ok(Ok(()))
    }

    /// Takes away what exports left that were killed before they were committed. Whoever still commits such a one by a slow clock finds out when it is
    /// read back, and has taken nothing out of its table. What may be the only copy of rows is left alone, whoever took its descriptor away.
    fn sweep(
        &self,
        names: &Names,
        removed: &BTreeSet<String>,
        marks: &BTreeMap<BackupId, Instant>,
        done: &mut Archived,
    ) -> Result<(), SiteFault> {
        let place = self.shelf();
        let before = clock::now().checked_sub(LEFT_ALONE).unwrap_or(Instant::MIN);
        let mut headless: BTreeMap<&str, Vec<&Meta>> = names.headless().into_iter().map(|id| (id, Vec::new())).collect();
        for meta in names.left(&self.repository) {
            if let Some((id, _)) = place.inside(&meta.key) {
                headless.entry(id).or_default().push(meta);
            }
        }
        let read_back: HashSet<&str> = names.read_back.iter().filter_map(|key| Some(place.inside(key)?.0)).collect();
        for (id, objects) in headless {
            let Ok(id) = id.parse::<BackupId>() else { continue };
            // What is marked is being deleted; what was committed while the store was listed is whole.
            if marks.contains_key(&id) || self.store.head(&self.repository.extent(&id))?.is_some() {
                continue;
            }
            let (folder, store) = (self.repository.prefix(&format!("archive/{id}")), &self.archive.store);
            if removed.contains(id.as_str()) || names.may_have_left(&id) {
                let message = format!("{folder}.json is gone from `{store}`, and only the archive has the rows of this extent");
                let hint = "Put the descriptor and its signature back, from where they were moved or from another copy of this store; nothing \
                            below it is deleted. Where its rows are known to be in the table again, delete its folder by hand.";
                done.headless.push(SiteFault::new(message, hint));
            } else if read_back.contains(id.as_str()) {
                done.remarks
                    .push(format!("{folder} stays in `{store}` without a descriptor: somebody has read it back, so it was whole once"));
            } else {
                let left: Vec<Key> = objects.iter().filter(|meta| meta.modified < before).map(|meta| meta.key.clone()).collect();
                if !left.is_empty() {
                    self.store.purge(&left)?;
                }
            }
        }
        Ok(())
    }

    /// Which extents somebody has requested, to be readable for some time still.
    pub(super) fn wanted_awake<'n>(&self, names: &'n Names) -> Result<HashSet<&'n str>, SiteFault> {
        let (now, mut wanted) = (clock::now(), HashSet::new());
        for id in names.extents.iter().filter(|id| names.awake.contains(id.as_str())) {
            let is_wanted = match self.store.get(&self.repository.extent_awake(id), MAX_BYTES) {
                Ok(note) => serde_json::from_slice::<Awake>(&note).is_ok_and(|note| note.id == *id && note.until > now),
                Err(fault) if fault.is_absent() => false,
                Err(fault) if matches!(fault.kind, FaultKind::Transient | FaultKind::NoStore) => return Err(fault.into()),
                // Whatever is wrong with the note, somebody wanted them.
                Err(_) => true,
            };
            if is_wanted {
                wanted.insert(id.as_str());
            }
        }
        Ok(wanted)
    }

    /// Before its rows leave the table. A note that is there already is of an earlier time that they did, or nearly did.
    pub(super) fn note_leaving(&self, connection: &mut Connection, kept: &Kept) -> Result<(), SiteFault> {
        let (id, host) = (&kept.extent.id, self.site.host().to_owned());
        let note = Leaving { format: FORMAT, id: id.clone(), at: clock::now(), host, record: record_of(connection)? };
        let json = serde_json::to_vec_pretty(&note).expect("texts and numbers");
        self.store.put_new(&self.repository.extent_leaving(id), Bytes::from(json))?;
        Ok(())
    }
}

/// Reads every row out of the store again, compares, and signs that it was so.
pub fn read_back(
    place: &Shelf<'_>,
    kept: &Kept,
    identities: &Identities,
    keys: &HostKeys,
    host: &str,
    stop: &AtomicBool,
) -> Result<(), SiteFault> {
    let id = &kept.extent.id;
    for object in &kept.extent.objects {
        let key = place.repository.extent_data(id, &object.name);
        let agrees = match &object.plain_sha256 {
            None => read_rows(place.store, &key, object.size, identities, &mut |_| Ok(!stop.load(Ordering::Relaxed)))
                .map(|rows| rows.rows == kept.extent.rows && rows.sum == kept.contents.sum),
            Some(sha256) => {
                let mut digest = Context::new(&SHA256);
                let read = read_plain(place.store, &key, object.size, identities, &mut |bytes| {
                    digest.update(bytes);
                    Ok(!stop.load(Ordering::Relaxed))
                });
                read.map(|()| hex(digest.finish().as_ref()) == *sha256)
            }
        };
        match agrees {
            Ok(false) => {
                let message = format!("{key} does not read back as it was written");
                let hint = "Nothing is taken out of the table. Look for what changes bytes between here and the store.";
                return Err(SiteFault::new(message, hint));
            }
            agrees => drop(agrees?),
        }
    }
    let said = ReadBack::new(&kept.extent, kept.digest.clone(), clock::now(), host.to_owned());
    let json = serde_json::to_vec_pretty(&said).expect("texts and numbers");
    // Each time under a name of its own: one that broke off between signature and text must not be in the way of the next.
    put_signed(place.store, &place.repository.extent_read_back(id, &format!("{host}-{}", random_word()?)), json, &keys.signing)
}

/// Where a thaw brings rows out for good, the archive job would put them back to sleep before anybody has them.
pub(super) fn note_awake(place: &Shelf<'_>, host: &str, id: &BackupId, until: Instant) -> Result<(), Fault> {
    let note = Awake { format: FORMAT, id: id.clone(), until, host: host.to_owned() };
    let json = serde_json::to_vec_pretty(&note).expect("texts and numbers");
    place.store.replace(&place.repository.extent_awake(id), Bytes::from(json))
}

/// For those who cannot ask the database. What it says is only a note: the database's own record is the truth.
pub(super) fn note_removed(place: &Shelf<'_>, host: &str, id: &BackupId) {
    let note = Removed { format: FORMAT, id: id.clone(), at: clock::now(), host: host.to_owned() };
    let json = serde_json::to_vec_pretty(&note).expect("texts and numbers");
    if let Err(fault) = place.store.put_new(&place.repository.extent_removed(id), Bytes::from(json)) {
        tracing::debug!("that {id} left its table is not noted in the store: {}", fault.message);
    }
}
