//! Which jobs a host has to be ready for.

use crate::policy::model::{Policy, Timed, TimedKind};
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

/// The policy is this host's concern: it names the host, or no hosts at all.
pub fn concerns(policy: &Policy, host: &str) -> bool {
    policy.hosts.is_empty() || policy.hosts.contains_key(host)
}

/// This job, which runs by the clock, has its timer on that host. Duties are people's, so they are every host's.
pub fn has_turn(policy: &Policy, timed: &Timed<'_>, host: &str) -> bool {
    let known = policy.hosts.get_key_value(host).map(|(name, _)| name);
    policy.hosts.is_empty() || known.is_some_and(|host| timed.kind == TimedKind::Duty || may_run(policy, timed, host))
}
