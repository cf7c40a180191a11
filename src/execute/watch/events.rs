//! What happened since people were last told: the outcomes of runs, read from the record. Whoever ran them need not have lived to tell.

use crate::alert::Event;
use crate::catalog::{Catalog, CatalogFault, Filter, Measured, Outcome, RunRow};
use crate::execute::{restore, run};
use crate::plan::words::sentence;
use crate::policy::file::{self, Severity};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::{Bytes, Instant, figure_of, moment_of};
use crate::world::clock;

/// Older outcomes are no news, also to a record that was just begun or restored.
const NEWS: jiff::SignedDuration = jiff::SignedDuration::from_hours(72);
/// Runs of several hosts end in another order than their clocks say. Who was told already is not told again: events have ids.
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
const MARK: &str = "told_until";

/// What happened, and how far the record was read for it.
#[derive(Debug)]
pub(super) struct Happened {
    pub events: Vec<Event>,
    until: Option<Instant>,
}

impl Happened {
    /// From now on only what is newer.
    pub(super) fn told(&self, catalog: &Catalog, policy: &str) -> Result<(), CatalogFault> {
        let Some(until) = self.until else { return Ok(()) };
        let mark = Measured { name: MARK, subject: "", value: figure_of(until) };
        catalog.measure(policy, &[mark], until)
    }
}

/// A run that ended then was recorded only now: people are told of what is newer than that, if they were not.
pub fn tell_since(catalog: &Catalog, policy: &str, ended: Instant) -> Result<(), CatalogFault> {
    let told = told_until(catalog, policy)?;
    let Some(before) = ended.checked_sub(jiff::SignedDuration::from_secs(1)).ok().filter(|before| told.is_some_and(|told| *before < told))
    else {
        return Ok(());
    };
    catalog.measure(policy, &[Measured { name: MARK, subject: "", value: figure_of(before) }], clock::now())
}

fn told_until(catalog: &Catalog, policy: &str) -> Result<Option<Instant>, CatalogFault> {
    Ok(catalog.latest(policy)?.into_iter().find(|one| one.name == MARK).and_then(|one| moment_of(one.value)))
}

pub(super) fn since(site: &Site<'_>, catalog: &Catalog, now: Instant) -> Result<Happened, CatalogFault> {
    let policy = site.policy.name.as_str();
    let told = told_until(catalog, policy)?;
    // One that lies ahead was made by a clock that was wrong: ids keep people from hearing things twice.
    let told = told.filter(|told| *told <= now);
    let news = now.checked_sub(NEWS).unwrap_or(now);
    let from = told.and_then(|told| told.checked_sub(OVERLAP).ok()).unwrap_or(news);
    // A run may have begun long before it ended.
    let runs = catalog.whole_history(&Filter { policy: Some(policy), since: from.checked_sub(NEWS).ok(), ..Filter::default() })?;
    let mut ended: Vec<&RunRow> = runs.iter().filter(|run| run.job != run::POLICY && run.ended.is_some_and(|ended| ended > from)).collect();
    ended.sort_by_key(|run| run.ended);
    let newest = ended.iter().filter_map(|run| run.ended).max();
    let events = ended.into_iter().filter_map(|run| event(site.policy, run)).collect();
    Ok(Happened { events, until: newest.filter(|newest| told.is_none_or(|told| *newest > told)) })
}

/// How urgent it is, the rules say by the job.
fn event(policy: &Policy, run: &RunRow) -> Option<Event> {
    let (severity, word) = match run.outcome? {
        Outcome::Succeeded => (Severity::Info, "succeeded"),
        Outcome::Failed => (Severity::Warning, "failed"),
        Outcome::Lost => (Severity::Warning, "was lost"),
        // Somebody wanted it so.
        Outcome::Stopped => return None,
    };
    let at = run.ended?;
    // What is no job of the policy, like a restore, is told when it fails, and nothing will end that.
    let is_job = run::jobs(policy).iter().any(|job| job.path.to_string() == run.job);
    let mut facts: Vec<(String, String)> = vec![("host".into(), run.host.clone())];
    let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    fact("backup", run.backup.clone());
    fact("store", run.store.clone());
    fact("size", run.bytes.map(|bytes| Bytes::new(bytes).rounded()));
    fact("stored", run.stored_bytes.map(|bytes| Bytes::new(bytes).rounded()));
    fact("took", Some(format!("{:.0} s", at.duration_since(run.started).as_secs_f64())));
    fact("commit", run.commit.clone());
    Some(Event {
        // A catalog that was begun anew or put back gives its numbers once more.
        id: format!("run:{}:{}:{}", run.host, run.run, run.started.as_microsecond()),
        kind: kind(&run.job, run.outcome? == Outcome::Succeeded),
        severity,
        job: is_job.then(|| run.job.clone()),
        at,
        title: format!("`{}` {word}", run.job),
        text: run.message.as_deref().map(sentence).unwrap_or_default(),
        hint: run.hint.clone(),
        facts,
    })
}

/// What routes know it by, which is the job's matter: whoever wants to hear of drills does not ask for backups.
fn kind(job: &str, succeeded: bool) -> file::Event {
    match (job.starts_with("drills."), succeeded) {
        (true, true) => file::Event::DrillSucceeded,
        (true, false) => file::Event::DrillFailed,
        (false, true) if job == restore::JOB => file::Event::Restored,
        (false, true) => file::Event::Succeeded,
        (false, false) => file::Event::Failed,
    }
}
