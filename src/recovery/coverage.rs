use std::collections::BTreeMap;

use crate::inventory::{SystemIdentifier, WalRange};
use crate::units::{Instant, Lsn, Timeline};

/// The write-ahead log of one cluster in one store, in order, ready to be asked how far it goes without a gap.
#[derive(Debug)]
pub(super) struct Coverage {
    runs: BTreeMap<Timeline, Vec<Run>>,
    /// When the first of what is there was written.
    began: BTreeMap<Timeline, Instant>,
}

/// Ranges that join without a gap.
#[derive(Debug)]
pub(super) struct Run {
    pub from: Lsn,
    pub to: Lsn,
    /// Where each range ends, and up to which moment the log is whole there. Both grow.
    marks: Vec<(Lsn, Instant)>,
}

impl Coverage {
    pub(super) fn of(ranges: &[WalRange], cluster: Option<SystemIdentifier>) -> Self {
        let same = |range: &&WalRange| cluster.is_none() || range.system_identifier.is_none() || range.system_identifier == cluster;
        let mut sorted: Vec<&WalRange> = ranges.iter().filter(same).collect();
        sorted.sort_by_key(|range| (range.timeline, range.from_lsn, range.to_lsn));
        let mut runs: BTreeMap<Timeline, Vec<Run>> = BTreeMap::new();
        let mut began = BTreeMap::new();
        for range in sorted {
            let first = began.entry(range.timeline).or_insert(range.from_time);
            *first = range.from_time.min(*first);
            let of_timeline = runs.entry(range.timeline).or_default();
            match of_timeline.last_mut() {
                Some(run) if range.from_lsn <= run.to => run.extend(range),
                _ => of_timeline.push(Run { from: range.from_lsn, to: range.to_lsn, marks: vec![(range.to_lsn, range.to_time)] }),
            }
        }
        Coverage { runs, began }
    }

    /// The run that holds this position.
    pub(super) fn run_at(&self, timeline: Timeline, lsn: Lsn) -> Option<&Run> {
        let runs = self.runs.get(&timeline)?;
        let at = runs.partition_point(|run| run.from <= lsn).checked_sub(1)?;
        runs.get(at).filter(|run| lsn < run.to)
    }

    /// Where the next run after this position begins.
    pub(super) fn next_after(&self, timeline: Timeline, lsn: Lsn) -> Option<Lsn> {
        let runs = self.runs.get(&timeline)?;
        runs.get(runs.partition_point(|run| run.from <= lsn)).map(|run| run.from)
    }

    pub(super) fn began(&self, timeline: Timeline) -> Option<Instant> {
        self.began.get(&timeline).copied()
    }

    /// Up to which moment each timeline was written.
    pub(super) fn ends(&self) -> impl Iterator<Item = (Timeline, Instant)> {
        self.runs.iter().filter_map(|(timeline, runs)| Some((*timeline, runs.iter().map(Run::end_time).max()?)))
    }

    /// Where the log of a timeline ends, and up to which moment that was written.
    pub(super) fn end(&self, timeline: Timeline) -> Option<(Lsn, Instant)> {
        let last = self.runs.get(&timeline)?.last()?;
        Some((last.to, last.end_time()))
    }

    pub(super) fn newest_timeline(&self) -> Option<Timeline> {
        self.runs.keys().next_back().copied()
    }
}

impl Run {
    fn extend(&mut self, range: &WalRange) {
        if range.to_lsn > self.to {
            let whole_until = self.end_time().max(range.to_time);
            self.to = range.to_lsn;
            self.marks.push((range.to_lsn, whole_until));
        }
    }

    pub(super) fn end_time(&self) -> Instant {
        self.marks.last().map_or(Instant::MIN, |mark| mark.1)
    }

    /// The first known position at which the log is whole up to this moment.
    pub(super) fn position_of(&self, moment: Instant) -> Option<Lsn> {
        self.marks.get(self.marks.partition_point(|mark| mark.1 < moment)).map(|mark| mark.0)
    }

    /// Up to which moment the log is surely whole at this position.
    pub(super) fn time_at(&self, lsn: Lsn) -> Option<Instant> {
        self.marks.partition_point(|mark| mark.0 <= lsn).checked_sub(1).and_then(|at| self.marks.get(at)).map(|mark| mark.1)
    }
}
