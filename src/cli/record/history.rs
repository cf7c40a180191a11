//! `seawall history`: the runs on record.

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use super::{existing, policy_or_last_good, trouble};
use crate::catalog::{Catalog, Filter, Outcome, RunId, RunRow, StepRow};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::moment;
use crate::cli::repository::{Format, span};
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::execute::run;
use crate::plan::text::columns;
use crate::policy::model::Policy;
use crate::units::{Bytes, Instant};

/// Show the runs on record, newest first, or one run with its steps.
///
/// Reads the record only. A run is named by its number; a job as for `seawall run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall history                           the last runs of all jobs
  seawall history nightly --outcome failed
  seawall history 4711                      one run, and each of its steps
  seawall history --since 2027-03-01 --format json")]
pub struct History {
    /// A job, or the number of a run.
    #[arg(value_name = "JOB|RUN")]
    what: Option<String>,
    /// Only runs that began at this moment or later: `2027-03-01`, `2027-03-01T04:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Instant>,
    /// Only runs that ended so.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<Ended>,
    /// The newest so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
    /// Each run's steps too.
    #[arg(long)]
    steps: bool,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ended {
    Succeeded,
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// Its process is gone and left no word.
    Lost,
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Succeeded => Outcome::Succeeded,
            Ended::Failed => Outcome::Failed,
            Ended::Stopped => Outcome::Stopped,
            Ended::Lost => Outcome::Lost,
        }
    }
}

/// What `seawall history --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall history")]
pub struct HistoryOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// The policy.
    policy: &'a str,
    /// The newest first.
    runs: Vec<RunRecord<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RunRecord<'a> {
    /// Its number.
    run: String,
    /// As a path of the policy.
    job: &'a str,
    /// Who ran it.
    host: &'a str,
    /// `asked`, `due` or `plan`.
    why: &'static str,
    /// Since when it was owed.
    owed_since: Option<Instant>,
    /// When it began.
    started: Instant,
    /// None while it is under way.
    ended: Option<Instant>,
    /// `succeeded`, `failed`, `stopped` or `lost`; none while it is under way.
    outcome: Option<&'static str>,
    /// The same may go well later.
    transient: bool,
    /// Why it is so.
    message: Option<&'a str>,
    /// What to do, as a sentence.
    hint: Option<&'a str>,
    /// The backup that came of it.
    backup: Option<&'a str>,
    /// Where that is.
    store: Option<&'a str>,
    /// How large its data are.
    bytes: Option<u64>,
    /// How much of the store they take.
    stored_bytes: Option<u64>,
    /// SHA-256 of its descriptor.
    checksum: Option<&'a str>,
    /// Of the policy.
    digest: Option<&'a str>,
    /// The git commit of the policy.
    commit: Option<&'a str>,
    /// What it did, in order, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepRecord<'a>>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StepRecord<'a> {
    /// From 1 on.
    number: u32,
    /// What sort of step.
    action: &'a str,
    /// The same in words.
    says: &'a str,
    /// When it began.
    started: Instant,
    /// When it ended.
    ended: Option<Instant>,
    /// `succeeded`, `failed` or `stopped`; none while it is under way.
    outcome: Option<&'static str>,
    /// Why it is so.
    message: Option<&'a str>,
}

type Shown = Vec<(RunRow, Option<Vec<StepRow>>)>;

impl History {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        // What ran, ran: also where the policy of the moment cannot be read.
        let policy = policy_or_last_good(&self.here, colour)?;
        let catalog = existing(&self.here.site(&policy))?;
        let number = self.what.as_deref().and_then(|what| what.parse::<RunId>().ok());
        let shown = match number {
            Some(number) => vec![one(&catalog, &policy, number)?],
            None => self.several(&catalog, &policy)?,
        };
        let width = Terminal::for_tables(colour, 1000);
        print(&match self.format {
            Format::Json => output(&policy, &shown)?,
            Format::Human if number.is_some() => shown.iter().map(|(run, steps)| whole(run, steps.as_deref(), width)).collect(),
            Format::Human if shown.is_empty() => "no such run is on record\n".to_owned(),
            Format::Human if self.steps => shown.iter().map(|(run, steps)| with_steps(run, steps.as_deref(), width)).collect(),
            Format::Human => columns(HEADER, shown.iter().map(|(run, _)| row(run)).collect(), width),
        })?;
        Ok(Exit::Done)
    }

    fn several(&self, catalog: &Catalog, policy: &Policy) -> Result<Shown, Trouble> {
        let name = policy.name.as_str();
        let job = self.what.as_deref().map(|asked| job(catalog, policy, asked)).transpose()?;
        let filter = Filter {
            policy: Some(name),
            job: job.as_deref(),
            since: self.since,
            outcome: self.outcome.map(Outcome::from),
            limit: usize::from(self.limit),
            ..Filter::default()
        };
        let runs = catalog.history(&filter).map_err(trouble)?;
        let steps = |run: &RunRow| if self.steps { catalog.steps_of(run.run).map(Some) } else { Ok(None) };
        runs.into_iter().map(|run| steps(&run).map(|steps| (run, steps)).map_err(trouble)).collect()
    }
}

