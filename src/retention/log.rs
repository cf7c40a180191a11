//! What of the write-ahead log stays, asked segment by segment: a store may hold a hundred thousand of them, and as many backups.

use std::collections::{BTreeMap, BTreeSet};

use super::wal::{WalEnd, WalNeeded, WalReason};
use crate::inventory::{SystemIdentifier, WalRange};
use crate::units::{Lsn, Timeline};

/// All needs of one store's log, ordered for look-ups.
#[derive(Debug, Clone)]
pub struct LogNeeds {
    everything: Option<WalReason>,
    clusters: BTreeMap<Option<SystemIdentifier>, Stretches>,
    /// Clusters that have no base yet and were written to within the window: their first backup may be on its way.
    without_base: BTreeSet<Option<SystemIdentifier>>,
}

/// What stays of one cluster.
#[derive(Debug, Clone, Default)]
struct Stretches {
    /// The rest of these timelines from there on, and every later timeline whole.
    open: Vec<(Timeline, Lsn)>,
    /// Disjoint and in order. A position may have been written on a timeline or on those it came from, so both stay.
    closed: BTreeMap<Timeline, Vec<(Lsn, Lsn)>>,
}

impl LogNeeds {
    /// All that any of these wants. `ranges` is the log that is there.
    pub fn of(needed: &[WalNeeded], ranges: &[WalRange]) -> LogNeeds {
        let mut all = LogNeeds { everything: None, clusters: BTreeMap::new(), without_base: BTreeSet::new() };
        for needed in needed {
            let (needs, window_from) = match needed {
                WalNeeded::Everything(reason) => {
                    all.everything.get_or_insert_with(|| reason.clone());
                    continue;
                }
                WalNeeded::Ranges { needs, window_from } => (needs, window_from),
            };
            for need in needs {
                let cluster = all.clusters.entry(need.system_identifier).or_default();
                match need.to {
                    WalEnd::Newest => cluster.open.push((need.timeline, need.from)),
                    // A stretch of no length is still the segment it lies in.
                    WalEnd::At(to) => {
                        let to = to.max(Lsn(need.from.0.saturating_add(1)));
                        cluster.closed.entry(need.timeline).or_default().push((need.from, to));
                    }
                }
            }
            let Some(from) = window_from else { continue };
            let has_base = |cluster| needs.iter().any(|need| need.is_of_window() && need.system_identifier == cluster);
            let waiting = ranges.iter().filter(|range| range.to_time >= *from && !has_base(range.system_identifier));
            all.without_base.extend(waiting.map(|range| range.system_identifier));
        }
        for stretches in all.clusters.values_mut() {
            stretches.closed.values_mut().for_each(|closed| *closed = merged(std::mem::take(closed)));
        }
        all
    }

    /// Why nothing may go, when nothing may.
    pub fn everything(&self) -> Option<&WalReason> {
        self.everything.as_ref()
    }

    /// Whether any of this stretch of one timeline has to stay.
    pub fn needs(&self, cluster: SystemIdentifier, timeline: Timeline, from: Lsn, to: Lsn) -> bool {
        let known = [Some(cluster), None];
        self.everything.is_some()
            || known.iter().any(|of| self.without_base.contains(of))
            || known.iter().filter_map(|of| self.clusters.get(of)).any(|stretches| stretches.need(timeline, from, to))
    }
}

impl Stretches {
    fn need(&self, timeline: Timeline, from: Lsn, to: Lsn) -> bool {
        let open = |(of, since): &(Timeline, Lsn)| timeline > *of || (timeline == *of && to > *since);
        // A timeline's number is larger than those of all it came from.
        self.open.iter().any(open) || self.closed.range(timeline..).any(|(_, closed)| overlaps(closed, from, to))
    }
}

fn overlaps(closed: &[(Lsn, Lsn)], from: Lsn, to: Lsn) -> bool {
    let first = closed.partition_point(|(_, end)| *end <= from);
    closed.get(first).is_some_and(|(start, _)| *start < to)
}

