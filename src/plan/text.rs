//! A plan for a person at a terminal.

use std::collections::BTreeMap;

use comfy_table::{ContentArrangement, Table, TableStyle};

use super::make::minute;
use super::words::{counted, joined, span, visible};
use super::{Due, Fate, Horizon, Job, Plan, Run, StoreState};
use crate::units::{BackupId, Bytes, StorageClass};

/// How many backups of a list are named before the rest is counted.
const NAMED: usize = 20;
/// And how many in a sentence.
const NAMED_UNUSABLE: usize = 5;

impl Plan {
    /// The calendar, the jobs with their steps, the stores, and the look ahead.
    pub fn to_text(&self, width: u16) -> String {
        let mut text = String::new();
        section(&mut text, "Runs in the next 7 days", &calendar(&self.calendar, width));
        let unable: Vec<&Job> = self.jobs.iter().filter(|job| !job.runs_in_this_version).collect();
        if !unable.is_empty() {
            text.push_str(&wrapped(&unable_words(&unable, self.jobs.len()), "", "", width));
            text.push('\n');
        }
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
    let tame = |cell: String| cell.chars().map(|c| if c == '\n' { ' ' } else { visible(c) }).collect::<String>();
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(tame).collect::<Vec<_>>()));
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
        line.extend(word.chars().map(visible));
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

/// Which jobs this version plans and cannot run.
pub(super) fn unable_words(unable: &[&Job], all: usize) -> String {
    if unable.len() == all {
        return "Nothing runs by itself yet: call `seawall backup NAME`.".into();
    }
    let names = joined(unable.iter().map(|job| format!("`{}`", job.job)));
    format!("This version of seawall plans these jobs; it cannot run {names} yet.")
}

fn job_text(job: &Job, width: u16) -> String {
    let mut words: Vec<String> = job.method.iter().cloned().collect();
    words.push(job.schedule.clone().unwrap_or_else(|| "only on demand".into()));
    words.extend(job.window.as_ref().map(|window| format!("inside {window}")));
    words.extend(job.longest_gap.map(|gap| format!("longest gap {}", span(gap))));
    match &job.due {
        Due::OnDemand => {}
        Due::Unknown { reason } => words.push(format!("whether it is due is unknown: {reason}")),
        due => words.push(due.to_string()),
    }
    let mut text = wrapped(&format!("Job {}", job.job), "", "  ", width);
    text.push_str(&wrapped(&words.join("; "), "  ", "  ", width));
    for (index, step) in job.steps.iter().enumerate() {
        text.push_str(&wrapped(&step.says, &format!("{:>4}. ", index + 1), "      ", width));
        text.push_str(&wrapped(&step.reason, "      why  ", "           ", width));
        if !step.needs.is_empty() {
            let needs = step.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            text.push_str(&wrapped(&needs, "      if   ", "           ", width));
        }
    }
    text.push('\n');
    text
}

fn stores(stores: &[StoreState], width: u16) -> String {
    let mut text = String::new();
    for store in stores {
        text.push_str(&wrapped(&format!("{} ({})", store.store, store.place), "  ", "    ", width));
        match &store.unknown {
            Some(reason) => text.push_str(&wrapped(&format!("what lies there is unknown: {reason}"), "    ", "    ", width)),
            None => text.push_str(&known(store, width)),
        }
    }
    text
}

/// What lies in a store and how far back it reaches, in one line.
pub(super) fn known_words(store: &StoreState) -> String {
    let sizes = store.existing.iter().filter_map(|backup| backup.size);
    let size = sizes.fold(Bytes::ZERO, |sum, size| sum.saturating_add(size.bytes()));
    let room = if size == Bytes::ZERO { String::new() } else { format!(", {}", size.rounded()) };
    let whole = |since| match store.any_moment_until {
        Some(until) => format!("; every moment from {} to {} can be recovered", minute(since), minute(until)),
        None => format!("; every moment since {} can be recovered", minute(since)),
    };
    let reach = match (store.any_moment_since, store.oldest) {
        _ if store.existing.is_empty() => String::new(),
        (Some(since), Some(oldest)) if oldest < since => format!("{}, and some before it, back to {}", whole(since), minute(oldest)),
        (Some(since), _) => whole(since),
        (None, Some(oldest)) => format!("; the cluster can be recovered to single moments, the oldest {}", minute(oldest)),
        (None, None) => "; none from which the whole cluster can be recovered".into(),
    };
    let count = if store.existing.is_empty() { "no backup".to_owned() } else { counted(store.existing.len(), "backup") };
    format!("{count}{room}{reach}")
}

