//! Deletions under a plan that somebody has reviewed.

use std::collections::BTreeMap;

use seawall::execute::expire::Wishes;

use super::rig::{Ground, day, ids, later};

#[test]
fn nothing_is_deleted_that_the_plan_does_not_name() {
    let mut ground = Ground::keeping("{ last: 6 }");
    ground.add("expire: { brake: 100% }\n");
    for number in 0..8 {
        ground.backup(&format!("n{number:02}"), &day(number), number as u64 + 1);
    }
    let store = ground.fixture.site().policy.stores.keys().next().expect("a store").clone();
    let wishes = |names: &[&str]| {
        let named = names.iter().map(|name| name.parse().expect("an id")).collect();
        Wishes { only: Some(BTreeMap::from([(store.clone(), named)])), ..Wishes::default() }
    };
    let noon = later(&day(7), 10);
    let marked = ground.expire_as(&noon, wishes(&["n01", "n07", "gone"])).expect("it begins");
    assert_eq!(ids(&marked.marked), ["n01"], "{marked:?}");
    let waiting: Vec<&str> = marked.waiting.iter().map(|deed| deed.reason.as_str()).collect();
    assert!(waiting.iter().any(|why| why.contains("the reviewed plan does not name it")), "{waiting:?}");
    let said = marked.remarks.join("\n");
    assert!(
        said.contains("the plan names n07, which stays: kept: the newest good backup of `nightly`")
            && said.contains("gone, which is not there any more"),
        "{said}"
    );
    // Both are ripe by now, and only one is named.
    ground.expire(&noon);
    let ripe = later(&noon, 25);
    let deleted = ground.expire_as(&ripe, wishes(&["n00"])).expect("it begins");
    assert_eq!(ids(&deleted.deleted), ["n00"], "{deleted:?}");
    assert!(ground.there().contains(&"n01".to_owned()));
    // In a store of which the plan says nothing, nothing goes.
    let nothing = ground.expire_as(&ripe, Wishes { only: Some(BTreeMap::new()), ..Wishes::default() }).expect("it begins");
    assert!(nothing.deleted.is_empty() && nothing.marked.is_empty(), "{nothing:?}");
    assert_eq!(ids(&ground.expire(&ripe).deleted), ["n01"]);
}
