//! How policies stand, read from their catalogs: no store and no server is asked, and nothing is written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::last_good;
use crate::alert::Unreadable;
use crate::catalog::{Catalog, Where};
use crate::cli::examine::Known;
use crate::cli::exit::Trouble;
use crate::cli::fleet::Fleet;
use crate::cli::folder::Catalogs;
use crate::cli::here::Here;
use crate::cli::location::Location;
use crate::cli::terminal::Colour;
use crate::execute::report::{records, standing};
use crate::policy::model::Policy;
use crate::report::{Level, OnRecord, Problem, Standing};
use crate::units::Instant;
use crate::world::{files, parallel};

/// One policy, as it was found.
pub struct Looked {
    /// None where its file cannot be read and no earlier version is known, or where its catalog cannot be read.
    pub policy: Option<Arc<Policy>>,
    /// None where nothing was recorded yet, or where it cannot be read.
    pub catalog: Option<Arc<Catalog>>,
    pub record: OnRecord,
    pub standing: Standing,
}

/// A policy that is asked of, before anybody looks at its record.
#[derive(Debug, Clone)]
pub struct Asked {
    here: Here,
    read: Found,
}

#[derive(Debug, Clone)]
enum Found {
    Policy(Arc<Policy>),
    /// It cannot be read; this is its last version that could.
    LastGood(Arc<Policy>, Unreadable),
    Nothing(Problem),
}

/// The policy, or every policy in a directory, worst first.
pub fn all(here: &Here, colour: Colour, now: Instant) -> Vec<Looked> {
    look(&asked(here, Some(colour), now), now, &mut Catalogs::default())
}

/// Reads the policies. What is wrong with one is shown where somebody says in which colours.
pub fn asked(here: &Here, colour: Option<Colour>, now: Instant) -> Vec<Asked> {
    let path = here.path();
    if !files::is_directory(&path) {
        let read = match colour {
            Some(colour) => here.read(colour),
            None => here.read_if_complete(None).and_then(|read| read.map(|(policy, _)| policy).ok_or_else(|| of_others(&path))),
        };
        return vec![Asked::of(here.clone(), read)];
    }
    let fleet = Fleet::load(&[Location::Path(path.clone())], now, Known::default());
    let mut all: Vec<Asked> = Vec::new();
    for examined in fleet.policies.into_iter().filter(|examined| !examined.document.is_abstract) {
        let file = Path::new(&examined.document.source.name).to_owned();
        let here = Here { policy: Some(file.clone()), ..here.clone() };
        let sound = examined.document.is_sound();
        let read = examined.policy.filter(|_| sound).ok_or_else(|| {
            let hint = format!("`seawall validate {}` says what is wrong with it.", file.display());
            Trouble::failed(format!("the policy `{}` cannot be used", file.display()), hint)
        });
        all.push(Asked::of(here, read));
    }
    if all.is_empty() {
        let problem = Problem::new(Level::Critical, "policy", format!("there is no policy in `{}`", path.display()));
        let problem = problem.hint("Policies are files named `*.yaml` or `*.yml`.");
        all.push(Asked { here: here.clone(), read: Found::Nothing(problem) });
    }
    all
}

fn of_others(path: &Path) -> Trouble {
    Trouble::failed(
        format!("`{}` is no policy of its own: it is there for others to extend", path.display()),
        "Name a policy that extends it.",
    )
}

impl Asked {
    /// The policy of the moment, or its last good version: what it promised is still owed.
    fn of(here: Here, read: Result<Policy, Trouble>) -> Asked {
        let read = match read {
            Ok(policy) => Found::Policy(Arc::new(policy)),
            Err(trouble) => match last_good(&here, trouble) {
                Ok((policy, unreadable)) => Found::LastGood(Arc::new(policy), unreadable),
                Err(trouble) => {
                    let problem = Problem::new(Level::Critical, "policy", trouble.to_string());
                    Found::Nothing(problem.hint(trouble.hint().unwrap_or_default()))
                }
            },
        };
        Asked { here, read }
    }

    /// The one to go by.
    fn policy(&self) -> Option<&Arc<Policy>> {
        match &self.read {
            Found::Policy(policy) | Found::LastGood(policy, _) => Some(policy),
            Found::Nothing(_) => None,
        }
    }
}

