//! Unbroken stretches of the write-ahead log, from the names of segments alone.

use std::collections::BTreeMap;

use crate::units::{Lsn, Segment, SegmentSize, Timeline};

/// Segments of one timeline, none missing between the first and the last. `T` is what the caller knows of these two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<T> {
    pub first: (Segment, T),
    pub last: (Segment, T),
}

impl<T> Run<T> {
    pub fn timeline(&self) -> Timeline {
        self.first.0.timeline
    }

    /// The first position in it.
    pub fn start(&self, size: SegmentSize) -> Lsn {
        self.first.0.start(size)
    }

    /// The first position after it.
    pub fn end(&self, size: SegmentSize) -> Lsn {
        self.last.0.end(size)
    }

    /// How many segments.
    pub fn count(&self, size: SegmentSize) -> u64 {
        self.last.0.number(size) - self.first.0.number(size) + 1
    }
}

/// Collects segments into runs. In the order of their names, which is how stores list them, it takes memory for the runs only.
#[derive(Debug)]
pub struct Runs<T> {
    size: SegmentSize,
    by_timeline: BTreeMap<Timeline, Vec<Run<T>>>,
}

impl<T: Clone> Runs<T> {
    pub fn new(size: SegmentSize) -> Runs<T> {
        Runs { size, by_timeline: BTreeMap::new() }
    }

    pub fn push(&mut self, segment: Segment, known: T) {
        let runs = self.by_timeline.entry(segment.timeline).or_default();
        match runs.last_mut() {
            // The same segment again, compressed in another way.
            Some(run) if run.last.0 == segment => {}
            Some(run) if run.last.0.next(self.size) == segment => run.last = (segment, known),
            _ => runs.push(Run { first: (segment, known.clone()), last: (segment, known) }),
        }
    }

    /// By timeline and position, disjoint.
    pub fn finish(self) -> Vec<Run<T>> {
        let size = self.size;
        self.by_timeline.into_values().flat_map(|runs| joined(runs, size)).collect()
    }
}

/// What came out of order is put together.
fn joined<T>(mut runs: Vec<Run<T>>, size: SegmentSize) -> Vec<Run<T>> {
    runs.sort_by_key(|run| run.first.0);
    let mut whole: Vec<Run<T>> = Vec::new();
    for run in runs {
        match whole.last_mut() {
            Some(before) if run.first.0 <= before.last.0.next(size) => {
                if run.last.0 > before.last.0 {
                    before.last = run.last;
                }
            }
            _ => whole.push(run),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_segment_is_in_one_run_and_no_other_is(mut numbers in prop::collection::vec(0u64..400, 0..80), ordered: bool) {
            let size = SegmentSize::new(64 << 20).expect("a size");
            if ordered { numbers.sort_unstable(); }
            let segment = |number: u64| Segment::of(Timeline::FIRST, Lsn(number * size.bytes()), size);
            let mut runs = Runs::new(size);
            numbers.iter().for_each(|number| runs.push(segment(*number), *number));
            let runs = runs.finish();
            let mut covered = Vec::new();
            for run in &runs {
                covered.extend(run.first.0.number(size)..=run.last.0.number(size));
                prop_assert_eq!((run.first.1, run.last.1), (run.first.0.number(size), run.last.0.number(size)));
            }
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(covered, numbers);
            prop_assert!(runs.windows(2).all(|pair| pair[0].end(size) < pair[1].start(size)));
        }
    }
}
