use std::path::PathBuf;
use std::sync::Arc;

use super::Progress;
use crate::inventory::DrillChoice;
use crate::policy::file::DrillMoment;
use crate::policy::model::{Drill, DrillRestore};
use crate::recovery::Target;
use crate::units::{BackupId, Name};

/// What somebody wants otherwise than the policy says, for this once.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub backup: Option<BackupId>,
    pub target: Option<Target>,
    /// A moment by chance.
    pub random: bool,
    pub store: Option<Name>,
    pub identity: Option<PathBuf>,
    /// The copy stays, and its server runs on.
    pub keep: bool,
    pub workers: Option<usize>,
    /// PostgreSQL's own programs, where they are not where they usually are.
    pub programs: Option<PathBuf>,
    /// For whoever watches.
    pub progress: Option<Arc<Progress>>,
}

impl Wishes {
    /// What of it is not what the policy says: with any of that it is another drill.
    pub fn choices(&self, drill: &Drill) -> Vec<DrillChoice> {
        let by_chance = matches!(drill.restore, DrillRestore::PointInTime(DrillMoment::Random));
        let chosen = [
            (DrillChoice::Backup, self.backup.is_some()),
            (DrillChoice::Moment, self.target.is_some() || (self.random && !by_chance)),
            (DrillChoice::Store, self.store.as_ref().is_some_and(|store| drill.from.as_ref() != Some(store))),
        ];
        chosen.into_iter().filter_map(|(choice, is_made)| is_made.then_some(choice)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(restore: &str, more: &str) -> Drill {
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: [app] }}\n\
             encryption: {{ none: {{ because: a test }} }}\n\
             stores: {{ main: {{ local: {{ path: /a }} }}, far: {{ local: {{ path: /b }} }} }}\n\
             backups: {{ nightly: {{ physical: {{}}, store: main, copies: [far], schedule: {{ at: '02:00' }}, keep: {{ daily: 30 }} }} }}\n\
             wal: {{ store: main, copies: [far], timeout: 60s, keep: 7d }}\ndrills: {{ one: {{ restore: {{ {restore} }}{more} }} }}\n"
        );
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.clone().into_bytes()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        let policy = resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings));
        policy.drills.into_values().next().expect("a drill")
    }

    #[test]
    fn what_the_policy_says_itself_is_no_choice() {
        let store = |name: &str| Wishes { store: Some(name.parse().expect("a name")), ..Wishes::default() };
        let random = Wishes { random: true, ..Wishes::default() };
        let latest = drill("latest: nightly", "");
        assert_eq!(Wishes { keep: true, workers: Some(2), ..Wishes::default() }.choices(&latest), []);
        assert_eq!(
            Wishes { backup: Some("20261101T020000Z-7f3c".parse().expect("an id")), ..store("far") }.choices(&latest),
            [DrillChoice::Backup, DrillChoice::Store]
        );
        assert_eq!(Wishes { target: Some(Target::Latest), ..Wishes::default() }.choices(&latest), [DrillChoice::Moment]);
        assert_eq!(random.choices(&latest), [DrillChoice::Moment]);
        assert_eq!(random.choices(&drill("point_in_time: random", "")), []);
        assert_eq!(random.choices(&drill("point_in_time: newest", "")), [DrillChoice::Moment]);
        let far = drill("latest: nightly", ", from: far");
        assert_eq!((store("far").choices(&far), store("main").choices(&far)), (vec![], vec![DrillChoice::Store]));
    }
}
