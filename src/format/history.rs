//! A timeline's history file, as PostgreSQL writes it: one line for each timeline that it came through.

use thiserror::Error;

use crate::inventory::{Fork, SystemIdentifier};
use crate::units::{Lsn, Timeline};

/// Where a history left one timeline for the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub timeline: Timeline,
    pub at: Lsn,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {0} of the timeline's history cannot be read")]
pub struct BadHistory(pub usize);

/// A history has a line for each recovery since the `initdb`.
pub const MAX_BYTES: usize = 1 << 20;

/// The timelines of a history file, the oldest first; the last one is the parent of the file's own.
pub fn parse(text: &str) -> Result<Vec<Left>, BadHistory> {
    let mut all: Vec<Left> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let left = words.next().and_then(|word| word.parse().ok()).zip(words.next().and_then(|word| word.parse().ok()));
        let Some((timeline, at)) = left.map(|(timeline, at): (Timeline, Lsn)| (timeline, at)) else {
            return Err(BadHistory(number + 1));
        };
        if all.last().is_some_and(|before| before.timeline >= timeline) {
            return Err(BadHistory(number + 1));
        }
        all.push(Left { timeline, at });
    }
    Ok(all)
}

/// The same in the inventory's words: every fork on the way to `timeline`.
pub fn forks(timeline: Timeline, history: &[Left], cluster: SystemIdentifier) -> Vec<Fork> {
    let children = history.iter().skip(1).map(|left| left.timeline).chain([timeline]);
    let fork = |(left, child): (&Left, Timeline)| Fork {
        system_identifier: Some(cluster),
        timeline: child,
        parent: left.timeline,
        at_lsn: left.at,
        at_time: None,
    };
    history.iter().zip(children).map(fork).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_fork() {
        let text = "1\t0/5000000\tno recovery target specified\n\n# a remark\n2\t0/70000A0\tbefore 2026-11-21 10:00:00+00\n";
        let history = parse(text).expect("it is sound");
        let forks = forks("4".parse().expect("a timeline"), &history, SystemIdentifier(7));
        let seen: Vec<String> = forks.iter().map(|fork| format!("{}<-{}@{}", fork.timeline, fork.parent, fork.at_lsn)).collect();
        assert_eq!(seen, ["2<-1@0/5000000", "4<-2@0/70000A0"]);
        assert_eq!(parse("1\t0/5000000\n1\t0/6000000\n"), Err(BadHistory(2)));
        assert_eq!(parse("one\t0/5000000\n"), Err(BadHistory(1)));
    }
}
