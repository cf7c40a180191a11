//! Which promises cannot be kept, and what would mend that.

use super::answer::{Case, Found};
use super::figures::Figures;
use super::outcome::{Objective, Part, PartKind, SubjectKind, Way, sum_of};
use super::question::Target;
use crate::policy::file::Procedure;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{DrillRestore, Method, Wal};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name, Rate};

const RPO_NOT_KEPT: Code = Code(401);
const RTO_NOT_KEPT: Code = Code(402);
const NOT_KNOWN: Code = Code(403);
const NOTHING_ANSWERS: Code = Code(404);
const WAL_TIMEOUT: Code = Code(407);
const ONLY_ASSUMED: Code = Code(408);
const TIER_NOT_KEPT: Code = Code(409);
const NOT_REHEARSED: Code = Code(411);
const IN_OTHER_HANDS: Code = Code(412);
const MEASURED_TOO_SLOW: Code = Code(413);

pub(super) fn judge(figures: &Figures<'_>, cases: &[Case<'_>]) -> Vec<Finding> {
    let mut verdict = Verdict { figures, said: Vec::new() };
    for case in cases {
        match &case.outcome {
            Err(refusal) => verdict.nothing_answers(case, &refusal.reason, &refusal.hint),
            Ok(found) if case.question.subject.kind == SubjectKind::Tier => verdict.objective(case, found, Objective::Rto),
            Ok(found) => {
                verdict.objective(case, found, Objective::Rpo);
                verdict.objective(case, found, Objective::Rto);
            }
        }
    }
    verdict.rehearsals(cases);
    verdict.said.into_iter().map(|(_, finding)| finding).collect()
}

struct Verdict<'f, 'p> {
    figures: &'f Figures<'p>,
    /// Each with the reason for which it is not said twice.
    said: Vec<((Code, String), Finding)>,
}

