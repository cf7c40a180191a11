//! A dump under load, in a copy alone, and in a store that is full.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::meanwhile::around;
use super::rig::{EVERYTHING, Ground, connect, hashes, sql_in};
use crate::clusters::Version;

const TABLES: [&str; 3] = ["wide", "wider", "egg"];

/// One line for each table, as it reads.
fn hash_of(table: &str) -> String {
    format!(
        "select '{table} ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text collate pg_catalog.ucs_basic)), '-') from {table} t"
    )
}

/// What others write comes and goes; what is dumped is what one moment had, in all pieces.
#[test]
fn under_load_it_has_the_rows_of_its_snapshot() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    // In the snapshot of each piece, and after rows have changed behind it.
    let look = TABLES.map(|table| format!("-c \"{}\"", hash_of(table))).join(" ");
    let before = format!(
        "id=$(printf %s \"$*\" | sed 's/.*--snapshot=\\([^ ]*\\).*/\\1/'); sleep 0.3; {}/psql -X -q -A -t -d shop -c 'begin isolation level repeatable read' \
         -c \"set transaction snapshot '$id'\" {look} > {}/moment-$$",
        Version::V15.programs().display(),
        ground.file("moments").display()
    );
    ground.rig.shell("mkdir moments");
    around(&ground, &before, ":");
    let (over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let dump = thread::scope(|scope| {
        for own in 0..2 {
            let (ground, over, written) = (&ground, &over, &written);
            scope.spawn(move || {
                let mut session = connect(&ground.rig.cluster, "shop");
                for round in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let (id, new) = (1 + (round * 37 + own * 11) % 3000, 1_000_000 + round * 2 + own);
                    let sql = format!(
                        "begin; update wide set text = text || '{round}' where id = {id}; delete from wider where id = {id}; \
                         insert into wider values ({new}, 'new'); insert into egg values ({new}, null); commit"
                    );
                    session.run(&sql).expect("written");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while written.load(Ordering::Relaxed) < 10 {
            thread::yield_now();
        }
        let dump = ground.say(&["backup", "dump"]);
        over.store(true, Ordering::Relaxed);
        dump
    });
    dump.ends_with_code(0);
    let moments = ground.rig.shell("cat moments/moment-* | sort -u; ls moments | wc -l");
    let (moment, pieces) = moments.rsplit_once('\n').expect("lines");
    assert!(pieces.parse::<usize>().expect("a number") >= 2, "the definitions and rows: {moments}");
    ground.say(&["restore", "--into-database", "back", "--create", "--jobs", "2", "--yes"]).ends_with_code(0);
    let read = |database: &str| {
        let mut lines = TABLES.map(|table| sql_in(&ground.rig.cluster, database, &hash_of(table))).to_vec();
        lines.sort();
        lines.join("\n")
    };
    let mut moment: Vec<&str> = moment.lines().collect();
    moment.sort_unstable();
    assert_eq!(read("back"), moment.join("\n"));
    assert_ne!(read("shop"), read("back"), "others have written since");
}

/// The first store is gone, with everything in it.
#[test]
fn out_of_the_copy_alone_it_comes_back() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    let before = hashes(&ground.rig.cluster, "shop");
    let off = ground.file("off");
    fs::create_dir(&off).expect("a folder");
    ground.rig.cluster.account().own(&off);
    ground.change("stores: { ", &format!("stores: {{ off: {{ local: {{ path: {}, other_device: false }} }}, ", off.display()));
    ground.change("schedule: { at: \"03:00\" }", "store: disk, copies: [off], schedule: { at: \"03:00\" }");
    ground.change("keep: { daily: 7 }", "keep: { daily: 7 }, store: disk");
    let id = ground.dump().descriptor.id.to_string();
    ground.say(&["copy"]).ends_with_code(0);
    ground.rig.shell_as_root("rm -rf store");
    ground.say(&["verify", "--store", "off", "--deep"]).ends_with_code(0);
    ground.say(&["restore", "--into-database", "back", "--create", "--jobs", "2", "--store", "off", "--yes"]).ends_with_code(0).says(&id);
    assert_eq!(hashes(&ground.rig.cluster, "back"), before);
    // Without the name of the store too: what cannot be asked is said.
    ground.say(&["restore", "--into-database", "again", "--create", "--yes"]).ends_with_code(0).says("store `disk` may have a newer one");
    assert_eq!(hashes(&ground.rig.cluster, "again"), before);
    ground
        .say(&["restore", "--table", "wide", "--job", "dump", "--csv", "-", "--store", "off", "--yes"])
        .ends_with_code(0)
        .says("4000 rows");
}

#[test]
fn a_store_that_is_full_leaves_nothing_that_looks_complete() {
    for logical in ["", "jobs: 2"] {
        let ground = Ground::new(Version::V15, logical);
        ground.sql(EVERYTHING);
        // What compresses to nothing fills nothing.
        ground.sql("create table large as select k, sha512((k || random()::text)::bytea) as v from generate_series(1, 60000) k");
        ground.rig.shell_as_root("mount -t tmpfs -o size=3m,uid=$(id -u postgres) none store");
        let said = ground.say(&["backup", "dump"]);
        let left = ground.rig.shell("find store -path '*/backups/*.json' | wc -l");
        let listed = ground.say(&["list"]);
        // With room it is as if nothing had been.
        ground.rig.shell_as_root("mount -o remount,size=200m store");
        let again = [&["backup", "dump"][..], &["verify", "--deep"]].map(|words| ground.say(words));
        ground.rig.shell_as_root("umount store");
        let said = said.ends_with_code(1);
        assert!(said.err.contains("No space left") || said.err.contains("full"), "{}", said.err);
        assert_eq!(left, "0");
        assert!(listed.out.contains("0 complete backups"), "{}", listed.out);
        for said in again {
            said.ends_with_code(0);
        }
    }
}
