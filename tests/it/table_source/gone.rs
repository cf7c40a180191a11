//! What is not there is said in words that help.

use seawall::recovery::Target;

use super::rig::Tables;
use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;

#[test]
fn what_is_not_there_is_explained() {
    let rig = Rig::start(Version::V15, Options { segment_mb: 1, ..Options::default() });
    rig.cluster
        .sql("create table orders (id int); create table clients (id int); create table people (id int); create view open as select 1");
    rig.cluster.sql("create unlogged table fleeting as select 1 as one");
    rig.backup();
    rig.cluster.sql("drop table orders; alter table clients rename to customers");
    rig.archive();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    let fault = |name: &str, target: Target| {
        let fault = tables.hold(&tables.wanted(&[name], target)).expect_err("it is not there");
        format!("{fault} / {}", fault.hint)
    };
    let early = Target::Immediate(None);
    for (name, target, words) in [
        // Refused before the log is replayed.
        ("public.peopel", Target::Latest, "Did you mean `public.people`?"),
        ("public.people2", early.clone(), "Did you mean `public.people`?"),
        ("public.nothing_like_it", early, "Check the name"),
        ("shop.people", Target::Latest, "Did you mean `public.people`?"),
        // Known only at the moment.
        ("public.nothing_like_it", Target::Latest, "and was not when backup"),
        ("public.orders", Target::Latest, "it was dropped after backup"),
        ("public.clients", Target::Latest, "it is `public.customers`"),
        ("public.open", Target::Latest, "a view"),
    ] {
        let said = fault(name, target);
        assert!(said.contains(words), "{name}: {said}");
        tables.nothing_is_left();
    }
    let mut wanted = tables.wanted(&["public.peopel"], Target::Latest);
    wanted.made_later = true;
    let said = tables.hold(&wanted).expect_err("it was not").hint;
    assert!(said.contains("Did you mean `public.people`?"), "{said}");
    wanted = tables.wanted(&["public.orders"], Target::Latest);
    wanted.database = Some("postgers".to_owned());
    assert!(tables.hold(&wanted).expect_err("it is not there").hint.contains("`postgres`"));
    let got = tables.hold(&tables.wanted(&["public.fleeting"], Target::Latest)).expect("it is there");
    assert_eq!(got.sql("select count(*) from fleeting"), "0");
    assert!(got.held.flaws.iter().any(|flaw| flaw.contains("unlogged")), "{:?}", got.held.flaws);
}
