//! A difference for a person at a terminal.

use super::consequence::Consequence;
use super::markdown::NAMED;
use super::words::plain;
use super::{FleetDiff, PolicyDiff};
use crate::plan::minute;
use crate::plan::text::{columns, wrapped};

impl FleetDiff {
    /// The same as the Markdown, in plain text of this width.
    pub fn to_text(&self, width: u16) -> String {
        let mut text = wrapped(&self.summary(), "", "", width);
        for policy in &self.policies {
            text.push('\n');
            policy.write_text(&mut text, width);
        }
        text
    }
}

impl PolicyDiff {
    fn write_text(&self, text: &mut String, width: u16) {
        text.push_str(&format!("{}\n", self.policy));
        let (destructive, others): (Vec<&Consequence>, Vec<&Consequence>) = self.consequences.iter().partition(|each| each.destructive);
        for (heading, consequences) in [("Destructive", destructive), ("To look at", others)] {
            if !consequences.is_empty() {
                text.push_str(&format!("\n{heading}:\n"));
                consequences.iter().for_each(|each| write_consequence(text, each, width));
            }
        }
        let mut group = None;
        for changed in &self.changes {
            if group != Some(changed.group) {
                text.push_str(&format!("\n{}:\n", changed.group.heading()));
                group = Some(changed.group);
            }
            text.push_str(&wrapped(&changed.says, "  - ", "    ", width));
        }
    }
}

fn write_consequence(text: &mut String, consequence: &Consequence, width: u16) {
    let existing = consequence.existing.as_ref().map(|existing| format!(" ({})", existing.summary())).unwrap_or_default();
    text.push_str(&wrapped(&format!("{} {}{existing}", consequence.code, consequence.message), "  - ", "    ", width));
    let remark = match (&consequence.acknowledged, &consequence.hint) {
        (Some(reason), _) => Some(format!("acknowledged: {}", plain(reason))),
        (None, Some(hint)) if consequence.destructive => Some(format!("not acknowledged. {hint}")),
        (None, Some(hint)) => Some(hint.clone()),
        (None, None) => consequence.destructive.then(|| "not acknowledged".to_owned()),
    };
    text.extend(remark.map(|remark| wrapped(&remark, "    ", "    ", width)));
    let Some(existing) = &consequence.existing else { return };
    let backups = existing.backups();
    let alike = existing.alike();
    if let Some((before, after)) = alike {
        text.push_str(&wrapped(&format!("each of them now: {after}; before: {before}"), "    ", "    ", width));
    }
    let rows: Vec<Vec<String>> = backups
        .iter()
        .take(NAMED)
        .map(|backup| {
            let size = backup.size.map(|size| size.bytes().rounded()).unwrap_or_else(|| "unknown".into());
            let place = format!("{} in {}", backup.job, backup.store);
            let mut row = vec![format!("   {}", backup.id), place, minute(backup.moment), size];
            if alike.is_none() {
                row.extend([backup.before.clone(), backup.after.clone()]);
            }
            row
        })
        .collect();
    let header = ["   backup", "job", "of", "size", "before", "now"];
    text.push_str(&columns(&header[..if alike.is_none() { 6 } else { 4 }], rows, width));
    if backups.len() > NAMED {
        text.push_str(&format!("    and {} more; `--format json` names all\n", backups.len() - NAMED));
    }
}
