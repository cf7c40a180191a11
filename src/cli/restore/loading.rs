//! How far a dump has come, while it comes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::progress::Line;
use super::seconds;
use crate::cli::copying::size;
use crate::execute::dump::restore::{self, Onlooker, Part, Plan, Restored};
use crate::execute::restore::RestoreFault;
use crate::site::Site;

const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Watch {
    /// What is being done, since when, and what had been given by then.
    now: Mutex<(Part, Stopwatch)>,
    done: AtomicU64,
    checked: AtomicU64,
    stored: u64,
    plain: u64,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> Watch {
        let now = Mutex::new((Part::Check, Stopwatch::now()));
        Watch { now, done: AtomicU64::new(0), checked: AtomicU64::new(0), stored: plan.stored_bytes(), plain: plan.bytes() }
    }

    /// Does what the plan says, and tells how far it is.
    pub(super) fn carry_out(&self, site: &Site<'_>, plan: &Plan, stop: &AtomicBool, to_stderr: bool) -> Result<Restored, RestoreFault> {
        let part = |part: Part| *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (part, Stopwatch::now());
        let onlooker = Onlooker { stop, part: &part, checked: &self.checked, fed: &self.done };
        thread::scope(|scope| {
            let (done, over) = mpsc::channel::<()>();
            scope.spawn(move || self.tell(&over, to_stderr));
            let worked = restore::carry_out(site, plan, &onlooker);
            drop(done);
            worked
        })
    }

    fn tell(&self, over: &mpsc::Receiver<()>, to_stderr: bool) {
        let mut line = Line::new(to_stderr);
        while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let (part, since) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
            line.say(&self.line(part, since.elapsed()));
        }
        line.end();
    }

    fn line(&self, part: Part, elapsed: Duration) -> String {
        let (what, done, all) = match part {
            Part::Check => ("checking the dump", self.checked.load(Ordering::Relaxed), self.stored),
            Part::Copy => return format!("copying what is there: {}", seconds(elapsed.as_secs_f64())),
            Part::Load => ("restoring", self.done.load(Ordering::Relaxed), self.plain),
            Part::Index => return format!("building indexes and constraints: {}", seconds(elapsed.as_secs_f64())),
            Part::Count => return format!("counting rows: {}", seconds(elapsed.as_secs_f64())),
        };
        moving(what, done, all, elapsed)
    }
}

/// restoring: 34 % of 3.4 GB at 20 MB/s, 2 min left
fn moving(what: &str, done: u64, all: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let left = if rate > 1.0 { format!(", {} left", seconds(all.saturating_sub(done) as f64 / rate)) } else { String::new() };
    let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100).min(100);
    format!("{what}: {percent} % of {} at {}/s{left}", size(all), size(rate as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_how_fast_and_how_long_yet() {
        let line = moving("restoring", 1_000_000, 4_000_000, Duration::from_secs(10));
        assert_eq!(line, "restoring: 25 % of 4 MB at 100 kB/s, 30 s left");
        let begun = moving("restoring", 0, 4_000_000, Duration::ZERO);
        assert!(begun.starts_with("restoring: 0 % of 4 MB at ") && !begun.contains("left"), "{begun}");
        assert!(moving("restoring", 5, 4, Duration::from_secs(1)).starts_with("restoring: 100 %"));
    }
}
