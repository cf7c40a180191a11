//! A server that was started, against what the backup wrote down of the original.

use std::sync::atomic::AtomicBool;

use super::plan::RestorePlan;
use super::report::{Reached, State};
use super::running::pid_file;
use super::server::connect_to;
use crate::execute::expect::{Copy, as_recorded};
use crate::inventory::Expected;
use crate::recovery::Target;

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
    let recovered_to = match &plan.request.target {
        Target::Time(at) => *at,
        // Later than it is makes nobody miss what may have been dropped since.
        _ => plan.made,
    };
    as_recorded(&Copy { connect: &connect, recovered_to, private: &plan.chosen.private, stop })
}
