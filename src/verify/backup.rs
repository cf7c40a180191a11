//! One backup's objects against its descriptor.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::deep::{self, Deep};
use super::report::FaultKind;
use super::{Ground, archive, wal};
use crate::format::archived::Extent;
use crate::format::descriptor::{Descriptor, Object};
use crate::format::layout::signature_of;
use crate::format::signature::is_spelled_as_written;
use crate::observe::{Listed, Names, Read, read_descriptor};
use crate::pipeline::{PipelineFault, hash_object};
use crate::plan::words::counted;
use crate::store::{Fault, Meta, Thaw};
use crate::units::{BackupId, Key};

/// Something that one thread does alone.
#[derive(Debug)]
pub(super) enum Work {
    /// Read a descriptor, and compare the list of its objects with what lies there.
    Backup(Arc<Listed>),
    /// Hash one object.
    Object {
        of: Arc<Descriptor>,
        number: usize,
    },
    /// Open one object and look at all that is in it.
    Open {
        of: Arc<Deep>,
        number: usize,
    },
    /// Look whether what an increment of files has in others lies there.
    References {
        of: Arc<Descriptor>,
    },
    /// List a folder of the log.
    WalFolder(String),
    Wal(Meta),
    /// Read an extent's descriptor, and look whether its objects are there.
    Extent {
        id: BackupId,
        names: Arc<Names>,
    },
    /// Hash one object of an extent.
    Rows {
        of: Arc<Extent>,
        number: usize,
    },
}

pub(super) fn step(ground: &Ground<'_>, work: Work, more: &mut Vec<Work>) {
    match work {
        Work::Backup(listed) => backup(ground, &listed, more),
        Work::Object { of, number } => object(ground, &of, &of.objects[number]),
        Work::Open { of, number } => deep::open(ground, &of, number),
        Work::References { of } => deep::references(ground, &of),
        Work::WalFolder(prefix) => wal::folder(ground, &prefix, more),
        Work::Wal(meta) => wal::object(ground, &meta),
        Work::Extent { id, names } => archive::extent(ground, &id, &names, more),
        Work::Rows { of, number } => archive::object(ground, &of, number),
    }
}

fn backup(ground: &Ground<'_>, listed: &Listed, more: &mut Vec<Work>) {
    let (found, id) = (ground.found, &listed.id);
    let read = read_descriptor(ground.store, ground.repository, &listed.key, true, ground.policy, ground.writers);
    let descriptor = match read {
        Ok(Read::Good(descriptor, _)) => *descriptor,
        Ok(Read::Rejected(why) | Read::Newer(why)) => return found.fault(FaultKind::Rejected, &listed.key, &why, Some(id)),
        Ok(Read::Gone) => return found.note(format!("backup {id} was deleted while the store was checked")),
        Err(fault) => return found.fault(FaultKind::Unread, &listed.key, &fault.message, Some(id)),
    };
    signature(ground, listed);
    let frozen = match objects(ground, &descriptor) {
        Ok(frozen) => frozen,
        Err(fault) => {
            return found.fault(FaultKind::Unread, ground.repository.prefix(&format!("data/{id}")), &fault.message, Some(id));
        }
    };
    if !frozen.is_empty() {
        let count = counted(frozen.len(), "object");
        found.unchecked(format!("what is in {count} of backup {id}: they lie in an archive class, and only their sizes were checked"));
    }
    if !descriptor.damage.is_none() {
        let what = match descriptor.damage.unread {
            0 => format!("{} had wrong checksums in the database when it was taken", counted(descriptor.damage.pages, "page")),
            unread => format!("{} could not be read when it was taken", counted(unread, "file")),
        };
        found.fault(FaultKind::Damaged, &listed.key, &what, Some(id));
    }
    let descriptor = Arc::new(descriptor);
    let readable = (0..descriptor.objects.len()).filter(|number| !frozen.contains(number));
    more.extend(readable.map(|number| Work::Object { of: descriptor.clone(), number }));
    // What is inside is judged as a whole or not at all.
    if ground.wanted.deep && frozen.is_empty() {
        more.extend(deep::begin(ground, &descriptor));
    }
}

