//! `seawall expire`: does what the timer's job does, now.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::terminal::{Colour, print, tame};
use crate::execute::expire::{self, Deed, Done, ExpireFault, Expired, Onlooker, Planned, Wishes};
use crate::execute::run;
use crate::plan::words::counted;
use crate::plan::{Doomed, Expiry};
use crate::units::{Bytes, Instant, Name};
use crate::world::{git, signals};

/// Mark what the policy lets go, and delete what was marked for long enough.
///
/// In two phases: a backup that no rule keeps any longer is marked, and deleted by a later run when `expire.grace` is over and
/// still no rule, hold, chain or restore wants it. Then the write-ahead log goes that nothing needs. Every line says why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall expire --plan                   what would be marked and deleted; nothing is touched
  seawall expire                          what the timer does, in all stores of the policy
  seawall expire offsite                  in this store only
  seawall expire --acknowledge-brake      although more goes at once than `expire.brake` allows")]
pub struct Expire {
    /// The stores; all of the policy's without one.
    #[arg(value_name = "STORE")]
    stores: Vec<Name>,
    /// Only shows what would be done with the backups.
    #[arg(long)]
    plan: bool,
    /// As many may go at once as the rules let go: `expire.brake` does not stop this run, nor the one that deletes what it marks.
    #[arg(long)]
    acknowledge_brake: bool,
    /// How the result is written.
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

impl Expire {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let (policy, files) = self.here.read_with_files(colour)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        let wishes = Wishes { stores: self.stores.clone(), acknowledged: self.acknowledge_brake, ..Wishes::default() };
        if self.plan {
            return self.show(&expire::plan(&site, &wishes).map_err(trouble)?);
        }
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        // Nothing is deleted without a record.
        let catalog = super::record::open(&site)
            .ok_or_else(|| Trouble::failed("what is deleted could not be recorded, so nothing is", "See to the catalog first."))?;
        let deed = |done: Done, deed: &Deed| run::audit_deed(&site, Some(&catalog), done, deed);
        let expired = expire::expire(&site, &wishes, Onlooker { deed: &deed, stop: &ending.asked }).map_err(trouble)?;
        print(&match self.format {
            Format::Human => human(&expired),
            Format::Json => json(&expired),
        })?;
        for remark in &expired.remarks {
            eprintln!("note: {}", tame(remark));
        }
        for failed in &expired.failed {
            complain(&failed.store, &failed.fault);
        }
        for braked in &expired.braked {
            eprintln!("error: `{}`: {}", braked.store, braked.brake);
            eprintln!(
                "  help: Look at `seawall expire --plan`. If they shall go, say `--acknowledge-brake`; the grace period begins then."
            );
        }
        Ok(match () {
            () if expired.failed.iter().any(|failed| matches!(failed.fault, ExpireFault::Interrupted)) => match ending.code() {
                Some(143) => Exit::Terminated,
                _ => Exit::Interrupted,
            },
            () if !expired.failed.is_empty() => Exit::Failed,
            () if !expired.braked.is_empty() => Exit::NotAcknowledged,
            () => Exit::Done,
        })
    }

    fn show(&self, planned: &[Planned]) -> Result<Exit, Trouble> {
        print(&match self.format {
            Format::Human => planned.iter().map(plan_text).collect(),
            Format::Json => plan_json(planned),
        })?;
        let mut exit = Exit::Done;
        for Planned { store, decided } in planned {
            match decided {
                Err(fault) => {
                    complain(store, fault);
                    exit = Exit::Failed;
                }
                Ok(Some(Expiry { braked: Some(brake), .. })) => {
                    eprintln!("error: `{store}`: {brake}");
                    exit = if exit == Exit::Failed { exit } else { Exit::NotAcknowledged };
                }
                Ok(_) => {}
            }
        }
        Ok(exit)
    }
}

fn trouble(fault: ExpireFault) -> Trouble {
    Trouble::failed(fault.to_string(), fault.hint())
}

fn complain(store: &Name, fault: &ExpireFault) {
    eprintln!("error: `{store}`: {}", tame(&fault.to_string()));
    if !fault.hint().is_empty() {
        eprintln!("  help: {}", tame(fault.hint()));
    }
}

fn human(expired: &Expired) -> String {
    let mut out = String::new();
    let groups = [
        ("deleted", &expired.deleted),
        ("marked", &expired.marked),
        ("unmarked", &expired.unmarked),
        ("waiting", &expired.waiting),
        ("deferred", &expired.deferred),
    ];
    for (word, deeds) in groups {
        for deed in deeds {
            row(&mut out, word, deed);
        }
    }
    let done = [(&expired.marked, "marked"), (&expired.unmarked, "unmarked"), (&expired.deleted, "deleted")];
    let done: Vec<String> = done.iter().map(|(deeds, word)| format!("{} {word}", deeds.len())).collect();
    writeln!(out, "{}, {} freed", done.join(", "), Bytes::new(expired.bytes).rounded()).expect("a string takes all");
    out
}

fn row(out: &mut String, word: &str, deed: &Deed) {
    let Deed { store, what, reason, bytes, .. } = deed;
    let size = Bytes::new(*bytes).rounded();
    writeln!(out, "{word:<10}{store}  {}  {size}  {}", tame(&what.to_string()), tame(reason)).expect("a string takes all");
}

