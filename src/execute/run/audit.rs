//! What was done, in the chain that nobody can change unseen.

use serde_json::json;

use super::{Ended, Ground, POLICY, Ran};
use crate::catalog::{Abandoned, Catalog, CatalogFault, Outcome};
use crate::execute::archive;
use crate::execute::expire::{Deed, Done};
use crate::format::audit::Entry;
use crate::site::Site;
use crate::units::Instant;
use crate::world::{clock, host};

/// So many remarks of a run are kept.
const MOST_REMARKS: usize = 200;

/// Of a run, at its end.
pub(super) fn ran(site: &Site<'_>, ran: &Ran) -> Entry {
    let (outcome, message) = match &ran.end {
        Ended::Succeeded => ("succeeded", None),
        Ended::Failed { message, .. } => ("failed", Some(message)),
        Ended::Stopped => ("stopped", None),
        Ended::Busy { message, .. } => ("stopped", Some(message)),
        Ended::Elsewhere { message } | Ended::NotOwed { message } => ("elsewhere", Some(message)),
    };
    let what = match message {
        Some(message) => format!("`{}` {outcome}: {message}", ran.job),
        None => format!("`{}` {outcome}", ran.job),
    };
    let remarks = &ran.remarks[..ran.remarks.len().min(MOST_REMARKS)];
    let details = json!({
        "job": ran.job, "started": ran.started, "ended": ran.ended, "backup": ran.made.backup, "store": ran.made.store,
        "bytes": ran.made.bytes, "stored_bytes": ran.made.stored_bytes, "sha256": ran.made.checksum, "remarks": remarks,
    });
    entry(site, ran.ended, what, kind(&ran.job, outcome), details.to_string())
}

fn kind(job: &str, outcome: &str) -> String {
    format!("{}.{outcome}", job.split('.').next().unwrap_or("run"))
}

/// That the policy could not be read.
pub(super) fn unreadable(site: &Site<'_>, at: Instant, message: &str) -> Entry {
    let what = format!("`{POLICY}` failed: {message}");
    entry(site, at, what, kind(POLICY, Outcome::Failed.word()), json!({ "job": POLICY, "started": at, "ended": at }).to_string())
}

/// Of a mark, of something that goes now, or that has gone or moved. False where that is not on record.
pub fn deed(site: &Site<'_>, catalog: Option<&Catalog>, done: Done, deed: &Deed) -> bool {
    let Some(catalog) = catalog else { return false };
    let kind = match done {
        Done::Marked => "expire.marked",
        Done::Unmarked => "expire.unmarked",
        Done::Deleting => "expire.deleting",
        Done::Deleted => "expire.deleted",
        Done::Moved => "expire.moved",
    };
    let to = deed.storage_class.map_or_else(String::new, |class| format!(" to {class}"));
    let what = format!("{} in `{}`{to}: {}", deed.what, deed.store, deed.reason);
    add(site, catalog, clock::now(), what, kind.to_owned(), serde_json::to_string(deed).unwrap_or_default())
}

/// Of rows that moved.
pub(super) fn archived(ground: &Ground<'_>, done: archive::Done, deed: &archive::Deed) -> bool {
    let (kind, what) = match done {
        archive::Done::Exported => ("archive.exported", "exported to"),
        archive::Done::ReadBack => ("archive.read-back", "read back from"),
        archive::Done::Removing => ("archive.removing", "about to be taken out of their table; they are in"),
        archive::Done::Removed => ("archive.removed", "taken out of their table; they are in"),
        archive::Done::Marked => ("archive.marked", "marked, because their time is over, in"),
        archive::Done::Superseded => ("archive.marked", "marked, because they were exported anew, in"),
        archive::Done::LettingGo => ("archive.deleting", "about to be deleted for good from"),
        archive::Done::LetGo => ("archive.deleted", "deleted for good from"),
    };
    let what =
        format!("{} rows of {} from {} to {} were {what} `{}` as {}", deed.rows, deed.table, deed.from, deed.to, deed.store, deed.extent);
    append(ground, clock::now(), what, kind.to_owned(), serde_json::to_string(deed).unwrap_or_default())
}

/// Of rows that go by their age, and of those that have: one that comes to no second entry was taken back.
pub(super) fn dropped(ground: &Ground<'_>, done: archive::Done, dropped: &archive::Dropped) -> bool {
    let (kind, what) = match done {
        archive::Done::Removed => ("retain.dropped", "were dropped"),
        _ => ("retain.dropping", "are about to be dropped"),
    };
    let what = format!("{} rows of {} from {} to {} {what} by their age", dropped.rows, dropped.table, dropped.from, dropped.to);
    append(ground, clock::now(), what, kind.to_owned(), serde_json::to_string(dropped).unwrap_or_default())
}

/// Of a run whose process is gone.
pub(super) fn lost(site: &Site<'_>, run: &Abandoned, at: Instant, message: &str) -> Entry {
    let details = json!({ "job": run.job, "started": run.started, "ended": at, "host": run.host });
    entry(site, at, format!("`{}` was lost: {message}", run.job), kind(&run.job, Outcome::Lost.word()), details.to_string())
}

/// Of anything else that is done now, for those who do nothing that is not on record.
pub fn audit(site: &Site<'_>, catalog: &Catalog, what: String, kind: &str, details: String) -> Result<(), CatalogFault> {
    catalog.append(&entry(site, clock::now(), what, kind.to_owned(), details)).map(|_| ())
}

/// False where it is not on record.
fn append(ground: &Ground<'_>, at: Instant, what: String, kind: String, details: String) -> bool {
    ground.catalog.is_some_and(|catalog| add(ground.site, catalog, at, what, kind, details))
}

/// As it is written by this account on this host.
pub fn entry(site: &Site<'_>, at: Instant, what: String, kind: String, details: String) -> Entry {
    let policy = site.policy;
    Entry {
        at,
        policy: policy.name.to_string(),
        host: site.host().to_owned(),
        who: host::who(),
        digest: Some(policy.digest.clone()),
        commit: site.commit().map(str::to_owned),
        what,
        kind,
        details,
    }
}

/// False where it is not on record.
fn add(site: &Site<'_>, catalog: &Catalog, at: Instant, what: String, kind: String, details: String) -> bool {
    let entry = entry(site, at, what, kind, details);
    let kept: Result<_, CatalogFault> = catalog.append(&entry);
    if let Err(fault) = &kept {
        tracing::warn!(hint = fault.hint, "the audit chain does not take this: {}", fault.message);
    }
    kept.is_ok()
}
