//! The server: whether it answers, its log on the way into the store, its standbys.

use std::collections::BTreeMap;

use super::{Look, allowed, moment, roots, rough, stores};
use crate::alert::condition::{Condition, State};
use crate::inventory::Observed;
use crate::plan::words::{counted, sentence};
use crate::policy::file::Severity;
use crate::policy::model::Wal;
use crate::units::Duration;

/// A restart is no alert.
const PATIENCE: Duration = Duration::from_mins(5);
const CANARY_PATIENCE: Duration = Duration::from_mins(10);

pub(super) fn look(look: &mut Look<'_>) {
    if look.policy.file.cluster.is_some() {
        let condition = Condition::new(roots::SERVER, Severity::Critical, "the PostgreSQL server does not answer").lasting(PATIENCE);
        let (state, condition) = stores::reach(condition, Some(&look.facts.server));
        look.push(condition.state(state));
        standbys(look);
        canary(look);
    }
    if let Some(wal) = &look.policy.wal {
        self::wal(look, wal);
        owed(look, wal);
        rivals(look);
    }
}

/// A copy that was released beside its original, or an original that was started again. Until one of them is retired nothing comes back by
/// itself: no drill, and no restore that names no timeline.
fn rivals(look: &mut Look<'_>) {
    let facts = look.facts;
    let condition = Condition::new("timelines", Severity::Critical, "two timelines of the cluster go on beside each other");
    let Observed::Known(seen) = &facts.rivals else { return look.push(condition.state(State::Unknown)) };
    let Some(seen) = seen else { return look.push(condition) };
    let text = format!(
        "In {} timeline {} is the newest, and timeline {} was written beside it until {}. No drill and no restore to the newest state works \
         until it is certain which one is meant.",
        seen.store,
        seen.timeline,
        seen.rival,
        moment(look.policy, seen.until)
    );
    look.push(
        condition
            .state(State::Firing)
            .text(text)
            .hint("Stop the server that is not meant, and retire its timeline: docs/restore.md, \"Two timelines\", says how.")
            .fact("newest", seen.timeline)
            .fact("beside it", seen.rival),
    );
}

/// What a copy's store is to get and refuses: the first store has it, so nothing waits, and nobody else would tell of it.
fn owed(look: &mut Look<'_>, wal: &Wal) {
    let nobody = BTreeMap::new();
    for store in &wal.copies {
        let because = look.cause([roots::store(store)]);
        let hosts = look.facts.owed.get(store).unwrap_or(&nobody);
        let title = format!("the copy of the log in {store} has a gap that no waiting closes");
        let condition = Condition { because, ..Condition::new(format!("wal_owed:{store}"), Severity::Warning, title) };
        let of = |(host, files): (&String, &u64)| {
            format!(
                "{host} has archived {} that it refuses or that cannot be brought there.",
                counted(usize::try_from(*files).unwrap_or(usize::MAX), "file")
            )
        };
        let text: Vec<String> = hosts.iter().map(of).collect();
        let where_: Vec<&str> = hosts.keys().map(String::as_str).collect();
        let condition = condition
            .firing_if(!hosts.is_empty())
            .text(text.join(" "))
            .hint(format!(
                "Run `seawall wal status` on {}: it says why. What only {} has is lost with that store.",
                where_.join(", "),
                wal.store
            ))
            .fact("files", hosts.values().sum::<u64>());
        look.push(condition);
    }
}

fn wal(look: &mut Look<'_>, wal: &Wal) {
    let Some(limit) = allowed::wal_lag(look.policy) else { return };
    let because = look.cause([roots::store(&wal.store), roots::SERVER.to_owned()]);
    let known = look.known("wal", None, &look.facts.wal, because.clone());
    let condition = Condition { because, ..limit.condition("wal_lag", "the log is not archived") };
    let Some(seen) = known else { return look.push(condition.state(State::Unknown)) };
    let lag = seen.waiting_since.map_or(Duration::ZERO, |since| Duration::between(since, look.now));
    let mut condition = Condition { title: format!("written data has not been archived for {}", rough(lag)), ..condition }
        .firing_if(lag > limit.value)
        .hint("Run `seawall wal status`: it says what waits and why. What is not archived is lost with this host.")
        .fact("lag", lag)
        .fact("limit", limit.value)
        .fact("segments waiting", seen.waiting);
    if let Some(last) = seen.last_archived {
        condition = condition.fact("last archived", moment(look.policy, last));
    }
    if let Some(error) = &seen.error {
        condition = condition.text(sentence(error));
    }
    look.push(condition);
}

/// Drills can only find the row where somebody writes it.
fn canary(look: &mut Look<'_>) {
    if look.policy.file.canary.is_none() {
        return;
    }
    let because = look.cause([roots::SERVER.to_owned()]);
    let condition = Condition::new("canary", Severity::Warning, "the canary is not written").lasting(CANARY_PATIENCE);
    let condition = Condition { because: because.clone(), ..condition };
    let Some(seen) = &look.facts.canary else { return look.push(condition.state(State::Unknown)) };
    let Some(seen) = look.known("canary", None, seen, because) else { return look.push(condition.state(State::Unknown)) };
    let condition = condition.firing_if(seen.error.is_some()).text(seen.error.as_deref().map(sentence).unwrap_or_default());
    let hint = seen.hint.as_deref().filter(|hint| !hint.is_empty());
    look.push(condition.hint(hint.unwrap_or("Without it a drill cannot show that what was written after the base backup comes back.")));
}

fn standbys(look: &mut Look<'_>) {
    let Some(limit) = allowed::replication_lag(look.policy) else { return };
    let because = look.cause([roots::SERVER.to_owned()]);
    let Some(standbys) = look.known("standbys", None, &look.facts.standbys, because.clone()) else {
        look.all_unknown("replication_lag");
        return look.all_unknown("cannot_look:standbys.");
    };
    for (name, lag) in standbys {
        let known = look.known(&format!("standbys.{name}"), None, lag, because.clone()).copied();
        let condition = limit.condition(format!("replication_lag:{name}"), format!("the standby {name} is behind"));
        let condition = Condition { because: because.clone(), ..condition };
        look.push(match known {
            None => condition.state(State::Unknown),
            Some(lag) => Condition { title: format!("the standby {name} is {} behind", rough(lag)), ..condition }
                .firing_if(lag > limit.value)
                .hint("Look at `pg_stat_replication` on the primary, and at the standby's log.")
                .fact("lag", lag)
                .fact("limit", limit.value),
        });
    }
}
