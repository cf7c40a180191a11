//! The summary of many policies: a row for each, the worst first.

use super::writer::Html;
use super::{Links, anchor, level, own_page, state};
use crate::plan::words::counted;
use crate::policy::model::TimedKind;
use crate::report::account::{JobAccount, PolicyAccount, Report, State};

pub(super) fn in_short(worst: State) -> &'static str {
    match worst {
        State::Kept => "✓ All promises are kept.",
        State::Unproven => "? Not all that is promised is proven.",
        State::Broken => "✕ Not all that is promised is kept.",
    }
}

pub(super) fn summary(html: &mut Html, report: &Report, links: Links) {
    html.leaf("h2", &[("id", "summary")], "Summary");
    let header = [
        "policy",
        "promise",
        "now",
        "#lost now",
        "#promised",
        "#worst",
        "#recovered in",
        "#promised",
        "newest backup",
        "last drill passed",
    ];
    html.table("summary of the policies", &header, |html| {
        for (number, one) in report.policies.iter().enumerate() {
            html.row(|html| row(html, one, number, links));
        }
    });
}

fn row(html: &mut Html, one: &PolicyAccount, number: usize, links: Links) {
    let target = match links {
        Links::Sections => Some(format!("#{}", anchor(number))),
        Links::Pages => own_page(one),
    };
    html.element("th", &[("scope", "row")], |html| match &target {
        Some(target) => html.leaf("a", &[("href", target)], &one.policy),
        None => html.text(&one.policy),
    });
    html.td(|html| state(html, one.verdict.state));
    html.td(|html| {
        level(html, one.level);
        if one.problems.len() > 1 {
            html.text(&format!(" {}", counted(one.problems.len(), "problem")));
        }
    });
    let maybe = |seconds: Option<u64>| seconds.map(|seconds| seconds as f64);
    html.n(|html| html.maybe_lasting(maybe(one.loss.now_seconds), "unknown"));
    html.n(|html| html.maybe_lasting(maybe(one.loss.promised_seconds), "–"));
    html.n(|html| html.maybe_lasting(one.loss.worst.map(|worst| worst.seconds), "–"));
    html.n(|html| html.maybe_lasting(one.drills.recovered.as_ref().map(|recovered| recovered.seconds), "unknown"));
    let promised = one.objectives.iter().find(|objective| objective.objective == "objectives.rto");
    html.n(|html| html.maybe_lasting(promised.map(|promised| promised.promised_seconds as f64), "–"));
    let backups = one.jobs.iter().filter(|job: &&JobAccount| job.kind == TimedKind::Backup);
    html.td(|html| html.maybe_day(backups.filter_map(|job| job.last_succeeded).max(), "never"));
    html.td(|html| html.maybe_day(one.drills.last_passed.as_ref().map(|last| last.at), "never"));
}
