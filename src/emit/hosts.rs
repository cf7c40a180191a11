//! Which jobs a host has to be ready for.
//!
//! A role is what a host *was* when the policy was written: after a failover the standby is the primary. So what runs "on the
//! primary" or "on a standby" has its timer on every host that may be either, and the run itself looks at the server's role and at
//! the lease; on all but one host it ends at once, with nothing to do.

use crate::policy::file::{Host, HostRole, ReadFrom};
use crate::policy::model::{Method, Policy, Timed, TimedKind};
use crate::policy::path::Step;
use crate::units::Name;

/// Everything that runs by the clock on this host. Duties are people's: `seawall watch` reminds of them.
pub(super) fn jobs<'p>(policy: &'p Policy, host: Option<&Name>) -> Vec<Timed<'p>> {
    let timed = policy.timed().into_iter().chain(policy.copying()).filter(|timed| timed.kind != TimedKind::Duty);
    match host.filter(|_| !policy.hosts.is_empty()) {
        Some(host) => timed.filter(|timed| may_run(policy, timed, host)).collect(),
        None => timed.collect(),
    }
}

/// The policy is this host's concern: it names the host, or no hosts at all.
pub fn concerns(policy: &Policy, host: &str) -> bool {
    policy.hosts.is_empty() || policy.hosts.contains_key(host)
}

/// This job, which runs by the clock, has its timer on that host. Duties are people's, so they are every host's.
pub fn has_turn(policy: &Policy, timed: &Timed<'_>, host: &str) -> bool {
    let known = policy.hosts.get_key_value(host).map(|(name, _)| name);
    policy.hosts.is_empty() || known.is_some_and(|host| timed.kind == TimedKind::Duty || may_run(policy, timed, host))
}

fn may_run(policy: &Policy, timed: &Timed<'_>, host: &Name) -> bool {
    let name = named(timed);
    let asked_of = match timed.kind {
        TimedKind::Verify => name.and_then(|name| policy.verify.get(name)?.host.as_ref()),
        TimedKind::Drill => name.and_then(|name| policy.drills.get(name)?.host.as_ref()),
        _ => None,
    };
    if let Some(asked) = asked_of {
        return asked == host;
    }
    let Some(about) = policy.hosts.get(host) else { return false };
    match name.and_then(|name| read_from(policy, name)).filter(|_| timed.kind == TimedKind::Backup) {
        Some(_) => is_server(about),
        None => takes_backups(policy, about, needs_server(policy, timed)),
    }
}

/// `backups.nightly` is named `nightly`.
pub(super) fn named<'t>(timed: &'t Timed<'_>) -> Option<&'t str> {
    match timed.path.steps() {
        [_, Step::Key(name)] => Some(name),
        _ => None,
    }
}

/// The server that the job says it reads, if it does.
fn read_from(policy: &Policy, name: &str) -> Option<ReadFrom> {
    match &policy.backups.get(name)?.method {
        Method::Physical(physical) => physical.from,
        Method::Logical(logical) => logical.from,
        Method::Incremental { of, .. } => match &policy.backups.get(of)?.method {
            Method::Physical(physical) => physical.from,
            _ => None,
        },
        Method::Tables(_) | Method::Files(_) | Method::Provider(_) | Method::Engine(_) => None,
    }
}

/// The hosts with `backups: true`; without any, those that are or may become the primary, and runners for what they can do.
fn takes_backups(policy: &Policy, host: &Host, needs_server: bool) -> bool {
    if policy.hosts.values().any(|host| host.backups) {
        return host.backups;
    }
    is_server(host) || (host.role == HostRole::Runner && !needs_server)
}

/// It reads the files of a server beside it.
fn needs_server(policy: &Policy, timed: &Timed<'_>) -> bool {
    let method = named(timed).and_then(|name| policy.backups.get(name)).map(|backup| &backup.method);
    timed.kind == TimedKind::Backup && matches!(method, Some(Method::Physical(_) | Method::Incremental { .. } | Method::Files(_)))
}

fn is_server(host: &Host) -> bool {
    matches!(host.role, HostRole::Primary | HostRole::Standby)
}
