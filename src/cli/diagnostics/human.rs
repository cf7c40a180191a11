//! Findings for people: the message, the line with what is meant underlined, what was expected, and the way out.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::excerpt::Excerpt;
use super::secrets::Secrets;
use super::{MAX_SHOWN, Shown};
use crate::cli::fleet::{Fleet, Tally};
use crate::cli::terminal::{Terminal, tame};
use crate::policy::finding::{Finding, Weight};
use crate::policy::source::Place;

/// All findings, ready to be printed.
pub fn render(findings: &[Finding], terminal: Terminal) -> String {
    let renderer = if terminal.colours { Renderer::styled() } else { Renderer::plain() }.term_width(terminal.width);
    let secrets = Secrets::of(findings);
    let shown = Shown::of(findings);
    let mut text = String::new();
    for finding in &shown.findings {
        text.push_str(&printed(finding, &secrets, &renderer));
        text.push_str("\n\n");
    }
    for (file, omitted) in &shown.omitted {
        let file = if file.is_empty() { String::new() } else { format!(" in {}", tame(file)) };
        text.push_str(&format!("… and {omitted} more{file} (the first {MAX_SHOWN} are shown)\n\n"));
    }
    text
}

/// The last line: how many policies are sound, or what is wrong with how many.
pub fn summary(fleet: &Fleet, findings: &[Finding]) -> String {
    let (shared, policies): (Vec<_>, Vec<_>) = fleet.policies.iter().partition(|policy| policy.document.is_abstract);
    let tally = Tally::of(findings);
    let mut found: Vec<String> = [(tally.errors, "error"), (tally.warnings, "warning"), (tally.notes, "note")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| counted(number, what))
        .collect();
    if tally.acknowledged > 0 {
        found.push(format!("{} acknowledged", tally.acknowledged));
    }
    let found = found.join(", ");
    let all = match (policies.len(), shared.len()) {
        (0, 0) => return if found.is_empty() { "nothing to check".to_owned() } else { found },
        (policies, 0) => plural(policies, "policy", "policies"),
        (0, shared) => plural(shared, "shared file", "shared files"),
        (policies, shared) => format!("{} and {}", plural(policies, "policy", "policies"), plural(shared, "shared file", "shared files")),
    };
    if fleet.is_sound() {
        let verb = if fleet.policies.len() == 1 { "is" } else { "are" };
        return if found.is_empty() { format!("{all} {verb} sound") } else { format!("{all} {verb} sound; {found}") };
    }
    let touched = fleet.policies.iter().filter(|policy| !policy.findings.is_empty()).count();
    match fleet.policies.len() {
        1 => format!("{found} in {all}"),
        _ if touched == 0 => format!("{found}; {all} read"),
        files if !shared.is_empty() => format!("{found} in {touched} of {files} files"),
        _ => format!("{found} in {touched} of {all}"),
    }
}

fn counted(number: usize, what: &str) -> String {
    plural(number, what, &format!("{what}s"))
}

fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The finding as it is printed.
fn printed(finding: &Finding, secrets: &Secrets, renderer: &Renderer) -> String {
    let level = match (&finding.acknowledged, finding.weight) {
        (Some(_), _) => Level::NOTE.with_name("acknowledged"),
        (None, Weight::Error) => Level::ERROR,
        (None, Weight::Warning) => Level::WARNING,
        (None, Weight::Note) => Level::NOTE,
    };
    let mut places = Places {
        group: Group::with_title(level.primary_title(secrets.clean(&finding.message)).id(finding.code.to_string())),
        columns: Vec::new(),
    };
    let mut marks: Vec<Mark<'_>> = Vec::new();
    if let Some(place) = &finding.place {
        let label = finding.label.as_deref().map(|label| secrets.clean(label));
        marks.push(Mark { place, kind: AnnotationKind::Primary, label });
    }
    for related in &finding.related {
        let Some(place) = &related.place else { continue };
        marks.push(Mark { place, kind: AnnotationKind::Context, label: Some(secrets.clean(&related.message)) });
    }
    while !marks.is_empty() {
        let together = near_the_first(&mut marks);
        places = places.with(&together, secrets);
    }
    let Places { mut group, columns } = places;
    if !finding.path.is_top() {
        group = group.element(Level::NOTE.with_name("at").message(secrets.clean(&finding.path.to_string())));
    }
    if let Some(reason) = &finding.acknowledged {
        group = group.element(Level::NOTE.with_name("reason").message(secrets.clean(reason)));
    }
    if let Some(hint) = &finding.hint {
        group = group.element(Level::HELP.message(secrets.clean(hint)));
    }
    let mut text = renderer.render(&[group]);
    for (shown, meant) in columns {
        text = text.replacen(&shown, &meant, 1);
    }
    text
}

