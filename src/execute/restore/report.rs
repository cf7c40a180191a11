use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Follows, RestoreFault, RestorePlan, Returned};
use crate::catalog::Measured;
use crate::execute::custody;
use crate::inventory::Expected;
use crate::observe::RECOVERED;
use crate::site::Site;
use crate::units::{BackupId, Instant, Lsn, Timeline};
use crate::world::{clock, files};

/// What a restore did and how long each part of it took: evidence, and the rate for the next estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Result of seawall restore")]
pub struct Report {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    pub started: Instant,
    pub ended: Instant,
    pub store: String,
    pub backup: BackupId,
    pub signed_by: Option<String>,
    pub target: String,
    pub timeline: Timeline,
    pub directory: PathBuf,
    pub delta: bool,
    pub workers: usize,
    pub files: u64,
    /// Plain bytes of the backup.
    pub size: u64,
    /// Plain bytes that were written.
    pub written: u64,
    /// Bytes of the backup that were read from the store.
    pub fetched: u64,
    pub frames: u64,
    pub frames_fetched: u64,
    /// Files that the backup does not have.
    pub removed: u64,
    pub seconds: Phases,
    pub reached: Option<Reached>,
    /// The extensions, hypertables and jobs of the server that was started, against what the backup wrote down of the original's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Expected>,
    pub warnings: Vec<String>,
}

/// How long each part took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// Looking at the store and the directory.
    pub plan: f64,
    pub hooks: f64,
    /// Fetching, opening, checking, expanding and writing files.
    pub files: f64,
    /// Making them durable.
    pub sync: f64,
    /// From the server's start to a consistent state.
    pub consistent: Option<f64>,
    /// From the server's start to the target.
    pub replay: Option<f64>,
    /// From the beginning of all to a server that can be used.
    pub ready: Option<f64>,
    pub total: f64,
}

/// Where recovery ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    pub state: State,
    pub lsn: Option<Lsn>,
    /// The last transaction that is in it.
    pub last_commit: Option<String>,
    pub timeline: Option<u32>,
    /// Recovery met nothing later than the target; that nothing is missing was proven by the log itself.
    pub ended_at_end_of_log: bool,
    /// What PostgreSQL could not read in the last segment, where replay ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// How a standby follows its primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Follows>,
    /// Where the server can be reached.
    pub socket: Option<String>,
    pub port: Option<u16>,
}

impl Reached {
    /// When the last transaction that is in it was committed.
    pub fn committed(&self) -> Option<Instant> {
        self.last_commit.as_deref().and_then(committed)
    }
}

/// As PostgreSQL writes it: `2026-11-21 10:14:59.123456+01`.
pub(super) fn committed(at: &str) -> Option<Instant> {
    at.trim().parse().ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Promoted,
    Paused,
    ShutDown,
    Standby,
}

pub const NAME: &str = "restore-report.json";

impl Report {
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers") + "\n"
    }

    /// Kept for later estimates and reports. That it could not be kept is no reason to fail a recovery.
    pub fn keep(&self, state: &Path) -> Result<(), RestoreFault> {
        let fault = |why: String| {
            let message = format!("the report cannot be written to `{}`: {why}", state.display());
            RestoreFault::new(message, "Name another directory with `--state`.")
        };
        files::make_folders(state).map_err(|error| fault(error.to_string()))?;
        files::replace(&state.join(NAME), self.to_json().as_bytes()).map_err(|told| fault(told.message))
    }

    pub fn last(state: &Path) -> Option<Report> {
        serde_json::from_slice(&files::read(&state.join(NAME), 1 << 20).ok()?).ok()
    }

    /// What it measured, and which identity opened it, for the record of this host, where it has one.
    pub fn note(&self, site: &Site<'_>, plan: &RestorePlan) {
        custody::note_where_there_is_a_catalog(site, &plan.identities, self.ended);
        let more = json!({
            "target": self.target, "timeline": self.timeline, "delta": self.delta, "files": self.files, "removed": self.removed,
            "signed_by": self.signed_by, "reached": self.reached,
        });
        Returned { bytes: Some(self.written), more, ..returned(plan, self.started, self.ended) }.note(site, Ok(()));
        let Some(rate) = self.rate().filter(|rate| rate.is_finite() && *rate >= 1.0) else { return };
        let measured = [Measured { name: RECOVERED, subject: &self.store, value: rate.floor() }];
        custody::with_catalog(site, &|catalog| catalog.measure(&self.policy, &measured, self.ended));
    }

    /// What was agreed to and did not come to its end.
    pub fn note_failed(site: &Site<'_>, plan: &RestorePlan, started: Instant, why: &str) {
        returned(plan, started, clock::now()).note(site, Err(why));
    }

    /// The same, where somebody asked it to end.
    pub fn note_stopped(site: &Site<'_>, plan: &RestorePlan, started: Instant, why: &str) {
        returned(plan, started, clock::now()).note_stopped(site, why);
    }

    /// Plain bytes in a second, of the whole copying.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.seconds.files + self.seconds.sync;
        (!self.delta && seconds > 0.05).then(|| self.written as f64 / seconds)
    }
}

fn returned(plan: &RestorePlan, started: Instant, ended: Instant) -> Returned<'_> {
    let descriptor = &plan.chosen.descriptor;
    Returned {
        kind: "cluster",
        subject: format!("the cluster of backup {} (up to {})", descriptor.id, plan.request.target),
        backup: descriptor.id.as_str(),
        store: plan.chosen.store_name.as_str(),
        to: plan.request.directory.display().to_string(),
        started,
        ended,
        bytes: None,
        more: Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_read_as_postgresql_writes_them() {
        let committed = |at: &str| {
            let json = format!(
                r#"{{"state":"promoted","lsn":null,"last_commit":"{at}","timeline":2,"ended_at_end_of_log":false,"socket":null,"port":null}}"#
            );
            serde_json::from_str::<Reached>(&json).expect("where recovery ended").committed()
        };
        let utc = committed("2026-11-21 09:14:59.123456+00");
        assert!(utc.is_some());
        assert_eq!(committed("2026-11-21 10:14:59.123456+01"), utc);
        assert_eq!(committed("2026-11-21 14:44:59.123456+05:30"), utc);
        assert_eq!(committed("never"), None);
    }
}
