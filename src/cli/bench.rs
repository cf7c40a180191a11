//! `seawall bench`: how fast a backup or a restore goes, measured when somebody asks.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::copying::{size, watched};
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::repository::Format;
use super::restore::progress::Watch;
use super::terminal::{Colour, complain, print, tame};
use super::validate;
use crate::catalog::Measured;
use crate::execute::backup::{self, Onlooker};
use crate::execute::restore::{self, Action, FetchCommand, Report, Request, TimelineChoice};
use crate::inventory::HowMeasured;
use crate::pipeline::backup::Progress;
use crate::policy::model::Method;
use crate::recovery::Target;
use crate::site::Site;
use crate::units::{Bytes, Instant, Name};
use crate::world::{clock, signals};

/// Measure how fast backups and restores go, now.
///
/// What is found is on record, to be compared with what drills and recoveries show. Nothing stays: neither in the store nor on the disk.
#[derive(Debug, Subcommand)]
pub enum Bench {
    Backup(BenchBackup),
    Restore(BenchRestore),
}

/// Read files of the cluster through the whole way into the store, and remove them there.
///
/// Checks, compresses and encrypts as the job does, with its workers and limits, and without backup mode: what is written is no backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall bench backup                        by the policy's first physical job
  seawall bench backup nightly --amount 20GB  more of it, for a steadier figure")]
pub struct BenchBackup {
    /// The job [default: the policy's first physical one].
    job: Option<Name>,
    /// About so much is read, from all over the cluster.
    #[arg(long, value_name = "SIZE", default_value = "4GB")]
    amount: Bytes,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

/// The folder, below the one that is given, in which everything lies meanwhile.
const FOLDER: &str = "seawall-bench";

/// Restore the newest backup into a folder, start nothing, and remove it.
///
/// Needs the recovery identity and room for the whole cluster. Runs no hooks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall bench restore --in /var/tmp
  seawall bench restore --in /var/tmp --store offsite --format json")]
pub struct BenchRestore {
    /// The directory in which a folder is made for it; on the disk that a real restore would use.
    #[arg(long = "in", value_name = "DIR")]
    within: PathBuf,
    /// From this store [default: the first of the policy's that leads there].
    #[arg(long, value_name = "NAME")]
    store: Option<Name>,
    /// The recovery identity [default: the policy's `encryption.age.identity`].
    #[arg(long, short = 'i', value_name = "FILE")]
    identity: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

/// What `seawall bench` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall bench")]
pub struct BenchOutput {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: Name,
    /// Backup or restore.
    what: &'static str,
    how: HowMeasured,
    at: Instant,
    host: String,
    store: Name,
    /// Plain bytes that were read, or written into files.
    bytes: u64,
    /// Bytes that went into the store, or came out of it.
    in_store: u64,
    files: u64,
    workers: usize,
    seconds: f64,
    bytes_per_second: u64,
    store_bytes_per_second: u64,
    remarks: Vec<String>,
}

impl Bench {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Bench::Backup(bench) => bench.run(colour),
            Bench::Restore(bench) => bench.run(colour),
        }
    }
}

impl BenchBackup {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let physical = || policy.backups.iter().find(|(_, job)| matches!(job.method, Method::Physical(_))).map(|(name, _)| name.clone());
        let job = self.job.clone().or_else(physical);
        let job = job.ok_or_else(|| Trouble::usage("the policy has no physical backup to measure", "Add a job with `physical: {}`."))?;
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let progress = Progress::default();
        let onlooker = Onlooker { progress: &progress, stage: &|_| {}, stop: &ending.asked };
        log::begin(LogFormat::Human);
        let benched = match watched(&progress, || backup::bench(&site, &job, self.amount, onlooker)) {
            Ok(benched) => benched,
            Err(_) if ending.code().is_some() => return Ok(interrupted()),
            Err(fault) => return Err(Trouble::failed(fault.to_string(), fault.hint())),
        };
        let output = BenchOutput {
            bytes: benched.bytes,
            in_store: benched.stored,
            files: benched.files,
            workers: benched.workers,
            seconds: benched.seconds,
            remarks: benched.remarks,
            ..BenchOutput::of(&site, "backup", benched.store)
        };
        output.finish(&site, ("benchmark_backup_bytes_per_second", job.as_str()), "benchmark_push_bytes_per_second", self.format)
    }
}

