use std::collections::HashSet;
use std::ops::ControlFlow;

use super::{Eyes, Rejected, width};
use crate::format::descriptor::{BadDescriptor, Descriptor, MAX_BYTES};
use crate::format::layout::{Repository, descriptor_id, signature_of};
use crate::format::seal::Identities;
use crate::format::signature::{BACKUP, Writers};
use crate::inventory::{Backup, BackupKind, SystemIdentifier};
use crate::store::{Fault, FaultKind, Meta, Store};
use crate::units::{BackupId, Key, SegmentSize};
use crate::world::parallel;

/// A signature is some three hundred bytes.
const MAX_SIGNATURE: usize = 16 << 10;

/// What a list shows of a backup beside what the inventory has of it. The whole descriptor may be large: it is read again by those
/// who need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: BackupId,
    pub key: Key,
    /// Who signed it, by the policy's name for the host; none where the policy names nobody.
    pub signer: Option<String>,
    pub host: String,
    /// `server_version_num`.
    pub version: u32,
    pub system_identifier: SystemIdentifier,
    pub segment_size: SegmentSize,
    pub files: u64,
    pub objects: usize,
    /// Pages with wrong checksums.
    pub damaged_pages: u64,
}

/// What came of reading one descriptor.
#[derive(Debug)]
pub enum Read {
    /// It is what it should be; and who signed it.
    Good(Box<Descriptor>, Option<String>),
    /// It is not counted, and why.
    Rejected(String),
    /// A newer seawall wrote it.
    Newer(String),
    /// It was deleted since it was listed.
    Gone,
}

/// All descriptors of a repository.
#[derive(Debug, Default)]
pub(super) struct ReadAll {
    pub backups: Vec<Backup>,
    pub listed: Vec<Listed>,
    pub rejected: Vec<Rejected>,
    pub newer: Option<Key>,
    /// What the store did not give, although it gave others.
    pub unread: Vec<(Key, Fault)>,
    /// Of every backup that has a descriptor, believed or not.
    pub ids: HashSet<String>,
    /// Bytes of the backups, and of what was listed.
    pub stored_bytes: u64,
}

/// `openers`: what opens what the backups have; without any, that is not known.
pub(super) fn read_all(store: &Store, repository: &Repository, eyes: &Eyes<'_>, openers: &Identities) -> Result<ReadAll, Fault> {
    let all = store.list(&repository.prefix("backups"))?;
    let mut found = ReadAll { stored_bytes: all.iter().map(|meta| meta.size).sum(), ..ReadAll::default() };
    let signatures: HashSet<&str> = all.iter().map(|meta| meta.key.as_str()).filter(|key| key.ends_with(".sig")).collect();
    let is_signed = |key: &Key| signatures.contains(signature_of(key).as_str());
    let (descriptors, strangers): (Vec<&Meta>, Vec<&Meta>) =
        all.iter().filter(|meta| !meta.key.as_str().ends_with(".json.sig")).partition(|meta| descriptor_id(&meta.key).is_some());
    for stranger in strangers {
        found.rejected.push(Rejected { key: stranger.key.clone(), why: "it is neither a descriptor nor a signature".into() });
    }
    // What one read gives is kept short at once: a fleet's history has ten thousand of them.
    let read = parallel::map_with(width(store), &descriptors, &|meta: &&Meta| {
        let read = read_descriptor(store, repository, &meta.key, is_signed(&meta.key), eyes.policy, eyes.writers)?;
        Ok::<_, Fault>(match read {
            Read::Good(descriptor, signer) => Ok(short(&meta.key, &descriptor, signer, openers)),
            other => Err(other),
        })
    });
    let all = descriptors.len();
    for (meta, read) in descriptors.into_iter().zip(read) {
        let id = descriptor_id(&meta.key).map(|id| id.to_string()).unwrap_or_default();
        let twice = !found.ids.insert(id);
        match read {
            Err(fault) if is_of_all(&fault) => return Err(fault),
            Err(fault) => found.unread.push((meta.key.clone(), fault)),
            Ok(_) if twice => {
                found.rejected.push(Rejected { key: meta.key.clone(), why: "there is another descriptor for this backup".into() });
            }
            Ok(Ok((backup, listed))) => {
                found.stored_bytes += backup.stored_size.map_or(0, |size| size.bytes().get());
                found.backups.push(backup);
                found.listed.push(listed);
            }
            Ok(Err(Read::Rejected(why))) => found.rejected.push(Rejected { key: meta.key.clone(), why }),
            Ok(Err(Read::Newer(why))) => {
                found.newer = Some(meta.key.clone());
                found.rejected.push(Rejected { key: meta.key.clone(), why });
            }
            // Expired since it was listed; unless the store goes on listing what it has lost.
            Ok(Err(Read::Gone)) if is_listed(store, &meta.key)? => {
                let fault = Fault::new(FaultKind::Damaged, format!("the store lists {}, and does not give it", meta.key), "");
                found.unread.push((meta.key.clone(), fault));
            }
            Ok(Err(Read::Gone | Read::Good(..))) => {}
        }
    }
    // Where none of them can be read, it is the store that cannot be.
    if found.unread.len() == all
        && let Some((_, fault)) = found.unread.pop()
    {
        return Err(fault);
    }
    Ok(found)
}

