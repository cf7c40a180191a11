//! The figures that objectives are reckoned with, from what was measured.

use std::collections::BTreeMap;

use super::samples::{Sample, together};
use crate::inventory::{BackupKind, DrillRecord, Measured, Measurement, Phase, Size};
use crate::units::{Duration, Instant, Name, Rate};

/// Of drills, recoveries and runs so many of the newest count.
const NEWEST: usize = 30;
/// Of what is measured at every look, a month of hours.
const LOOKS: usize = 720;
/// What took less says more about the clock than about the disk.
const SHORTEST_MILLIS: u64 = 50;
/// Of less than a segment of the log it is the server's start that was timed.
const LEAST_LOG: u64 = 16 << 20;
/// Of less it is how long a store takes to begin that was timed.
const LEAST_FETCHED: u64 = 1 << 20;
/// Two positions of the log that lie closer together, or further apart, do not say what an hour writes.
const ABOUT_AN_HOUR: std::ops::RangeInclusive<i64> = 50 * 60..=3 * 3_600;
/// Nothing that can be written down is more.
const MOST: u128 = 1 << 60;

/// Everything on record that says how fast things go. The order within means nothing, but for `wal_positions`.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub drills: Vec<DrillRecord>,
    /// Of real recoveries: the store, plain bytes in a second.
    pub recoveries: Vec<(Name, Sample<u64>)>,
    /// Of real recoveries from dumps: plain bytes in a second.
    pub loads: Vec<Sample<u64>>,
    /// How long the good runs of each backup job took, in milliseconds.
    pub backups: BTreeMap<Name, Vec<Sample<u64>>>,
    /// How large each job's last good backup is.
    pub sizes: BTreeMap<Name, Sample<u64>>,
    /// How long finished segments took into the store, in seconds.
    pub pushes: Vec<Sample<u64>>,
    /// Where the log ended, in bytes, the oldest first.
    pub wal_positions: Vec<(Instant, u64)>,
    /// How long what each scenario asks for took in drills that rehearse it, in milliseconds.
    pub rehearsals: BTreeMap<Name, Vec<Sample<u64>>>,
}

/// What objectives are reckoned with.
pub fn measured(record: &Record) -> Measured {
    let fetch = fetch(record);
    let durations = record.backups.iter().filter_map(|(job, runs)| Some((job.clone(), duration(in_seconds(runs), NEWEST)?)));
    let rehearsals = record.rehearsals.iter().filter_map(|(name, took)| Some((name.clone(), duration(in_seconds(took), NEWEST)?)));
    let sizes = record.sizes.iter().map(|(job, size)| {
        let value = Size::new(rounded_up(size.value.max(1)));
        (job.clone(), Measurement::once(value, size.at, size.how))
    });
    Measured {
        restore: fetch.values().max_by_key(|figure| (figure.p50.map(Rate::get), figure.at)).cloned(),
        replay: rate(record.drills.iter().filter_map(replay).collect()),
        load: rate(record.drills.iter().filter_map(load).chain(record.loads.iter().cloned()).collect()),
        fetch,
        connection: by_store(record.drills.iter().filter_map(connection)),
        backup_durations: durations.collect(),
        wal_per_hour: together(hours(&record.wal_positions), LOOKS, Ord::cmp).map(as_size),
        sizes: sizes.collect(),
        push: duration(record.pushes.clone(), LOOKS),
        rehearsals: rehearsals.collect(),
    }
}

/// What each store was restored from at: from its objects to durable files, as one rate, since all of that goes on at once. What unpacking
/// alone can do is what the fastest store shows.
fn fetch(record: &Record) -> BTreeMap<Name, Measurement<Rate>> {
    by_store(record.drills.iter().filter_map(restore).chain(record.recoveries.iter().cloned()))
}

fn by_store(samples: impl Iterator<Item = (Name, Sample<u64>)>) -> BTreeMap<Name, Measurement<Rate>> {
    let mut stores: BTreeMap<Name, Vec<Sample<u64>>> = BTreeMap::new();
    for (store, sample) in samples {
        stores.entry(store).or_default().push(sample);
    }
    stores.into_iter().filter_map(|(store, samples)| Some((store, rate(samples)?))).collect()
}

