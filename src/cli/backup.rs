//! `seawall backup`: takes one, now.

use std::fmt::Write as _;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::copying::{size, watched};
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::repository::Format;
use super::terminal::{Colour, print, tame};
use super::validate;
use crate::execute::backup::{Taken, Wishes};
use crate::execute::run::{self, Ended, Ground, Why};
use crate::format::descriptor::{Damage, Descriptor};
use crate::inventory::{BackupKind, OwnKeep};
use crate::pipeline::backup::Progress;
use crate::plan::words::counted;
use crate::units::{Instant, Lsn, Name, Period};
use crate::world::{git, signals};

/// Take a backup now, by a job of the policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall backup nightly                                  what the timer does
  seawall backup nightly --label before-42 --keep 90d     one that is kept on its own account")]
pub struct Backup {
    /// The backup of the policy: `nightly`.
    job: Name,
    /// A word for people, kept with the backup.
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: Option<String>,
    /// Keeps this one for so long (`90d`) or until then (`2027-03-31`), instead of by its job's `keep`.
    #[arg(long, value_name = "TIME", value_parser = keep)]
    keep: Option<OwnKeep>,
    /// Begins although another backup of this cluster seems to be running, or this host's clock seems to be wrong.
    #[arg(long)]
    force: bool,
    /// Begins from nothing, although a backup that broke off could be gone on with; of files a full one, whatever `full_every` says.
    #[arg(long)]
    anew: bool,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

pub(super) fn label(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.len() <= 200 && !text.chars().any(super::terminal::is_wild);
    good.then(|| text.to_owned()).ok_or_else(|| "a label is one line of at most 200 bytes".to_owned())
}

pub(super) fn keep(text: &str) -> Result<OwnKeep, String> {
    if let Ok(period) = text.parse::<Period>() {
        return Ok(OwnKeep::For(period));
    }
    if let Ok(moment) = text.parse::<Instant>() {
        return Ok(OwnKeep::Until(moment));
    }
    let date: jiff::civil::Date = text.parse().map_err(|_| "write for how long (`90d`) or until when (`2027-03-31`)".to_owned())?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(OwnKeep::Until(midnight.timestamp()))
}

impl Backup {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let (policy, files) = self.here.read_with_files(colour)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let wishes = Wishes { label: self.label.clone(), keep: self.keep, force: self.force, anew: self.anew };
        let wishes = run::Wishes { backup: wishes, ..run::Wishes::default() };
        let job = run::find(&policy, &format!("backups.{}", self.job)).map_err(|fault| Trouble::failed(fault.to_string(), fault.hint))?;
        let catalog = super::record::open(&site);
        let progress = Progress::default();
        let ground = Ground { site: &site, catalog: catalog.as_ref(), progress: &progress, stop: &ending.asked };
        log::begin(LogFormat::Human);
        let ran = watched(&progress, || run::run(&ground, &job, &Why::Asked, &wishes));
        for remark in &ran.remarks {
            eprintln!("note: {}", tame(remark));
        }
        match (ran.end, ran.made.taken) {
            (Ended::Succeeded, Some(mut taken)) => {
                taken.remarks = ran.remarks;
                print(&self.shown(&taken)?)?;
                Ok(Exit::Done)
            }
            (Ended::Stopped, _) => {
                eprintln!("error: it was interrupted");
                Ok(if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted })
            }
            (Ended::Failed { message, hint, .. }, Some(mut taken)) => {
                // It is there all the same, and what is there is told.
                taken.remarks = ran.remarks;
                print(&self.shown(&taken)?)?;
                Err(Trouble::failed(message, hint))
            }
            (Ended::Failed { message, hint, .. } | Ended::Busy { message, hint }, _) => Err(Trouble::failed(message, hint)),
            (Ended::Succeeded | Ended::Elsewhere { .. } | Ended::NotOwed { .. }, _) => Ok(Exit::Done),
        }
    }
}

impl Backup {
    fn shown(&self, taken: &Taken) -> Result<String, Trouble> {
        match self.format {
            Format::Human => Ok(summary(taken)),
            Format::Json => json(taken),
        }
    }
}

fn summary(taken: &Taken) -> String {
    let Descriptor { id, position, size: bytes, stored_size, files, stopped, damage, .. } = &taken.descriptor;
    let rate = (*bytes as f64 / taken.took.as_secs_f64().max(0.001)) as u64;
    let mut out = String::new();
    let mut row = |what: &str, value: String| writeln!(out, "{what:<12}{value}").expect("a string takes all");
    row("backup", id.to_string());
    row("in", taken.store.clone());
    let kind = taken.descriptor.kind;
    let of = counted(*files, if kind.is_physical() || kind == BackupKind::Files { "file" } else { "table" });
    row("size", format!("{} in {of}, {} stored", size(*bytes), size(*stored_size)));
    row("took", format!("{:.1} s, {}/s", taken.took.as_secs_f64(), size(rate)));
    if kind != BackupKind::Files {
        row("log", format!("{} to {} on timeline {}", position.start, position.stop, position.timeline.0));
    }
    if kind.is_physical() {
        row("recover to", format!("any moment from {} on", stopped.strftime("%Y-%m-%dT%H:%M:%SZ")));
    } else if kind == BackupKind::Files {
        row("restores to", "files as they were read: `seawall restore --files --to-root DIR`".to_owned());
    } else {
        row("restores to", "each database as of its snapshot".to_owned());
    }
    if damage.unread > 0 {
        row("INCOMPLETE", format!("{} could not be read; the backup is marked", counted(damage.unread, "file")));
    }
    if damage.pages > 0 {
        row("DAMAGED", format!("{} with wrong checksums; the backup is marked", counted(damage.pages, "page")));
        for block in damage.blocks.iter().take(10) {
            row("", format!("block {} of {}", block.block, tame(&block.path)));
        }
    }
    out
}

/// What a script reads.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall backup")]
pub struct BackupOutput<'t> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    id: &'t str,
    job: &'t str,
    store: &'t str,
    descriptor: &'t str,
    label: Option<&'t str>,
    started: Instant,
    stopped: Instant,
    seconds: f64,
    size: u64,
    stored_size: u64,
    files: u64,
    timeline: u32,
    start_lsn: Lsn,
    stop_lsn: Lsn,
    damage: &'t Damage,
    remarks: &'t [String],
}

fn json(taken: &Taken) -> Result<String, Trouble> {
    let descriptor = &taken.descriptor;
    let output = BackupOutput {
        format_version: 1,
        id: descriptor.id.as_str(),
        job: descriptor.job.as_str(),
        store: &taken.store,
        descriptor: taken.key.as_str(),
        label: descriptor.label.as_deref(),
        started: descriptor.started,
        stopped: descriptor.stopped,
        seconds: taken.took.as_secs_f64(),
        size: descriptor.size,
        stored_size: descriptor.stored_size,
        files: descriptor.files,
        timeline: descriptor.position.timeline.0.get(),
        start_lsn: descriptor.position.start,
        stop_lsn: descriptor.position.stop,
        damage: &descriptor.damage,
        remarks: &taken.remarks,
    };
    validate::json(&output)
}
