//! What the catalog knows of recoveries: the samples that evidence is made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, CatalogFault, Latest, RECOVERY_POINT, RECOVERY_POINT_WORST};
use crate::evidence::{self, IDENTITY_OPENED, IDENTITY_PART_OPENED, Noted, Record, Sample, part_subject};
use crate::inventory::{ClusterInventory, DrillPhase, DrillRecord, IdentityStanding, Measured, Observed, Phase, PointsSeen, Proven};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant, Name, moment_of};

/// Where the log ended, about once an hour.
pub const WAL_POSITION: &str = "wal_position_bytes";
/// How long a finished segment took into the store, at the moment at which it was there.
pub const WAL_PUSH: &str = "wal_push_seconds";
/// How fast a real recovery restored its files, by store.
pub const RECOVERED: &str = "recovered_bytes_per_second";
/// Of a dump that was restored into a database, with its indexes; the subject is its store.
pub const LOADED: &str = "loaded_bytes_per_second";

/// So far back drills and recoveries are looked for. The last one of each drill counts however old it is.
pub const DRILLS_WITHIN: Duration = Duration::from_days(400);
/// So far back for the worst, and for how much log is written.
const MONTH: Duration = Duration::from_days(30);
const DAY: Duration = Duration::from_days(1);
/// So many runs of a job.
const RUNS: usize = 30;

/// What is on record of one policy.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub measured: Measured,
    pub proven: Proven,
}

impl Recorded {
    /// What drills alone have shown, where there is no catalog.
    pub fn of_drills(policy: &Policy, drills: Vec<DrillRecord>) -> Recorded {
        let proven = Proven {
            drills: evidence::standing(policy.drills.keys(), &drills, &BTreeMap::new()),
            recovery_point: None,
            identities: identities(&[], &drills),
        };
        Recorded { measured: evidence::measured(&Record { drills, ..Record::default() }), proven }
    }

    /// As an inventory in which nothing else is known.
    pub fn alone(self) -> ClusterInventory {
        let unknown = "only the catalog was asked";
        ClusterInventory {
            repository: None,
            system_identifier: Observed::unknown(unknown),
            postgres_version: Observed::unknown(unknown),
            cluster_size: Observed::unknown(unknown),
            stores: BTreeMap::new(),
            measured: Observed::Known(self.measured),
            proven: Some(Observed::Known(self.proven)),
            holds: Observed::unknown(unknown),
            timescaledb: BTreeMap::new(),
            server: None,
        }
    }
}

/// Reads it all. Nothing is asked but the catalog.
pub fn recorded(policy: &Policy, catalog: &Catalog, now: Instant) -> Result<Recorded, CatalogFault> {
    recorded_with(policy, catalog, Vec::new(), now)
}

/// The same with drills that the catalog does not know, each of which is there once.
pub fn recorded_with(policy: &Policy, catalog: &Catalog, others: Vec<DrillRecord>, now: Instant) -> Result<Recorded, CatalogFault> {
    let name = policy.name.as_str();
    let mut drills = drills(catalog, name, now)?;
    drills.extend(others);
    let latest = catalog.latest(name)?;
    let jobs = catalog.last_runs(name)?;
    let first_seen = jobs.iter().filter_map(|job| Some((job.job.strip_prefix("drills.")?.parse().ok()?, job.first_seen))).collect();
    let proven = Proven {
        drills: evidence::standing(policy.drills.keys(), &drills, &first_seen),
        recovery_point: points(catalog, name, &latest, now)?,
        identities: identities(&latest, &drills),
    };
    let mut record = Record { recoveries: recoveries(catalog, name, &latest, now)?, drills, ..Record::default() };
    record.loads = loads(catalog, name, &latest, now)?;
    for job in policy.backups.keys() {
        let path = format!("backups.{job}");
        let took = catalog.durations(name, &path, RUNS)?;
        let millis = |took: &crate::catalog::Taken| {
            u64::try_from(took.ended.duration_since(took.started).as_millis()).ok().map(|millis| Sample::of_run(millis, took.ended))
        };
        record.backups.insert(job.clone(), took.iter().filter_map(millis).collect());
        record.sizes.extend(catalog.sizes(name, &path, 1)?.first().map(|size| (job.clone(), Sample::of_run(size.bytes, size.at))));
    }
    let since = |length: Duration| now.checked_sub(length.to_signed()).unwrap_or(now);
    let whole = |(at, value): (Instant, f64)| (value >= 0.0).then_some((at, value as u64));
    record.wal_positions = catalog.series(name, WAL_POSITION, "", since(MONTH))?.into_iter().filter_map(whole).collect();
    let pushes = catalog.series(name, WAL_PUSH, "", since(DAY))?;
    record.pushes = pushes.into_iter().filter_map(whole).map(|(at, seconds)| Sample::of_run(seconds, at)).collect();
    Ok(Recorded { measured: evidence::measured(&record), proven })
}

