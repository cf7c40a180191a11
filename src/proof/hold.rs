//! Nothing that the policy itself orders takes away what a hold protects.

use super::facts::{Facts, store};
use crate::policy::file::{Date, LifecycleDeletes};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Method, Policy, RowHold};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::units::{Name, Period, nearest};

const CUT_THROUGH: Code = Code(501);
const UNKNOWN_TABLE: Code = Code(508);
const LIFECYCLE: Code = Code(510);

/// A rule that takes rows out of a table when they reach an age.
struct Removal<'p> {
    path: PolicyPath,
    database: &'p str,
    table: &'p str,
    after: Period,
    by: By,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Seawall moves them, and asks the holds.
    Archive,
    /// Seawall drops them in place of the database's own job, and asks the holds.
    Table,
}

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let today = facts.today();
    if facts.policy.row_holds.values().any(|hold| hold.stands_on(today)) {
        let removals = removals(facts.policy);
        for (name, hold) in facts.policy.row_holds.iter().filter(|(_, hold)| hold.stands_on(today)) {
            let path = PolicyPath::from(["holds", name.as_str(), "rows"]);
            let cuts = removals.iter().filter(|removal| removal.is_of(hold));
            findings.extend(cuts.filter_map(|removal| removal.cut(name, hold, &path, facts)));
            unknown_table(facts.policy, hold, &path, findings);
        }
    }
    lifecycle(facts, findings);
}

fn removals(policy: &Policy) -> Vec<Removal<'_>> {
    let mut removals = Vec::new();
    for (database, timescale) in &policy.file.timescaledb {
        let path = PolicyPath::from(["timescaledb", database.as_str()]);
        let tables = timescale.hypertables.iter().map(|(table, written)| ("hypertables", table, written.retain));
        let views = timescale.continuous_aggregates.iter().map(|(view, written)| ("continuous_aggregates", view, written.retain));
        for (section, table, retain) in tables.chain(views) {
            if let Some(after) = retain {
                let path = path.key(section).key(table).key("retain");
                removals.push(Removal { path, database, table, after, by: By::Table });
            }
        }
    }
    removals.extend(policy.archives.iter().map(|archive| Removal {
        path: archive.path.key("after"),
        database: &archive.database,
        table: &archive.table,
        after: archive.after,
        by: By::Archive,
    }));
    removals
}

impl Removal<'_> {
    fn is_of(&self, hold: &RowHold) -> bool {
        self.database == hold.database && sql_name::same_table(self.table, &hold.table)
    }

    /// The hold stands when the first of its rows would go.
    fn cut(&self, name: &Name, hold: &RowHold, path: &PolicyPath, facts: &Facts<'_>) -> Option<Finding> {
        let zone = &facts.policy.zone;
        let beginning = |date: Date| date.0.to_zoned(zone.time_zone().clone()).ok().map(|start| start.timestamp());
        let first = hold.from.and_then(beginning);
        // Where no first day is held, the oldest rows there are go today.
        let gone = first.map_or(facts.now, |first| self.after.after(first, zone.time_zone()).max(facts.now));
        let until = hold.until.and_then(beginning);
        if until.is_some_and(|until| gone >= until) {
            return None;
        }
        let (verb, away) = if self.by == By::Archive { ("moves", " out of the database") } else { ("drops", "") };
        let when = match hold.from {
            None => format!("{verb} rows that have become {} old{away}", self.after),
            Some(from) if gone <= facts.now => format!("{verb} rows of {}{away} at once", from.0),
            Some(from) => format!("{verb} rows of {}{away} on {}", from.0, zone.wall_clock(gone).date()),
        };
        let until_when = hold.until.map_or("without an end".to_owned(), |until| format!("until {}", until.0));
        let what = format!("{when}, and `holds.{name}` holds them {until_when}");
        let finding = match self.by {
            By::Table => Finding::warning(CUT_THROUGH, self.path.clone(), format!("{what}: what is held stays")).hint(
                "Run `seawall apply`: it takes the database's own job away, which looks at nothing but the age, and Seawall drops around the hold.",
            ),
            By::Archive => Finding::note(CUT_THROUGH, self.path.clone(), format!("{what}: what is held stays"))
                .hint("Nothing has to be done: the rest moves when the hold has ended."),
        };
        Some(finding.label("cuts through a hold").related(path.clone(), "the hold"))
    }
}

/// Nothing else in the policy speaks of the table: misspelt, or simply kept for ever.
fn unknown_table(policy: &Policy, hold: &RowHold, path: &PolicyPath, findings: &mut Vec<Finding>) {
    let known = known_tables(policy, &hold.database);
    if known.iter().any(|table| sql_name::same_table(table, &hold.table)) {
        return;
    }
    let hint = match nearest(&hold.table, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "Check its name; nothing in the policy removes rows of such a table.".into(),
    };
    let message = format!("nothing else in the policy speaks of `{}`", crate::units::clipped(&hold.table));
    findings.push(Finding::note(UNKNOWN_TABLE, path.key("table"), message).hint(hint));
}

fn known_tables<'p>(policy: &'p Policy, database: &str) -> Vec<&'p str> {
    let alone = policy.databases.len() <= 1;
    let here = |named: &Option<String>| named.as_ref().map_or(alone, |named| named == database);
    let timescale = policy.file.timescaledb.get(database);
    let tables = timescale.into_iter().flat_map(|timescale| timescale.hypertables.keys().chain(timescale.continuous_aggregates.keys()));
    let archives = policy.archives.iter().filter(|archive| archive.database == database).map(|archive| &archive.table);
    let dumps = policy.backups.values().filter_map(|backup| match &backup.method {
        Method::Tables(tables) if here(&tables.database) => Some(&tables.tables),
        _ => None,
    });
    let tiers = policy.objectives.data.values().filter(|tier| here(&tier.database)).filter_map(|tier| tier.tables.as_ref());
    tables.chain(archives).chain(dumps.flatten()).chain(tiers.flatten()).map(String::as_str).collect()
}

/// A store that deletes by rules of its own knows nothing of holds.
fn lifecycle(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    let careless = policy.stores.iter().filter(|(_, store)| {
        let accepted = store.posture.as_ref().is_some_and(|posture| posture.lifecycle_deletes == Some(LifecycleDeletes::Accepted));
        accepted && store.immutable.is_none()
    });
    for (name, _) in careless {
        let held = policy.backup_holds.iter().filter(|hold| hold.is_active(facts.now)).find(|hold| {
            let selected = |job: &&Name| hold.selects.jobs.is_empty() || hold.selects.jobs.contains(job);
            policy.backups.keys().filter(selected).any(|job| policy.stores_of(job).contains(&name))
        });
        let Some(hold) = held else { continue };
        let message = format!("the store may delete by its own rules what `holds.{}` holds", hold.name);
        findings.push(
            Finding::warning(LIFECYCLE, store(name).key("posture").key("lifecycle_deletes"), message)
                .hint("Write `none` and remove such rules from the bucket, or lock its objects with `immutable`.")
                .related(PolicyPath::from(["holds", hold.name.as_str(), "backups"]), "the hold"),
        );
    }
}