/// Bytes as they lie in a store, by how long all connections together waited for them: what unpacking and writing take is no part of it, nor is
/// how many of them there were. So whatever is restored says something of it.
fn connection(drill: &DrillRecord) -> Option<(Name, Sample<u64>)> {
    let fetched = drill.phase(Phase::Fetch)?;
    let bytes = fetched.bytes.filter(|bytes| *bytes >= LEAST_FETCHED)?;
    let store = drill.restored.as_ref()?.store.clone();
    Some((store, Sample::of_drill(per_second(bytes, fetched.millis)?, drill.ended)))
}

/// Plain bytes in a second, from the first object to the last file that is on the disk.
fn restore(drill: &DrillRecord) -> Option<(Name, Sample<u64>)> {
    // How fast many small files are made says nothing of how fast a cluster's are.
    let restored = drill.restored.as_ref().filter(|restored| restored.kind != BackupKind::Files && !drill.is_in_parts())?;
    let whole = drill.recovery_millis.is_some() || drill.failure.as_ref().is_some_and(|failure| failure.phase > Phase::Sync);
    let files = drill.phase(Phase::Files).filter(|_| whole)?;
    let millis = files.millis + drill.phase(Phase::Sync).map_or(0, |sync| sync.millis);
    // An increment is restored with all that it builds on.
    let bytes = if restored.kind == BackupKind::Incremental { files.bytes? } else { restored.size };
    Some((restored.store.clone(), Sample::of_drill(per_second(bytes, millis)?, drill.ended)))
}

/// Plain bytes of a dump in a second, from the first object that is checked to the last row that is counted: all of it is waited for. It says
/// nothing of how fast files are restored, nor do they of it.
fn load(drill: &DrillRecord) -> Option<Sample<u64>> {
    drill.recovery_millis?;
    // A few tables say nothing of a whole dump.
    drill.restored.as_ref().filter(|restored| restored.kind == BackupKind::Logical && !drill.is_in_parts())?;
    let bytes = drill.phase(Phase::Load)?.bytes?;
    let parts = [Phase::Check, Phase::Load, Phase::Index, Phase::Count];
    let millis = parts.iter().filter_map(|phase| drill.phase(*phase)).map(|phase| phase.millis).sum();
    Some(Sample::of_drill(per_second(bytes, millis)?, drill.ended))
}

/// Bytes of the log in a second, from a consistent state to the target.
fn replay(drill: &DrillRecord) -> Option<Sample<u64>> {
    drill.recovery_millis.filter(|_| !drill.is_in_parts())?;
    let replay = drill.phase(Phase::Replay)?;
    let bytes = replay.bytes.filter(|bytes| *bytes >= LEAST_LOG)?;
    Some(Sample::of_drill(per_second(bytes, replay.millis)?, drill.ended))
}

fn per_second(bytes: u64, millis: u64) -> Option<u64> {
    let rate = (u128::from(bytes) * 1_000).checked_div(u128::from(millis)).filter(|_| millis >= SHORTEST_MILLIS)?;
    u64::try_from(rate.min(MOST)).ok().filter(|rate| *rate > 0)
}

fn rate(samples: Vec<Sample<u64>>) -> Option<Measurement<Rate>> {
    let figure = together(samples, NEWEST, |one, other| other.cmp(one))?;
    Some(figure.map(|rate| Rate::per_second(rounded_down(rate))))
}

fn duration(seconds: Vec<Sample<u64>>, most: usize) -> Option<Measurement<Duration>> {
    Some(together(seconds, most, Ord::cmp)?.map(|seconds| Duration::from_secs(seconds.max(1))))
}

fn in_seconds(millis: &[Sample<u64>]) -> Vec<Sample<u64>> {
    millis.iter().map(|sample| Sample { value: sample.value.div_ceil(1_000), ..*sample }).collect()
}

fn as_size(figure: Measurement<u64>) -> Measurement<Size> {
    figure.map(|bytes| Size::new(rounded_up(bytes)))
}

/// How much each hour wrote. Where the log goes backwards, somebody has recovered to an earlier moment.
fn hours(positions: &[(Instant, u64)]) -> Vec<Sample<u64>> {
    let (mut samples, mut from) = (Vec::new(), positions.first().copied());
    for &(at, position) in positions.iter().skip(1) {
        let Some((since, earlier)) = from else { break };
        let seconds = at.as_second() - since.as_second();
        if seconds < *ABOUT_AN_HOUR.start() && position >= earlier {
            continue;
        }
        if let (true, Some(bytes)) = (ABOUT_AN_HOUR.contains(&seconds), position.checked_sub(earlier)) {
            let hour = u128::from(bytes) * 3_600 / u128::from(seconds.unsigned_abs());
            samples.push(Sample::of_run(u64::try_from(hour.min(MOST)).unwrap_or(u64::MAX), at));
        }
        from = Some((at, position));
    }
    samples
}

