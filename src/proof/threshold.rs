//! Alerts that would fire although all is well.

use super::facts::{Facts, job, moment};
use crate::policy::file::Limit;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;
use crate::schedule::Schedule;
use crate::units::{Duration, Name};

const FALSE_ALARM: Code = Code(804);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let alerts = facts.policy.file.alerts.as_ref();
    let Some(thresholds) = alerts.and_then(|alerts| alerts.thresholds.as_ref()) else { return };
    let path = PolicyPath::from(["alerts", "thresholds"]);
    for (name, _, schedule) in facts.scheduled() {
        if let Some(limit) = thresholds.backup_age_of.get(name)
            && let Some(age) = Age::beyond(facts, name, schedule, limit)
        {
            findings.push(age.finding(path.key("backup_age_of").key(name), limit, "Raise the limit, or run the job more often."));
        }
    }
    if let Some(limit) = &thresholds.backup_age {
        let judged = facts.scheduled().filter(|(name, ..)| !thresholds.backup_age_of.contains_key(*name));
        let mut late: Vec<Age<'_>> = judged.filter_map(|(name, _, schedule)| Age::beyond(facts, name, schedule, limit)).collect();
        late.sort_by_key(|age| std::cmp::Reverse((!age.by_clocks, age.oldest)));
        if let [worst, others @ ..] = late.as_slice() {
            let hint = format!("Give jobs that run less often a limit of their own: `backup_age_of: {{ {}: … }}`.", worst.job);
            let finding = worst.finding(path.key("backup_age"), limit, &hint);
            findings.push(others.iter().fold(finding, |finding, age| finding.related(job(age.job).key("schedule"), "this one as well")));
        }
    }
    drill_age(facts, thresholds.drill_age.as_ref(), &path, findings);
    wal_lag(facts, thresholds.wal_lag.as_ref(), &path, findings);
}

/// The age that a job's newest backup reaches although nothing has failed.
struct Age<'p> {
    job: &'p Name,
    oldest: Duration,
    /// Only on the day on which clocks go back.
    by_clocks: bool,
    why: String,
}

impl<'p> Age<'p> {
    fn beyond(facts: &Facts<'p>, name: &'p Name, schedule: &'p Schedule, limit: &Limit<Duration>) -> Option<Self> {
        let limit = lasting(limit);
        let gap = facts.longest_gap(schedule);
        let length = facts.length(name);
        let takes = length.map_or(Duration::ZERO, |length| length.time);
        // Until it is known how long a backup takes, it takes some time.
        let exceeds = |gap: Duration| gap + takes > limit || (length.is_none() && gap == limit);
        if !exceeds(gap.length) {
            return None;
        }
        let by_clocks = !exceeds(gap.usual);
        let after = match (by_clocks, length) {
            (true, _) => format!("after the run of {}, when clocks are changed", moment(gap.from, schedule.zone())),
            (false, None) => format!("with {} between two runs, before the next is done", gap.usual),
            (false, Some(length)) => format!("with {} between two runs that take {length}", gap.usual),
        };
        let oldest = if by_clocks { gap.length } else { gap.usual } + takes;
        Some(Age { job: name, oldest, by_clocks, why: after })
    }

    fn finding(&self, path: PolicyPath, limit: &Limit<Duration>, hint: &str) -> Finding {
        let message = format!("the newest backup of `backups.{}` becomes {} old {}", self.job, self.oldest, self.why);
        let label = format!("fires at {}", lasting(limit));
        let finding = if self.by_clocks { Finding::note(FALSE_ALARM, path, message) } else { Finding::warning(FALSE_ALARM, path, message) };
        finding.label(label).hint(hint).related(job(self.job).key("schedule"), "the schedule")
    }
}

fn drill_age(facts: &Facts<'_>, limit: Option<&Limit<Duration>>, path: &PolicyPath, findings: &mut Vec<Finding>) {
    let Some(limit) = limit else { return };
    let scheduled = facts.policy.drills.values().filter_map(|drill| drill.schedule.as_ref());
    let Some(gap) = scheduled.map(|schedule| facts.longest_gap(schedule).usual).min() else { return };
    if gap > lasting(limit) {
        findings.push(
            Finding::warning(FALSE_ALARM, path.key("drill_age"), format!("{gap} can pass between one drill and the next"))
                .label(format!("fires at {}", lasting(limit)))
                .hint("Raise the limit, or drill more often."),
        );
    }
}

fn wal_lag(facts: &Facts<'_>, limit: Option<&Limit<Duration>>, path: &PolicyPath, findings: &mut Vec<Finding>) {
    let (Some(limit), Some(wal)) = (limit, &facts.policy.wal) else { return };
    let (push, limit) = (facts.push(), lasting(limit));
    if wal.timeout + push <= limit && wal.timeout < limit {
        return;
    }
    let sent = if push.is_zero() { String::new() } else { format!(", and sending it takes {push}") };
    findings.push(
        Finding::warning(FALSE_ALARM, path.key("wal_lag"), format!("a segment may wait {} before it is archived{sent}", wal.timeout))
            .label(format!("fires at {limit}"))
            .hint("Raise the limit to at least twice `wal.timeout`.")
            .related(PolicyPath::from(["wal", "timeout"]), "the longest wait"),
    );
}

/// How long it takes until somebody is told.
fn lasting(limit: &Limit<Duration>) -> Duration {
    match limit {
        Limit::Above(above) => *above,
        Limit::Detailed(detailed) => detailed.above + detailed.r#for.unwrap_or(Duration::ZERO),
    }
}
