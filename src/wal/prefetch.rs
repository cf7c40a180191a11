//! Fetches ahead of a recovery: a process beside the server, for as long as segments are asked for.
//!
//! It ends when nobody asked for [`IDLE`], when the server is gone, when there is no room, and when it is told to. It never puts
//! anything where PostgreSQL would look by itself: `wal fetch` hands over what is asked for.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::spool::{MOST, Spool, WINDOW};
use super::{Archive, Fetched};
use crate::units::{Segment, SegmentSize, WalFile};

/// How long nobody may ask.
const IDLE: Duration = Duration::from_secs(30);
/// A segment is replayed in some ten milliseconds at best, and several lie ready: looking so often keeps the window full.
const LOOK: Duration = Duration::from_millis(4);
const LOOK_IDLE: Duration = Duration::from_millis(100);
/// As many times the window must be free on the disk.
const ROOM: u64 = 4;
const WORKERS: usize = 2;

/// Where PostgreSQL is, and what that means.
#[derive(Debug)]
struct Watch {
    at: Option<(Segment, u64)>,
    since: Instant,
    /// The first segment that no store has, for now.
    end: Option<Segment>,
    on_their_way: BTreeSet<Segment>,
    over: bool,
}

/// Runs until it is not needed any more. Somebody else's being there already is no fault.
pub fn prefetch(archive: &Archive, spool: &Spool, server: Option<i32>) {
    if spool.make().is_err() {
        return;
    }
    let Some(_manned) = spool.man() else { return };
    spool.remove_parts();
    let watch = Mutex::new(Watch { at: None, since: Instant::now(), end: None, on_their_way: BTreeSet::new(), over: false });
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(archive, spool, &watch));
        }
        look_after(spool, server.and_then(Pid::from_raw), &watch);
    });
    spool.clear();
}

fn look_after(spool: &Spool, server: Option<Pid>, watch: &Mutex<Watch>) {
    loop {
        let told = spool.told();
        let idle = {
            let mut watch = lock(watch);
            if told.is_some() && told != watch.at {
                (watch.at, watch.since, watch.end) = (told, Instant::now(), None);
            }
            let idle = watch.since.elapsed();
            watch.over |=
                idle > IDLE || server.is_some_and(|server| test_kill_process(server) == Err(rustix::io::Errno::SRCH)) || !has_room(spool);
            if watch.over {
                return;
            }
            idle
        };
        if let Some((at, size)) = told {
            let window = window(at, size);
            spool.keep(|segment| window.contains(&segment));
        }
        thread::sleep(if idle > Duration::from_secs(1) { LOOK_IDLE } else { LOOK });
    }
}

fn work(archive: &Archive, spool: &Spool, watch: &Mutex<Watch>) {
    loop {
        let next = {
            let mut watch = lock(watch);
            if watch.over {
                return;
            }
            let next = next(&watch, spool);
            watch.on_their_way.extend(next);
            next
        };
        let Some(segment) = next else {
            thread::sleep(LOOK);
            continue;
        };
        let fetched = archive.fetch(WalFile::Segment(segment), &spool.place_of(segment));
        let mut watch = lock(watch);
        watch.on_their_way.remove(&segment);
        // What cannot be had is asked for again by the call whose turn it is, and complained of there.
        if !matches!(fetched, Ok(Fetched::Done { .. })) && watch.end.is_none_or(|end| segment < end) {
            watch.end = Some(segment);
        }
    }
}

fn next(watch: &Watch, spool: &Spool) -> Option<Segment> {
    let (at, size) = watch.at?;
    let before_end = |segment: &Segment| watch.end.is_none_or(|end| *segment < end);
    let free = |segment: &Segment| !watch.on_their_way.contains(segment) && !spool.has(*segment);
    window(at, size).into_iter().take_while(before_end).find(free)
}

/// What should lie ready: the segments after the one that PostgreSQL asked for last, on its timeline.
fn window(at: Segment, size: u64) -> Vec<Segment> {
    let Some(size) = SegmentSize::new(size) else { return Vec::new() };
    let count = usize::try_from((WINDOW / size.bytes()).clamp(1, MOST)).unwrap_or(1);
    std::iter::successors(Some(at.next(size)), |segment| Some(segment.next(size))).take(count).collect()
}

fn has_room(spool: &Spool) -> bool {
    rustix::fs::statvfs(spool.folder()).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) > ROOM * WINDOW)
}

fn lock(watch: &Mutex<Watch>) -> std::sync::MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The process of the server whose data directory it is, if one runs.
pub fn server(data: &Path) -> Option<i32> {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let number = file.lines().next()?.trim().parse().ok()?;
    Pid::from_raw(number).filter(|pid| test_kill_process(*pid) != Err(rustix::io::Errno::SRCH)).map(|_| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_in_bytes_and_in_number() {
        let at: Segment = "0000000200000000000000FE".parse().expect("a segment");
        let names = |size: u64| window(at, size << 20).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(16)[..2], ["0000000200000000000000FF", "000000020000000100000000"]);
        assert_eq!((names(16).len(), names(1).len(), names(64).len()), (8, 32, 2));
        let at: Segment = "000000020000000000000001".parse().expect("a segment");
        assert_eq!(window(at, 1 << 30).len(), 1);
        assert!(window(at, 5).is_empty());
    }
}
