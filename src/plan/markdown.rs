//! A plan as a comment on a pull request, and what every comment is made of.
//!
//! Whatever a policy, an inventory or a file's name says, it stays text: it opens no tag, ends no cell, calls nobody.
//! Our sentences put names between backticks; those become code, and there alone nothing is escaped.

use super::make::minute;
use super::words::{counted, visible};
use super::{Due, Fate, Horizon, Job, Plan, StoreState};

/// Text that Markdown and HTML leave as it is.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // Not even a backslash before it keeps a bar from ending a cell everywhere.
            '|' => safe.push_str("&#124;"),
            // Nor does one keep `@name` from calling somebody; a comment in between does.
            '@' => safe.push_str("@<!-- -->"),
            '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            '\n' | '\r' | '\t' => safe.push(' '),
            c => safe.push(visible(c)),
        }
    }
    safe
}

/// The parts of a sentence, and whether each stands between backticks. Backticks that are not ours, because they do not come
/// in single pairs, are text like any other.
fn parts(sentence: &str) -> Vec<(&str, bool)> {
    if sentence.contains("``") || sentence.matches('`').count() % 2 == 1 {
        return vec![(sentence, false)];
    }
    sentence.split('`').enumerate().map(|(at, part)| (part, at % 2 == 1)).collect()
}

fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { visible(c) }).collect();
    // A bar ends a cell even between backticks, and what is only space is no code.
    if text.contains('|') || text.trim().is_empty() { format!("<code>{}</code>", escaped(&text)) } else { format!("`{text}`") }
}

/// A sentence: what stands between backticks stays as it is, all else is kept from acting as Markdown or HTML.
pub fn prose(sentence: &str) -> String {
    parts(sentence).into_iter().map(|(text, is_code)| if is_code { code(text) } else { escaped(text) }).collect()
}

/// The same where only HTML is understood.
fn html(sentence: &str) -> String {
    let text = |text: &str| -> String {
        let kept = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { visible(c) });
        kept.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@<!-- -->")
    };
    let part = |(part, is_code): (&str, bool)| if is_code { format!("<code>{}</code>", text(part)) } else { text(part) };
    parts(sentence).into_iter().map(part).collect()
}

/// A table; nothing when it has no rows.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.iter().map(|cell| prose(cell)).collect::<Vec<_>>().join(" | ")));
    }
    text
}

/// Something that is folded away until it is asked for.
pub fn folded(summary: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<details><summary>{}</summary>\n\n{}\n\n</details>\n\n", html(summary), body.trim_end())
}

/// With one empty line at most between two blocks, and none at the end.
pub fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let mut empty = false;
    for line in text.trim_end().lines() {
        if !(empty && line.is_empty()) {
            squeezed.push_str(line);
            squeezed.push('\n');
        }
        empty = line.is_empty();
    }
    squeezed
}

impl Plan {
    pub fn to_markdown(&self) -> String {
        let mut text = jobs(&self.jobs);
        text.push_str(&folded("Runs in the next 7 days", &self.runs()));
        for job in &self.jobs {
            text.push_str(&folded(&format!("Steps of `{}`", job.job), &steps(job)));
        }
        text.push_str("**Stores**\n\n");
        self.stores.iter().for_each(|store| store_markdown(&mut text, store));
        if let Some(forecast) = &self.forecast {
            text.push_str(&format!("\n**On {}, if every run succeeds**\n\n", minute(forecast.at)));
            text.push_str(&forecast_table(forecast));
        }
        if !self.unknown.is_empty() {
            text.push_str("\n**Unknown**\n\n");
            text.extend(self.unknown.iter().map(|unknown| format!("- {}\n", prose(unknown))));
        }
        text
    }

    fn runs(&self) -> String {
        let row = |run: &super::Run| {
            let more = if run.and_then > 0 { format!("and {} more", run.and_then) } else { String::new() };
            vec![run.local.clone(), format!("`{}`", run.job), more]
        };
        table(&["when", "job", ""], &self.calendar.iter().map(row).collect::<Vec<_>>())
    }
}

