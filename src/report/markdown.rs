//! A report as Markdown, for pull requests, wikis and the text of a mail.

use super::account::{
    DatabaseWindow, DrillAccount, Figure, Listed, PhaseAccount, PolicyAccount, Predicted, Report, RunAccount, State, StoreAccount,
    TierAccount,
};
use super::words::{capital, change, lasting, per_second, sized};
use crate::plan::markdown::{prose, table};
use crate::plan::minute;
use crate::plan::words::{counted, plain};
use crate::units::Instant;

/// The whole text.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let title = match report.policies.as_slice() {
        [one] => format!("Recoverability of {}", prose(&plain(&one.policy))),
        many => format!("Recoverability of {}", counted(many.len(), "database")),
    };
    text.push_str(&format!("# {title}\n\n"));
    text.push_str(&format!(
        "From {} to {}. Made at {} from what is on record.\n\n",
        minute(report.covers.from),
        minute(report.covers.to),
        minute(report.made_at)
    ));
    if report.policies.len() != 1 {
        text.push_str(&format!("{} not kept, {} not proven, {} kept.\n\n", report.broken, report.unproven, report.kept));
        text.push_str(&summary(report));
    }
    for one in &report.policies {
        of_policy(&mut text, one, report.policies.len() > 1);
    }
    text.push_str("## Audit chain\n\n");
    let rows = report.audit.iter().map(|chain| {
        let state = if chain.whole { "whole".to_owned() } else { format!("BROKEN: {}", chain.why.as_deref().unwrap_or_default()) };
        vec![chain.catalog.clone(), state, chain.links.to_string(), chain.head.clone().unwrap_or_else(|| "none".to_owned())]
    });
    push_table(&mut text, &["catalog", "state", "links", "its end"], rows.collect());
    text
}

fn summary(report: &Report) -> String {
    let mut text = String::new();
    let rows = report.policies.iter().map(|one| {
        vec![
            say(&one.policy),
            word(one.verdict.state).to_owned(),
            maybe_lasting(one.loss.now_seconds.map(|seconds| seconds as f64)),
            maybe_lasting(one.loss.promised_seconds.map(|seconds| seconds as f64)),
            maybe_lasting(one.drills.recovered.as_ref().map(|recovered| recovered.seconds)),
            counted(one.problems.len(), "problem"),
        ]
    });
    push_table(&mut text, &["policy", "promise", "lost now", "promised", "recovered in", "now"], rows.collect());
    text
}

fn of_policy(text: &mut String, one: &PolicyAccount, many: bool) {
    if many {
        text.push_str(&format!("## {}\n\n", prose(&one.policy)));
    }
    text.push_str(&format!("**The promise is {}.** {}\n\n", word(one.verdict.state), prose(&one.verdict.says)));
    for problem in &one.problems {
        let hint = problem.hint.as_deref().map(|hint| format!(" {}", prose(hint))).unwrap_or_default();
        text.push_str(&format!("* {}.{hint}\n", prose(&capital(&problem.title))));
    }
    if !one.problems.is_empty() {
        text.push('\n');
    }
    if one.digest.is_none() {
        return;
    }
    heading(text, "Objectives and evidence");
    let rows = one.objectives.iter().map(|objective| {
        let found = maybe_lasting(objective.found_seconds.map(|found| found as f64));
        vec![
            say(&objective.objective),
            word(objective.state).to_owned(),
            lasting(objective.promised_seconds as f64),
            found,
            objective.predicted.map(expected).unwrap_or_default(),
            say(&objective.because),
        ]
    });
    push_table(text, &["objective", "state", "promised", "found", "to be expected", "evidence"], rows.collect());
    loss(text, one);
    stores(text, one);
    heading(text, "Backups and other jobs");
    let rows = one.jobs.iter().map(|job| {
        vec![
            say(&job.job),
            say(job.schedule.as_deref().unwrap_or("on demand")),
            job.succeeded.to_string(),
            job.failed.to_string(),
            job.lost.to_string(),
            when(job.last_succeeded),
            job.stored_bytes.or(job.bytes).map(sized).unwrap_or_default(),
            job.growth.map(change).unwrap_or_default(),
            job.took_seconds.map(lasting).unwrap_or_default(),
            say(&job.next),
        ]
    });
    push_table(text, &["job", "when", "good", "failed", "lost", "last good", "stored", "change", "took", "next"], rows.collect());
    drills(text, one);
    rates(text, one);
    promotions(text, one);
    runs(text, "Verification", &one.verifications);
    runs(text, "Runs that failed", &one.failures);
    rest(text, one);
}