/// Now, by a list: a store may have lost what its index still names.
pub fn is_listed(store: &Store, key: &Key) -> Result<bool, Fault> {
    let folder = key.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = false;
    store.list_each(folder, &mut |meta| {
        found = meta.key == *key;
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The store itself cannot be asked now: that says nothing of this one descriptor.
fn is_of_all(fault: &Fault) -> bool {
    fault.is_transient() || matches!(fault.kind, FaultKind::NoStore | FaultKind::Config)
}

fn short(key: &Key, descriptor: &Descriptor, signer: Option<String>, openers: &Identities) -> (Backup, Listed) {
    let listed = Listed {
        id: descriptor.id.clone(),
        key: key.clone(),
        signer,
        host: descriptor.by.host.clone(),
        version: descriptor.cluster.version,
        system_identifier: descriptor.cluster.system_identifier,
        segment_size: SegmentSize::new(descriptor.cluster.wal_segment_size).expect("checked when it was read"),
        files: descriptor.files,
        objects: descriptor.objects.len(),
        damaged_pages: descriptor.damage.pages,
    };
    (descriptor.to_opened_backup(openers), listed)
}

/// Reads one descriptor, and believes it only when all about it agrees.
pub fn read_descriptor(
    store: &Store,
    repository: &Repository,
    key: &Key,
    is_signed: bool,
    policy: &str,
    writers: &Writers,
) -> Result<Read, Fault> {
    let json = match store.get(key, MAX_BYTES) {
        Ok(json) => json,
        Err(fault) if fault.is_absent() => return Ok(Read::Gone),
        Err(fault) if fault.kind == FaultKind::Damaged => return Ok(Read::Rejected(fault.message)),
        Err(fault) => return Err(fault),
    };
    let signer = match signer_beside(store, key, is_signed, BACKUP, &json, writers)? {
        Ok(signer) => signer,
        Err(why) => return Ok(Read::Rejected(why)),
    };
    let descriptor = match Descriptor::from_json(&json) {
        Ok(descriptor) => descriptor,
        Err(newer @ BadDescriptor::Newer(_)) => return Ok(Read::Newer(newer.to_string())),
        Err(bad) => return Ok(Read::Rejected(bad.to_string())),
    };
    match contradiction(&descriptor, repository, key, policy) {
        Some(why) => Ok(Read::Rejected(why)),
        None => Ok(Read::Good(Box::new(descriptor), signer)),
    }
}

/// Who signed it, by the policy's name for the host.
/// Who signed an object with the signature beside it, by the policy's name for the host (none where the policy names nobody); or why it is
/// not believed.
pub fn signer_beside(
    store: &Store,
    key: &Key,
    is_signed: bool,
    namespace: &str,
    json: &[u8],
    writers: &Writers,
) -> Result<Result<Option<String>, String>, Fault> {
    let armored = if is_signed { get_signature(store, key)? } else { None };
    Ok(match (armored, writers.is_empty()) {
        (None, true) => Ok(None),
        (None, false) => Err("it is not signed".into()),
        (Some(armored), true) => Writers::check_whole_armored(namespace, json, &armored).map(|_| None).map_err(|error| error.to_string()),
        (Some(armored), false) => {
            writers.check_armored(namespace, json, &armored).map(|name| Some(name.to_owned())).map_err(|error| error.to_string())
        }
    })
}

fn get_signature(store: &Store, key: &Key) -> Result<Option<String>, Fault> {
    match store.get(&signature_of(key), MAX_SIGNATURE) {
        // What is not text is no signature, and says so when it is checked.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(fault) if fault.is_absent() => Ok(None),
        Err(fault) if fault.kind == FaultKind::Damaged => Ok(Some(String::new())),
        Err(fault) => Err(fault),
    }
}

/// Signed, and still not what it should be: a descriptor under another's name, of another policy, or one that contradicts itself.
fn contradiction(descriptor: &Descriptor, repository: &Repository, key: &Key, policy: &str) -> Option<String> {
    let position = descriptor.position;
    let builds_on = match descriptor.kind {
        BackupKind::Incremental => descriptor.parent.is_some(),
        BackupKind::Files => true,
        _ => descriptor.parent.is_none(),
    };
    if repository.descriptor(descriptor.stopped, &descriptor.id) != *key {
        Some(format!("it is the descriptor of {} under another name", descriptor.id))
    } else if descriptor.by.policy != policy {
        Some(format!("it belongs to the policy `{}`", crate::units::clipped(&descriptor.by.policy)))
    } else if descriptor.stopped < descriptor.started || position.stop < position.start {
        Some("it ends before it begins".into())
    } else if !builds_on || descriptor.parent.as_ref() == Some(&descriptor.id) {
        Some("its kind and its parent do not agree".into())
    } else if SegmentSize::new(descriptor.cluster.wal_segment_size).is_none() {
        Some(format!("no cluster has segments of {} bytes", descriptor.cluster.wal_segment_size))
    } else {
        None
    }
}

/// The descriptor's name and whether it is signed, for a backup's id.
pub fn find_descriptor(store: &Store, repository: &Repository, id: &BackupId) -> Result<Option<(Key, bool)>, Fault> {
    let all = store.list(&repository.prefix("backups"))?;
    let Some(meta) = all.iter().find(|meta| descriptor_id(&meta.key).as_ref() == Some(id)) else { return Ok(None) };
    let signature = signature_of(&meta.key);
    Ok(Some((meta.key.clone(), all.iter().any(|meta| meta.key == signature))))
}
