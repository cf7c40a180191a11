//! Databases that are not in UTF-8, and those that are in no encoding at all.

use std::fs;

use seawall::execute::table::landing::{CsvTo, Way};

use super::rig::{Two, into, merge, replace, rows, wanted};
use crate::clusters::Version;
use crate::logical::rig::Ground;

/// The byte 0xe9 stands in every row.
const NOTES: &str = "create table notes (id int primary key, v text); insert into notes select k, chr(233) || repeat('x', 200) || k from generate_series(1, 20) k";
/// Each with what a difference shows of that byte, and of 0xe8.
const ENCODINGS: [(&str, &str, &str); 2] = [("LATIN1", "é", "è"), ("SQL_ASCII", "\\351", "\\350")];

fn made(encoding: &str, name: &str) -> String {
    format!("create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'")
}

#[test]
fn what_is_not_in_utf_8_comes_back_as_it_was() {
    let two = Two::new("");
    for (encoding, then, now) in ENCODINGS {
        for (cluster, name) in [(&two.origin, "was"), (&two.live, "shop")] {
            cluster.sql(&format!("drop database {name}"));
            cluster.sql(&made(encoding, name));
        }
        two.then(NOTES);
        two.now(NOTES);
        two.now("update notes set v = chr(232) where id = 3; delete from notes where id = 4");
        let before = two.then(&rows("notes"));
        let (shown, done) = two.shown(&wanted(&[("public", "notes")], merge()), || {});
        let changed = &shown[0].first_changed[0].columns[0];
        assert_eq!(changed.now.as_deref(), Some(now), "{encoding}");
        assert_eq!(changed.then, Some(format!("{then}{}…", "x".repeat(119))), "{encoding}");
        done.expect("it is merged");
        assert_eq!(two.now(&rows("notes")), before, "{encoding}");
        two.now("update notes set v = chr(232) || v");
        two.brings(&wanted(&[("public", "notes")], replace()));
        assert_eq!(two.now(&rows("notes")), before, "{encoding}");
        two.brings(&wanted(&[("public", "notes")], into("aside")));
        assert_eq!(two.now(&rows("aside.notes")), before, "{encoding}");
    }
    // What has no encoding is written as the bytes that it is.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.csv");
    two.then("alter table aside.notes set schema public");
    two.brings(&wanted(&[("public", "notes")], Way::Csv(CsvTo::File(path.clone()))));
    let written = fs::read(path).expect("a file");
    assert_eq!(written.iter().filter(|byte| **byte == 0xe9).count(), 20);
}

#[test]
fn out_of_a_dump_bytes_are_what_they_were() {
    let ground = Ground::new(Version::V15, "");
    ground.rig.cluster.sql("drop database shop");
    ground.rig.cluster.sql(&made("SQL_ASCII", "shop"));
    ground.sql(NOTES);
    let before = ground.sql(&rows("notes"));
    ground.dump();
    ground.sql("update notes set v = chr(232) where id < 5");
    let table = ["restore", "--table", "public.notes", "--job", "dump", "--yes"];
    let say = |more: &[&str]| ground.say(&table.iter().chain(more).copied().collect::<Vec<_>>());
    say(&["--merge"]).ends_with_code(0).says("4 changed");
    assert_eq!(ground.sql(&rows("notes")), before);
    say(&["--into-schema", "aside"]).ends_with_code(0).says("20 rows");
    assert_eq!(ground.sql(&rows("aside.notes")), before);
}
