//! The server: whether it answers, its log on the way into the store, its standbys.

use super::limit::Limit;
use super::{Look, moment, roots, rough, sentence, stores};
use crate::alert::condition::{Condition, State};
use crate::policy::file::Severity;
use crate::policy::model::Wal;
use crate::units::Duration;

/// A restart is no alert.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) fn look(look: &mut Look<'_>) {
    if look.policy.file.cluster.is_some() {
        let condition = Condition::new(roots::SERVER, Severity::Critical, "the PostgreSQL server does not answer").lasting(PATIENCE);
        let (state, condition) = stores::reach(condition, Some(&look.facts.server));
        look.push(condition.state(state));
        standbys(look);
    }
    if let Some(wal) = &look.policy.wal {
        self::wal(look, wal);
    }
}

/// Without a threshold: the RPO, but never less than archiving is allowed to take; without an RPO twice `wal.timeout` and 5 minutes.
fn wal(look: &mut Look<'_>, wal: &Wal) {
    let longest = wal.timeout * 2;
    let value = look.policy.objectives.rpo.map_or(longest + Duration::from_mins(5), |rpo| rpo.max(longest));
    let default = Limit { value, lasting: Duration::ZERO, severity: Severity::Critical };
    let Some(limit) = Limit::of(look.thresholds.wal_lag.as_ref(), Some(default)) else { return };
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

/// Without a threshold: the RPO; without that standbys are not watched.
fn standbys(look: &mut Look<'_>) {
    let default = look.policy.objectives.rpo.map(|value| Limit { value, lasting: Duration::from_mins(2), severity: Severity::Warning });
    let Some(limit) = Limit::of(look.thresholds.replication_lag.as_ref(), default) else { return };
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
