//! What is on record against what a policy promises: for those who read a policy and cannot see its databases.
//!
//! That a recovery takes too long by what was measured is judged with the other objectives, where its parts are known.

use super::custody::{Custody, NOTICE_OF_KEYS, custody};
use super::point::{EVERYTHING, ScenarioPromise, scenario_promises};
use crate::inventory::{ClusterInventory, DrillOutcome, DrillStanding, Observed, PointsSeen, Proven};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Drill, Policy};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Instant, Name, visible};

const DRILL_FAILED: Code = Code(414);
const DRILL_OVERDUE: Code = Code(415);
const RPO_WAS_NOT_KEPT: Code = Code(416);
const IDENTITY_NOT_PROVEN: Code = Code(417);
const KEY_EXPIRES: Code = Code(418);

/// What contradicts the policy, as it stood at `observed`.
pub fn contradictions(policy: &Policy, cluster: Option<&ClusterInventory>, observed: Instant) -> Vec<Finding> {
    let Some(proven) = cluster.and_then(|cluster| cluster.proven.as_ref()).and_then(Observed::known) else { return Vec::new() };
    let mut findings = Vec::new();
    for (name, drill) in &policy.drills {
        let Some(standing) = proven.drills.get(name) else { continue };
        let path = PolicyPath::from(["drills", name.as_str()]);
        findings.extend(failed(&path, name, standing));
        findings.extend(overdue(policy, (name, drill), standing, observed));
    }
    findings.extend(proven.recovery_point.iter().flat_map(|points| not_kept(policy, points)));
    findings.extend(not_proven(policy, proven, observed));
    findings.extend(expiring(policy, proven, observed));
    findings
}

fn failed(path: &PolicyPath, name: &Name, standing: &DrillStanding) -> Option<Finding> {
    let last = standing.last.as_ref().filter(|last| last.outcome == DrillOutcome::Failed)?;
    let part = last.failed_in.map(|phase| format!(" while {}", phase.says())).unwrap_or_default();
    let backup = last.backup.as_ref().map(|backup| format!(" of backup {backup}")).unwrap_or_default();
    let finding = Finding::warning(DRILL_FAILED, path.clone(), format!("the last drill{backup} failed{part}, on {}", day(last.ended)));
    let finding = finding.on_key().hint(format!(
        "Mend it and run it again (`seawall run drills.{name}`): until it passes, nothing shows that these backups can be restored."
    ));
    Some(match last.message.as_deref().map(plain) {
        Some(message) => finding.label(message),
        None => finding,
    })
}

/// As for an alert. One that ran and failed says so itself.
fn overdue(policy: &Policy, (name, drill): (&Name, &Drill), standing: &DrillStanding, observed: Instant) -> Option<Finding> {
    let (path, schedule) = (PolicyPath::from(["drills", name.as_str()]), drill.schedule.as_ref()?);
    let expected = schedule.expected_since(&policy.patience(&path.to_string(), Duration::ZERO), observed)?;
    let failed = standing.last.as_ref().filter(|last| last.outcome == DrillOutcome::Failed);
    if standing.passed.or(standing.first_seen)? >= expected || failed.is_some_and(|last| last.ended >= expected) {
        return None;
    }
    let message = match standing.passed {
        Some(passed) => format!("this drill last passed on {}, and should have on {}", day(passed), day(expected)),
        None => format!("this drill has never passed, and should have on {}", day(expected)),
    };
    let hint = format!("Run it (`seawall run drills.{name}`), and see why its host does not: what was measured grows old.");
    Some(Finding::warning(DRILL_OVERDUE, path, message).on_key().label(schedule.describe()).hint(hint))
}

/// The policy's own promise, and those of scenarios: by what was seen of each, or, before anybody looked at one that recovers from where the
/// log goes first, by what was seen of that.
fn not_kept(policy: &Policy, points: &PointsSeen) -> Vec<Finding> {
    let own = points.worst_seconds.zip(points.worst_at);
    let of_scenario = |promise: &ScenarioPromise<'_>| {
        let seen = points.scenarios.get(promise.scenario).map(|worst| (worst.seconds, worst.at));
        seen.or(own.filter(|_| promise.copies.is_empty()))
    };
    let path = |scenario: &Name| PolicyPath::from(["objectives", "scenarios", scenario.as_str(), "rpo"]);
    let main = policy.objectives.rpo.map(|promised| (PolicyPath::from(["objectives", "rpo"]), promised, own));
    let scenarios = scenario_promises(policy).into_iter().map(|promise| (path(promise.scenario), promise.promised, of_scenario(&promise)));
    let seen = main.into_iter().chain(scenarios).filter_map(|(path, promised, seen)| Some((path, promised, seen?)));
    seen.map(|(path, promised, (worst, at))| (path, promised, Duration::from_secs(worst), at))
        .filter(|(_, promised, worst, _)| worst > promised)
        .map(|(path, promised, worst, at)| {
            let lost = if worst < EVERYTHING { format!("up to {worst}") } else { "everything, or a whole database,".to_owned() };
            let message = format!("rpo of {promised} was not kept: on {} {lost} would have been lost", day(at));
            Finding::warning(RPO_WAS_NOT_KEPT, path, message).label("the most of the 30 days before the inventory was made").hint(
                "`seawall history` and the alerts of that day say what kept the log from being archived; or promise what can be kept.",
            )
        })
        .collect()
}