impl Verdict<'_, '_> {
    /// The same reason at another place is related, not news.
    fn say(&mut self, reason: String, finding: Finding) {
        let key = (finding.code, reason);
        match self.said.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) if known.path == finding.path || known.related.iter().any(|related| related.path == finding.path) => {}
            Some((_, known)) => *known = known.clone().related(finding.path, "here as well"),
            None => self.said.push((key, finding)),
        }
    }

    fn nothing_answers(&mut self, case: &Case<'_>, reason: &str, hint: &str) {
        let question = &case.question;
        if question.rpo.value.is_none() && question.rto.value.is_none() && question.subject.kind == SubjectKind::WholePolicy {
            return;
        }
        let path = match question.subject.kind {
            SubjectKind::WholePolicy if question.rpo.value.is_some() => question.rpo.path.clone(),
            SubjectKind::WholePolicy => question.rto.path.clone(),
            SubjectKind::Scenario | SubjectKind::Tier => question.subject.path.clone(),
        };
        let finding = Finding::error(NOTHING_ANSWERS, path, format!("nothing can answer this: {reason}")).on_key().hint(hint);
        self.say(reason.to_owned(), finding);
        // The next thing that would be wrong once there is something to replay the log onto.
        if let (Some(Procedure::PointInTime), Some(wal), Some(promised)) = (question.by, &self.figures.policy.wal, question.rpo.value)
            && wal.timeout >= promised
        {
            self.wal_timeout(case, None, wal, promised);
        }
    }

    fn objective(&mut self, case: &Case<'_>, found: &Found<'_>, what: Objective) {
        let target = case.question.target(what);
        let Some(promised) = target.value else { return };
        let sum = found.sum(what);
        let total = sum.total();
        if found.way == Way::External && !sum.lacks.is_empty() {
            return self.in_other_hands(case, found, what, promised);
        }
        // What is still unknown takes some time as well.
        let broken = total > promised || (!sum.lacks.is_empty() && total >= promised);
        if !broken {
            match sum.lacks.first() {
                Some(lack) if sum.at_most && lack.key.is_none() => self.not_measured(case, promised, &lack.reason),
                Some(lack) => self.not_known(case, what, promised, &lack.reason, lack.key.as_deref()),
                None if found.way == Way::External && what == Objective::Rpo => self.on_their_word(case, found, promised),
                None => {}
            }
            return;
        }
        if let (Way::PointInTime, Objective::Rpo, Some(wal)) = (found.way, what, &self.figures.policy.wal)
            && wal.timeout >= promised
        {
            return self.wal_timeout(case, Some(found), wal, promised);
        }
        let more = if sum.lacks.is_empty() { "up to" } else { "more than" };
        let (code, message) = match what {
            Objective::Rpo => (RPO_NOT_KEPT, format!("rpo of {promised} cannot be kept: {more} {total} may be lost")),
            Objective::Rto if is_rehearsed(&sum.parts) => {
                let tier = if case.question.subject.kind == SubjectKind::Tier { " for this tier" } else { "" };
                (MEASURED_TOO_SLOW, format!("rto of {promised} is not kept{tier} by what was measured: it takes {more} {total}"))
            }
            Objective::Rto if case.question.subject.kind == SubjectKind::Tier => {
                (TIER_NOT_KEPT, format!("rto of {promised} cannot be kept for this tier: it may take {more} {total}"))
            }
            Objective::Rto => (RTO_NOT_KEPT, format!("rto of {promised} cannot be kept: it may take {more} {total}")),
        };
        let hint = match what {
            Objective::Rpo => self.mend_rpo(found, promised),
            Objective::Rto => mend_rto(found, promised),
        };
        let mut finding = Finding::error(code, place(case, target), message.clone()).label(sum_of(&sum.parts)).hint(hint);
        if target.inherited {
            finding = finding.on_key().related(PolicyPath::from(["objectives", what.as_str()]), "promised here");
        }
        let reason = if target.inherited || case.question.subject.kind == SubjectKind::WholePolicy {
            format!("{message}{}", sum_of(&sum.parts))
        } else {
            target.path.to_string()
        };
        self.say(reason, finding);
    }

    fn in_other_hands(&mut self, case: &Case<'_>, found: &Found<'_>, what: Objective, promised: Duration) {
        let job = found.job.map(Name::to_string).unwrap_or_default();
        let message = format!("whether the {what} of {promised} is kept cannot be reckoned: `{job}` is in other hands");
        let path = place(case, case.question.target(what));
        let finding = Finding::note(IN_OTHER_HANDS, path, message)
            .hint("Ask them for their figure, and drill a restore: a drill measures what nobody can compute.");
        self.say(format!("{what}{job}"), finding);
    }

    /// Nothing of this version asks a provider or another tool what it has.
    fn on_their_word(&mut self, case: &Case<'_>, found: &Found<'_>, promised: Duration) {
        let job = found.job.map(Name::to_string).unwrap_or_default();
        let message = format!("that the rpo of {promised} is kept rests on what the policy says of `{job}`: nothing watches it");
        let finding = Finding::note(IN_OTHER_HANDS, place(case, &case.question.rpo), message)
            .hint("Let an alert of theirs call you when their newest backup is older, and drill a restore.");
        self.say(format!("word{job}"), finding);
    }

    fn not_known(&mut self, case: &Case<'_>, what: Objective, promised: Duration, reason: &str, key: Option<&str>) {
        let message = format!("whether the {what} of {promised} is kept is not known: {reason}");
        let mut finding = Finding::warning(NOT_KNOWN, place(case, case.question.target(what)), message);
        if let Some(key) = key {
            finding = finding.hint(format!("Declare `{key}`; it is used until a run or a drill has measured it."));
        }
        self.say(reason.to_owned(), finding);
    }

    fn not_measured(&mut self, case: &Case<'_>, promised: Duration, reason: &str) {
        let message = format!("whether the rto of {promised} is kept is not known: {reason}");
        let hint = format!("Let a drill with `restore.tables` say `rehearses: {}`: what it takes is reckoned with.", case.question.subject);
        let finding = Finding::warning(NOT_KNOWN, place(case, &case.question.rto), message).hint(hint);
        self.say(format!("{reason}{}", case.question.subject), finding);
    }

    fn wal_timeout(&mut self, case: &Case<'_>, found: Option<&Found<'_>>, wal: &Wal, promised: Duration) {
        let path = PolicyPath::from(["wal", "timeout"]);
        let message = format!("rpo of {promised} cannot be kept: the log alone may wait {}", wal.timeout);
        let (label, hint) = match found {
            Some(found) => {
                (format!("up to {} may be lost: {}", found.loss.total(), sum_of(&found.loss.parts)), self.mend_rpo(found, promised))
            }
            None => ("and the push comes on top".into(), format!("Lower `wal.timeout` well below {promised}, or raise the objective.")),
        };
        let finding = Finding::error(WAL_TIMEOUT, path, message).label(label).hint(hint).related(
            if case.question.rpo.inherited { ["objectives", "rpo"].into() } else { case.question.rpo.path.clone() },
            "promised here",
        );
        let known = self.said.iter_mut().find(|((code, _), _)| *code == WAL_TIMEOUT).map(|(_, known)| known);
        match known {
            None => self.said.push(((WAL_TIMEOUT, promised.as_secs().to_string()), finding)),
            Some(known) => {
                for related in finding.related {
                    if !known.related.contains(&related) {
                        known.related.push(related);
                    }
                }
            }
        }
    }

    fn mend_rpo(&self, found: &Found<'_>, promised: Duration) -> String {
        let total = found.loss.total();
        let raise = format!("raise the objective to {total}");
        let part = |kind: PartKind| found.loss.parts.iter().filter(|part| part.kind == kind).map(|part| part.length).sum::<Duration>();
        let left = |kind: PartKind| promised.saturating_sub(total - part(kind));
        if found.way == Way::PointInTime {
            let timeout = left(PartKind::WalTimeout);
            return if timeout.is_zero() {
                format!("The push alone takes too long: measure it, or {raise}.")
            } else {
                format!("Lower `wal.timeout` to {timeout}, or {raise}.")
            };
        }
        let Some(job) = found.loses.or(found.job).filter(|_| found.way == Way::NewestBackup) else {
            return match found.way {
                Way::External => format!("Lower `newest_within` or `loses_at_most` if that is true, or {raise}."),
                _ => format!("Keep the standby closer, or {raise}."),
            };
        };
        let (gap, raise) =
            (left(PartKind::Gap), if found.loss.lacks.is_empty() { raise } else { format!("raise the objective well above {total}") });
        let physical = self.figures.policy.backups.values().any(|backup| matches!(backup.method, Method::Physical(_)));
        let log = match (&self.figures.policy.wal, found.store) {
            (Some(_), _) if !physical => "add a `physical` backup that the archived log can be replayed onto".to_owned(),
            (Some(_), Some(store)) => format!("send the log to `{store}` as well (`wal.copies`)"),
            _ => "archive the log (`wal`, with a physical backup)".to_owned(),
        };
        if gap < Duration::from_mins(1) {
            format!("No schedule is close enough: {log}, or {raise}.")
        } else if found.loss.lacks.is_empty() {
            format!("Run `backups.{job}` at least every {}, {log}, or {raise}.", about(gap))
        } else {
            format!("Run `backups.{job}` more often, {log}, or {raise}.")
        }
    }

    /// Figures that no one has measured, and answers that no one has tried.
    fn rehearsals(&mut self, cases: &[Case<'_>]) {
        let policy = self.figures.policy;
        let promised = |case: &&Case<'_>| case.question.rpo.value.is_some() || case.question.rto.value.is_some();
        if policy.drills.is_empty() {
            let assumed = cases.iter().filter(promised).filter_map(|case| case.outcome.as_ref().ok()).any(|found| {
                found.way != Way::External && found.time.parts.iter().any(|part| part.kind.is_rehearsable() && part.origin.is_assumed())
            });
            if assumed {
                let finding = Finding::warning(
                    ONLY_ASSUMED,
                    ["objectives"].into(),
                    "these objectives rest on figures that nobody has measured",
                )
                .on_key()
                .label("and no drill is declared that would")
                .hint(
                    "Add one, for example `drills: { monthly: { restore: { latest: JOB }, schedule: { first: monday, at: \"04:00\" } } }`.",
                );
                self.say(String::new(), finding);
            }
            return;
        }
        for case in cases.iter().filter(|case| case.question.subject.kind == SubjectKind::Scenario) {
            if let Ok(found) = &case.outcome
                && !self.is_rehearsed(case, found)
            {
                let (name, job) = (case.question.subject.to_string(), found.job.map(Name::to_string).unwrap_or_default());
                let store = found.store.map(|store| format!(" in `{store}`")).unwrap_or_default();
                let finding =
                    Finding::note(NOT_REHEARSED, case.question.subject.path.clone(), format!("no drill restores what `{name}` relies on"))
                        .on_key()
                        .label(format!("relies on `{job}`{store}"))
                        .hint(format!("Add `rehearses: {name}` to a drill that restores it, or a drill of its own."));
                self.say(format!("{job}{store}"), finding);
            }
        }
        self.tiers_that_nobody_drills();
    }

    /// A tier is promised by itself, and only where a database comes back in tiers anybody sees when it is usable.
    fn tiers_that_nobody_drills(&mut self) {
        let policy = self.figures.policy;
        for name in policy.objectives.data.keys() {
            if policy.drills.values().any(|drill| drill.measures(policy).contains(name)) {
                continue;
            }
            let path = PolicyPath::from(["objectives", "data", name.as_str()]);
            let finding = Finding::note(NOT_REHEARSED, path, format!("no drill says when the tier `{name}` is usable"))
                .on_key()
                .label("promised, and never measured")
                .hint(format!("Add a drill with `restore: {{ latest: JOB, tiers: [{name}] }}`: the database comes back tier by tier."));
            self.say(name.to_string(), finding);
        }
    }

    fn is_rehearsed(&self, case: &Case<'_>, found: &Found<'_>) -> bool {
        let (Some(job), Some(store)) = (found.job, found.store) else { return true };
        let policy = self.figures.policy;
        policy.drills.values().any(|drill| {
            // One that restores something else, or from elsewhere than what the scenario leaves, is an error of the policy.
            if drill.rehearses.is_some() && drill.rehearses == case.question.subject.name {
                return true;
            }
            // A few tables are not what a scenario relies on, unless it is said.
            if drill.tables.is_some() {
                return false;
            }
            let from = |restored: &Name| drill.from.as_ref().or(policy.store_of(restored)) == Some(store);
            match &drill.restore {
                // A physical drill replays the log that follows; one of an increment restores its base as well.
                DrillRestore::Latest(restored) => (restored == job || policy.base_of(restored) == job) && from(restored),
                DrillRestore::Random(restored) => found.way == Way::NewestBackup && restored == job && from(restored),
                DrillRestore::PointInTime(_) => found.way == Way::PointInTime && from(job),
            }
        })
    }
}

