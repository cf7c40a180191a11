//! What the copies are owed, where the first store's word is enough: `<state>/<system-id>/owed/<store>/<file>`.
//!
//! PostgreSQL may have recycled the segment by the time the copy's store is back. So it is the first store's object that is copied, byte by
//! byte: its stamp and its signature stay what they are, and no key is needed.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::existing::{find, must_be_same, trusted_stamp};
use super::fault::WalFaultKind;
use super::ship::{Run, still_mounted};
use super::{Place, WalFault, large};
use crate::inventory::SystemIdentifier;
use crate::store::{MAX_SINGLE_PUT, Put};
use crate::units::{Key, Name, WalFile};

fn folder(state: &Path, cluster: SystemIdentifier) -> PathBuf {
    state.join(cluster.to_string()).join("owed")
}

/// Durable when it returns.
pub(super) fn owe(state: &Path, cluster: SystemIdentifier, store: &Name, file: WalFile) -> Result<(), WalFault> {
    let folder = folder(state, cluster).join(store.as_str());
    let write = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        File::create(folder.join(file.to_string()))?.sync_all()?;
        // The names of new folders too, up to one that was there.
        for directory in folder.ancestors().take(4) {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| WalFault::local(&folder, &error))
}

/// What is owed, by store, in order.
pub(super) fn owed(state: &Path, cluster: SystemIdentifier) -> Vec<(String, WalFile)> {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let folder = folder(state, cluster);
    let mut all = Vec::new();
    for store in names(&folder) {
        all.extend(names(&folder.join(&store)).into_iter().filter_map(|file| Some((store.clone(), file.parse().ok()?))));
    }
    all.sort_by_key(|(store, file): &(String, WalFile)| (file.to_string(), store.clone()));
    all
}

/// Pays as much as can be paid until `deadline`. What fails stays owed, and `wal status` shows it.
pub(super) fn pay(run: &Run, deadline: Instant) {
    let settings = &run.settings;
    let Some(Ok(main)) = settings.destinations.first().map(|main| &main.place) else { return };
    // What was away a moment ago is not waited for again.
    let is_down = |name: &Name| run.settings.destinations.iter().zip(&run.down).any(|(at, down)| at.name == *name && down.get().is_some());
    let mut down: Vec<String> =
        settings.destinations.iter().map(|at| &at.name).filter(|name| is_down(name)).map(ToString::to_string).collect();
    for (store, file) in owed(&settings.state, run.cluster) {
        if Instant::now() >= deadline {
            break;
        }
        let paid = match settings.destinations.iter().find(|destination| destination.name.as_str() == store) {
            _ if down.contains(&store) => continue,
            // The policy does not want it there any more.
            None => Ok(()),
            Some(destination) => {
                destination.place.clone().and_then(|place| copy(run, main, &place, file).and_then(|()| still_mounted(&place)))
            }
        };
        match paid {
            Ok(()) => {
                let _ = fs::remove_file(folder(&settings.state, run.cluster).join(&store).join(file.to_string()));
            }
            Err(fault) if fault.may_pass() => down.push(store),
            // Also what was lost in the first store: it stays owed, and so is seen.
            Err(_) => {}
        }
    }
}

/// Copies one object from one store to another, and only if it is what its stamp says.
fn copy(run: &Run, from: &Place, to: &Place, file: WalFile) -> Result<(), WalFault> {
    let of = (run.cluster, file);
    let writers = &run.settings.writers;
    let (key, size) = find(from, run.cluster, file)?
        .ok_or_else(|| WalFault::new(WalFaultKind::Absent, format!("{file} is not in {}", from.store.url()), ""))?;
    let (stamp, header) = trusted_stamp(from, (&key, size), writers, of)?;
    let name = key.as_str().split_once('/').map_or("", |(_, rest)| rest);
    let target = Key::new(to.repository.prefix(name)).map_err(|error| WalFault::damaged(&key, error))?;
    if let Some(there) = to.store.head(&target)? {
        must_be_same(to, (&target, there.size), writers, of, &stamp.content)?;
        return Ok(to.store.settle(&target)?);
    }
    let whole = |body: &blake3::Hasher| body.finalize() == stamp.body;
    let mut body = blake3::Hasher::new();
    if size <= MAX_SINGLE_PUT as u64 && stamp.size <= super::ship::IN_ONE_PIECE {
        let object = from.store.get(&key, MAX_SINGLE_PUT)?;
        body.update(object.get(usize::try_from(header).unwrap_or(usize::MAX)..).unwrap_or_default());
        return match whole(&body) {
            false => Err(WalFault::damaged(&key, "its bytes are not those that were put")),
            true if to.store.put_new(&target, object)? == Put::Created => Ok(()),
            true => must_be_same(to, (&target, size), writers, of, &stamp.content),
        };
    }
    large::claim(run, to, &crate::format::stamp::Stamp { body: [0; 32], ..stamp.clone() })?;
    let mut upload = to.store.upload(&target)?;
    let (mut at, mut index) = (0, 0);
    while at < size {
        let bytes = from.store.get_range(&key, at..size.min(at + upload.piece_size(index) as u64))?;
        let skip = usize::try_from(header.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        body.update(&bytes[skip..]);
        at += bytes.len() as u64;
        upload.put(index, bytes)?;
        index += 1;
    }
    if whole(&body) { Ok(upload.finish()?) } else { Err(WalFault::damaged(&key, "its bytes are not those that were put")) }
}