/// What else there is to say of a store.
pub(super) fn remarks(store: &StoreState) -> Vec<String> {
    let mut remarks: Vec<String> =
        store.gaps.iter().map(|(from, to)| format!("no moment between {} and {} can be recovered", minute(*from), minute(*to))).collect();
    if !store.unusable.is_empty() {
        let (named, more) = store.unusable.split_at(store.unusable.len().min(NAMED_UNUSABLE));
        let more = (!more.is_empty()).then(|| format!("{} more", more.len()));
        let names = joined(named.iter().map(|id| format!("`{id}`")).chain(more));
        remarks.push(format!("cannot be restored, because the log of its own making is not there: {names}"));
    }
    let mut undecided: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let mut waiting: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for backup in &store.existing {
        if let Some(why) = &backup.waits {
            *waiting.entry(why).or_default() += 1;
        }
        if let Fate::Undecided { reason } = &backup.fate {
            *undecided.entry(reason).or_default() += 1;
        }
    }
    remarks.extend(undecided.iter().map(|(reason, count)| format!("undecided, so kept: {}: {reason}", counted(*count, "backup"))));
    remarks.extend(waiting.iter().map(|(why, count)| format!("to be deleted, but not yet: {}: {why}", counted(*count, "backup"))));
    if let Some(wal) = store.wal.as_ref().filter(|wal| wal.deletable > 0) {
        let verb = if wal.deletable == 1 { "is" } else { "are" };
        remarks.push(format!(
            "log: {} of {} {verb} no longer needed",
            wal.deletable,
            counted(wal.ranges, "stretch").replace("stretchs", "stretches")
        ));
    }
    remarks
}

fn known(store: &StoreState, width: u16) -> String {
    let mut text = wrapped(&known_words(store), "    ", "    ", width);
    text.extend(remarks(store).iter().map(|remark| wrapped(remark, "    ", "      ", width)));
    text.push_str(&moving(store, width));
    let going: Vec<_> = store
        .existing
        .iter()
        .filter_map(|backup| if let Fate::Delete { reason } = &backup.fate { Some((backup, reason)) } else { None })
        .collect();
    if going.is_empty() {
        if !store.existing.is_empty() {
            text.push_str("    nothing is to be deleted\n");
        }
        return text;
    }
    text.push_str(&format!("    to be deleted: {}\n", counted(going.len(), "backup")));
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
    text
}

/// Where backups move, one line for each class.
pub(super) fn moving_words(store: &StoreState) -> Vec<String> {
    let mut by_class: BTreeMap<(StorageClass, &str), Vec<&BackupId>> = BTreeMap::new();
    for (backup, moves) in store.existing.iter().filter_map(|backup| Some((backup, backup.moves.as_ref()?))) {
        by_class.entry((moves.to, &moves.reason)).or_default().push(&backup.id);
    }
    let line = |((to, reason), ids): ((StorageClass, &str), Vec<&BackupId>)| {
        let (named, more) = ids.split_at(ids.len().min(NAMED_UNUSABLE));
        let more = (!more.is_empty()).then(|| format!("{} more", more.len()));
        let names = joined(named.iter().map(|id| format!("`{id}`")).chain(more));
        format!("to be moved to {to}, because {reason}: {names}")
    };
    by_class.into_iter().map(line).collect()
}

fn moving(store: &StoreState, width: u16) -> String {
    moving_words(store).iter().map(|line| wrapped(line, "    ", "      ", width)).collect()
}

fn forecast_text(forecast: &Horizon, width: u16) -> String {
    let mut text = String::new();
    for store in &forecast.stores {
        let reach = match (store.any_moment_since, store.oldest) {
            (Some(since), _) => format!("every moment since {}", minute(since)),
            (None, Some(oldest)) => format!("single moments, the oldest {}", minute(oldest)),
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
                vec![format!("   {}", job.job), counted(job.ended.len(), "backup"), span]
            })
            .collect();
        text.push_str(&columns(&[], rows, width));
    }
    text
}