/// To three digits: more of them say nothing.
fn rounded_down(value: u64) -> u64 {
    let step = 10_u64.pow(value.max(1).ilog10().saturating_sub(2));
    value / step * step
}

fn rounded_up(value: u64) -> u64 {
    let step = 10_u64.pow(value.max(1).ilog10().saturating_sub(2));
    value.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::drills::tests::drill;
    use crate::inventory::{DrillFailure, DrillOutcome, DrillPhase, HowMeasured, RestoredTable};

    fn record(drills: Vec<DrillRecord>) -> Measured {
        measured(&Record { drills, ..Record::default() })
    }

    fn name(name: &str) -> Name {
        name.parse().expect("a name")
    }

    /// 100 GB in 400 s and 100 s of making them durable; 10 GB of log in 100 s.
    #[test]
    fn rates_are_bytes_by_time() {
        let seen = record(vec![drill("2026-11-01T05:00:00Z", 400_000, 100_000)]);
        let main = &seen.fetch[&name("main")];
        assert_eq!((main.value.to_string(), main.samples, main.how), ("200MB/s".to_owned(), Some(1), HowMeasured::Drill));
        assert_eq!(seen.restore.as_ref(), Some(main));
        assert_eq!(seen.replay.expect("replay").value.to_string(), "100MB/s");
        assert_eq!(main.at, "2026-11-01T05:00:00Z".parse().expect("a moment"));
    }

    #[test]
    fn the_slow_end_is_reckoned_with_and_a_slow_store_slows_no_other() {
        let mut offsite = drill("2026-11-03T05:00:00Z", 1_900_000, 100_000);
        offsite.restored.as_mut().expect("restored").store = name("offsite");
        let seen = record(vec![drill("2026-11-01T05:00:00Z", 400_000, 100_000), drill("2026-11-02T05:00:00Z", 300_000, 100_000), offsite]);
        let (main, offsite) = (&seen.fetch[&name("main")], &seen.fetch[&name("offsite")]);
        assert_eq!((main.value.to_string(), main.p50.map(|rate| rate.to_string())), ("200MB/s".into(), Some("250MB/s".into())));
        assert_eq!((offsite.value.to_string(), offsite.samples), ("50MB/s".into(), Some(1)));
        assert_eq!(seen.restore.expect("restore").value.to_string(), "200MB/s");
    }

    /// 30 GB lay there, and four connections waited for them for 250 s each.
    #[test]
    fn what_a_connection_brings_is_a_rate_of_its_own() {
        let fetched = |bytes: u64, millis: u64| {
            let mut drill = drill("2026-11-01T05:00:00Z", 400_000, 100_000);
            drill.phases.push(DrillPhase { phase: Phase::Fetch, millis, bytes: Some(bytes) });
            drill
        };
        let seen = record(vec![fetched(30_000_000_000, 1_000_000), fetched(30_000_000_000, 500_000)]);
        let main = &seen.connection[&name("main")];
        assert_eq!((main.value.to_string(), main.p50.map(|rate| rate.to_string())), ("30MB/s".into(), Some("60MB/s".into())));
        assert_eq!(seen.fetch[&name("main")].value.to_string(), "200MB/s");
        // A table, too, was brought by connections.
        let mut tables = fetched(30_000_000_000, 1_000_000);
        let table = RestoredTable { database: "app".into(), table: "public.orders".into(), rows: Some(17) };
        tables.restored.as_mut().expect("restored").tables.push(table);
        let seen = record(vec![tables]);
        assert_eq!((seen.connection.len(), seen.fetch.len()), (1, 0));
        assert!(record(vec![fetched(1_000, 1_000)]).connection.is_empty(), "too little to say anything");
        let rates: Vec<String> = record(vec![fetched(30_000_000_000, 1_000_000)])
            .rates()
            .into_iter()
            .map(|(what, store, rate)| format!("{} {} {}", what.as_str(), store.map_or("-", Name::as_str), rate.value))
            .collect();
        assert_eq!(rates, ["restore main 200MB/s", "fetch main 30MB/s", "replay - 100MB/s"]);
    }

    #[test]
    fn what_did_not_get_that_far_measures_nothing() {
        let failed = |phase: Phase| {
            let mut drill = drill("2026-11-01T05:00:00Z", 400_000, 100_000);
            drill.outcome = DrillOutcome::Failed;
            drill.failure = Some(DrillFailure { phase, message: "no".into(), hint: String::new() });
            drill.recovery_millis = (phase > Phase::Replay).then_some(600_000);
            record(vec![drill])
        };
        assert_eq!(failed(Phase::Fetch), Measured::default());
        let replay = failed(Phase::Replay);
        assert!(replay.restore.is_some() && replay.replay.is_none());
        let expected = failed(Phase::Expect);
        assert!(expected.restore.is_some() && expected.replay.is_some());
        // Somebody stopped it, nobody knows in which part.
        let mut stopped = drill("2026-11-01T05:00:00Z", 400_000, 100_000);
        (stopped.outcome, stopped.recovery_millis) = (DrillOutcome::Stopped, None);
        assert_eq!(record(vec![stopped]), Measured::default());
        assert_eq!(record(vec![drill("2026-11-01T05:00:00Z", 20, 9)]).restore, None, "too short to say anything");
    }

    #[test]
    fn tables_out_of_a_cluster_say_nothing_of_its_recovery() {
        let whole = drill("2026-11-01T05:00:00Z", 400_000, 100_000);
        let mut tables = drill("2026-11-02T05:00:00Z", 1_000, 100);
        let table = RestoredTable { database: "app".into(), table: "public.orders".into(), rows: Some(17) };
        tables.restored.as_mut().expect("restored").tables.push(table);
        assert_eq!(record(vec![tables.clone()]), Measured::default());
        assert_eq!(record(vec![tables, whole.clone()]), record(vec![whole]));
    }

    #[test]
    fn an_hour_of_the_log_is_a_busy_one() {
        let hour = |hour: i64| Instant::from_second(1_790_000_000 + hour * 3_600).expect("a moment");
        // A quiet day, a busy hour, somebody goes back in time, a gap of a day.
        let mut positions: Vec<(Instant, u64)> = (0..10).map(|at| (hour(at), 1_000_000 * at as u64)).collect();
        positions.push((hour(10), 9_000_000 + 4_000_000_000));
        positions.push((hour(11), 1_000_000));
        positions.push((hour(35), 900_000_000_000));
        let seen = measured(&Record { wal_positions: positions, ..Record::default() }).wal_per_hour.expect("a figure");
        assert_eq!(
            (seen.value.to_string(), seen.p50.map(|size| size.to_string()), seen.samples),
            ("4GB".into(), Some("1MB".into()), Some(10))
        );
        assert_eq!(measured(&Record { wal_positions: vec![(hour(0), 5)], ..Record::default() }).wal_per_hour, None);
    }

    #[test]
    fn runs_and_pushes_take_a_second_at_least() {
        let at: Instant = "2026-11-01T05:00:00Z".parse().expect("a moment");
        let backups = [(name("nightly"), vec![Sample::of_run(1_001, at), Sample::of_run(10, at)])].into();
        let seen = measured(&Record { backups, pushes: vec![Sample::of_run(0, at)], ..Record::default() });
        assert_eq!(seen.backup_durations[&name("nightly")].value, Duration::from_secs(2));
        assert_eq!(seen.push.expect("a push").value, Duration::from_secs(1));
    }

    proptest! {
        /// Whatever was measured can be written down and read again, the careful end is the slow one, and a slower drill makes nothing faster.
        #[test]
        fn figures_hold(times in proptest::collection::vec((0u64..10_000_000, 0u64..10_000_000), 0..40), slower in 0u64..u64::from(u32::MAX)) {
            let drills: Vec<DrillRecord> =
                times.iter().enumerate().map(|(day, (files, sync))| drill(&format!("2026-{:02}-{:02}T05:00:00Z", 1 + day / 28, 1 + day % 28), *files, *sync)).collect();
            let seen = record(drills.clone());
            let read: Measured = serde_json::from_str(&serde_json::to_string(&seen).expect("JSON")).expect("read");
            prop_assert_eq!(&read, &seen);
            if let Some(restore) = &seen.restore {
                prop_assert!(restore.p95 <= restore.p50 && restore.p95 == Some(restore.value));
                let slowest = times.iter().map(|(files, sync)| files + sync).max().unwrap_or(0) + slower;
                let more = record(drills.into_iter().chain([drill("2026-12-31T05:00:00Z", slowest, 0)]).collect());
                // Only the newest count, so the slowest of before may have gone.
                if times.len() < NEWEST {
                    prop_assert!(more.restore.expect("a figure").value <= restore.value);
                }
            }
        }
    }
}
