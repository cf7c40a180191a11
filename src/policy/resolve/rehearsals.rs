//! Drills that rehearse a scenario: they restore from the stores that it leaves, and all that it brings back.

use std::collections::BTreeMap;

use super::Resolver;
use crate::policy::file::{Procedure, Recover};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Backup, Drill, DrillRestore, Method, Objectives, Scenario, Wal};
use crate::policy::path::PolicyPath;
use crate::units::Name;

const WRONG_RESTORE: Code = Code(207);

/// What a drill can restore from.
pub(super) struct Kept<'k> {
    pub backups: &'k BTreeMap<Name, Backup>,
    pub wal: Option<&'k Wal>,
}

impl Resolver<'_> {
    /// Where a drill does not say from which store, its scenario does.
    pub(super) fn rehearsals(&mut self, drills: &mut BTreeMap<Name, Drill>, objectives: &Objectives, kept: &Kept<'_>) {
        for (name, drill) in drills {
            let path = PolicyPath::from(["drills", name.as_str()]);
            let Some((scenario, of)) = drill.rehearses.as_ref().and_then(|scenario| objectives.scenarios.get_key_value(scenario)) else {
                continue;
            };
            if drill.promotes_for(of) {
                continue;
            }
            self.rehearses_what_is_done(scenario, of, &path);
            self.rehearses_all_of_it(drill, (scenario, of), kept, &path);
            if !of.from.is_empty() {
                drill.from = self.left(drill, (scenario, of), kept, &path);
            }
        }
    }

    fn rehearses_what_is_done(&mut self, scenario: &Name, of: &Scenario, path: &PolicyPath) {
        if of.by == Some(Procedure::PromoteStandby) {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("rehearses"),
                    format!("`{scenario}` is met by promoting a standby, and this drill promotes none"),
                )
                .hint("Add `promote: {}`, or let it rehearse a scenario in which something is restored.")
                .related(["objectives", "scenarios", scenario.as_str(), "by"].into(), "how it is met"),
            );
        }
    }

    /// A part that comes back quickly says nothing of the whole.
    fn rehearses_all_of_it(&mut self, drill: &Drill, (scenario, of): (&Name, &Scenario), kept: &Kept<'_>, path: &PolicyPath) {
        let (DrillRestore::Latest(job) | DrillRestore::Random(job)) = &drill.restore else { return };
        let Some(backup) = kept.backups.get(job) else { return };
        let said = |what: String, key: &'static str, label: &'static str| {
            Finding::error(WRONG_RESTORE, path.key("rehearses"), what)
                .hint("Rehearse it with a drill of a job that has all of it; `within` limits this one.")
                .related(["objectives", "scenarios", scenario.as_str(), key].into(), label)
        };
        if !of.using.is_empty() && !of.using.iter().any(|used| used == job || base_of(kept.backups, used) == job) {
            let finding =
                said(format!("`{scenario}` is answered by other jobs than `backups.{job}`"), "using", "the jobs that may answer it");
            return self.push(finding);
        }
        let whole = matches!(of.recover, Recover::Cluster | Recover::Database);
        let lacks = match &backup.method {
            Method::Tables(_) if whole => "has chosen tables and nothing else".to_owned(),
            Method::Logical(logical) if logical.lacks().is_some() => format!("is without {}", logical.lacks().unwrap_or_default()),
            // Whoever names a dump knows what is in it; of a cluster nothing may be missing.
            Method::Logical(logical) if logical.is_partial() && (of.recover == Recover::Cluster || of.using.is_empty()) && whole => {
                "leaves tables or schemas out".to_owned()
            }
            Method::Logical(logical) if of.recover == Recover::Cluster => match self.missing_in(logical.databases.as_deref()) {
                Some(missing) => format!("does not dump the database `{missing}`"),
                None => return,
            },
            _ => return,
        };
        let finding =
            said(format!("`backups.{job}` {lacks}: how long it takes says nothing of `{scenario}`"), "recover", "what must come back");
        self.push(finding);
    }

    fn missing_in(&self, dumped: Option<&[String]>) -> Option<String> {
        let databases = self.file.cluster.as_ref().map_or(&[][..], |cluster| cluster.databases.as_slice());
        databases.iter().find(|database| dumped.is_some_and(|dumped| !dumped.contains(database))).cloned()
    }

    /// Of the stores that are left the first that has what the drill restores; one that also gets the log goes before the others.
    fn left(&mut self, drill: &Drill, (scenario, of): (&Name, &Scenario), kept: &Kept<'_>, path: &PolicyPath) -> Option<Name> {
        let place = ["objectives", "scenarios", scenario.as_str(), "from"];
        if let Some(from) = &drill.from {
            if !of.from.contains(from) {
                self.push(
                    Finding::error(WRONG_RESTORE, path.key("from"), format!("`{from}` is not among the stores that `{scenario}` leaves"))
                        .hint("Take it out: a drill restores from the stores of the scenario that it rehearses.")
                        .related(place.into(), "what is left"),
                );
            }
            return Some(from.clone());
        }
        let log: Vec<&Name> = kept.wal.iter().flat_map(|wal| std::iter::once(&wal.store).chain(&wal.copies)).collect();
        let (what, has): (String, Vec<&Name>) = match &drill.restore {
            DrillRestore::PointInTime(_) => ("no log".to_owned(), log.clone()),
            DrillRestore::Latest(job) | DrillRestore::Random(job) => {
                let backup = kept.backups.get(job)?;
                (format!("no backup of `{job}`"), backup.store.iter().chain(backup.copies.iter().map(|copy| &copy.store)).collect())
            }
        };
        let mut left: Vec<&Name> = of.from.iter().filter(|store| has.contains(store)).collect();
        left.sort_by_key(|store| !log.contains(store));
        if left.is_empty() && !has.is_empty() {
            self.push(
                Finding::error(WRONG_RESTORE, path.key("rehearses"), format!("{what} goes to the stores that `{scenario}` leaves"))
                    .hint("Copy it there (`copies`), or let the drill restore what is there.")
                    .related(place.into(), "what is left"),
            );
        }
        left.first().map(|store| (*store).clone())
    }
}

