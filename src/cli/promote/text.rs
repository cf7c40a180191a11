//! A promotion's plan and outcome, for people who were woken up.

use std::fmt::Write;

use crate::cli::restore::seconds;
use crate::cli::terminal::tame;
use crate::execute::promote::{FencedBy, Kind, Plan, Promotion, StepName};

pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<11} {}", tame(value));
    };
    let seen = &plan.seen;
    if let Some(begun) = plan.goes_on.as_ref().filter(|_| seen.in_recovery) {
        line("told", &format!("{} told it to become the primary ({}), and it is a standby yet", begun.who, begun.begun));
    } else if let Some(begun) = &plan.goes_on {
        line("server", &format!("{}, on timeline {}: promoted already", plan.server.at, seen.timeline));
        line("goes on", &format!("what {} began {}", begun.who, begun.begun));
        return format!("Promotion, gone on with\n{text}");
    }
    line("server", &format!("{}, on timeline {}", plan.server.at, seen.timeline));
    let position = |at: Option<crate::units::Lsn>| at.map_or_else(|| "nothing by streaming".to_owned(), |at| at.to_string());
    line("log", &format!("received {}, replayed {}", position(seen.received), position(seen.replayed)));
    for (number, asked) in plan.asked.iter().enumerate() {
        line(if number == 0 { "others" } else { "" }, &asked.says());
    }
    for (number, words) in plan.loss.words.iter().enumerate() {
        line(if number == 0 { "loss" } else { "" }, words);
    }
    match &plan.wanted.fenced_by_hand {
        Some(words) => line("fence", &format!("by hand: {words}")),
        None => line("fence", "by `hooks.before_promote`, which must end with 0"),
    }
    let steps = [
        StepName::Claim,
        StepName::Fence,
        StepName::Silence,
        StepName::Drain,
        StepName::Compare,
        StepName::Promote,
        StepName::Check,
        StepName::Archive,
        StepName::Announce,
    ];
    let steps = steps.into_iter().filter(|step| *step != StepName::Compare || plan.kind == Kind::Switchover);
    for (number, step) in steps.enumerate() {
        line(if number == 0 { "steps" } else { "" }, &format!("{:<9} {}", step.as_str(), step.says()));
    }
    let head = match plan.kind {
        Kind::Failover => "Promotion: the primary is lost",
        Kind::Switchover => "Promotion: the primary is stopped on purpose",
        Kind::Rehearsal => "Promotion: a rehearsal on a copy",
    };
    let mut all = format!("{head}\n{text}");
    for warning in &plan.warnings {
        let _ = writeln!(all, "  warning: {}", tame(warning));
    }
    all
}

pub(super) fn promoted(promotion: &Promotion) -> String {
    let mut text = String::from("Promoted\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<11} {}", tame(value));
    };
    let timeline = promotion.timeline.map(|timeline| format!(", on timeline {timeline}")).unwrap_or_default();
    line("primary", &format!("{} on {}{timeline}", promotion.server, promotion.host));
    if let Some(fencing) = &promotion.fencing {
        let by = match fencing.by {
            FencedBy::Hook => "the hook",
            FencedBy::Hand => "hand",
        };
        line("fenced", &format!("by {by}: {}", fencing.words));
    }
    let took: f64 = promotion.steps.iter().filter_map(|step| step.seconds).sum();
    line("took", &seconds(took));
    for remark in &promotion.remarks {
        line("look at", remark);
    }
    if let Some((first, others)) = promotion.old_primary.split_first() {
        line("then", "keep the old primary down. To make it a standby of this one, on its host:");
        line("", first);
        for other in others {
            line("or", other);
        }
    }
    text
}
