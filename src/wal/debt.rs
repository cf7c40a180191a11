//! What the copies are owed, where the first store's word is enough: `<state>/<system-id>/owed/<store>/<file>`.
//!
//! PostgreSQL may have recycled the segment by the time the copy's store is back. So it is the first store's object that is copied, byte by
//! byte: its stamp and its signature stay what they are, and no key is needed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::existing::{find, must_be_same, still_there, trusted_stamp};
use super::fault::WalFaultKind;
use super::ship::{Run, still_mounted};
use super::{Place, WalFault, large};
use crate::inventory::SystemIdentifier;
use crate::store::{MAX_SINGLE_PUT, Put};
use crate::units::{Key, Name, Segment, Timeline, WalFile};
use crate::world::files;

/// A file that a copy's store is to get yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owed {
    pub store: String,
    pub file: WalFile,
    pub refused: Option<Refused>,
}

/// Why no waiting brings a file into a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Lower case, no full stop.
    pub why: String,
    /// How to mend it, as a sentence; may be empty.
    pub hint: String,
}

impl Refused {
    fn of(fault: &WalFault) -> Option<Refused> {
        fault.needs_somebody().then(|| Refused { why: fault.message.clone(), hint: fault.hint.clone() })
    }

    /// What its note says; empty where it only has to be waited for.
    fn note(refused: Option<&Refused>) -> String {
        let line = |text: &str| text.replace('\n', " ");
        refused.map_or_else(String::new, |refused| format!("{}\n{}\n", line(&refused.why), line(&refused.hint)))
    }

    fn read(note: &str) -> Option<Refused> {
        let (why, hint) = note.split_once('\n')?;
        Some(Refused { why: why.to_owned(), hint: hint.trim_end().to_owned() })
    }
}

const MAX_NOTE: usize = 64 << 10;

fn folder(state: &Path, cluster: SystemIdentifier) -> PathBuf {
    state.join(cluster.to_string()).join("owed")
}

