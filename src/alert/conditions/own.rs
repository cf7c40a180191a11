//! Seawall's own state: the policy, the catalog's past, the clock, expiry, the share of runs that succeed.

use super::{Look, allowed};
use crate::alert::condition::{Condition, State};
use crate::inventory::Observed;
use crate::plan::words::{counted, sentence};
use crate::policy::file::{Event, Severity};
use crate::units::Duration;

const SKEWED_BADLY: Duration = Duration::from_mins(5);

pub(super) fn look(look: &mut Look<'_>) {
    policy(look);
    replaced(look);
    clock(look);
    expiry(look);
    success_rate(look);
}

fn policy(look: &mut Look<'_>) {
    let condition = Condition::new("policy", Severity::Critical, "the policy cannot be read: nothing runs").event(Event::Failed);
    look.push(match &look.facts.unreadable {
        None => condition,
        Some(fault) => condition
            .state(State::Firing)
            .since(Some(fault.since))
            .text(format!("{} This message follows the rules of the last policy that could be read.", sentence(&fault.message)))
            .hint(fault.hint.clone().unwrap_or_else(|| "Run `seawall validate` on it.".into())),
    });
}

fn replaced(look: &mut Look<'_>) {
    let condition = Condition::new("catalog_replaced", Severity::Critical, "the catalog is not the one that it was");
    look.push(match &look.facts.replaced {
        None => condition,
        Some(replaced) => condition
            .state(State::Firing)
            .since(Some(replaced.since))
            .text(format!(
                "{} What it knew and does not know now cannot be known again: runs, measurements, acknowledgements, messages that were not \
                 delivered. The links that are missing are in the store, in `audit/`.",
                sentence(&replaced.message)
            ))
            .hint("If you know why, say so with `seawall ack catalog_replaced`. If nobody does, find out who can write to the catalog."),
    });
}

/// A clock that nobody could compare is no alert of its own: what answers nothing is reported already.
fn clock(look: &mut Look<'_>) {
    let condition = Condition::new("clock", Severity::Warning, "this host's clock is wrong").lasting(Duration::from_mins(5));
    look.push(match &look.facts.clock_skew {
        Observed::Unknown { .. } => condition.state(State::Unknown),
        Observed::Known(skew) => {
            let severity = if *skew >= SKEWED_BADLY { Severity::Critical } else { Severity::Warning };
            Condition { severity, title: format!("this host's clock is off by {skew}"), ..condition }
                .firing_if(*skew > allowed::CLOCK_SKEW)
                .text("Ages, schedules and retention are reckoned by it; expiry deletes nothing while it is minutes off.")
                .hint("Mend time synchronisation on this host, for example with `chronyc makestep`.")
                .fact("limit", allowed::CLOCK_SKEW)
        }
    });
}

fn expiry(look: &mut Look<'_>) {
    let condition = Condition::new("expire_braked", Severity::Warning, "expiry waits for somebody's consent").job("expire");
    look.push(match &look.facts.braked {
        None => condition,
        Some(braked) => condition
            .state(State::Firing)
            .since(Some(braked.since))
            .text(format!(
                "It would delete {} of {}, more than `expire.brake` allows at once.",
                counted(usize::try_from(braked.backups).unwrap_or(usize::MAX), "backup"),
                braked.of
            ))
            .hint("Look at `seawall plan`. If all of that may go, run `seawall ack expire_braked`.")
            .fact("brake", look.policy.expire.brake),
    });
    let condition = Condition::new("expire_locked", Severity::Info, "expiry waits for locks to end").job("expire");
    look.push(match &look.facts.locked {
        Observed::Unknown { .. } => condition.state(State::Unknown),
        Observed::Known(locked) => condition
            .firing_if(*locked > 0)
            .text("Backups that may go are still locked in their store. They are deleted when the locks end.")
            .fact("locked objects", locked),
    });
}

fn success_rate(look: &mut Look<'_>) {
    let Some(limit) = allowed::success_rate(look.policy) else { return };
    let condition = limit.condition("success_rate", "too few runs succeed");
    look.push(match &look.facts.runs {
        Observed::Unknown { .. } => condition.state(State::Unknown),
        Observed::Known(runs) if runs.all == 0 => condition,
        Observed::Known(runs) => {
            let tenths = u128::from(runs.succeeded) * 1_000 / u128::from(runs.all);
            Condition { title: format!("{}.{}% of the last 30 days' runs succeeded", tenths / 10, tenths % 10), ..condition }
                .firing_if(tenths < u128::from(limit.value.tenths()))
                .hint("`seawall history` shows which runs failed, and why.")
                .fact("succeeded", runs.succeeded)
                .fact("runs", runs.all)
                .fact("limit", limit.value)
        }
    });
}
