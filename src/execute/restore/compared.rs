//! A server that was started, against what the backup wrote down of the original.

use std::sync::atomic::AtomicBool;

use super::plan::RestorePlan;
use super::report::{Reached, State};
use super::running::pid_file;
use super::server::connect_to;
use crate::execute::expect::{Copy, as_recorded};
use crate::inventory::Expected;
use crate::recovery::Target;
use crate::units::Instant;

/// Its extensions, hypertables and jobs. Nothing is said of a server that cannot be asked.
pub fn compare(plan: &RestorePlan, reached: &Reached, stop: &AtomicBool) -> Vec<Expected> {
    if reached.state == State::ShutDown {
        return Vec::new();
    }
    let lines = pid_file(&plan.request.directory);
    let as_postgres = plan.directory.owner.is_some();
    if !matches!(connect_to(&lines, as_postgres, "postgres"), Some(Ok(_))) {
        return Vec::new();
    }
    let connect = |database: &str| connect_to(&lines, as_postgres, database).expect("it said where it listens");
    let recovered_to = recovered_to(&plan.request.target, plan.chosen.descriptor.stopped, reached.committed());
    as_recorded(&Copy { connect: &connect, recovered_to, private: &plan.chosen.private, stop })
}

/// Were it taken for later than it is, much could be missing and nobody would miss it.
fn recovered_to(target: &Target, stopped: Instant, committed: Option<Instant>) -> Instant {
    match target {
        Target::Time(at) => *at,
        _ => committed.unwrap_or(stopped).max(stopped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long ago that was: how much may have been dropped since then is asked of this moment.
    #[test]
    fn it_is_the_moment_of_what_came_back_and_not_of_today() {
        let at = |text: &str| text.parse::<Instant>().expect("a moment");
        let (stopped, committed) = (at("2026-01-01T02:30:00Z"), at("2026-01-01T09:00:00Z"));
        assert_eq!(recovered_to(&Target::Immediate(None), stopped, None), stopped);
        assert_eq!(recovered_to(&Target::Latest, stopped, Some(committed)), committed);
        assert_eq!(recovered_to(&Target::Immediate(None), stopped, Some(at("2026-01-01T01:00:00Z"))), stopped);
        assert_eq!(recovered_to(&Target::Time(at("2026-01-01T03:00:00Z")), stopped, Some(committed)), at("2026-01-01T03:00:00Z"));
    }
}
