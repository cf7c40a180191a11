//! One file of the log into every store that gets it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use bytes::Bytes;

use super::cluster::Plain;
use super::existing::{folder, must_be_same, still_there};
use super::fault::WalFaultKind;
use super::marker::{Identity, Seen, hash, now_ns};
use super::packer::{FRAME, Packer, Scratch};
use super::{Place, Settings, WalFault, debt, large};
use crate::format::layout;
use crate::format::stamp::Stamp;
use crate::inventory::SystemIdentifier;
use crate::store::Put;
use crate::units::{Instant, Key, WalFile};

/// Files up to this size become objects that are put in one piece whatever they hold; larger ones are uploaded in pieces.
pub(super) const IN_ONE_PIECE: u64 = 31 << 20;

/// One call's work: the settings, and what the stores have already.
#[derive(Debug)]
pub(super) struct Run {
    pub settings: Settings,
    pub cluster: SystemIdentifier,
    /// By destination: what was there when the call began, of the folders concerned.
    there: Vec<BTreeMap<WalFile, (Key, u64)>>,
    /// By destination: why it is not asked any more in this call.
    pub down: Vec<OnceLock<WalFault>>,
}

impl Run {
    /// Looks once at each folder concerned, so that what lies there in another form (the policy changed) or was put by
    /// another host is known without asking for each file.
    pub(super) fn begin(settings: Settings, cluster: SystemIdentifier, files: &[WalFile]) -> Run {
        let mut run = Run { there: Vec::new(), down: Vec::new(), settings, cluster };
        for destination in &run.settings.destinations {
            let down = OnceLock::new();
            let listed = destination.place.clone().and_then(|place| list(&place, cluster, files));
            let there = listed.unwrap_or_else(|fault| {
                let _ = down.set(fault);
                BTreeMap::new()
            });
            run.there.push(there);
            run.down.push(down);
        }
        run
    }

    /// Success only when the file is durable wherever it must be.
    pub(super) fn ship(&self, plain: &Plain, scratch: &mut Scratch) -> Result<(), WalFault> {
        let (seen, done) = self.put_everywhere(plain, scratch)?;
        let failed: Vec<(usize, WalFault)> =
            done.into_iter().enumerate().filter_map(|(at, done)| done.err().map(|fault| (at, fault))).collect();
        let must = |at: usize| self.settings.acknowledged_by_all || at == 0;
        if failed.iter().any(|(at, _)| must(*at)) {
            return Err(self.summary(&failed));
        }
        // What is owed is written down before the file is acknowledged: PostgreSQL forgets it then.
        for (at, fault) in &failed {
            debt::owe(&self.settings.state, self.cluster, &self.settings.destinations[*at].name, plain.file, fault)?;
        }
        // Without its marker the file is only looked at once more.
        let _ = self.settings.markers.leave(self.cluster, plain.file, &seen);
        Ok(())
    }

    /// The same for a file that nobody forgets because of it: nothing is owed, and nothing is remembered.
    pub(super) fn carry(&self, plain: &Plain, scratch: &mut Scratch) -> Result<(), WalFault> {
        let (_, done) = self.put_everywhere(plain, scratch)?;
        done.into_iter().collect()
    }

    fn put_everywhere(&self, plain: &Plain, scratch: &mut Scratch) -> Result<(Seen, Vec<Result<(), WalFault>>), WalFault> {
        let of = |error: &std::io::Error| WalFault::local(&plain.path, error);
        let read_ns = now_ns();
        let about = std::fs::metadata(&plain.path).map_err(|error| of(&error))?;
        let identity = Identity::of(&about);
        let known = Stamp {
            system_identifier: self.cluster,
            file: plain.file,
            size: identity.size,
            content: [0; 32],
            written: plain.written.or_else(|| about.modified().ok()?.try_into().ok()).unwrap_or(Instant::UNIX_EPOCH),
            body: [0; 32],
        };
        let open: Vec<usize> = (0..self.down.len()).filter(|at| self.down[*at].get().is_none()).collect();
        let all_have_it = open.iter().all(|at| self.there[*at].contains_key(&plain.file));
        let in_one_piece = identity.size <= IN_ONE_PIECE;
        let mut packed = None;
        let content = if in_one_piece && !all_have_it && !open.is_empty() {
            let (stamp, object) = self.pack(plain, &known, scratch)?;
            packed = Some(object);
            stamp.content
        } else {
            hash(&plain.path).map_err(|error| of(&error))?
        };
        // Before anything is put: an object has its name for ever.
        if Identity::of(&std::fs::metadata(&plain.path).map_err(|error| of(&error))?) != identity {
            let message = format!("`{}` was changed while it was read", plain.path.display());
            return Err(WalFault::new(WalFaultKind::Local, message, "PostgreSQL does not change finished files: find out who does."));
        }
        let known = Stamp { content, ..known };
        let done = (0..self.down.len()).map(|at| self.put_at(at, plain, &known, packed.as_ref())).collect();
        // Unless a store still has it, the buffer comes back without being copied.
        if let Some(object) = packed.filter(Bytes::is_unique) {
            scratch.object = object.into();
        }
        Ok((Seen { identity, read_ns, content }, done))
    }

