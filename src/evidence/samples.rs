//! What several measurements of the same thing say together.

use std::cmp::Ordering;

use crate::inventory::{HowMeasured, Measurement};
use crate::units::{Duration, Instant};

/// Older than this before the newest one, a sample is about other machines and other data.
const REACH: Duration = Duration::from_days(400);

/// Something that was measured once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<T> {
    pub value: T,
    pub at: Instant,
    pub how: HowMeasured,
}

impl<T> Sample<T> {
    pub fn of_drill(value: T, at: Instant) -> Self {
        Sample { value, at, how: HowMeasured::Drill }
    }
    pub fn of_run(value: T, at: Instant) -> Self {
        Sample { value, at, how: HowMeasured::Run }
    }
    pub fn of_recovery(value: T, at: Instant) -> Self {
        Sample { value, at, how: HowMeasured::Recovery }
    }
}

/// The newest so many samples, as one figure. `better` comes first in its order: a high rate, a short time, a small size.
///
/// The figure to reckon with is the 95th percentile towards the bad end, because a promise has to hold on a bad day. It is the nearest rank,
/// so it always is something that was seen; of fewer than twenty samples it is the worst of them.
pub(super) fn together<T: Copy>(mut samples: Vec<Sample<T>>, most: usize, better: impl Fn(&T, &T) -> Ordering) -> Option<Measurement<T>> {
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.at));
    let (newest, how) = samples.first().map(|sample| (sample.at, sample.how))?;
    samples.truncate(most);
    samples.retain(|sample| Duration::between(sample.at, newest) <= REACH);
    let mut values: Vec<T> = samples.iter().map(|sample| sample.value).collect();
    values.sort_by(better);
    let (p50, p95) = (percentile(&values, 50)?, percentile(&values, 95)?);
    let samples = u32::try_from(values.len()).ok();
    Some(Measurement { value: p95, at: newest, how, p50: Some(p50), p95: Some(p95), samples })
}

/// By the nearest rank, of values from the best to the worst: so many of a hundred are at least as good.
pub(super) fn percentile<T: Copy>(ordered: &[T], percent: usize) -> Option<T> {
    let rank = (ordered.len() * percent).div_ceil(100).max(1);
    ordered.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Instant {
        Instant::from_second(1_790_000_000 + second).expect("a moment")
    }

    fn of(values: &[u64]) -> Option<Measurement<u64>> {
        let samples = values.iter().enumerate().map(|(second, value)| Sample::of_drill(*value, at(second as i64)));
        together(samples.collect(), 1_000, Ord::cmp)
    }

    #[test]
    fn one_is_all_there_is_and_none_is_nothing() {
        assert_eq!(of(&[]), None);
        let one = of(&[7]).expect("a figure");
        assert_eq!((one.value, one.p50, one.p95, one.samples), (7, Some(7), Some(7), Some(1)));
        let two = of(&[9, 7]).expect("a figure");
        assert_eq!((two.value, two.p50, two.samples, two.at), (9, Some(7), Some(2), at(1)));
    }

    /// The nearest ranks as textbooks give them.
    #[test]
    fn ranks_are_the_nearest_ones() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 95), percentile(&hundred, 100)), (Some(50), Some(95), Some(100)));
        assert_eq!((percentile(&[15, 20, 35, 40, 50], 30), percentile(&[15, 20, 35, 40, 50], 50)), (Some(20), Some(35)));
        let nineteen: Vec<u64> = (1..=19).collect();
        assert_eq!(percentile(&nineteen, 95), Some(19), "of fewer than twenty the worst");
        let twenty: Vec<u64> = (1..=20).collect();
        assert_eq!(percentile(&twenty, 95), Some(19));
    }

    #[test]
    fn what_is_old_or_too_much_is_left_out() {
        let day = |days: i64| at(days * 86_400);
        let samples = |days: &[i64]| days.iter().map(|days| Sample::of_drill(*days as u64, day(*days))).collect::<Vec<_>>();
        let figure = together(samples(&[0, 500, 501]), 10, Ord::cmp).expect("a figure");
        assert_eq!((figure.samples, figure.p50), (Some(2), Some(500)));
        // However old it is, the newest one is evidence.
        assert_eq!(together(samples(&[0]), 10, Ord::cmp).expect("a figure").samples, Some(1));
        let figure = together(samples(&[1, 2, 3, 4]), 2, Ord::cmp).expect("a figure");
        assert_eq!((figure.samples, figure.p50, figure.value), (Some(2), Some(3), 4));
    }

    proptest! {
        /// It is something that was seen, the careful end is no better than the usual one, and the order of the samples means nothing.
        #[test]
        fn percentiles_are_samples_in_order(values in proptest::collection::vec(any::<u64>(), 1..60), turn in 0usize..60) {
            let figure = of(&values).expect("a figure");
            let (p50, p95) = (figure.p50.expect("p50"), figure.p95.expect("p95"));
            prop_assert!(values.contains(&p50) && values.contains(&p95) && p50 <= p95);
            prop_assert_eq!(figure.value, p95);
            let share = |limit: u64| values.iter().filter(|value| **value <= limit).count() * 100;
            prop_assert!(share(p50) >= values.len() * 50 && share(p95) >= values.len() * 95);
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            let turned = of(&turned).expect("a figure");
            prop_assert_eq!((turned.p50, turned.p95), (Some(p50), Some(p95)));
        }

        /// One more sample that is worse than all makes nothing better.
        #[test]
        fn a_worse_sample_makes_nothing_better(values in proptest::collection::vec(0u64..1_000_000, 1..60)) {
            let before = of(&values).expect("a figure");
            let worse: Vec<u64> = values.iter().copied().chain([2_000_000]).collect();
            let after = of(&worse).expect("a figure");
            prop_assert!(after.p50 >= before.p50 && after.p95 >= before.p95);
        }
    }
}
