//! A plan for a person at a terminal.

use comfy_table::{ContentArrangement, Table, TableStyle};

use super::make::minute;
use super::{Due, Fate, Horizon, Job, Plan, Run, StoreState};
use crate::units::Bytes;

/// How many backups of a list are named before the rest is counted.
const NAMED: usize = 20;

impl Plan {
    /// The calendar, the jobs with their steps, the stores, and the look ahead.
    pub fn to_text(&self, width: u16) -> String {
        let mut text = String::new();
        section(&mut text, "Runs in the next 7 days", &calendar(&self.calendar, width));
        for job in &self.jobs {
            text.push_str(&job_text(job, width));
        }
        section(&mut text, "Stores", &stores(&self.stores, width));
        if let Some(forecast) = &self.forecast {
            section(&mut text, &format!("On {}, if every run succeeds", minute(forecast.at)), &forecast_text(forecast, width));
        }
        if !self.unknown.is_empty() {
            let lines: Vec<String> = self.unknown.iter().map(|unknown| wrapped(unknown, "  - ", "    ", width)).collect();
            section(&mut text, "Unknown", &lines.concat());
        }
        text
    }
}

/// A heading and what stands under it; nothing when there is nothing.
pub fn section(text: &mut String, heading: &str, body: &str) {
    if !body.is_empty() {
        text.push_str(&format!("{heading}\n{body}\n"));
    }
}

/// Columns without lines, two spaces in, no wider than the terminal.
pub fn columns(header: &[&str], rows: Vec<Vec<String>>, width: u16) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic).set_width(width.saturating_sub(1).max(40));
    if !header.is_empty() {
        table.set_header(header.iter().map(|title| title.to_uppercase()).collect::<Vec<_>>());
    }
    table.add_rows(rows);
    table.lines().map(|line| format!(" {}\n", line.trim_end())).collect()
}

/// Words broken into lines that fit.
pub fn wrapped(words: &str, first: &str, other: &str, width: u16) -> String {
    let limit = usize::from(width).max(40);
    let mut text = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words.split_whitespace() {
        let long = unicode_width::UnicodeWidthStr::width(line.as_str()) + 1 + unicode_width::UnicodeWidthStr::width(word) > limit;
        if !empty && long {
            text.push_str(line.trim_end());
            text.push('\n');
            line = other.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
    text
}

fn calendar(runs: &[Run], width: u16) -> String {
    let rows = runs
        .iter()
        .map(|run| {
            let more = if run.and_then > 0 { format!("and {} more", run.and_then) } else { String::new() };
            vec![run.local.clone(), run.job.to_string(), more]
        })
        .collect();
    columns(&[], rows, width)
}

fn job_text(job: &Job, width: u16) -> String {
    let mut words = vec![job.schedule.clone().unwrap_or_else(|| "only on demand".into())];
    if let Some(method) = &job.method {
        words.insert(0, method.clone());
    }
    words.extend(job.window.as_ref().map(|window| format!("inside {window}")));
    words.extend(job.longest_gap.map(|gap| format!("at most {gap} apart")));
    match &job.due {
        Due::OnDemand => {}
        due => words.push(due.to_string()),
    }
    let mut text = format!("Job {}\n{}", job.job, wrapped(&words.join("; "), "  ", "  ", width));
    if !job.runs_in_this_version {
        text.push_str("  planned; this version of seawall cannot run it yet\n");
    }
    for (index, step) in job.steps.iter().enumerate() {
        let number = format!("{:>3}. ", index + 1);
        text.push_str(&wrapped(&format!("{} ({})", step.says, step.reason), &number, "     ", width));
        if !step.needs.is_empty() {
            let needs = step.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            text.push_str(&wrapped(&format!("if {needs}"), "       ", "       ", width));
        }
    }
    text.push('\n');
    text
}

fn stores(stores: &[StoreState], width: u16) -> String {
    let mut text = String::new();
    for store in stores {
        text.push_str(&format!("  {} ({})\n", store.store, store.place));
        match &store.unknown {
            Some(reason) => text.push_str(&wrapped(&format!("what lies there is unknown: {reason}"), "    ", "    ", width)),
            None => text.push_str(&known(store, width)),
        }
    }
    text
}

fn known(store: &StoreState, width: u16) -> String {
    let mut text = String::new();
    let size: Bytes =
        store.existing.iter().filter_map(|backup| backup.size).fold(Bytes::ZERO, |sum, size| sum.saturating_add(size.bytes()));
    text.push_str(&format!("    {} backups, {}", store.existing.len(), size.rounded()));
    match (store.any_moment_since, store.oldest) {
        (Some(since), _) => text.push_str(&format!("; every moment since {} can be recovered", minute(since))),
        (None, Some(oldest)) => text.push_str(&format!("; the oldest is of {}", minute(oldest))),
        (None, None) => text.push_str("; the cluster cannot be recovered from here"),
    }
    text.push('\n');
    for (from, to) in &store.gaps {
        text.push_str(&format!("    no moment between {} and {} can be recovered\n", minute(*from), minute(*to)));
    }
    let going: Vec<_> = store
        .existing
        .iter()
        .filter_map(|backup| if let Fate::Delete { reason } = &backup.fate { Some((backup, reason)) } else { None })
        .collect();
    if going.is_empty() {
        text.push_str("    nothing is to be deleted\n");
    } else {
        text.push_str(&format!("    to be deleted: {}\n", going.len()));
        let row = |(backup, reason): &(&super::Existing, &String)| {
            vec![
                format!("     {}", backup.id),
                backup.job.to_string(),
                minute(backup.moment),
                backup.size.map(|size| size.bytes().rounded()).unwrap_or_default(),
                (*reason).clone(),
            ]
        };
        text.push_str(&columns(&[], going.iter().take(NAMED).map(row).collect(), width));
        if going.len() > NAMED {
            text.push_str(&format!("      and {} more; `--format json` names all\n", going.len() - NAMED));
        }
    }
    let undecided = store.existing.iter().filter(|backup| matches!(backup.fate, Fate::Undecided { .. })).count();
    if undecided > 0 {
        text.push_str(&format!("    undecided, so kept: {undecided}\n"));
    }
    if let Some(wal) = store.wal.as_ref().filter(|wal| wal.deletable > 0) {
        text.push_str(&format!("    log: {} of {} stretches are no longer needed\n", wal.deletable, wal.ranges));
    }
    text
}

fn forecast_text(forecast: &Horizon, width: u16) -> String {
    let mut text = String::new();
    for store in &forecast.stores {
        let reach = match (store.any_moment_since, store.oldest) {
            (Some(since), _) => format!("every moment since {}", minute(since)),
            (None, Some(oldest)) => format!("back to {}", minute(oldest)),
            (None, None) => "nothing to recover from".into(),
        };
        let unknown = if store.without_existing { " (what lies there today is unknown and left out)" } else { "" };
        text.push_str(&wrapped(&format!("{}: {reach}{unknown}", store.store), "  ", "    ", width));
        let rows = store
            .jobs
            .iter()
            .map(|job| {
                let (newest, oldest) = (job.ended.first(), job.ended.last());
                let span = match (newest, oldest) {
                    (Some(newest), Some(oldest)) if newest != oldest => format!("{} to {}", minute(*oldest), minute(*newest)),
                    (Some(only), _) => minute(*only),
                    _ => String::new(),
                };
                vec![format!("   {}", job.job), format!("{} backups", job.ended.len()), span]
            })
            .collect();
        text.push_str(&columns(&[], rows, width));
    }
    text
}
