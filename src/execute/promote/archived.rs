//! What the stores have of the log: how far it goes beyond this standby, and whether somebody else was promoted already.

use std::ops::ControlFlow;

use super::record::Archived;
use super::server::Seen;
use crate::execute::restore::candidates;
use crate::format::layout::wal_file;
use crate::observe::accept_stamp;
use crate::site::Site;
use crate::store::Meta;
use crate::units::{Instant, Key, Lsn, Name, Segment, Timeline, WalFile};
use crate::wal::{Place, read_stamp};
use crate::world::parallel;

/// What one store has.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontier {
    /// The last archived segment of the standby's timeline.
    pub last: Option<(Segment, Instant)>,
    /// Timelines of servers that were promoted before this one.
    pub ahead: Vec<Timeline>,
    /// Timelines that left before where this standby is, and before its last transaction: old branches, if the clocks are right.
    pub passed_by: Vec<Timeline>,
}

/// Asks every store that gets the log, or only this one.
pub fn look(site: &Site<'_>, seen: &Seen, only: Option<&Name>) -> Vec<(Name, Result<Frontier, String>)> {
    let names: Vec<Name> = if site.policy.wal.is_some() { candidates(site.policy, only) } else { Vec::new() };
    let of_log = |name: &Name| site.policy.wal.as_ref().is_some_and(|wal| wal.store == *name || wal.copies.contains(name));
    let names: Vec<Name> = names.into_iter().filter(of_log).collect();
    let found = parallel::map_with(names.len().clamp(1, 8), &names, &|name| frontier(site, name, seen));
    names.into_iter().zip(found).collect()
}

/// The same for people and programs.
pub fn archived(found: &[(Name, Result<Frontier, String>)], seen: &Seen) -> Vec<Archived> {
    let each = found.iter().map(|(store, found)| match found {
        Ok(frontier) => Archived {
            store: store.clone(),
            to: frontier.last.map(|(segment, _)| segment.end(seen.segment_size)),
            written: frontier.last.map(|(_, written)| written),
            unknown: None,
        },
        Err(why) => Archived { store: store.clone(), to: None, written: None, unknown: Some(why.clone()) },
    });
    each.collect()
}

/// The last archived segment of all stores.
pub fn newest(found: &[(Name, Result<Frontier, String>)]) -> Option<Segment> {
    found.iter().filter_map(|(_, found)| found.as_ref().ok()?.last).map(|(segment, _)| segment).max()
}

fn frontier(site: &Site<'_>, name: &Name, seen: &Seen) -> Result<Frontier, String> {
    let store = site.store(name).map_err(|fault| fault.message)?;
    let found = site.find_repository(&store).map_err(|fault| fault.message)?;
    let repository = found.ok_or_else(|| format!("{} holds nothing of this policy", store.url()))?.repository;
    site.keep_in_mind(name, &repository);
    let place = Place { store, repository };
    let here = seen.replayed.unwrap_or_default();
    let last = last(site, &place, seen, here)?;
    let (ahead, passed_by) = newer(&place, seen, here)?;
    Ok(Frontier { last, ahead, passed_by })
}

/// From the folder of the log where the standby is, or the one before it: what is older is known to be replayed.
fn last(site: &Site<'_>, place: &Place, seen: &Seen, here: Lsn) -> Result<Option<(Segment, Instant)>, String> {
    let at = Segment::of(seen.timeline, here, seen.segment_size);
    let before = Segment::of(seen.timeline, Lsn(here.0.saturating_sub(1 << 32)), seen.segment_size);
    let timeline = place.repository.timeline_prefix(seen.cluster, seen.timeline);
    let mut last: Option<(Segment, Meta)> = None;
    for from in [at, before] {
        let after = Key::new(place.repository.log_prefix(seen.cluster, from)).map_err(|error| error.to_string())?;
        let mut each = |meta: Meta| {
            if let Some((WalFile::Segment(segment), ..)) = wal_file(&meta.key)
                && last.as_ref().is_none_or(|(newest, _)| *newest < segment)
            {
                last = Some((segment, meta));
            }
            ControlFlow::Continue(())
        };
        place.store.list_after(&timeline, Some(&after), &mut each).map_err(|fault| fault.message)?;
        if last.is_some() {
            break;
        }
    }
    let Some((segment, meta)) = last else { return Ok(None) };
    let writers = site.writers().map_err(|fault| fault.message)?;
    let (signed, _) = read_stamp(place, &meta.key, meta.size).map_err(|fault| fault.message)?;
    accept_stamp(&signed, seen.cluster, WalFile::Segment(segment), Some(seen.segment_size), &writers)
        .map_err(|why| format!("{} is not believed: {why}", meta.key))?;
    Ok(Some((segment, signed.stamp.written)))
}

/// Timelines with a higher number. One that left before this standby's position and before its last transaction is a branch that it has passed
/// by. One that left since then is a rival, also where this standby has more of the log than that one had: PostgreSQL would promote it.
fn newer(place: &Place, seen: &Seen, here: Lsn) -> Result<(Vec<Timeline>, Vec<Timeline>), String> {
    let mut newer = Vec::new();
    let history = format!("{}/history", place.repository.wal_prefix(seen.cluster));
    let each = &mut |meta: Meta| {
        if let Some((WalFile::History(timeline), ..)) = wal_file(&meta.key)
            && timeline > seen.timeline
        {
            newer.push((timeline, meta.modified));
        }
        ControlFlow::Continue(())
    };
    place.store.list_each(&history, each).map_err(|fault| fault.message)?;
    let at = Segment::of(seen.timeline, here, seen.segment_size).number(seen.segment_size);
    let (mut ahead, mut passed_by) = (Vec::new(), Vec::new());
    for (timeline, made) in newer {
        let mut first = None;
        let each = &mut |meta: Meta| match wal_file(&meta.key) {
            Some((WalFile::Segment(segment), ..)) => {
                first = Some(segment.number(seen.segment_size));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        place.store.list_each(&place.repository.timeline_prefix(seen.cluster, timeline), each).map_err(|fault| fault.message)?;
        let is_old = first.is_some_and(|first| first < at) && seen.last_commit.is_some_and(|last| made < last);
        if is_old { passed_by.push(timeline) } else { ahead.push(timeline) }
    }
    Ok((ahead, passed_by))
}
