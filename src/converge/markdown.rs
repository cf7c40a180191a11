//! For a comment on a pull request.

use super::{Convergence, Remark};
use crate::plan::markdown::prose;
use crate::plan::words::visible;

impl Convergence {
    pub fn to_markdown(&self) -> String {
        let mut text = format!("**{}**\n\n", prose(&self.summary()));
        for change in &self.changes {
            let mark = if change.destructive { "**destructive**: " } else { "" };
            text.push_str(&format!(
                "- `{}`: {}\n  {mark}{}\n",
                change.path.to_string().replace('`', "'"),
                prose(&change.says),
                prose(&change.consequence)
            ));
            if let Some(reason) = &change.acknowledged {
                text.push_str(&format!("  (acknowledged: {})\n", prose(reason)));
            }
        }
        if !self.changes.is_empty() {
            let all: Vec<&str> = self.changes.iter().map(|change| change.sql.as_str()).collect();
            text.push_str(&format!("\n{}\n`{}`\n\n", code_block(&all), self.digest));
        }
        for (word, remarks) in [("refused", &self.refused), ("unknown", &self.unknown), ("note", &self.remarks)] {
            for remark in remarks {
                text.push_str(&line(word, remark));
            }
        }
        text
    }
}

fn line(word: &str, remark: &Remark) -> String {
    let hint = remark.hint.as_ref().map_or_else(String::new, |hint| format!(" {}", prose(hint)));
    format!("- {word}: `{}`: {}.{hint}\n", remark.path.to_string().replace('`', "'"), prose(&remark.message))
}

/// Fenced by more backticks than it has in a row.
fn code_block(statements: &[&str]) -> String {
    let lines: Vec<String> = statements.iter().map(|sql| sql.chars().map(visible).collect()).collect();
    let text = lines.join("\n");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sql\n{text}\n{fence}\n")
}
