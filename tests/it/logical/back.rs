//! `seawall restore --into-database`: everything, some of it, and what it refuses.

use super::rig::{EVERYTHING, Ground, connect, hashes, sql_in};
use crate::clusters::{Cluster, Options, Version};

#[test]
fn into_a_new_database_row_by_row() {
    for (from, logical, jobs) in [(Version::V13, "", "1"), (Version::V15, "jobs: 3", "2")] {
        let ground = Ground::new(from, logical);
        ground.sql(EVERYTHING);
        let dump = ground.dump();
        let target = Cluster::start(Version::V18, Options::default().with("lc_monetary = 'C'"));
        let (connection, programs) = (target.conninfo(), Version::V18.programs().display().to_string());
        let words = ["restore", "--into-database", "it's \"back\"", "--create", "--jobs", jobs, "--connection", &connection];
        let words: Vec<&str> = words.into_iter().chain(["--programs", &programs, "--yes"]).collect();
        let said = ground.say(&words).ends_with_code(0);
        assert!(said.out.contains(dump.descriptor.id.as_str()) && said.out.contains("as many as in the dump"), "{}", said.out);
        assert_eq!(hashes(&target, "it's \"back\""), hashes(&ground.rig.cluster, "shop"));
        assert_eq!(sql_in(&target, "it's \"back\"", "select count(*) > 0 from pg_stats where tablename = 'wide'"), "t");
        // Once more, it is there.
        ground.say(&words).ends_with_code(1).says("is there already");
    }
}

#[test]
fn what_is_in_use_is_left_alone_and_what_fails_leaves_no_database() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    ground.dump();
    let into = |database: &str, more: &[&str]| {
        let words = ["restore", "--into-database", database, "--yes"];
        ground.say(&words.iter().chain(more).copied().collect::<Vec<_>>())
    };
    into("nowhere", &[]).ends_with_code(1).says("--create");
    into("shop", &[]).ends_with_code(1).says("in the database `shop`");
    ground.rig.cluster.sql("create database used");
    let other = connect(&ground.rig.cluster, "used");
    into("used", &[]).ends_with_code(1).says("1 session is connected");
    drop(other);
    ground.rig.cluster.wait_until("not exists (select from pg_stat_activity where datname = 'used')");
    into("used", &["--table", "wide"]).ends_with_code(0).says("4000 in 1 table, as many as in the dump");
    assert_eq!(sql_in(&ground.rig.cluster, "used", "select count(*) from wide"), "4000");
    // A role that is not there.
    ground.rig.cluster.sql("create role \"gone; --\"");
    ground.sql("alter table hen owner to \"gone; --\"");
    ground.dump();
    ground.sql("alter table hen owner to postgres");
    ground.rig.cluster.sql("drop role \"gone; --\"");
    into("back", &["--create"]).ends_with_code(1).says("--no-owner").says("needs the role `gone; --`");
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname ~ 'back|seawall'"), "0");
    into("back", &["--create", "--no-owner"]).ends_with_code(0);
    assert_eq!(hashes(&ground.rig.cluster, "back"), hashes(&ground.rig.cluster, "shop"));
    // What is not what was signed does not reach the server.
    ground.rig.shell_as_root(
        "for f in store/*/data/*/dump-00001.pgdump.zst.age; do chmod u+w $f; printf damaged | dd of=$f bs=1 seek=4000 conv=notrunc 2>/dev/null; done",
    );
    into("other", &["--create"]).ends_with_code(1).says("SHA-256");
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname ~ 'other|seawall'"), "0");
}
