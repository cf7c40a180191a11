use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{Backup, Fork, History, StoreInventory, SystemIdentifier, WalRange, goes_on_beside};
use crate::units::{Instant, Timeline};

/// The timelines of each cluster on which life may go on, as far as the stores tell. After a recovery to an earlier moment the newest backup by
/// the clock lies on a branch that leads nowhere: what counts is what leads to one of these.
#[derive(Debug, Clone, Default)]
pub struct Timelines {
    lines: BTreeMap<Option<SystemIdentifier>, Vec<Line>>,
}

/// One of them, with all that it came through.
#[derive(Debug, Clone)]
pub struct Line {
    pub timeline: Timeline,
    history: History,
    /// Where this one came from is not known, and older ones were seen.
    pub unknown_origin: Option<Timeline>,
    /// No other was ever seen.
    is_alone: bool,
    /// When it was last heard of.
    heard: Instant,
}

/// Whether a backup can be rolled forward to a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    Surely,
    /// Its position, or where a timeline left an older one, is not known.
    Perhaps,
    Nowhere,
}

/// A timeline of which nothing but its history has come may be lived on all the same, for so long after the fork.
const SILENT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// When something was first and last heard of a timeline; nothing where only a history names it.
type Heard = Option<(Instant, Instant)>;

impl Timelines {
    /// By all stores that were seen: where timelines parted may be known in another one than the backups lie in.
    pub fn of(stores: &[&StoreInventory]) -> Timelines {
        let backups = || stores.iter().flat_map(|store| &store.backups).filter(|backup| backup.kind.is_physical());
        let clusters: BTreeSet<Option<SystemIdentifier>> = backups().map(|backup| backup.system_identifier).collect();
        let of_cluster = |cluster: Option<SystemIdentifier>| {
            let is_of = |other: Option<SystemIdentifier>| cluster.is_none() || other.is_none() || other == cluster;
            let forks: Vec<Fork> =
                stores.iter().flat_map(|store| &store.forks).filter(|fork| is_of(fork.system_identifier)).cloned().collect();
            let ranges = stores.iter().flat_map(|store| &store.wal).filter(|range| is_of(range.system_identifier));
            let own = backups().filter(|backup| backup.system_identifier == cluster);
            (cluster, lines(&heard(own, ranges, &forks), agreed(forks)))
        };
        Timelines { lines: clusters.into_iter().map(of_cluster).collect() }
    }

    /// Those of a cluster of which something was heard since then, and the one that was heard of last. None where nothing tells timelines
    /// apart: then there is one order, that of time.
    pub fn lines(&self, cluster: Option<SystemIdentifier>, since: Instant) -> impl Iterator<Item = &Line> {
        let all = self.lines.get(&cluster).map(Vec::as_slice).unwrap_or_default();
        let last = all.iter().map(|line| line.heard).max();
        all.iter().filter(move |line| line.heard >= since || Some(line.heard) == last)
    }
}

impl Line {
    pub fn leads_here(&self, backup: &Backup) -> Leads {
        if self.is_alone || !backup.kind.is_physical() {
            return Leads::Surely;
        }
        let (Some(timeline), Some(stop)) = (backup.timeline, backup.stop_lsn) else { return Leads::Perhaps };
        if self.history.contains(timeline, stop) {
            return Leads::Surely;
        }
        match self.unknown_origin {
            Some(oldest) if timeline < oldest => Leads::Perhaps,
            _ => Leads::Nowhere,
        }
    }
}