/// The page draws it; here stands when it was too much.
fn loss(text: &mut String, one: &PolicyAccount) {
    let Some(worst) = one.loss.worst else { return };
    text.push_str(&format!("At worst {} would have been lost, at {}.", lasting(worst.seconds), minute(worst.at)));
    let parts = &one.loss.over_time;
    let Some(promised) = one.loss.promised_seconds.filter(|_| !parts.is_empty()) else { return text.push_str("\n\n") };
    let over: Vec<&Figure> = parts.iter().filter(|part| part.seconds > promised as f64).collect();
    text.push_str(&format!(
        " In {} of {} that the stretch was measured in, it was more than the {} that are promised.\n\n",
        over.len(),
        counted(parts.len(), "part"),
        lasting(promised as f64),
    ));
    let rows = over.iter().map(|part| vec![minute(part.at), lasting(part.seconds)]);
    push_table(text, &["too much from", "at most"], rows.collect());
}

/// `34 min to 45 min, measured 6 times, the newest on 2026-11-02`
fn expected(predicted: Predicted) -> String {
    let (usual, careful) = (lasting(predicted.usual_seconds as f64), lasting(predicted.careful_seconds as f64));
    format!("{usual} to {careful}, {}", predicted.rests_on())
}

fn stores(text: &mut String, one: &PolicyAccount) {
    heading(text, "Recovery window");
    let alone = one.databases.len() == 1;
    let windows = one.databases.iter().flat_map(|database| database.stores.iter().map(move |window| (database.called(alone), window)));
    let nowhere = one.databases.iter().filter(|database| database.stores.is_empty()).map(|database| {
        let says = [say(database.called(alone)), String::new(), "no job brings all of it into a store".to_owned()];
        says.into_iter().chain(std::iter::repeat_n(String::new(), 4)).collect()
    });
    let rows: Vec<Vec<String>> = windows.map(|(database, window)| reach(database, window)).chain(nowhere).collect();
    push_table(text, &["database", "store", "any moment from", "up to", "missing", "single moments", "oldest"], rows);
    let rows = one.stores.iter().map(|store| match &store.unknown {
        Some(why) => vec![say(&store.store), say(&format!("unknown: {why}")), String::new(), String::new()],
        None => vec![say(&store.store), store.backups.to_string(), when(store.newest_backup), when(store.oldest)],
    });
    push_table(text, &["store", "backups", "newest", "oldest of everything"], rows.collect());
    let of_store = |store: &'_ StoreAccount| store.tiers.iter().map(|tier| kept_as(&store.store, tier)).collect::<Vec<_>>();
    let rows = one.stores.iter().flat_map(of_store).collect();
    push_table(text, &["store", "job", "kept as", "backups", "stored", "the newest", "change"], rows);
}

fn kept_as(store: &str, tier: &TierAccount) -> Vec<String> {
    vec![
        say(store),
        say(&tier.job),
        say(&tier.tier),
        tier.backups.to_string(),
        sized(tier.bytes),
        tier.newest_bytes.map_or_else(|| "unknown".to_owned(), sized),
        tier.growth.map(change).unwrap_or_default(),
    ]
}

