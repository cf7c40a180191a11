//! The upload limit of a store, over all its uploads together.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::units::Rate;

/// How much may go ahead of the rate after a quiet time.
const BURST: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// When everything that was let through so far is sent at that rate.
    paid: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Pace {
        let now = Instant::now();
        Pace { rate, paid: Mutex::new(now.checked_sub(BURST).unwrap_or(now)) }
    }

    /// Lets `bytes` through: how long to wait before they are sent.
    pub(super) fn reserve(&self, bytes: usize) -> Duration {
        let now = Instant::now();
        let mut paid = self.paid.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let begins = (*paid).max(now.checked_sub(BURST).unwrap_or(now));
        *paid = begins + Duration::from_secs_f64(bytes as f64 / self.rate.get().max(1) as f64);
        paid.saturating_duration_since(now)
    }

    pub(super) fn wait(&self, bytes: usize) {
        std::thread::sleep(self.reserve(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pieces_keep_the_rate_together() {
        let pace = Pace::new(Rate::per_second(1_000_000));
        let waits: Vec<_> = (0..10).map(|_| pace.reserve(1_000_000).as_secs_f64()).collect();
        assert!((waits[0] - 0.75).abs() < 0.05, "{waits:?}");
        assert!((waits[9] - 9.75).abs() < 0.05, "{waits:?}");
    }
}
