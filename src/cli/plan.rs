//! `seawall plan`: what will happen, before any of it does.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use super::diagnostics::{self, FindingRecord, Secrets, Shown, record};
use super::examine::{Examined, Known};
use super::exit::{Exit, Trouble};
use super::fleet::Fleet;
use super::location::Location;
use super::moment;
use super::on_record::OnRecord;
use super::terminal::{Colour, Terminal, print, tame};
use super::validate::{SummaryRecord, json, summary_record};
use crate::converge::{Convergence, Running, converge};
use crate::evidence::Evidence;
use crate::inventory::{ClusterInventory, Inventory};
use crate::objectives::{Assessment, ReachRow, Row};
use crate::observe;
use crate::plan::words::quoted;
use crate::plan::{self, Plan, markdown};
use crate::policy::finding::{Finding, Weight};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::{Duration, Instant};
use crate::world::{clock, files, parallel};

/// Show what policies will do: the next runs, the steps of each job, whether the objectives can be kept, what is kept for how
/// long, and what would be deleted.
///
/// Needs no database, no store and no credentials, unless `--connect` asks for what databases say. What cannot be known without them
/// is said to be unknown. What lies in the stores, and what drills and runs have measured, comes from `--inventory`, or from the catalog of this host
/// where that is a file: as `seawall watch` last saw it, and how long ago that was.
#[derive(Debug, Args)]
#[command(
    name = "plan",
    after_help = "\
Examples:
  seawall plan                                       every policy below `policies`
  seawall plan policies/pricing-agent.yaml           one policy
  seawall plan --inventory state.json                with what is known of the world: what is due, what would be deleted
  seawall plan --until 2027-06-30                    which backups exist then, and how far back they reach
  seawall plan --format markdown                     as a comment on a pull request
  seawall plan --out plan.json                       keep it, with the digest of the policy it was made from
  seawall plan --connect policies/pricing-agent.yaml also ask its databases what they keep, compress and refresh
  seawall plan --detailed-exitcode                   exit with 2 when there is something to do"
)]
pub struct PlanCommand {
    /// Files, directories (searched for *.yaml and *.yml), `git:REV:PATH`, or `-` for standard input.
    ///
    /// Without any: $SEAWALL_POLICY, else the directory `policies` if it exists, else this one.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// What is known of the world; `seawall schema inventory` describes the file.
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Also ask the databases that the policy speaks of, and show what differs there as the SQL that mends it.
    #[arg(long)]
    connect: bool,
    /// Where this host keeps its catalog, which is asked where there is no `--inventory` [default: $STATE_DIRECTORY, then /var/lib/seawall or
    /// below the home directory].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Also show which backups will exist on that day (UTC) or at that time, by simulation.
    #[arg(long, value_name = "DATE", value_parser = moment::parse)]
    until: Option<Instant>,
    /// Plan as if it were this moment.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<Instant>,
    /// How the plan is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Also write the plan, as JSON, into a file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 when there is something to do, or when that cannot be ruled out.
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// For programs; `seawall schema plan` describes it.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// What `seawall plan --format json` prints and `--out` saves.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Plan of seawall")]
pub struct PlanOutput<'p> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    /// The version of seawall that made it.
    pub seawall: &'static str,
    /// A plan for each sound policy.
    pub plans: Vec<PlanRecord<'p>>,
    /// Everything that was found, in order of place; at most 200 for each file.
    pub findings: Vec<FindingRecord>,
    pub summary: SummaryRecord,
}

/// The plan of one policy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanRecord<'p> {
    /// The file of the policy, as it was named.
    pub file: &'p str,
    #[serde(flatten)]
    pub plan: &'p Plan,
    /// Each objective against its worst case.
    pub objectives: &'p [Row],
    /// How far back each job reaches in each store, once it has run that long.
    pub reach: &'p [ReachRow],
    /// What recoveries have shown. Absent where nothing is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<&'p Evidence>,
    /// What differs between the policy and its databases. Absent when nobody asked them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databases: Option<&'p Convergence>,
}

/// What comes of one policy. Plans are large and fleets are as well: a plan stays only where it is printed as data.
struct Planned<'p> {
    examined: &'p Examined,
    assessment: &'p Assessment,
    /// It, for people.
    text: String,
    plan: Option<Plan>,
    databases: Option<Convergence>,
    has_something_to_do: bool,
}