struct Places<'a> {
    group: Group<'a>,
    /// The renderer counts columns in the excerpt; where that is not the column in the file, what it prints and what it should.
    columns: Vec<(String, String)>,
}

/// A place that is underlined.
struct Mark<'f> {
    place: &'f Place,
    kind: AnnotationKind,
    label: Option<String>,
}

/// How many lines further away a place may be to be shown in the same piece of text.
const MAX_AWAY: usize = 200;

/// Takes out the first of the places and those that are shown with it: of the same text, and not far away.
fn near_the_first<'f>(marks: &mut Vec<Mark<'f>>) -> Vec<Mark<'f>> {
    let first = marks.remove(0);
    let (source, line) = (&first.place.source, first.place.start_position().line);
    let near = |mark: &mut Mark<'f>| Arc::ptr_eq(&mark.place.source, source) && mark.place.start_position().line.abs_diff(line) <= MAX_AWAY;
    let others: Vec<Mark<'f>> = marks.extract_if(.., near).collect();
    std::iter::once(first).chain(others).collect()
}

impl Places<'_> {
    /// Shows places of one text; all lines between them go to the renderer, which leaves out those that nothing is said of.
    fn with(mut self, marks: &[Mark<'_>], secrets: &Secrets) -> Self {
        let Some(first) = marks.first() else { return self };
        let source = &first.place.source;
        let name = tame(&source.name).into_owned();
        let excerpts: Option<Vec<Excerpt>> = marks.iter().map(|mark| Excerpt::of(mark.place, secrets)).collect();
        let Some(excerpts) = excerpts else {
            return Places { group: self.group.element(Origin::path(name)), ..self };
        };
        let lines = excerpts.iter().map(|excerpt| excerpt.line);
        let (top, bottom) = (lines.clone().min().unwrap_or(1), lines.max().unwrap_or(1));
        let one_window = excerpts.iter().all(|one| excerpts.iter().all(|other| one.line != other.line || one.text == other.text));
        if !one_window {
            // Two parts of one long line are shown apart.
            return marks.chunks(1).fold(self, |places, mark| places.with(mark, secrets));
        }
        let mut text = String::new();
        let mut starts = Vec::new();
        for line in top..=bottom {
            starts.push(text.len());
            match excerpts.iter().find(|excerpt| excerpt.line == line) {
                Some(excerpt) => text.push_str(&excerpt.text),
                None => text.push_str(&Excerpt::of_line(source, line, secrets)),
            }
            text.push('\n');
        }
        if let Some(excerpt) = excerpts.first() {
            let shown = excerpt.text[..excerpt.span.start].chars().count() + 1;
            if shown != excerpt.column {
                let header = |column: usize| format!("{name}:{}:{column}", excerpt.line);
                self.columns.push((header(shown), header(excerpt.column)));
            }
        }
        let mut snippet = Snippet::source(text).path(name).line_start(top);
        for (excerpt, mark) in excerpts.iter().zip(marks) {
            let start = starts[excerpt.line - top];
            snippet = snippet.annotation(mark.kind.span(start + excerpt.span.start..start + excerpt.span.end).label(mark.label.clone()));
        }
        Places { group: self.group.element(snippet), ..self }
    }
}
