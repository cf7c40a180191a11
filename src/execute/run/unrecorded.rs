//! Runs that the catalog did not take: a line of JSON each, beside the state, until it does.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, CatalogFault, End, Filter, NewRun, Outcome, RunId, Why};
use crate::execute::watch;
use crate::format::audit::Entry;
use crate::site::Site;
use crate::units::Instant;
use crate::world::files;

/// More than this was written by nobody who works.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unrecorded {
    /// The run whose beginning was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    job: String,
    host: String,
    boot: Option<String>,
    pid: u32,
    why: String,
    owed_since: Option<Instant>,
    started: Instant,
    digest: Option<String>,
    commit: Option<String>,
    ended: Instant,
    outcome: String,
    transient: bool,
    message: Option<String>,
    hint: Option<String>,
    backup: Option<String>,
    store: Option<String>,
    bytes: Option<u64>,
    stored_bytes: Option<u64>,
    checksum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<Said>,
}

/// What the audit chain is to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    at: Instant,
    who: String,
    what: String,
    kind: String,
    details: String,
}

impl Said {
    fn of(entry: &Entry) -> Said {
        let Entry { at, who, what, kind, details, .. } = entry.clone();
        Said { at, who, what, kind, details }
    }
}

impl Unrecorded {
    pub(super) fn of(run: Option<RunId>, new: &NewRun<'_>, end: &End<'_>) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Unrecorded {
            run: run.map(|run| run.to_string()),
            job: new.job.to_owned(),
            host: new.host.to_owned(),
            boot: text(new.boot),
            pid: new.pid,
            why: new.why.to_string(),
            owed_since: new.owed_since,
            started: new.started,
            digest: text(new.digest),
            commit: text(new.commit),
            ended: end.at,
            outcome: end.outcome.to_string(),
            transient: end.transient,
            message: text(end.message),
            hint: text(end.hint),
            backup: text(end.backup),
            store: text(end.store),
            bytes: end.bytes,
            stored_bytes: end.stored_bytes,
            checksum: text(end.checksum),
            said: end.entry.map(Said::of),
        }
    }

    fn entry(&self, policy: &str) -> Option<Entry> {
        let Said { at, who, what, kind, details } = self.said.clone()?;
        let (policy, host) = (policy.to_owned(), self.host.clone());
        Some(Entry { at, policy, host, who, digest: self.digest.clone(), commit: self.commit.clone(), what, kind, details })
    }

    /// Whoever brought it in may have died before he could say so.
    fn is_recorded(&self, catalog: &Catalog, policy: &str) -> Result<bool, CatalogFault> {
        let filter = Filter { policy: Some(policy), job: Some(&self.job), ..Filter::default() };
        let (since, until) = (Some(self.started), self.started.checked_add(jiff::SignedDuration::from_micros(1)).ok());
        // The catalog's moments have no fractions of a microsecond.
        let since = since.and_then(|since| Instant::from_microsecond(since.as_microsecond()).ok());
        let same = catalog.history(&Filter { since, until, ..filter })?;
        Ok(same.iter().any(|run| run.host == self.host && run.pid == self.pid && run.ended.is_some()))
    }

    fn record(&self, catalog: &Catalog, policy: &str) -> Result<(), CatalogFault> {
        let begun = self.run.as_ref().and_then(|run| run.parse::<RunId>().ok());
        let run = match begun {
            Some(run)
                if catalog
                    .run(run)?
                    .is_some_and(|row| row.job == self.job && row.started.as_microsecond() == self.started.as_microsecond()) =>
            {
                run
            }
            _ => catalog.begin_run(&NewRun {
                policy,
                job: &self.job,
                host: &self.host,
                boot: self.boot.as_deref(),
                pid: self.pid,
                why: [Why::Due, Why::Plan].into_iter().find(|why| why.word() == self.why).unwrap_or(Why::Asked),
                owed_since: self.owed_since,
                started: self.started,
                digest: self.digest.as_deref(),
                commit: self.commit.as_deref(),
            })?,
        };
        let outcomes = [Outcome::Succeeded, Outcome::Stopped, Outcome::Lost];
        catalog.end_run(
            run,
            &End {
                outcome: outcomes.into_iter().find(|outcome| outcome.word() == self.outcome).unwrap_or(Outcome::Failed),
                transient: self.transient,
                message: self.message.as_deref(),
                hint: self.hint.as_deref(),
                at: self.ended,
                backup: self.backup.as_deref(),
                store: self.store.as_deref(),
                bytes: self.bytes,
                stored_bytes: self.stored_bytes,
                checksum: self.checksum.as_deref(),
                entry: self.entry(policy).as_ref(),
            },
        )
    }
}

fn path(site: &Site<'_>) -> PathBuf {
    site.policy_state().join("unrecorded.jsonl")
}

/// Keeps a run until the catalog takes it.
pub(super) fn keep(site: &Site<'_>, run: &Unrecorded) -> io::Result<()> {
    let path = path(site);
    DirBuilder::new().recursive(true).mode(0o700).create(site.policy_state())?;
    let mut line = serde_json::to_string(run).map_err(io::Error::other)?;
    line.push('\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    file.lock()?;
    let is_new = file.metadata()?.len() == 0;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if is_new { File::open(site.policy_state())?.sync_all() } else { Ok(()) }
}

/// Brings in what the catalog did not take. A line that a crash cut short is no run.
pub fn bring_in(site: &Site<'_>, catalog: &Catalog) -> Result<(), CatalogFault> {
    let path = path(site);
    let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { return Ok(()) };
    if file.try_lock().is_err() {
        return Ok(());
    }
    let text = match files::read(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(fault) => {
            tracing::warn!("runs that the catalog did not take are not brought in: {fault}");
            return Ok(());
        }
    };
    let policy = site.policy.name.as_str();
    let mut first: Option<Instant> = None;
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(run) = serde_json::from_slice::<Unrecorded>(line) {
            if run.run.is_some() || !run.is_recorded(catalog, policy)? {
                run.record(catalog, policy)?;
            }
            first = Some(first.map_or(run.ended, |first| first.min(run.ended)));
        }
    }
    if let Some(first) = first {
        watch::tell_since(catalog, policy, first)?;
    }
    let _ = file.set_len(0).and_then(|()| file.sync_all());
    Ok(())
}
