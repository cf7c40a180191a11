//! The section of one policy.

use super::charts;
use super::windows;
use super::writer::Html;
use super::{anchor, level, state};
use crate::plan::words::{counted, joined};
use crate::policy::file::Severity;
use crate::policy::model::TimedKind;
use crate::report::account::{
    AlertsAccount, CopyAccount, DrillAccount, DrillsAccount, HoldAccount, JobAccount, Listed, PolicyAccount, PromotionAccount, RunAccount,
    State,
};
use crate::report::checklist::Answer;
use crate::report::covered::Covered;
use crate::report::recovery::RateSeen;
use crate::report::words::{capital, change, lasting, per_second};

pub(super) fn section(html: &mut Html, one: &PolicyAccount, covered: Covered, number: usize, alone: bool) {
    let id = anchor(number);
    html.element("section", &[("class", "policy"), ("id", &id), ("aria-label", &one.policy)], |html| {
        if !alone {
            html.leaf("h2", &[], &one.policy);
            about(html, one);
            verdict(html, one);
        } else {
            html.leaf("h2", &[], "The evidence");
            about(html, one);
        }
        if one.digest.is_none() {
            problems(html, one);
            return;
        }
        facts(html, one);
        problems(html, one);
        objectives(html, one);
        loss(html, one, covered);
        windows::windows(html, one);
        jobs(html, &one.jobs, covered);
        drills(html, one, covered);
        rates(html, &one.rates);
        promotions(html, &one.promotions);
        runs(html, "Verification", "What lies in the stores was read back.", &one.verifications, "No verification ran in this stretch.");
        runs(html, "Runs that failed", "", &one.failures, "No run failed in this stretch.");
        alerts(html, &one.alerts);
        holds(html, &one.holds);
        copies(html, &one.copies);
        changes(html, one);
        checklist(html, one);
        delegated(html, one);
    });
}

/// The answer, before everything else.
pub(super) fn verdict(html: &mut Html, one: &PolicyAccount) {
    let (class, short) = match one.verdict.state {
        State::Kept => ("verdict kept", "✓ The promise is kept."),
        State::Unproven => ("verdict unproven", "? The promise is not proven."),
        State::Broken => ("verdict broken", "✕ The promise is not kept."),
    };
    html.element("div", &[("class", class)], |html| {
        html.leaf("strong", &[], short);
        html.element("p", &[], |html| html.prose(&one.verdict.says));
    });
}

fn about(html: &mut Html, one: &PolicyAccount) {
    if let Some(description) = &one.description {
        html.leaf("p", &[], description);
    }
    html.element("p", &[("class", "soft")], |html| {
        if let Some(owner) = &one.owner {
            html.text(&format!("Owner: {owner}. "));
        }
        html.text("Last looked at: ");
        html.maybe_time(one.watched, "never");
        html.text(". Stores last listed: ");
        html.maybe_time(one.observed_at, "never");
        html.text(".");
    });
}

/// The four figures that everybody asks for.
fn facts(html: &mut Html, one: &PolicyAccount) {
    let maybe = |seconds: Option<u64>| seconds.map(|seconds| seconds as f64);
    let rto = one.objectives.iter().find(|objective| objective.objective == "objectives.rto").map(|one| one.promised_seconds);
    let promised = |seconds: Option<u64>| match seconds {
        Some(seconds) => format!("promised: at most {}", lasting(seconds as f64)),
        None => "nothing is promised".to_owned(),
    };
    html.element("dl", &[("class", "facts")], |html| {
        let mut fact = |name: &str, figure: &dyn Fn(&mut Html), small: &str| {
            html.element("div", &[], |html| {
                html.leaf("dt", &[], name);
                html.element("dd", &[], |html| {
                    figure(html);
                    html.leaf("small", &[], small);
                });
            });
        };
        fact(
            "Lost, were the server lost now",
            &|html| html.maybe_lasting(maybe(one.loss.now_seconds), "unknown"),
            &promised(one.loss.promised_seconds),
        );
        let worst =
            one.loss.worst.map(|worst| format!("at {}", crate::plan::minute(worst.at))).unwrap_or_else(|| "not measured".to_owned());
        fact("Worst in this stretch", &|html| html.maybe_lasting(one.loss.worst.map(|worst| worst.seconds), "unknown"), &worst);
        let last = one.drills.last_passed.as_ref();
        let recovered = one.drills.recovered.as_ref().map(|recovered| recovered.seconds);
        fact("Recovered in", &|html| html.maybe_lasting(recovered, "unknown"), &promised(rto));
        let drills = format!("{} passed, {} failed", one.drills.passed, one.drills.failed);
        fact("Last drill passed", &|html| html.text(&last.map_or("never".to_owned(), |last| crate::report::words::day(last.at))), &drills);
    });
}

