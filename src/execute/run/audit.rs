//! What was done, in the chain that nobody can change unseen.

use serde_json::json;

use super::{Ended, Ground, Ran};
use crate::catalog::{Catalog, CatalogFault};
use crate::execute::expire::{Deed, Done};
use crate::format::audit::Entry;
use crate::site::Site;
use crate::units::Instant;
use crate::world::{clock, host};

/// Of a run, at its end.
pub(super) fn ran(ground: &Ground<'_>, ran: &Ran) {
    let (outcome, message) = match &ran.end {
        Ended::Succeeded => ("succeeded", None),
        Ended::Failed { message, .. } => ("failed", Some(message)),
        Ended::Stopped => ("stopped", None),
        Ended::Elsewhere { .. } | Ended::Busy { .. } => return,
    };
    let kind = format!("{}.{outcome}", ran.job.split('.').next().unwrap_or("run"));
    let what = match message {
        Some(message) => format!("`{}` {outcome}: {message}", ran.job),
        None => format!("`{}` {outcome}", ran.job),
    };
    let details = json!({
        "job": ran.job, "started": ran.started, "ended": ran.ended, "backup": ran.made.backup, "store": ran.made.store,
        "bytes": ran.made.bytes, "stored_bytes": ran.made.stored_bytes, "sha256": ran.made.checksum, "remarks": ran.remarks,
    });
    append(ground, ran.ended, what, kind, details.to_string());
}

/// Of a mark, or of something that was deleted.
pub fn deed(site: &Site<'_>, catalog: Option<&Catalog>, done: Done, deed: &Deed) {
    let Some(catalog) = catalog else { return };
    let kind = match done {
        Done::Marked => "expire.marked",
        Done::Unmarked => "expire.unmarked",
        Done::Deleted => "expire.deleted",
    };
    let what = format!("{} in `{}`: {}", deed.what, deed.store, deed.reason);
    add(site, catalog, clock::now(), what, kind.to_owned(), serde_json::to_string(deed).unwrap_or_default());
}

/// Of a run whose process is gone.
pub(super) fn lost(site: &Site<'_>, catalog: &Catalog, job: &str, message: &str) {
    let kind = format!("{}.lost", job.split('.').next().unwrap_or("run"));
    add(site, catalog, clock::now(), format!("`{job}` was lost: {message}"), kind, json!({ "job": job }).to_string());
}

fn append(ground: &Ground<'_>, at: Instant, what: String, kind: String, details: String) {
    if let Some(catalog) = ground.catalog {
        add(ground.site, catalog, at, what, kind, details);
    }
}

fn add(site: &Site<'_>, catalog: &Catalog, at: Instant, what: String, kind: String, details: String) {
    let policy = site.policy;
    let entry = Entry {
        at,
        policy: policy.name.to_string(),
        host: site.host().to_owned(),
        who: host::who(),
        digest: Some(policy.digest.clone()),
        commit: site.commit().map(str::to_owned),
        what,
        kind,
        details,
    };
    let kept: Result<_, CatalogFault> = catalog.append(&entry);
    if let Err(fault) = kept {
        tracing::warn!(hint = fault.hint, "the audit chain does not take this: {}", fault.message);
    }
}
