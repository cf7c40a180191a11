//! What is seen, gathered from the record, the server and the stores. What one of them hides is unknown, and no reason not to ask the others.

use std::collections::BTreeMap;

use super::{canary, databases, drilled, evidence, keys, log, measured, owed, server, stores};
use crate::alert::{
    ArchiveFacts, Braked, DutyFacts, Facts, FailingReceiver, Failure, JobFacts, Notice, PartlyReached, Replaced, Runs, Undelivered,
    Unreadable,
};
use crate::catalog::{Acknowledgement, Catalog, CatalogFault, Filter, JobRecord, Latest, Outcome};
use crate::execute::{run, witness};
use crate::inventory::Observed;
use crate::notify::outbox;
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::{Bytes, Duration, Instant, moment_of};

/// How far back the rate of success looks.
const RUNS_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);
/// As many sizes are compared.
const SIZES: usize = 8;

/// Everything that somebody may have to be told of.
pub fn gather(site: &Site<'_>, catalog: &Catalog, unreadable: Option<Unreadable>, now: Instant) -> Result<Facts, CatalogFault> {
    let policy = site.policy.name.as_str();
    let records = catalog.last_runs(policy)?;
    let server = server::look(site, catalog, now)?;
    let made = records.iter().filter(|record| record.job.starts_with("backups.")).filter_map(|record| record.last_succeeded).max();
    let measured = catalog.latest(policy)?;
    let copied = measured.iter().filter(|one| one.name == run::COPIED).filter_map(|one| moment_of(one.value)).max();
    let has_newest = log::has_newest(site, &server.log);
    let drift = databases::look(site, server.state, has_newest == Observed::Known(true), now);
    let stores = stores::look(site, catalog, made.max(copied), has_newest == Observed::Known(false), now)?;
    let mut jobs = BTreeMap::new();
    for job in run::jobs(site.policy) {
        let path = job.path.to_string();
        let mut facts = match records.iter().find(|record| record.job == path) {
            Some(record) => of_job(catalog, policy, record)?,
            None => JobFacts::default(),
        };
        if let Some(name) = path.strip_prefix("backups.") {
            facts.newest_backup = stores.newest.get(name).cloned();
            facts.newest_whole = stores.newest_whole.get(name).cloned();
        }
        jobs.insert(path, facts);
    }
    let acks = catalog.acknowledgements(policy)?;
    let duties = site.policy.duties.keys().map(|name| {
        let record = records.iter().find(|record| record.job == format!("duties.{name}"));
        let done = acks.iter().find(|ack| ack.key == format!("duty_due:{name}")).map(|ack| ack.at);
        (
            name.clone(),
            DutyFacts {
                first_seen: record.map(|record| record.first_seen),
                done,
                reminded: record.and_then(|record| record.last_owed_since),
            },
        )
    });
    let (succeeded, all) = catalog.success_rate(policy, now.checked_sub(RUNS_WITHIN).unwrap_or(now))?;
    let undelivered = catalog.undelivered(policy)?;
    let waiting: Vec<_> = undelivered.iter().filter(|notice| !notice.gave_up).collect();
    let replaced = witness::replaced_at(catalog, policy)?.map(|said| Replaced { since: said.entry.at, message: said.entry.what });
    let counts = |ack: &Acknowledgement| ack.key == witness::REPLACED && ack.until.is_none_or(|until| now < until);
    let is_known = |replaced: &Replaced| acks.iter().any(|ack| counts(ack) && ack.at >= replaced.since);
    let mut facts = Facts {
        unreadable,
        replaced: replaced.filter(|replaced| !is_known(replaced)),
        jobs: Observed::Known(jobs),
        server: server.answers,
        stores: stores.stores.clone(),
        copies: stores.copies.clone(),
        wal: log::facts(site, server.log, has_newest, &stores, now),
        rivals: stores.rivals.clone(),
        owed: owed::look(site, catalog, &measured, now)?,
        standbys: server.standbys,
        server_differs: drift.server,
        databases: drift.databases,
        archives: archives(site.policy, &measured),
        canary: canary::write(site),
        runs: Observed::Known(Runs { succeeded, all }),
        recipients: keys::look(site, now),
        holds: stores.holds.clone(),
        duties: duties.collect(),
        clock_skew: server.clock_skew,
        braked: braked(&measured),
        locked: Observed::Known(value(&measured, "locked").unwrap_or(0.0) as u64),
        failing: failing(site.policy, catalog.failing_receivers(policy)?, &undelivered),
        partly: partly(site.policy, catalog, &acks)?,
        undelivered: Observed::Known(Undelivered {
            count: waiting.len() as u64,
            oldest: waiting.iter().map(|notice| notice.created).min(),
        }),
        ..Facts::default()
    };
    let drilled = drilled::look(site, catalog, (&records, &stores.stores), now)?;
    facts.refused_drills = drilled.refused;
    evidence::look(site, catalog, (&records, drilled.has_new), &measured, &mut facts, now)?;
    facts.recovery_point = evidence::recovery_point(site.policy, catalog, &stores, &facts, now)?;
    facts.in_no_backup = evidence::in_no_backup(site.policy, &stores, &facts);
    facts.scenario_points = evidence::scenario_points(site.policy, &facts, now);
    keys::record(site.policy, catalog, &measured, &facts, now)?;
    measured::record(catalog, site.policy, &facts, &measured, now)?;
    Ok(facts)
}

