//! `seawall run`: jobs of a policy, now, or whatever is owed.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::copying::{size, watched};
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::record;
use super::terminal::{Colour, print, tame};
use crate::catalog::Catalog;
use crate::execute::backup::Wishes;
use crate::execute::run::{self, Ended, Ground, Job, Owed, Ran, Why, Work};
use crate::execute::watch::{self, Look};
use crate::inventory::OwnKeep;
use crate::pipeline::backup::Progress;
use crate::plan::{Due, minute};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::Instant;
use crate::world::signals::{self, Ending};
use crate::world::{clock, git};

/// Run jobs of a policy: some now, or all that are owed.
///
/// What `--due` runs is worked out from the record of past runs: a run that was missed is caught up once, one that broke off is tried again
/// after a pause, and a job outside its window waits. A timer or cron calls it as often as it likes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall run nightly                     this job now, and what follows a backup
  seawall run --due                       whatever is owed, in order
  seawall run --due backups.nightly       this job if it is owed: what a timer calls
  seawall run --plan plan.json            what a reviewed plan says is due, and nothing else")]
pub struct Run {
    /// The jobs: `nightly`, `backups.nightly`, `expire`, `verify.weekly`.
    #[arg(value_name = "JOB", required_unless_present_any = ["due", "plan"])]
    jobs: Vec<String>,
    /// Only what is owed now; of all jobs where none is named.
    #[arg(long)]
    due: bool,
    /// What this plan says is due. It is refused when the policy is another one, or when its steps are not those of this version.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["due", "jobs"])]
    plan: Option<PathBuf>,
    /// A word for people, kept with the backup.
    #[arg(long, value_name = "TEXT", value_parser = super::backup::label, conflicts_with_all = ["due", "plan"])]
    label: Option<String>,
    /// Keeps the backup for so long (`90d`) or until then (`2027-03-31`), instead of by its job's `keep`.
    #[arg(long, value_name = "TIME", value_parser = super::backup::keep, conflicts_with_all = ["due", "plan"])]
    keep: Option<OwnKeep>,
    /// How what happens is told, on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// How the result is written, on standard output.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

impl Run {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        log::begin(self.log_format);
        let (policy, files) = match self.here.read_with_files(colour) {
            Ok(read) => read,
            Err(trouble) => return self.unreadable(trouble),
        };
        let site = self.here.site(&policy);
        record::keep_policy(&self.here, &policy);
        let catalog = record::open(&site);
        if let Some(catalog) = &catalog {
            record::settle(&site, catalog);
        }
        let now = clock::now();
        let owed = look(&site, catalog.as_ref(), now);
        let wanted = self.wanted(&policy, &owed)?;
        if wanted.is_empty() {
            self.nothing(&policy, &owed)?;
            return Ok(Exit::Done);
        }
        let site = site.at_commit(git::commit_of(&files));
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let ran = self.all(&site, catalog.as_ref(), wanted, &ending)?;
        if let Some(catalog) = &catalog {
            tell(&site, catalog, &ending);
        }
        if self.format == Format::Json {
            print(&json(&policy, &ran))?;
        }
        Ok(exit(&ran, &ending))
    }

    /// A run that fails, and of which somebody hears.
    fn unreadable(&self, trouble: Trouble) -> Result<Exit, Trouble> {
        let said = (trouble.to_string(), trouble.hint().unwrap_or_default().to_owned());
        let (policy, unreadable) = super::watch::last_good(&self.here, trouble)?;
        let site = self.here.site(&policy);
        if let Some(catalog) = record::open(&site) {
            let stop = AtomicBool::new(false);
            run::note_unreadable(&site, &catalog, &said.0, &said.1);
            if let Err(fault) = super::watch::look(&site, &catalog, Look::Unsent, unreadable, &stop) {
                tracing::error!("nobody could be told: {fault}");
            }
        }
        Err(Trouble::failed(said.0, said.1))
    }