fn problems(html: &mut Html, one: &PolicyAccount) {
    if one.problems.is_empty() {
        return;
    }
    html.leaf("h3", &[], "What is wrong now");
    html.table("what is wrong now", &["level", "what", "since", "what to do"], |html| {
        for problem in &one.problems {
            html.row(|html| {
                html.td(|html| level(html, problem.level));
                html.td(|html| {
                    html.prose(&problem.title);
                    if !problem.text.is_empty() {
                        html.element("div", &[("class", "soft")], |html| html.prose(&problem.text));
                    }
                    if let Some(who) = &problem.acknowledged_by {
                        html.leaf("div", &[("class", "soft")], &format!("{who} takes care of it"));
                    }
                });
                html.td(|html| html.maybe_time(problem.since, ""));
                html.cell(problem.hint.as_deref().unwrap_or_default());
            });
        }
    });
}

fn objectives(html: &mut Html, one: &PolicyAccount) {
    html.leaf("h3", &[], "Objectives and evidence");
    if one.objectives.is_empty() {
        html.leaf("p", &[], "The policy promises nothing that could be held against what was found.");
        return;
    }
    html.table("objectives and evidence", &["objective", "state", "#promised", "#found", "#to be expected", "evidence"], |html| {
        for objective in &one.objectives {
            html.row(|html| {
                html.element("th", &[("scope", "row")], |html| {
                    html.text(&capital(&objective.promises));
                    html.element("div", &[("class", "soft")], |html| html.leaf("code", &[], &objective.objective));
                });
                html.td(|html| state(html, objective.state));
                html.n(|html| html.lasting(objective.promised_seconds as f64));
                html.n(|html| html.maybe_lasting(objective.found_seconds.map(|found| found as f64), "unknown"));
                html.n(|html| match objective.predicted {
                    Some(predicted) => {
                        html.lasting(predicted.usual_seconds as f64);
                        html.text(" to ");
                        html.lasting(predicted.careful_seconds as f64);
                        html.leaf("div", &[("class", "soft")], &predicted.rests_on());
                    }
                    None => html.text("–"),
                });
                html.cell(&capital(&objective.because));
            });
        }
    });
}

fn loss(html: &mut Html, one: &PolicyAccount, covered: Covered) {
    html.leaf("h3", &[], "How much would have been lost");
    if one.loss.over_time.is_empty() {
        html.leaf("p", &[], "Nothing was measured in this stretch.");
        return;
    }
    charts::loss(html, &one.loss.over_time, one.loss.promised_seconds, covered);
    html.folded("These figures as a table", |html| {
        html.table("what would have been lost", &["from", "#at most"], |html| {
            for part in &one.loss.over_time {
                html.row(|html| {
                    html.td(|html| html.time(part.at));
                    html.n(|html| html.lasting(part.seconds));
                });
            }
        });
    });
}

