//! How policies stand, read from their catalogs: no store and no server is asked, and nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use super::{firing, last_good};
use crate::alert::Unreadable;
use crate::catalog::{Catalog, CatalogFault};
use crate::cli::exit::Trouble;
use crate::cli::fleet::Fleet;
use crate::cli::here::Here;
use crate::cli::location::Location;
use crate::cli::terminal::Colour;
use crate::execute::run;
use crate::policy::model::Policy;
use crate::report::{JobDue, Level, Measurements, OnRecord, Problem, Standing, stand};
use crate::site::Site;
use crate::units::Instant;
use crate::world::files;

/// How far back the share of good runs looks.
const RUNS_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// One policy, as it was found.
pub struct Looked {
    /// None where its file cannot be read and no earlier version is known.
    pub policy: Option<Policy>,
    pub record: OnRecord,
    pub standing: Standing,
}

/// The policy, or every policy in a directory, worst first.
pub fn all(here: &Here, colour: Colour, now: Instant) -> Vec<Looked> {
    let path = here.path();
    let mut catalogs = Catalogs::default();
    if !files::is_directory(&path) {
        return vec![one(here, here.read(colour), now, &mut catalogs)];
    }
    let fleet = Fleet::load(&[Location::Path(path.clone())], now, None);
    let mut all: Vec<Looked> = Vec::new();
    for examined in fleet.policies.into_iter().filter(|examined| !examined.document.is_abstract) {
        let file = Path::new(&examined.document.source.name).to_owned();
        let here = Here { policy: Some(file.clone()), ..here.clone() };
        let sound = examined.document.is_sound();
        let read = examined.policy.filter(|_| sound).ok_or_else(|| {
            let hint = format!("`seawall validate {}` says what is wrong with it.", file.display());
            Trouble::failed(format!("the policy `{}` cannot be used", file.display()), hint)
        });
        all.push(one(&here, read, now, &mut catalogs));
    }
    if all.is_empty() {
        let problem = Problem::new(Level::Critical, "policy", format!("there is no policy in `{}`", path.display()));
        all.push(nothing(&path, problem.hint("Policies are files named `*.yaml` or `*.yml`.")));
    }
    all.sort_by(|a, b| {
        (std::cmp::Reverse(a.standing.level), &a.standing.policy).cmp(&(std::cmp::Reverse(b.standing.level), &b.standing.policy))
    });
    all
}

/// Of the policy of the moment, or of its last good version: what it promised is still owed.
fn one(here: &Here, read: Result<Policy, Trouble>, now: Instant, catalogs: &mut Catalogs) -> Looked {
    let (policy, unreadable) = match read {
        Ok(policy) => (policy, None),
        Err(trouble) => match last_good(here, trouble) {
            Ok((policy, unreadable)) => (policy, Some(unreadable)),
            Err(trouble) => {
                let problem = Problem::new(Level::Critical, "policy", trouble.to_string());
                return nothing(&here.path(), problem.hint(trouble.hint().unwrap_or_default()));
            }
        },
    };
    let mut looked = on_record(here, policy, now, catalogs);
    if let Some(Unreadable { since, message, hint }) = unreadable {
        looked.standing.unknown = Some(message.clone());
        let problem = Problem::new(Level::Critical, "policy", format!("nothing runs: {message}"));
        looked.standing.problems.retain(|known| known.key != problem.key);
        looked.standing.add(Problem { since: Some(since), hint, ..problem });
    }
    looked
}

fn on_record(here: &Here, policy: Policy, now: Instant, catalogs: &mut Catalogs) -> Looked {
    let site = here.site(&policy);
    let read = catalogs.of(&site).and_then(|catalog| match catalog {
        Some(catalog) => read(&policy, catalog, now).map(Some),
        None => Ok(None),
    });
    let (record, problem) = match read {
        Ok(Some(record)) => (record, None),
        Ok(None) => {
            let place = site.catalog().map(|place| place.to_string()).unwrap_or_default();
            let problem = Problem::new(Level::Critical, "catalog", format!("nothing has run here yet: there is no catalog at {place}"));
            let hint = "`seawall run --due` and `seawall watch` make it; `--state` names another place.";
            (OnRecord::default(), Some(problem.hint(hint)))
        }
        Err(trouble) => {
            let problem = Problem::new(Level::Critical, "catalog", trouble.to_string());
            // What cannot be read says nothing: it must not look like a record in which nothing ever ran.
            let standing = Standing::unknown(policy.name.to_string(), problem.hint(trouble.hint().unwrap_or_default()));
            return Looked { policy: None, record: OnRecord::default(), standing };
        }
    };
    let owed = run::look(&policy, &record.records, now);
    let timed = policy.timed();
    let dues = owed.all.into_iter().map(|(job, due)| JobDue {
        job: job.path.to_string(),
        kind: job.kind(),
        due,
        schedule: timed.iter().find(|timed| timed.path == job.path).map(|timed| timed.schedule.clone()),
    });
    let dues: Vec<JobDue> = dues.collect();
    let mut standing = stand(&policy, &record, &dues, now);
    if let Some(problem) = problem {
        // All that is missing follows from that.
        standing.problems.clear();
        standing.add(problem);
    }
    Looked { record, standing, policy: Some(policy) }
}

fn nothing(path: &Path, problem: Problem) -> Looked {
    Looked { policy: None, record: OnRecord::default(), standing: Standing::unknown(path.display().to_string(), problem) }
}

/// Each catalog opened once, however many policies share it.
#[derive(Default)]
struct Catalogs(BTreeMap<String, Option<Catalog>>);

impl Catalogs {
    fn of(&mut self, site: &Site<'_>) -> Result<Option<&Catalog>, Trouble> {
        let place = site.catalog()?;
        let name = place.to_string();
        if !self.0.contains_key(&name) {
            let opened = Catalog::open_existing(&place).map_err(super::trouble)?;
            self.0.insert(name.clone(), opened);
        }
        Ok(self.0.get(&name).and_then(Option::as_ref))
    }
}

fn read(policy: &Policy, catalog: &Catalog, now: Instant) -> Result<OnRecord, Trouble> {
    let firing = firing(catalog, policy, now)?;
    of_catalog(policy.name.as_str(), catalog, now).map(|record| OnRecord { firing, ..record }).map_err(super::trouble)
}

fn of_catalog(policy: &str, catalog: &Catalog, now: Instant) -> Result<OnRecord, CatalogFault> {
    let records = catalog.last_runs(policy)?;
    let mut record = OnRecord {
        undelivered: catalog.undelivered(policy)?,
        failing: catalog.failing_receivers(policy)?,
        measured: Measurements(catalog.latest(policy)?),
        runs: catalog.success_rate(policy, now.checked_sub(RUNS_WITHIN).unwrap_or(now))?,
        ..OnRecord::default()
    };
    for known in &records {
        let job = &known.job;
        if let Some(run) = known.last_run.map(|run| catalog.run(run)).transpose()?.flatten() {
            record.last.insert(job.clone(), run);
        }
        record.made.extend(catalog.sizes(policy, job, 1)?.first().map(|made| (job.clone(), *made)));
        record.took.extend(catalog.durations(policy, job, 1)?.first().map(|took| (job.clone(), *took)));
    }
    Ok(OnRecord { records, ..record })
}
