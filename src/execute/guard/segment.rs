//! The restore point's own record, as it lies in the store.
//!
//! That a segment of the right name is there says little: another server of the same history, a copy that nobody promoted, writes the same
//! names, and the one that was asked may be that copy.

use std::io::Read as _;

use super::GuardFault;
use super::bases::Place;
use crate::format::seal::SealError;
use crate::format::wal_records::restore_points;
use crate::observe::accept_stamp;
use crate::pipeline::{PipelineFault, open_object};
use crate::plan::guard::Primary;
use crate::site::{Site, SiteFault};
use crate::units::{Lsn, Name, Segment, WalFile};
use crate::wal::{self, WalFault, find, read_stamp};

/// The record of this name ends at this position. Where this host cannot open the log, its stamp is believed, and that is said.
pub(super) fn must_hold(
    site: &Site<'_>,
    place: &Place,
    primary: &Primary,
    (name, lsn): (&Name, Lsn),
) -> Result<Option<String>, GuardFault> {
    let last = Segment::before(primary.timeline, lsn, primary.segment);
    let start = last.start(primary.segment);
    // What begins in the segment before is a record only with that.
    let before = Segment::before(primary.timeline, start, primary.segment);
    let Some(log) = read(site, place, primary, last)? else { return Ok(Some(believed(place, last, name))) };
    if has(&log, start, name, lsn) {
        return Ok(None);
    }
    if lsn.0 - start.0 < u64::from(LONGEST)
        && let Some(mut both) = read(site, place, primary, before)?
    {
        both.extend(log);
        if has(&both, before.start(primary.segment), name, lsn) {
            return Ok(None);
        }
    }
    let message = format!("restore point `{name}` is not in segment {last} of {}: another server wrote that one", place.store.url());
    let hint = "Does `cluster.connection` lead to the server whose log is archived, and not to a copy of it that was never promoted? `--with backup` \
                would copy the one that it leads to.";
    Err(GuardFault::new(message, hint))
}

/// So far into a segment the record of a restore point reaches that began in the one before, with what the first page begins with.
const LONGEST: u32 = 256;

fn has(log: &[u8], start: Lsn, name: &Name, lsn: Lsn) -> bool {
    restore_points(log).iter().any(|point| point.name == name.as_str() && start.0 + point.end == lsn.0)
}

fn believed(place: &Place, segment: Segment, name: &Name) -> String {
    format!(
        "this host cannot open segment {segment} in {}, which is encrypted for the recovery identity alone: that restore point `{name}` is in it is \
         believed because its stamp says that it is this cluster's, and was written since the point was made",
        place.store.url()
    )
}

/// A whole segment, once it is known to be what its writer put. None where this host cannot open it.
fn read(site: &Site<'_>, place: &Place, primary: &Primary, segment: Segment) -> Result<Option<Vec<u8>>, GuardFault> {
    let unread = |fault: WalFault| GuardFault::new(fault.message, fault.hint);
    let at = wal::Place { store: place.store.clone(), repository: place.repository.clone() };
    let file = WalFile::Segment(segment);
    let gone = || GuardFault::new(format!("segment {segment} is not in {}", place.store.url()), "`seawall wal status` shows the gap.");
    let (key, size) = find(&at, primary.cluster, file).map_err(unread)?.ok_or_else(gone)?;
    let signed = read_stamp(&at, &key, size).map_err(unread)?.0;
    accept_stamp(&signed, primary.cluster, file, Some(primary.segment), &site.writers()?)
        .map_err(|why| GuardFault::new(format!("{key} in {} is not believed: {why}", place.store.url()), ""))?;
    let mut log = Vec::new();
    let opened = open_object(&place.store, &key, size, &site.identities(None)?).and_then(|reader| {
        let read = reader.take(primary.segment.bytes() + 1).read_to_end(&mut log);
        read.map_err(|error| PipelineFault::of_stream(key.as_str(), &error))
    });
    match opened {
        Err(PipelineFault::Sealed { error: SealError::NoKey, .. }) => return Ok(None),
        opened => opened.map_err(SiteFault::from)?,
    };
    if blake3::hash(&log).as_bytes() != &signed.stamp.content {
        let message = format!("what {key} in {} holds is not what its stamp says", place.store.url());
        return Err(GuardFault::new(message, "`seawall verify` says what else is damaged."));
    }
    Ok(Some(log))
}
