//! What differs between a policy and the databases that run, and the SQL that would mend it.
//!
//! A function: what the databases say is an argument. Nothing is changed that the policy does not speak of, but for one thing: a
//! table that the policy names and that it does not limit keeps its rows, so a job of the database that drops them is a
//! difference. Everything else that is only in the database is told as a remark.
//!
//! A database cannot look before it drops: its own job knows neither holds nor archives. So where one of those protects rows, the
//! difference is that the database has such a job at all, and [`Drops`] says that taking rows away is ours.

mod ages;
mod aggregates;
mod amount;
mod compression;
mod database;
mod drops;
mod heedless;
mod held;
mod jobs;
mod markdown;
mod reach;
mod retention;
pub mod rights;
mod sql;
mod text;

pub use amount::Amount;
pub use drops::{Drops, HoldName, Why};
pub use heedless::{Heedless, heedless};
pub use held::hold_entries;
pub use jobs::{JobReport, JobState, NO_WORKERS, job_reports};
pub use reach::refreshes_from;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::inventory::{Held, Observed, ServerState, Timescale};
use crate::policy::file::Acknowledgement;
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::units::{Instant, Name, hex};

/// Rows are dropped sooner: the finding that has to be acknowledged, the same one as for a change of the policy.
const DROPS_SOONER: &str = "SW0910";

/// How far the databases of a policy are from what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Convergence {
    /// The policy's name.
    pub policy: Name,
    /// SHA-256 over the changes and their SQL. What was shown is applied only as long as it is the same.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// What would be done, in this order.
    pub changes: Vec<Change>,
    /// What the policy wants and cannot have.
    pub refused: Vec<Remark>,
    /// What nobody could look at.
    pub unknown: Vec<Remark>,
    /// What is worth knowing and changes nothing.
    pub remarks: Vec<Remark>,
}

/// One difference, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Where the policy says it.
    pub path: PolicyPath,
    /// The database. Absent where it is about the whole server.
    pub database: Option<String>,
    /// The difference in words.
    pub says: String,
    /// What mends it: one statement.
    pub sql: String,
    /// What comes of it.
    pub consequence: String,
    /// The existing rows that it takes away. Absent when it takes none away.
    pub drops: Option<Amount>,
    /// What becomes of a hold, as applications see it.
    pub hold: Option<HoldChange>,
    /// Until it is done, rows under hold may go.
    pub protects: bool,
    /// Something is lost for good: SW0910 has to be acknowledged in the policy.
    pub destructive: bool,
    /// The reason for which the policy accepts that, if it does.
    pub acknowledged: Option<String>,
    /// It counts only after a restart of the server.
    pub needs_restart: bool,
    /// It is done together with the others of its database, or not at all.
    pub in_transaction: bool,
}

/// A hold that becomes another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HoldChange {
    /// Its name.
    pub name: String,
    /// The table whose rows it holds, as the policy writes it.
    pub of: String,
    /// Why it is there.
    pub reason: String,
    /// What becomes of it.
    pub became: Became,
}

/// What becomes of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was not there.
    Placed,
    /// It reads otherwise.
    Changed,
    /// The policy has it no longer.
    Released,
}

impl Became {
    pub fn as_str(self) -> &'static str {
        match self {
            Became::Placed => "placed",
            Became::Changed => "changed",
            Became::Released => "released",
        }
    }
}

/// Something that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Remark {
    /// What it is about.
    pub path: PolicyPath,
    /// What it is, without a full stop.
    pub message: String,
    /// What to do about it, as a sentence.
    pub hint: Option<String>,
}

/// What was seen of a policy's server and of its databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    /// None: nobody asked, and nothing is said of it.
    pub server: Option<Observed<ServerState>>,
    /// One that is not here was not asked.
    pub databases: BTreeMap<String, Observed<Timescale>>,
    /// What they say of holds. Nothing is said of one that is not here.
    pub holds: BTreeMap<String, Observed<Held>>,
    /// When it was seen. None: now.
    pub seen_at: Option<Instant>,
}

