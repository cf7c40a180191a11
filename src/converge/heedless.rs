//! Jobs of somebody's own whose text takes rows away and looks at no hold. It is only a text: what it would take, nobody knows before it runs, so it is
//! said and nothing is changed.

use std::collections::BTreeSet;

use super::database::{Database, table_words};
use super::drops::holds_cut;
use crate::inventory::{Held, JobKind, Observed, TableName, TimescaleState};
use crate::plan::words::{joined, plain, quoted};
use crate::policy::model::Policy;
use crate::units::Instant;

/// A job that may take held rows away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heedless {
    pub id: i32,
    /// Without a full stop.
    pub says: String,
}

impl Heedless {
    pub const HINT: &str = "Let it leave out what `seawall.legal_hold` names, or pause it (`alter_job(ID, scheduled => false)`) while the hold \
                            stands; with `retain` in the policy, Seawall drops around holds.";
}

/// The jobs of a database that would run by themselves.
pub fn heedless(policy: &Policy, name: &str, state: &TimescaleState, held: Option<&Observed<Held>>, now: Instant) -> Vec<Heedless> {
    let database = Database::new(name, state, held);
    let own = state.jobs.iter().filter(|job| job.does == JobKind::Other && job.scheduled && !job.removes.is_empty());
    let mut all = Vec::new();
    for job in own {
        let tables = state.hypertables.iter().map(|one| &one.table).chain(state.continuous_aggregates.iter().map(|one| &one.view));
        let meant = tables.filter(|table| job.names.is_empty() || job.names.contains(table));
        // By whatever it goes, a hold that stands may be cut.
        let held = |table: &TableName| holds_cut(policy, &database, table, None, now).into_iter().map(|one| one.name.to_string());
        let cut: Vec<(String, BTreeSet<String>)> =
            meant.map(|table| (table_words(table), held(table).collect::<BTreeSet<_>>())).filter(|(_, holds)| !holds.is_empty()).collect();
        let Some((table, holds)) = cut.first() else { continue };
        let more = if cut.len() > 1 { format!(" and of {} more", cut.len() - 1) } else { String::new() };
        let which = if job.names.is_empty() { "it does not say of which tables" } else { "it looks at no hold" };
        let (procedure, removes) = (plain(&job.procedure), joined(job.removes.iter().map(quoted)));
        let says = format!(
            "the text of job {}, {procedure}, has {removes}, and {which}: rows of {table}{more} are held by {}",
            job.id,
            joined(holds)
        );
        all.push(Heedless { id: job.id, says });
    }
    all
}
