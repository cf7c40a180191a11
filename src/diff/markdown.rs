//! A difference as a comment on a pull request.

use super::consequence::{Consequence, Existing};
use super::words::plain;
use super::{FleetDiff, PolicyDiff};
use crate::plan::markdown::{folded, prose, table};
use crate::plan::minute;
use crate::policy::finding::Weight;

/// How many backups of a list are named before the rest is counted; JSON has them all.
pub const NAMED: usize = 20;
/// A list of changes that is longer is folded away.
const OPEN_CHANGES: usize = 15;

impl FleetDiff {
    /// The summary first, then what is destructive, then the rest; long lists folded away.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("**{}**\n", prose(&self.summary()));
        for policy in &self.policies {
            policy.write_markdown(&mut text);
        }
        while text.contains("\n\n\n") {
            text = text.replace("\n\n\n", "\n\n");
        }
        text
    }
}

impl PolicyDiff {
    fn write_markdown(&self, text: &mut String) {
        text.push_str(&format!("\n### `{}`\n", self.policy));
        let (destructive, others): (Vec<&Consequence>, Vec<&Consequence>) = self.consequences.iter().partition(|each| each.destructive);
        if !destructive.is_empty() {
            text.push_str("\n**Destructive:**\n\n");
            destructive.iter().for_each(|each| write_consequence(text, each));
        }
        if !others.is_empty() {
            text.push_str("\n**To look at:**\n\n");
            others.iter().for_each(|each| write_consequence(text, each));
        }
        let mut changes = String::new();
        let mut group = None;
        for changed in &self.changes {
            if group != Some(changed.group) {
                changes.push_str(&format!("\n**{}**\n\n", changed.group.heading()));
                group = Some(changed.group);
            }
            changes.push_str(&format!("- {}\n", prose(&changed.says)));
        }
        if self.changes.len() > OPEN_CHANGES {
            text.push('\n');
            text.push_str(&folded(&format!("All {} changes", self.changes.len()), changes.trim_start()));
        } else {
            text.push_str(&changes);
        }
    }
}

fn write_consequence(text: &mut String, consequence: &Consequence) {
    let existing = consequence.existing.as_ref().map(|existing| format!(" ({})", existing.summary())).unwrap_or_default();
    let note = if consequence.severity == Weight::Note { "for your notice: " } else { "" };
    text.push_str(&format!("- **{}** {note}{}\n", consequence.code, prose(&format!("{}{existing}", consequence.message))));
    match (&consequence.acknowledged, &consequence.hint) {
        (Some(reason), _) => text.push_str(&format!("  - acknowledged: {}\n", prose(&plain(reason)))),
        (None, Some(hint)) if consequence.destructive => text.push_str(&format!("  - not acknowledged. {}\n", prose(hint))),
        (None, Some(hint)) => text.push_str(&format!("  - {}\n", prose(hint))),
        (None, None) if consequence.destructive => text.push_str("  - not acknowledged\n"),
        (None, None) => {}
    }
    if let Some(Existing::Known { backups, .. }) = &consequence.existing
        && !backups.is_empty()
    {
        let alike = consequence.existing.as_ref().and_then(Existing::alike);
        let rows: Vec<Vec<String>> = backups
            .iter()
            .take(NAMED)
            .map(|backup| {
                let size = backup.size.map(|size| size.bytes().rounded()).unwrap_or_else(|| "unknown".into());
                let (id, job, store) = (format!("`{}`", backup.id), format!("`{}`", backup.job), format!("`{}`", backup.store));
                let mut row = vec![id, job, store, minute(backup.moment), size];
                if alike.is_none() {
                    row.extend([backup.before.clone(), backup.after.clone()]);
                }
                row
            })
            .collect();
        let header = ["backup", "job", "store", "of", "size", "before", "now"];
        let more = if backups.len() > NAMED { format!("\nand {} more\n", backups.len() - NAMED) } else { String::new() };
        let named = table(&header[..if alike.is_none() { 7 } else { 5 }], &rows);
        let each = alike.map(|(before, after)| prose(&format!("Each of them now: {after}; before: {before}.")) + "\n\n");
        let body = folded(
            &format!("The existing backups: {}", consequence.existing_summary()),
            &format!("{}{named}{more}", each.unwrap_or_default()),
        );
        // Inside the list item, so that the list goes on behind it.
        text.push('\n');
        text.extend(body.trim_end().lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }));
        text.push('\n');
    }
}

impl Consequence {
    fn existing_summary(&self) -> String {
        self.existing.as_ref().map(Existing::summary).unwrap_or_default()
    }
}
