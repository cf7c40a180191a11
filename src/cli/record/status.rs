//! `seawall status`: what ran, what is owed, what is wrong.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::gather::{self, Looked};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::repository::{Format, ago, span};
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::plan::minute;
use crate::plan::text::{columns, wrapped};
use crate::plan::words::counted;
use crate::report::{JobStanding, Level, Problem, RecoveryStanding, RecoveryTime, Standing};
use crate::units::{Bytes, Duration, Instant};
use crate::world::clock;

/// Say how a policy stands: what ran, what is owed and late, what is wrong, how much could be lost now.
///
/// Reads the record and asks neither a store nor a server: what `seawall watch` last saw is what counts. With a directory as `--policy`
/// it is every policy in it, worst first. Exits with 1 where something is critical, with 5 where something is to be looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall status
  seawall status -p /etc/seawall/policies       every policy there
  seawall status --format json | jq '.policies[].problems'")]
pub struct Status {
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall status")]
pub struct StatusOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// When it was asked.
    at: Instant,
    /// The worst of all.
    level: Level,
    /// Worst first.
    policies: Vec<&'a Standing>,
}

impl Status {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = clock::now();
        let all = gather::all(&self.here, colour, now);
        let level = all.iter().map(|looked| looked.standing.level).max().unwrap_or(Level::Well);
        match self.format {
            Format::Json => {
                let policies = all.iter().map(|looked| &looked.standing).collect();
                print(&json(&StatusOutput { format_version: 1, at: now, level, policies })?)?;
            }
            Format::Human => {
                let terminal = Terminal::of_stdout(colour);
                let width = Terminal::for_tables(colour, 1000);
                let text: Vec<String> = all.iter().map(|looked| human(looked, now, terminal.colours, width)).collect();
                print(&text.join("\n"))?;
            }
        }
        Ok(match level {
            Level::Well => Exit::Done,
            Level::Warning => Exit::Warned,
            Level::Critical => Exit::Failed,
        })
    }
}

fn human(looked: &Looked, now: Instant, colours: bool, width: u16) -> String {
    let standing = &looked.standing;
    let verdict = match standing.level {
        Level::Well => "all is well".to_owned(),
        level => {
            let worst = standing.problems.iter().filter(|problem| problem.level == level).count();
            format!("{} {}", painted(level, colours), counted(worst, "problem"))
        }
    };
    let mut text = format!("{}: {verdict}\n", tame(&standing.policy));
    standing.problems.iter().for_each(|problem| text.push_str(&told(problem, colours, width)));
    if !standing.jobs.is_empty() {
        text.push('\n');
        let rows = standing.jobs.iter().map(|job| row(job, now)).collect();
        text.push_str(&columns(&["job", "last run", "outcome", "took", "stored", "next"], rows, width));
    }
    text.push_str(&objectives(standing, now));
    text
}

