//! Whether another host has already taken the backup that is owed. The store knows; this host's record may not.

use std::time::Duration;

use crate::format::descriptor::Descriptor;
use crate::format::layout::{compact, descriptor_id, signature_of};
use crate::observe::{Read, read_descriptor};
use crate::site::{Site, SiteFault};
use crate::units::{BackupId, Instant, Name};
use crate::world::clock;

/// A store that does not answer soon will be asked again by the backup itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// Clocks may differ by so much.
const AGREES: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);

/// A backup that another host took, or this one before its record was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    pub id: BackupId,
    pub host: String,
    pub started: Instant,
    pub stopped: Instant,
}

/// The job's newest backup that began at this moment or later.
pub(super) fn newest_since(site: &Site<'_>, job: &Name, since: Instant) -> Result<Option<Other>, SiteFault> {
    let Some(name) = site.policy.store_of(job) else { return Ok(None) };
    let store = site.store_with_patience(name, PATIENCE)?;
    let Some(found) = site.find_repository(&store)? else { return Ok(None) };
    let writers = site.writers()?;
    let keys: Vec<_> = store.list(&found.repository.prefix("backups"))?.into_iter().map(|meta| meta.key).collect();
    // They are named by the moment at which they ended, so those that matter are the last ones.
    let first = compact(since);
    let mut late: Vec<_> = keys.iter().filter(|key| descriptor_id(key).is_some() && key.file_name() >= first.as_str()).collect();
    late.sort();
    let latest = clock::now().checked_add(AGREES).unwrap_or(Instant::MAX);
    for key in late.into_iter().rev() {
        let signed = keys.contains(&signature_of(key));
        let read = read_descriptor(&store, &found.repository, key, signed, site.policy.name.as_str(), &writers)?;
        if let Read::Good(descriptor, _) = read
            && descriptor.job == *job
            && descriptor.started >= since
            // One that lacks files is kept, and is no answer: the run that took it has failed.
            && descriptor.damage.unread == 0
            // One from the future was dated by a clock that was wrong, and answers nothing.
            && descriptor.started <= latest
        {
            return Ok(Some(other(&descriptor)));
        }
    }
    Ok(None)
}

fn other(descriptor: &Descriptor) -> Other {
    Other { id: descriptor.id.clone(), host: descriptor.by.host.clone(), started: descriptor.started, stopped: descriptor.stopped }
}
