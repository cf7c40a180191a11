//! `seawall watch`: one look, what follows from it, and the messages that are owed, of one policy or of a folder of them.

mod fleet;
mod output;

use std::sync::atomic::AtomicBool;

use clap::Args;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::record;
use super::repository::Format;
use super::terminal::{Colour, print, tame};
use crate::alert::{Firing, Unreadable};
use crate::catalog::Catalog;
use crate::execute::watch::{self, Look, WatchFault, Watched};
use crate::notify::{self, Deaf};
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::site::{Site, known};
use crate::store::Silences;
use crate::units::Instant;
use crate::world::{clock, files, signals};

pub use output::WatchOutput;

use output::{Of, human, json};

/// Look once at everything that somebody may have to be told of, tell them, and send what could not be sent before.
///
/// A timer calls it every few minutes. What is wrong is no failure of this command: `seawall status` and `seawall check` judge.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall watch                           what the timer calls
  seawall watch -p /etc/seawall/fleet     all policies of the folder
  seawall watch --format json | jq '.policies[].firing[].key'")]
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

impl Watch {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        log::begin(self.log_format);
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let path = self.here.path();
        if files::is_directory(&path) {
            return fleet::watch(&self.here, &path, self.format, &ending, colour);
        }
        let (policy, unreadable) = match self.here.read(colour) {
            Ok(policy) => (policy, None),
            Err(trouble) => last_good(&self.here, trouble)?,
        };
        let site = self.here.site(&policy).within(&Silences::default());
        if unreadable.is_none() {
            record::keep_policy(&self.here, &policy);
        }
        let watched = match with_catalog(&site, &self.here, unreadable, &ending.asked) {
            Ok(watched) => watched,
            Err(fault) => {
                let sent = watch::catalog_is_down(&site, &fault, &ending.asked);
                tracing::info!("{} sent without the catalog", counted(sent, "message"));
                return Err(trouble(&fault));
            }
        };
        watch::catalog_is_well(&site, &ending.asked);
        if let Err(fault) = notify::beat(&policy, &Deaf::default()) {
            tracing::warn!(hint = fault.hint, "no sign of life could be sent: {}", fault.message);
        }
        let of = Of::watched(&path, policy.name.as_str(), &watched);
        print(&match self.format {
            Format::Human => human(&watched.judged) + &output::sent(&watched.sent),
            Format::Json => json(&[of], &watched.sent, clock::now())?,
        })?;
        Ok(Exit::Done)
    }
}

fn with_catalog(site: &Site<'_>, here: &Here, unreadable: Option<Unreadable>, stop: &AtomicBool) -> Result<Watched, WatchFault> {
    let catalog = Catalog::open(&site.catalog()?)?;
    record::settle(&[site], &catalog);
    record::see(&[site], &catalog, clock::now());
    leave_former(site, here, &catalog, stop)?;
    watch::watch(site, &catalog, Look::Everything, unreadable, stop)
}

/// What the policy was called before is brought to its end, with the receivers that it has now.
fn leave_former(site: &Site<'_>, here: &Here, catalog: &Catalog, stop: &AtomicBool) -> Result<(), WatchFault> {
    for former in known::formerly(&here.state(), &here.path()) {
        let policy = Policy { name: former.clone(), ..site.policy.clone() };
        let host = site.host().parse().ok();
        if watch::leave(&Site::new(&policy, Some(site.state()), host.as_ref()), catalog, stop)?
            && let Err(error) = known::forget(&here.state(), &here.path(), &former)
        {
            tracing::debug!("that nothing is left of `{former}` is not kept: {error}");
        }
    }
    Ok(())
}

/// The rules of the last version that could be read, so that somebody hears that this one cannot.
pub(super) fn last_good(here: &Here, trouble: Trouble) -> Result<(Policy, Option<Unreadable>), Trouble> {
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

fn trouble(fault: &WatchFault) -> Trouble {
    Trouble::failed(fault.to_string(), fault.hint())
}

/// One thing that is wrong.
pub(super) fn line(firing: &Firing) -> String {
    let who = firing.acknowledged_by.as_ref().map(|who| format!(", {} takes care of it", tame(who))).unwrap_or_default();
    let severity = format!("{:?}", firing.severity).to_uppercase();
    format!("{severity:<9} {} since {}{who}  ({})\n", tame(&firing.title), crate::plan::minute(firing.since), tame(&firing.key))
}
