use jiff::SignedDuration;

use super::{Fork, SystemIdentifier};
use crate::units::{Instant, Lsn, Timeline};

/// One timeline and those it came from, the oldest first.
#[derive(Debug, Clone)]
pub struct History {
    stretches: Vec<Stretch>,
}

/// What of a timeline belongs to a history: up to the fork, or all of it.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    pub timeline: Timeline,
    /// Where the next timeline leaves it.
    pub until: Option<(Lsn, Option<Instant>)>,
}

impl History {
    pub fn of(timeline: Timeline, forks: &[Fork], cluster: Option<SystemIdentifier>) -> Self {
        let same = |fork: &&Fork| cluster.is_none() || fork.system_identifier.is_none() || fork.system_identifier == cluster;
        let mut stretches = vec![Stretch { timeline, until: None }];
        let mut at = timeline;
        // A parent is always older, so this ends.
        while let Some(fork) = forks.iter().filter(same).find(|fork| fork.timeline == at && fork.parent < at) {
            stretches.push(Stretch { timeline: fork.parent, until: Some((fork.at_lsn, fork.at_time)) });
            at = fork.parent;
        }
        stretches.reverse();
        History { stretches }
    }

    /// From this timeline on; empty when it is not part of the history.
    pub fn from(&self, timeline: Timeline) -> &[Stretch] {
        let at = self.stretches.iter().position(|stretch| stretch.timeline == timeline).unwrap_or(self.stretches.len());
        &self.stretches[at..]
    }

    /// The oldest timeline of it: where that one came from is not known, unless it is the cluster's first.
    pub fn oldest(&self) -> Option<Timeline> {
        self.stretches.first().map(|stretch| stretch.timeline)
    }

    /// Where the newest timeline left the one before it.
    pub fn last_fork(&self) -> Option<(Lsn, Option<Instant>)> {
        self.stretches.iter().rev().nth(1)?.until
    }

    /// Which timeline that was, and the place.
    pub fn last_left(&self) -> Option<(Timeline, Lsn)> {
        let before = self.stretches.iter().rev().nth(1)?;
        Some((before.timeline, before.until?.0))
    }

    /// Whether this position of this timeline came before the fork.
    pub fn contains(&self, timeline: Timeline, lsn: Lsn) -> bool {
        self.from(timeline).first().is_some_and(|stretch| stretch.until.is_none_or(|(until, _)| lsn <= until))
    }
}

/// How long a server may go on after another one took its place, until somebody stops it.
const TAKEOVER: SignedDuration = SignedDuration::from_secs(60);

/// Whether a server that wrote at `written` went on beside the one that was promoted then.
pub fn goes_on_beside(promoted: Instant, written: Instant) -> bool {
    written.duration_since(promoted) > TAKEOVER
}
