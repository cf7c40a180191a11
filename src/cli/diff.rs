//! `seawall diff`: what a change of policies means.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::diagnostics;
use super::examine::Known;
use super::exit::{Exit, Trouble};
use super::fleet::Fleet;
use super::location::Location;
use super::moment;
use super::terminal::{Colour, Terminal, print, tame};
use super::validate::json;
use crate::diff::{FleetDiff, compare_fleet};
use crate::policy::finding::Finding;
use crate::policy::model::Policy;
use crate::units::Instant;
use crate::world::clock;

/// Show what a change of policies means: which jobs start, stop and move, what is promised no longer, which existing backups it
/// would delete, and who would no longer hear of a failure.
///
/// A change that may lose something for good ends with exit code 3, until the new policy acknowledges it with a reason.
#[derive(Debug, Args)]
#[command(
    name = "diff",
    after_help = "\
Examples:
  seawall diff git:main:policies policies                     this branch against main
  seawall diff old.yaml new.yaml                              two files
  seawall diff git:main:policies policies --inventory s.json  which existing backups it would delete, by name
  seawall diff git:main:policies policies --format markdown   as a comment on the pull request

To accept a consequence, the new policy says so:
  acknowledge:
    - { finding: SW0903, at: backups.nightly.keep, reason: agreed with legal on 2026-11-02 }"
)]
pub struct Diff {
    /// The policies as they were: a file, a directory, or `git:REV:PATH`.
    old: String,
    /// The policies as they will be: a file, a directory, or `git:REV:PATH`.
    new: String,
    /// What is known of the world; `seawall schema inventory` describes the file.
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Compare as if it were this moment.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<Instant>,
    /// How the difference is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// For programs; `seawall schema diff` describes it.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

impl Diff {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = self.at.unwrap_or_else(clock::now);
        let terminal = Terminal::of_stdout(colour);
        let inventory = self.inventory.as_deref().map(moment::read_inventory).transpose()?;
        let known = Known { inventory: inventory.as_ref(), record: None };
        let old = Fleet::load(&[Location::parse(&self.old)?], now, known);
        let new = Fleet::load(&[Location::parse(&self.new)?], now, known);
        for (fleet, which) in [(&old, &self.old), (&new, &self.new)] {
            if let Some(findings) = unreadable(fleet) {
                // A comparison with a policy that cannot be understood would leave out the very thing that matters.
                print(&diagnostics::render(&findings, terminal))?;
                return Err(Trouble::failed(
                    format!("`{}` cannot be compared: not every policy in it can be understood", tame(which)),
                    "Mend what is shown above first; `seawall validate` checks it.",
                ));
            }
        }
        let diff = compare_fleet(&policies(&old), &policies(&new), inventory.as_ref(), now);
        print(&self.written(&diff, terminal)?)?;
        Ok(if diff.needs_acknowledgement() { Exit::NotAcknowledged } else { Exit::Done })
    }

    fn written(&self, diff: &FleetDiff, terminal: Terminal) -> Result<String, Trouble> {
        Ok(match self.format {
            Format::Human => diff.to_text(u16::try_from(terminal.width.min(120)).unwrap_or(120)),
            Format::Json => json(diff)?,
            Format::Markdown => diff.to_markdown(),
        })
    }
}

/// What keeps policies from being understood; what they merely cannot keep does not.
fn unreadable(fleet: &Fleet) -> Option<Vec<Finding>> {
    let understood = fleet.policies.iter().all(|policy| policy.policy.is_some() || (policy.document.is_abstract && policy.is_sound()));
    let found = fleet.findings.iter().any(Finding::is_blocking);
    (!understood || found).then(|| fleet.all_findings().into_iter().filter(Finding::is_blocking).collect())
}

fn policies(fleet: &Fleet) -> Vec<Policy> {
    fleet.policies.iter().filter_map(|policy| policy.policy.clone()).collect()
}
