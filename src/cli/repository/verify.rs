//! `seawall verify`: is what lies in the stores what was put there?

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Format, stores, unguarded};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::moment;
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::execute::custody;
use crate::format::seal::Identities;
use crate::plan::text::wrapped;
use crate::plan::words::counted;
use crate::policy::model::Encryption;
use crate::site::{Site, SiteFault};
use crate::units::{BackupId, Bytes, Instant, Name};
use crate::verify::{FaultKind, Progress, Report, Wanted, verify};
use crate::world::clock;

/// Prove that what lies in the stores is what was put there: every object's size and hash, every signature, every chain, and
/// the write-ahead log without a gap.
///
/// Needs no key. With `--deep` and an identity everything is opened as well, and looked at down to PostgreSQL's own pages. Whatever
/// is found is named, and the exit code is 1.
#[derive(Debug, Args)]
#[command(
    name = "verify",
    after_help = "\
Examples:
  seawall verify                                          everything in all stores
  seawall verify --deep --identity recovery.txt           and what is inside
  seawall verify --since 2026-11-20 --store offsite       what was written there since that day
  seawall verify 20261121T020000Z-7f3c0011                one backup and the log that it needs"
)]
pub struct Verify {
    /// Only these backups (or `latest`), and the write-ahead log that makes them consistent.
    #[arg(value_name = "BACKUP")]
    backups: Vec<BackupId>,
    #[command(flatten)]
    here: Here,
    /// Only this store (may be given again).
    #[arg(long, value_name = "NAME")]
    store: Vec<Name>,
    /// Only the backups of this job (may be given again).
    #[arg(long, value_name = "NAME")]
    job: Vec<Name>,
    /// Only what was written since that day (UTC) or time.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Instant>,
    /// Open everything and look at every byte of it.
    #[arg(long)]
    deep: bool,
    /// The file of an identity that opens the backups; without it, the one that the policy names.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall verify --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall verify")]
pub struct VerifyOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: &'a Name,
    at: Instant,
    deep: bool,
    /// The policy names nobody whose signature is accepted, so nothing could be refused.
    unguarded: bool,
    sound: bool,
    stores: Vec<StoreRecord<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StoreRecord<'a> {
    store: &'a Name,
    /// Why nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
    #[serde(flatten)]
    report: Option<&'a Report>,
}

impl Verify {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let names = stores(&policy, &self.store)?;
        let identities = self.identities(&site)?;
        let unguarded = unguarded(&site)?;
        let wanted = Wanted { backups: self.backups.clone(), jobs: self.job.clone(), since: self.since, deep: self.deep };
        let now = clock::now();
        // One store after the other: what limits is the link to each, and its report stands together.
        let mut all: Vec<(&Name, Result<Report, SiteFault>)> = Vec::new();
        for name in names {
            let progress = Progress::default();
            let began = Stopwatch::now();
            let report = watched(name, &progress, || verify(&site, name, &identities, &wanted, now, &progress));
            if self.format == Format::Human {
                print(&human(name, &report, began.elapsed(), width(colour)))?;
            }
            all.push((name, report));
        }
        custody::note_where_there_is_a_catalog(&site, &identities, clock::now());
        let sound = all.iter().all(|(_, report)| report.as_ref().is_ok_and(Report::is_sound));
        match (self.format, unguarded) {
            (Format::Human, Some(warning)) => print(&wrapped(&format!("Note: {warning}"), "", "  ", width(colour)))?,
            (Format::Human, None) => {}
            (Format::Json, _) => {
                let stores = all.iter().map(|(store, report)| StoreRecord {
                    store,
                    unknown: report.as_ref().err().map(|fault| fault.message.as_str()),
                    report: report.as_ref().ok(),
                });
                let (stores, deep) = (stores.collect(), self.deep);
                let output =
                    VerifyOutput { format_version: 1, policy: &policy.name, at: now, deep, unguarded: unguarded.is_some(), sound, stores };
                print(&json(&output)?)?;
            }
        }
        Ok(if sound { Exit::Done } else { Exit::Failed })
    }

    fn identities(&self, site: &Site<'_>) -> Result<Identities, Trouble> {
        let identities = site.identities(self.identity.as_deref())?;
        let encrypted = site.policy.encryption.as_ref().is_some_and(Encryption::is_sealed);
        if self.deep && encrypted {
            // The host's own key opens indexes and manifests only.
            let recovery = site.recovery_identities(self.identity.as_deref())?;
            if recovery.is_empty() {
                let hint = "Give the recovery identity with `--identity FILE`; without it, `seawall verify` proves all but what is inside.";
                return Err(Trouble::usage("`--deep` needs an identity that opens the backups", hint));
            }
        }
        Ok(identities)
    }
}

