//! A decision held against a plan that somebody has reviewed: what it does not name stays.

use std::collections::{BTreeMap, BTreeSet};

use super::{Doomed, Expiry, Waiting, WhyWaiting};
use crate::units::BackupId;

impl Expiry {
    /// Only what is named goes, and nothing that something builds on which stays. What was to lose its mark loses it: that spares.
    #[must_use]
    pub fn only(self, named: &BTreeSet<BackupId>) -> Expiry {
        let Expiry { mark, unmark, delete, leftovers, mut waiting, braked } = self;
        let is_named = |doomed: &Doomed| named.contains(&doomed.id);
        let (mark, unnamed): (Vec<Doomed>, Vec<Doomed>) = mark.into_iter().partition(is_named);
        waiting.extend(unnamed.into_iter().map(not_named));
        let (leftovers, unnamed): (Vec<Doomed>, Vec<Doomed>) = leftovers.into_iter().partition(is_named);
        waiting.extend(unnamed.into_iter().map(not_named));
        // Children come before their parents.
        let mut keeps: BTreeMap<BackupId, BackupId> = BTreeMap::new();
        let mut going = Vec::new();
        for doomed in delete {
            let why = match keeps.get(&doomed.id) {
                Some(child) => WhyWaiting::Child(child.clone()),
                None if is_named(&doomed) => {
                    going.push(doomed);
                    continue;
                }
                None => WhyWaiting::NotNamed,
            };
            keeps.extend(doomed.parent.clone().map(|parent| (parent, doomed.id.clone())));
            waiting.push(Waiting { doomed, why });
        }
        Expiry { mark, unmark, delete: going, leftovers, waiting, braked }
    }
}

fn not_named(doomed: Doomed) -> Waiting {
    Waiting { doomed, why: WhyWaiting::NotNamed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> BackupId {
        text.parse().expect("an id")
    }

    fn doomed(name: &str, parent: Option<&str>) -> Doomed {
        Doomed { id: id(name), job: "nightly".parse().expect("a name"), parent: parent.map(id), reason: String::new(), bytes: 0 }
    }

    fn ids<'d>(all: impl IntoIterator<Item = &'d Doomed>) -> Vec<&'d str> {
        all.into_iter().map(|doomed| doomed.id.as_str()).collect()
    }

    #[test]
    fn what_is_not_named_stays_with_all_that_it_builds_on() {
        let decided = Expiry {
            mark: vec![doomed("new", None), doomed("other", None)],
            delete: vec![doomed("two", Some("one")), doomed("one", Some("full")), doomed("full", None), doomed("old", None)],
            leftovers: vec![doomed("torn", None), doomed("rest", None)],
            ..Expiry::default()
        };
        // `two` is not named, and builds on what is.
        let named = ["new", "one", "full", "old", "rest"].map(id).into();
        let only = decided.clone().only(&named);
        assert_eq!((ids(&only.mark), ids(&only.delete), ids(&only.leftovers)), (vec!["new"], vec!["old"], vec!["rest"]));
        let why: Vec<(&str, String)> = only.waiting.iter().map(|waiting| (waiting.doomed.id.as_str(), waiting.why.to_string())).collect();
        let not_named = "the reviewed plan does not name it";
        assert_eq!(
            why,
            [
                ("other", not_named.to_owned()),
                ("torn", not_named.to_owned()),
                ("two", not_named.to_owned()),
                ("one", "two builds on it and is still there".to_owned()),
                ("full", "one builds on it and is still there".to_owned()),
            ]
        );
        let nothing = decided.only(&BTreeSet::new());
        assert!(nothing.mark.is_empty() && nothing.delete.is_empty() && nothing.leftovers.is_empty() && nothing.waiting.len() == 8);
    }
}