fn jobs(html: &mut Html, jobs: &[JobAccount], covered: Covered) {
    html.leaf("h3", &[], "Backups and other jobs");
    let header = ["job", "when", "#good", "#failed", "#lost", "last good", "#stored", "#change", "#took", "next"];
    html.table("jobs", &header, |html| {
        for job in jobs {
            html.row(|html| {
                html.name(&job.job);
                html.cell(job.schedule.as_deref().unwrap_or("on demand"));
                html.n(|html| html.count(job.succeeded));
                html.n(|html| html.count(job.failed));
                html.n(|html| html.count(job.lost));
                html.td(|html| {
                    html.maybe_time(job.last_succeeded, "never");
                    if job.overdue {
                        html.text(" ");
                        html.leaf("span", &[("class", "state warning")], "! overdue");
                    }
                });
                html.n(|html| html.maybe_sized(job.stored_bytes.or(job.bytes), ""));
                html.n(|html| match job.growth {
                    Some(growth) => html.figure(growth, &change(growth)),
                    None => html.text(""),
                });
                html.n(|html| html.maybe_lasting(job.took_seconds, ""));
                html.cell(&job.next);
            });
        }
    });
    for job in jobs.iter().filter(|job| job.kind == TimedKind::Backup && job.sizes.len() > 1) {
        html.leaf("h4", &[], &job.job);
        charts::sizes(html, &job.job, &job.sizes, covered);
        html.folded("These figures as a table", |html| {
            html.table(&format!("backups of {}", job.job), &["complete at", "#data", "#stored", "#took"], |html| {
                for size in job.sizes.iter().rev() {
                    html.row(|html| {
                        html.td(|html| html.time(size.at));
                        html.n(|html| html.sized(size.bytes));
                        html.n(|html| html.maybe_sized(size.stored_bytes, ""));
                        html.n(|html| html.lasting(size.seconds));
                    });
                }
            });
        });
    }
}

fn drills(html: &mut Html, one: &PolicyAccount, covered: Covered) {
    let DrillsAccount { passed, failed, stopped, unreadable, list, .. } = &one.drills;
    html.leaf("h3", &[], "Restore drills");
    if list.count == 0 {
        html.element("p", &[], |html| {
            html.text("No drill ended in this stretch. The last that passed: ");
            html.maybe_time(one.drills.last_passed.as_ref().map(|last| last.at), "none");
            html.text(".");
        });
        return;
    }
    html.element("p", &[], |html| {
        html.count(*passed);
        html.text(" passed, ");
        html.count(*failed);
        html.text(" failed, ");
        html.count(*stopped);
        html.text(" stopped.");
        if *unreadable > 0 {
            html.text(&format!(" {} cannot be read by this version.", counted(*unreadable, "record")));
        }
    });
    let rto = one.objectives.iter().find(|objective| objective.objective == "objectives.rto").map(|one| one.promised_seconds);
    recoveries(html, &list.shown, rto, covered);
    let longest = list.shown.iter().map(whole).fold(0.0, f64::max);
    html.leaf("h4", &[], "Their parts");
    html.leaf("p", &[("class", "soft")], &format!("Each bar is one drill, part after part; the full width is {}.", lasting(longest)));
    let bars = &list.shown[..list.shown.len().min(12)];
    charts::legend(html, bars);
    html.element("div", &[("class", "timeline")], |html| {
        for drill in bars {
            html.element("span", &[], |html| {
                let sign = if drill.outcome == "passed" { "✓" } else { "✕" };
                html.text(&format!("{} {} {sign}", drill.name(), crate::plan::minute(drill.ended)));
            });
            charts::phases(html, drill, longest);
        }
    });
    let header = ["drill", "ended", "outcome", "#recovered in", "#allowed", "#lost", "backup", "expectations", "parts"];
    html.table("restore drills", &header, |html| {
        for drill in &list.shown {
            html.row(|html| drill_row(html, drill));
        }
        left_out(html, list.left_out(), header.len());
    });
}

/// What a part took is not held against the promise of everything.
fn recoveries(html: &mut Html, drills: &[DrillAccount], promised: Option<u64>, covered: Covered) {
    let whole: Vec<&DrillAccount> = drills.iter().filter(|drill| drill.of_everything).collect();
    if whole.is_empty() {
        charts::recoveries(html, "each drill", &drills.iter().collect::<Vec<_>>(), None, covered);
    } else {
        charts::recoveries(html, "each drill of everything", &whole, promised, covered);
    }
}

fn whole(drill: &DrillAccount) -> f64 {
    drill.phases.iter().filter(|part| !part.beside).map(|part| part.seconds).sum()
}