    fn put_at(&self, at: usize, plain: &Plain, known: &Stamp, packed: Option<&Bytes>) -> Result<(), WalFault> {
        if let Some(fault) = self.down[at].get() {
            return Err(fault.clone());
        }
        let place = self.settings.destinations[at].place.as_ref().map_err(WalFault::clone)?;
        let done = match (self.there[at].get(&plain.file), packed) {
            (Some((key, size)), _) => self.is_same(place, (key, *size), known),
            (None, Some(object)) => self.put_new(place, object, known),
            (None, None) => large::put(self, place, plain, known),
        };
        let done = done.and_then(|()| still_mounted(place));
        if let Err(fault) = &done
            && fault.may_pass()
        {
            // The others would wait for the same store in vain; the next call asks again.
            let _ = self.down[at].set(fault.clone());
        }
        done
    }

    fn put_new(&self, place: &Place, object: &Bytes, known: &Stamp) -> Result<(), WalFault> {
        let key = self.settings.key(&place.repository, self.cluster, known.file);
        match place.store.put_new(&key, object.clone())? {
            Put::Created => Ok(()),
            Put::Exists => self.same_as_there(place, &key, known),
        }
    }

    /// Something has the name: the same again, or a conflict.
    pub(super) fn same_as_there(&self, place: &Place, key: &Key, known: &Stamp) -> Result<(), WalFault> {
        let meta = place.store.head(key)?.ok_or_else(|| {
            let message = format!("{key} in {} was there and is gone", place.store.url());
            WalFault::new(WalFaultKind::Store, message, "Something deletes objects there; it is tried again.")
        })?;
        self.is_same(place, (key, meta.size), known)
    }

    fn is_same(&self, place: &Place, found: (&Key, u64), known: &Stamp) -> Result<(), WalFault> {
        must_be_same(place, found, &self.settings.writers, (self.cluster, known.file), &known.content)?;
        // Whoever put it may have died before its name was durable.
        Ok(place.store.settle(found.0)?)
    }

    /// The whole object in memory: what is compressed comes to at most the file and a little.
    fn pack(&self, plain: &Plain, known: &Stamp, scratch: &mut Scratch) -> Result<(Stamp, Bytes), WalFault> {
        let of = |error: &std::io::Error| WalFault::local(&plain.path, error);
        let mut file = File::open(&plain.path).map_err(|error| of(&error))?;
        let (settings, mut object) = (&self.settings, std::mem::take(&mut scratch.object));
        object.clear();
        let lock = settings.lock(plain.file);
        let mut packer = Packer::new(settings.codec(), lock, &settings.signing, known, &mut scratch.frame, &mut object)?;
        let mut size = 0;
        loop {
            scratch.plain.clear();
            let got = (&mut file).take(FRAME as u64).read_to_end(&mut scratch.plain).map_err(|error| of(&error))?;
            if got == 0 {
                break;
            }
            size += got as u64;
            packer.push(&scratch.plain, &mut object)?;
        }
        let (stamp, beginning) = packer.finish(Stamp { size, ..known.clone() }, &mut object)?;
        object[..beginning.len()].copy_from_slice(&beginning);
        Ok((stamp, object.into()))
    }

    fn summary(&self, failed: &[(usize, WalFault)]) -> WalFault {
        let (_, first) = &failed[0];
        let named = |(at, fault): &(usize, WalFault)| format!("store `{}`: {}", self.settings.destinations[*at].name, fault.message);
        // What can only be mended by people is what must be heard of.
        let worst = failed.iter().map(|(_, fault)| fault).find(|fault| !fault.may_pass()).unwrap_or(first);
        let message = failed.iter().map(named).collect::<Vec<_>>().join("; ");
        WalFault::new(worst.kind, message, worst.hint.clone())
    }
}

/// A disk that was unmounted a moment ago leaves its mount point, and what was put there is not in the store. A bucket does not do that.
pub(super) fn still_mounted(place: &Place) -> Result<(), WalFault> {
    if place.store.url().starts_with("file:") { still_there(&place.store, &place.repository) } else { Ok(()) }
}

fn list(place: &Place, cluster: SystemIdentifier, files: &[WalFile]) -> Result<BTreeMap<WalFile, (Key, u64)>, WalFault> {
    let mut folders: Vec<String> = files.iter().map(|file| folder(place, cluster, *file)).collect();
    folders.sort();
    folders.dedup();
    let mut there = BTreeMap::new();
    for folder in folders {
        place.store.list_each(&folder, &mut |meta| {
            if let Some((file, ..)) = layout::wal_file(&meta.key)
                && files.contains(&file)
            {
                there.insert(file, (meta.key, meta.size));
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(there)
}
