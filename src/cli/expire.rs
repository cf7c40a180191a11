//! `seawall expire`: does what the timer's job does, now.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::Format;
use super::terminal::{Colour, print, tame};
use super::validate;
use crate::execute::expire::{self, Deed, Done, ExpireFault, Expired, Onlooker, Planned, Wishes};
use crate::execute::run;
use crate::plan::words::counted;
use crate::plan::{Doomed, Expiry};
use crate::units::{Bytes, Instant, Name, StorageClass};
use crate::world::{git, signals};

/// Mark what the policy lets go, and delete what was marked for long enough.
///
/// In two phases: a backup that no rule keeps any longer is marked, and deleted by a later run when `expire.grace` is over and
/// still no rule, hold, chain or restore wants it. Then the write-ahead log goes that nothing needs, and what only longer
/// tiers still keep moves to their storage classes. Every line says why.
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

impl Expire {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let (policy, files) = self.here.read_with_files(colour)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        let meant = if self.stores.is_empty() { policy.stores.keys().cloned().collect() } else { self.stores.iter().cloned().collect() };
        let acknowledged = if self.acknowledge_brake { meant } else { BTreeSet::new() };
        let wishes = Wishes { stores: self.stores.clone(), acknowledged, ..Wishes::default() };
        if self.plan {
            return self.show(&expire::plan(&site, &wishes).map_err(trouble)?);
        }
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        // Nothing is deleted without a record.
        let catalog = super::record::open(&site)
            .ok_or_else(|| Trouble::failed("what is deleted could not be recorded, so nothing is", "See to the catalog first."))?;
        let deed = |done: Done, deed: &Deed| run::audit_deed(&site, Some(&catalog), done, deed);
        let expired = expire::expire(&site, &wishes, Onlooker { deed: &deed, stop: &ending.asked }).map_err(trouble)?;
        run::measure_brakes(&site, &catalog, &expired);
        print(&match self.format {
            Format::Human => human(&expired),
            Format::Json => json(&expired)?,
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
            Format::Json => plan_json(planned)?,
        })?;
        let mut exit = Exit::Done;
        for Planned { store, decided, .. } in planned {
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
    super::terminal::complain(&format!("`{store}`: {}", tame(&fault.to_string())), fault.hint());
}

fn human(expired: &Expired) -> String {
    let mut out = String::new();
    let groups = [
        ("deleted", &expired.deleted),
        ("moved", &expired.moved),
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
    let done = [(&expired.marked, "marked"), (&expired.unmarked, "unmarked"), (&expired.deleted, "deleted"), (&expired.moved, "moved")];
    // Most policies move nothing.
    let said = done.iter().filter(|(deeds, word)| *word != "moved" || !deeds.is_empty());
    let done: Vec<String> = said.map(|(deeds, word)| format!("{} {word}", deeds.len())).collect();
    writeln!(out, "{}, {} freed", done.join(", "), Bytes::new(expired.bytes).rounded()).expect("a string takes all");
    out
}

fn row(out: &mut String, word: &str, deed: &Deed) {
    let Deed { store, what, reason, bytes, storage_class, .. } = deed;
    let size = Bytes::new(*bytes).rounded();
    let to = storage_class.map_or_else(String::new, |class| format!("to {class}: "));
    writeln!(out, "{word:<10}{store}  {}  {size}  {to}{}", tame(&what.to_string()), tame(reason)).expect("a string takes all");
}

fn plan_text(Planned { store, decided, moves }: &Planned) -> String {
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
    for one in moves {
        let size = Bytes::new(one.bytes).rounded();
        writeln!(out, "{:<10}{store}  {} of `{}`  {size}  to {}: {}", "move", one.id, one.job, one.to, one.reason)
            .expect("a string takes all");
    }
    let counts = [("to delete", decided.delete.len()), ("to mark", decided.mark.len()), ("waiting", decided.waiting.len())];
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{} {what}", counted(*count, "backup"))).collect();
    let counts: Vec<String> = counts.into_iter().chain((!moves.is_empty()).then(|| counted(moves.len(), "backup") + " to move")).collect();
    writeln!(out, "`{store}`: {}", counts.join(", ")).expect("a string takes all");
    out
}

/// What a script reads.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall expire")]
pub struct ExpireOutput<'t> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// What no rule wants any more and was marked by this run.
    marked: &'t [Deed],
    /// What is wanted again and has lost its mark.
    unmarked: &'t [Deed],
    /// What was marked for long enough and is gone.
    deleted: &'t [Deed],
    /// What was moved to a colder storage class.
    moved: &'t [Deed],
    /// What a lock of the store forbids to delete for now.
    deferred: &'t [Deed],
    /// What no rule wants and is still there.
    waiting: &'t [Deed],
    /// Stores in which more would go at once than `expire.brake` allows: nothing went there.
    braked: Vec<BrakedOutput<'t>>,
    /// Stores in which nothing, or nothing more, could be done.
    failed: Vec<FailedOutput<'t>>,
    /// What people should know.
    remarks: &'t [String],
    /// How much room was freed.
    bytes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct BrakedOutput<'t> {
    /// The store.
    store: &'t Name,
    /// How many backups would go.
    would: usize,
    /// Of how many.
    of: usize,
    /// `expire.brake`.
    limit: String,
    /// The same as a sentence.
    says: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FailedOutput<'t> {
    /// The store.
    store: &'t Name,
    /// What is wrong.
    message: String,
    /// What to do, as a sentence.
    hint: &'t str,
    /// The same may go well later.
    transient: bool,
}

fn json(expired: &Expired) -> Result<String, Trouble> {
    let output = ExpireOutput {
        format_version: 1,
        marked: &expired.marked,
        unmarked: &expired.unmarked,
        deleted: &expired.deleted,
        moved: &expired.moved,
        deferred: &expired.deferred,
        waiting: &expired.waiting,
        braked: (expired.braked.iter())
            .map(|expire::Braked { store, brake }| BrakedOutput {
                store,
                would: brake.would,
                of: brake.of,
                limit: brake.limit.to_string(),
                says: brake.to_string(),
            })
            .collect(),
        failed: (expired.failed.iter()).map(|failed| failed_output(&failed.store, &failed.fault)).collect(),
        remarks: &expired.remarks,
        bytes: expired.bytes,
    };
    validate::json(&output)
}

fn failed_output<'t>(store: &'t Name, fault: &'t ExpireFault) -> FailedOutput<'t> {
    FailedOutput { store, message: fault.to_string(), hint: fault.hint(), transient: fault.is_transient() }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall expire --plan")]
pub struct ExpirePlanOutput<'t> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// What would be done in each store.
    stores: Vec<StorePlan<'t>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StorePlan<'t> {
    /// The store.
    store: &'t Name,
    /// Why nothing can be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<FailedOutput<'t>>,
    /// What would be deleted.
    delete: Vec<PlannedOutput<'t>>,
    /// What would be marked.
    mark: Vec<PlannedOutput<'t>>,
    /// What would lose its mark.
    unmark: Vec<PlannedOutput<'t>>,
    /// What no rule wants and would stay for now.
    waiting: Vec<PlannedOutput<'t>>,
    /// What would be moved to a colder storage class.
    #[serde(rename = "move")]
    moves: Vec<MoveOutput<'t>>,
    /// Why the brake would stop it.
    #[serde(skip_serializing_if = "Option::is_none")]
    braked: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MoveOutput<'t> {
    /// The backup.
    id: &'t str,
    /// The job that took it.
    job: &'t Name,
    /// The class it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<StorageClass>,
    /// The class it goes to.
    to: StorageClass,
    /// Why.
    reason: &'t str,
    /// How much that is.
    bytes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PlannedOutput<'t> {
    /// The backup.
    id: &'t str,
    /// The job that took it.
    job: &'t Name,
    /// Why it goes, or stays.
    reason: &'t str,
    /// The room it takes.
    bytes: u64,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Until when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Instant>,
}

fn plan_json(planned: &[Planned]) -> Result<String, Trouble> {
    let nothing = Expiry::default();
    let stores = planned.iter().map(|Planned { store, decided, moves }| {
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
            moves: (moves.iter())
                .map(|one| MoveOutput {
                    id: one.id.as_str(),
                    job: &one.job,
                    from: one.from,
                    to: one.to,
                    reason: &one.reason,
                    bytes: one.bytes,
                })
                .collect(),
            braked: decided_on.braked.map(|brake| brake.to_string()),
        }
    });
    validate::json(&ExpirePlanOutput { format_version: 1, stores: stores.collect() })
}

fn planned_output(doomed: &Doomed) -> PlannedOutput<'_> {
    PlannedOutput { id: doomed.id.as_str(), job: &doomed.job, reason: &doomed.reason, bytes: doomed.bytes, why: None, until: None }
}