fn drill_row(html: &mut Html, drill: &DrillAccount) {
    html.name(&drill.name());
    html.td(|html| html.time(drill.ended));
    html.td(|html| {
        let (class, sign) = if drill.outcome == "passed" { ("state", "✓") } else { ("state broken", "✕") };
        html.leaf("span", &[("class", class)], &format!("{sign} {}", drill.outcome));
        if let Some(why) = &drill.failure {
            html.leaf("div", &[], why);
        }
        if drill.defined_otherwise {
            html.leaf("div", &[("class", "soft")], "defined otherwise than now");
        }
    });
    html.n(|html| html.maybe_lasting(drill.recovery_seconds, "–"));
    html.n(|html| html.maybe_lasting(drill.within_seconds, "–"));
    html.n(|html| html.maybe_lasting(drill.lost_seconds, "–"));
    html.td(|html| {
        html.leaf("code", &[("class", "id")], drill.backup.as_deref().unwrap_or("none"));
        if let (Some(postgres), Some(bytes)) = (&drill.postgres, drill.bytes) {
            html.element("div", &[("class", "soft")], |html| {
                html.sized(bytes);
                html.text(&format!(", PostgreSQL {postgres}"));
            });
        }
        if !drill.tables.is_empty() {
            html.leaf("div", &[("class", "soft")], &format!("only {}", joined(&drill.tables)));
        }
        for tier in &drill.tiers {
            html.element("div", &[("class", "soft")], |html| {
                html.text(&format!("tier {}: ", tier.tier));
                html.maybe_lasting(tier.seconds, "not reached");
                if let Some(within) = tier.within_seconds {
                    html.text(" of ");
                    html.lasting(within);
                }
            });
        }
    });
    html.td(|html| {
        html.count(drill.expectations_met);
        html.text(" of ");
        html.count(drill.expectations);
        for missed in &drill.not_met {
            html.leaf("div", &[], missed);
        }
    });
    html.td(|html| {
        html.folded("times and bytes", |html| {
            html.element("ul", &[], |html| {
                for part in &drill.phases {
                    html.element("li", &[], |html| {
                        html.text(&format!("{}{}: ", part.says, if part.beside { " (beside others)" } else { "" }));
                        html.lasting(part.seconds);
                        if let Some(bytes) = part.bytes {
                            html.text(", ");
                            html.sized(bytes);
                        }
                    });
                }
            });
        });
    });
}

fn rates(html: &mut Html, rates: &[RateSeen]) {
    if rates.is_empty() {
        return;
    }
    html.leaf("h4", &[], "How fast data come back");
    html.table("rates", &["what", "store", "#usually", "#carefully", "#samples", "the newest of"], |html| {
        for rate in rates {
            html.row(|html| {
                html.name(&capital(rate.what.says()));
                html.cell(rate.store.as_deref().unwrap_or("–"));
                for speed in [rate.p50_bytes_per_second, rate.p95_bytes_per_second] {
                    html.n(|html| html.figure(speed, &per_second(speed)));
                }
                html.n(|html| html.count(rate.samples as usize));
                html.td(|html| html.time(rate.measured));
            });
        }
    });
}

/// Only where there was one, or a rehearsal of one: most policies have no standby.
fn promotions(html: &mut Html, promotions: &Listed<PromotionAccount>) {
    if promotions.count == 0 {
        return;
    }
    html.leaf("h3", &[], "Promotions");
    html.leaf(
        "p",
        &[("class", "soft")],
        "Standbys that became the primary, and rehearsals of it by drills, which touch no server of the cluster.",
    );
    let header = ["what", "when", "outcome", "#took", "#allowed", "#lost at most", "where"];
    html.table("promotions", &header, |html| {
        for promotion in &promotions.shown {
            html.row(|html| promotion_row(html, promotion));
        }
        left_out(html, promotions.left_out(), header.len());
    });
}

