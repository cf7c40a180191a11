//! `seawall copy`: brings second copies up to date, now.

use std::collections::BTreeSet;
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
use crate::execute::copies::{self, CopiedBackup, Flaw, Left, Tally};
use crate::execute::run::{self, Ended, Ground, Ran, Why, Wishes};
use crate::pipeline::backup::Progress;
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::site::SiteFault;
use crate::units::Name;
use crate::world::{git, signals};

/// Bring second copies up to date: whatever belongs in a store by the policy's `copies` and is not there.
///
/// Copies from store to store without opening anything. What an earlier run has copied is not copied again, what is damaged is named and
/// left out, and nothing is ever put over what is there. It runs by itself after each backup, and every half an hour for what was missed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall copy                            all stores that get copies
  seawall copy nightly                    those that get the copies of this job
  seawall copy --store offsite            this one
  seawall copy --plan                     what is missing where; nothing is touched")]
pub struct Copy {
    /// The jobs whose copies are to be up to date; all without one.
    #[arg(value_name = "JOB")]
    jobs: Vec<Name>,
    /// This store (may be given again).
    #[arg(long, value_name = "NAME", conflicts_with = "jobs")]
    store: Vec<Name>,
    /// Only shows what is missing.
    #[arg(long)]
    plan: bool,
    /// How what happens is told, on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// How the result is written, on standard output.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

impl Copy {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        log::begin(self.log_format);
        let (policy, files) = self.here.read_with_files(colour)?;
        let stores = self.stores(&policy)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        if self.plan {
            let missing: Vec<_> = stores.iter().map(|store| (*store, copies::missing(&site, store))).collect();
            return self.show(&policy, &missing);
        }
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let catalog = super::record::open(&site);
        let mut all: Vec<(&Name, Ran)> = Vec::new();
        for store in stores {
            if ending.code().is_some() {
                break;
            }
            let job = run::find(&policy, &format!("copies.{store}")).map_err(|fault| Trouble::usage(fault.to_string(), fault.hint))?;
            let progress = Progress::default();
            let ground = Ground { site: &site, catalog: catalog.as_ref(), progress: &progress, stop: &ending.asked };
            let ran = watched(&progress, || run::run(&ground, &job, &Why::Asked, &Wishes::default()));
            if self.format == Format::Human {
                print(&human(store, &ran))?;
            }
            match &ran.end {
                Ended::Failed { message, hint, .. } => super::terminal::complain(&tame(message), hint),
                Ended::Busy { message, hint } => super::terminal::complain(&tame(message), hint),
                _ => {}
            }
            all.push((store, ran));
        }
        if self.format == Format::Json {
            print(&json(&policy, &all)?)?;
        }
        Ok(super::run::exit(all.iter().map(|(_, ran)| ran), &ending))
    }

    fn stores<'p>(&self, policy: &'p Policy) -> Result<Vec<&'p Name>, Trouble> {
        let known = policy.copy_stores();
        let names = |all: &BTreeSet<&Name>| all.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let known: BTreeSet<&Name> = known.into_keys().collect();
        if known.is_empty() {
            let hint = "Name a store in a job's `copies`, or in `wal.copies`.";
            return Err(Trouble::usage("the policy copies nothing anywhere", hint));
        }
        if let Some(other) = self.store.iter().find(|store| !known.contains(store)) {
            let message = format!("the policy copies nothing to `{other}`");
            return Err(Trouble::usage(message, format!("There are copies in: {}.", names(&known))));
        }
        let mut of_jobs: BTreeSet<&Name> = BTreeSet::new();
        for job in &self.jobs {
            let name = job.as_str().strip_prefix("backups.").unwrap_or(job.as_str());
            let Some((_, backup)) = policy.backups.iter().find(|(known, _)| known.as_str() == name) else {
                let jobs: Vec<&str> = policy.backups.keys().map(Name::as_str).collect();
                return Err(Trouble::usage(format!("the policy has no backup `{job}`"), format!("It has: {}.", jobs.join(", "))));
            };
            if backup.copies.is_empty() {
                let hint = "Name a store in its `copies`.";
                return Err(Trouble::usage(format!("`backups.{job}` has no copies"), hint));
            }
            of_jobs.extend(backup.copies.iter().map(|copy| &copy.store));
        }
        let is_meant =
            |name: &&Name| (self.store.is_empty() || self.store.contains(name)) && (self.jobs.is_empty() || of_jobs.contains(name));
        Ok(known.into_iter().filter(is_meant).collect())
    }

    fn show(&self, policy: &Policy, missing: &[(&Name, Result<Vec<Left>, SiteFault>)]) -> Result<Exit, Trouble> {
        match self.format {
            Format::Human => print(&missing.iter().map(|(store, missing)| plan_text(store, missing)).collect::<String>())?,
            Format::Json => print(&plan_json(policy, missing)?)?,
        }
        let faults = missing.iter().filter_map(|(store, missing)| Some((store, missing.as_ref().err()?)));
        faults.clone().for_each(|(store, fault)| super::terminal::complain(&format!("`{store}`: {}", tame(&fault.message)), &fault.hint));
        Ok(if faults.count() > 0 { Exit::Failed } else { Exit::Done })
    }
}

