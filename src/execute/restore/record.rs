//! A restore, on record: one run in the history and one entry of the audit chain for each, whatever came back, wherever to, and however it
//! ended.

use serde_json::{Map, Value, json};

use crate::catalog::{self, Catalog, CatalogFault, End, NewRun, Outcome};
use crate::execute::{custody, run};
use crate::format::audit::Entry;
use crate::site::Site;
use crate::units::Instant;
use crate::world::{clock, host};

/// Under which name restores are in the history. No job of a policy has it: those are paths.
pub(in crate::execute) const JOB: &str = "restore";

/// What was brought back, or was to be.
#[derive(Debug)]
pub struct Returned<'r> {
    /// What it is, as a word for programs: `cluster`, `files`, `database`, `table.merge`.
    pub kind: &'r str,
    /// The same for people, as the beginning of a sentence: "the files of backup …".
    pub subject: String,
    pub backup: &'r str,
    pub store: &'r str,
    /// Where it is now: a directory, a database.
    pub to: String,
    pub started: Instant,
    pub ended: Instant,
    /// Plain bytes that were written.
    pub bytes: Option<u64>,
    /// What else is worth knowing of one of this kind.
    pub more: Value,
}

impl Returned<'_> {
    /// That it cannot be written down is no reason to fail a recovery: nobody waits for a catalog that is away as well.
    pub fn note(&self, site: &Site<'_>, end: Result<(), &str>) {
        custody::with_catalog(site, &|catalog| self.note_in(site, catalog, end));
    }

    /// The same, where the catalog is open.
    pub fn note_in(&self, site: &Site<'_>, catalog: &Catalog, end: Result<(), &str>) -> Result<(), CatalogFault> {
        self.note_as(site, catalog, end, if end.is_ok() { Outcome::Succeeded } else { Outcome::Failed })
    }

    /// Somebody asked it to end: it is no failure that anybody has to hear of.
    pub fn note_stopped(&self, site: &Site<'_>, why: &str) {
        custody::with_catalog(site, &|catalog| self.note_as(site, catalog, Err(why), Outcome::Stopped));
    }

    fn note_as(&self, site: &Site<'_>, catalog: &Catalog, end: Result<(), &str>, outcome: Outcome) -> Result<(), CatalogFault> {
        let (kind, what) = match end {
            Ok(()) => (format!("restore.{}", self.kind), format!("{} came back: {}", self.subject, self.to)),
            Err(why) => ("restore.failed".to_owned(), format!("{} did not come back ({}): {why}", self.subject, self.to)),
        };
        let entry = run::audit_entry(site, clock::now(), what, kind, Value::Object(self.details(end, outcome)).to_string());
        self.note_run(site, catalog, &entry, outcome)
    }

    /// Written when it is over: in an emergency nothing waits for it.
    fn note_run(&self, site: &Site<'_>, catalog: &Catalog, entry: &Entry, outcome: Outcome) -> Result<(), CatalogFault> {
        let boot = host::boot();
        let run = catalog.begin_run(&NewRun {
            policy: site.policy.name.as_str(),
            job: JOB,
            host: site.host(),
            boot: boot.as_deref(),
            pid: std::process::id(),
            why: catalog::Why::Asked,
            owed_since: None,
            started: self.started,
            digest: Some(&site.policy.digest),
            commit: site.commit(),
        })?;
        let known = End::with(outcome, self.ended.max(self.started));
        let (backup, store) = (Some(self.backup), Some(self.store));
        catalog.end_run(run, &End { message: Some(&entry.what), backup, store, bytes: self.bytes, entry: Some(entry), ..known })
    }

    fn details(&self, end: Result<(), &str>, outcome: Outcome) -> Map<String, Value> {
        let common = json!({
            "kind": self.kind, "status": outcome.word(), "backup": self.backup, "store": self.store,
            "to": self.to, "started": self.started, "ended": self.ended, "bytes": self.bytes, "message": end.err(),
        });
        let mut details = Map::new();
        for part in [self.more.clone(), common] {
            if let Value::Object(part) = part {
                details.extend(part.into_iter().filter(|(_, value)| !value.is_null()));
            }
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_have_in_common_cannot_be_hidden_by_what_one_adds() {
        let at: Instant = "2026-11-21T10:00:00Z".parse().expect("a moment");
        let returned = Returned {
            kind: "files",
            subject: "the files of a".into(),
            backup: "a",
            store: "main",
            to: "/srv".into(),
            started: at,
            ended: at,
            bytes: None,
            more: json!({ "files": 7, "status": "odd", "nothing": null }),
        };
        let good = returned.details(Ok(()), Outcome::Succeeded);
        assert_eq!((&good["status"], &good["files"]), (&json!("succeeded"), &json!(7)));
        assert!(!good.contains_key("bytes") && !good.contains_key("nothing") && !good.contains_key("message"));
        let bad = returned.details(Err("the disk is full"), Outcome::Failed);
        assert_eq!((&bad["status"], &bad["message"]), (&json!("failed"), &json!("the disk is full")));
    }
}
