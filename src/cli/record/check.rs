//! `seawall check`: how a policy stands, in the convention of Nagios.

use clap::Args;

use super::gather::{self, Looked};
use crate::alert::allowed;
use crate::cli::exit::{Exit, Nagios, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, print};
use crate::evidence::{NOTICE_OF_KEYS, URGENT_FOR_KEYS};
use crate::plan::words::plain;
use crate::policy::file::{Limit, Severity};
use crate::report::{Level, Standing};
use crate::units::{Duration, Instant, Name};
use crate::world::clock;

/// Say how a policy stands to Nagios, Icinga, Checkmk and their like.
///
/// One line with figures, then a line for each problem. Exits with 0, 1, 2 or 3 and nothing else: ok, warning, critical, unknown. Reads
/// the record and asks neither a store nor a server. With a directory as `--policy` it is every policy in it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall check -p /etc/seawall/policy.yaml")]
pub struct Check {
    #[command(flatten)]
    here: Here,
}

impl Check {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = clock::now();
        let all = gather::all(&self.here, colour, now);
        let state = all.iter().map(|looked| state(&looked.standing)).max_by_key(|state| weight(*state)).unwrap_or(Nagios::Unknown);
        print(&text(state, &all, now))?;
        Ok(Exit::Check(state))
    }
}

/// What is said where not even that could be found out. What was wrong is on standard error.
pub fn unknown() -> Exit {
    // Whoever does not read it has the code.
    let _ = print("SEAWALL UNKNOWN - the check itself failed: run it by hand to see why\n");
    Exit::Check(Nagios::Unknown)
}

fn state(standing: &Standing) -> Nagios {
    match (&standing.unknown, standing.level) {
        (Some(_), _) => Nagios::Unknown,
        (None, Level::Critical) => Nagios::Critical,
        (None, Level::Warning) => Nagios::Warning,
        (None, Level::Well) => Nagios::Ok,
    }
}

/// What is known to be critical is not hidden by what is not known.
fn weight(state: Nagios) -> u8 {
    match state {
        Nagios::Ok => 0,
        Nagios::Warning => 1,
        Nagios::Unknown => 2,
        Nagios::Critical => 3,
    }
}

fn text(state: Nagios, all: &[Looked], now: Instant) -> String {
    let word = match state {
        Nagios::Ok => "OK",
        Nagios::Warning => "WARNING",
        Nagios::Critical => "CRITICAL",
        Nagios::Unknown => "UNKNOWN",
    };
    let several = all.len() > 1;
    let mut problems = Vec::new();
    for standing in all.iter().map(|looked| &looked.standing) {
        for problem in standing.problems.iter().filter(|problem| problem.level > Level::Well) {
            let who = problem.acknowledged_by.as_ref().map(|who| format!(", {who} takes care of it")).unwrap_or_default();
            problems.push((state_of(problem.level), format!("{}: {}{who}", standing.policy, problem.title)));
        }
    }
    let unread = all.iter().find_map(|looked| looked.standing.unknown.as_ref().map(|why| format!("{}: {why}", looked.standing.policy)));
    let is_read = |looked: &&Looked| looked.standing.unknown.is_none() && looked.standing.level == Level::Critical;
    let critical = all.iter().find(is_read).and_then(|looked| {
        let first = looked.standing.problems.iter().find(|problem| problem.level == Level::Critical)?;
        Some(format!("{}: {}", looked.standing.policy, first.title))
    });
    let said = match (unread, problems.as_slice()) {
        (Some(why), _) if critical.is_some() => format!("{}; {why}", critical.unwrap_or_default()),
        (Some(why), _) => why,
        (None, []) if several => format!("all {} policies are as they should be", all.len()),
        (None, []) => {
            all.first().map(|looked| format!("{}: {}", looked.standing.policy, recent(&looked.standing, now))).unwrap_or_default()
        }
        (None, [(_, only)]) => only.clone(),
        (None, [(_, first), rest @ ..]) => format!("{first} (and {} more)", rest.len()),
    };
    let figures: Vec<String> = all.iter().flat_map(|looked| figures(looked, several, now)).collect();
    let mut text = format!("SEAWALL {word} - {}", line(&said));
    if !figures.is_empty() {
        text.push_str(&format!(" | {}", figures.join(" ")));
    }
    text.push('\n');
    for (word, problem) in problems {
        text.push_str(&format!("{word}: {}\n", line(&problem)));
    }
    text
}

