//! More than one place, and not all of them on the server.

use super::facts::{Facts, job, store};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Backup, Method, Policy, StoreKind};
use crate::policy::path::PolicyPath;
use crate::units::{DumpSection, Name};

const ONE_COPY: Code = Code(604);
const ONLY_LOCAL: Code = Code(605);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if only_local(facts, findings) {
        return;
    }
    one_copy(facts, findings);
}

/// Every backup lies in a directory: what takes the server may take the backups.
fn only_local(facts: &Facts<'_>, findings: &mut Vec<Finding>) -> bool {
    let policy = facts.policy;
    let mut reached: Vec<&Name> = facts.scheduled().flat_map(|(name, ..)| policy.stores_of(name)).collect();
    if reached.is_empty() {
        return false;
    }
    reached.extend(policy.wal.iter().flat_map(|wal| std::iter::once(&wal.store).chain(&wal.copies)));
    reached.sort_unstable();
    reached.dedup();
    let near = |name: &&Name| {
        policy.stores.get(*name).is_some_and(|store| matches!(store.kind, StoreKind::Local(_)) && store.replicated.is_none())
    };
    if !reached.iter().all(near) {
        return false;
    }
    let (path, which) = match reached.as_slice() {
        [only] => (store(only), "a local directory"),
        _ => (PolicyPath::from(["stores"]), "local directories"),
    };
    findings.push(
        Finding::warning(ONLY_LOCAL, path, format!("every backup lies in {which}, and goes with the server if it does"))
            .on_key()
            .hint("Add a store elsewhere and name it in `copies`; if the directory is another machine's, say so with `replicated`."),
    );
    true
}

/// What holds the most of the data should be in two places. A dump beside a physical backup that is needs no second copy of
/// its own, nor do increments, which are worth as much as their base.
fn one_copy(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    let ranked = || facts.scheduled().filter_map(|(name, backup, _)| Some((rank(&backup.method)?, name, backup)));
    let Some(widest) = ranked().map(|(rank, ..)| rank).max() else { return };
    let foremost: Vec<(&Name, &Backup)> = ranked().filter(|(rank, ..)| *rank == widest).map(|(_, name, backup)| (name, backup)).collect();
    if !foremost.iter().any(|(_, backup)| has_second(policy, backup)) {
        let [(name, backup), others @ ..] = foremost.as_slice() else { return };
        let place = backup.store.as_ref().map_or(String::new(), |store| format!(" beside the one in `stores.{store}`"));
        let finding = Finding::warning(ONE_COPY, job(name), format!("there is no second copy{place}"))
            .on_key()
            .hint("Add `copies: [STORE]` with one in another account and region, or say `replicated` if the store copies by itself.");
        findings.push(others.iter().fold(finding, |finding, (other, _)| finding.related(job(other), "nor is there one of these")));
        return;
    }
    if let Some(wal) = &policy.wal
        && widest == PHYSICAL
        && wal.copies.is_empty()
        && !replicates(policy, &wal.store)
    {
        let message = format!("there is no second copy of the log beside the one in `stores.{}`", wal.store);
        findings.push(
            Finding::warning(ONE_COPY, PolicyPath::from(["wal"]), message)
                .on_key()
                .hint("Add `copies: [STORE]`: without the log only the moments of backups can be recovered elsewhere."),
        );
    }
}

const PHYSICAL: u8 = 3;

/// How much of the data a kind of backup holds; none for what is not written by this program, or only adds to another.
fn rank(method: &Method) -> Option<u8> {
    match method {
        Method::Physical(_) => Some(PHYSICAL),
        // Definitions hold no data.
        Method::Logical(logical) if !logical.has(DumpSection::Data) => Some(0),
        // Rows that nothing says how to make tables for.
        Method::Logical(logical) if !logical.has(DumpSection::PreData) => Some(1),
        Method::Logical(_) => Some(2),
        Method::Tables(_) => Some(1),
        Method::Files(_) => Some(0),
        Method::Incremental { .. } | Method::Provider(_) | Method::Engine(_) => None,
    }
}

fn has_second(policy: &Policy, backup: &Backup) -> bool {
    !backup.copies.is_empty() || backup.store.as_ref().is_some_and(|store| replicates(policy, store))
}

fn replicates(policy: &Policy, store: &Name) -> bool {
    policy.stores.get(store).is_some_and(|store| store.replicated.is_some())
}
