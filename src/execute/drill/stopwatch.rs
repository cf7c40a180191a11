//! What took how long.

use std::time::{Duration, Instant};

use crate::inventory::{DrillPhase, Phase};

/// Runs from the drill's beginning; one phase is under way at a time.
#[derive(Debug)]
pub(super) struct Stopwatch {
    began: Instant,
    phases: Vec<DrillPhase>,
    now: (Phase, Instant),
    waited: Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        let began = Instant::now();
        Stopwatch { began, phases: Vec::new(), now: (Phase::Prepare, began), waited: Duration::ZERO }
    }

    /// Since the beginning, but for what a recovery would not have waited for.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.waited)
    }

    /// For that, so far.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// For so long the phase has been under way.
    pub(super) fn under_way(&self) -> Duration {
        self.now.1.elapsed()
    }

    pub(super) fn phase(&self) -> Phase {
        self.now.0
    }

    /// Ends the phase that is under way, and begins another.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.end(None);
        self.now = (phase, Instant::now());
    }

    /// The phase that is under way has ended.
    pub(super) fn end(&mut self, bytes: Option<u64>) {
        let (phase, since) = self.now;
        let took = since.elapsed();
        if phase == Phase::Wait {
            self.waited += took;
        }
        self.put(phase, took, bytes);
        self.now.1 = Instant::now();
    }

    /// What went through a phase that is over.
    pub(super) fn through(&mut self, phase: Phase, bytes: u64) {
        self.put(phase, Duration::ZERO, Some(bytes));
    }

    /// What went on beside others, on all threads together.
    pub(super) fn beside(&mut self, phase: Phase, took: Duration, bytes: u64) {
        self.put(phase, took, Some(bytes));
    }

    /// Begins a phase whose parts are measured by who does them.
    pub(super) fn enter_measured(&mut self, phase: Phase) {
        self.enter(phase);
    }

    /// What others measured, in place of what is under way: the rest of that time belongs to what came before.
    pub(super) fn split(&mut self, before: Phase, parts: &[(Phase, Duration, Option<u64>)], next: Phase) {
        let whole = self.now.1.elapsed();
        self.now = (next, Instant::now());
        let measured: Duration = parts.iter().filter(|(phase, ..)| !is_part_of_files(*phase)).map(|(_, took, _)| *took).sum();
        self.put(before, whole.saturating_sub(measured), None);
        for (phase, took, bytes) in parts {
            self.put(*phase, *took, *bytes);
        }
    }

    /// Added where the phase is there already.
    fn put(&mut self, phase: Phase, took: Duration, bytes: Option<u64>) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match self.phases.iter_mut().find(|one| one.phase == phase) {
            Some(there) => {
                there.millis = there.millis.saturating_add(millis);
                there.bytes = bytes.or(there.bytes);
            }
            None if took.is_zero() && bytes.is_none() => {}
            None => self.phases.push(DrillPhase { phase, millis, bytes }),
        }
    }

    /// As a drill goes through them, in whatever order they were measured.
    pub(super) fn phases(&self) -> Vec<DrillPhase> {
        let mut phases = self.phases.clone();
        phases.sort_by_key(|one| one.phase);
        phases
    }
}

/// These go on at the same time, on all threads.
fn is_part_of_files(phase: Phase) -> bool {
    matches!(phase, Phase::Fetch | Phase::Open | Phase::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_measured_belongs_to_what_came_before() {
        let mut watch = Stopwatch::start();
        watch.enter_measured(Phase::Files);
        std::thread::sleep(Duration::from_millis(50));
        let ms = Duration::from_millis;
        let parts = [(Phase::Files, ms(30), Some(7)), (Phase::Fetch, ms(500), Some(3)), (Phase::Sync, ms(10), None)];
        watch.split(Phase::Prepare, &parts, Phase::Consistent);
        let of = |phase| watch.phases().into_iter().find(|one| one.phase == phase).map(|one| (one.millis, one.bytes));
        assert!(of(Phase::Prepare).is_some_and(|(millis, _)| (10..10_000).contains(&millis)));
        assert_eq!((of(Phase::Files), of(Phase::Fetch), of(Phase::Sync)), (Some((30, Some(7))), Some((500, Some(3))), Some((10, None))));
        assert_eq!(watch.phase(), Phase::Consistent);
        watch.end(Some(9));
        assert_eq!(watch.phases().last().map(|one| (one.phase, one.bytes)), Some((Phase::Consistent, Some(9))));
    }

    #[test]
    fn phases_stand_as_a_drill_goes_through_them() {
        let mut watch = Stopwatch::start();
        for phase in [Phase::Files, Phase::Consistent, Phase::Replay, Phase::Expect] {
            watch.enter(phase);
        }
        watch.end(Some(1));
        for phase in [Phase::Files, Phase::Consistent, Phase::Replay, Phase::Fetch, Phase::Open, Phase::Write, Phase::Count] {
            watch.beside(phase, Duration::from_millis(1), 1);
        }
        let order: Vec<&str> = watch.phases().iter().map(|one| one.phase.as_str()).filter(|name| *name != "prepare").collect();
        assert_eq!(order, ["files", "fetch", "open", "write", "consistent", "replay", "count", "expect"]);
    }

    #[test]
    fn what_was_waited_for_is_a_phase_and_no_part_of_a_recovery() {
        let mut watch = Stopwatch::start();
        watch.enter(Phase::Wait);
        std::thread::sleep(Duration::from_millis(200));
        watch.enter(Phase::Prepare);
        let waited = watch.phases().into_iter().find(|one| one.phase == Phase::Wait).map_or(0, |one| one.millis);
        assert!(waited >= 200);
        assert!(watch.began.elapsed() >= watch.elapsed() + Duration::from_millis(200));
    }
}
