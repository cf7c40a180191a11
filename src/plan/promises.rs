//! Objectives against their worst cases, in text and in Markdown.

use super::markdown;
use super::text::{columns, section, wrapped};
use crate::objectives::{Assessment, Oldest, Origin, ReachRow, Row, SubjectKind, Way, WorstCase};

impl Assessment {
    /// For a person at a terminal: the table, then what each figure is made of.
    pub fn to_text(&self, width: u16) -> String {
        let mut text = String::new();
        let rows = self.rows.iter().map(|row| vec![subject(row), target(row), worst(row), margin(row), answer(row)]).collect();
        section(&mut text, "Objectives", &columns(&["what", "target", "worst case", "margin", "how it comes back"], rows, width));
        let parts: String = self.rows.iter().map(|row| made_of(row, width)).collect();
        section(&mut text, "What the worst cases are made of", &parts);
        section(
            &mut text,
            "How far back, once it has run that long",
            &columns(&["job", "store", "some backup", "any moment", "how dense"], self.reach.iter().map(reach).collect(), width),
        );
        text
    }

    /// For a comment on a pull request.
    pub fn to_markdown(&self) -> String {
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| vec![subject(row), target(row), worst(row), margin(row), answer(row)]).collect();
        let mut text = markdown::table(&["what", "target", "worst case", "margin", "how it comes back"], &rows);
        let parts: Vec<Vec<String>> = self
            .rows
            .iter()
            .flat_map(|row| {
                row.worst.parts().iter().map(|part| {
                    vec![subject(row), part.kind.to_string(), part.length.to_string(), part.label.clone(), origin(&part.origin)]
                })
            })
            .collect();
        text.push('\n');
        text.push_str(&markdown::folded(
            "What the worst cases are made of",
            &markdown::table(&["what", "part", "length", "why", "from"], &parts),
        ));
        let reach: Vec<Vec<String>> = self.reach.iter().map(reach).collect();
        text.push_str(&markdown::folded(
            "How far back one can go",
            &markdown::table(&["job", "store", "some backup", "any moment", "how dense"], &reach),
        ));
        text
    }
}

fn subject(row: &Row) -> String {
    let name = row.subject.name.as_ref().map(ToString::to_string).unwrap_or_default();
    match row.subject.kind {
        SubjectKind::WholePolicy => row.what.to_string(),
        SubjectKind::Scenario => format!("{} of {name}", row.what),
        SubjectKind::Tier => format!("{} of the data tier {name}", row.what),
    }
}

fn target(row: &Row) -> String {
    row.target.map_or_else(|| "none".into(), |target| target.to_string())
}

fn worst(row: &Row) -> String {
    match &row.worst {
        WorstCase::Known { total, .. } => total.to_string(),
        WorstCase::Unknown { .. } => "unknown".into(),
    }
}

fn margin(row: &Row) -> String {
    match row.margin {
        Some(margin) if margin.kept => margin.by.to_string(),
        Some(margin) => format!("NOT KEPT, by {}", margin.by),
        None => String::new(),
    }
}

fn answer(row: &Row) -> String {
    let Some(answer) = &row.answer else { return "nothing can".into() };
    let way = match answer.way {
        Way::PointInTime => "to any moment",
        Way::NewestBackup => "to the newest backup",
        Way::PromoteStandby => "by promoting a standby",
        Way::External => "by somebody else's tool",
    };
    let job = answer.job.as_ref().map(|job| format!(", `{job}`")).unwrap_or_default();
    let store = answer.store.as_ref().map(|store| format!(" from `{store}`")).unwrap_or_default();
    format!("{way}{job}{store}")
}

fn made_of(row: &Row, width: u16) -> String {
    let mut text = format!("  {}\n", subject(row));
    if let WorstCase::Unknown { reason, .. } = &row.worst {
        text.push_str(&wrapped(&format!("unknown: {reason}"), "    ", "      ", width));
    }
    for part in row.worst.parts() {
        let line = format!("{} ({})", part.label, origin(&part.origin));
        text.push_str(&wrapped(&line, &format!("    {:>10}  ", part.length), "                ", width));
    }
    if row.worst.parts().is_empty() && matches!(row.worst, WorstCase::Known { .. }) {
        return String::new();
    }
    text
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Derived => "follows from the policy".into(),
        Origin::Measured { at, how } => format!("measured by a {how:?} on {}", at.strftime("%Y-%m-%d")).to_lowercase(),
        Origin::Observed => "observed".into(),
        Origin::Declared(path) => format!("declared, `{path}`"),
        Origin::Default => "a default".into(),
    }
}

fn reach(row: &ReachRow) -> Vec<String> {
    let oldest = match row.oldest {
        Oldest::First => "back to the first".into(),
        Oldest::AtLeast(age) => format!("{age} old at least"),
        Oldest::Newest => "the newest".into(),
    };
    vec![
        row.job.to_string(),
        row.store.to_string(),
        oldest,
        row.any_moment.map(|period| format!("of the last {period}")).unwrap_or_default(),
        row.density.clone(),
    ]
}