/// How they stand by what is on record now, worst first. Those that share a catalog are asked of together.
pub fn look(asked: &[Asked], now: Instant, catalogs: &mut Catalogs) -> Vec<Looked> {
    let mut found: Vec<Option<Recorded>> = asked.iter().map(|_| None).collect();
    for (catalog, of) in by_catalog(asked, catalogs, &mut found) {
        let policies: Vec<&Policy> = of.iter().filter_map(|at| asked[*at].policy().map(Arc::as_ref)).collect();
        match records(&catalog, &policies, now) {
            Ok(records) => {
                for (at, record) in of.into_iter().zip(records) {
                    found[at] = Some(match record {
                        Ok(record) => Recorded::Record(Arc::clone(&catalog), Box::new(record)),
                        Err(fault) => Recorded::Unreadable(fault.to_string(), fault.hint().to_owned()),
                    });
                }
            }
            Err(fault) => {
                for at in of {
                    found[at] = Some(Recorded::Unreadable(fault.message.clone(), fault.hint.clone()));
                }
            }
        }
    }
    let found: Vec<(&Asked, Option<Recorded>)> = asked.iter().zip(found).collect();
    let standings = parallel::map(&found, &|(asked, recorded)| stood(asked, recorded.as_ref(), now));
    let mut all: Vec<Looked> =
        found.into_iter().zip(standings).map(|((asked, recorded), standing)| looked(asked, recorded, standing)).collect();
    all.sort_by(|a, b| {
        (std::cmp::Reverse(a.standing.level), &a.standing.policy).cmp(&(std::cmp::Reverse(b.standing.level), &b.standing.policy))
    });
    all
}

/// What the catalog of a policy came to.
enum Recorded {
    Record(Arc<Catalog>, Box<OnRecord>),
    /// There is no catalog at this place.
    Nowhere(String),
    Unreadable(String, String),
}

/// Which policies each catalog is asked of. Those whose catalog cannot be opened are answered at once.
fn by_catalog(asked: &[Asked], catalogs: &mut Catalogs, found: &mut [Option<Recorded>]) -> Vec<(Arc<Catalog>, Vec<usize>)> {
    let mut all: BTreeMap<String, (Arc<Catalog>, Vec<usize>)> = BTreeMap::new();
    for (at, one) in asked.iter().enumerate() {
        let Some(policy) = one.policy() else { continue };
        let site = one.here.site(policy);
        let place = site.catalog().map(|place: Where| place.to_string()).unwrap_or_default();
        if let Some((_, of)) = all.get_mut(&place) {
            of.push(at);
            continue;
        }
        match catalogs.existing(&site) {
            Ok(Some(catalog)) => drop(all.insert(place, (catalog, vec![at]))),
            Ok(None) => found[at] = Some(Recorded::Nowhere(place)),
            Err(trouble) => found[at] = Some(Recorded::Unreadable(trouble.to_string(), trouble.hint().unwrap_or_default().to_owned())),
        }
    }
    all.into_values().collect()
}

fn stood(asked: &Asked, recorded: Option<&Recorded>, now: Instant) -> Standing {
    let (policy, unreadable) = match &asked.read {
        Found::Policy(policy) => (policy, None),
        Found::LastGood(policy, unreadable) => (policy, Some(unreadable.clone())),
        Found::Nothing(problem) => return Standing::unknown(asked.here.path().display().to_string(), problem.clone()),
    };
    let mut standing = match recorded {
        Some(Recorded::Record(_, record)) => standing(policy, record, now),
        Some(Recorded::Nowhere(place)) => {
            let mut standing = standing(policy, &OnRecord::default(), now);
            let problem = Problem::new(Level::Critical, "catalog", format!("nothing has run here yet: there is no catalog at {place}"));
            let hint = "`seawall run --due` and `seawall watch` make it; `--state` names another place.";
            // All that is missing follows from that.
            standing.problems.clear();
            standing.add(problem.hint(hint));
            standing
        }
        // What cannot be read says nothing: it must not look like a record in which nothing ever ran.
        Some(Recorded::Unreadable(message, hint)) => {
            let problem = Problem::new(Level::Critical, "catalog", message.clone()).hint(hint.clone());
            return Standing::unknown(policy.name.to_string(), problem);
        }
        None => {
            return Standing::unknown(policy.name.to_string(), Problem::new(Level::Critical, "catalog", "nobody has asked its catalog"));
        }
    };
    if let Some(Unreadable { since, message, hint }) = unreadable {
        standing.unknown = Some(message.clone());
        let problem = Problem::new(Level::Critical, "policy", format!("nothing runs: {message}"));
        standing.problems.retain(|known| known.key != problem.key);
        standing.add(Problem { since: Some(since), hint, ..problem });
    }
    standing
}

fn looked(asked: &Asked, recorded: Option<Recorded>, standing: Standing) -> Looked {
    match recorded {
        Some(Recorded::Record(catalog, record)) => {
            Looked { policy: asked.policy().cloned(), catalog: Some(catalog), record: *record, standing }
        }
        Some(Recorded::Nowhere(_)) => Looked { policy: asked.policy().cloned(), catalog: None, record: OnRecord::default(), standing },
        Some(Recorded::Unreadable(..)) | None => Looked { policy: None, catalog: None, record: OnRecord::default(), standing },
    }
}
