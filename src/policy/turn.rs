//! Which hosts a job that runs by the clock may have its turn on.
//!
//! A role is what a host *was* when the policy was written: after a failover the standby is the primary. So what runs "on the
//! primary" or "on a standby" has its turn on every host that may be either, and the run itself looks at the server's role and at
//! the lease; on all but one host it ends at once, with nothing to do.

use super::file::{Host, HostRole, ReadFrom};
use super::model::{Method, Policy, Timed, TimedKind};
use crate::units::Name;

/// This one may run there. A policy without hosts says nothing of that.
pub fn may_run(policy: &Policy, timed: &Timed<'_>, host: &Name) -> bool {
    let name = timed.name();
    let asked_of = match timed.kind {
        TimedKind::Verify => name.and_then(|name| policy.verify.get(name)?.host.as_ref()),
        TimedKind::Drill => name.and_then(|name| policy.drills.get(name)?.host.as_ref()),
        _ => None,
    };
    if let Some(asked) = asked_of {
        return asked == host;
    }
    let Some(about) = policy.hosts.get(host) else { return false };
    let method = method(policy, timed);
    match method.and_then(|method| read_from(policy, method)) {
        Some(_) => is_server(about),
        None => takes_backups(policy, about, method),
    }
}

/// How the job takes its backups, if it does.
fn method<'p>(policy: &'p Policy, timed: &Timed<'_>) -> Option<&'p Method> {
    let backup = policy.backups.get(timed.name().filter(|_| timed.kind == TimedKind::Backup)?)?;
    Some(&backup.method)
}

/// The server that the job says it reads, if it does.
fn read_from(policy: &Policy, method: &Method) -> Option<ReadFrom> {
    match method {
        Method::Physical(physical) => physical.from,
        Method::Logical(logical) => logical.from,
        Method::Incremental { of, .. } => match &policy.backups.get(of)?.method {
            Method::Physical(physical) => physical.from,
            _ => None,
        },
        Method::Tables(_) | Method::Files(_) | Method::Provider(_) | Method::Engine(_) => None,
    }
}

/// The hosts with `backups: true`; without any, those that are or may become the primary, and runners for what they can do. A marked host
/// without the server's files reads them over the replication protocol.
fn takes_backups(policy: &Policy, host: &Host, method: Option<&Method>) -> bool {
    if policy.hosts.values().any(|host| host.backups) {
        return host.backups;
    }
    let beside_server = matches!(method, Some(Method::Physical(_) | Method::Incremental { .. } | Method::Files(_)));
    is_server(host) || (host.role == HostRole::Runner && !beside_server)
}

fn is_server(host: &Host) -> bool {
    matches!(host.role, HostRole::Primary | HostRole::Standby)
}
