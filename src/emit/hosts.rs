//! Which jobs a host has to be ready for.

use crate::policy::file::HostRole;
use crate::policy::model::{Encryption, Policy, Timed, TimedKind};
use crate::policy::turn::may_run;
use crate::units::Name;

/// Everything that runs by the clock on this host. Duties are people's: `seawall watch` reminds of them.
pub(super) fn jobs<'p>(policy: &'p Policy, host: Option<&Name>) -> Vec<Timed<'p>> {
    let timed = policy.timed().into_iter().chain(policy.copying()).filter(|timed| timed.kind != TimedKind::Duty);
    match host.filter(|_| !policy.hosts.is_empty()) {
        Some(host) => timed.filter(|timed| may_run(policy, timed, host)).collect(),
        None => timed.collect(),
    }
}

/// Where archived rows are read back that the host which exports them cannot open: on the verifiers, or, without any, where backups are restored.
pub(super) fn reads_archives_back(policy: &Policy, host: Option<&Name>) -> bool {
    let has_identity = policy.encryption.as_ref().and_then(Encryption::identity).is_some();
    let Some(host) = host.and_then(|host| policy.hosts.get(host)).filter(|_| has_identity && !policy.archives.is_empty()) else {
        return false;
    };
    let has_verifier = policy.hosts.values().any(|host| host.role == HostRole::Verifier);
    host.role == if has_verifier { HostRole::Verifier } else { HostRole::Staging }
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