fn merged(mut all: Vec<(Lsn, Lsn)>) -> Vec<(Lsn, Lsn)> {
    all.sort_unstable();
    let mut merged: Vec<(Lsn, Lsn)> = Vec::with_capacity(all.len());
    for (from, to) in all {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wal::WalNeed;
    use super::*;
    use crate::units::Instant;

    fn timeline(number: u32) -> Timeline {
        number.to_string().parse().expect("a timeline")
    }

    fn need(of: u32, from: u64, to: Option<u64>) -> WalNeed {
        let id = "a".parse().expect("an id");
        let reason = match to {
            Some(_) => WalReason::Backup(id),
            None => WalReason::Window { base: id, from: Instant::UNIX_EPOCH },
        };
        let to = to.map_or(WalEnd::Newest, |to| WalEnd::At(Lsn(to)));
        WalNeed { system_identifier: Some(SystemIdentifier(7)), timeline: timeline(of), from: Lsn(from), to, reason }
    }

    fn range(of: u32, from: u64, to: u64) -> WalRange {
        let at = Instant::UNIX_EPOCH;
        let (from_lsn, to_lsn) = (Lsn(from), Lsn(to));
        WalRange { system_identifier: Some(SystemIdentifier(7)), timeline: timeline(of), from_lsn, to_lsn, from_time: at, to_time: at }
    }

    #[test]
    fn what_a_backup_needs_stays_on_its_timeline_and_on_those_before() {
        let needed = WalNeeded::Ranges { needs: vec![need(2, 20, Some(30))], window_from: None };
        let needs = LogNeeds::of(&[needed], &[]);
        let asked = |of, from, to| needs.needs(SystemIdentifier(7), timeline(of), Lsn(from), Lsn(to));
        assert!(asked(2, 16, 24) && asked(1, 24, 32) && asked(2, 29, 30));
        assert!(!asked(2, 0, 20) && !asked(2, 30, 40) && !asked(3, 16, 24));
        assert!(!needs.needs(SystemIdentifier(8), timeline(2), Lsn(16), Lsn(24)));
    }

    #[test]
    fn a_cluster_without_a_base_keeps_what_the_window_reaches() {
        let of_another = WalNeed { system_identifier: Some(SystemIdentifier(8)), ..need(1, 0, None) };
        let needed = |from| WalNeeded::Ranges { needs: vec![of_another.clone()], window_from: Some(from) };
        let asked = |needs: &LogNeeds| needs.needs(SystemIdentifier(7), timeline(1), Lsn(0), Lsn(8));
        assert!(asked(&LogNeeds::of(&[needed(Instant::UNIX_EPOCH)], &[range(1, 0, 64)])));
        assert!(!asked(&LogNeeds::of(&[needed(Instant::MAX)], &[range(1, 0, 64)])));
        assert!(asked(&LogNeeds::of(&[WalNeeded::Everything(WalReason::NoBase), needed(Instant::MAX)], &[])));
    }

    proptest! {
        /// Never less than what the inventory's ranges are asked.
        #[test]
        fn whatever_a_range_needs_a_segment_does(
            needs in prop::collection::vec((1u32..4, 0u64..60, prop::option::of(0u64..20)), 0..8), of in 1u32..4, from in 0u64..60,
        ) {
            let needs: Vec<WalNeed> = needs.into_iter().map(|(of, from, long)| need(of, from, long.map(|long| from + long))).collect();
            let needed = WalNeeded::Ranges { needs: needs.clone(), window_from: None };
            let segment = range(of, from, from + 8);
            let looked_up = LogNeeds::of(std::slice::from_ref(&needed), &[]).needs(SystemIdentifier(7), timeline(of), Lsn(from), Lsn(from + 8));
            let on_later = (of..4).any(|later| needed.needs(&range(later, from, from + 8)));
            prop_assert!(looked_up || !needed.needs(&segment));
            prop_assert!(!looked_up || on_later, "more than any timeline needs");
        }
    }
}
