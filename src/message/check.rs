//! Are the receivers' templates sound? Each is tried with a notice of every kind, before somebody needs it.

use std::sync::Arc;

use minijinja::Error;

use super::render::{Form, render, said};
use super::sample;
use super::view::View;
use crate::alert::NoticeKind;
use crate::policy::document::Document;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;
use crate::policy::source::{Place, Source};
use crate::schedule::Zone;
use crate::units::{Instant, Name};

const UNREADABLE: Code = Code(245);
const UNSOUND: Code = Code(246);
const PATH_HINT: &str = "The path starts from the directory of the file that names it; it is text in UTF-8, 64 KiB at most.";
const HINT: &str = "docs/receivers.md lists what a template can name; until it is mended, messages are sent in Seawall's own words.";

const KINDS: [NoticeKind; 6] =
    [NoticeKind::Firing, NoticeKind::Reminder, NoticeKind::Escalation, NoticeKind::Resolved, NoticeKind::Event, NoticeKind::Sample];

/// What is wrong with the templates of a policy's receivers.
pub fn check(document: &Document, now: Instant) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (receiver, read) in &document.templates {
        let path = PolicyPath::from(["receivers", receiver.as_str(), "template"]);
        match read {
            Err(fault) => {
                let message = format!("the template cannot be read: {}", fault.message);
                findings.push(Finding::error(UNREADABLE, path, message).hint(PATH_HINT));
            }
            Ok(source) => {
                if let Some(error) = first_error(source, receiver, now) {
                    let message = format!("the template of `{receiver}` cannot be used: {}", what(&error));
                    let finding = Finding::error(UNSOUND, path.clone(), message).at(place(source, &error)).hint(HINT);
                    findings.push(finding.related(path, "named here"));
                }
            }
        }
    }
    findings
}

/// The first thing that goes wrong with any kind of notice: everything in it is set in one of the two, and little in the other.
fn first_error(source: &Source, receiver: &Name, now: Instant) -> Option<Error> {
    KINDS.iter().find_map(|kind| {
        let full = sample(receiver, receiver, *kind, now, "check");
        let mut bare = full.clone();
        for item in &mut bare.items {
            (item.hint, item.job, item.since, item.until) = (None, None, None, None);
            item.facts.clear();
            item.text.clear();
        }
        let fails = |notice| render(&source.text, Form::Text, &View::of(notice, &Zone::utc())).err();
        fails(&full).or_else(|| fails(&bare))
    })
}

/// Without the line: the place has it.
fn what(error: &Error) -> String {
    let said = said(error);
    match (error.line(), said.split_once(": ")) {
        (Some(_), Some((_, rest))) => rest.to_owned(),
        _ => said,
    }
}

fn place(source: &Arc<Source>, error: &Error) -> Place {
    match (error.range(), error.line()) {
        (Some(range), _) => Place::new(source, range.start, range.end),
        (None, Some(line)) => Place::new(source, source.line_start(line), source.line_start(line + 1).saturating_sub(1)),
        (None, None) => Place::new(source, 0, 0),
    }
}
