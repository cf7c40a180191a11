//! Archived rows: what their descriptors name is there, byte by byte, and with an identity the rows are those that were exported.

use std::sync::Arc;

use super::Ground;
use super::backup::{Work, sha256, unread};
use super::report::FaultKind;
use crate::format::archived::{Extent, Form};
use crate::observe::{Names, Shelf};
use crate::pipeline::read_rows;
use crate::plan::words::counted;
use crate::site::SiteFault;
use crate::store::Thaw;
use crate::units::{BackupId, Key};

/// All extents, to be looked at by whoever has time.
pub(super) fn extents(ground: &Ground<'_>) -> Result<Vec<Work>, SiteFault> {
    // Before the rest: what is let go meanwhile loses its mark last.
    let marks = ground.shelf().marks()?;
    let names = Arc::new(ground.shelf().names()?);
    let headless = names.headless();
    for id in headless.iter().filter_map(|id| id.parse::<BackupId>().ok()).filter(|id| !marks.contains_key(id)) {
        let key = ground.repository.extent(&id);
        if ground.store.head(&key)?.is_none() {
            ground.found.fault(FaultKind::Missing, &key, "it is not there, and only the archive has the rows of this extent", None);
        }
    }
    for left in names.left(ground.repository) {
        let of_headless = ground.shelf().inside(&left.key).is_some_and(|(id, _)| headless.contains(id));
        if !of_headless {
            ground.found.note(format!("{} is left of an export that was never completed", left.key));
        }
    }
    Ok(names.extents.iter().map(|id| Work::Extent { id: id.clone(), names: names.clone() }).collect())
}

impl Ground<'_> {
    fn shelf(&self) -> Shelf<'_> {
        Shelf { store: self.store, repository: self.repository, writers: self.writers }
    }
}

pub(super) fn extent(ground: &Ground<'_>, id: &BackupId, names: &Names, more: &mut Vec<Work>) {
    let (found, key) = (ground.found, ground.repository.extent(id));
    let extent = match ground.shelf().extent(id, names) {
        Ok(Ok((extent, _))) => extent,
        Ok(Err(why)) => return found.fault(FaultKind::Rejected, &key, &why, None),
        Err(fault) => return found.fault(FaultKind::Unread, &key, &fault.message, None),
    };
    for object in &extent.objects {
        let key = ground.repository.extent_data(id, &object.name);
        match names.objects.iter().find(|there| there.key == key) {
            None => found.fault(FaultKind::Missing, &key, "it is not there", None),
            Some(there) if there.size != object.size => {
                found.fault(FaultKind::Damaged, &key, &format!("it has {} bytes instead of {}", there.size, object.size), None);
            }
            Some(_) => {}
        }
    }
    let is_frozen = |number: &usize| {
        let key = ground.repository.extent_data(id, &extent.objects[*number].name);
        let asleep = names.objects.iter().any(|there| there.key == key && there.frozen);
        // Some of them were thawed for somebody and can be read.
        asleep && !matches!(ground.store.thaw_state(&key), Ok(Some(Thaw::Readable)))
    };
    let (frozen, readable): (Vec<usize>, Vec<usize>) = (0..extent.objects.len()).partition(is_frozen);
    if !frozen.is_empty() {
        let count = counted(frozen.len(), "object");
        found.unchecked(format!(
            "what is in {count} of the archived extent {id}: they lie in an archive class, and only their sizes were checked"
        ));
    }
    let extent = Arc::new(extent);
    more.extend(readable.into_iter().map(|number| Work::Rows { of: extent.clone(), number }));
}

pub(super) fn object(ground: &Ground<'_>, extent: &Extent, number: usize) {
    let object = &extent.objects[number];
    let key = ground.repository.extent_data(&extent.id, &object.name);
    match sha256(ground, &key, object.size) {
        Ok(sum) if sum == object.sha256 => ground.found.object(object.size, false),
        Ok(sum) => ground.found.fault(FaultKind::Damaged, &key, &format!("its SHA-256 is {sum} instead of {}", object.sha256), None),
        Err(fault) => unread(ground, &key, &fault, None),
    }
    ground.progress.object();
    if ground.wanted.deep && object.form == Form::Csv {
        rows(ground, extent, &key, object.size);
    }
}

/// Counted and summed, as they were when they left the table.
fn rows(ground: &Ground<'_>, extent: &Extent, key: &Key, size: u64) {
    let Ok(contents) = extent.contents(ground.identities) else {
        return ground.found.fault(FaultKind::Unread, key, "none of the identities opens it", None);
    };
    match read_rows(ground.store, key, size, ground.identities, &mut |_| Ok(true)) {
        Ok(rows) if rows.rows == extent.rows && rows.sum == contents.sum => {}
        Ok(rows) => {
            let what = format!("it has {} rows, and not the {} that were exported", rows.rows, extent.rows);
            ground.found.fault(FaultKind::Damaged, key, &what, None);
        }
        Err(fault) => unread(ground, key, &fault, None),
    }
}
