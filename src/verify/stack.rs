//! Work that makes more work, done by several threads. What was made last is done first, so that little of it waits.

use std::sync::{Condvar, Mutex, PoisonError};

struct Shared<T> {
    waiting: Vec<T>,
    /// How many threads work and may still make more.
    busy: usize,
}

/// Returns when all is done, and all that came of it.
pub(super) fn work_off<T: Send>(threads: usize, first: Vec<T>, work: &(dyn Fn(T, &mut Vec<T>) + Sync)) {
    let shared = Mutex::new(Shared { waiting: first, busy: 0 });
    let changed = Condvar::new();
    let take = || {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(next) = shared.waiting.pop() {
                shared.busy += 1;
                return Some(next);
            }
            if shared.busy == 0 {
                return None;
            }
            shared = changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    };
    let run = || {
        while let Some(next) = take() {
            let mut more = Vec::new();
            work(next, &mut more);
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.waiting.append(&mut more);
            shared.busy -= 1;
            drop(shared);
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(run);
        }
        run();
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn all_that_comes_of_it_is_done() {
        let done = AtomicU64::new(0);
        work_off(4, vec![3u32; 10], &|depth, more| {
            done.fetch_add(1, Ordering::Relaxed);
            more.extend(std::iter::repeat_n(depth - 1, if depth > 1 { 3 } else { 0 }));
        });
        assert_eq!(done.into_inner(), 10 * (1 + 3 + 9));
    }
}
