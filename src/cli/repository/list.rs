//! `seawall list`: what lies in the stores.

use std::collections::{BTreeSet, HashMap};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::moments::{ago, local, span};
use super::{Format, stores, unguarded};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::inventory::{Backup, BackupState, Fork, Observed, Size, WalRange};
use crate::observe::{Rejected, Seen};
use crate::plan::text::{columns, wrapped};
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::recovery::{Forward, Until, forward};
use crate::site::SiteFault;
use crate::units::{Bytes, Instant, Name, Timeline};
use crate::world::{clock, parallel};

/// List the backups in the stores, and how far each can be rolled forward.
///
/// From the stores alone: neither the database nor a key is needed. What nobody accepted by the policy has signed is named and not
/// counted.
#[derive(Debug, Args)]
#[command(
    name = "list",
    after_help = "\
Examples:
  seawall list                               all stores of the policy
  seawall list --store offsite --job nightly
  seawall list --format json | jq '.stores[].backups[].id'"
)]
pub struct List {
    #[command(flatten)]
    here: Here,
    /// Only this store (may be given again).
    #[arg(long, value_name = "NAME")]
    store: Vec<Name>,
    /// Only the backups of this job (may be given again).
    #[arg(long, value_name = "NAME")]
    job: Vec<Name>,
    /// How the list is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall list --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall list")]
pub struct ListOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: &'a Name,
    at: Instant,
    /// The policy names nobody whose signature is accepted, so nothing could be refused.
    unguarded: bool,
    stores: Vec<StoreRecord<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StoreRecord<'a> {
    store: &'a Name,
    place: String,
    /// Why nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    backups: Vec<BackupRecord<'a>>,
    wal: &'a [WalRange],
    forks: &'a [Fork],
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<&'a Observed<Size>>,
    rejected: &'a [Rejected],
    /// Backups of which nothing is known, because their descriptors cannot be read.
    unread: Vec<Unread<'a>>,
    doubts: &'a [String],
}

#[derive(Debug, Serialize, JsonSchema)]
struct Unread<'a> {
    key: &'a str,
    why: &'a str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct BackupRecord<'a> {
    #[serde(flatten)]
    backup: &'a Backup,
    #[serde(skip_serializing_if = "Option::is_none")]
    recoverable: Option<Recoverable>,
}

/// How far a backup can be rolled forward.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Recoverable {
    /// To any moment up to this one.
    AnyMomentUntil { at: Instant, timeline: Timeline },
    /// To its own end only.
    ItsEnd { at: Instant, timeline: Timeline },
    /// Not at all, and why.
    No { because: String },
}

/// One store, as it was seen.
struct Looked<'p> {
    name: &'p Name,
    seen: Result<(String, Seen), SiteFault>,
}

impl Looked<'_> {
    fn is_whole(&self) -> bool {
        self.seen.as_ref().is_ok_and(|(_, seen)| seen.unread.is_empty())
    }
}