impl PlanCommand {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = self.at.unwrap_or_else(clock::now);
        let inventory = self.inventory.as_deref().map(moment::read_inventory).transpose()?;
        let locations = Location::all(&self.paths)?;
        let terminal = Terminal::of_stdout(colour);
        let catalogs = OnRecord::default();
        // An inventory that somebody gives is all that there is, also where it does not speak of a policy.
        let seen = |policy: &Policy| self.inventory.is_none().then(|| catalogs.seen(policy, self.state.as_deref(), now)).flatten();
        let record = |policy: &Policy| seen(policy).map(|(seen, _)| seen).or_else(|| catalogs.of(policy, self.state.as_deref(), now));
        let fleet = Fleet::load(&locations, now, Known { inventory: inventory.as_ref(), record: Some(&record) });
        let planned = parallel::map(&fleet.policies, &|examined| {
            let recorded = examined.policy.as_ref().and_then(seen);
            self.planned(examined, (inventory.as_ref(), recorded.as_ref()), now, terminal)
        });
        let planned: Vec<Planned<'_>> = planned.into_iter().flatten().collect::<Result<_, _>>()?;
        let findings = fleet.all_findings();
        match self.format {
            Format::Human => {
                planned.iter().try_for_each(|each| print(&each.text))?;
                print(&diagnostics::render(&findings, terminal))?;
                print(&format!("{}\n", diagnostics::summary(&fleet, &findings)))?;
            }
            Format::Json => print(&output(&planned, &fleet, &findings)?)?,
            Format::Markdown => {
                print(&heading_in_markdown(&fleet, &findings))?;
                planned.iter().try_for_each(|each| print(&each.text))?;
            }
        }
        if let Some(file) = &self.out {
            let saved = output(&planned, &fleet, &findings)?;
            files::replace(file, saved.as_bytes())
                .map_err(|fault| Trouble::failed(format!("the plan cannot be saved: {}", fault.message), fault.hint))?;
        }
        Ok(match fleet.is_sound() {
            false => Exit::Failed,
            true if self.detailed_exitcode && planned.iter().any(|planned| planned.has_something_to_do) => Exit::SomethingToDo,
            true => Exit::Done,
        })
    }

    /// The plan of one policy; none when the policy is wrong in itself.
    fn planned<'p>(
        &self,
        examined: &'p Examined,
        (inventory, recorded): (Option<&Inventory>, Option<&(ClusterInventory, Instant)>),
        now: Instant,
        terminal: Terminal,
    ) -> Option<Result<Planned<'p>, Trouble>> {
        let (policy, assessment) = examined.policy.as_ref().zip(examined.assessment.as_ref())?;
        let given = inventory.and_then(|inventory| Some((inventory.clusters.get(&policy.name)?, inventory.observed_at)));
        let observed = given.or(recorded.map(|(seen, at)| (seen, *at)));
        let plan = match plan::make(policy, observed, now, self.until) {
            Ok(plan) => plan,
            Err(error) => {
                let message = format!("`{}` cannot be simulated: {error}", policy.name);
                return Some(Err(Trouble::usage(message, "Choose another date for `--until`.")));
            }
        };
        // A second look with other eyes; what it finds is our fault, and nobody should act on such a plan.
        if let Some(fault) = plan::lint(&plan, policy, observed.map(|(inventory, _)| inventory)).first() {
            return Some(Err(Trouble::fault(format!("the plan of `{}` contradicts its own rules: {fault}", policy.name))));
        }
        let databases = self.databases(policy, observed, now);
        let text = match self.format {
            Format::Human => human(examined, assessment, (&plan, &made(&plan, recorded.is_some())), databases.as_ref(), terminal),
            Format::Markdown => in_markdown(examined, assessment, (&plan, &made(&plan, recorded.is_some())), databases.as_ref()),
            Format::Json => String::new(),
        };
        let has_something_to_do = plan.has_something_to_do() || databases.as_ref().is_some_and(|databases| !databases.is_settled());
        let as_data = self.format == Format::Json || self.out.is_some();
        Some(Ok(Planned { examined, assessment, text, plan: as_data.then_some(plan), databases, has_something_to_do }))
    }

    /// What differs in the databases, where somebody asked them: we, or who made the inventory.
    fn databases(&self, policy: &Policy, observed: Option<(&ClusterInventory, Instant)>, now: Instant) -> Option<Convergence> {
        if !Convergence::is_about(policy) {
            return None;
        }
        if self.connect {
            return Some(converge(policy, &observe::running(&Site::new(policy, None, None)), now));
        }
        let (seen, at) = observed.filter(|(seen, _)| seen.server.is_some() || !seen.timescaledb.is_empty())?;
        let (server, databases) = (seen.server.clone(), seen.timescaledb.clone());
        Some(converge(policy, &Running { server, databases, seen_at: Some(at), ..Running::default() }, now))
    }
}

