//! Tables that hardly anybody has.

use std::fs;

use seawall::execute::table::landing::{CsvTo, Way};

use super::rig::{Two, into, replace, rows, wanted};
use crate::clusters::Version;

/// There are rows all the same.
#[test]
fn a_table_without_columns() {
    const BARE: &str = "create table bare (); insert into bare select from generate_series(1, 3); \
        create table computed (one int generated always as (1) stored); insert into computed select from generate_series(1, 3)";
    for (then, now) in [(Version::V15, Version::V15), (Version::V13, Version::V18)] {
        let two = Two::of(then, now, BARE);
        for table in ["bare", "computed"] {
            two.now(&format!("insert into {table} select from generate_series(1, 2)"));
            let whole = wanted(&[("public", table)], replace());
            let (landed, _) = two.brings(&whole);
            assert_eq!((landed[0].rows, landed[0].added, landed[0].removed), (3, 3, 5), "{table} of {then}");
            let count = |name: &str| two.now(&format!("select count(*) from {name}"));
            assert_eq!((count(table), count(&format!("replaced.{table}"))), ("3".into(), "5".into()));
            let undo = landed[0].undo.as_deref().expect("a way back");
            two.now(&format!("insert into {table} select"));
            assert!(two.session().run(undo).expect_err("a row came since").message.contains("were written since"));
            two.now(&format!("truncate {table}; insert into {table} select from generate_series(1, 3)"));
            two.now(undo);
            assert_eq!(count(table), "5");
            two.now("drop schema replaced cascade");
            let (landed, _) = two.brings(&wanted(&[("public", table)], into("aside")));
            assert_eq!((landed[0].rows, two.now(&rows(&format!("aside.{table}")))), (3, two.then(&rows(&format!("aside.{table}")))));
        }
        // Rows of nothing are no lines of anything.
        let folder = tempfile::tempdir().expect("a folder");
        let to = |name: &str| Way::Csv(CsvTo::File(folder.path().join(name)));
        two.then("set search_path = aside; alter table bare set schema public; alter table computed set schema public");
        let refused = two.refuses(&wanted(&[("public", "bare")], to("bare")));
        assert!(refused.message.contains("has no columns, and rows without columns are none as CSV"), "{refused}");
        assert!(refused.hint.contains("--into-schema") && !folder.path().join("bare").exists(), "{}", refused.hint);
        two.brings(&wanted(&[("public", "computed")], to("computed")));
        assert_eq!(fs::read_to_string(folder.path().join("computed")).expect("a file"), "one\n1\n1\n1\n");
    }
}
