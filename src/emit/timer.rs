//! A timer of systemd: when to ask.

use std::fmt::Write as _;

use super::calendar::{Claim, calendar};
use super::quote;
use crate::schedule::{Schedule, Window};
use crate::units::Duration;

/// The unit from its `[Unit]` on.
pub(super) fn timer(description: &str, schedule: &Schedule, window: Option<&Window>, spread: Duration) -> String {
    let said = calendar(schedule);
    let mut unit =
        format!("[Unit]\nDescription={} ({})\n\n[Timer]\n", quote::for_people(description), quote::for_people(&schedule.describe()));
    let mut add = |text: &str| unit.push_str(text);
    match said.claim {
        Claim::Exact => {}
        Claim::MoreOften => {
            add("# More often than the policy's schedule, which has no words here: `run --due` starts only what is owed.\n")
        }
        Claim::EveryMinute => {
            add("# Every minute, because the policy's schedule has no words here: `run --due` starts only what is owed.\n")
        }
    }
    for line in &said.lines {
        writeln!(unit, "OnCalendar={line}").expect("a string takes all");
    }
    if !said.at_clock_changes.is_empty() {
        unit.push_str("# Where the clocks are changed, and the time above is left out or comes twice.\n");
    }
    for line in &said.at_clock_changes {
        writeln!(unit, "OnCalendar={line}").expect("a string takes all");
    }
    if let Some(window) = window {
        unit.push_str("# When the window opens: what is still owed then, because it was missed or ended, may run again.\n");
        let opens = calendar(&window.openings());
        for line in opens.lines.iter().chain(&opens.at_clock_changes) {
            writeln!(unit, "OnCalendar={line}").expect("a string takes all");
        }
    }
    unit.push_str("# What was missed while the host was off is asked for once.\nPersistent=true\nAccuracySec=1s\n");
    if !spread.is_zero() {
        writeln!(unit, "RandomizedDelaySec={}\nFixedRandomDelay=true", spread.as_secs()).expect("a string takes all");
    }
    unit.push_str("\n[Install]\nWantedBy=timers.target\n");
    unit
}