/// That it belongs to the descriptor was checked with it; here, that each of its bytes is as it was written.
fn signature(ground: &Ground<'_>, listed: &Listed) {
    let key = signature_of(&listed.key);
    let fault = |kind, what: &str| ground.found.fault(kind, &key, what, Some(&listed.id));
    match ground.store.get(&key, 64 << 10) {
        Ok(bytes) if std::str::from_utf8(&bytes).is_ok_and(is_spelled_as_written) => ground.found.object(bytes.len() as u64, false),
        Ok(_) => fault(FaultKind::Damaged, "it is not spelled as it was written"),
        Err(error) if error.is_absent() => fault(FaultKind::Missing, "the descriptor's signature is not there"),
        Err(error) => fault(FaultKind::Unread, &error.message),
    }
}

/// Which objects lie there, and how large. Gives those that cannot be read before they are requested.
fn objects(ground: &Ground<'_>, descriptor: &Descriptor) -> Result<HashSet<usize>, Fault> {
    let id = &descriptor.id;
    let there = ground.store.list(&ground.repository.prefix(&format!("data/{id}")))?;
    let mut there: HashMap<&Key, &Meta> = there.iter().map(|meta| (&meta.key, meta)).collect();
    let mut frozen = HashSet::new();
    for (number, object) in descriptor.objects.iter().enumerate() {
        let key = ground.repository.data(id, &object.name);
        match there.remove(&key) {
            None => ground.found.fault(FaultKind::Missing, &key, "it is not there", Some(id)),
            Some(meta) if meta.size != object.size => {
                let what = format!("it has {} bytes instead of {}", meta.size, object.size);
                ground.found.fault(FaultKind::Damaged, &key, &what, Some(id));
            }
            // Some of them were thawed for somebody and can be read.
            Some(meta) if meta.frozen && ground.store.thaw_state(&key)? != Some(Thaw::Readable) => drop(frozen.insert(number)),
            Some(_) => {}
        }
    }
    for key in there.into_keys() {
        ground.found.fault(FaultKind::Extra, key, "the backup's descriptor does not know it", Some(id));
    }
    Ok(frozen)
}

fn object(ground: &Ground<'_>, descriptor: &Descriptor, object: &Object) {
    let key = ground.repository.data(&descriptor.id, &object.name);
    let id = Some(&descriptor.id);
    match sha256(ground, &key, object.size) {
        Ok(sum) if sum == object.sha256 => ground.found.object(object.size, false),
        Ok(sum) => ground.found.fault(FaultKind::Damaged, &key, &format!("its SHA-256 is {sum} instead of {}", object.sha256), id),
        Err(fault) => unread(ground, &key, &fault, id),
    }
    ground.progress.object();
}

/// What kept an object from being read to its end.
pub(super) fn unread(ground: &Ground<'_>, key: &Key, fault: &PipelineFault, id: Option<&BackupId>) {
    use crate::store::FaultKind as Why;
    let (kind, what) = match fault {
        PipelineFault::Store(fault) if fault.is_absent() => (FaultKind::Missing, "it is not there".to_owned()),
        PipelineFault::Store(fault) if fault.kind == Why::Damaged => (FaultKind::Damaged, fault.message.clone()),
        PipelineFault::Store(fault) => (FaultKind::Unread, fault.message.clone()),
        PipelineFault::Sealed { error: crate::format::seal::SealError::NoKey, .. } => {
            return ground.found.fault(FaultKind::Unread, key, "none of the identities opens it", id);
        }
        PipelineFault::Sealed { error, .. } => (FaultKind::Damaged, error.to_string()),
        PipelineFault::Damaged { what, .. } => (FaultKind::Damaged, what.clone()),
        other => (FaultKind::Unread, other.to_string()),
    };
    ground.found.fault(kind, key, &what, id);
}

pub(super) fn sha256(ground: &Ground<'_>, key: &Key, size: u64) -> Result<String, PipelineFault> {
    hash_object(ground.store, key, size, &mut |got| {
        ground.progress.read(got);
        true
    })
}