impl List {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let now = clock::now();
        let names = stores(&policy, &self.store)?;
        let warning = unguarded(&site)?;
        let looked = parallel::map_with(names.len().min(8), &names, &|name| Looked {
            name,
            seen: site.store(name).and_then(|store| Ok((store.url(), crate::observe::look_as_far_as_possible(&site, &store, now)?))),
        });
        self.jobs_are_known(&policy, &looked)?;
        match self.format {
            Format::Human => {
                let width = Terminal::for_tables(colour, 1000);
                let text: Vec<String> = looked.iter().map(|looked| self.human(looked, &policy, now, width)).collect();
                print(&text.join("\n"))?;
                if let Some(warning) = warning {
                    print(&wrapped(&format!("Note: {warning}"), "\n", "  ", width))?;
                }
            }
            Format::Json => {
                let stores = looked.iter().map(|looked| self.record(looked)).collect();
                print(&json(&ListOutput { format_version: 1, policy: &policy.name, at: now, unguarded: warning.is_some(), stores })?)?;
            }
        }
        // A store that could not be looked at is no empty one, and a backup that could not be read is not gone.
        Ok(if looked.iter().all(Looked::is_whole) { Exit::Done } else { Exit::Failed })
    }

    /// An empty list would say that there are no backups. A job that the policy had once may have left some.
    fn jobs_are_known(&self, policy: &Policy, looked: &[Looked<'_>]) -> Result<(), Trouble> {
        let backups = looked.iter().filter_map(|looked| looked.seen.as_ref().ok()).flat_map(|(_, seen)| &seen.inventory.backups);
        let known: BTreeSet<&Name> = policy.backups.keys().chain(backups.map(|backup| &backup.job)).collect();
        let Some(unknown) = self.job.iter().find(|job| !known.contains(job)) else { return Ok(()) };
        if !looked.iter().all(Looked::is_whole) {
            return Ok(());
        }
        let known: Vec<&str> = known.into_iter().map(Name::as_str).collect();
        let message = format!("neither the policy nor a backup has a job `{unknown}`");
        Err(Trouble::usage(message, format!("There are: {}.", known.join(", "))))
    }

    fn wanted<'s>(&self, seen: &'s Seen) -> Vec<&'s Backup> {
        let mut backups: Vec<&Backup> =
            seen.inventory.backups.iter().filter(|backup| self.job.is_empty() || self.job.contains(&backup.job)).collect();
        backups.sort_by_key(|backup| backup.moment());
        backups
    }

    fn record<'a>(&self, looked: &'a Looked<'_>) -> StoreRecord<'a> {
        let (place, seen) = match &looked.seen {
            Ok((place, seen)) => (place.clone(), seen),
            Err(fault) => {
                return StoreRecord {
                    store: looked.name,
                    place: String::new(),
                    unknown: Some(&fault.message),
                    repository: None,
                    backups: vec![],
                    wal: &[],
                    forks: &[],
                    used: None,
                    rejected: &[],
                    unread: vec![],
                    doubts: &[],
                };
            }
        };
        let mut reach = reach(seen);
        let backups = self.wanted(seen).into_iter().map(|backup| BackupRecord {
            backup,
            recoverable: reach.remove(backup.id.as_str()).map(|until| match until {
                Ok(Until::Moment { at, timeline }) => Recoverable::AnyMomentUntil { at, timeline },
                Ok(Until::ItsEnd { at, timeline }) => Recoverable::ItsEnd { at, timeline },
                Err(because) => Recoverable::No { because: because.to_string() },
            }),
        });
        StoreRecord {
            store: looked.name,
            place,
            unknown: None,
            repository: seen.repository.as_ref().map(ToString::to_string),
            backups: backups.collect(),
            wal: &seen.inventory.wal,
            forks: &seen.inventory.forks,
            used: Some(&seen.inventory.used),
            rejected: &seen.rejected,
            unread: seen.unread.iter().map(|(key, fault)| Unread { key: key.as_str(), why: &fault.message }).collect(),
            doubts: &seen.doubts,
        }
    }

    fn human(&self, looked: &Looked<'_>, policy: &Policy, now: Instant, width: u16) -> String {
        let (place, seen) = match &looked.seen {
            Ok((place, seen)) => (place, seen),
            Err(fault) => {
                let text = format!("Store {}: what lies there is unknown: {}", looked.name, fault.message);
                return wrapped(&text, "", "  ", width) + &wrapped(&fault.hint, "  ", "  ", width);
            }
        };
        let Some(repository) = &seen.repository else {
            return wrapped(&format!("Store {} ({place}): nothing of this policy lies there", looked.name), "", "  ", width);
        };
        let mut text = wrapped(&format!("Store {} ({place}), repository {repository}", looked.name), "", "  ", width);
        let backups = self.wanted(seen);
        let mut reach = reach(seen);
        let mut rows: Vec<Vec<String>> = backups.iter().map(|backup| row(backup, reach.remove(backup.id.as_str()), policy, now)).collect();
        let mut header = HEADER.to_vec();
        if backups.iter().any(|backup| backup.storage_class.is_some()) {
            header.push(CLASS);
            let classes = backups.iter().map(|backup| backup.storage_class.map_or_else(String::new, |class| class.to_string()));
            rows.iter_mut().zip(classes).for_each(|(row, class)| row.push(class));
        }
        text.push_str(&columns(&header, rows, width));
        text.push_str(&totals(&backups, seen, width));
        text.push_str(&wal(seen, policy, now, width));
        for (key, fault) in &seen.unread {
            text.push_str(&wrapped(&format!("UNREADABLE, so not in the list: {key}: {}", tame(&fault.message)), "  ", "    ", width));
        }
        for doubt in &seen.doubts {
            text.push_str(&wrapped(&format!("Unknown: {doubt}"), "  ", "    ", width));
        }
        text + &rejected(&seen.rejected, width)
    }
}

const HEADER: [&str; 12] = ["id", "job", "kind", "taken", "took", "size", "stored", "ratio", "tl", "state", "label", "recoverable to"];
/// Only where something moves from one to another.
const CLASS: &str = "class";