fn not_proven(policy: &Policy, proven: &Proven, observed: Instant) -> Vec<Finding> {
    let kind = if policy.file.encryption.as_ref().is_some_and(|encryption| encryption.openpgp.is_some()) { "openpgp" } else { "age" };
    let of = custody(policy, Some(proven)).into_iter().filter(|custody| custody.is_unproven(observed));
    of.map(|custody| {
        let message = match custody.opened {
            Some(at) => format!("the identity of `{}` last opened something on {}", custody.short(), day(at)),
            None => format!("the identity of `{}` has never opened anything", custody.short()),
        };
        let path = PolicyPath::from(["encryption", kind, "recipients"]).item(custody.number);
        Finding::warning(IDENTITY_NOT_PROVEN, path, message)
            .label("whoever holds it may have lost it")
            .hint("Let whoever holds it restore something, or run `seawall verify --deep --identity FILE` with it; or take the key out.")
            .related(["encryption", "proven_within"].into(), "declared here")
    })
    .collect()
}

/// Only keys of OpenPGP do.
fn expiring(policy: &Policy, proven: &Proven, observed: Instant) -> Vec<Finding> {
    let soon = |custody: &Custody| custody.expires.filter(|expires| Duration::between(observed, *expires) <= NOTICE_OF_KEYS);
    let of = custody(policy, Some(proven)).into_iter().filter_map(|custody| Some((soon(&custody)?, custody)));
    of.map(|(expires, custody)| {
        let path = PolicyPath::from(["encryption", "openpgp", "recipients"]).item(custody.number);
        let hint = "Let whoever holds it prolong it (`gpg --quick-set-expire`), and put its new export in the place of the old one; or name another key.";
        match expires <= observed {
            true => Finding::error(KEY_EXPIRES, path, format!("the key of `{}` expired on {}", custody.short(), day(expires)))
                .label("no backup is taken, and no log is archived"),
            false => Finding::warning(KEY_EXPIRES, path, format!("the key of `{}` expires on {}", custody.short(), day(expires)))
                .label("from then on no backup is taken, and no log is archived"),
        }
        .hint(hint)
    })
    .collect()
}

