//! How fast files and rows are read, where the policy sets a limit.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is asked whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Pace {
    bytes_per_second: Option<u64>,
    /// When the next bytes may be read.
    next: Mutex<Instant>,
}

impl Pace {
    pub fn new(bytes_per_second: Option<u64>) -> Pace {
        Pace { bytes_per_second: bytes_per_second.filter(|limit| *limit > 0), next: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may be read. What was not used is not saved up: no burst follows a pause.
    pub fn take(&self, bytes: u64) {
        thread::sleep(self.from(bytes).saturating_duration_since(Instant::now()));
    }

    /// The same, for whoever asks in between whether it is still wanted.
    pub fn take_if<E>(&self, bytes: u64, is_wanted: &dyn Fn() -> Result<(), E>) -> Result<(), E> {
        let begin = self.from(bytes);
        loop {
            is_wanted()?;
            let left = begin.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// When they may be read.
    fn from(&self, bytes: u64) -> Instant {
        let Some(limit) = self.bytes_per_second else { return Instant::now() };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*next).max(Instant::now());
        *next = begin + Duration::from_secs_f64(bytes as f64 / limit as f64);
        begin
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

    #[test]
    fn nobody_waits_for_what_is_not_wanted_any_more() {
        let pace = Pace::new(Some(1));
        pace.take(3600);
        assert_eq!(pace.take_if(1, &|| Err("stop")), Err("stop"));
        assert_eq!(Pace::new(None).take_if(1 << 40, &|| Ok::<(), ()>(())), Ok(()));
    }
}
