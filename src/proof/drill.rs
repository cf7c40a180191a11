//! Drills that prove something, and often enough.

use super::facts::Facts;
use crate::policy::file::Logical;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Drill, DrillRestore, Method, Policy};
use crate::policy::path::PolicyPath;
use crate::units::{DumpSection, Name};

const PROVES_LITTLE: Code = Code(801);
const NO_IDENTITY: Code = Code(802);
const TOO_RARE: Code = Code(803);
const UNHEARD: Code = Code(806);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    for (name, drill) in &policy.drills {
        // Files are compared with the backup whatever is said, and that definitions can be made is all that they promise.
        let of_definitions = matches!(of(policy, drill), Some(Method::Logical(logical)) if !logical.has(DumpSection::Data));
        if drill.expectations.is_empty() && drill.run.is_none() && drill.files(policy).is_none() && !of_definitions {
            findings.push(
                Finding::warning(
                    PROVES_LITTLE,
                    drill_path(name),
                    if drill.tables.is_some() { "this drill expects nothing: it proves only that the tables are there, with some rows or none" } else { "this drill expects nothing: it proves only that the restored server starts" },
                )
                .on_key()
                .hint(if drill.tables.is_some() {
                    "Add what must be true of their rows, for example `expect: { fresh: { sql: \"select max(created) from orders\", newer_than: 15m } }`, or the application's own tests (`run`)."
                } else {
                    "Add what must be true, for example `expect: { rows: { check: row-counts } }`, or the application's own tests (`run`)."
                }),
            );
        }
    }
    unheard(policy, findings);
    no_identity(policy, findings);
    too_rare(facts, findings);
}

/// What a host has proven is known to others by what it signs, or by a catalog that they share.
fn unheard(policy: &Policy, findings: &mut Vec<Finding>) {
    let writers = policy.file.encryption.iter().flat_map(|encryption| encryption.writers.keys()).collect::<Vec<_>>();
    if writers.is_empty() || policy.file.catalog.as_ref().is_some_and(|catalog| catalog.postgres.is_some()) {
        return;
    }
    for (name, drill) in &policy.drills {
        let Some(host) = drill.host.as_ref().filter(|host| !writers.contains(host)) else { continue };
        let message = format!("`{host}` is not among the writers: no other host will believe what this drill has proven");
        findings.push(Finding::warning(UNHEARD, drill_path(name).key("host"), message).label("signs with a key that nobody accepts").hint(
            format!(
                "Add its key to `encryption.writers`, as `{host}`: the line that `seawall key host` prints there. Or let all hosts share a \
             `catalog: {{ postgres: … }}`."
            ),
        ));
    }
}

/// How the job takes its backups that a drill restores.
fn of<'p>(policy: &'p Policy, drill: &Drill) -> Option<&'p Method> {
    let (DrillRestore::Latest(job) | DrillRestore::Random(job)) = &drill.restore else { return None };
    policy.backups.get(job).map(|backup| &backup.method)
}

fn drill_path(name: &Name) -> PolicyPath {
    PolicyPath::from(["drills", name.as_str()])
}

/// What has to open backups, and the host on which it does.
pub(super) fn needs_identity(policy: &Policy) -> Vec<(PolicyPath, Option<&Name>)> {
    // What another tool keeps, that tool opens.
    let by_engine = |restore: &DrillRestore| match restore {
        DrillRestore::Latest(job) | DrillRestore::Random(job) => {
            policy.backups.get(job).is_some_and(|backup| matches!(backup.method, Method::Engine(_)))
        }
        DrillRestore::PointInTime(_) => false,
    };
    let drills = policy.drills.iter().filter(|(_, drill)| !by_engine(&drill.restore));
    let drills = drills.map(|(name, drill)| (drill_path(name), drill.host.as_ref()));
    let checks = policy.verify.iter().filter(|(_, verify)| verify.deep);
    let checks = checks.map(|(name, verify)| (PolicyPath::from(["verify", name.as_str()]), verify.host.as_ref()));
    drills.chain(checks).collect()
}

fn no_identity(policy: &Policy, findings: &mut Vec<Finding>) {
    let Some(encryption) = policy.encryption.as_ref().filter(|encryption| encryption.is_sealed() && encryption.identity().is_none()) else {
        return;
    };
    let needed = needs_identity(policy);
    let Some((first, _)) = needed.first() else { return };
    let finding = Finding::warning(
        NO_IDENTITY,
        PolicyPath::from(["encryption", encryption.word()]),
        format!("`{first}` has to open backups, and it is not said which identity does"),
    )
    .on_key()
    .hint("Add `identity: { file: /etc/seawall/identity.txt }`; the file itself is only on the hosts that restore or check.");
    findings.push(needed.iter().fold(finding, |finding, (path, _)| finding.related(path.clone(), "opens backups")));
}

fn too_rare(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    if !facts.scheduled().any(|(_, backup, _)| backup.method.is_stored()) {
        return;
    }
    // That files or definitions come back proves nothing of a database, and a few of its tables little.
    let has_databases = policy.backups.values().any(|backup| backup.method.is_stored() && !matches!(backup.method, Method::Files(_)));
    let is_part = |logical: &Logical| logical.leaves_tables_out() || logical.lacks().is_some();
    let has_rows = |drill: &Drill| !matches!(of(policy, drill), Some(Method::Logical(logical)) if is_part(logical));
    let is_of_all = |drill: &Drill| drill.files(policy).is_none() && drill.tables.is_none() && has_rows(drill);
    let drills = policy.drills.iter().filter(|(_, drill)| !has_databases || is_of_all(drill));
    let scheduled = drills.clone().filter_map(|(name, drill)| drill.schedule.as_ref().map(|schedule| (name, schedule)));
    let finding = match scheduled.map(|(name, schedule)| (facts.longest_gap(schedule).length, name)).min() {
        None if drills.count() == 0 => {
            Finding::warning(TOO_RARE, PolicyPath::top(), if policy.drills.is_empty() { "no drill: nothing ever proves that a backup can be restored" } else { "no drill of a database: nothing ever proves that one can be restored" })
                .hint("Add one, for example `drills: { monthly: { restore: { latest: JOB }, schedule: { first: monday, at: \"04:00\" }, expect: { rows: { check: row-counts } } } }`.")
        }
        None => Finding::warning(TOO_RARE, PolicyPath::from(["drills"]), "no drill runs by the clock")
            .on_key()
            .hint("Give at least one a `schedule`."),
        Some((gap, name)) if gap > Drill::A_QUARTER => {
            let message = format!("{} can pass between one drill and the next", super::reach::about(gap));
            Finding::warning(TOO_RARE, drill_path(name).key("schedule"), message).hint("Restore something at least every quarter.")
        }
        Some(_) => return,
    };
    findings.push(finding);
}