/// Compares what the policy says with what its server and its databases say.
pub fn converge(policy: &Policy, seen: &Running, now: Instant) -> Convergence {
    let seen_at = seen.seen_at.unwrap_or(now);
    let mut found = Found {
        policy,
        now,
        seen_at,
        changes: Vec::new(),
        refused: Vec::new(),
        unknown: Vec::new(),
        remarks: Vec::new(),
        around: Vec::new(),
    };
    if let Some(server) = seen.server.as_ref().filter(|_| rights::is_about(policy)) {
        rights::compare(&mut found, server);
    }
    for name in policy.asked_databases() {
        let not_asked = Observed::unknown("it was not asked");
        let database = seen.databases.get(name).unwrap_or(&not_asked);
        let holds = seen.holds.get(name);
        database::compare(&mut found, name, database, holds);
        let around = std::mem::take(&mut found.around);
        if let (Some(holds), Observed::Known(timescale)) = (holds, database) {
            held::compare(&mut found, name, timescale, holds);
            ages::compare(&mut found, name, around, holds);
        }
    }
    let Found { changes, refused, unknown, remarks, .. } = found;
    Convergence { policy: policy.name.clone(), digest: digest(&changes), changes, refused, unknown, remarks }
}

/// How much it is about grows from hour to hour; what is done does not.
fn digest(changes: &[Change]) -> String {
    let mut hasher = Sha256::new();
    for change in changes {
        for part in [&change.path.to_string(), change.database.as_deref().unwrap_or_default(), &change.sql, &change.says] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        hasher.update([u8::from(change.destructive)]);
    }
    format!("sha256:{}", hex(&hasher.finalize()))
}

/// What was found so far.
struct Found<'p> {
    policy: &'p Policy,
    now: Instant,
    /// When what is compared was seen: nobody knows what a job has done since.
    seen_at: Instant,
    changes: Vec<Change>,
    refused: Vec<Remark>,
    unknown: Vec<Remark>,
    remarks: Vec<Remark>,
    /// Tables of the database that is looked at whose rows Seawall drops around holds.
    around: Vec<ages::Around>,
}

impl Found<'_> {
    fn push(&mut self, mut change: Change) {
        if change.destructive {
            change.acknowledged = self.acknowledged(&change.path);
        }
        self.changes.push(change);
    }

    fn acknowledged(&self, path: &PolicyPath) -> Option<String> {
        let today = self.now.to_zoned(self.policy.zone.time_zone().clone()).date();
        let fits = |each: &&Acknowledgement| {
            each.finding.0 == DROPS_SOONER
                && each.until.is_none_or(|until| today < until.0)
                && each.at.as_deref().is_none_or(|at| path.lies_in(at))
        };
        self.policy.file.acknowledge.iter().find(fits).map(|each| each.reason.clone())
    }

    fn refuse(&mut self, path: PolicyPath, message: impl Into<String>, hint: &str) {
        self.refused.push(Remark::new(path, message, hint));
    }

    fn remark(&mut self, path: PolicyPath, message: impl Into<String>, hint: &str) {
        self.remarks.push(Remark::new(path, message, hint));
    }
}

impl Remark {
    /// It is about this database.
    pub fn is_about(&self, database: &str) -> bool {
        self.path.starts_with(&PolicyPath::from(["timescaledb", database]))
    }

    /// It is about the server itself: its settings, and our roles.
    pub fn is_about_server(&self) -> bool {
        ["cluster", "wal"].iter().any(|part| self.path.starts_with(&PolicyPath::from([*part])))
    }

    fn new(path: PolicyPath, message: impl Into<String>, hint: &str) -> Remark {
        Remark { path, message: message.into(), hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()) }
    }
}

impl Change {
    fn new(path: PolicyPath, database: Option<&str>, says: String, sql: String) -> Change {
        Change {
            path,
            database: database.map(str::to_owned),
            says,
            sql,
            consequence: String::new(),
            drops: None,
            hold: None,
            protects: false,
            destructive: false,
            acknowledged: None,
            needs_restart: false,
            in_transaction: true,
        }
    }

    fn consequence(self, consequence: impl Into<String>) -> Change {
        Change { consequence: consequence.into(), ..self }
    }

    /// It only makes the server read what the others have changed.
    pub fn is_reload(&self) -> bool {
        self.sql == rights::RELOAD
    }

    pub fn needs_acknowledgement(&self) -> bool {
        self.destructive && self.acknowledged.is_none()
    }

    /// It does the same, though it may be about more rows by now.
    pub fn does_the_same(&self, other: &Change) -> bool {
        let does = |one: &Change| (one.path.clone(), one.database.clone(), one.says.clone(), one.sql.clone(), one.destructive);
        does(self) == does(other)
    }
}

impl Convergence {
    /// The policy says something of what runs.
    pub fn is_about(policy: &Policy) -> bool {
        !policy.asked_databases().is_empty() || rights::is_about(policy)
    }

    /// Nothing differs, and everything was looked at.
    pub fn is_settled(&self) -> bool {
        self.changes.is_empty() && self.refused.is_empty() && self.unknown.is_empty()
    }

    pub fn needs_acknowledgement(&self) -> bool {
        self.changes.iter().any(Change::needs_acknowledgement)
    }
}
