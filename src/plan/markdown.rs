//! A plan as a comment on a pull request.

use super::make::minute;
use super::{Due, Fate, Plan};

/// Text that Markdown and HTML leave as it is.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '@' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            '\n' | '\r' => safe.push(' '),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A table; nothing when it has no rows.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | ")));
    }
    text
}

/// Something that is folded away until it is asked for.
pub fn folded(summary: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("<details><summary>{}</summary>\n\n{body}\n</details>\n\n", escaped(summary)) }
}

impl Plan {
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        let runs: Vec<Vec<String>> = self
            .calendar
            .iter()
            .map(|run| {
                vec![
                    run.local.clone(),
                    run.job.to_string(),
                    if run.and_then > 0 { format!("and {} more", run.and_then) } else { String::new() },
                ]
            })
            .collect();
        text.push_str(&folded("Runs in the next 7 days", &table(&["when", "job", ""], &runs)));
        let jobs: Vec<Vec<String>> = self
            .jobs
            .iter()
            .map(|job| {
                let due = if job.due == Due::OnDemand { String::new() } else { job.due.to_string() };
                vec![
                    job.job.to_string(),
                    job.method.clone().unwrap_or_default(),
                    job.schedule.clone().unwrap_or_else(|| "on demand".into()),
                    job.longest_gap.map(|gap| gap.to_string()).unwrap_or_default(),
                    due,
                ]
            })
            .collect();
        text.push_str(&table(&["job", "kind", "when", "longest gap", "due"], &jobs));
        text.push('\n');
        for job in &self.jobs {
            let steps: String = job
                .steps
                .iter()
                .enumerate()
                .map(|(index, step)| format!("{}. {} ({})\n", index + 1, escaped(&step.says), escaped(&step.reason)))
                .collect();
            text.push_str(&folded(&format!("Steps of {}", job.job), &steps));
        }
        for store in &self.stores {
            match &store.unknown {
                Some(reason) => text.push_str(&format!(
                    "- **{}** ({}): what lies there is unknown: {}\n",
                    escaped(store.store.as_str()),
                    escaped(&store.place),
                    escaped(reason)
                )),
                None => {
                    let going: Vec<Vec<String>> = store
                        .existing
                        .iter()
                        .filter_map(|backup| match &backup.fate {
                            Fate::Delete { reason } => {
                                Some(vec![backup.id.to_string(), backup.job.to_string(), minute(backup.moment), reason.clone()])
                            }
                            _ => None,
                        })
                        .collect();
                    let since = store.any_moment_since.map(|since| format!("; every moment since {}", minute(since))).unwrap_or_default();
                    text.push_str(&format!(
                        "- **{}** ({}): {} backups{since}; {} to be deleted\n",
                        escaped(store.store.as_str()),
                        escaped(&store.place),
                        store.existing.len(),
                        going.len()
                    ));
                    text.push_str(&folded("To be deleted", &table(&["backup", "job", "of", "why"], &going)));
                }
            }
        }
        if let Some(forecast) = &self.forecast {
            let rows: Vec<Vec<String>> = forecast
                .stores
                .iter()
                .flat_map(|store| {
                    store.jobs.iter().map(|job| {
                        let since = store.any_moment_since.map(minute).unwrap_or_default();
                        vec![
                            store.store.to_string(),
                            job.job.to_string(),
                            job.ended.len().to_string(),
                            job.ended.last().map(|at| minute(*at)).unwrap_or_default(),
                            since,
                        ]
                    })
                })
                .collect();
            text.push_str(&format!("\nOn {}, if every run succeeds:\n\n", minute(forecast.at)));
            text.push_str(&table(&["store", "job", "backups", "oldest", "any moment since"], &rows));
        }
        if !self.unknown.is_empty() {
            text.push_str("\n**Unknown**\n\n");
            text.extend(self.unknown.iter().map(|unknown| format!("- {}\n", escaped(unknown))));
        }
        text
    }
}
