//! `seawall validate`: is every policy sound?

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use super::diagnostics::{self, FindingRecord, Secrets, Shown, record};
use super::examine::Known;
use super::exit::{Exit, Trouble};
use super::fleet::{Fleet, Tally};
use super::location::Location;
use super::moment;
use super::terminal::{Colour, Terminal, is_wild, print, tame};
use crate::policy::finding::Finding;
use crate::units::Instant;
use crate::world::clock;

/// Check that policies are sound: their form, their meaning, and whether they can keep what they promise.
///
/// Needs no database, no store and no credentials. Everything that is wrong is reported at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall validate                                   every policy below `policies`, or below this directory
  seawall validate policies/pricing-agent.yaml       one policy
  seawall validate git:main:policies                 the policies as they are on another branch
  envsubst < template.yaml | seawall validate -      standard input
  seawall validate --strict --format github          in a pull request: warnings fail as well
  seawall validate --at 2027-06-30                   will it still be sound then?
  seawall validate --inventory state.json            does what drills have measured contradict them?
  seawall validate --format json | jq .summary       for programs")]
pub struct Validate {
    /// Files, directories (searched for *.yaml and *.yml), `git:REV:PATH`, or `-` for standard input.
    ///
    /// Without any: $SEAWALL_POLICY, else the directory `policies` if it exists, else this one.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// What is known of the world: measured figures and drills that contradict a policy are found as well. `seawall schema inventory` describes
    /// the file, `seawall inventory export` writes it.
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// How the findings are written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Warnings fail as well.
    #[arg(long)]
    strict: bool,
    /// Check as if it were this moment: reviews come due, acknowledgements and holds end.
    ///
    /// A day in UTC (2027-03-01) or a time with its zone (2027-03-01T04:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// For programs; `seawall schema validate-output` describes it.
    Json,
    /// Annotations of a pull request, for GitHub Actions.
    Github,
}

impl Validate {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let locations = Location::all(&self.paths)?;
        let inventory = self.inventory.as_deref().map(moment::read_inventory).transpose()?;
        let known = Known { inventory: inventory.as_ref(), record: None };
        let fleet = Fleet::load(&locations, self.at.unwrap_or_else(clock::now), known);
        let findings = fleet.all_findings();
        let text = match self.format {
            Format::Human => {
                let found = diagnostics::render(&findings, Terminal::of_stdout(colour));
                format!("{found}{}\n", diagnostics::summary(&fleet, &findings))
            }
            Format::Json => output(&fleet, &findings)?,
            Format::Github => format!("{}{}\n", diagnostics::annotations(&findings), diagnostics::summary(&fleet, &findings)),
        };
        print(&text)?;
        let failed = !fleet.is_sound() || (self.strict && Tally::of(&findings).warnings > 0);
        Ok(if failed { Exit::Failed } else { Exit::Done })
    }
}

/// What `seawall validate --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Output of seawall validate")]
pub struct ValidateOutput {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    /// Every policy that was read, in order.
    pub policies: Vec<PolicyRecord>,
    /// Everything that was found, in order of place; at most 200 for each file.
    pub findings: Vec<FindingRecord>,
    pub summary: SummaryRecord,
}

/// A policy that was read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyRecord {
    /// The file, as it was named; `<stdin>` for standard input.
    pub file: String,
    /// The policy's name; none when it has none or it cannot be read.
    pub name: Option<String>,
    /// The file is only there for others to extend.
    #[serde(rename = "abstract")]
    pub is_abstract: bool,
    /// SHA-256 over everything that was read for it.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// Nothing stands against it.
    pub sound: bool,
}

/// How much was found; acknowledged findings are counted apart.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SummaryRecord {
    /// Everything is sound.
    pub sound: bool,
    pub policies: usize,
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
    pub acknowledged: usize,
    /// How many findings are left out of `findings`.
    pub omitted: usize,
}

fn output(fleet: &Fleet, findings: &[Finding]) -> Result<String, Trouble> {
    let secrets = Secrets::of(findings);
    let shown = Shown::of(findings);
    let policies = fleet.policies.iter().map(|policy| PolicyRecord {
        file: tame(&policy.document.source.name).into_owned(),
        name: policy.document.file.as_ref().and_then(|file| file.policy.as_ref()).map(ToString::to_string),
        is_abstract: policy.document.is_abstract,
        digest: policy.document.digest.clone(),
        sound: policy.is_sound(),
    });
    json(&ValidateOutput {
        format_version: 1,
        policies: policies.collect(),
        findings: shown.findings.iter().map(|finding| record(finding, &secrets)).collect(),
        summary: summary_record(fleet, findings, &shown),
    })
}

/// How much was found, for programs.
pub(super) fn summary_record(fleet: &Fleet, findings: &[Finding], shown: &Shown<'_>) -> SummaryRecord {
    let tally = Tally::of(findings);
    SummaryRecord {
        sound: fleet.is_sound(),
        policies: fleet.policies.len(),
        errors: tally.errors,
        warnings: tally.warnings,
        notes: tally.notes,
        acknowledged: tally.acknowledged,
        omitted: shown.how_many_omitted(),
    }
}

/// Anything for programs, as text.
pub(super) fn json(value: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string_pretty(value).map(|text| escaped(&text) + "\n").map_err(|error| {
        Trouble::failed(format!("the output cannot be written as JSON: {error}"), "This is a fault of seawall; please report it.")
    })
}

/// Signs that act on a terminal or deceive the eye, written as JSON allows: for a program they are what they were.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_wild(c) {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    text
}