fn one(catalog: &Catalog, policy: &Policy, number: RunId) -> Result<(RunRow, Option<Vec<StepRow>>), Trouble> {
    let found = catalog.run(number).map_err(trouble)?.filter(|run| run.policy == policy.name.as_str());
    let run = found.ok_or_else(|| {
        let hint = "`seawall history` shows the numbers of its last runs.";
        Trouble::failed(format!("no run {number} of `{}` is on record", policy.name), hint)
    })?;
    let steps = catalog.steps_of(number).map_err(trouble)?;
    Ok((run, Some(steps)))
}

/// A job of the policy, or one that it had once.
fn job(catalog: &Catalog, policy: &Policy, asked: &str) -> Result<String, Trouble> {
    let fault = match run::find(policy, asked) {
        Ok(job) => return Ok(job.path.to_string()),
        Err(fault) => fault,
    };
    let recorded = catalog.last_runs(policy.name.as_str()).map_err(trouble)?;
    let once = recorded.iter().any(|known| known.job == asked);
    if once || asked == run::POLICY { Ok(asked.to_owned()) } else { Err(Trouble::usage(fault.to_string(), fault.hint)) }
}

const HEADER: &[&str] = &["run", "when", "job", "outcome", "took", "size", "stored", "what"];

fn row(run: &RunRow) -> Vec<String> {
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| Bytes::new(bytes).rounded()).unwrap_or_default();
    vec![
        run.run.to_string(),
        moment_of(run.started),
        run.job.clone(),
        outcome(run).to_owned(),
        took(run.started, run.ended),
        bytes(run.bytes),
        bytes(run.stored_bytes),
        run.backup.iter().chain(&run.message).cloned().collect::<Vec<_>>().join(": "),
    ]
}

fn moment_of(at: Instant) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn outcome(run: &RunRow) -> &'static str {
    run.outcome.map_or("running", Outcome::word)
}

fn took(started: Instant, ended: Option<Instant>) -> String {
    ended.map(|ended| span(ended.as_second() - started.as_second())).unwrap_or_default()
}

fn with_steps(run: &RunRow, steps: Option<&[StepRow]>, width: u16) -> String {
    columns(&[], vec![row(run)], width) + &told_steps(steps.unwrap_or_default(), width)
}

fn told_steps(steps: &[StepRow], width: u16) -> String {
    let row = |step: &StepRow| {
        let outcome = step.outcome.map_or("running", |outcome| outcome.word());
        let said = step.message.as_ref().map(|message| format!("{}: {message}", step.says)).unwrap_or_else(|| step.says.clone());
        vec![format!("  {}", step.number), outcome.to_owned(), took(step.started, step.ended), said]
    };
    columns(&[], steps.iter().map(row).collect(), width)
}

/// Everything about one run.
fn whole(run: &RunRow, steps: Option<&[StepRow]>, width: u16) -> String {
    let mut text = format!("run {} of {}\n", run.run, tame(&run.job));
    let mut say = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {what:<10} {}\n", tame(&value)));
        }
    };
    say("outcome", Some(outcome(run).to_owned()));
    say("because", run.message.clone());
    say("help", run.hint.clone());
    say("started", Some(format!("{} ({})", moment_of(run.started), run.why)));
    say("owed since", run.owed_since.map(moment_of));
    say("ended", run.ended.map(|ended| format!("{}, after {}", moment_of(ended), took(run.started, run.ended))));
    say("host", Some(format!("{}, process {}", run.host, run.pid)));
    say("backup", run.backup.clone());
    say("store", run.store.clone());
    say("size", run.bytes.map(|bytes| Bytes::new(bytes).rounded()));
    say("stored", run.stored_bytes.map(|bytes| Bytes::new(bytes).rounded()));
    say("sha256", run.checksum.clone());
    say("policy", run.digest.clone());
    say("commit", run.commit.clone());
    text + &told_steps(steps.unwrap_or_default(), width)
}

fn output(policy: &Policy, shown: &Shown) -> Result<String, Trouble> {
    let runs = shown.iter().map(|(run, steps)| RunRecord {
        run: run.run.to_string(),
        job: &run.job,
        host: &run.host,
        why: run.why.word(),
        owed_since: run.owed_since,
        started: run.started,
        ended: run.ended,
        outcome: run.outcome.map(Outcome::word),
        transient: run.transient,
        message: run.message.as_deref(),
        hint: run.hint.as_deref(),
        backup: run.backup.as_deref(),
        store: run.store.as_deref(),
        bytes: run.bytes,
        stored_bytes: run.stored_bytes,
        checksum: run.checksum.as_deref(),
        digest: run.digest.as_deref(),
        commit: run.commit.as_deref(),
        steps: steps.as_ref().map(|steps| steps.iter().map(step).collect()),
    });
    json(&HistoryOutput { format_version: 1, policy: policy.name.as_str(), runs: runs.collect() })
}

fn step(step: &StepRow) -> StepRecord<'_> {
    StepRecord {
        number: step.number,
        action: &step.action,
        says: &step.says,
        started: step.started,
        ended: step.ended,
        outcome: step.outcome.map(|outcome| outcome.word()),
        message: step.message.as_deref(),
    }
}
