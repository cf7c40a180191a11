//! `seawall run`: jobs of a policy, now, or whatever is owed, of one policy or of a folder of them.

mod fleet;
mod output;
mod queue;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::copying::watched;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::record;
use super::repository::Format;
use super::terminal::{Colour, print};
use crate::alert::Unreadable;
use crate::catalog::Catalog;
use crate::execute::backup;
use crate::execute::run::{self, Ended, Ground, Job, Owed, Ran, Why, Wishes, Work};
use crate::execute::watch::{self, Look};
use crate::inventory::OwnKeep;
use crate::pipeline::backup::Progress;
use crate::plan::{Due, minute};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::{Duration, Instant};
use crate::world::signals::{self, Ending};
use crate::world::{clock, files, git};

pub use output::RunOutput;

use output::{Of, human, json};

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
  seawall run --due -p /etc/seawall/fleet whatever is owed by any policy of the folder
  seawall run --plan plan.json            what a reviewed plan says is due, and nothing else")]
pub struct Run {
    /// The jobs: `nightly`, `backups.nightly`, `expire`, `verify.weekly`.
    #[arg(value_name = "JOB")]
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
    /// Of a folder: at most so many policies at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Of a folder: how often it is looked at again while something runs.
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    look_every: Duration,
}

impl Run {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        log::begin(self.log_format);
        if self.jobs.is_empty() && !self.due && self.plan.is_none() {
            let hint = "`seawall run --due` runs whatever is owed now, `seawall run nightly` a job by its name, `seawall run --plan FILE` what was reviewed.";
            return Err(Trouble::usage("it is not said what to run", hint));
        }
        let path = self.here.path();
        if files::is_directory(&path) {
            if !self.due || !self.jobs.is_empty() {
                let hint = "Of a folder runs what is owed: `seawall run --due -p FOLDER`. For anything else name one policy's file.";
                return Err(Trouble::usage(format!("`{}` is a folder", path.display()), hint));
            }
            return fleet::run(self, &path, colour);
        }
        let (policy, files) = match self.here.read_with_files(colour) {
            Ok(read) => read,
            Err(trouble) => return self.unreadable(trouble),
        };
        let site = self.here.site(&policy);
        record::keep_policy(&self.here, &policy);
        let catalog = record::open(&site);
        if let Some(catalog) = &catalog {
            record::settle(&[&site], catalog);
        }
        let now = clock::now();
        let owed = look(&site, catalog.as_ref(), now);
        let named = self.named(&policy)?;
        let wanted = self.wanted(&site, &named, &owed)?;
        if wanted.is_empty() {
            let meant: Vec<&(Job<'_>, Due)> = owed.all.iter().filter(|(job, _)| is_meant(&site, &named, job)).collect();
            self.nothing(&policy, &path, &meant)?;
            // Who calls for this job alone is to call again.
            let waits = !named.is_empty() && meant.iter().any(|(_, due)| matches!(due, Due::Again { .. }));
            return Ok(if waits { Exit::TryAgain } else { Exit::Done });
        }
        let site = site.at_commit(git::commit_of(&files));
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let wishes = self.wishes();
        let ran = one_after_the_other(&site, wanted, &ending, |job, why| {
            let progress = Progress::default();
            let ground = Ground { site: &site, catalog: catalog.as_ref(), progress: &progress, stop: &ending.asked };
            let ran = watched(&progress, || run::run(&ground, job, why, &wishes));
            self.tell(None, &ran);
            ran
        });
        if let Some(catalog) = &catalog {
            tell(&site, catalog, &ending);
        }
        if self.format == Format::Json {
            print(&json(&[Of::policy(&policy, &path, &ran)])?)?;
        }
        Ok(exit(ran.iter(), &ending))
    }

    /// A run that fails, and of which somebody hears.
    fn unreadable(&self, trouble: Trouble) -> Result<Exit, Trouble> {
        let said = (trouble.to_string(), trouble.hint().unwrap_or_default().to_owned());
        let (policy, unreadable) = super::watch::last_good(&self.here, trouble)?;
        let site = self.here.site(&policy);
        if let Some(catalog) = record::open(&site) {
            note_unreadable(&site, &catalog, &said, unreadable, &AtomicBool::new(false));
        }
        Err(Trouble::failed(said.0, said.1))
    }