fn of_job(catalog: &Catalog, policy: &str, record: &JobRecord) -> Result<JobFacts, CatalogFault> {
    // Also while it is tried again, and when a try was stopped: only a success ends it.
    let failed = if record.failures_in_a_row > 0 { last_failure(catalog, policy, record)? } else { None };
    // By the order of the record it came before, whatever a clock said.
    let is_before = |at: &Instant| failed.as_ref().is_none_or(|failed| *at < failed.at);
    let took = catalog.durations(policy, &record.job, 1)?;
    let sizes = catalog.sizes(policy, &record.job, SIZES)?;
    Ok(JobFacts {
        first_seen: Some(record.first_seen),
        succeeded: record.last_succeeded.filter(is_before),
        failed,
        running_since: record.running.filter(|running| record.last_run == Some(*running)).and(record.last_started),
        takes: took.first().map(|took| Duration::between(took.started, took.ended)),
        newest_backup: None,
        newest_whole: None,
        sizes: sizes.iter().map(|sized| Bytes::new(sized.bytes)).collect(),
        restore_time: None,
    })
}

fn last_failure(catalog: &Catalog, policy: &str, record: &JobRecord) -> Result<Option<Failure>, CatalogFault> {
    let mut rows = Vec::new();
    for outcome in [Outcome::Failed, Outcome::Lost] {
        let filter = Filter { policy: Some(policy), job: Some(&record.job), outcome: Some(outcome), limit: 1, ..Filter::default() };
        rows.extend(catalog.history(&filter)?);
    }
    Ok(rows.into_iter().max_by_key(|row| row.run).and_then(|row| {
        Some(Failure {
            at: row.ended?,
            message: row.message.unwrap_or_else(|| "it failed without a word".to_owned()),
            hint: row.hint,
            in_a_row: record.failures_in_a_row,
        })
    }))
}

fn value(measured: &[Latest], name: &str) -> Option<f64> {
    measured.iter().find(|one| one.name == name && one.subject.is_empty()).map(|one| one.value)
}

/// What nobody has read back, as the last run of each archive found it.
fn archives(policy: &Policy, measured: &[Latest]) -> BTreeMap<String, ArchiveFacts> {
    let of = |name: &str, path: &str| measured.iter().find(|one| one.name == name && one.subject == path);
    let one = |path: String| {
        let since = of(run::UNREAD_SINCE, &path)?;
        let extents = of(run::UNREAD, &path)?.value as u64;
        Some((path, ArchiveFacts { extents, waiting_since: moment_of(since.value)?, found: since.at }))
    };
    policy.archives.iter().filter_map(|archive| one(archive.path.to_string())).collect()
}

fn braked(measured: &[Latest]) -> Option<Braked> {
    let braked = measured.iter().filter(|one| one.name == run::BRAKED_SINCE);
    let since = braked.filter_map(|one| moment_of(one.value)).min()?;
    // Of a store without a brake they are 0.
    let count = |name| measured.iter().filter(|one| one.name == name).map(|one| one.value as u64).sum();
    Some(Braked { since, backups: count("braked_backups"), of: count("braked_of") })
}

/// Receivers that cannot be reached, and what waits for each.
pub fn failing(
    policy: &Policy,
    all: Vec<crate::catalog::FailingReceiver>,
    undelivered: &[crate::catalog::Undelivered],
) -> Vec<FailingReceiver> {
    all.into_iter()
        // One that was taken out of the policy is missed by nobody.
        .filter(|one| policy.file.receivers.contains_key(one.receiver.as_str()))
        .filter_map(|one| {
            let waiting = undelivered.iter().filter(|notice| notice.receiver == one.receiver);
            Some(FailingReceiver {
                receiver: one.receiver.parse().ok()?,
                since: one.since,
                attempts: one.attempts,
                waiting: waiting.flat_map(|notice| keys(&notice.json)).collect(),
                error: one.last_error,
            })
        })
        .collect()
}

/// Receivers of whose people some are refused, but of those of whom somebody has said that he knows.
fn partly(policy: &Policy, catalog: &Catalog, acks: &[Acknowledgement]) -> Result<Vec<PartlyReached>, CatalogFault> {
    let mut all = Vec::new();
    for (receiver, _) in policy.file.receivers.iter().filter(|(_, receiver)| receiver.email.is_some()) {
        let Some(refusals) = outbox::refusals(catalog, policy.name.as_str(), receiver.as_str())? else { continue };
        let key = format!("refused:{receiver}");
        if acks.iter().all(|ack| ack.key != key || ack.at < refusals.since) {
            all.push(PartlyReached { receiver: receiver.clone(), since: refusals.since, refused: refusals.said });
        }
    }
    Ok(all)
}

/// What a notice that waits speaks of.
fn keys(notice: &str) -> Vec<String> {
    serde_json::from_str::<Notice>(notice).map(|notice| notice.items.into_iter().map(|item| item.key).collect()).unwrap_or_default()
}