    fn wanted<'p>(&self, policy: &'p Policy, owed: &Owed<'p>) -> Result<Vec<(Job<'p>, Why)>, Trouble> {
        if let Some(plan) = &self.plan {
            return super::reviewed::jobs(plan, policy);
        }
        let named: Vec<Job<'p>> = self.jobs.iter().map(|job| run::find(policy, job)).collect::<Result<_, _>>().map_err(|fault| {
            let hint = fault.hint.clone();
            Trouble::usage(fault.to_string(), hint)
        })?;
        if !self.due {
            return Ok(named.into_iter().map(|job| (job, Why::Asked)).collect());
        }
        let is_meant = |job: &Job<'_>| named.is_empty() || named.iter().any(|named| named.path == job.path);
        Ok(owed.due.iter().filter(|(job, _)| is_meant(job)).map(|(job, since)| (job.clone(), Why::Due { since: *since })).collect())
    }

    /// One after the other. What follows a backup follows it at once, unless it is to be run anyway.
    fn all<'p>(
        &self,
        site: &Site<'p>,
        catalog: Option<&Catalog>,
        wanted: Vec<(Job<'p>, Why)>,
        ending: &Ending,
    ) -> Result<Vec<Ran>, Trouble> {
        let wishes = Wishes { label: self.label.clone(), keep: self.keep, ..Wishes::default() };
        let expires = wanted.iter().any(|(job, _)| matches!(job.work, Work::Expire));
        let mut waiting: std::collections::VecDeque<(Job<'p>, Why)> = wanted.into();
        let mut all = Vec::new();
        while let Some((job, why)) = waiting.pop_front() {
            if ending.code().is_some() {
                break;
            }
            let progress = Progress::default();
            let ground = Ground { site, catalog, progress: &progress, stop: &ending.asked };
            let ran = watched(&progress, || run::run(&ground, &job, &why, &wishes));
            let took_backup = matches!(job.work, Work::Backup(..)) && ran.end == Ended::Succeeded;
            if took_backup && !expires && !waiting.iter().any(|(job, _)| matches!(job.work, Work::Expire)) {
                waiting.extend(run::find(site.policy, "expire").ok().map(|job| (job, why)));
            }
            self.tell(&ran)?;
            all.push(ran);
        }
        Ok(all)
    }

    fn tell(&self, ran: &Ran) -> Result<(), Trouble> {
        for remark in &ran.remarks {
            tracing::info!("{}: {remark}", ran.job);
        }
        if self.format == Format::Human {
            print(&format!("{:<24}{}\n", ran.job, tame(&outcome(ran))))?;
        }
        if let Ended::Failed { message, hint, .. } = &ran.end {
            tracing::error!(hint, "{}: {message}", ran.job);
        }
        Ok(())
    }

    fn nothing(&self, policy: &Policy, owed: &Owed<'_>) -> Result<(), Trouble> {
        if self.format == Format::Json {
            return Ok(print(&json(policy, &[]))?);
        }
        let next = owed.all.iter().filter_map(|(job, due)| Some((next_of(due)?, job))).min_by_key(|(at, _)| *at);
        let next = next.map_or_else(String::new, |(at, job)| format!("; next is `{job}` at {}", minute(at)));
        print(&format!("nothing is owed{next}\n"))?;
        Ok(())
    }
}

/// What came of it, to those who want to hear of it. The record has it, so what does not work now is told by the next `seawall watch`.
fn tell(site: &Site<'_>, catalog: &Catalog, ending: &Ending) {
    if let Err(fault) = watch::watch(site, catalog, Look::Record, None, &ending.asked) {
        tracing::warn!(hint = fault.hint(), "nobody is told yet: {fault}");
    }
}

fn next_of(due: &Due) -> Option<Instant> {
    match due {
        Due::Later { at } | Due::Again { at, .. } => Some(*at),
        Due::Closed { opens, .. } => *opens,
        Due::Now { since } => Some(*since),
        Due::OnDemand | Due::Unknown { .. } => None,
    }
}

