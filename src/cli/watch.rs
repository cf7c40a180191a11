//! `seawall watch`: one look, what follows from it, and the messages that are owed.

use std::sync::atomic::AtomicBool;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::record;
use super::terminal::{Colour, print, tame};
use crate::alert::{Firing, Unreadable};
use crate::execute::watch::{self, Look, Watched};
use crate::notify;
use crate::plan::words::counted;
use crate::site::{Site, known};
use crate::units::Instant;
use crate::world::{clock, signals};

/// Look once at everything that somebody may have to be told of, tell them, and send what could not be sent before.
///
/// A timer calls it every few minutes. What is wrong is no failure of this command: `seawall status` and `seawall check` judge.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall watch                           what the timer calls
  seawall watch --format json | jq '.firing[].key'")]
pub struct Watch {
    /// How what happens is told, on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// How the result is written, on standard output.
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

impl Watch {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        log::begin(self.log_format);
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let (policy, unreadable) = match self.here.read(colour) {
            Ok(policy) => (policy, None),
            Err(trouble) => last_good(&self.here, trouble)?,
        };
        let site = self.here.site(&policy);
        if unreadable.is_none() {
            record::keep_policy(&self.here, &policy);
        }
        let place = site.catalog()?;
        let catalog = crate::catalog::Catalog::open(&place).map_err(|fault| Trouble::failed(fault.message, fault.hint))?;
        record::settle(&site, &catalog);
        record::see(&site, &catalog, clock::now());
        let watched = look(&site, &catalog, Look::Everything, unreadable, &ending.asked)?;
        if let Err(fault) = notify::beat(&policy) {
            tracing::warn!(hint = fault.hint, "no sign of life could be sent: {}", fault.message);
        }
        print(&match self.format {
            Format::Human => human(&watched),
            Format::Json => json(&site, &watched),
        })?;
        Ok(Exit::Done)
    }
}

/// The rules of the last version that could be read, so that somebody hears that this one cannot.
pub(super) fn last_good(here: &Here, trouble: Trouble) -> Result<(crate::policy::model::Policy, Option<Unreadable>), Trouble> {
    let now = clock::now();
    let Some(known) = known::recall(&here.state(), &here.path(), now) else { return Err(trouble) };
    tracing::error!("{trouble}: nothing runs, and those are told whom its last good version names");
    let unreadable = unreadable(here, &trouble, known.unreadable_since);
    Ok((known.policy, Some(unreadable)))
}

/// A policy that cannot be read, as it is told.
pub(super) fn unreadable(here: &Here, trouble: &Trouble, since: Instant) -> Unreadable {
    let message = format!("{trouble}; {}", trouble.hint().unwrap_or_default());
    let hint = format!("Run `seawall validate {}`.", here.path().display());
    Unreadable { since, message, hint: Some(hint) }
}

pub(super) fn look(
    site: &Site<'_>,
    catalog: &crate::catalog::Catalog,
    look: Look,
    unreadable: Option<Unreadable>,
    stop: &AtomicBool,
) -> Result<Watched, Trouble> {
    watch::watch(site, catalog, look, unreadable, stop).map_err(|fault| {
        let hint = fault.hint().to_owned();
        Trouble::failed(fault.to_string(), hint)
    })
}

fn human(watched: &Watched) -> String {
    let mut text = String::new();
    for firing in &watched.judged.firing {
        text.push_str(&line(firing));
    }
    if watched.judged.firing.is_empty() {
        text.push_str("nothing is wrong\n");
    }
    for unheard in &watched.judged.unheard {
        text.push_str(&format!("nobody has heard of {}\n", tame(&unheard.key)));
    }
    if !watched.sent.delivered.is_empty() || !watched.sent.failed.is_empty() {
        let (sent, failed) = (watched.sent.delivered.len(), watched.sent.failed.len());
        text.push_str(&format!("{} sent, {failed} not yet\n", counted(sent, "message")));
    }
    text
}

/// One thing that is wrong.
pub(super) fn line(firing: &Firing) -> String {
    let who = firing.acknowledged_by.as_ref().map(|who| format!(", {} takes care of it", tame(who))).unwrap_or_default();
    let severity = format!("{:?}", firing.severity).to_uppercase();
    format!("{severity:<9} {} since {}{who}  ({})\n", tame(&firing.title), crate::plan::minute(firing.since), tame(&firing.key))
}

#[derive(Debug, Serialize)]
struct WatchOutput<'w> {
    format_version: u32,
    policy: &'w str,
    at: Instant,
    firing: &'w [Firing],
    unheard: Vec<&'w str>,
    queued: usize,
    sent: usize,
    failed: usize,
}

fn json(site: &Site<'_>, watched: &Watched) -> String {
    let output = WatchOutput {
        format_version: 1,
        policy: site.policy.name.as_str(),
        at: clock::now(),
        firing: &watched.judged.firing,
        unheard: watched.judged.unheard.iter().map(|unheard| unheard.key.as_str()).collect(),
        queued: watched.queued,
        sent: watched.sent.delivered.len(),
        failed: watched.sent.failed.len(),
    };
    let mut text = serde_json::to_string_pretty(&output).expect("texts and numbers");
    text.push('\n');
    text
}
