use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Size, unique};
use crate::units::{Duration, Instant, Name, Rate};

/// What was measured about this cluster. A figure that is absent was never measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// How fast a base backup is unpacked into a data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "200MB/s", "at": "2026-11-02T04:31:00Z", "how": "drill" }))]
    pub restore: Option<Measurement<Rate>>,
    /// How fast PostgreSQL replays the write-ahead log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "80MB/s", "at": "2026-11-02T04:52:00Z", "how": "drill" }))]
    pub replay: Option<Measurement<Rate>>,
    /// How fast a dump is loaded, with its indexes, and counted: plain bytes of the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "20MB/s", "at": "2026-11-02T05:10:00Z", "how": "drill" }))]
    pub load: Option<Measurement<Rate>>,
    /// How fast each store gives data back: from its objects to files on the disk.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "main": { "value": "150MB/s", "at": "2026-11-02T04:20:00Z", "how": "drill" } }))]
    pub fetch: BTreeMap<Name, Measurement<Rate>>,
    /// How fast one connection to each store brings what lies there, as it lies there: a restore has several of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "main": { "value": "40MB/s", "at": "2026-11-02T04:20:00Z", "how": "drill" } }))]
    pub connection: BTreeMap<Name, Measurement<Rate>>,
    /// How long each job's backup takes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "nightly": { "value": "41m", "at": "2026-11-21T02:41:07Z", "how": "run" } }))]
    pub backup_durations: BTreeMap<Name, Measurement<Duration>>,
    /// How much write-ahead log a busy hour writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "4GB", "at": "2026-11-20T00:00:00Z", "how": "run" }))]
    pub wal_per_hour: Option<Measurement<Size>>,
    /// How large each job's newest backup is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "nightly": { "value": "500GB", "at": "2026-11-21T02:41:07Z", "how": "run" } }))]
    pub sizes: BTreeMap<Name, Measurement<Size>>,
    /// How long one segment takes into the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "value": "2s", "at": "2026-11-20T00:00:00Z", "how": "run" }))]
    pub push: Option<Measurement<Duration>>,
    /// How long drills took that rehearse a scenario of which no rate says anything: some tables of a cluster, or a standby that is promoted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "single-table": { "value": "4m", "at": "2026-11-02T05:20:00Z", "how": "drill" } }))]
    pub rehearsals: BTreeMap<Name, Measurement<Duration>>,
}

/// A figure, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
#[schemars(rename = "Measurement_{T}")]
pub struct Measurement<T> {
    /// The figure that is reckoned with. Of several samples it is the careful one, `p95`: what a promise rests on must hold on a bad day.
    pub value: T,
    /// When it was measured; of several samples, the newest.
    #[schemars(example = &"2026-11-02T04:31:00Z")]
    pub at: Instant,
    /// What measured it.
    #[schemars(example = &"drill")]
    pub how: HowMeasured,
    /// At least half of the samples were as good as this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<T>,
    /// At least 95 of 100 samples were as good as this; of fewer than twenty, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<T>,
    /// How many samples it rests on. Absent where somebody wrote the figure down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 6)]
    pub samples: Option<u32>,
}

impl<T> Measurement<T> {
    /// Measured once, or written down by somebody.
    pub fn once(value: T, at: Instant, how: HowMeasured) -> Self {
        Measurement { value, at, how, p50: None, p95: None, samples: None }
    }
}

impl<T> Measurement<T> {
    /// The same figure in other terms.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Measurement<U> {
        let Measurement { value, at, how, p50, p95, samples } = self;
        Measurement { value: change(value), at, how, p50: p50.map(&change), p95: p95.map(&change), samples }
    }
}

impl<T: Clone> Measurement<T> {
    /// The same, reckoned with what is usual.
    fn usual(&self) -> Self {
        Measurement { value: self.p50.clone().unwrap_or_else(|| self.value.clone()), ..self.clone() }
    }
}

/// What a rate is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RateOf {
    /// From a store's objects to files on the disk.
    Restore,
    /// What one connection to a store brings.
    Fetch,
    /// The write-ahead log.
    Replay,
    /// A dump.
    Load,
}

impl RateOf {
    pub const ALL: [RateOf; 4] = [RateOf::Restore, RateOf::Fetch, RateOf::Replay, RateOf::Load];

    pub fn as_str(self) -> &'static str {
        match self {
            RateOf::Restore => "restore",
            RateOf::Fetch => "fetch",
            RateOf::Replay => "replay",
            RateOf::Load => "load",
        }
    }

    /// What it is, for people.
    pub fn says(self) -> &'static str {
        match self {
            RateOf::Restore => "restoring files",
            RateOf::Fetch => "fetching, with one connection",
            RateOf::Replay => "replaying the log",
            RateOf::Load => "loading a dump",
        }
    }
}

impl Measured {
    /// Every rate of a recovery, with the store where it is one's.
    pub fn rates(&self) -> Vec<(RateOf, Option<&Name>, &Measurement<Rate>)> {
        type Rates<'m> = Vec<(RateOf, Option<&'m Name>, &'m Measurement<Rate>)>;
        fn of(what: RateOf, figures: &BTreeMap<Name, Measurement<Rate>>) -> Rates<'_> {
            figures.iter().map(|(store, figure)| (what, Some(store), figure)).collect()
        }
        let mut all = of(RateOf::Restore, &self.fetch);
        all.extend(of(RateOf::Fetch, &self.connection));
        all.extend(self.replay.iter().map(|figure| (RateOf::Replay, None, figure)));
        all.extend(self.load.iter().map(|figure| (RateOf::Load, None, figure)));
        all
    }

    /// The same figures as they usually are, where that is known: the other end of the careful ones.
    pub fn usual(&self) -> Measured {
        fn all<T: Clone>(figures: &BTreeMap<Name, Measurement<T>>) -> BTreeMap<Name, Measurement<T>> {
            figures.iter().map(|(name, figure)| (name.clone(), figure.usual())).collect()
        }
        Measured {
            restore: self.restore.as_ref().map(Measurement::usual),
            replay: self.replay.as_ref().map(Measurement::usual),
            load: self.load.as_ref().map(Measurement::usual),
            fetch: all(&self.fetch),
            connection: all(&self.connection),
            backup_durations: all(&self.backup_durations),
            wal_per_hour: self.wal_per_hour.as_ref().map(Measurement::usual),
            sizes: all(&self.sizes),
            push: self.push.as_ref().map(Measurement::usual),
            rehearsals: all(&self.rehearsals),
        }
    }
}

/// What measured a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HowMeasured {
    /// A restore drill.
    Drill,
    /// A real recovery.
    Recovery,
    /// The ordinary runs of the job.
    Run,
    /// A measurement made on demand.
    Benchmark,
}