fn jobs(jobs: &[Job]) -> String {
    let row = |job: &Job| {
        let due = match &job.due {
            Due::OnDemand => String::new(),
            Due::Unknown { .. } => "unknown".into(),
            due => due.to_string(),
        };
        vec![
            format!("`{}`", job.job),
            job.method.clone().unwrap_or_default(),
            job.schedule.clone().unwrap_or_else(|| "on demand".into()),
            job.longest_gap.map(super::words::span).unwrap_or_default(),
            due,
        ]
    };
    let mut text = table(&["job", "kind", "when", "longest gap", "due"], &jobs.iter().map(row).collect::<Vec<_>>());
    text.push('\n');
    let unable: Vec<&Job> = jobs.iter().filter(|job| !job.runs_in_this_version).collect();
    if !unable.is_empty() {
        text.push_str(&format!("{}\n\n", prose(&super::text::unable_words(&unable, jobs.len()))));
    }
    text
}

fn steps(job: &Job) -> String {
    let line = |(index, step): (usize, &super::Step)| {
        let mut line = format!("{}. {}<br>why: {}", index + 1, prose(&step.says), prose(&step.reason));
        if !step.needs.is_empty() {
            let needs = step.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            line.push_str(&format!("<br>if: {}", prose(&needs)));
        }
        line + "\n"
    };
    job.steps.iter().enumerate().map(line).collect()
}

fn store_markdown(text: &mut String, store: &StoreState) {
    let name = format!("`{}` at {}", store.store, super::words::quoted(&store.place));
    if let Some(reason) = &store.unknown {
        text.push_str(&format!("- {}\n", prose(&format!("{name}: what lies there is unknown: {reason}"))));
        return;
    }
    let going: Vec<Vec<String>> = store
        .existing
        .iter()
        .filter_map(|backup| match &backup.fate {
            Fate::Delete { reason } => Some(vec![
                format!("`{}`", backup.id),
                format!("`{}`", backup.job),
                minute(backup.moment),
                backup.size.map(|size| size.bytes().rounded()).unwrap_or_default(),
                reason.clone(),
            ]),
            _ => None,
        })
        .collect();
    text.push_str(&format!("- {}\n", prose(&format!("{name}: {}", super::text::known_words(store)))));
    let remarks = super::text::remarks(store);
    let moving = super::text::moving_words(store);
    text.extend(remarks.iter().chain(&moving).map(|remark| format!("  - {}\n", prose(remark))));
    if !going.is_empty() {
        let body = table(&["backup", "job", "of", "size", "why"], &going);
        let summary = format!("To be deleted: {}", counted(going.len(), "backup"));
        // Inside the list item, so that the list goes on behind it.
        text.push('\n');
        text.extend(
            folded(&summary, &body).trim_end().lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }),
        );
        text.push('\n');
    }
}

fn forecast_table(forecast: &Horizon) -> String {
    let mut rows = Vec::new();
    for store in &forecast.stores {
        let since = store.any_moment_since.map(minute).unwrap_or_default();
        let name = format!("`{}`{}", store.store, if store.without_existing { " (without what lies there today)" } else { "" });
        for job in &store.jobs {
            let oldest = job.ended.last().map(|at| minute(*at)).unwrap_or_default();
            rows.push(vec![name.clone(), format!("`{}`", job.job), job.ended.len().to_string(), oldest, since.clone()]);
        }
    }
    table(&["store", "job", "backups", "oldest", "any moment since"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_outside_of_code() {
        assert_eq!(prose("a <b>|*c* @d `e_f|g` `h<i>`"), "a &lt;b&gt;&#124;\\*c\\* @<!-- -->d <code>e\\_f&#124;g</code> `h<i>`");
        assert_eq!(prose("one ` <script>"), "one \\` &lt;script&gt;");
        assert_eq!(prose("``<script>``"), "\\`\\`&lt;script&gt;\\`\\`");
        assert_eq!(prose("\\`x`"), "\\\\`x`");
        assert_eq!(prose("a\nb\u{1b}[31m\u{202e}"), "a b\u{fffd}\\[31m\u{fffd}");
        assert_eq!(prose("`a\n\nb`"), "`a  b`");
    }

    #[test]
    fn a_summary_is_html() {
        assert!(
            folded("Steps of `a_b` </summary>", "x")
                .starts_with("<details><summary>Steps of <code>a_b</code> &lt;/summary&gt;</summary>\n")
        );
    }

    #[test]
    fn a_cell_stays_one_cell() {
        let table = table(&["a", "b"], &[vec!["x|y".into(), "`p|q`\\".into()]]);
        assert!(table.lines().all(|line| line.matches('|').count() == 3), "{table}");
    }
}