/// Naming an increment names its base as well.
fn base_of<'k>(backups: &'k BTreeMap<Name, Backup>, job: &'k Name) -> &'k Name {
    match backups.get(job).map(|backup| &backup.method) {
        Some(Method::Incremental { of, .. }) => of,
        _ => job,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::policy::document::Document;
    use crate::policy::resolve::resolve;

    /// From where a drill restores that does not say it.
    fn from(scenario: &str, drill: &str) -> Option<String> {
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: [app] }}\n\
             encryption: {{ none: {{ because: a test }} }}\n\
             stores: {{ main: {{ local: {{ path: /a }} }}, near: {{ local: {{ path: /b }} }}, far: {{ local: {{ path: /c }} }} }}\n\
             backups: {{ nightly: {{ physical: {{}}, store: main, copies: [near, far], schedule: {{ at: '02:00' }}, keep: {{ daily: 30 }} }} }}\n\
             wal: {{ store: main, copies: [far], timeout: 60s, keep: 7d }}\n\
             objectives: {{ rpo: 1h, rto: 2h, scenarios: {{ loss: {{ recover: cluster, {scenario} }} }} }}\n\
             drills: {{ one: {{ restore: {{ {drill} }}\n"
        );
        let document = Document::load("t.yaml", Path::new("t.yaml"), &|_| Ok(text.clone().into_bytes()));
        let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
        let policy = resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings));
        policy.drills.values().next().and_then(|drill| drill.from.as_ref()).map(ToString::to_string)
    }

    #[test]
    fn a_drill_restores_from_what_its_scenario_leaves() {
        let latest = |more: &str| format!("latest: nightly }}, rehearses: loss{more} }}");
        assert_eq!(from("from: [near]", &latest("")).as_deref(), Some("near"));
        // Where the log goes too, more comes back.
        assert_eq!(from("from: [near, far]", &latest("")).as_deref(), Some("far"));
        assert_eq!(from("from: [near, far]", "point_in_time: newest }, rehearses: loss }").as_deref(), Some("far"));
        assert_eq!(from("from: [near, far]", &latest(", from: near")).as_deref(), Some("near"));
        assert_eq!(from("by: point-in-time", &latest("")), None);
        assert_eq!(from("from: [near]", "latest: nightly } }"), None);
        // The standby is made of whatever there is.
        assert_eq!(from("from: [near], by: promote-standby", &latest(", promote: {}")), None);
    }
}