/// What is owed by the record. Without one everything may be: the stores say what other runs have done.
fn look<'p>(site: &Site<'p>, catalog: Option<&Catalog>, now: Instant) -> Owed<'p> {
    let policy = site.policy;
    let records = catalog.map(|catalog| {
        record::see(site, catalog, now);
        catalog.last_runs(policy.name.as_str())
    });
    match records {
        Some(Ok(records)) => run::look(policy, &records, now),
        Some(Err(fault)) => {
            tracing::warn!(hint = fault.hint, "what ran before cannot be read: {}", fault.message);
            run::look(policy, &[], now)
        }
        None => run::look(policy, &[], now),
    }
}

fn outcome(ran: &Ran) -> String {
    let took = ran.ended.duration_since(ran.started);
    let took = format!("{:.1} s", took.as_secs_f64());
    match &ran.end {
        Ended::Succeeded => {
            let made = ran.made.backup.as_ref().map(|id| {
                let sizes = ran.made.bytes.zip(ran.made.stored_bytes);
                let sizes = sizes.map_or_else(String::new, |(bytes, stored)| format!(", {} ({} stored)", size(bytes), size(stored)));
                format!("{id}{sizes}, ")
            });
            format!("succeeded   {}{took}", made.unwrap_or_default())
        }
        Ended::Failed { message, .. } => format!("FAILED      {message}"),
        Ended::Stopped => "stopped     it was asked to end".to_owned(),
        Ended::Busy { message, .. } => format!("not run     {message}"),
        Ended::Elsewhere { message } => format!("done        {message}"),
    }
}

/// The worst of all: a failure that does not pass, one that does, somebody else at work.
fn exit(ran: &[Ran], ending: &Ending) -> Exit {
    let any = |wanted: fn(&Ended) -> bool| ran.iter().any(|ran| wanted(&ran.end));
    match ending.code() {
        Some(143) => return Exit::Terminated,
        Some(_) => return Exit::Interrupted,
        None => {}
    }
    if any(|end| matches!(end, Ended::Failed { transient: false, .. })) {
        Exit::Failed
    } else if any(|end| matches!(end, Ended::Failed { .. } | Ended::Busy { .. } | Ended::Stopped)) {
        Exit::TryAgain
    } else {
        Exit::Done
    }
}

/// What `seawall run --format json` prints.
#[derive(Debug, Serialize)]
struct RunOutput<'r> {
    format_version: u32,
    policy: &'r str,
    runs: Vec<RunRecord<'r>>,
}

#[derive(Debug, Serialize)]
struct RunRecord<'r> {
    job: &'r str,
    outcome: &'static str,
    started: Instant,
    ended: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'r str>,
    /// The same may go well later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    transient: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<&'r str>,
    remarks: &'r [String],
}

fn json(policy: &Policy, ran: &[Ran]) -> String {
    let runs = ran.iter().map(|ran| {
        let (outcome, message, hint, transient) = match &ran.end {
            Ended::Succeeded => ("succeeded", None, None, false),
            Ended::Failed { message, hint, transient } => ("failed", Some(message), Some(hint), *transient),
            Ended::Stopped => ("stopped", None, None, true),
            Ended::Busy { message, hint } => ("busy", Some(message), Some(hint), true),
            Ended::Elsewhere { message } => ("elsewhere", Some(message), None, false),
        };
        RunRecord {
            job: &ran.job,
            outcome,
            started: ran.started,
            ended: ran.ended,
            message: message.map(String::as_str),
            hint: hint.map(String::as_str).filter(|hint| !hint.is_empty()),
            transient,
            backup: ran.made.backup.as_deref(),
            store: ran.made.store.as_deref(),
            bytes: ran.made.bytes,
            stored_bytes: ran.made.stored_bytes,
            checksum: ran.made.checksum.as_deref(),
            remarks: &ran.remarks,
        }
    });
    let output = RunOutput { format_version: 1, policy: policy.name.as_str(), runs: runs.collect() };
    let mut text = serde_json::to_string_pretty(&output).expect("texts and numbers");
    text.push('\n');
    text
}
