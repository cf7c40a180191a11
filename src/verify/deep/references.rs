//! What an increment of files has in earlier backups must lie there as it says. What these bytes are is proved where they lie.

use std::collections::{HashMap, HashSet};
use std::io::BufReader;

use super::super::Ground;
use super::super::backup::unread;
use super::super::report::FaultKind;
use crate::format::descriptor::{Descriptor, Object, ObjectKind};
use crate::format::index::{BadIndex, Elsewhere, Frames, Piece};
use crate::observe::{Read, find_descriptor, read_descriptor};
use crate::pipeline::{PipelineFault, open_object};
use crate::plan::words::counted;
use crate::store::Fault;
use crate::units::{BackupId, Key};

/// Where bytes lie and which they are, sixteen bytes of a hash over all of it: a million files fit into memory.
type Stretches = HashSet<u128>;

pub(in crate::verify) fn look(ground: &Ground<'_>, descriptor: &Descriptor) {
    let mut wanted: HashMap<BackupId, Stretches> = HashMap::new();
    for index in descriptor.objects_of(ObjectKind::Index) {
        let each = &mut |piece: &Piece, _: &Elsewhere| {
            if let Some(lies) = &piece.lies {
                wanted.entry(lies.backup.clone()).or_default().insert(stretch(piece, lies));
            }
        };
        pieces(ground, descriptor, index, each);
    }
    let place = ground.repository.descriptor(descriptor.stopped, &descriptor.id);
    let fault = |kind, what: &str| ground.found.fault(kind, &place, what, Some(&descriptor.id));
    let mut next = descriptor.parent.clone();
    let mut seen = HashSet::from([descriptor.id.clone()]);
    while let Some(id) = next.take().filter(|id| seen.insert(id.clone())) {
        let link = match believed(ground, &id) {
            Ok(Some(link)) => link,
            // That its chain is broken is told where chains are looked at.
            Ok(None) => break,
            Err(error) => return fault(FaultKind::Unread, &error.message),
        };
        if let Some(mut wanted) = wanted.remove(&id) {
            for index in link.objects_of(ObjectKind::Index) {
                pieces(ground, &link, index, &mut |piece, lies| {
                    wanted.remove(&stretch(piece, lies));
                });
            }
            if !wanted.is_empty() {
                let what = counted(wanted.len(), "stretch");
                fault(FaultKind::Damaged, &format!("its files have {what} in backup {id} that are not there"));
            }
        }
        next.clone_from(&link.parent);
    }
    for id in wanted.into_keys() {
        fault(FaultKind::Damaged, &format!("its files have bytes in backup {id}, on which it does not build, or which is not there"));
    }
}

fn believed(ground: &Ground<'_>, id: &BackupId) -> Result<Option<Descriptor>, Fault> {
    let Some((key, is_signed)) = find_descriptor(ground.store, ground.repository, id)? else { return Ok(None) };
    match read_descriptor(ground.store, ground.repository, &key, is_signed, ground.policy, ground.writers)? {
        Read::Good(descriptor, _) => Ok(Some(*descriptor)),
        Read::Rejected(_) | Read::Newer(_) | Read::Gone => Ok(None),
    }
}

/// Every piece of an index that has bytes, with the frame of this backup that it is in.
fn pieces(ground: &Ground<'_>, of: &Descriptor, index: &Object, each: &mut dyn FnMut(&Piece, &Elsewhere)) {
    let key = ground.repository.data(&of.id, &index.name);
    if let Err(fault) = try_pieces(ground, of, index, &key, each) {
        unread(ground, &key, &fault, Some(&of.id));
    }
}

fn try_pieces(
    ground: &Ground<'_>,
    of: &Descriptor,
    index: &Object,
    key: &Key,
    each: &mut dyn FnMut(&Piece, &Elsewhere),
) -> Result<(), PipelineFault> {
    let number = index.name.strip_prefix("part-").and_then(|name| name.split('.').next()?.parse().ok()).unwrap_or_default();
    for frame in Frames::new(BufReader::new(open_object(ground.store, key, index.size, ground.identities)?)) {
        let frame = frame.map_err(|error| match error {
            BadIndex::Read(error) => PipelineFault::of_stream(key.as_str(), &error),
            line @ BadIndex::Line { .. } => PipelineFault::Damaged { key: key.to_string(), what: line.to_string() },
        })?;
        let own = Elsewhere { backup: of.id.clone(), part: number, at: frame.at, len: frame.len, raw: frame.raw };
        frame.pieces.iter().filter(|piece| piece.len > 0).for_each(|piece| each(piece, &own));
    }
    Ok(())
}

fn stretch(piece: &Piece, lies: &Elsewhere) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&lies.at.to_le_bytes());
    for number in [lies.part, lies.len, lies.raw, piece.skip, piece.len] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&piece.hash.map_or([0; 32], |hash| hash.0));
    u128::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}