/// How far back a store leads to a database.
fn reach(database: &str, window: &DatabaseWindow) -> Vec<String> {
    let (name, store) = (say(database), say(&window.store));
    if let Some(why) = &window.unknown {
        return [name, store, say(&format!("unknown: {why}"))].into_iter().chain(std::iter::repeat_n(String::new(), 4)).collect();
    }
    let last = window.windows.last();
    let missing = window.gaps.iter().map(|gap| format!("{} to {}", minute(gap.from), minute(gap.to))).collect::<Vec<_>>();
    vec![
        name,
        store,
        when(last.map(|last| last.from)),
        when(last.map(|last| last.to)),
        if missing.is_empty() { "nothing".to_owned() } else { missing.join("; ") },
        window.points.count.to_string(),
        when(window.oldest),
    ]
}

/// Of a database that came back tier by tier, each of them too.
fn recovered(drill: &DrillAccount) -> String {
    let tiers = drill.tiers.iter().map(|tier| format!("; {} {}", say(&tier.tier), maybe_lasting(tier.seconds)));
    format!("{}{}", maybe_lasting(drill.recovery_seconds), tiers.collect::<String>())
}

fn drills(text: &mut String, one: &PolicyAccount) {
    heading(text, "Restore drills");
    let all = &one.drills;
    let last = all.last_passed.as_ref().map(|last| format!(" The last that passed: {}.", minute(last.at))).unwrap_or_default();
    text.push_str(&format!("{} passed, {} failed, {} stopped.{last}\n\n", all.passed, all.failed, all.stopped));
    let rows = all.list.shown.iter().map(|drill| {
        let why = drill.failure.iter().chain(&drill.not_met).map(|why| say(why)).collect::<Vec<_>>().join("; ");
        vec![
            say(&drill.name()),
            minute(drill.ended),
            if drill.defined_otherwise { format!("{}, defined otherwise than now", drill.outcome) } else { say(&drill.outcome) },
            recovered(drill),
            drill.within_seconds.map(lasting).unwrap_or_default(),
            maybe_lasting(drill.lost_seconds),
            format!("{} of {}", drill.expectations_met, drill.expectations),
            parts(drill),
            why,
        ]
    });
    let header = ["drill", "ended", "outcome", "recovered in", "allowed", "lost", "expectations", "parts", "why"];
    push_table(text, &header, rows.collect());
    left_out(text, &all.list);
}

/// `restoring the files 26 min 2 s, 90 GB; replaying the log 11 min`
fn parts(drill: &DrillAccount) -> String {
    let of = |part: &PhaseAccount| {
        let bytes = part.bytes.map(|bytes| format!(", {}", sized(bytes))).unwrap_or_default();
        format!("{} {}{bytes}", part.says, lasting(part.seconds))
    };
    drill.phases.iter().filter(|part| !part.beside).map(of).collect::<Vec<_>>().join("; ")
}

fn rates(text: &mut String, one: &PolicyAccount) {
    let rows = one.rates.iter().map(|rate| {
        vec![
            say(rate.what.says()),
            say(rate.store.as_deref().unwrap_or_default()),
            per_second(rate.p50_bytes_per_second),
            per_second(rate.p95_bytes_per_second),
            rate.samples.to_string(),
            minute(rate.measured),
        ]
    });
    titled(text, "How fast data come back", &["what", "store", "usually", "carefully", "samples", "the newest of"], rows.collect());
}

fn promotions(text: &mut String, one: &PolicyAccount) {
    let rows = one.promotions.shown.iter().map(|promotion| {
        vec![
            promotion.drill.as_ref().map_or_else(|| promotion.kind.clone(), |drill| format!("{} by {drill}", promotion.kind)),
            minute(promotion.at),
            say(&promotion.host),
            say(&promotion.outcome),
            maybe_lasting(promotion.seconds),
            maybe_lasting(promotion.lost_seconds),
            say(promotion.why.as_deref().unwrap_or_default()),
        ]
    });
    titled(text, "Promotions", &["what", "when", "host", "outcome", "took", "lost at most", "why"], rows.collect());
    left_out(text, &one.promotions);
}

