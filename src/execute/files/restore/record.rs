//! Files that came back, on record.

use serde_json::{Value, json};

use super::{Plan, RestoredFiles};
use crate::execute::custody;
use crate::execute::hook::{When, around_restore};
use crate::execute::restore::{RestoreFault, Returned};
use crate::pipeline::restore::Progress;
use crate::site::Site;
use crate::units::Instant;
use crate::world::clock;

/// The policy's own programs, where files that are in use are put back.
pub(super) fn hook(site: &Site<'_>, plan: &Plan, when: When, progress: &Progress) -> Result<(), RestoreFault> {
    if !plan.takes_places() {
        return Ok(());
    }
    let about = [
        ("POLICY", site.policy.name.to_string()),
        ("DIRECTORY", plan.wanted.root.display().to_string()),
        ("BACKUP", plan.found.descriptor.id.to_string()),
        ("STORE", plan.found.store_name.to_string()),
    ];
    Ok(around_restore(site.policy, when, &about, &progress.cancelled)?)
}

pub(super) fn done(site: &Site<'_>, plan: &Plan, restored: &RestoredFiles) {
    custody::note_where_there_is_a_catalog(site, &plan.identities, restored.ended);
    let more = json!({
        "patterns": plan.wanted.patterns, "overwrite": plan.wanted.overwrite, "files": restored.files, "directories": restored.directories,
        "links": restored.links, "same": restored.same, "left": restored.left, "not_owned": restored.not_owned,
    });
    let returned = Returned { bytes: Some(restored.bytes), more, ..returned(plan, restored.started, restored.ended) };
    returned.note(site, Ok(()));
}

/// Each file is there as a whole or not at all; some of them are.
pub(super) fn failed(site: &Site<'_>, plan: &Plan, started: Instant, fault: &RestoreFault) {
    returned(plan, started, clock::now()).note(site, Err(&fault.message));
}

fn returned(plan: &Plan, started: Instant, ended: Instant) -> Returned<'_> {
    let id = &plan.found.descriptor.id;
    let some = if plan.wanted.patterns.is_empty() { "the files" } else { "some of the files" };
    Returned {
        kind: "files",
        subject: format!("{some} of backup {id}"),
        backup: id.as_str(),
        store: plan.found.store_name.as_str(),
        to: format!("below {}", plan.wanted.root.display()),
        started,
        ended,
        bytes: None,
        more: Value::Null,
    }
}
