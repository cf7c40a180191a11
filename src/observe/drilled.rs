//! How drills went, as it is written beside the backups: what hosts with another record, or none, have proven.
//!
//! A record that is believed is evidence, so it must be signed as a backup's descriptor must be. What is not believed is named, and counts for nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Eyes, signer_beside, width};
use crate::format::layout::{Repository, compact, signature_of};
use crate::format::seal::Identities;
use crate::format::signature::DRILL;
use crate::inventory::{DrillOutcome, DrillRecord};
use crate::site::{Site, SiteFault};
use crate::store::{Fault, FaultKind, Meta, Store};
use crate::units::{BackupId, Instant, Key, Name};
use crate::world::parallel;

/// As much as the catalog takes of one.
const MAX_BYTES: usize = 1 << 20;
/// So many of a store are read at one look, the newest first: what is older is read at the next ones.
const AT_ONCE: usize = 200;
/// A store that does not answer soon is asked again at the next look.
const PATIENCE: Duration = Duration::from_secs(20);
/// Clocks may differ by so much.
const AGREES: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);

/// What is written beside the backups, as far as it was not known.
#[derive(Debug, Default)]
pub struct DrillsFound {
    /// Each once, the oldest first.
    pub records: Vec<DrillRecord>,
    /// What is not believed, and never will be by this policy.
    pub rejected: Vec<NotCounted>,
    /// What was dated by a clock that is ahead of this host's, or cannot be read now.
    pub ahead: Vec<NotCounted>,
    /// Stores that could not be asked, and why.
    pub unseen: Vec<(Name, SiteFault)>,
}

/// A record that counts for nothing.
#[derive(Debug)]
pub struct NotCounted {
    pub store: Name,
    pub key: Key,
    pub why: String,
}

impl NotCounted {
    /// What lies elsewhere under the same name may be another one.
    pub fn place(&self) -> String {
        place(&self.store, &self.key)
    }
}

fn place(store: &Name, key: &Key) -> String {
    format!("{store}:{key}")
}

/// What is known of before the stores are asked.
#[derive(Debug, Clone, Copy)]
pub struct KnownDrills<'k> {
    /// By their ids.
    pub drills: &'k BTreeSet<String>,
    /// What was looked at, and not believed, by [`NotCounted::place`].
    pub rejected: &'k BTreeSet<String>,
    /// Stores that do not answer, as somebody has just seen: nobody waits for them again.
    pub silent: &'k BTreeSet<Name>,
    /// Drills that began earlier are let lie.
    pub since: Instant,
}

/// Those that lie in the stores of the policy and are not known. One listing of each store, and only what is new is read.
pub fn drills(site: &Site<'_>, known: KnownDrills<'_>, now: Instant) -> Result<DrillsFound, SiteFault> {
    let writers = site.writers()?;
    let identities = Identities::default();
    // Whoever can write into the store could say what he likes.
    if writers.is_empty() {
        return Ok(DrillsFound::default());
    }
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
    let names: Vec<&Name> = site.policy.stores.keys().filter(|name| !known.silent.contains(*name)).collect();
    let seen = parallel::map_with(names.len().clamp(1, 8), &names, &|name| -> Result<DrillsFound, SiteFault> {
        let store = site.store_with_patience(name, PATIENCE)?;
        let Some(found) = site.find_repository(&store)? else { return Ok(DrillsFound::default()) };
        Ok(of_store((*name, &store), &found.repository, &eyes, known)?)
    });
    let mut all = DrillsFound::default();
    let mut twice = BTreeSet::new();
    for (name, seen) in names.into_iter().zip(seen) {
        match seen {
            Ok(seen) => {
                // The same record lies in every store that has a copy of the backup.
                all.records.extend(seen.records.into_iter().filter(|record| twice.insert(record.id.clone())));
                all.rejected.extend(seen.rejected);
                all.ahead.extend(seen.ahead);
            }
            Err(fault) => all.unseen.push((name.clone(), fault)),
        }
    }
    all.records.sort_by(|one, other| (one.ended, &one.id).cmp(&(other.ended, &other.id)));
    Ok(all)
}

