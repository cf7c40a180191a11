//! Objectives against their worst cases, in text and in Markdown.

use super::markdown;
use super::text::{columns, section, wrapped};
use super::words::{joined, quoted};
use crate::objectives::{Assessment, Objective, Oldest, Origin, Part, ReachRow, Row, SubjectKind, Way, WorstCase};

const OBJECTIVES: [&str; 5] = ["what", "target", "worst case", "margin", "how it comes back"];
const REACH: [&str; 5] = ["job", "store", "oldest backup", "any moment", "how dense"];

impl Assessment {
    /// For a person at a terminal: the table, then what each figure is made of.
    pub fn to_text(&self, width: u16) -> String {
        let mut text = String::new();
        section(&mut text, "Objectives", &columns(&OBJECTIVES, self.rows.iter().map(|row| promise(row, false)).collect(), width));
        let parts: String = self.alike().iter().map(|rows| made_of(rows, width)).collect();
        section(&mut text, "What the worst cases are made of", &parts);
        let reach = self.reach.iter().map(|row| reach(row, false)).collect();
        section(&mut text, "How far back, once it has run that long", &columns(&REACH, reach, width));
        text
    }

    /// For a comment on a pull request.
    pub fn to_markdown(&self) -> String {
        let mut text = markdown::table(&OBJECTIVES, &self.rows.iter().map(|row| promise(row, true)).collect::<Vec<_>>());
        text.push('\n');
        let mut parts = Vec::new();
        for rows in self.alike() {
            let mut whose = subjects(&rows);
            for part in rows.iter().take(1).flat_map(|row| row.worst.parts()) {
                // Said once, in the first of its lines.
                parts.push(vec![std::mem::take(&mut whose), part.length.to_string(), part.label.clone(), origin(part)]);
            }
        }
        text.push_str(&markdown::folded("What the worst cases are made of", &markdown::table(&["what", "length", "why", "from"], &parts)));
        let reach: Vec<Vec<String>> = self.reach.iter().map(|row| reach(row, true)).collect();
        text.push_str(&markdown::folded("How far back, once it has run that long", &markdown::table(&REACH, &reach)));
        text
    }

    /// Those whose worst cases are made of the same, together.
    fn alike(&self) -> Vec<Vec<&Row>> {
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in &self.rows {
            match groups.iter_mut().find(|group| group.iter().all(|other| other.worst == row.worst && other.what == row.what)) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
    }
}

fn promise(row: &Row, quotes: bool) -> Vec<String> {
    vec![subject(row), target(row), row.worst.to_string(), margin(row), answer(row, quotes)]
}

fn subjects(rows: &[&Row]) -> String {
    joined(rows.iter().map(|row| subject(row)))
}

fn subject(row: &Row) -> String {
    let what = match row.what {
        Objective::Rpo => "RPO",
        Objective::Rto => "RTO",
    };
    let name = row.subject.name.as_ref().map(ToString::to_string).unwrap_or_default();
    match row.subject.kind {
        SubjectKind::WholePolicy => what.to_string(),
        SubjectKind::Scenario => format!("{what} of {name}"),
        SubjectKind::Tier => format!("{what} of the data tier {name}"),
    }
}

fn target(row: &Row) -> String {
    row.target.map_or_else(|| "none".into(), |target| target.to_string())
}

fn margin(row: &Row) -> String {
    match row.margin {
        Some(margin) if margin.kept => margin.by.to_string(),
        Some(margin) => format!("NOT KEPT by {}", margin.by),
        None => String::new(),
    }
}

fn answer(row: &Row, quotes: bool) -> String {
    let Some(answer) = &row.answer else { return "nothing can".into() };
    let way = match answer.way {
        Way::PointInTime => "to any moment",
        Way::NewestBackup => "to the newest backup",
        Way::PromoteStandby => "by promoting a standby",
        Way::External => "by another tool or the provider",
    };
    let job = answer.job.as_ref().map(|job| format!(", {}", name(job, quotes))).unwrap_or_default();
    let store = answer.store.as_ref().map(|store| format!(" from {}", name(store, quotes))).unwrap_or_default();
    format!("{way}{job}{store}")
}

/// In a terminal's columns names need no quotation.
fn name(name: &crate::units::Name, quotes: bool) -> String {
    if quotes { format!("`{name}`") } else { name.to_string() }
}

fn made_of(rows: &[&Row], width: u16) -> String {
    let Some(row) = rows.first() else { return String::new() };
    if row.worst.parts().is_empty() && matches!(row.worst, WorstCase::Known { .. }) {
        return String::new();
    }
    let mut text = wrapped(&subjects(rows), "  ", "    ", width);
    if let WorstCase::Unknown { reason, .. } = &row.worst {
        text.push_str(&wrapped(&format!("unknown: {reason}"), "    ", "      ", width));
    }
    for part in row.worst.parts() {
        let line = format!("{} [{}]", part.label, origin(part));
        text.push_str(&wrapped(&line, &format!("    {:>10}  ", part.length), "                ", width));
    }
    text
}

/// The least certain of what it rests on, and what recoveries have measured beside that.
fn origin(part: &Part) -> String {
    let first = match &part.origin {
        Origin::Declared(path) => format!("declared in {}", quoted(path)),
        other => other.to_string(),
    };
    match part.rests_on.iter().find(|basis| part.origin.is_assumed() && basis.origin.is_rehearsed()) {
        Some(measured) => format!("{first}; {} {}", measured.figure, measured.origin),
        None => first,
    }
}

fn reach(row: &ReachRow, quotes: bool) -> Vec<String> {
    let oldest = match row.oldest {
        Oldest::First => "the first ever".into(),
        Oldest::AtLeast(age) => format!("at least {age} old"),
        Oldest::Newest => "the newest".into(),
    };
    vec![
        name(&row.job, quotes),
        name(&row.store, quotes),
        oldest,
        row.any_moment.map(|period| format!("of the last {period}")).unwrap_or_default(),
        row.density.clone(),
    ]
}
