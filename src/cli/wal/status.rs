//! `seawall wal status`: how far the archive reaches, what is missing in it, and what waits here.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::settings;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::repository::{Format, ago, span};
use crate::cli::terminal::{Colour, print, tame};
use crate::cli::validate::json;
use crate::inventory::{Fork, SystemIdentifier, WalRange, gaps};
use crate::observe::{Rejected, WalSeen, look_at_log};
use crate::plan::words::counted;
use crate::site::{Site, SiteFault};
use crate::units::{Bytes, Instant, Lsn, Name, Segment, Timeline};
use crate::wal::{OwedFiles, Waiting, system_identifier, usual_data_directory, waiting};
use crate::world::clock;

/// Show how far the archived write-ahead log reaches, what is missing in it, and what waits on this host.
///
/// From the stores alone, and from the data directory where there is one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall wal status                             on any machine: what the stores have
  seawall wal status --data /var/lib/postgresql/15/main
  seawall wal status --format json | jq '.stores[].timelines[].gaps'")]
pub struct Status {
    #[command(flatten)]
    here: Here,
    /// The cluster's data directory [default: $PGDATA, then the policy's `cluster.data_directory`, then this directory if it is one].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall wal status --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall wal status")]
pub struct WalStatusOutput {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: Name,
    at: Instant,
    stores: Vec<StoreRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<HereRecord>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StoreRecord {
    store: Name,
    place: String,
    /// Why nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// And the way out, for people.
    #[serde(skip)]
    hint: String,
    timelines: Vec<TimelineRecord>,
    forks: Vec<Fork>,
    rejected: Vec<Rejected>,
    doubts: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TimelineRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_identifier: Option<SystemIdentifier>,
    timeline: Timeline,
    /// The first position that is there, and the first one that is not: between them may be gaps.
    from_lsn: Lsn,
    to_lsn: Lsn,
    /// Up to which position and moment everything from the last gap on is there.
    unbroken_from_lsn: Lsn,
    to_time: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_segment: Option<String>,
    gaps: Vec<GapRecord>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GapRecord {
    from_lsn: Lsn,
    to_lsn: Lsn,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct HereRecord {
    data_directory: String,
    system_identifier: SystemIdentifier,
    waiting_files: usize,
    waiting_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_since: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    owed: Vec<OwedRecord>,
    /// What the last call that failed said, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wal_bytes_per_hour: Option<u64>,
    /// `measured` in the archive, or `assumed` by the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_is: Option<&'static str>,
    /// How long `pg_wal` can grow when nothing is archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_for_seconds: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OwedRecord {
    store: String,
    files: usize,
    /// So many of them no waiting brings there.
    refused: usize,
    /// Why, for the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Status {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let now = clock::now();
        let wal = settings::wal(&site)?;
        let seen: Vec<(&Name, Result<Option<WalSeen>, SiteFault>)> =
            settings::stores(wal).map(|name| (name, site.store(name).and_then(|store| look_at_log(&site, &store, now)))).collect();
        let here = self.here_record(&site, &seen)?;
        let stores: Vec<StoreRecord> = seen.into_iter().map(|(name, seen)| store_record(&site, name, seen)).collect();
        let known = stores.iter().all(|store| store.unknown.is_none());
        let output = WalStatusOutput { format_version: 1, policy: policy.name.clone(), at: now, stores, here };
        match self.format {
            Format::Human => print(&tame_lines(&human(&output)))?,
            Format::Json => print(&json(&output)?)?,
        }
        Ok(if known { Exit::Done } else { Exit::Failed })
    }

    fn here_record(&self, site: &Site<'_>, seen: &[(&Name, Result<Option<WalSeen>, SiteFault>)]) -> Result<Option<HereRecord>, Trouble> {
        let of_policy = site.policy.file.cluster.as_ref().and_then(|cluster| cluster.data_directory.as_deref());
        let Some(data) = self.data.clone().or_else(|| usual_data_directory(of_policy)) else { return Ok(None) };
        let cluster = system_identifier(&data).map_err(|fault| Trouble::failed(fault.message, fault.hint))?;
        let state = site.log_state();
        let waits = waiting(&data, &state, cluster).map_err(|error| {
            let hint = "Run it as the user that PostgreSQL runs as, or leave `--data` out to see the stores alone.";
            Trouble::failed(format!("`{}` cannot be looked at: {error}", data.join("pg_wal").display()), hint)
        })?;
        let ranges = seen.iter().filter_map(|(_, seen)| seen.as_ref().ok()?.as_ref()).flat_map(|seen| &seen.ranges);
        let newest = ranges.filter(|range| range.system_identifier == Some(cluster)).max_by_key(|range| range.to_time);
        let assumed = site.policy.objectives.assume.wal_per_hour.map(|bytes| (bytes.get(), "assumed"));
        let rate = newest.and_then(measured).map(|rate| (rate, "measured")).or(assumed);
        Ok(Some(record_of(&data, cluster, &waits, fs::read_to_string(state.join("last-failure")).ok(), rate)))
    }
}

/// Bytes of log an hour, over the newest unbroken stretch of the archive; nothing from less than ten minutes.
fn measured(range: &WalRange) -> Option<u64> {
    let seconds = u64::try_from(range.to_time.as_second() - range.from_time.as_second()).ok().filter(|seconds| *seconds >= 600)?;
    let bytes = u128::from(range.to_lsn.0.checked_sub(range.from_lsn.0)?);
    u64::try_from(bytes * 3600 / u128::from(seconds)).ok()
}

fn record_of(
    data: &std::path::Path,
    cluster: SystemIdentifier,
    waits: &Waiting,
    last_failure: Option<String>,
    rate: Option<(u64, &'static str)>,
) -> HereRecord {
    let room = waits.free.zip(rate).and_then(|(free, (rate, _))| free.checked_mul(3600)?.checked_div(rate));
    HereRecord {
        data_directory: data.display().to_string(),
        system_identifier: cluster,
        waiting_files: waits.files.len(),
        waiting_bytes: waits.bytes,
        waiting_since: waits.since,
        next: waits.files.first().map(ToString::to_string),
        owed: waits.owed.iter().map(owed_record).collect(),
        last_failure: last_failure.map(|line| line.trim_end().to_owned()),
        free_bytes: waits.free,
        wal_bytes_per_hour: rate.map(|(rate, _)| rate),
        rate_is: rate.map(|(_, is)| is),
        room_for_seconds: room,
    }
}

fn owed_record((store, owed): (&String, &OwedFiles)) -> OwedRecord {
    let why = owed.why.as_ref();
    OwedRecord {
        store: store.clone(),
        files: owed.files,
        refused: owed.refused,
        why: why.map(|refused| refused.why.clone()),
        hint: why.map(|refused| refused.hint.clone()).filter(|hint| !hint.is_empty()),
    }
}

fn store_record(site: &Site<'_>, name: &Name, seen: Result<Option<WalSeen>, SiteFault>) -> StoreRecord {
    let place = site.policy.stores.get(name).map(|store| store.kind.url()).unwrap_or_default();
    let (seen, unknown, hint) = match seen {
        Ok(seen) => (seen.unwrap_or_default(), None, String::new()),
        Err(fault) => (WalSeen::default(), Some(fault.message), fault.hint),
    };
    let timelines = timelines(&seen);
    StoreRecord { store: name.clone(), place, unknown, hint, timelines, forks: seen.forks, rejected: seen.rejected, doubts: seen.doubts }
}

/// The unbroken stretches of each timeline in order, and what is missing between them.
fn timelines(seen: &WalSeen) -> Vec<TimelineRecord> {
    let mut ranges: Vec<&WalRange> = seen.ranges.iter().collect();
    ranges.sort_by_key(|range| (range.system_identifier, range.timeline, range.from_lsn));
    ranges
        .chunk_by(|a, b| (a.system_identifier, a.timeline) == (b.system_identifier, b.timeline))
        .map(|ranges| timeline(seen, ranges))
        .collect()
}

fn timeline(seen: &WalSeen, ranges: &[&WalRange]) -> TimelineRecord {
    let (first, last) = (ranges[0], ranges[ranges.len() - 1]);
    let size = first.system_identifier.and_then(|cluster| seen.sizes.get(&cluster).copied());
    let at = |lsn: Lsn| size.map(|size| Segment::of(first.timeline, lsn, size));
    let before = |lsn: Lsn| size.map(|size| Segment::before(first.timeline, lsn, size));
    let gaps = gaps(ranges.iter().copied());
    let record = |(a, b): &(&WalRange, &WalRange)| GapRecord {
        from_lsn: a.to_lsn,
        to_lsn: b.from_lsn,
        first_segment: at(a.to_lsn).map(|segment| segment.to_string()),
        last_segment: before(b.from_lsn).map(|segment| segment.to_string()),
        segments: size.map(|size| b.from_lsn.0.saturating_sub(a.to_lsn.0).div_ceil(size.bytes())),
    };
    let unbroken = gaps.last().map_or(first, |(_, after)| after);
    TimelineRecord {
        system_identifier: first.system_identifier,
        timeline: first.timeline,
        from_lsn: first.from_lsn,
        to_lsn: last.to_lsn,
        unbroken_from_lsn: unbroken.from_lsn,
        to_time: last.to_time,
        oldest_segment: at(first.from_lsn).map(|segment| segment.to_string()),
        newest_segment: before(last.to_lsn).map(|segment| segment.to_string()),
        gaps: gaps.iter().map(record).collect(),
    }
}

fn human(output: &WalStatusOutput) -> String {
    let mut lines = Vec::new();
    for store in &output.stores {
        lines.push(format!("store {} ({})", store.store, store.place));
        match &store.unknown {
            Some(why) => lines.extend([format!("  cannot be looked at: {why}"), format!("  {}", store.hint)]),
            None if store.timelines.is_empty() => lines.push("  no write-ahead log".to_owned()),
            None => {}
        }
        for timeline in &store.timelines {
            lines.extend(timeline_lines(timeline, output.at));
        }
        lines.extend(store.rejected.iter().map(|rejected| format!("  not believed: {}: {}", rejected.key, rejected.why)));
        lines.extend(store.doubts.iter().map(|doubt| format!("  not known: {doubt}")));
    }
    lines.extend(output.here.iter().flat_map(|here| here_lines(here, output.at)));
    lines.join("\n") + "\n"
}

fn timeline_lines(timeline: &TimelineRecord, now: Instant) -> Vec<String> {
    let cluster = timeline.system_identifier.map(|cluster| format!(" of cluster {cluster}")).unwrap_or_default();
    let newest = timeline.newest_segment.as_deref().unwrap_or("");
    let mut lines = vec![format!(
        "  timeline {}{cluster}: {} to {} ({newest}), last written {}",
        timeline.timeline,
        timeline.from_lsn,
        timeline.to_lsn,
        ago(timeline.to_time, now)
    )];
    for gap in &timeline.gaps {
        let count = gap.segments.map(|count| counted(count, "segment")).unwrap_or_default();
        let names = match (&gap.first_segment, &gap.last_segment) {
            (Some(first), Some(last)) if first == last => format!(": {first}"),
            (Some(first), Some(last)) => format!(": {first} to {last}"),
            _ => String::new(),
        };
        lines.push(format!("    missing from {} to {}, {count}{names}", gap.from_lsn, gap.to_lsn));
    }
    if !timeline.gaps.is_empty() {
        lines.push(format!("    unbroken from {} on", timeline.unbroken_from_lsn));
    }
    lines
}

fn here_lines(here: &HereRecord, now: Instant) -> Vec<String> {
    let mut lines = vec![format!("here ({})", here.data_directory)];
    let since = here.waiting_since.map(|since| format!(", the oldest written {}", ago(since, now))).unwrap_or_default();
    lines.push(match &here.next {
        Some(next) => {
            let wait = if here.waiting_files == 1 { "waits" } else { "wait" };
            format!(
                "  {} {wait} ({}), from {next} on{since}",
                counted(here.waiting_files, "file"),
                Bytes::new(here.waiting_bytes).rounded()
            )
        }
        None => "  nothing waits to be archived".to_owned(),
    });
    for owed in &here.owed {
        lines.push(format!("  store {} is owed {}", owed.store, counted(owed.files, "file")));
        lines.extend(owed.why.iter().map(|why| format!("    no waiting brings {} of them there: {why}", owed.refused)));
        lines.extend(owed.hint.iter().map(|hint| format!("    {hint}")));
    }
    if let (Some(free), Some(rate), Some(is)) = (here.free_bytes, here.wal_bytes_per_hour, here.rate_is) {
        let room = here.room_for_seconds.map(|room| span(i64::try_from(room).unwrap_or(i64::MAX))).unwrap_or_else(|| "ever".into());
        let (free, rate) = (Bytes::new(free).rounded(), Bytes::new(rate).rounded());
        lines.push(format!(
            "  if nothing can be archived, pg_wal can grow for {room}: {free} are free, and {rate} an hour are written ({is})"
        ));
    }
    lines.extend(here.last_failure.iter().map(|failure| format!("  the last failure: {failure}")));
    lines
}

/// Names and messages come from outside; the lines are ours.
fn tame_lines(text: &str) -> String {
    text.split('\n').map(|line| tame(line).into_owned()).collect::<Vec<_>>().join("\n")
}
