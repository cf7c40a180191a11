//! When which fault comes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::store::{Fault, FaultKind};
use crate::units::Rate;

/// What is called. A `Piece` is one of an upload, a `Read` one read of a stream; `Begin` is the start of an upload or a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    PutNew,
    Replace,
    Begin,
    Piece,
    Finish,
    Head,
    Get,
    GetRange,
    Read,
    List,
    Delete,
}

impl Call {
    const ALL: [(&'static str, Call); 11] = [
        ("put-new", Call::PutNew),
        ("replace", Call::Replace),
        ("begin", Call::Begin),
        ("piece", Call::Piece),
        ("finish", Call::Finish),
        ("head", Call::Head),
        ("get", Call::Get),
        ("get-range", Call::GetRange),
        ("read", Call::Read),
        ("list", Call::List),
        ("delete", Call::Delete),
    ];
}

/// See the header of the room for what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Transient,
    Timeout,
    Throttled,
    Permanent,
    AfterCommit,
    Twice,
    Truncated,
    Vanished,
    Revoked,
    Stopped,
}

impl Effect {
    const ALL: [(&'static str, Effect); 10] = [
        ("transient", Effect::Transient),
        ("timeout", Effect::Timeout),
        ("throttled", Effect::Throttled),
        ("permanent", Effect::Permanent),
        ("after-commit", Effect::AfterCommit),
        ("twice", Effect::Twice),
        ("truncated", Effect::Truncated),
        ("vanished", Effect::Vanished),
        ("revoked", Effect::Revoked),
        ("stopped", Effect::Stopped),
    ];

    /// Those that stay when they have come.
    fn lasts(self) -> bool {
        matches!(self, Effect::Vanished | Effect::Revoked)
    }
}

#[derive(Debug)]
struct Rule {
    effect: Effect,
    /// Of every kind, when `None`.
    on: Option<Call>,
    /// Calls are counted from 1.
    first: u64,
    last: u64,
    seen: AtomicU64,
}

/// The faults to come, and how they are met. Written as text: `nth=17,kind=transient` or
/// `nth=3,times=2,kind=timeout,on=piece;kind=vanished,nth=40;slow=1MB/s;patience=5`.
#[derive(Debug, Clone)]
pub struct Faults {
    pub(super) schedule: Arc<Schedule>,
    pub(super) link: Option<Rate>,
    pub(super) patience: Duration,
}

/// How often a store was called, also while it is in use.
#[derive(Debug, Clone)]
pub struct Tally(Arc<Schedule>);

impl Tally {
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Schedule {
    rules: Vec<Rule>,
    calls: AtomicU64,
    /// Grows by one byte a call, so that a test can count those of several processes.
    count_in: Option<PathBuf>,
}

impl Schedule {
    pub(super) fn next(&self, call: Call) -> Option<Effect> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(path) = &self.count_in {
            let counted = OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| file.write_all(b"."));
            counted.expect("the test's own file can be written");
        }
        let mut due = None;
        for rule in self.rules.iter().filter(|rule| rule.on.is_none_or(|on| on == call)) {
            let nth = rule.seen.fetch_add(1, Ordering::Relaxed) + 1;
            if (rule.first..=rule.last).contains(&nth) {
                due = due.or(Some(rule.effect));
            }
        }
        if due == Some(Effect::Stopped) {
            kill_process(getpid(), Signal::STOP).expect("a process may stop itself");
        }
        due
    }
}

impl Faults {
    /// None; calls are counted all the same.
    pub fn none() -> Faults {
        Faults { schedule: Arc::default(), link: None, patience: Duration::ZERO }
    }

    pub fn tally(&self) -> Tally {
        Tally(self.schedule.clone())
    }
}

impl FromStr for Faults {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Faults, Fault> {
        let refuse =
            |what: &str| Fault::new(FaultKind::Config, format!("the faults to inject make no sense: `{what}`"), "See `store::Faults`.");
        let (mut faults, mut schedule) = (Faults::none(), Schedule::default());
        for clause in text.split(';').map(str::trim).filter(|clause| !clause.is_empty()) {
            let mut rule = Rule { effect: Effect::Transient, on: None, first: 1, last: 0, seen: AtomicU64::new(0) };
            let (mut times, mut is_rule) = (None, false);
            for setting in clause.split(',') {
                let (name, value) = setting.trim().split_once('=').ok_or_else(|| refuse(setting))?;
                let number = || value.parse::<u64>().map_err(|_| refuse(setting));
                match name {
                    "nth" => (rule.first, is_rule) = (number()?.max(1), true),
                    "times" => times = Some(number()?),
                    "kind" => (rule.effect, is_rule) = (among(&Effect::ALL, value).ok_or_else(|| refuse(setting))?, true),
                    "on" if value == "any" => rule.on = None,
                    "on" => rule.on = Some(among(&Call::ALL, value).ok_or_else(|| refuse(setting))?),
                    "slow" => faults.link = Some(value.parse().map_err(|_| refuse(setting))?),
                    "patience" => faults.patience = Duration::from_secs(number()?),
                    "count" => schedule.count_in = Some(PathBuf::from(value)),
                    _ => return Err(refuse(setting)),
                }
            }
            if is_rule {
                let times = times.unwrap_or(if rule.effect.lasts() { u64::MAX } else { 1 });
                rule.last = rule.first.saturating_add(times).saturating_sub(1);
                schedule.rules.push(rule);
            }
        }
        faults.schedule = Arc::new(schedule);
        Ok(faults)
    }
}

fn among<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_when_they_are_due() {
        let faults: Faults = "nth=2,times=2,kind=timeout,on=piece; nth=5,kind=revoked; patience=3".parse().expect("good");
        let calls = [Call::Head, Call::Piece, Call::Piece, Call::Piece, Call::Get, Call::Piece];
        let due: Vec<_> = calls.into_iter().map(|call| faults.schedule.next(call)).collect();
        assert_eq!(due, [None, None, Some(Effect::Timeout), Some(Effect::Timeout), Some(Effect::Revoked), Some(Effect::Revoked)]);
        assert_eq!((faults.tally().calls(), faults.patience), (6, Duration::from_secs(3)));
        for bad in ["nth", "nth=x", "kind=odd", "on=odd", "what=1"] {
            assert!(bad.parse::<Faults>().is_err(), "{bad}");
        }
    }
}
