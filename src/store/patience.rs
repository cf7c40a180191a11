//! How often and how long what failed for a moment is tried again.

use std::time::{Duration, Instant};

const FIRST_DELAY_MS: u64 = 100;
const LONGEST_DELAY_MS: u64 = 5_000;

/// The attempts at one thing. Delays double up to five seconds, each with jitter, so that many hosts which lost the same
/// store at the same moment do not come back to it at the same moment.
#[derive(Debug)]
pub(super) struct Attempts {
    patience: Duration,
    since: Instant,
    failed: u32,
}

impl Attempts {
    pub(super) fn new(patience: Duration) -> Attempts {
        Attempts { patience, since: Instant::now(), failed: 0 }
    }

    /// After a failure: how long to wait before the next attempt, or `None` when patience is at its end.
    pub(super) fn again(&mut self) -> Option<Duration> {
        let longest = (FIRST_DELAY_MS << self.failed.min(16)).min(LONGEST_DELAY_MS);
        self.failed += 1;
        let delay = Duration::from_millis(longest / 2 + random() % (longest / 2 + 1));
        (self.since.elapsed() + delay <= self.patience).then_some(delay)
    }

    /// When the first of them began, or something last came through.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Something came through: what fails from now on has the whole patience again.
    pub(super) fn progressed(&mut self) {
        *self = Attempts::new(self.patience);
    }

    /// Whether an attempt has failed before this one, and so may have had its effect without our knowing.
    pub(super) fn unclear(&self) -> bool {
        self.failed > 0
    }
}

fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end() {
        let mut attempts = Attempts::new(Duration::from_secs(3600));
        assert!(!attempts.unclear());
        for longest in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let delay = attempts.again().expect("there is an hour left");
            assert!((longest / 2..=longest).contains(&u64::try_from(delay.as_millis()).expect("short")), "{delay:?}");
        }
        assert!(attempts.unclear());
        assert_eq!(Attempts::new(Duration::ZERO).again(), None);
    }
}