fn painted(level: Level, colours: bool) -> String {
    let (word, code) = match level {
        Level::Well => ("note", "32"),
        Level::Warning => ("WARNING", "33"),
        Level::Critical => ("CRITICAL", "1;31"),
    };
    if colours { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

fn told(problem: &Problem, colours: bool, width: u16) -> String {
    let since = problem.since.map(|since| format!(", since {}", minute(since))).unwrap_or_default();
    let who = problem.acknowledged_by.as_ref().map(|who| format!(", {} takes care of it", tame(who))).unwrap_or_default();
    let line = format!("{} ({}){since}{who}", tame(&problem.title), tame(&problem.key));
    let first = format!("  {:<8}  ", painted(problem.level, false));
    let mut text = wrapped(&line, &first, "            ", width);
    if colours {
        text = text.replacen(&painted(problem.level, false), &painted(problem.level, true), 1);
    }
    if !problem.text.is_empty() {
        text.push_str(&wrapped(&tame(&problem.text), "            ", "            ", width));
    }
    if let Some(hint) = &problem.hint {
        text.push_str(&wrapped(&tame(hint), "            help: ", "                  ", width));
    }
    text
}

fn row(job: &JobStanding, now: Instant) -> Vec<String> {
    let outcome = match (job.running_since, job.last_outcome) {
        (Some(since), _) => format!("running for {}", span(now.as_second() - since.as_second())),
        (None, Some(outcome)) if job.failures_in_a_row > 1 => format!("{outcome}, {} in a row", counted(job.failures_in_a_row, "time")),
        (None, Some(outcome)) => outcome.to_owned(),
        (None, None) => "never".to_owned(),
    };
    let next = if job.overdue { format!("OVERDUE, {}", job.due) } else { job.due.to_string() };
    vec![
        job.job.clone(),
        job.last_started.map(|at| ago(at, now)).unwrap_or_default(),
        outcome,
        job.took_then().map(|took| span(took as i64)).unwrap_or_default(),
        job.stored_then().map(|bytes| Bytes::new(bytes).rounded()).unwrap_or_default(),
        next,
    ]
}

/// How much could be lost now, as far as anybody saw.
fn objectives(standing: &Standing, now: Instant) -> String {
    let mut text = String::new();
    if standing.jobs.is_empty() {
        return text;
    }
    let promised = standing.rpo.map(|rpo| format!(" (promised: {rpo})")).unwrap_or_default();
    text.push('\n');
    text.push_str(&match (standing.safe_until, &standing.safe_until_unknown) {
        (Some(until), _) => {
            let lost = span((now.as_second() - until.as_second()).max(0));
            format!("If the server were lost now, {lost} would be lost with it, as far as was seen{promised}.\n")
        }
        (None, Some(reason)) => {
            format!("How much would be lost if the server were lost now is not known: {}{promised}.\n", tame(reason))
        }
        (None, None) if standing.jobs.iter().all(|job| job.newest_backup.is_none()) => {
            format!("Nothing would survive the loss of the server: there is no backup on record{promised}.\n")
        }
        (None, None) => format!(
            "If the server were lost now, at least one database would be lost as a whole: no backup that was seen has it{promised}.\n"
        ),
    });
    text.push_str(&recovery(&standing.recovery, now));
    for store in &standing.stores {
        match store.copy_behind_seconds {
            None => {}
            Some(0) => text.push_str(&format!("The copy in {} has all that belongs there.\n", store.store)),
            Some(behind) => text.push_str(&format!("The copy in {} is {} behind.\n", store.store, span(behind as i64))),
        }
    }
    for (key, expires) in standing.recovery.identities.iter().filter_map(|identity| Some((&identity.recipient, identity.expires?))) {
        let left = span((expires.as_second() - now.as_second()).max(0));
        text.push_str(&match expires > now {
            true => format!("The key {} expires in {left}, on {}.\n", tame(key), minute(expires)),
            false => format!("The key {} expired on {}.\n", tame(key), minute(expires)),
        });
    }
    for hold in &standing.holds {
        let until = hold.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        text.push_str(&format!("Under hold{until}: {} (`{}`, {}).\n", tame(&hold.holds), tame(&hold.hold), tame(&hold.reason)));
    }
    if standing.runs.all > 0 {
        text.push_str(&format!("{} of {} of the last 30 days succeeded.\n", standing.runs.succeeded, counted(standing.runs.all, "run")));
    }
    let watched = standing.watched.map_or_else(|| "never".to_owned(), |at| ago(at, now));
    text.push_str(&format!("Last looked at by `seawall watch`: {watched}.\n"));
    if standing.undelivered > 0 {
        text.push_str(&format!("{} not yet arrived.\n", counted(standing.undelivered, "message")));
    }
    text
}

/// How long a recovery takes by what was measured: of everything, and of whatever is nearest to what is promised.
fn recovery(recovery: &RecoveryStanding, now: Instant) -> String {
    let share = |time: &RecoveryTime| Some(time.p95_seconds? * 1_000 / time.promised?.as_secs().max(1));
    let nearest = recovery.times.iter().filter(|time| share(time).is_some()).max_by_key(|time| share(time));
    let everything = recovery.times.first();
    let nearest = nearest.filter(|nearest| everything.is_none_or(|everything| everything.scenario != nearest.scenario));
    let mut text: String = everything.into_iter().chain(nearest).map(|time| recovery_time(time, now)).collect();
    for drill in recovery.drills.iter().filter(|drill| drill.defined_otherwise) {
        text.push_str(&format!("Drill `{}` last passed as it was defined before, and has not yet as it is defined now.\n", drill.drill));
    }
    text
}

fn recovery_time(time: &RecoveryTime, now: Instant) -> String {
    let promised = time.promised.map(|promised| format!(" (promised: {promised})")).unwrap_or_default();
    let what = if time.scenario == "everything" { "everything".to_owned() } else { format!("`{}`", tame(&time.scenario)) };
    let Some((p50, p95)) = time.p50_seconds.zip(time.p95_seconds) else {
        return match time.promised {
            Some(_) => format!("How long a recovery of {what} takes was never measured{promised}.\n"),
            None => String::new(),
        };
    };
    let (p50, p95) = (Duration::from_secs(p50), Duration::from_secs(p95));
    let range = if p50 == p95 { p95.to_string() } else { format!("{p50} to {p95}") };
    let newest = time.measured.map(|at| format!(", the newest {}", ago(at, now))).unwrap_or_default();
    let rests_on = if time.samples == 1 { "one measured recovery".to_owned() } else { format!("{} measured recoveries", time.samples) };
    format!("A recovery of {what} takes {range} by {rests_on}{newest}{promised}.\n")
}
