//! `seawall notify`: do messages arrive?

use std::fmt::Write as _;
use std::time::{Duration, Instant as Stopwatch};

use clap::{Args, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::Format;
use super::terminal::{Colour, print, tame};
use super::validate;
use crate::alert::NoticeKind;
use crate::message::sample;
use crate::notify::{Before, Courier, Receipt, SendFault};
use crate::policy::model::Policy;
use crate::units::{Name, nearest};
use crate::world::{clock, parallel};

/// Messages to people and to their systems.
#[derive(Debug, Subcommand)]
pub enum Notify {
    Test(Test),
}

/// Send a marked sample to receivers, on the way that alerts take.
///
/// One line for each receiver says what the server answered. Everything is as for a real alert: secrets, certificates, templates.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall notify test                      to every receiver of the policy
  seawall notify test dba --kind resolved  how the end of an alert looks

A PagerDuty service is paged and the incident resolved at once; `--kind firing` leaves it open until `--kind resolved`.")]
pub struct Test {
    /// Receivers of the policy [default: all of them].
    receivers: Vec<Name>,
    /// What it looks like.
    #[arg(long, value_name = "KIND", default_value = "sample")]
    kind: Kind,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Firing,
    Reminder,
    Escalation,
    Resolved,
    Event,
    Sample,
}

/// More receivers than this at once gain nothing.
const AT_ONCE: usize = 8;

impl Notify {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Notify::Test(test) => test.run(colour),
        }
    }
}

impl Test {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let receivers = self.chosen(&policy)?;
        let courier = Courier::new(&policy);
        let now = clock::now();
        let deliver = |receiver: &&Name| {
            // No two tests are one message: the second one must not be taken for a copy of the first.
            let notice = sample(&policy.name, receiver, self.kind.into(), now, &now.to_string());
            let began = Stopwatch::now();
            (courier.send(&notice, &Before::default()), began.elapsed())
        };
        let outcomes = parallel::map_with(AT_ONCE, &receivers, &deliver);
        print(&match self.format {
            Format::Human => human(&receivers, &outcomes),
            Format::Json => json(&policy, &receivers, &outcomes)?,
        })?;
        let complete = outcomes.iter().all(|(outcome, _)| outcome.as_ref().is_ok_and(|receipt| receipt.refused.is_empty()));
        Ok(if complete { Exit::Done } else { Exit::Failed })
    }

    fn chosen<'p>(&self, policy: &'p Policy) -> Result<Vec<&'p Name>, Trouble> {
        let all = &policy.file.receivers;
        if all.is_empty() {
            return Err(Trouble::failed("the policy has no receivers", "Add `receivers`."));
        }
        if self.receivers.is_empty() {
            return Ok(all.keys().collect());
        }
        let find = |name: &Name| {
            all.get_key_value(name.as_str()).map(|(name, _)| name).ok_or_else(|| {
                let hint = match nearest(name.as_str(), all.keys().map(Name::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => format!("It has {}.", all.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
                };
                Trouble::usage(format!("the policy has no receiver `{name}`"), hint)
            })
        };
        self.receivers.iter().map(find).collect()
    }
}

/// What the server said, and how long it took.
type Outcome = (Result<Receipt, SendFault>, Duration);

fn human(receivers: &[&Name], outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let width = receivers.iter().map(|receiver| receiver.as_str().len()).max().unwrap_or_default();
    for (receiver, (outcome, took)) in receivers.iter().zip(outcomes) {
        let _ = writeln!(text, "{:width$}  {}", receiver.as_str(), said(outcome, *took));
    }
    text
}

/// What `seawall notify test --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall notify test")]
pub struct NotifyTestOutput<'n> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// The policy.
    policy: &'n str,
    /// In the order in which they were asked.
    receivers: Vec<ReceiverRecord<'n>>,
}

/// One receiver of a sample.
#[derive(Debug, Serialize, JsonSchema)]
struct ReceiverRecord<'n> {
    /// By the policy.
    receiver: &'n str,
    /// Its server took the message.
    delivered: bool,
    /// What its server said, or what went wrong.
    said: &'n str,
    /// Who of several did not get it, and why.
    refused: &'n [String],
    /// What to do, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'n str>,
    /// How long it took.
    seconds: f64,
}

fn json(policy: &Policy, receivers: &[&Name], outcomes: &[Outcome]) -> Result<String, Trouble> {
    let records = receivers.iter().zip(outcomes).map(|(receiver, (outcome, took))| {
        let seconds = took.as_secs_f64();
        let receiver = receiver.as_str();
        match outcome {
            Ok(Receipt { said, refused, .. }) => ReceiverRecord { receiver, delivered: true, said, refused, hint: None, seconds },
            Err(SendFault { message, hint, .. }) => {
                let hint = Some(hint.as_str()).filter(|hint| !hint.is_empty());
                ReceiverRecord { receiver, delivered: false, said: message, refused: &[], hint, seconds }
            }
        }
    });
    validate::json(&NotifyTestOutput { format_version: 1, policy: policy.name.as_str(), receivers: records.collect() })
}

fn said(outcome: &Result<Receipt, SendFault>, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match outcome {
        Ok(receipt) if receipt.refused.is_empty() => format!("delivered in {seconds:.1} s: {}", tame(&receipt.said)),
        Ok(receipt) => format!("delivered in {seconds:.1} s, but not to all: {}", tame(&receipt.refused.join("; "))),
        Err(fault) => {
            let hint = if fault.hint.is_empty() { String::new() } else { format!("\n  help: {}", fault.hint) };
            format!("FAILED after {seconds:.1} s: {}{}", tame(&fault.message), tame_lines(&hint))
        }
    }
}

fn tame_lines(text: &str) -> String {
    text.split('\n').map(|line| tame(line).into_owned()).collect::<Vec<_>>().join("\n")
}

impl From<Kind> for NoticeKind {
    fn from(kind: Kind) -> NoticeKind {
        match kind {
            Kind::Firing => NoticeKind::Firing,
            Kind::Reminder => NoticeKind::Reminder,
            Kind::Escalation => NoticeKind::Escalation,
            Kind::Resolved => NoticeKind::Resolved,
            Kind::Event => NoticeKind::Event,
            Kind::Sample => NoticeKind::Sample,
        }
    }
}