fn of_store(
    (name, store): (&Name, &Store),
    repository: &Repository,
    eyes: &Eyes<'_>,
    known: KnownDrills<'_>,
) -> Result<DrillsFound, Fault> {
    let listed = store.list(&repository.prefix("drills"))?;
    let signed: BTreeSet<&str> = listed.iter().map(|meta| meta.key.as_str()).filter(|key| key.ends_with(".sig")).collect();
    let since = compact(known.since);
    let new = |meta: &&Meta| {
        let id = drill_id(&meta.key);
        id.is_some_and(|id| id.as_str() >= since.as_str() && !known.drills.contains(id.as_str()))
            && !known.rejected.contains(&place(name, &meta.key))
    };
    // What is dated by a clock that is far ahead hides nothing of now, and what lies in an archive class no other record.
    let latest = eyes.now.checked_add(AGREES).map_or_else(|_| compact(eyes.now), compact);
    let is_now =
        |meta: &&Meta| !meta.frozen && drill_id(&meta.key).is_some_and(|id| id.as_str().get(..latest.len()) <= Some(latest.as_str()));
    let mut new: Vec<&Meta> = listed.iter().filter(new).filter(is_now).collect();
    new.sort_by_key(|meta| std::cmp::Reverse(drill_id(&meta.key)));
    new.truncate(AT_ONCE);
    let read = parallel::map_with(width(store), &new, &|meta: &&Meta| {
        let is_signed = signed.contains(signature_of(&meta.key).as_str());
        read(store, repository, &meta.key, is_signed, eyes)
    });
    let mut found = DrillsFound::default();
    let not_counted = |meta: &Meta, why: String| NotCounted { store: name.clone(), key: meta.key.clone(), why };
    for (meta, read) in new.into_iter().zip(read) {
        let read = match read {
            Err(fault) if matches!(fault.kind, FaultKind::Transient | FaultKind::NoStore) => return Err(fault),
            // One that cannot be read hides no other; the next look tries it again.
            Err(fault) => {
                found.ahead.push(not_counted(meta, fault.message));
                continue;
            }
            Ok(read) => read,
        };
        match read {
            None => {}
            Some(Ok(record)) if is_ahead(&record, eyes.now) => {
                let why = format!("it ended at {}, by a clock that is ahead of this host's", crate::plan::minute(record.ended));
                found.ahead.push(not_counted(meta, why));
            }
            Some(Ok(record)) => found.records.push(record),
            Some(Err(why)) => found.rejected.push(not_counted(meta, why)),
        }
    }
    Ok(found)
}

/// `drills/<backup>/<drill>.json`; none of a signature.
fn drill_id(key: &Key) -> Option<BackupId> {
    key.file_name().strip_suffix(".json")?.parse().ok()
}

/// It would be the newest one for ever.
fn is_ahead(record: &DrillRecord, now: Instant) -> bool {
    now.checked_add(AGREES).is_ok_and(|latest| record.ended > latest)
}

/// One of them, or why it is not believed; none where it went with its backup meanwhile.
fn read(
    store: &Store,
    repository: &Repository,
    key: &Key,
    is_signed: bool,
    eyes: &Eyes<'_>,
) -> Result<Option<Result<DrillRecord, String>>, Fault> {
    let json = match store.get(key, MAX_BYTES) {
        Ok(json) => json,
        Err(fault) if fault.is_absent() => return Ok(None),
        Err(fault) if fault.kind == FaultKind::Damaged => return Ok(Some(Err(fault.message))),
        Err(fault) => return Err(fault),
    };
    if let Err(why) = signer_beside(store, key, is_signed, DRILL, &json, eyes.writers)? {
        return Ok(Some(Err(why)));
    }
    Ok(Some(match serde_json::from_slice::<DrillRecord>(&json) {
        Ok(record) => contradiction(&record, repository, key, eyes.policy).map_or(Ok(record), Err),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }))
}

/// Beside the backup that it restored; one that failed before it had any lies beside some backup.
fn is_its_place(record: &DrillRecord, repository: &Repository, key: &Key) -> bool {
    let backup = match &record.restored {
        Some(restored) => Some(restored.backup.clone()),
        None if record.outcome == DrillOutcome::Failed => key.as_str().rsplit('/').nth(1).and_then(|folder| folder.parse().ok()),
        None => None,
    };
    backup.is_some_and(|backup| repository.drill(&backup, &record.id) == *key)
}

/// Signed, and still not what it should be.
fn contradiction(record: &DrillRecord, repository: &Repository, key: &Key, policy: &str) -> Option<String> {
    if record.format_version > DrillRecord::FORMAT_VERSION {
        Some("a newer seawall wrote it".into())
    } else if !is_its_place(record, repository, key) {
        Some(format!("it is the record of drill {} under another name", record.id))
    } else if record.policy.as_str() != policy {
        Some(format!("it belongs to the policy `{}`", record.policy))
    } else if record.ended < record.started {
        Some("it ends before it begins".into())
    } else {
        None
    }
}