/// Everything in it that a recovery can measure was measured by one: it is no assumption that breaks the promise.
fn is_rehearsed(parts: &[Part]) -> bool {
    let mut measurable = parts.iter().filter(|part| part.kind.is_rehearsable() && !part.length.is_zero()).peekable();
    measurable.peek().is_some() && measurable.all(|part| part.rests_on.iter().any(|basis| basis.origin.is_rehearsed()))
}

/// Where the promise stands; for a scenario that only inherits it, the scenario.
fn place(case: &Case<'_>, target: &Target) -> PolicyPath {
    if target.inherited { case.question.subject.path.clone() } else { target.path.clone() }
}

fn mend_rto(found: &Found<'_>, promised: Duration) -> String {
    let (parts, total) = (&found.time.parts, found.time.total());
    let raise =
        if found.time.lacks.is_empty() { format!("raise the objective to {}", up(total)) } else { "raise the objective".to_owned() };
    let Some(largest) = parts.iter().max_by_key(|part| part.length) else { return format!("Find what takes so long, or {raise}.") };
    let left = promised.saturating_sub(total - largest.length);
    let what = format!("The {} is the largest part, {}", largest.kind, largest.length);
    if left.is_zero() {
        return format!("{what}; the rest alone takes {}: {raise}.", total - largest.length);
    }
    let rate = rate_for(largest, left);
    match (largest.kind, rate) {
        (PartKind::Restore | PartKind::Load | PartKind::Increments, Some(rate)) => {
            format!("{what}: it would have to go at {rate}, or {raise}.")
        }
        (PartKind::Replay, Some(rate)) => {
            format!("{what}: take backups more often, so that less log has to be replayed, or replay at {rate}, or {raise}.")
        }
        (PartKind::Thaw, _) => format!("{what}: recover from a store without an archive class, or {raise}."),
        _ => format!("{what}: it would have to take no more than {left}, or {raise}."),
    }
}

/// At which rate the part would take no longer than `left`.
fn rate_for(part: &Part, left: Duration) -> Option<String> {
    // The last one: a replay rests on how fast backups are taken, too.
    let rate: Rate = part.rests_on.iter().rev().find_map(|basis| basis.value.parse().ok())?;
    let bytes = u128::from(rate.get()) * u128::from(part.length.as_secs());
    let needed = bytes.div_ceil(u128::from(left.as_secs()).max(1)).div_ceil(1_000_000);
    Some(format!("{needed}MB/s"))
}

/// Downwards to a length that people would write.
fn about(length: Duration) -> Duration {
    let step = match length.as_secs() {
        ..3_600 => 60,
        3_600..14_400 => 900,
        _ => 3_600,
    };
    Duration::from_secs(length.as_secs() / step * step)
}

/// Upwards to a length that people would write.
fn up(length: Duration) -> Duration {
    let step = if length < Duration::from_hours(1) { 60 } else { 900 };
    Duration::from_secs(length.as_secs().div_ceil(step) * step)
}
