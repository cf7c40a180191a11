//! The same work for many things, on all processors.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this gain nothing for work of this size.
const MAX_THREADS: usize = 8;

/// Works in parallel, answers in order.
pub fn map<'t, T: Sync, R: Send + Sync>(things: &'t [T], work: &(dyn Fn(&'t T) -> R + Sync)) -> Vec<R> {
    map_with(processors().min(MAX_THREADS), things, work)
}

/// The same with one thread more, where each asks a catalog again and again: while some wait for its answers, the others reckon.
pub fn map_asking<'t, T: Sync, R: Send + Sync>(things: &'t [T], work: &(dyn Fn(&'t T) -> R + Sync)) -> Vec<R> {
    map_with((processors() + 1).min(MAX_THREADS), things, work)
}

/// How many processors there are for us.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The same with so many threads: more than processors, where most of the work is waiting.
pub fn map_with<'t, T: Sync, R: Send + Sync>(threads: usize, things: &'t [T], work: &(dyn Fn(&'t T) -> R + Sync)) -> Vec<R> {
    let done: Vec<OnceLock<R>> = things.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some((thing, slot)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            things.get(at).zip(done.get(at))
        } {
            // Each slot is handed out once.
            let _ = slot.set(work(thing));
        }
    };
    let threads = threads.min(things.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    done.into_iter().filter_map(OnceLock::into_inner).collect()
}
