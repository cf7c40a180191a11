//! How fast files are read, where the policy sets a limit.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    /// When the next bytes may be read.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Pace {
        Pace { bytes_per_second: bytes_per_second.filter(|limit| *limit > 0), next: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may be read. What was not used is not saved up: no burst follows a pause.
    pub(super) fn take(&self, bytes: u64) {
        let Some(limit) = self.bytes_per_second else { return };
        let begin = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = (*next).max(Instant::now());
            *next = begin + Duration::from_secs_f64(bytes as f64 / limit as f64);
            begin
        };
        thread::sleep(begin.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds() {
        let pace = Pace::new(Some(1_000_000));
        let began = Instant::now();
        (0..5).for_each(|_| pace.take(20_000));
        assert!(began.elapsed() >= Duration::from_millis(80));
    }
}
