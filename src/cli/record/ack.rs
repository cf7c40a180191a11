//! `seawall ack`: somebody takes an alert upon himself.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{existing, firing, policy_or_last_good, trouble};
use crate::catalog::{Acknowledgement, Catalog};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::moment;
use crate::cli::repository::Format;
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate;
use crate::execute::run::BRAKE;
use crate::format::audit::Entry;
use crate::plan::minute;
use crate::plan::text::columns;
use crate::plan::words::{joined, quoted};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::Instant;
use crate::world::{clock, host};

/// Say that somebody takes care of an alert: nobody is reminded of it any more, and nobody else is called.
///
/// The key stands in the message and in `seawall status`. `duty_due:NAME` says that a duty is done; `expire_braked` lets the next expiry
/// go on. It counts for this alert: when it is over and begins anew, everybody hears of it again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall ack overdue:backups.nightly --note 'the disk is being replaced' --until 2027-03-01T18:00:00Z
  seawall ack duty_due:access-review
  seawall ack --list
  seawall ack overdue:backups.nightly --withdraw")]
pub struct Ack {
    /// What is acknowledged.
    #[arg(value_name = "KEY", required_unless_present = "list", conflicts_with = "list")]
    key: Option<String>,
    /// Who takes care of it [default: you].
    #[arg(long, value_name = "WHO", conflicts_with = "list")]
    by: Option<String>,
    /// What others should know.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["list", "withdraw"])]
    note: Option<String>,
    /// Remind people again from this moment on: `2027-03-01`, `2027-03-01T04:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, conflicts_with_all = ["list", "withdraw"])]
    until: Option<Instant>,
    /// Show what is acknowledged.
    #[arg(long)]
    list: bool,
    /// Nobody takes care of it after all.
    #[arg(long, conflicts_with = "list")]
    withdraw: bool,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall ack")]
pub struct AckOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// The policy.
    policy: &'a str,
    /// What somebody takes care of.
    acknowledgements: Vec<AckRecord<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AckRecord<'a> {
    /// That of the alert or the duty.
    key: &'a str,
    /// Who takes care of it.
    by: &'a str,
    /// What others should know.
    note: &'a str,
    /// Since when.
    at: Instant,
    /// Until when; none where that is open.
    until: Option<Instant>,
}

impl<'a> From<&'a Acknowledgement> for AckRecord<'a> {
    fn from(ack: &'a Acknowledgement) -> Self {
        AckRecord { key: &ack.key, by: &ack.by, note: &ack.note, at: ack.at, until: ack.until }
    }
}

