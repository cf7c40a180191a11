//! Which hosts may run what. With hosts in the policy, what none of them may run does not run at all.

use super::comparison::Comparison;
use super::consequence::Consequence;
use super::words::plain;
use crate::policy::model::{Policy, Timed, TimedKind};
use crate::policy::path::PolicyPath;
use crate::policy::turn::may_run;

impl Comparison<'_> {
    pub fn turns(&mut self) {
        let (old, new) = (self.old, self.new);
        let before = timed(old);
        for job in timed(new).into_iter().filter(|job| !has_a_turn(new, job)) {
            if before.iter().any(|before| before.path == job.path && has_a_turn(old, before)) {
                let code = if matches!(job.kind, TimedKind::Drill | TimedKind::Verify) { 909 } else { 914 };
                let message = format!("`{}` has its turn on no host any more: none of `cluster.hosts` may run it", plain(&job.path));
                let consequence = Consequence::warning(code, PolicyPath::from(["cluster", "hosts"]), message);
                self.warn(consequence.hint("Name the servers as well, or mark the host that is to run it with `backups: true`."));
            }
        }
    }
}

/// What runs on hosts: duties are people's.
fn timed(policy: &Policy) -> Vec<Timed<'_>> {
    policy.timed().into_iter().chain(policy.copying()).filter(|timed| timed.kind != TimedKind::Duty).collect()
}

/// Without hosts in the policy, every host that has it.
fn has_a_turn(policy: &Policy, timed: &Timed<'_>) -> bool {
    policy.hosts.is_empty() || policy.hosts.keys().any(|host| may_run(policy, timed, host))
}
