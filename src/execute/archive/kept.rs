//! What this room puts into the archive beside the rows, and what it finds there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::Run;
use crate::execute::id::random_word;
use crate::format::archived::{MAX_BYTES, ReadBack, Removed};
use crate::format::descriptor::FORMAT;
use crate::format::layout::signature_of;
use crate::format::seal::Identities;
use crate::format::signature::{ARCHIVE, SigningKey};
use crate::observe::{self, Kept, Names, Shelf};
use crate::pipeline::{read_plain, read_rows};
use crate::site::{HostKeys, SiteFault};
use crate::store::{Put, Store};
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
    /// The extents of this table whose rows are, as far as anybody wrote down, still in it.
    pub(super) fn kept(&self, removed: &BTreeSet<String>) -> Result<Vec<Kept>, SiteFault> {
        let place = self.shelf();
        let names = place.names()?;
        // The database's own record is the truth; the store's notes follow it.
        for id in names.extents.iter().filter(|id| removed.contains(id.as_str()) && !names.removed.contains(id.as_str())) {
            note_removed(&place, self.site.host(), id);
        }
        sweep(&place, &names)?;
        let open: Vec<&BackupId> = names.extents.iter().filter(|id| !removed.contains(id.as_str())).collect();
        // The host's own key opens what it wrote itself.
        let identities = self.site.identities(None)?;
        let read = parallel::map_with(observe::width(&self.store), &open, &|id: &&BackupId| place.read(id, &names, &identities));
        let mut all = Vec::new();
        for (id, read) in open.iter().zip(read) {
            match read? {
                Ok(kept) if kept.extent.system_identifier == self.cluster && kept.contents.database == self.table.database => {
                    if names.removed.contains(id.as_str()) {
                        // The database was brought back to a moment at which it had these rows.
                        place.store.purge(&[place.repository.extent_removed(id)])?;
                    }
                    all.push(kept);
                }
                Ok(_) => {}
                // Its rows are exported once more; nothing is taken out of a table on its word.
                Err(why) => tracing::warn!("the archived extent {id} is not believed: {why}"),
            }
        }
        Ok(all)
    }

    pub(super) fn is_read_back(&self, kept: &Kept) -> Result<bool, SiteFault> {
        let place = self.shelf();
        Ok(!place.readers(kept, &place.names_of(&kept.extent.id)?)?.is_empty())
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

/// Takes away what exports left that were killed before they were committed. Whoever still commits such a one by a slow clock finds out when it is
/// read back, and has taken nothing out of its table.
fn sweep(place: &Shelf<'_>, names: &Names) -> Result<(), SiteFault> {
    let before = clock::now().checked_sub(LEFT_ALONE).unwrap_or(Instant::MIN);
    let left: Vec<Key> =
        names.left(place.repository).into_iter().filter(|meta| meta.modified < before).map(|meta| meta.key.clone()).collect();
    if !left.is_empty() {
        place.store.purge(&left)?;
    }
    Ok(())
}

/// For those who cannot ask the database. What it says is only a note: the database's own record is the truth.
pub(super) fn note_removed(place: &Shelf<'_>, host: &str, id: &BackupId) {
    let note = Removed { format: FORMAT, id: id.clone(), at: clock::now(), host: host.to_owned() };
    let json = serde_json::to_vec_pretty(&note).expect("texts and numbers");
    if let Err(fault) = place.store.put_new(&place.repository.extent_removed(id), Bytes::from(json)) {
        tracing::debug!("that {id} left its table is not noted in the store: {}", fault.message);
    }
}