impl Ack {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = policy_or_last_good(&self.here, colour)?;
        let site = self.here.site(&policy);
        let now = clock::now();
        let Some(key) = &self.key else {
            self.show(&policy, &valid(&existing(&site)?, &policy, now)?, colour)?;
            return Ok(Exit::Done);
        };
        if self.until.is_some_and(|until| until <= now) {
            return Err(Trouble::usage("`--until` is over already", "Name a moment in the future, or leave it out."));
        }
        // Only where something was recorded can something be acknowledged.
        drop(existing(&site)?);
        let catalog = Catalog::open(&site.catalog()?).map_err(trouble)?;
        if self.withdraw {
            self.take_back(&site, &catalog, key, now)?
        } else {
            self.give(&site, &catalog, key, now)?
        }
        if self.format == Format::Json {
            self.show(&policy, &valid(&catalog, &policy, now)?, colour)?;
        }
        Ok(Exit::Done)
    }

    fn by(&self) -> String {
        self.by.clone().unwrap_or_else(host::who)
    }

    fn give(&self, site: &Site<'_>, catalog: &Catalog, key: &str, now: Instant) -> Result<(), Trouble> {
        let policy = site.policy;
        let by = self.by();
        let note = self.note.as_deref().unwrap_or_default();
        let (fires, _) = firing(catalog, policy, now)?;
        if !fires.iter().any(|firing| firing.key == key) && !is_always_allowed(policy, key) {
            let known = joined(fires.iter().map(|firing| quoted(&firing.key)));
            let hint = if fires.is_empty() { "Nothing fires.".to_owned() } else { format!("What fires: {known}.") };
            return Err(Trouble::failed(format!("nothing with the key {} fires", quoted(key)), hint));
        }
        catalog.acknowledge(policy.name.as_str(), key, &by, note, now, self.until).map_err(trouble)?;
        let until = self.until.map(|until| format!(" until {}", minute(until))).unwrap_or_default();
        let details = json!({ "key": key, "by": by, "note": note, "until": self.until });
        self.audit(site, catalog, now, "ack", format!("{by} takes care of `{key}`{until}"), details)?;
        self.say(&format!("{by} takes care of `{key}`{until}"))
    }

    fn take_back(&self, site: &Site<'_>, catalog: &Catalog, key: &str, now: Instant) -> Result<(), Trouble> {
        let policy = site.policy;
        let name = policy.name.as_str();
        let given = valid(catalog, policy, now)?;
        if !given.iter().any(|ack| ack.key == key) {
            let known = joined(given.iter().map(|ack| quoted(&ack.key)));
            let hint = if given.is_empty() { "Nothing is.".to_owned() } else { format!("Acknowledged: {known}.") };
            return Err(Trouble::failed(format!("{} is not acknowledged", quoted(key)), hint));
        }
        let by = self.by();
        if is_duty(policy, key) {
            // That a duty was done has no end: it is forgotten.
            catalog.withdraw(name, key).map_err(trouble)?;
        } else {
            // What the rules for alerts have taken in is only replaced by what is newer: one that has run out.
            catalog.acknowledge(name, key, &by, "", now, Some(now)).map_err(trouble)?;
        }
        let what = format!("{by} no longer takes care of `{key}`");
        self.audit(site, catalog, now, "ack.withdrawn", what.clone(), json!({ "key": key, "by": by }))?;
        self.say(&what)
    }

    fn say(&self, what: &str) -> Result<(), Trouble> {
        if self.format == Format::Human {
            print(&format!("{}\n", tame(what)))?;
        }
        Ok(())
    }

    fn audit(
        &self,
        site: &Site<'_>,
        catalog: &Catalog,
        at: Instant,
        kind: &str,
        what: String,
        details: serde_json::Value,
    ) -> Result<(), Trouble> {
        let entry = Entry {
            at,
            policy: site.policy.name.to_string(),
            host: site.host().to_owned(),
            // Whoever is named with `--by`: this is the account that said so.
            who: host::who(),
            digest: Some(site.policy.digest.clone()),
            commit: site.commit().map(str::to_owned),
            what,
            kind: kind.to_owned(),
            details: details.to_string(),
        };
        catalog
            .append(&entry)
            .map(drop)
            .map_err(|fault| Trouble::failed(format!("it is done, but the audit chain does not take it: {}", fault.message), fault.hint))
    }

    fn show(&self, policy: &Policy, given: &[Acknowledgement], colour: Colour) -> Result<(), Trouble> {
        let text = match self.format {
            Format::Json => {
                let acknowledgements = given.iter().map(AckRecord::from).collect();
                validate::json(&AckOutput { format_version: 1, policy: policy.name.as_str(), acknowledgements })?
            }
            Format::Human if given.is_empty() => "nothing is acknowledged\n".to_owned(),
            Format::Human => {
                let row = |ack: &Acknowledgement| {
                    let until = ack.until.map(minute).unwrap_or_default();
                    vec![ack.key.clone(), ack.by.clone(), minute(ack.at), until, ack.note.clone()]
                };
                let width = Terminal::for_tables(colour, 1000);
                columns(&["key", "by", "since", "until", "note"], given.iter().map(row).collect(), width)
            }
        };
        Ok(print(&text)?)
    }
}

/// Those that have not run out.
fn valid(catalog: &Catalog, policy: &Policy, now: Instant) -> Result<Vec<Acknowledgement>, Trouble> {
    let all = catalog.acknowledgements(policy.name.as_str()).map_err(trouble)?;
    Ok(all.into_iter().filter(|ack| ack.until.is_none_or(|until| now < until)).collect())
}

/// A duty may be done before anybody is reminded of it, and the brake is on before anybody looks.
fn is_always_allowed(policy: &Policy, key: &str) -> bool {
    key == BRAKE || is_duty(policy, key)
}

fn is_duty(policy: &Policy, key: &str) -> bool {
    key.strip_prefix("duty_due:").is_some_and(|name| policy.duties.keys().any(|duty| duty.as_str() == name))
}
