//! Stores: whether they answer, and how full they are.

use super::{Look, allowed, roots};
use crate::alert::condition::{Condition, State};
use crate::alert::facts::{Answers, StoreFacts};
use crate::inventory::Observed;
use crate::plan::words::sentence;
use crate::policy::file::Severity;
use crate::policy::model;
use crate::units::{Duration, Name, Percent};

/// A store that does not answer for a moment is nothing unusual.
const PATIENCE: Duration = Duration::from_mins(10);
/// From here on it is urgent, unless the policy says how urgent it is.
const FULL: Percent = Percent::new(95);

pub(super) fn look(look: &mut Look<'_>) {
    for (name, store) in &look.policy.stores {
        let seen = look.facts.stores.get(name);
        answers(look, name, seen);
        used(look, name, store, seen);
    }
}

fn answers(look: &mut Look<'_>, name: &Name, seen: Option<&StoreFacts>) {
    let policy = look.policy;
    let first = policy.backups.values().any(|backup| backup.store.as_ref() == Some(name));
    let log = policy.wal.as_ref().is_some_and(|wal| wal.store == *name);
    let severity = if first || log { Severity::Critical } else { Severity::Warning };
    let condition = Condition::new(roots::store(name), severity, format!("the store {name} does not answer")).lasting(PATIENCE);
    let (state, condition) = reach(condition, seen.map(|seen| &seen.answers));
    look.push(condition.state(state).fact("place", policy.stores.get(name).map(|store| store.kind.url()).unwrap_or_default()));
}

/// What answering, or not, means for a condition that says it does not.
pub(super) fn reach(condition: Condition, answers: Option<&Answers>) -> (State, Condition) {
    match answers {
        Some(Answers::Yes) => (State::Quiet, condition),
        Some(Answers::No { since, error, hint }) => {
            let hint = hint.clone().unwrap_or_else(|| "See whether this host can reach it, and whether its credentials still hold.".into());
            (State::Firing, condition.since(Some(*since)).text(sentence(error)).hint(hint))
        }
        Some(Answers::Unknown { .. }) | None => (State::Unknown, condition),
    }
}

fn used(look: &mut Look<'_>, name: &Name, store: &model::Store, seen: Option<&StoreFacts>) {
    let Some(capacity) = store.capacity.filter(|capacity| capacity.get() > 0) else { return };
    let because = look.cause([roots::store(name)]);
    let written = look.thresholds.storage_used.as_ref();
    let limit = allowed::storage_used(look.policy);
    let seen = seen.map_or_else(|| Observed::unknown("nobody has looked"), |seen| seen.used.clone());
    let known = look.known(&format!("stores.{name}.used"), None, &seen, because).copied();
    let condition = limit.condition(format!("storage_used:{name}"), format!("the store {name} fills up"));
    let Some(used) = known else { return look.push(condition.state(State::Unknown)) };
    let tenths = u128::from(used.get()) * 1_000 / u128::from(capacity.get());
    let share = format!("{}.{}%", tenths / 10, tenths % 10);
    let severity = if written.is_none() && tenths >= u128::from(FULL.tenths()) { Severity::Critical } else { limit.severity };
    look.push(
        Condition { severity, title: format!("the store {name} is {share} full"), ..condition }
            .firing_if(tenths > u128::from(limit.value.tenths()))
            .hint(format!(
                "Give it more room and write that as `stores.{name}.capacity`, or keep less: `seawall plan` shows what expiry would remove."
            ))
            .fact("used", used)
            .fact("capacity", capacity)
            .fact("limit", limit.value),
    );
}