fn plan_text(Planned { store, decided }: &Planned) -> String {
    let mut out = String::new();
    let Ok(Some(decided)) = decided else { return out };
    let mut rows = |word: &str, doomed: &Doomed, reason: &str| {
        let size = Bytes::new(doomed.bytes).rounded();
        writeln!(out, "{word:<10}{store}  {} of `{}`  {size}  {}", doomed.id, doomed.job, tame(reason)).expect("a string takes all");
    };
    decided.delete.iter().chain(&decided.leftovers).for_each(|doomed| rows("delete", doomed, &doomed.reason));
    decided.mark.iter().for_each(|doomed| rows("mark", doomed, &doomed.reason));
    for waiting in &decided.waiting {
        rows("wait", &waiting.doomed, &format!("{}: {}", waiting.doomed.reason, waiting.why));
    }
    for spared in &decided.unmark {
        writeln!(out, "{:<10}{store}  {} of `{}`  {}", "unmark", spared.id, spared.job, tame(&spared.reason)).expect("a string takes all");
    }
    let counts = [("to delete", decided.delete.len()), ("to mark", decided.mark.len()), ("waiting", decided.waiting.len())];
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{} {what}", counted(*count, "backup"))).collect();
    writeln!(out, "`{store}`: {}", counts.join(", ")).expect("a string takes all");
    out
}

/// What a script reads.
#[derive(Debug, Serialize)]
struct Output<'t> {
    format_version: u32,
    marked: &'t [Deed],
    unmarked: &'t [Deed],
    deleted: &'t [Deed],
    deferred: &'t [Deed],
    waiting: &'t [Deed],
    braked: Vec<BrakedOutput<'t>>,
    failed: Vec<FailedOutput<'t>>,
    remarks: &'t [String],
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct BrakedOutput<'t> {
    store: &'t Name,
    would: usize,
    of: usize,
    limit: String,
    says: String,
}

#[derive(Debug, Serialize)]
struct FailedOutput<'t> {
    store: &'t Name,
    message: String,
    hint: &'t str,
    transient: bool,
}

fn json(expired: &Expired) -> String {
    let braked =
        |braked: &'_ expire::Braked| (braked.brake.would, braked.brake.of, braked.brake.limit.to_string(), braked.brake.to_string());
    let output = Output {
        format_version: 1,
        marked: &expired.marked,
        unmarked: &expired.unmarked,
        deleted: &expired.deleted,
        deferred: &expired.deferred,
        waiting: &expired.waiting,
        braked: (expired.braked.iter())
            .map(|one| {
                let (would, of, limit, says) = braked(one);
                BrakedOutput { store: &one.store, would, of, limit, says }
            })
            .collect(),
        failed: (expired.failed.iter()).map(|failed| failed_output(&failed.store, &failed.fault)).collect(),
        remarks: &expired.remarks,
        bytes: expired.bytes,
    };
    pretty(&output)
}

fn failed_output<'t>(store: &'t Name, fault: &'t ExpireFault) -> FailedOutput<'t> {
    FailedOutput { store, message: fault.to_string(), hint: fault.hint(), transient: fault.is_transient() }
}

#[derive(Debug, Serialize)]
struct PlanOutput<'t> {
    format_version: u32,
    stores: Vec<StorePlan<'t>>,
}

#[derive(Debug, Serialize)]
struct StorePlan<'t> {
    store: &'t Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<FailedOutput<'t>>,
    delete: Vec<PlannedOutput<'t>>,
    mark: Vec<PlannedOutput<'t>>,
    unmark: Vec<PlannedOutput<'t>>,
    waiting: Vec<PlannedOutput<'t>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    braked: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlannedOutput<'t> {
    id: &'t str,
    job: &'t Name,
    reason: &'t str,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Instant>,
}

fn plan_json(planned: &[Planned]) -> String {
    let nothing = Expiry::default();
    let stores = planned.iter().map(|Planned { store, decided }| {
        let (decided_on, failed) = match decided {
            Ok(decided) => (decided.as_ref().unwrap_or(&nothing), None),
            Err(fault) => (&nothing, Some(failed_output(store, fault))),
        };
        StorePlan {
            store,
            failed,
            delete: decided_on.delete.iter().chain(&decided_on.leftovers).map(planned_output).collect(),
            mark: decided_on.mark.iter().map(planned_output).collect(),
            unmark: (decided_on.unmark.iter())
                .map(|spared| PlannedOutput {
                    id: spared.id.as_str(),
                    job: &spared.job,
                    reason: &spared.reason,
                    bytes: 0,
                    why: None,
                    until: None,
                })
                .collect(),
            waiting: (decided_on.waiting.iter())
                .map(|waiting| PlannedOutput {
                    why: Some(waiting.why.to_string()),
                    until: waiting.why.until(),
                    ..planned_output(&waiting.doomed)
                })
                .collect(),
            braked: decided_on.braked.map(|brake| brake.to_string()),
        }
    });
    pretty(&PlanOutput { format_version: 1, stores: stores.collect() })
}

fn planned_output(doomed: &Doomed) -> PlannedOutput<'_> {
    PlannedOutput { id: doomed.id.as_str(), job: &doomed.job, reason: &doomed.reason, bytes: doomed.bytes, why: None, until: None }
}

fn pretty(output: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(output).expect("numbers and texts");
    text.push('\n');
    text
}
