//! `seawall apply`: databases become what their policy says of them.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::confirm::confirm;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::Format;
use super::terminal::{Colour, complain, print, tame};
use crate::converge::{Convergence, converge};
use crate::execute::converge::{ConvergeFault, Converged, apply};
use crate::observe;
use crate::plan::words::counted;
use crate::world::{clock, git};

/// Bring databases to what the policy says they keep, compress and refresh.
///
/// Shows what differs as the SQL that mends it, asks, and does exactly that: each database in one transaction. Where a database
/// has changed since it was shown, nothing is done there. What drops rows sooner must be acknowledged in the policy (SW0910); until
/// then nothing at all is done.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall plan --connect policies/a.yaml      only look
  seawall apply -p policies/a.yaml            look, ask, do
  seawall apply --without-destructive         what protects more at once, although something else waits for a decision
  seawall apply --yes --digest sha256:…       do what somebody has reviewed, and nothing else")]
pub struct Apply {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Leave out what destroys something and is not acknowledged, and do the rest.
    #[arg(long)]
    without_destructive: bool,
    /// Only if the changes are those with this digest, as `plan --connect` shows it.
    #[arg(long, value_name = "SHA256")]
    digest: Option<String>,
    /// How the result is written; as JSON, what will be done goes to standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

impl Apply {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let (policy, files) = self.here.read_with_files(colour)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        if !Convergence::is_about(&policy) {
            let hint = "`timescaledb` says what databases keep, `wal` what the server archives, `cluster.roles` who Seawall is.";
            return Err(Trouble::usage(format!("the policy `{}` says nothing of a server or its databases", policy.name), hint));
        }
        let mut shown = converge(&policy, &observe::running(&site), clock::now());
        match self.format {
            Format::Human => print(&shown.to_text())?,
            Format::Json => eprint!("{}", shown.to_text()),
        }
        if let Some(digest) = self.digest.as_ref().filter(|digest| **digest != shown.digest) {
            let message = format!("what would be done is not what {} was", tame(digest));
            return Err(Trouble::stale(message, "Look at the new changes, and name their digest."));
        }
        let needs = shown.needs_acknowledgement();
        if self.without_destructive {
            shown.changes.retain(|change| !change.needs_acknowledgement());
        } else if shown.needs_acknowledgement() {
            return Ok(Exit::NotAcknowledged);
        }
        let done = if shown.changes.is_empty() {
            Vec::new()
        } else {
            if !self.yes {
                confirm("Say `--yes` when the changes above are what you want.")?;
            }
            // Nothing is changed without a record.
            let catalog = super::record::open(&site)
                .ok_or_else(|| Trouble::failed("what is changed could not be recorded, so nothing is", "See to the catalog first."))?;
            apply(&site, &catalog, &shown)
        };
        let left = if done.is_empty() { None } else { Some(converge(&policy, &observe::running(&site), clock::now())) };
        match self.format {
            Format::Human => print(&human(&done, left.as_ref()))?,
            Format::Json => print(&json(&shown, &done, left.as_ref()))?,
        }
        for fault in done.iter().filter_map(|one| one.outcome.as_ref().err()) {
            complain(&tame(&fault.to_string()), fault.hint());
        }
        Ok(match exit(&done, left.as_ref().unwrap_or(&shown)) {
            // It was left out, so it is still to be done.
            Exit::Done if needs => Exit::NotAcknowledged,
            exit => exit,
        })
    }
}

fn exit(done: &[Converged], left: &Convergence) -> Exit {
    let failed = |one: &Converged| matches!(&one.outcome, Err(fault) if !matches!(fault, ConvergeFault::Stale { .. }));
    match () {
        () if done.iter().any(failed) => Exit::Failed,
        () if done.iter().any(|one| one.outcome.is_err()) => Exit::Stale,
        () if left.is_settled() => Exit::Done,
        () if left.needs_acknowledgement() => Exit::NotAcknowledged,
        () => Exit::Failed,
    }
}

fn human(done: &[Converged], left: Option<&Convergence>) -> String {
    let mut out = String::new();
    for Converged { place, changes, outcome } in done {
        let became = if outcome.is_ok() { "done" } else { "NOT done" };
        writeln!(out, "{}: {} {became}", tame(place), counted(*changes, "change")).expect("a string takes all");
    }
    if let Some(left) = left.filter(|left| !left.changes.is_empty()) {
        write!(out, "\nStill to do:\n{}", left.to_text()).expect("a string takes all");
    }
    out
}

/// What a script reads.
#[derive(Debug, Serialize)]
struct Output<'t> {
    format_version: u32,
    shown: &'t Convergence,
    places: Vec<PlaceOutput<'t>>,
    /// What differs afterwards.
    left: Option<&'t Convergence>,
}

#[derive(Debug, Serialize)]
struct PlaceOutput<'t> {
    place: &'t str,
    changes: usize,
    error: Option<String>,
}

fn json(shown: &Convergence, done: &[Converged], left: Option<&Convergence>) -> String {
    let one = |one: &'_ Converged| one.outcome.as_ref().err().map(ToString::to_string);
    let places = done.iter().map(|each| PlaceOutput { place: &each.place, changes: each.changes, error: one(each) }).collect();
    serde_json::to_string_pretty(&Output { format_version: 1, shown, places, left }).expect("texts and numbers") + "\n"
}