fn promotion_row(html: &mut Html, promotion: &PromotionAccount) {
    html.td(|html| {
        html.text(&promotion.kind);
        if let Some(drill) = &promotion.drill {
            html.leaf("div", &[("class", "soft")], drill);
        }
    });
    html.td(|html| html.time(promotion.at));
    html.td(|html| {
        outcome(html, &promotion.outcome);
        if let Some(why) = &promotion.why {
            html.leaf("div", &[], why);
        }
        if let Some(fenced) = &promotion.fenced {
            html.leaf("div", &[("class", "soft")], &format!("the old primary was fenced by {fenced}"));
        }
    });
    html.n(|html| html.maybe_lasting(promotion.seconds, "–"));
    html.n(|html| html.maybe_lasting(promotion.within_seconds, "–"));
    html.n(|html| {
        html.maybe_lasting(promotion.lost_seconds, "–");
        if let Some(bytes) = promotion.lost_bytes {
            html.element("div", &[("class", "soft")], |html| {
                html.sized(bytes);
                html.text(" of log");
            });
        }
    });
    html.td(|html| {
        html.text(&promotion.host);
        let to = promotion.timeline.map(|timeline| format!(" to {timeline}")).unwrap_or_default();
        html.leaf("div", &[("class", "soft")], &format!("timeline {}{to}", promotion.timeline_before));
        if !promotion.lost.is_empty() {
            html.folded("what was lost, in words", |html| {
                html.element("ul", &[], |html| promotion.lost.iter().for_each(|words| html.leaf("li", &[], words)));
            });
        }
    });
}

fn outcome(html: &mut Html, outcome: &str) {
    let (class, sign) = match outcome {
        "succeeded" => ("state", "✓"),
        "failed" | "lost" => ("state broken", "✕"),
        _ => ("state warning", "!"),
    };
    html.leaf("span", &[("class", class)], &format!("{sign} {outcome}"));
}

fn runs(html: &mut Html, title: &str, about: &str, runs: &Listed<RunAccount>, none: &str) {
    html.leaf("h3", &[], title);
    if runs.count == 0 {
        html.leaf("p", &[], none);
        return;
    }
    if !about.is_empty() {
        html.leaf("p", &[], about);
    }
    html.table(title, &["job", "started", "outcome", "#took", "why"], |html| {
        for run in &runs.shown {
            html.row(|html| {
                html.name(&run.job);
                html.td(|html| html.time(run.started));
                html.td(|html| outcome(html, &run.outcome));
                html.n(|html| html.maybe_lasting(run.seconds, ""));
                html.cell(run.message.as_deref().unwrap_or_default());
            });
        }
        left_out(html, runs.left_out(), 5);
    });
}

fn alerts(html: &mut Html, alerts: &AlertsAccount) {
    html.leaf("h3", &[], "Alerts");
    if alerts.list.count == 0 {
        html.leaf("p", &[], "Nobody had to be told of anything in this stretch.");
        return;
    }
    html.element("p", &[], |html| {
        html.count(alerts.critical);
        html.text(" critical, ");
        html.figure(alerts.warnings, &counted(alerts.warnings, "warning"));
        html.text("; ");
        html.count(alerts.acknowledged);
        html.text(" of ");
        html.count(alerts.list.count);
        html.text(" acknowledged");
        if let (Some(median), Some(slowest)) = (alerts.median_seconds_to_acknowledge, alerts.slowest_seconds_to_acknowledge) {
            html.text(", half of them within ");
            html.lasting(median);
            html.text(", all within ");
            html.lasting(slowest);
        }
        html.text(".");
    });
    html.table("alerts", &["what", "severity", "since", "until", "acknowledged", "#after", "by"], |html| {
        for alert in &alerts.list.shown {
            html.row(|html| {
                html.element("th", &[("scope", "row")], |html| {
                    html.prose(&alert.title);
                    html.element("div", &[("class", "soft")], |html| html.leaf("code", &[], &alert.key));
                });
                html.td(|html| {
                    let (class, word) = match alert.severity {
                        Severity::Critical => ("state critical", "✕ critical"),
                        Severity::Warning => ("state warning", "! warning"),
                        Severity::Info => ("state", "info"),
                    };
                    html.leaf("span", &[("class", class)], word);
                });
                html.td(|html| html.time(alert.since));
                html.td(|html| html.maybe_time(alert.until, "still wrong, or nobody was told"));
                html.td(|html| html.maybe_time(alert.acknowledged, "no"));
                html.n(|html| html.maybe_lasting(alert.seconds_to_acknowledge, ""));
                html.cell(alert.by.as_deref().unwrap_or_default());
            });
        }
        left_out(html, alerts.list.left_out(), 7);
    });
}

