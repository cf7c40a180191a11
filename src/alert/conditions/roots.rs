//! When a store or the server does not answer, much else follows. People are told of the cause, with a list of what follows.

use std::collections::BTreeMap;

use crate::alert::condition::{Condition, State};
use crate::plan::copy_sources;
use crate::policy::model::{Method, Policy};
use crate::units::Name;

/// How many of the things that follow are named.
const NAMED: usize = 10;

pub(super) fn store(name: &Name) -> String {
    format!("store:{name}")
}
pub(super) const SERVER: &str = "server";

/// The keys of what a job needs, by its path: when one of them is wrong the job can but fail.
pub(in crate::alert) fn roots_of(policy: &Policy, job: &str) -> Vec<String> {
    let (section, name) = job.split_once('.').unwrap_or((job, ""));
    let stores: Vec<&Name> = match section {
        "backups" => policy.backups.get(name).and_then(|backup| backup.store.as_ref()).into_iter().collect(),
        "verify" => policy.verify.get(name).map(|verify| verify.stores.iter().collect()).unwrap_or_default(),
        "drills" => policy.drills.get(name).and_then(|drill| drill.from.as_ref()).into_iter().collect(),
        "expire" => policy.stores.keys().collect(),
        "copies" => {
            let both = policy.stores.get_key_value(name).into_iter().flat_map(|(to, _)| std::iter::once(to).chain(sources(policy, to)));
            both.collect()
        }
        _ => policy.archives.iter().find(|archive| archive.path.to_string() == job).map(|archive| &archive.store).into_iter().collect(),
    };
    let reads_the_server = match section {
        "backups" => policy.backups.get(name).is_some_and(|backup| !matches!(backup.method, Method::Files(_) | Method::Provider(_))),
        "archive" | "timescaledb" => true,
        _ => false,
    };
    stores.into_iter().map(store).chain(reads_the_server.then(|| SERVER.to_owned())).collect()
}

pub(super) fn sources<'p>(policy: &'p Policy, to: &Name) -> Vec<&'p Name> {
    copy_sources(policy, to).into_iter().map(|source| source.store).collect()
}

/// A cause is as urgent as the worst that follows from it, and names what does.
pub(super) fn gather(conditions: &mut [Condition]) {
    let mut following: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, condition) in conditions.iter().enumerate().filter(|(_, condition)| condition.state == State::Firing) {
        if let Some(root) = &condition.because {
            following.entry(root.clone()).or_default().push(at);
        }
    }
    for (root, following) in following {
        let severity = following.iter().map(|at| conditions[*at].severity).min();
        let named: Vec<String> = following.iter().take(NAMED).map(|at| conditions[*at].title.clone()).collect();
        let more = following.len() - named.len();
        let Some(root) = conditions.iter_mut().find(|condition| condition.key == root) else { continue };
        root.severity = severity.map_or(root.severity, |severity| severity.min(root.severity));
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        root.text = format!("{} From this follows: {}{more}.", root.text, named.join("; ")).trim().to_owned();
    }
}
