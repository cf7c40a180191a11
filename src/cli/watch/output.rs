//! How the result of `seawall watch` is written: lines for people, JSON for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::line;
use crate::alert::{Firing, Judged};
use crate::cli::exit::Trouble;
use crate::cli::terminal::tame;
use crate::cli::validate;
use crate::execute::watch::Watched;
use crate::notify::outbox::Flushed;
use crate::plan::words::counted;
use crate::units::Instant;

/// What `seawall watch --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall watch")]
pub struct WatchOutput<'w> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// When all had been looked at.
    at: Instant,
    /// What is wrong, by policy.
    policies: Vec<PolicyWatch<'w>>,
    /// How many messages were delivered.
    sent: usize,
    /// How many could not be delivered yet.
    failed: usize,
}

/// One policy by this look.
#[derive(Debug, Serialize, JsonSchema)]
struct PolicyWatch<'w> {
    /// Its name; absent where it cannot be read and no earlier version of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'w str>,
    /// Its file, as it was named.
    file: String,
    /// Why nothing could be looked at, or nobody be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'w str>,
    /// What is wrong, worst first.
    firing: &'w [Firing],
    /// The keys of what is wrong and nobody is to hear of by the policy's routes.
    unheard: Vec<&'w str>,
    /// How many messages were decided on by this look.
    queued: usize,
}

/// What is told of one policy.
#[derive(Debug)]
pub(super) struct Of<'w> {
    pub policy: Option<&'w str>,
    pub file: String,
    pub failed: Option<&'w str>,
    pub judged: Option<(&'w Judged, usize)>,
}

impl<'w> Of<'w> {
    pub(super) fn watched(path: &Path, policy: &'w str, watched: &'w Watched) -> Of<'w> {
        let file = path.to_string_lossy().into_owned();
        Of { policy: Some(policy), file, failed: None, judged: Some((&watched.judged, watched.queued)) }
    }
}

pub(super) fn json(all: &[Of<'_>], sent: &Flushed, at: Instant) -> Result<String, Trouble> {
    let policies = all.iter().map(|of| PolicyWatch {
        policy: of.policy,
        file: of.file.clone(),
        failed: of.failed,
        firing: of.judged.map(|(judged, _)| judged.firing.as_slice()).unwrap_or_default(),
        unheard: of.judged.iter().flat_map(|(judged, _)| &judged.unheard).map(|unheard| unheard.key.as_str()).collect(),
        queued: of.judged.map_or(0, |(_, queued)| queued),
    });
    let policies = policies.collect();
    validate::json(&WatchOutput { format_version: 1, at, policies, sent: sent.delivered.len(), failed: sent.failed.len() })
}

/// What is wrong.
pub(super) fn human(judged: &Judged) -> String {
    let mut text: String = judged.firing.iter().map(line).collect();
    if judged.firing.is_empty() {
        text.push_str("nothing is wrong\n");
    }
    for unheard in &judged.unheard {
        text.push_str(&format!("nobody has heard of {}\n", tame(&unheard.key)));
    }
    text
}

/// What went out.
pub(super) fn sent(sent: &Flushed) -> String {
    if sent.delivered.is_empty() && sent.failed.is_empty() {
        return String::new();
    }
    format!("{} sent, {} not yet\n", counted(sent.delivered.len(), "message"), sent.failed.len())
}
