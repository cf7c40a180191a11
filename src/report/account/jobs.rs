//! What the jobs of a policy came to in the stretch.

use super::shape::{JobAccount, Listed, RunAccount, SizeAccount};
use super::{Past, Room};
use crate::catalog::{Outcome, PastRun};
use crate::policy::model::Policy;
use crate::report::standing::{JobStanding, Standing};

pub(super) fn jobs(policy: &Policy, standing: &Standing, past: &Past, room: Room) -> Vec<JobAccount> {
    let mut timed = policy.timed();
    timed.extend(policy.copying());
    let one = |job: &JobStanding| {
        let runs: Vec<&PastRun> = past.runs.iter().filter(|run| run.job == job.job).collect();
        let count = |outcome: Outcome| runs.iter().filter(|run| run.outcome == Some(outcome)).count();
        let sizes: Vec<SizeAccount> = runs.iter().filter_map(|run| size(run)).collect();
        JobAccount {
            job: job.job.clone(),
            kind: job.kind,
            schedule: timed.iter().find(|timed| timed.path.to_string() == job.job).map(|timed| timed.schedule.describe()),
            succeeded: count(Outcome::Succeeded),
            failed: count(Outcome::Failed),
            stopped: count(Outcome::Stopped),
            lost: count(Outcome::Lost),
            last_succeeded: job.last_succeeded,
            overdue: job.overdue,
            next: job.due.to_string(),
            bytes: job.bytes,
            stored_bytes: job.stored_bytes,
            took_seconds: job.took_seconds,
            growth: growth(&sizes, stored),
            sizes: thinned(sizes, room.points as usize),
        }
    };
    standing.jobs.iter().map(one).collect()
}

fn size(run: &PastRun) -> Option<SizeAccount> {
    let ended = run.ended.filter(|_| run.outcome == Some(Outcome::Succeeded))?;
    Some(SizeAccount {
        at: ended,
        bytes: run.bytes?,
        stored_bytes: run.stored_bytes,
        seconds: ended.duration_since(run.started).as_secs_f64().max(0.0),
    })
}

fn stored(size: &SizeAccount) -> u64 {
    size.stored_bytes.unwrap_or(size.bytes)
}

/// By how much of itself the last one differs from the first.
pub(super) fn growth<T>(sizes: &[T], stored: impl Fn(&T) -> u64) -> Option<f64> {
    let (first, last) = (sizes.first().map(&stored)?, sizes.last().map(&stored)?);
    (sizes.len() > 1 && first > 0).then(|| (last as f64 - first as f64) / first as f64)
}

/// So many of them at most, evenly, and always the last.
fn thinned(sizes: Vec<SizeAccount>, most: usize) -> Vec<SizeAccount> {
    let count = sizes.len();
    if count <= most {
        return sizes;
    }
    // Of each part the last.
    (1..=most).filter_map(|part| sizes.get(part * count / most - 1).copied()).collect()
}

/// Runs that did not succeed, whatever kept them.
pub(super) fn failures(past: &Past, room: Room) -> Listed<RunAccount> {
    let failed = |run: &&PastRun| matches!(run.outcome, Some(Outcome::Failed | Outcome::Lost));
    Listed::of(past.runs.iter().rev().filter(failed).map(run), room.rows)
}

pub(super) fn verifications(past: &Past, room: Room) -> Listed<RunAccount> {
    Listed::of(past.runs.iter().rev().filter(|run| run.job.starts_with("verify.")).map(run), room.rows)
}

fn run(run: &PastRun) -> RunAccount {
    RunAccount {
        job: run.job.clone(),
        started: run.started,
        seconds: run.ended.map(|ended| ended.duration_since(run.started).as_secs_f64().max(0.0)),
        outcome: run.outcome.map_or("running", Outcome::word).to_owned(),
        message: run.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(second: i64, stored: u64) -> SizeAccount {
        let at = crate::units::Instant::from_second(second).expect("a moment");
        SizeAccount { at, bytes: stored * 4, stored_bytes: Some(stored), seconds: 1.0 }
    }

    #[test]
    fn the_last_of_many_is_always_shown() {
        let all: Vec<SizeAccount> = (0..1_000).map(|number| size(number, 10 + number as u64)).collect();
        for most in [1, 2, 7, 40, 999, 1_000, 5_000] {
            let shown = thinned(all.clone(), most);
            assert_eq!(shown.len(), most.min(1_000));
            assert_eq!(shown.last(), all.last());
            assert!(shown.windows(2).all(|two| two[0].at < two[1].at));
        }
    }

    #[test]
    fn growth_is_of_what_is_stored() {
        assert_eq!(growth(&[size(0, 100), size(1, 90), size(2, 150)], stored), Some(0.5));
        assert_eq!(growth(&[size(0, 100)], stored), None);
        assert_eq!(growth(&[size(0, 0), size(1, 5)], stored), None);
    }
}
