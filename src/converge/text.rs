//! For a person at a terminal.

use super::{Convergence, Remark};
use crate::plan::words::{counted, plain, quoted, visible};

impl Convergence {
    /// The changes, then what cannot be had, what is not known, and what is worth knowing.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.summary());
        for (index, change) in self.changes.iter().enumerate() {
            text.push_str(&format!("\n{:>3}. {}\n     {}\n", index + 1, plain(&change.path), change.says));
            let mut consequence = change.consequence.clone();
            if change.needs_restart {
                consequence.push_str("; counts after a restart of the server");
            }
            let mark = match (&change.destructive, &change.acknowledged) {
                (false, _) => "",
                (true, None) => "DESTRUCTIVE: ",
                (true, Some(_)) => "DESTRUCTIVE, acknowledged: ",
            };
            text.push_str(&format!("     {mark}{consequence}\n"));
            if let Some(reason) = &change.acknowledged {
                text.push_str(&format!("     reason: {}\n", plain(reason)));
            }
            text.push_str(&format!("       {}\n", one_line(&change.sql)));
        }
        for (word, remarks) in [("refused", &self.refused), ("unknown", &self.unknown), ("note", &self.remarks)] {
            for remark in remarks {
                text.push_str(&remark_text(word, remark));
            }
        }
        if !self.changes.is_empty() {
            text.push_str(&format!("\n{}\n", self.digest));
        }
        if self.needs_acknowledgement() {
            text.push_str("What is destructive is done only once the policy acknowledges SW0910 at its path, with a reason.\n");
        }
        text
    }

    /// The whole in one line.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        if !self.changes.is_empty() {
            let destructive = self.changes.iter().filter(|change| change.destructive).count();
            let destructive = if destructive == 0 { String::new() } else { format!(" ({destructive} destructive)") };
            parts.push(format!("{}{destructive}", counted(self.changes.len(), "change")));
        }
        if !self.refused.is_empty() {
            parts.push(format!("{} that cannot be had", counted(self.refused.len(), "thing")));
        }
        if !self.unknown.is_empty() {
            parts.push(format!("{} unknown", counted(self.unknown.len(), "thing")));
        }
        let is = if parts.is_empty() { "nothing differs".to_owned() } else { parts.join(", ") };
        format!("Databases of {} against the policy: {is}", quoted(&self.policy))
    }
}

/// The very statement; what would act on a terminal is shown as what it is not.
fn one_line(sql: &str) -> String {
    sql.chars().map(visible).collect()
}

fn remark_text(word: &str, remark: &Remark) -> String {
    let hint = remark.hint.as_ref().map_or_else(String::new, |hint| format!("  help: {hint}\n"));
    format!("\n{word}: {}: {}\n{hint}", plain(&remark.path), remark.message)
}
