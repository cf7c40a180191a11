//! How the result of `seawall run` is written: lines for people, JSON for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::copying::size;
use crate::cli::exit::Trouble;
use crate::cli::terminal::tame;
use crate::cli::validate;
use crate::execute::run::{Ended, Ran};
use crate::policy::model::Policy;
use crate::units::Instant;

/// What `seawall run --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall run")]
pub struct RunOutput<'r> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// Of a folder, the policies of which something ran or that cannot be used.
    policies: Vec<PolicyRuns<'r>>,
}

/// What ran of one policy.
#[derive(Debug, Serialize, JsonSchema)]
struct PolicyRuns<'r> {
    /// Its name; absent where it cannot be read and no earlier version of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'r str>,
    /// Its file, as it was named.
    file: String,
    /// Why it cannot be used: then nothing of it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<FailedRecord<'r>>,
    /// In the order in which they ended.
    runs: Vec<RunRecord<'r>>,
}

/// Why a policy cannot be used.
#[derive(Debug, Serialize, JsonSchema)]
struct FailedRecord<'r> {
    /// What is wrong.
    message: &'r str,
    /// What to do, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'r str>,
}

/// A job that was run, or was not.
#[derive(Debug, Serialize, JsonSchema)]
struct RunRecord<'r> {
    /// As a path of the policy: `backups.nightly`.
    job: &'r str,
    /// What came of it.
    outcome: Outcome,
    /// When it was begun.
    started: Instant,
    /// When it had ended.
    ended: Instant,
    /// Why it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'r str>,
    /// What to do, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'r str>,
    /// The same may go well later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    transient: bool,
    /// The backup that it took, or that another host had taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'r str>,
    /// Where that backup is.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'r str>,
    /// How large its data are.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// How much of the store they take.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    /// SHA-256 of its descriptor.
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<&'r str>,
    /// What people should know.
    remarks: &'r [String],
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Succeeded,
    Failed,
    /// It was asked to end.
    Stopped,
    /// Somebody else is at it: nothing was done.
    Busy,
    /// Another host has done it.
    Elsewhere,
    /// When its turn came it was owed no longer, or its window had closed: nothing was done.
    NotOwed,
}

/// What is told of one policy.
#[derive(Debug)]
pub(super) struct Of<'r> {
    pub policy: Option<&'r str>,
    pub file: String,
    /// What is wrong with it, and what to do.
    pub failed: Option<(&'r str, &'r str)>,
    pub ran: Vec<&'r Ran>,
}

impl<'r> Of<'r> {
    pub(super) fn policy(policy: &'r Policy, path: &Path, ran: &'r [Ran]) -> Of<'r> {
        let file = path.to_string_lossy().into_owned();
        Of { policy: Some(policy.name.as_str()), file, failed: None, ran: ran.iter().collect() }
    }
}

pub(super) fn json(all: &[Of<'_>]) -> Result<String, Trouble> {
    let policies = all.iter().map(|of| PolicyRuns {
        policy: of.policy,
        file: of.file.clone(),
        failed: of.failed.map(|(message, hint)| FailedRecord { message, hint: said(hint) }),
        runs: of.ran.iter().map(|ran| record(ran)).collect(),
    });
    validate::json(&RunOutput { format_version: 1, policies: policies.collect() })
}

fn record(ran: &Ran) -> RunRecord<'_> {
    let (outcome, message, hint, transient) = match &ran.end {
        Ended::Succeeded => (Outcome::Succeeded, None, None, false),
        Ended::Failed { message, hint, transient } => (Outcome::Failed, Some(message), Some(hint), *transient),
        Ended::Stopped => (Outcome::Stopped, None, None, true),
        Ended::Busy { message, hint } => (Outcome::Busy, Some(message), Some(hint), true),
        Ended::Elsewhere { message } => (Outcome::Elsewhere, Some(message), None, false),
        Ended::NotOwed { message } => (Outcome::NotOwed, Some(message), None, false),
    };
    RunRecord {
        job: &ran.job,
        outcome,
        started: ran.started,
        ended: ran.ended,
        message: message.map(String::as_str),
        hint: hint.and_then(|hint| said(hint)),
        transient,
        backup: ran.made.backup.as_deref(),
        store: ran.made.store.as_deref(),
        bytes: ran.made.bytes,
        stored_bytes: ran.made.stored_bytes,
        checksum: ran.made.checksum.as_deref(),
        remarks: &ran.remarks,
    }
}

fn said(hint: &str) -> Option<&str> {
    Some(hint).filter(|hint| !hint.is_empty())
}

/// A line for people; with the policy where there are several.
pub(super) fn human(policy: Option<&str>, ran: &Ran) -> String {
    let policy = policy.map(|policy| format!("{policy:<24}")).unwrap_or_default();
    format!("{policy}{:<24}{}\n", ran.job, tame(&outcome(ran)))
}

fn outcome(ran: &Ran) -> String {
    let took = format!("{:.1} s", ran.ended.duration_since(ran.started).as_secs_f64());
    match &ran.end {
        Ended::Succeeded => {
            let made = ran.made.backup.as_ref().map(|id| {
                let sizes = ran.made.bytes.zip(ran.made.stored_bytes);
                let sizes = sizes.map_or_else(String::new, |(bytes, stored)| format!(", {} ({} stored)", size(bytes), size(stored)));
                format!("{id}{sizes}, ")
            });
            format!("succeeded   {}{took}", made.unwrap_or_default())
        }
        Ended::Failed { message, .. } => format!("FAILED      {message}"),
        Ended::Stopped => "stopped     it was asked to end".to_owned(),
        Ended::Busy { message, .. } | Ended::NotOwed { message } => format!("not run     {message}"),
        Ended::Elsewhere { message } => format!("done        {message}"),
    }
}