fn holds(html: &mut Html, holds: &[HoldAccount]) {
    html.leaf("h3", &[], "Holds");
    if holds.is_empty() {
        html.leaf("p", &[], "There is none.");
        return;
    }
    html.table("holds", &["hold", "reason", "holds", "until", "#backups", "stands in"], |html| {
        for hold in holds {
            html.row(|html| {
                html.name(&hold.hold);
                html.cell(&hold.reason);
                html.cell(&hold.holds);
                html.td(|html| {
                    html.text(hold.until.as_deref().unwrap_or("it is taken away"));
                    if !hold.active {
                        html.text(" (over)");
                    }
                });
                html.n(|html| match hold.backups {
                    Some(backups) => html.count(backups),
                    None => html.text("–"),
                });
                html.cell(if hold.in_policy { "the policy" } else { "the store" });
            });
        }
    });
}

fn copies(html: &mut Html, copies: &[CopyAccount]) {
    html.leaf("h3", &[], "Copies");
    if copies.is_empty() {
        html.leaf("p", &[], "The policy has nothing copied elsewhere.");
        return;
    }
    html.table("copies", &["of", "from", "to", "state", "#backups", "newest", "evidence"], |html| {
        for copy in copies {
            html.row(|html| {
                html.name(&copy.of);
                html.cell(&copy.from);
                html.cell(&copy.to);
                html.td(|html| state(html, copy.state));
                html.n(|html| match copy.backups {
                    Some(backups) => html.count(backups),
                    None => html.text("–"),
                });
                html.td(|html| html.maybe_time(copy.newest, "–"));
                html.cell(&capital(&copy.because));
            });
        }
    });
}

fn changes(html: &mut Html, one: &PolicyAccount) {
    html.leaf("h3", &[], "Changes of the policy");
    if one.changes.count == 0 {
        html.leaf("p", &[], "No run of this stretch says by which policy it went.");
        return;
    }
    html.table("changes of the policy", &["first run by it", "commit", "digest", "since when"], |html| {
        for change in &one.changes.shown {
            html.row(|html| {
                html.td(|html| html.time(change.at));
                html.td(|html| html.leaf("code", &[], change.commit.as_deref().unwrap_or("not known")));
                html.td(|html| html.leaf("code", &[], &change.digest));
                html.cell(if change.in_force_before { "in force when the stretch began" } else { "changed" });
            });
        }
        left_out(html, one.changes.left_out(), 4);
    });
}

fn checklist(html: &mut Html, one: &PolicyAccount) {
    if one.checklist.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Questions of the day");
    html.table("questions of the day", &["question", "answer", "evidence"], |html| {
        for question in &one.checklist {
            html.row(|html| {
                html.name(question.question);
                html.td(|html| {
                    let (class, word) = match question.answer {
                        Answer::Yes => ("state", "✓ yes"),
                        Answer::Unknown => ("state warning", "? unknown"),
                        Answer::No => ("state broken", "✕ no"),
                    };
                    html.leaf("span", &[("class", class)], word);
                });
                html.cell(&capital(&question.evidence));
            });
        }
    });
}

/// What it does not do, said by itself.
fn delegated(html: &mut Html, one: &PolicyAccount) {
    if one.delegated.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Left to others on purpose");
    html.table("left to others", &["what", "to", "note"], |html| {
        for delegated in &one.delegated {
            html.row(|html| {
                html.name(&delegated.what);
                html.cell(&delegated.to);
                html.cell(delegated.note.as_deref().unwrap_or_default());
            });
        }
    });
}

/// What a table does not show.
pub(super) fn left_out(html: &mut Html, count: usize, columns: usize) {
    if count > 0 {
        html.row(|html| {
            html.element("td", &[("colspan", &columns.to_string()), ("class", "soft")], |html| {
                html.text("and ");
                html.count(count);
                html.text(" more, before these");
            });
        });
    }
}