fn width(colour: Colour) -> u16 {
    Terminal::for_tables(colour, 140)
}

/// Shows how far it has come while it works.
fn watched<T>(name: &Name, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let began = Stopwatch::now();
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = indicatif::ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    });
    let pause = if bar.is_some() { Duration::from_millis(200) } else { Duration::from_secs(30) };
    let line = || {
        let bytes = progress.bytes.load(Ordering::Relaxed);
        let seconds = began.elapsed().as_secs().max(1);
        let objects = progress.objects.load(Ordering::Relaxed);
        format!(
            "verifying {name}: {}, {}, {}/s",
            counted(objects, "object"),
            Bytes::new(bytes).rounded(),
            Bytes::new(bytes / seconds).rounded()
        )
    };
    thread::scope(|scope| {
        let (done, ended) = mpsc::sync_channel::<()>(0);
        let (bar, line) = (&bar, &line);
        scope.spawn(move || {
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                match bar {
                    Some(bar) => bar.set_message(line()),
                    None => eprintln!("{}", line()),
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// So many faults are shown; JSON has more.
const SHOWN: usize = 100;

fn human(name: &Name, report: &Result<Report, SiteFault>, took: Duration, width: u16) -> String {
    let report = match report {
        Ok(report) => report,
        Err(fault) => {
            let text = wrapped(&format!("Store {name}: NOT CHECKED: {}", fault.message), "", "  ", width);
            return text + &wrapped(&fault.hint, "  ", "  ", width);
        }
    };
    let verdict = match report {
        report if report.is_sound() => "sound",
        // Nothing is known to be wrong: no key, no right, no answer.
        report if report.more_faults == 0 && report.faults.iter().all(|fault| fault.kind == FaultKind::Unread) => "NOT PROVEN",
        _ => "DAMAGED",
    };
    let of = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let words = format!(
        "Store {name}: {verdict}: {} of {} and {} of the write-ahead log, {} in {:.1} s",
        counted(of(report.objects - report.wal_objects), "object"),
        counted(report.backups.len(), "backup"),
        of(report.wal_objects),
        Bytes::new(report.bytes).rounded(),
        took.as_secs_f64()
    );
    let mut text = wrapped(&words, "", "  ", width);
    for fault in report.faults.iter().take(SHOWN) {
        let of = fault.backup.as_ref().map_or_else(String::new, |backup| format!(" (backup {backup})"));
        text.push_str(&wrapped(
            &format!("{} {}: {}{of}", fault.kind.as_str().to_uppercase(), fault.key, tame(&fault.what)),
            "  ",
            "      ",
            width,
        ));
    }
    let more = report.faults.len().saturating_sub(SHOWN) as u64 + report.more_faults;
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    let broken: Vec<&str> = report.backups.iter().filter(|sound| sound.faults > 0).map(|sound| sound.backup.as_str()).collect();
    if !broken.is_empty() {
        text.push_str(&wrapped(&format!("Backups that suffer: {}", broken.join(", ")), "  ", "    ", width));
    }
    for note in &report.notes {
        text.push_str(&wrapped(&format!("Note: {}", tame(note)), "  ", "    ", width));
    }
    for unchecked in &report.unchecked {
        text.push_str(&wrapped(&format!("Not checked: {}", tame(unchecked)), "  ", "    ", width));
    }
    text
}
