//! `seawall checklist`: the questions of the day, answered.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::gather;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::repository::Format;
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::plan::text::columns;
use crate::report::{Answer, Question, checklist};
use crate::units::Instant;
use crate::world::clock;

/// Answer the daily list of questions about backups with yes, no or unknown, each with its evidence.
///
/// Reads the record and asks neither a store nor a server. Exits with 1 where an answer is no, with 5 where one is unknown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall checklist
  seawall checklist --format json | jq '.policies[].questions[] | select(.answer != \"yes\")'")]
pub struct Checklist {
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall checklist")]
pub struct ChecklistOutput {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// When it was asked.
    at: Instant,
    /// Each with its answers, worst first.
    policies: Vec<PolicyRecord>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PolicyRecord {
    /// Its name.
    policy: String,
    /// Why nothing can be answered, or not as of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// In the order in which they are asked.
    questions: Vec<Question>,
}

impl Checklist {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = clock::now();
        let all = gather::all(&self.here, colour, now);
        let policies: Vec<PolicyRecord> = all
            .iter()
            .map(|looked| PolicyRecord {
                policy: looked.standing.policy.clone(),
                unknown: looked.standing.unknown.clone(),
                questions: looked
                    .policy
                    .as_ref()
                    .map(|policy| checklist(policy, &looked.record, &looked.standing, now))
                    .unwrap_or_default(),
            })
            .collect();
        let answers = policies.iter().flat_map(|policy| &policy.questions).map(|question| question.answer);
        let unread = policies.iter().any(|policy| policy.unknown.is_some()).then_some(Answer::No);
        let worst = answers.chain(unread).max().unwrap_or(Answer::Yes);
        print(&match self.format {
            Format::Json => json(&ChecklistOutput { format_version: 1, at: now, policies })?,
            Format::Human => {
                let width = Terminal::for_tables(colour, 1000);
                policies.iter().map(|policy| human(policy, width)).collect::<Vec<_>>().join("\n")
            }
        })?;
        Ok(match worst {
            Answer::Yes => Exit::Done,
            Answer::Unknown => Exit::Warned,
            Answer::No => Exit::Failed,
        })
    }
}

fn human(policy: &PolicyRecord, width: u16) -> String {
    let mut text = format!("{}\n", tame(&policy.policy));
    if let Some(why) = &policy.unknown {
        text.push_str(&format!("  UNKNOWN: {}\n", tame(why)));
    }
    let row = |question: &Question| {
        let answer = match question.answer {
            Answer::Yes => "yes",
            Answer::Unknown => "unknown",
            Answer::No => "NO",
        };
        vec![question.question.to_owned(), answer.to_owned(), question.evidence.clone()]
    };
    text + &columns(&[], policy.questions.iter().map(row).collect(), width)
}