/// `2026-11-21`
fn day(at: Instant) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// Somebody else's words on one line, without what would act on a terminal.
fn plain(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { visible(c) }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::document::Document;
    use crate::policy::resolve::resolve;

    const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    /// `code path: message`, of a policy with a drill every Sunday, and of what is proven.
    fn found(proven: &str) -> Vec<String> {
        found_of("rpo: 5m, rto: 2h", proven)
    }

    fn found_of(objectives: &str, proven: &str) -> Vec<String> {
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: [app] }}\n\
             encryption: {{ age: {{ recipients: ['{KEY}'] }}, proven_within: 30d }}\nstores: {{ main: {{ local: {{ path: /srv/main }} }}, elsewhere: {{ local: {{ path: /mnt/elsewhere }} }} }}\n\
             backups: {{ nightly: {{ physical: {{}}, store: main, copies: [elsewhere], schedule: {{ at: '02:00' }}, keep: {{ daily: 30 }} }} }}\n\
             wal: {{ store: main, copies: [elsewhere], timeout: 60s, keep: 7d }}\nobjectives: {{ {objectives} }}\n\
             drills: {{ weekly: {{ restore: {{ latest: nightly }}, schedule: {{ on: sunday, at: '05:00' }} }} }}\n"
        );
        let document = Document::load("t.yaml", Path::new("t.yaml"), &|_| Ok(text.clone().into_bytes()));
        let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
        let policy = resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings));
        let cluster: ClusterInventory = serde_json::from_str(&format!(
            r#"{{"system_identifier":{{"unknown":{{"reason":"-"}}}},"postgres_version":{{"unknown":{{"reason":"-"}}}},"cluster_size":{{"known":"100GB"}},
                "stores":{{}},"measured":{{"unknown":{{"reason":"-"}}}},"holds":{{"unknown":{{"reason":"-"}}}},"proven":{proven}}}"#
        ))
        .expect("an inventory");
        // A Saturday.
        let findings = contradictions(&policy, Some(&cluster), "2026-11-21T08:00:00Z".parse().expect("a moment"));
        assert!(findings.iter().all(|finding| finding.hint.as_ref().is_some_and(|hint| hint.ends_with('.'))), "{findings:?}");
        findings.iter().map(|finding| format!("{} {}: {}", finding.code, finding.path, finding.message)).collect()
    }

    #[test]
    fn nothing_known_contradicts_nothing() {
        assert!(found(r#"{"unknown":{"reason":"no catalog"}}"#).is_empty());
        assert!(found(r#"{"known":{}}"#).is_empty());
        assert!(
            found(r#"{"known":{"drills":{"weekly":{},"gone":{"last":{"ended":"2026-11-15T05:30:00Z","outcome":"failed"}}}}}"#).is_empty()
        );
        assert!(found(&format!(
            r#"{{"known":{{"drills":{{"weekly":{{"last":{{"ended":"2026-11-15T05:30:00Z","outcome":"passed"}},"passed":"2026-11-15T05:30:00Z"}}}},
            "recovery_point":{{"lost_seconds":0,"at":"2026-11-21T08:00:00Z","worst_seconds":300,"worst_at":"2026-11-01T08:00:00Z"}},
            "identities":{{"{KEY}":{{"opened":"2026-10-23T08:00:00Z"}}}}}}}}"#
        ))
        .is_empty());
    }

    #[test]
    fn a_drill_that_failed_and_one_that_is_overdue() {
        let failed = r#"{"known":{"drills":{"weekly":{"passed":"2026-11-08T05:30:00Z","last":{"ended":"2026-11-15T05:30:00Z","outcome":"failed",
            "failed_in":"replay","backup":"20261115T020000Z-7f3c","message":"a segment\nis missing"}}}}}"#;
        assert_eq!(
            found(failed),
            ["SW0414 drills.weekly: the last drill of backup 20261115T020000Z-7f3c failed while replaying the log, on 2026-11-15"]
        );
        let overdue = |drill: &str| found(&format!(r#"{{"known":{{"drills":{{"weekly":{{{drill}}}}}}}}}"#));
        assert_eq!(
            overdue(r#""passed":"2026-11-01T05:30:00Z""#),
            ["SW0415 drills.weekly: this drill last passed on 2026-11-01, and should have on 2026-11-15"]
        );
        assert_eq!(
            overdue(r#""first_seen":"2026-11-01T05:30:00Z""#),
            ["SW0415 drills.weekly: this drill has never passed, and should have on 2026-11-15"]
        );
        assert!(overdue(r#""first_seen":"2026-11-16T05:30:00Z""#).is_empty());
    }

    #[test]
    fn an_rpo_that_was_not_kept_and_a_key_that_nobody_used() {
        let worst = r#"{"known":{"recovery_point":{"lost_seconds":0,"at":"2026-11-21T08:00:00Z","worst_seconds":2280,"worst_at":"2026-11-09T16:25:00Z"}}}"#;
        assert_eq!(found(worst), ["SW0416 objectives.rpo: rpo of 5m was not kept: on 2026-11-09 up to 38m would have been lost"]);
        let nothing = worst.replace("2280", &EVERYTHING.as_secs().to_string());
        let says = "SW0416 objectives.rpo: rpo of 5m was not kept: on 2026-11-09 everything, or a whole database, would have been lost";
        assert_eq!(found(&nothing), [says]);
        let scenarios = "rpo: 1h, scenarios: { disk: { recover: cluster, rpo: 30m }, all: { recover: cluster }, lost: { recover: cluster, by: promote-standby, rpo: 1m } }";
        assert_eq!(
            found_of(scenarios, worst),
            ["SW0416 objectives.scenarios.disk.rpo: rpo of 30m was not kept: on 2026-11-09 up to 38m would have been lost"]
        );
        // What was seen of a scenario itself says more than what was seen of where the log goes first.
        let seen = worst.replace(
            r#""worst_at""#,
            r#""scenarios":{"disk":{"seconds":60,"at":"2026-11-09T16:25:00Z"},"region":{"seconds":32400,"at":"2026-11-08T02:00:00Z"}},"worst_at""#,
        );
        let scenarios =
            "rpo: 1h, scenarios: { disk: { recover: cluster, rpo: 30m }, region: { recover: cluster, from: elsewhere, rpo: 2h } }";
        assert_eq!(
            found_of(scenarios, &seen),
            ["SW0416 objectives.scenarios.region.rpo: rpo of 2h was not kept: on 2026-11-08 up to 9h would have been lost"]
        );
        let identity = |standing: &str| found(&format!(r#"{{"known":{{"identities":{{"{KEY}":{{{standing}}}}}}}}}"#));
        assert_eq!(
            identity(r#""first_seen":"2026-10-01T00:00:00Z""#),
            ["SW0417 encryption.age.recipients[0]: the identity of `age1ql3z7hjy54…` has never opened anything"]
        );
        assert_eq!(
            identity(r#""first_seen":"2026-01-01T00:00:00Z","opened":"2026-10-01T00:00:00Z""#),
            ["SW0417 encryption.age.recipients[0]: the identity of `age1ql3z7hjy54…` last opened something on 2026-10-01"]
        );
    }
}
