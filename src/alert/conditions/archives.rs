//! Archived rows: whether somebody reads them back, without which they never leave their table.

use super::{Look, allowed, moment, rough};
use crate::plan::words::counted;
use crate::units::Duration;

pub(super) fn look(look: &mut Look<'_>) {
    let limit = allowed::archive_unread(look.policy);
    for archive in &look.policy.archives {
        let path = archive.path.to_string();
        let title = format!("nobody reads back what `{path}` has exported");
        let condition = limit.condition(format!("archive_unread:{path}"), title).job(path.clone());
        let Some(seen) = look.facts.archives.get(&path) else {
            look.push(condition);
            continue;
        };
        // As old as they were when a run last looked: since then somebody may have read them back, which the next run takes up.
        let age = Duration::between(seen.waiting_since, seen.found);
        let text = format!(
            "{} of {} had waited for {} when the job last ran, {}: the rows stay in the table.",
            counted(usize::try_from(seen.extents).unwrap_or(usize::MAX), "extent"),
            archive.table,
            rough(age),
            moment(look.policy, seen.found)
        );
        look.push(
            condition
                .firing_if(age > limit.value)
                .since(seen.waiting_since.checked_add(limit.value.to_signed()).ok())
                .text(text)
                .hint(format!(
                    "Run `seawall archive verify --identity FILE` where the identity is, then `seawall run {path}`; a timer there can do the first. \
                     Where they are read back in time, somebody changes them each time before they can go: the run names them."
                ))
                .fact("limit", limit.value),
        );
    }
}