impl BenchRestore {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let failed =
            |path: &PathBuf, error: std::io::Error| Trouble::failed(format!("`{}`: {error}", path.display()), "Name another with `--in`.");
        let within = std::path::absolute(&self.within).map_err(|error| failed(&self.within, error))?;
        let folder = within.join(FOLDER);
        if folder.exists() {
            let message = format!("`{}` is there: another measurement is going on, or one was killed", folder.display());
            return Err(Trouble::failed(message, "Remove it when none is going on."));
        }
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed(&folder, error))?;
        let restored = self.restore(&site, &folder, &ending);
        let removed = fs::remove_dir_all(&folder);
        let (store, report) = match restored {
            Ok(restored) => restored,
            Err(_) if ending.code().is_some() => return Ok(interrupted()),
            Err(trouble) => return Err(trouble),
        };
        let seconds = report.seconds.files + report.seconds.sync;
        let remark = removed.err().map(|error| format!("`{}` could not be removed: {error}", folder.display()));
        let output = BenchOutput {
            bytes: report.written,
            in_store: report.fetched,
            files: report.files,
            workers: report.workers,
            seconds,
            remarks: remark.into_iter().collect(),
            ..BenchOutput::of(&site, "restore", store)
        };
        output.finish(&site, ("benchmark_restore_bytes_per_second", ""), "benchmark_fetch_bytes_per_second", self.format)
    }

    fn restore(&self, site: &Site<'_>, folder: &std::path::Path, ending: &signals::Ending) -> Result<(Name, Report), Trouble> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let request = Request {
            target: Target::Immediate(None),
            exclusive: false,
            timeline: TimelineChoice::Latest,
            backup: None,
            store: self.store.clone(),
            directory: folder.join("data"),
            tablespaces: Vec::new(),
            delta: false,
            standby: None,
            identity: self.identity.clone(),
            owner: None,
            workers: processors.min(8),
            action: Action::Promote,
            config_to: None,
            set: Vec::new(),
            start: false,
            fetch: FetchCommand { program: std::env::current_exe()?, policy: self.here.path(), state: None },
            throw_away: Some(folder.to_owned()),
        };
        let plan = restore::plan(site, request, clock::now())?;
        if !plan.archived.is_readable() {
            let id = &plan.chosen.descriptor.id;
            let message = format!("backup {id} lies in an archive class, from which nothing is read for a measurement");
            return Err(Trouble::failed(message, "Name another store with `--store`."));
        }
        let watch = Watch::start(plan.chosen.descriptor.size, self.format == Format::Json, ending.clone());
        let result = restore::carry_out(site, &plan, watch.progress());
        watch.end();
        Ok((plan.chosen.store_name, result?))
    }
}

fn interrupted() -> Exit {
    complain("it was interrupted, and nothing of it is left", "");
    Exit::Interrupted
}

impl BenchOutput {
    fn of(site: &Site<'_>, what: &'static str, store: Name) -> BenchOutput {
        BenchOutput {
            format_version: 1,
            policy: site.policy.name.clone(),
            what,
            how: HowMeasured::Benchmark,
            at: clock::now(),
            host: site.host().to_owned(),
            store,
            bytes: 0,
            in_store: 0,
            files: 0,
            workers: 0,
            seconds: 0.0,
            bytes_per_second: 0,
            store_bytes_per_second: 0,
            remarks: Vec::new(),
        }
    }

    /// Rates, the record, the words.
    fn finish(mut self, site: &Site<'_>, own: (&str, &str), of_store: &str, format: Format) -> Result<Exit, Trouble> {
        let rate = |bytes: u64| (bytes as f64 / self.seconds.max(0.001)) as u64;
        (self.bytes_per_second, self.store_bytes_per_second) = (rate(self.bytes), rate(self.in_store));
        let measured = [
            Measured { name: own.0, subject: own.1, value: self.bytes_per_second as f64 },
            Measured { name: of_store, subject: self.store.as_str(), value: self.store_bytes_per_second as f64 },
        ];
        if let Some(catalog) = super::record::open(site)
            && let Err(fault) = catalog.measure(site.policy.name.as_str(), &measured, self.at)
        {
            self.remarks.push(format!("the measurement is not on record: {}", fault.message));
        }
        for remark in &self.remarks {
            eprintln!("note: {}", tame(remark));
        }
        print(&match format {
            Format::Human => self.human(),
            Format::Json => validate::json(&self)?,
        })?;
        Ok(Exit::Done)
    }

    fn human(&self) -> String {
        let mut out = String::new();
        let mut row = |what: &str, value: String| writeln!(out, "{what:<12}{value}").expect("a string takes all");
        row(self.what, format!("{}/s", size(self.bytes_per_second)));
        row("store", format!("{}, {}/s", self.store, size(self.store_bytes_per_second)));
        row(
            "measured",
            format!("{} in {} files, {} in the store, {:.1} s", size(self.bytes), self.files, size(self.in_store), self.seconds),
        );
        row("workers", self.workers.to_string());
        out
    }
}