fn runs(text: &mut String, title: &str, runs: &Listed<RunAccount>) {
    if runs.count == 0 {
        return;
    }
    heading(text, title);
    let rows = runs.shown.iter().map(|run| {
        vec![
            say(&run.job),
            minute(run.started),
            say(&run.outcome),
            maybe_lasting(run.seconds),
            say(run.message.as_deref().unwrap_or_default()),
        ]
    });
    push_table(text, &["job", "started", "outcome", "took", "why"], rows.collect());
    left_out(text, runs);
}

fn rest(text: &mut String, one: &PolicyAccount) {
    heading(text, "Alerts");
    let alerts = &one.alerts;
    text.push_str(&format!(
        "{} critical, {}; {} of {} acknowledged",
        alerts.critical,
        counted(alerts.warnings, "warning"),
        alerts.acknowledged,
        alerts.list.count
    ));
    if let (Some(median), Some(slowest)) = (alerts.median_seconds_to_acknowledge, alerts.slowest_seconds_to_acknowledge) {
        text.push_str(&format!(", half of them within {}, all within {}", lasting(median), lasting(slowest)));
    }
    text.push_str(".\n\n");
    let rows = alerts.list.shown.iter().map(|alert| {
        vec![
            say(&alert.title),
            alert.severity.as_str().to_owned(),
            minute(alert.since),
            when(alert.until),
            when(alert.acknowledged),
            alert.seconds_to_acknowledge.map(lasting).unwrap_or_default(),
            say(alert.by.as_deref().unwrap_or_default()),
        ]
    });
    push_table(text, &["what", "severity", "since", "until", "acknowledged", "after", "by"], rows.collect());
    left_out(text, &alerts.list);
    let holds = one
        .holds
        .iter()
        .map(|hold| vec![say(&hold.hold), say(&hold.reason), say(&hold.holds), say(hold.until.as_deref().unwrap_or("taken away"))]);
    titled(text, "Holds", &["hold", "reason", "holds", "until"], holds.collect());
    let copies =
        one.copies.iter().map(|copy| vec![say(&copy.of), say(&copy.from), say(&copy.to), word(copy.state).to_owned(), say(&copy.because)]);
    titled(text, "Copies", &["of", "from", "to", "state", "evidence"], copies.collect());
    let changes = one.changes.shown.iter().map(|change| {
        let since = if change.in_force_before { "in force when the stretch began" } else { "changed" };
        vec![minute(change.at), say(change.commit.as_deref().unwrap_or("not known")), say(&change.digest), since.to_owned()]
    });
    titled(text, "Changes of the policy", &["first run by it", "commit", "digest", "since when"], changes.collect());
    let answers = one
        .checklist
        .iter()
        .map(|question| vec![say(question.question), format!("{:?}", question.answer).to_lowercase(), say(&question.evidence)]);
    titled(text, "Questions of the day", &["question", "answer", "evidence"], answers.collect());
    let others = one.delegated.iter().map(|to| vec![say(&to.what), say(&to.to), say(to.note.as_deref().unwrap_or_default())]);
    titled(text, "Left to others on purpose", &["what", "to", "note"], others.collect());
}

fn titled(text: &mut String, title: &str, header: &[&str], rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        heading(text, title);
        push_table(text, header, rows);
    }
}

fn heading(text: &mut String, title: &str) {
    text.push_str(&format!("### {title}\n\n"));
}

fn push_table(text: &mut String, header: &[&str], rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        text.push_str(table(header, &rows).trim_end());
        text.push_str("\n\n");
    }
}

fn left_out<T>(text: &mut String, list: &Listed<T>) {
    if list.left_out() > 0 {
        text.push_str(&format!("And {} more, before these.\n\n", list.left_out()));
    }
}

/// For a table, which lets nothing act.
fn say(words: &str) -> String {
    words.to_owned()
}

fn word(state: State) -> &'static str {
    match state {
        State::Kept => "kept",
        State::Unproven => "not proven",
        State::Broken => "not kept",
    }
}

fn when(at: Option<Instant>) -> String {
    at.map_or_else(|| "none".to_owned(), minute)
}

fn maybe_lasting(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "unknown".to_owned(), lasting)
}