fn state_of(level: Level) -> &'static str {
    match level {
        Level::Well => "OK",
        Level::Warning => "WARNING",
        Level::Critical => "CRITICAL",
    }
}

/// One line without the sign that begins the figures.
fn line(text: &str) -> String {
    plain(text).replace('|', "/")
}

fn recent(standing: &Standing, now: Instant) -> String {
    let newest = standing.jobs.iter().filter_map(|job| job.newest_backup).max();
    newest.map_or_else(
        || "all is well".to_owned(),
        |at| format!("all is well, the newest backup is {}", crate::cli::repository::ago(at, now)),
    )
}

/// `'backup_age nightly'=3600s;90000;;0`
fn figures(looked: &Looked, several: bool, now: Instant) -> Vec<String> {
    let standing = &looked.standing;
    let Some(policy) = &looked.policy else { return Vec::new() };
    let thresholds = policy.file.alerts.as_ref().and_then(|alerts| alerts.thresholds.as_ref());
    let prefix = if several { format!("{} ", standing.policy) } else { String::new() };
    let mut all = Vec::new();
    let mut push = |label: String, value: String, (warning, critical): (String, String), end: &str| {
        // A quote within the label would end it; `=` may not be in it.
        let label = format!("{prefix}{label}").replace(['\'', '='], "_");
        all.push(format!("'{label}'={value};{warning};{critical};0{end}"));
    };
    for job in &standing.jobs {
        let Some(name) = job.job.strip_prefix("backups.") else { continue };
        if let Some(newest) = job.newest_backup {
            let written = name.parse::<Name>().ok().and_then(|name| thresholds?.backup_age_of.get(&name));
            let written = written.or(thresholds.and_then(|thresholds| thresholds.backup_age.as_ref()));
            let own = || (String::new(), job.overdue_after_seconds.map(|after| after.to_string()).unwrap_or_default());
            let limits = written.map_or_else(own, limits);
            push(format!("backup_age {name}"), format!("{}s", age(newest, now)), limits, "");
        }
        if let Some(bytes) = job.stored_bytes.or(job.bytes) {
            push(format!("size {name}"), format!("{bytes}B"), Default::default(), "");
        }
    }
    if let (true, Some(limit)) = (standing.wal_known, allowed::wal_lag(policy)) {
        let lag = standing.wal_waiting_since.map_or(0, |since| age(since, now));
        push("wal_lag".to_owned(), format!("{lag}s"), by_severity(limit.severity, limit.value), "");
    }
    if standing.runs.all > 0 {
        let rate = standing.runs.succeeded as f64 * 100.0 / standing.runs.all as f64;
        push("success_rate".to_owned(), format!("{rate:.1}%"), Default::default(), ";100");
    }
    for (key, expires) in standing.recovery.identities.iter().filter_map(|identity| Some((&identity.recipient, identity.expires?))) {
        let left = expires.as_second() - now.as_second();
        // Below these, not above.
        let limits = (format!("{}:", NOTICE_OF_KEYS.as_secs()), format!("{}:", URGENT_FOR_KEYS.as_secs()));
        push(format!("key_expires {key}"), format!("{left}s"), limits, "");
    }
    for store in &standing.stores {
        if let Some(used) = store.used_bytes {
            let capacity = store.capacity_bytes.map(|capacity| format!(";{capacity}")).unwrap_or_default();
            push(format!("storage_used {}", store.store), format!("{used}B"), Default::default(), &capacity);
        }
    }
    all
}

/// The threshold that the policy writes, where its severity puts it.
fn limits(limit: &Limit<Duration>) -> (String, String) {
    match limit {
        Limit::Above(above) => by_severity(Severity::Warning, *above),
        Limit::Detailed(detailed) => by_severity(detailed.severity.unwrap_or(Severity::Warning), detailed.above),
    }
}

/// As the limit of a warning, or of what is critical.
fn by_severity(severity: Severity, value: Duration) -> (String, String) {
    let value = value.as_secs().to_string();
    if severity == Severity::Critical { (String::new(), value) } else { (value, String::new()) }
}

fn age(at: Instant, now: Instant) -> u64 {
    Duration::between(at, now).as_secs()
}
