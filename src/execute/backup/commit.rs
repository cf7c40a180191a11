//! Makes a backup one.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::BackupFault;
use super::sweep::is_swept;
use crate::format::descriptor::{Descriptor, MAX_BYTES};
use crate::format::layout::{Repository, signature_of};
use crate::format::signature::{BACKUP, SigningKey};
use crate::observe::find_descriptor;
use crate::pipeline::PipelineFault;
use crate::site::SiteFault;
use crate::store::{Put, Store};
use crate::units::{BackupId, Instant, Key};

const LIMIT: usize = 64 << 10;

/// `hints/latest.json`, and of dumps `hints/latest-<job>.json`: spares a look at all descriptors; nothing is decided by it that could not be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    pub id: BackupId,
    pub descriptor: String,
    pub stopped: Instant,
    pub size: u64,
    /// Of an increment, as much as anything in its chain took: the next one may be as large as the first.
    pub stored_size: u64,
}

/// Puts the signature, then the descriptor: with it, and not before, the backup is there. Everything it names is durable by now.
pub(in crate::execute) fn commit(
    store: &Store,
    repository: &Repository,
    descriptor: &Descriptor,
    key: &SigningKey,
) -> Result<Key, BackupFault> {
    commit_with(store, repository, descriptor, key, &|| Ok(()))
}

/// The same, where more must still be there than the descriptor's objects.
pub(in crate::execute) fn commit_with(
    store: &Store,
    repository: &Repository,
    descriptor: &Descriptor,
    key: &SigningKey,
    also: &dyn Fn() -> Result<(), BackupFault>,
) -> Result<Key, BackupFault> {
    check_objects(store, repository, descriptor).and_then(|()| also())?;
    let json = descriptor.to_json();
    let signature = key.sign_armored(BACKUP, &json).map_err(|error| SiteFault::new(format!("the backup cannot be signed: {error}"), ""))?;
    let place = repository.descriptor(descriptor.stopped, &descriptor.id);
    put(store, &signature_of(&place), signature.into_bytes(), &descriptor.id)?;
    if let Err(fault) = put(store, &place, json, &descriptor.id) {
        if !matches!(fault, BackupFault::Unknown { .. }) {
            // Alone, it looks as if somebody had deleted the backup.
            let _ = store.delete(&[signature_of(&place)]);
        }
        return Err(fault);
    }
    // Whoever swept leftovers, or a disk that went away, may have been faster than the last look: then it is withdrawn. First whether somebody
    // is about to: who has done it takes back what he said, but then the objects are not there.
    let checked =
        not_swept(store, repository, &descriptor.id).and_then(|()| check_objects(store, repository, descriptor)).and_then(|()| also());
    let unknown = |fault| BackupFault::Unknown { backup: descriptor.id.to_string(), fault };
    match checked {
        Ok(()) => {}
        Err(fault @ BackupFault::Refused { .. }) => {
            return Err(store.delete(&[place.clone(), signature_of(&place)]).map_or_else(unknown, |()| fault));
        }
        Err(BackupFault::Pipeline(PipelineFault::Store(fault))) => return Err(unknown(fault)),
        Err(fault) => return Err(fault),
    }
    // A hint that is missing or old costs a listing, nothing else.
    let hint = if descriptor.kind.is_physical() { repository.latest() } else { repository.latest_of(&descriptor.job) };
    let before = descriptor.parent.as_ref().and_then(|_| latest(store, &hint)).map_or(0, |before| before.stored_size);
    let latest = Latest {
        id: descriptor.id.clone(),
        descriptor: place.to_string(),
        stopped: descriptor.stopped,
        size: descriptor.size,
        stored_size: descriptor.stored_size.max(before),
    };
    let _ = store.replace(&hint, Bytes::from(serde_json::to_vec_pretty(&latest).expect("texts and numbers")));
    Ok(place)
}

/// This host may have slept for longer than its lease lasts.
fn not_swept(store: &Store, repository: &Repository, id: &BackupId) -> Result<(), BackupFault> {
    if !is_swept(store, repository, id)? {
        return Ok(());
    }
    let message = format!("{id} was taken for the remains of a backup that broke off, and is being removed");
    Err(BackupFault::refused(message, "Was this host asleep, or cut off from the store? Run it again."))
}

/// Puts one of the two. A store may have done what it then failed to confirm, or may do it later: so it is asked before anything is
/// believed, and where the answer proves nothing it is not known.
fn put(store: &Store, key: &Key, body: Vec<u8>, id: &BackupId) -> Result<(), BackupFault> {
    let body = Bytes::from(body);
    let put = match store.put_new(key, body.clone()) {
        Ok(Put::Created) => return Ok(()),
        other => other,
    };
    match (store.get(key, MAX_BYTES), put) {
        (Ok(found), _) if found == body => Ok(store.settle(key)?),
        (Ok(_), _) => Err(BackupFault::refused(format!("{key} is there already"), "Two runs chose the same name; run it again.")),
        (Err(now), Err(fault)) if now.is_absent() && !fault.is_transient() => Err(fault.into()),
        (Err(_), Err(fault)) | (Err(fault), Ok(_)) => Err(BackupFault::Unknown { backup: id.to_string(), fault }),
    }
}

/// The repository is there, and what it builds on, and every object, as long as what was sent: what a store can be asked without reading it all back.
fn check_objects(store: &Store, repository: &Repository, descriptor: &Descriptor) -> Result<(), BackupFault> {
    if store.head(&repository.about())?.is_none() {
        let message = format!("{} went away while the backup was taken", store.url());
        return Err(BackupFault::refused(message, "Is its disk mounted?"));
    }
    if let Some(parent) = &descriptor.parent
        && find_descriptor(store, repository, parent)?.is_none()
    {
        let message = format!("{parent}, which this one builds on, was deleted while it was taken");
        return Err(BackupFault::refused(message, "Run it again: it builds on another one, or is a full one."));
    }
    let there = store.list(&repository.prefix(&format!("data/{}", descriptor.id)))?;
    let sizes: HashMap<&str, u64> = there.iter().map(|meta| (meta.key.file_name(), meta.size)).collect();
    for object in &descriptor.objects {
        let found = sizes.get(object.name.as_str()).copied();
        if found != Some(object.size) {
            let key = repository.data(&descriptor.id, &object.name);
            let what = found.map_or("it is not there".to_owned(), |size| format!("it has {size} bytes"));
            let message = format!("{key} was written with {} bytes, and now {what}", object.size);
            return Err(BackupFault::refused(message, "Something else writes into this store, or the store loses what it was given."));
        }
    }
    Ok(())
}

pub(in crate::execute) fn latest(store: &Store, hint: &Key) -> Option<Latest> {
    serde_json::from_slice(&store.get(hint, LIMIT).ok()?).ok()
}