fn heard<'s>(
    backups: impl Iterator<Item = &'s Backup>,
    ranges: impl Iterator<Item = &'s WalRange>,
    forks: &[Fork],
) -> BTreeMap<Timeline, Heard> {
    let mut all: BTreeMap<Timeline, Heard> = BTreeMap::new();
    for timeline in forks.iter().flat_map(|fork| [fork.parent, fork.timeline]) {
        all.insert(timeline, None);
    }
    let of_backups = backups.filter_map(|backup| Some((backup.timeline?, backup.started, backup.moment())));
    for (timeline, from, to) in of_backups.chain(ranges.map(|range| (range.timeline, range.from_time, range.to_time))) {
        let known = all.entry(timeline).or_default();
        *known = Some(known.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
    }
    all
}

/// Of timelines about which histories contradict each other nothing is known.
fn agreed(mut forks: Vec<Fork>) -> Vec<Fork> {
    // One store may know when, and another only where.
    forks.sort_by_key(|fork| fork.at_time.is_none());
    let is_agreed = |fork: &Fork| {
        let mut same = forks.iter().filter(|other| other.timeline == fork.timeline);
        same.all(|other| (other.parent, other.at_lsn) == (fork.parent, fork.at_lsn))
    };
    forks.iter().filter(|fork| is_agreed(fork)).cloned().collect()
}

/// A timeline is over when a newer one has begun and it was not written to beside that one. The newest never is.
fn lines(heard: &BTreeMap<Timeline, Heard>, forks: Vec<Fork>) -> Vec<Line> {
    let (newest, is_alone) = (heard.keys().next_back().copied(), heard.len() == 1);
    let is_over = |timeline: Timeline, known: Heard| {
        let began_later = || heard.range(timeline..).filter(|(later, _)| **later > timeline);
        match known {
            None => Some(timeline) != newest,
            Some((_, last)) => began_later().any(|(_, later)| later.is_some_and(|(began, _)| !goes_on_beside(began, last))),
        }
    };
    let alive = heard.iter().filter(|(timeline, known)| !is_over(**timeline, **known));
    alive
        .map(|(timeline, known)| {
            let history = History::of(*timeline, &forks, None);
            let oldest = history.oldest().unwrap_or(*timeline);
            let unknown_origin = heard.iter().any(|(older, known)| *older < oldest && known.is_some()).then_some(oldest);
            let silent = || history.last_fork().and_then(|(_, at)| at?.checked_add(SILENT).ok());
            let heard = known.map(|(_, last)| last).or_else(silent).unwrap_or(Instant::MIN);
            Line { timeline: *timeline, history, unknown_origin, is_alone, heard }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Observed;
    use crate::units::Lsn;

    fn store(json: serde_json::Value) -> StoreInventory {
        serde_json::from_value(json).expect("a store")
    }

    fn at(day: u32) -> String {
        format!("2026-11-{day:02}T12:00:00Z")
    }

    fn backup(id: &str, day: u32, timeline: u32, lsn: u64) -> serde_json::Value {
        serde_json::json!({
            "id": id, "job": "nightly", "kind": "full", "state": "complete", "started": at(day), "stopped": at(day),
            "system_identifier": "7", "timeline": timeline, "start_lsn": Lsn(lsn).to_string(), "stop_lsn": Lsn(lsn + 10).to_string(),
        })
    }

    fn log(timeline: u32, days: (u32, u32)) -> serde_json::Value {
        serde_json::json!({
            "system_identifier": "7", "timeline": timeline, "from_lsn": "0/1", "to_lsn": "0/FFFF",
            "from_time": at(days.0), "to_time": at(days.1),
        })
    }

    fn fork(timeline: u32, parent: u32, lsn: u64) -> serde_json::Value {
        serde_json::json!({ "system_identifier": "7", "timeline": timeline, "parent": parent, "at_lsn": Lsn(lsn).to_string() })
    }

    /// The timelines that are lived on, each with the backups that lead there; those that may are in brackets.
    fn seen(store: &StoreInventory) -> Vec<String> {
        let timelines = Timelines::of(&[store]);
        let led = |line: &Line| {
            let ids = store.backups.iter().filter_map(|backup| match line.leads_here(backup) {
                Leads::Surely => Some(format!(" {}", backup.id)),
                Leads::Perhaps => Some(format!(" ({})", backup.id)),
                Leads::Nowhere => None,
            });
            format!("{}:{}", line.timeline, ids.collect::<String>())
        };
        timelines.lines(Some(SystemIdentifier(7)), Instant::MIN).map(led).collect()
    }

    fn of(backups: &[serde_json::Value], log: &[serde_json::Value], forks: &[serde_json::Value]) -> StoreInventory {
        let used = Observed::<crate::inventory::Size>::unknown("not asked");
        store(serde_json::json!({ "backups": backups, "wal": log, "forks": forks, "used": used }))
    }

    #[test]
    fn what_was_left_behind_leads_nowhere() {
        let (early, late) = (backup("early", 2, 1, 100), backup("late", 3, 1, 200));
        let forked = of(&[early.clone(), late.clone()], &[log(1, (1, 4)), log(2, (4, 5))], &[fork(2, 1, 150)]);
        assert_eq!(seen(&forked), ["2: early"]);
        // It goes on beside the copy that was promoted.
        let rival = of(&[early.clone(), late.clone()], &[log(1, (1, 9)), log(2, (4, 5))], &[fork(2, 1, 150)]);
        assert_eq!(seen(&rival), ["1: early late", "2: early"]);
        // Nothing but the history has come yet, so nobody knows whether the old one is over.
        let begun = of(&[early.clone(), late.clone()], &[log(1, (1, 4))], &[fork(2, 1, 150)]);
        assert_eq!(seen(&begun), ["1: early late", "2: early"]);
        let unknown = of(&[early, late, backup("new", 6, 2, 210)], &[], &[]);
        assert_eq!(seen(&unknown), ["2: (early) (late) new"]);
    }

    #[test]
    fn a_history_is_followed_over_several_forks() {
        let backups =
            [backup("a", 2, 1, 100), backup("b", 3, 1, 200), backup("c", 5, 2, 220), backup("d", 7, 3, 240), backup("e", 7, 4, 180)];
        let log = [log(1, (1, 3)), log(2, (4, 5)), log(3, (6, 9)), log(4, (8, 9))];
        let chain = of(&backups, &log, &[fork(2, 1, 215), fork(3, 2, 235), fork(4, 1, 150)]);
        assert_eq!(seen(&chain), ["3: a b c d", "4: a e"]);
        // Two histories of one timeline: which is right nobody knows.
        let torn = of(&backups, &log, &[fork(2, 1, 215), fork(3, 2, 235), fork(3, 1, 235), fork(4, 1, 150)]);
        assert_eq!(seen(&torn), ["3: (a) (b) (c) d", "4: a e"]);
    }

    #[test]
    fn a_cluster_that_came_here_on_a_later_timeline_has_no_unknown_origin() {
        assert_eq!(seen(&of(&[backup("a", 2, 3, 100)], &[log(3, (1, 9))], &[])), ["3: a"]);
    }

    #[test]
    fn what_has_been_silent_for_long_is_passed_over() {
        let store = of(&[backup("a", 2, 1, 100)], &[log(1, (1, 20)), log(2, (4, 5))], &[fork(2, 1, 150)]);
        let timelines = Timelines::of(&[&store]);
        let since = |day: u32| -> Vec<u32> {
            let lines = timelines.lines(Some(SystemIdentifier(7)), at(day).parse().expect("a moment"));
            lines.map(|line| line.timeline.0.get()).collect()
        };
        assert_eq!((since(5), since(6), since(30)), (vec![1, 2], vec![1], vec![1]));
    }
}