fn human(
    examined: &Examined,
    assessment: &Assessment,
    (plan, made): (&Plan, &str),
    databases: Option<&Convergence>,
    terminal: Terminal,
) -> String {
    let width = u16::try_from(terminal.width.min(120)).unwrap_or(120);
    let heading = format!("Plan of {} ({})", plan.policy, tame(&examined.document.source.name));
    let line = "=".repeat(heading.chars().count().min(usize::from(width)));
    let databases = databases.map(|databases| format!("{}\n", databases.to_text())).unwrap_or_default();
    let evidence = examined.evidence.as_ref().map(|evidence| evidence.to_text(plan.made_at, width)).unwrap_or_default();
    let promises = assessment.to_text(width);
    format!("{heading}\n{line}\n{made}\n{}\n\n{promises}{evidence}{}{databases}", plan.digest, plan.to_text(width))
}

/// What the plan was made from.
fn made(plan: &Plan, is_recorded: bool) -> String {
    let inventory = match plan.observed_at {
        Some(at) if is_recorded => {
            let age = Duration::between(at, plan.made_at);
            format!("with what `seawall watch` saw in the stores at {}, {age} before", plan::minute(at))
        }
        Some(at) => format!("with the inventory of {}", plan::minute(at)),
        None => "without an inventory".to_owned(),
    };
    format!("made for {}, {inventory}", plan::minute(plan.made_at))
}

fn output(planned: &[Planned<'_>], fleet: &Fleet, findings: &[Finding]) -> Result<String, Trouble> {
    let secrets = Secrets::of(findings);
    let shown = Shown::of(findings);
    let plans = planned.iter().filter_map(|each| {
        let plan = each.plan.as_ref()?;
        Some(PlanRecord {
            file: &each.examined.document.source.name,
            plan,
            objectives: &each.assessment.rows,
            reach: &each.assessment.reach,
            evidence: each.examined.evidence.as_ref(),
            databases: each.databases.as_ref(),
        })
    });
    json(&PlanOutput {
        format_version: plan::FORMAT_VERSION,
        seawall: env!("CARGO_PKG_VERSION"),
        plans: plans.collect(),
        findings: shown.findings.iter().map(|finding| record(finding, &secrets)).collect(),
        summary: summary_record(fleet, findings, &shown),
    })
}

fn heading_in_markdown(fleet: &Fleet, findings: &[Finding]) -> String {
    let mut text = format!("**seawall plan**: {}\n\n", markdown::prose(&diagnostics::summary(fleet, findings)));
    let (secrets, shown) = (Secrets::of(findings), Shown::of(findings));
    let to_mend = shown.findings.iter().filter(|finding| finding.weight != Weight::Note && finding.acknowledged.is_none());
    let rows: Vec<Vec<String>> = to_mend
        .map(|finding| {
            let found = record(finding, &secrets);
            let place = found.place.map(|place| format!("`{}:{}`", place.file.replace('`', "'"), place.line)).unwrap_or_default();
            let weight = if finding.weight == Weight::Error { "error" } else { "warning" };
            vec![weight.into(), found.code, place, found.message, found.hint.unwrap_or_default()]
        })
        .collect();
    text.push_str(&markdown::table(&["", "code", "where", "what", "how to mend it"], &rows));
    markdown::squeezed(&text) + "\n"
}

fn in_markdown(examined: &Examined, assessment: &Assessment, (plan, made): (&Plan, &str), databases: Option<&Convergence>) -> String {
    let from = markdown::prose(&format!("From {}, {made}; policy `{}`.", quoted(&examined.document.source.name), plan.digest));
    let databases = databases.map(Convergence::to_markdown).unwrap_or_default();
    let evidence = examined.evidence.as_ref().map(|evidence| evidence.to_markdown(plan.made_at)).unwrap_or_default();
    let promises = assessment.to_markdown();
    markdown::squeezed(&format!("### `{}`\n\n{from}\n\n{promises}{evidence}{}{databases}", plan.policy, plan.to_markdown())) + "\n"
}