fn reach(seen: &Seen) -> HashMap<String, Result<Until, crate::recovery::Missing>> {
    forward(&seen.inventory).into_iter().map(|Forward { backup, until }| (backup.to_string(), until)).collect()
}

fn row(backup: &Backup, until: Option<Result<Until, crate::recovery::Missing>>, policy: &Policy, now: Instant) -> Vec<String> {
    let size = |size: Option<Size>| size.map_or_else(String::new, |size| size.bytes().rounded());
    let ratio = match (backup.size, backup.stored_size) {
        (Some(size), Some(stored)) if stored.bytes().get() > 0 => {
            let tenths = size.bytes().get().saturating_mul(10) / stored.bytes().get();
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => String::new(),
    };
    let took = backup.stopped.map_or_else(String::new, |stopped| span(stopped.as_second() - backup.started.as_second()));
    let recoverable = match until {
        // Along a later timeline it is another history than the backup's own: said, since the column beside it says otherwise.
        Some(Ok(Until::Moment { at, timeline })) if backup.timeline != Some(timeline) => {
            format!("{} on tl {timeline}", local(at, &policy.zone))
        }
        Some(Ok(Until::Moment { at, .. })) => local(at, &policy.zone),
        Some(Ok(Until::ItsEnd { .. })) => "its end only".into(),
        Some(Err(_)) => "nothing".into(),
        None => String::new(),
    };
    vec![
        backup.id.to_string(),
        backup.job.to_string(),
        kind(backup).into(),
        format!("{}, {}", local(backup.moment(), &policy.zone), ago(backup.moment(), now)),
        took,
        size(backup.size),
        size(backup.stored_size),
        ratio,
        backup.timeline.map_or_else(String::new, |timeline| timeline.to_string()),
        state(backup).into(),
        backup.label.clone().unwrap_or_default(),
        recoverable,
    ]
}

pub(super) fn kind(backup: &Backup) -> &'static str {
    use crate::inventory::BackupKind::*;
    match backup.kind {
        Full => "full",
        Incremental => "incremental",
        Logical => "logical",
        Tables => "tables",
        Files if backup.parent.is_some() => "files, increment",
        Files => "files",
        Provider => "provider",
    }
}

pub(super) fn state(backup: &Backup) -> &'static str {
    match backup.state {
        BackupState::Complete => "complete",
        BackupState::Running => "running",
        BackupState::Failed => "FAILED",
        BackupState::Damaged => "DAMAGED",
    }
}

fn totals(backups: &[&Backup], seen: &Seen, width: u16) -> String {
    let complete = backups.iter().filter(|backup| backup.state == BackupState::Complete).count();
    let stored: u64 = backups.iter().filter_map(|backup| backup.stored_size).map(|size| size.bytes().get()).sum();
    let used = seen.inventory.used.known().map_or_else(String::new, |used| format!("; {} used in all", used.bytes().rounded()));
    let other = match backups.len() - complete {
        0 => String::new(),
        others => format!(", {others} not complete"),
    };
    let words = format!("{}{other}, {} stored{used}", counted(complete, "complete backup"), Bytes::new(stored).rounded());
    wrapped(&words, "  ", "  ", width)
}

fn wal(seen: &Seen, policy: &Policy, now: Instant, width: u16) -> String {
    let mut text = String::new();
    for range in &seen.inventory.wal {
        let words = format!(
            "Write-ahead log, timeline {}: {} to {}, whole from {} to {} ({})",
            range.timeline,
            range.from_lsn,
            range.to_lsn,
            local(range.from_time, &policy.zone),
            local(range.to_time, &policy.zone),
            ago(range.to_time, now)
        );
        text.push_str(&wrapped(&words, "  ", "    ", width));
    }
    if seen.inventory.wal.is_empty() {
        text.push_str("  No write-ahead log lies there\n");
    }
    text
}

/// Somebody may have planted these: they come last, where the eye ends.
fn rejected(rejected: &[Rejected], width: u16) -> String {
    const NAMED: usize = 50;
    if rejected.is_empty() {
        return String::new();
    }
    let mut text = format!("  REJECTED, and not counted ({}):\n", rejected.len());
    for one in rejected.iter().take(NAMED) {
        text.push_str(&wrapped(&format!("{}: {}", one.key, tame(&one.why)), "    ", "      ", width));
    }
    if rejected.len() > NAMED {
        text.push_str(&format!("    and {} more\n", rejected.len() - NAMED));
    }
    text
}