/// Durable when it returns.
pub(super) fn owe(state: &Path, cluster: SystemIdentifier, store: &Name, file: WalFile, fault: &WalFault) -> Result<(), WalFault> {
    let folder = folder(state, cluster).join(store.as_str());
    let write = || -> io::Result<()> {
        files::make_folders(&folder)?;
        let mut note = files::open_or_make(&folder.join(file.to_string()), OpenOptions::new().write(true).truncate(true))?;
        // Its name is the debt. The reason is a comfort, for which a full disk has no room.
        let _ = note.write_all(Refused::note(Refused::of(fault).as_ref()).as_bytes());
        note.sync_all()?;
        // The names of new folders too, up to one that was there.
        for directory in folder.ancestors().take(4) {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| WalFault::local(&folder, &error))
}

/// What is owed, by store, in order.
pub(super) fn owed(state: &Path, cluster: SystemIdentifier) -> Vec<Owed> {
    let folder = folder(state, cluster);
    let mut all = Vec::new();
    for store in names(&folder) {
        for (file, name) in names(&folder.join(&store)).into_iter().filter_map(|name| Some((name.parse().ok()?, name))) {
            let note = files::read(&folder.join(&store).join(name), MAX_NOTE).unwrap_or_default();
            all.push(Owed { store: store.clone(), file, refused: Refused::read(&String::from_utf8_lossy(&note)) });
        }
    }
    all.sort_by_key(|owed| (owed.file.to_string(), owed.store.clone()));
    all
}

/// How many files each store refuses, of all clusters whose log was archived from here.
pub fn refused(state: &Path) -> BTreeMap<String, usize> {
    let mut refused = BTreeMap::new();
    for cluster in names(state).into_iter().filter_map(|name| name.parse().ok()) {
        for owed in owed(state, cluster).into_iter().filter(|owed| owed.refused.is_some()) {
            *refused.entry(owed.store).or_default() += 1;
        }
    }
    refused
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Pays as much as can be paid until `deadline`. What fails stays owed, and `wal status` shows it.
pub(super) fn pay(run: &Run, deadline: Instant) {
    let settings = &run.settings;
    let Some(Ok(main)) = settings.destinations.first().map(|main| &main.place) else { return };
    // What was away a moment ago is not waited for again.
    let is_down = |name: &Name| run.settings.destinations.iter().zip(&run.down).any(|(at, down)| at.name == *name && down.get().is_some());
    let mut down: Vec<String> =
        settings.destinations.iter().map(|at| &at.name).filter(|name| is_down(name)).map(ToString::to_string).collect();
    let mut oldest = Oldest::new();
    for Owed { store, file, refused } in owed(&settings.state, run.cluster) {
        if Instant::now() >= deadline {
            break;
        }
        let note = folder(&settings.state, run.cluster).join(&store).join(file.to_string());
        let paid = match settings.destinations.iter().find(|destination| destination.name.as_str() == store) {
            _ if down.contains(&store) => continue,
            // The policy does not want it there any more.
            None => Ok(()),
            Some(destination) => destination
                .place
                .clone()
                .and_then(|place| bring(run, main, &place, file, &mut oldest).and_then(|()| still_mounted(&place)))
                .map_err(|fault| if fault.kind == WalFaultKind::Absent { with_a_way_out(fault, &note) } else { fault }),
        };
        match paid {
            Ok(()) => _ = fs::remove_file(note),
            Err(fault) => {
                let now = Refused::of(&fault);
                if now.is_some() && now != refused {
                    let _ = files::replace(&note, Refused::note(now.as_ref()).as_bytes());
                }
                if fault.may_pass() {
                    down.push(store);
                }
            }
        }
    }
}

/// The first segment that the first store has of a timeline or, where it has none, of later ones.
type Oldest = BTreeMap<Timeline, Option<Segment>>;

/// Into the copy's store, if the first store has it still. What that has let go of belongs nowhere any more; what it has lost is a fault.
fn bring(run: &Run, from: &Place, to: &Place, file: WalFile, oldest: &mut Oldest) -> Result<(), WalFault> {
    if let Some(found) = find(from, run.cluster, file)? {
        return copy(run, (from, found), to, file);
    }
    // An unmounted disk has nothing either.
    still_there(&from.store, &from.repository)?;
    if find(to, run.cluster, file)?.is_some() || has_expired(run, from, file, oldest)? {
        return Ok(());
    }
    Err(WalFault::new(WalFaultKind::Absent, format!("{file} was lost in {} before it was copied", from.store.url()), ""))
}

fn with_a_way_out(fault: WalFault, note: &Path) -> WalFault {
    let hint = format!(
        "Recovery cannot pass it: take a new backup, and find out what deletes there. When it is not missed any more, remove `{}`.",
        note.display()
    );
    WalFault { hint, ..fault }
}

/// Expiry lets go of a timeline's log from its beginning: then all that is left is later. In the middle nothing is let go of.
fn has_expired(run: &Run, main: &Place, file: WalFile, oldest: &mut Oldest) -> Result<bool, WalFault> {
    let (WalFile::Segment(segment) | WalFile::Partial(segment) | WalFile::BackupLabel(segment, _)) = file else { return Ok(false) };
    let first = match oldest.get(&segment.timeline) {
        Some(known) => *known,
        None => {
            let first = first_from(run, main, segment.timeline)?;
            oldest.insert(segment.timeline, first);
            first
        }
    };
    Ok(first.is_some_and(|first| (first.log, first.part) > (segment.log, segment.part)))
}

fn first_from(run: &Run, main: &Place, timeline: Timeline) -> Result<Option<Segment>, WalFault> {
    let mut first = None;
    let before = Key::new(main.repository.timeline_prefix(run.cluster, timeline)).ok();
    main.store.list_after(&main.repository.wal_prefix(run.cluster), before.as_ref(), &mut |meta| match main
        .repository
        .wal_object(&meta.key)
    {
        Some((cluster, WalFile::Segment(segment))) if cluster == run.cluster => {
            first = Some(segment);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    Ok(first)
}

/// Copies one object from one store to another, and only if it is what its stamp says.
fn copy(run: &Run, (from, (key, size)): (&Place, (Key, u64)), to: &Place, file: WalFile) -> Result<(), WalFault> {
    let of = (run.cluster, file);
    let writers = &run.settings.writers;
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