/// Each once. One that a newer Seawall wrote and this one cannot read is passed over, and said.
fn drills(catalog: &Catalog, policy: &str, now: Instant) -> Result<Vec<DrillRecord>, CatalogFault> {
    let since = now.checked_sub(DRILLS_WITHIN.to_signed()).unwrap_or(now);
    let mut known = BTreeSet::new();
    let rows = catalog.drills(policy, since)?.into_iter().chain(catalog.last_drills(policy)?);
    let rows = rows.filter(|row| known.insert(row.id.clone()));
    Ok(rows
        .filter_map(|row| match serde_json::from_str(&row.record) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::warn!("the record of drill {} cannot be read and counts for nothing: {error}", row.id);
                None
            }
        })
        .collect())
}

fn recoveries(catalog: &Catalog, policy: &str, latest: &[Latest], now: Instant) -> Result<Vec<(Name, Sample<u64>)>, CatalogFault> {
    let since = now.checked_sub(DRILLS_WITHIN.to_signed()).unwrap_or(now);
    let mut all = Vec::new();
    for one in latest.iter().filter(|one| one.name == RECOVERED) {
        let Ok(store) = one.subject.parse::<Name>() else { continue };
        let series = catalog.series(policy, RECOVERED, &one.subject, since)?;
        all.extend(
            series.into_iter().filter(|(_, rate)| *rate >= 1.0).map(|(at, rate)| (store.clone(), Sample::of_recovery(rate as u64, at))),
        );
    }
    Ok(all)
}

/// From wherever they came: what a dump takes is the server's time.
fn loads(catalog: &Catalog, policy: &str, latest: &[Latest], now: Instant) -> Result<Vec<Sample<u64>>, CatalogFault> {
    let since = now.checked_sub(DRILLS_WITHIN.to_signed()).unwrap_or(now);
    let mut all = Vec::new();
    for one in latest.iter().filter(|one| one.name == LOADED) {
        let series = catalog.series(policy, LOADED, &one.subject, since)?;
        all.extend(series.into_iter().filter(|(_, rate)| *rate >= 1.0).map(|(at, rate)| Sample::of_recovery(rate as u64, at)));
    }
    Ok(all)
}

fn points(catalog: &Catalog, policy: &str, latest: &[Latest], now: Instant) -> Result<Option<PointsSeen>, CatalogFault> {
    let Some(last) = latest.iter().find(|one| one.name == RECOVERY_POINT && one.subject.is_empty()) else { return Ok(None) };
    let since = now.checked_sub(MONTH.to_signed()).unwrap_or(now);
    let worst = evidence::worst(&catalog.series(policy, RECOVERY_POINT_WORST, "", since)?);
    Ok(Some(PointsSeen {
        lost_seconds: last.value.max(0.0) as u64,
        at: last.at,
        worst_seconds: worst.map(|(_, lost)| lost.as_secs()),
        worst_at: worst.map(|(at, _)| at),
    }))
}

/// By the record of what was opened, and by what drills say of themselves.
pub fn identities(latest: &[Latest], drills: &[DrillRecord]) -> BTreeMap<String, IdentityStanding> {
    let opened = |phase: &DrillPhase| matches!(phase.phase, Phase::Files | Phase::Load);
    let drilled = drills.iter().filter(|drill| drill.phases.iter().any(opened)).filter_map(|drill| {
        let key = drill.opened_with.as_deref()?;
        Some((key, drill.opened_with_part.as_deref().map(|part| part_subject(key, part)), drill.ended))
    });
    let drilled: Vec<(&str, Option<String>, Instant)> = drilled.collect();
    let of_drills = drilled.iter().flat_map(|(key, part, at)| {
        let noted = |name, subject| Noted { name, subject, value: Some(*at), at: *at };
        [Some(noted(IDENTITY_OPENED, *key)), part.as_deref().map(|part| noted(IDENTITY_PART_OPENED, part))]
    });
    let on_record = latest.iter().map(|one| Noted { name: &one.name, subject: &one.subject, value: moment_of(one.value), at: one.at });
    evidence::identities(on_record.chain(of_drills.flatten()))
}