    fn named<'p>(&self, policy: &'p Policy) -> Result<Vec<Job<'p>>, Trouble> {
        self.jobs.iter().map(|job| run::find(policy, job)).collect::<Result<_, _>>().map_err(|fault| {
            let hint = fault.hint.clone();
            Trouble::usage(fault.to_string(), hint)
        })
    }

    fn wanted<'p>(&self, site: &Site<'p>, named: &[Job<'p>], owed: &Owed<'p>) -> Result<Vec<(Job<'p>, Why)>, Trouble> {
        if let Some(plan) = &self.plan {
            return super::reviewed::jobs(plan, site.policy);
        }
        if !self.due {
            return Ok(named.iter().map(|job| (job.clone(), Why::Asked)).collect());
        }
        let meant = owed.due.iter().filter(|(job, _)| is_meant(site, named, job));
        Ok(meant.map(|(job, since)| (job.clone(), Why::Due { since: *since })).collect())
    }

    fn wishes(&self) -> Wishes {
        let backup = backup::Wishes { label: self.label.clone(), keep: self.keep, ..backup::Wishes::default() };
        Wishes { backup, ..Wishes::default() }
    }

    /// With the policy's name where there are several.
    fn tell(&self, policy: Option<&str>, ran: &Ran) {
        let of = policy.map(|policy| format!("{policy}: ")).unwrap_or_default();
        for remark in &ran.remarks {
            tracing::info!("{of}{}: {remark}", ran.job);
        }
        if let Ended::Failed { message, hint, .. } = &ran.end {
            tracing::error!(hint, "{of}{}: {message}", ran.job);
        }
        // That nobody reads it is no reason not to back up the next one.
        let _ = if self.format == Format::Human { print(&human(policy, ran)) } else { Ok(()) };
    }

    /// What is meant waits for its time; what broke off, and is owed all the time, for its next try.
    fn nothing(&self, policy: &Policy, path: &Path, meant: &[&(Job<'_>, Due)]) -> Result<(), Trouble> {
        if self.format == Format::Json {
            return Ok(print(&json(&[Of::policy(policy, path, &[])])?)?);
        }
        let next = meant
            .iter()
            .filter_map(|(job, due)| Some((next_of(due)?, job, due)))
            .min_by_key(|(at, _, due)| (!matches!(due, Due::Again { .. }), *at));
        print(&match next {
            Some((at, job, Due::Again { .. })) => format!("`{job}` broke off, and is tried again at {}\n", minute(at)),
            Some((at, job, _)) => format!("nothing is owed; next is `{job}` at {}\n", minute(at)),
            None => "nothing is owed\n".to_owned(),
        })?;
        Ok(())
    }
}

/// What follows a backup follows it at once, unless it is to be run anyway. A plan that somebody has reviewed is done to the letter.
fn one_after_the_other<'p>(
    site: &Site<'p>,
    wanted: Vec<(Job<'p>, Why)>,
    ending: &Ending,
    mut run_one: impl FnMut(&Job<'p>, &Why) -> Ran,
) -> Vec<Ran> {
    let expires = wanted.iter().any(|(job, _)| matches!(job.work, Work::Expire));
    let mut waiting: VecDeque<(Job<'p>, Why)> = wanted.into();
    let mut all = Vec::new();
    while let Some((job, why)) = waiting.pop_front() {
        if ending.code().is_some() {
            break;
        }
        let ran = run_one(&job, &why);
        let took_backup = matches!(job.work, Work::Backup(..)) && ran.end == Ended::Succeeded;
        let follows = !expires && !matches!(why, Why::Plan { .. });
        if let (Work::Backup(_, backup), true) = (job.work, took_backup && follows) {
            let copies = backup.copies.iter().map(|copy| format!("copies.{}", copy.store));
            let copies = copies.filter(|path| waiting.iter().all(|(job, _)| job.path.to_string() != *path));
            let copies: Vec<_> = copies.filter_map(|path| run::find(site.policy, &path).ok()).map(|job| (job, after(&why))).collect();
            waiting.extend(copies);
        }
        if took_backup && follows && !waiting.iter().any(|(job, _)| matches!(job.work, Work::Expire)) {
            waiting.extend(run::find(site.policy, "expire").ok().map(|job| (job, after(&why))));
        }
        all.push(ran);
    }
    all
}

/// Of what is owed it is meant, because it is named, or belongs to a backup that is: expiry without a schedule is called for by nobody else.
fn is_meant(site: &Site<'_>, named: &[Job<'_>], job: &Job<'_>) -> bool {
    let of_backup = matches!(job.work, Work::Expire) && site.policy.expire.schedule.is_none();
    let is_named = |named: &Job<'_>| named.path == job.path || of_backup && matches!(named.work, Work::Backup(..));
    (named.is_empty() || named.iter().any(is_named)) && job.host_elsewhere(site.host()).is_none()
}

/// What follows it has no time of its own.
fn after(why: &Why) -> Why {
    match why {
        Why::Due { since } => Why::Follows { since: *since },
        why => why.clone(),
    }
}

/// A policy that cannot be read is a failed run, and those are to hear of it whom its last good version names.
fn note_unreadable(site: &Site<'_>, catalog: &Catalog, said: &(String, String), unreadable: Option<Unreadable>, stop: &AtomicBool) {
    run::note_unreadable(site, catalog, &said.0, &said.1, unreadable.as_ref().map(|unreadable| unreadable.since));
    if let Err(fault) = watch::watch(site, catalog, Look::Unsent, unreadable, stop) {
        tracing::error!("nobody could be told: {fault}");
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
        record::see(&[site], catalog, now);
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

/// The worst of all: a failure that does not pass, one that does, somebody else at work.
pub(super) fn exit<'r>(mut ran: impl Iterator<Item = &'r Ran> + Clone, ending: &Ending) -> Exit {
    match ending.code() {
        Some(143) => return Exit::Terminated,
        Some(_) => return Exit::Interrupted,
        None => {}
    }
    if ran.clone().any(|ran| matches!(ran.end, Ended::Failed { transient: false, .. })) {
        Exit::Failed
    } else if ran.any(|ran| matches!(ran.end, Ended::Failed { .. } | Ended::Busy { .. } | Ended::Stopped)) {
        Exit::TryAgain
    } else {
        Exit::Done
    }
}