fn human(store: &Name, ran: &Ran) -> String {
    let mut out = String::new();
    let Some(copied) = &ran.made.copied else { return out };
    for CopiedBackup { id, job, from, copied, was_there } in &copied.backups {
        let before = if was_there.objects > 0 { format!(", {} were there", size(was_there.bytes)) } else { String::new() };
        writeln!(out, "copied    {store}  {id} of `{job}`  {} from `{from}`{before}", size(copied.bytes)).expect("a string takes all");
    }
    for flaw in &copied.flaws {
        writeln!(out, "flaw      {}", tame(&flaw.says())).expect("a string takes all");
    }
    for left in &copied.left {
        writeln!(out, "left      {store}  {}", left_text(left)).expect("a string takes all");
    }
    let log = usize::try_from(copied.log.objects).unwrap_or(usize::MAX);
    let left = if copied.left.is_empty() {
        "nothing is missing".to_owned()
    } else {
        format!("{} still missing", counted(copied.left.len(), "backup"))
    };
    let left = if copied.failed.is_empty() { left } else { "what is missing is not all known".to_owned() };
    writeln!(
        out,
        "`{store}`: {} and {} of the log copied, {}; {left}",
        counted(copied.backups.len(), "backup"),
        counted(log, "file"),
        size(copied.bytes())
    )
    .expect("a string takes all");
    copied.remarks.iter().for_each(|remark| writeln!(out, "note: {}", tame(remark)).expect("a string takes all"));
    out
}

fn left_text(left: &Left) -> String {
    let since = left.since.strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{} of `{}`  {} in `{}` since {since}", left.id, left.job, size(left.bytes), left.from)
}

fn plan_text(store: &Name, missing: &Result<Vec<Left>, SiteFault>) -> String {
    let mut out = String::new();
    let Ok(missing) = missing else { return out };
    for left in missing {
        writeln!(out, "copy      {store}  {}", left_text(left)).expect("a string takes all");
    }
    let bytes = missing.iter().map(|left| left.bytes).sum();
    writeln!(out, "`{store}`: {} to copy, {}", counted(missing.len(), "backup"), size(bytes)).expect("a string takes all");
    out
}

/// What a script reads.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall copy")]
pub struct CopyOutput<'t> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: &'t Name,
    stores: Vec<StoreOutput<'t>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StoreOutput<'t> {
    /// The store.
    store: &'t Name,
    /// All that belongs there is there.
    complete: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'t str>,
    /// What to do, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'t str>,
    /// The same may go well later.
    transient: bool,
    /// What was completed.
    backups: &'t [CopiedBackup],
    /// Files of the log beside those that backups need.
    log: Tally,
    /// Holds, audit chains, records of drills.
    others: Tally,
    /// What is damaged, missing, or not the same in both.
    flaws: &'t [Flaw],
    /// Backups that belong there and still are not.
    left: &'t [Left],
    /// How much was copied.
    bytes: u64,
    /// What people should know.
    remarks: &'t [String],
}

fn json(policy: &Policy, all: &[(&Name, Ran)]) -> Result<String, Trouble> {
    let nothing = copies::Copied::default();
    let stores = all.iter().map(|(store, ran)| {
        let copied = ran.made.copied.as_deref().unwrap_or(&nothing);
        let (message, hint, transient) = match &ran.end {
            Ended::Failed { message, hint, transient } => (Some(message.as_str()), Some(hint.as_str()), *transient),
            Ended::Busy { message, hint } => (Some(message.as_str()), Some(hint.as_str()), true),
            Ended::Stopped => (Some("it was asked to end"), None, true),
            Ended::Succeeded | Ended::Elsewhere { .. } | Ended::NotOwed { .. } => (None, None, false),
        };
        StoreOutput {
            store,
            complete: ran.end == Ended::Succeeded,
            message,
            hint: hint.filter(|hint| !hint.is_empty()),
            transient,
            backups: &copied.backups,
            log: copied.log,
            others: copied.others,
            flaws: &copied.flaws,
            left: &copied.left,
            bytes: copied.bytes(),
            remarks: &copied.remarks,
        }
    });
    validate::json(&CopyOutput { format_version: 1, policy: &policy.name, stores: stores.collect() })
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall copy --plan")]
pub struct CopyPlanOutput<'t> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: &'t Name,
    stores: Vec<StorePlan<'t>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StorePlan<'t> {
    /// The store.
    store: &'t Name,
    /// Why nothing can be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'t str>,
    /// Backups that belong there and are not.
    missing: &'t [Left],
}

fn plan_json(policy: &Policy, missing: &[(&Name, Result<Vec<Left>, SiteFault>)]) -> Result<String, Trouble> {
    let stores = missing.iter().map(|(store, missing)| StorePlan {
        store,
        unknown: missing.as_ref().err().map(|fault| fault.message.as_str()),
        missing: missing.as_deref().unwrap_or_default(),
    });
    validate::json(&CopyPlanOutput { format_version: 1, policy: &policy.name, stores: stores.collect() })
}
