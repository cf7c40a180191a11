//! Runs that the catalog did not take: a line of JSON each, beside the state, until it does.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, CatalogFault, End, Filter, NewRun, Outcome, RunId, Why};
use crate::execute::watch;
use crate::format::audit::Entry;
use crate::site::Site;
use crate::units::Instant;
use crate::world::files;

/// No run has so much to say: what is longer is no line that was written here.
const LONGEST_LINE: u64 = 1 << 20;

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
    files::make_folders(&site.policy_state())?;
    let line = serde_json::to_string(run).map_err(io::Error::other)?;
    append(&path(site), &line)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = files::open_or_make(path, OpenOptions::new().read(true).append(true))?;
    file.lock()?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    // A crash cut the line before short: this one must not go with it.
    let begun = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{begun}{line}\n").as_bytes())?;
    file.sync_all()?;
    match path.parent().filter(|_| length == 0) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Brings in what the catalog did not take, however much it is. A line that a crash cut short is no run, and is told of.
pub fn bring_in(site: &Site<'_>, catalog: &Catalog) -> Result<(), CatalogFault> {
    let path = path(site);
    let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { return Ok(()) };
    if file.try_lock().is_err() {
        return Ok(());
    }
    let policy = site.policy.name.as_str();
    let mut first: Option<Instant> = None;
    let mut lines = BufReader::new(&file);
    loop {
        let line = match next_line(&mut lines) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!("runs that the catalog did not take are not brought in: {error}");
                return Ok(());
            }
        };
        match serde_json::from_slice::<Unrecorded>(&line) {
            Ok(run) => {
                if run.run.is_some() || !run.is_recorded(catalog, policy)? {
                    run.record(catalog, policy)?;
                }
                first = Some(first.map_or(run.ended, |first| first.min(run.ended)));
            }
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(error) => tracing::warn!("a run that the catalog did not take cannot be read any more, and is on no record: {error}"),
        }
    }
    if let Some(first) = first {
        watch::tell_since(catalog, policy, first)?;
    }
    let _ = file.set_len(0).and_then(|()| file.sync_all());
    Ok(())
}

fn next_line(lines: &mut BufReader<&File>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok((read > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_short_takes_no_other_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("unrecorded.jsonl");
        append(&path, "one").expect("kept");
        let mut file = OpenOptions::new().append(true).open(&path).expect("the file");
        file.write_all(b"tw").expect("cut short");
        // Longer than any line is.
        file.write_all(&vec![b' '; 3 << 20]).expect("written");
        append(&path, "three").expect("kept");
        let file = File::open(&path).expect("the file");
        let mut lines = BufReader::new(&file);
        let mut all = Vec::new();
        while let Some(line) = next_line(&mut lines).expect("read") {
            assert!(line.len() as u64 <= LONGEST_LINE);
            all.push(String::from_utf8(line).expect("text").trim().to_owned());
        }
        all.retain(|line| !line.is_empty());
        assert_eq!(all, ["one", "tw", "three"]);
    }
}
