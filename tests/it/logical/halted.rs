//! A restore that is killed, cut off, or has no room: nothing half-made has the final name, nothing goes on by itself, and the next one succeeds.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::rig::{EVERYTHING, Ground, hashes, sql_in};
use crate::clusters::{Options, Version};
use crate::drill::killed::ours;
use crate::faults::small::Small;
use crate::run::rig::Said;
use crate::servers::proxy::Proxy;

const MADE: &str = "select count(*) from pg_database where datname = 'back' or datname like 'seawall\\_restore\\_%'";
const IDLE: &str = "not exists (select from pg_stat_activity where application_name ~ 'pg_restore|seawall' and pid <> pg_backend_pid())";

fn into(ground: &Ground, more: &[&str]) -> Said {
    ground.say(&[&["restore", "--into-database", "back", "--create", "--yes"], more].concat())
}

/// Those that fill this database.
fn clients_at_work(made: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("processes").filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    let words = processes.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    words.filter(|words| words.contains("pg_restore ") && words.contains(made)).count()
}

/// Behind the rows it reads nothing any more, so that what feeds it is gone would not end it.
#[test]
fn killed_while_indexes_are_made_its_programs_end_with_it() {
    for logical in ["", "jobs: 2"] {
        let ground = Ground::new(Version::V15, logical);
        let gate = ground.file("gate");
        ground.sql(&format!(
            "create function slow(n int) returns int language plpgsql immutable as $$ begin \
             while (pg_catalog.pg_stat_file('{}', true)).size is not null loop perform pg_catalog.pg_sleep(0.05); end loop; return n; end $$; \
             create table t (n int); insert into t values (1); create index on t (slow(n)); create index on t (slow(n + 1))",
            gate.display()
        ));
        ground.dump();
        fs::write(&gate, "closed").expect("a file");
        ground.rig.cluster.account().own(&gate);
        let words = ["restore", "--into-database", "back", "--create", "--yes", "--jobs", "1"];
        let mut child = ground.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
        let process = ours(&child);
        ground.rig.cluster.wait_until("exists (select from pg_stat_activity where query like 'CREATE INDEX%' and wait_event = 'PgSleep')");
        let made = ground.rig.cluster.sql("select datname from pg_database where datname like 'seawall\\_restore\\_%'");
        assert_eq!(clients_at_work(&made), 1);
        kill_process(process, Signal::KILL).expect("it lives");
        child.wait().expect("its end");
        let deadline = Instant::now() + Duration::from_secs(120);
        while clients_at_work(&made) > 0 {
            assert!(Instant::now() < deadline, "pg_restore goes on without seawall");
            std::thread::sleep(Duration::from_millis(50));
        }
        fs::remove_file(&gate).expect("it was there");
        // What the server was told in its last moment it still does.
        ground.rig.cluster.wait_until(IDLE);
        assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname = 'back'"), "0");
        into(&ground, &[]).ends_with_code(0).says("is of a restore that did not come to its end");
        assert_eq!(sql_in(&ground.rig.cluster, "back", "select count(*) from pg_indexes where tablename = 't'"), "2");
    }
}

/// The line to the server is cut after ever more answers.
#[test]
fn cut_off_at_any_moment_it_has_no_name() {
    for logical in ["", "jobs: 2"] {
        let ground = Ground::with(Version::V15, Options::default().with("lc_monetary = 'C'").over_tcp(), logical);
        ground.sql(EVERYTHING);
        ground.dump();
        let proxy = Proxy::to(ground.rig.cluster.port());
        let line = format!("host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable", proxy.port);
        let (mut failed, mut cut) = (0, 0);
        for after in [1, 400, 600, 800, 1_200, 2_000, 4_000, 8_000] {
            proxy.cut(after, 1);
            let said = into(&ground, &["--jobs", "2", "--connection", &line]);
            // What was not cut is not cut later.
            proxy.cut(0, 0);
            let was_cut = proxy.cuts_made() > cut;
            cut = proxy.cuts_made();
            ground.rig.cluster.wait_until(IDLE);
            let is_there = ground.rig.cluster.sql("select count(*) from pg_database where datname = 'back'") == "1";
            if said.code == Some(0) {
                assert!(is_there, "{}", said.err);
            } else {
                assert!(was_cut, "{}", said.err);
                failed += 1;
                // With its name it has everything, and only who asked does not know.
                assert!(!is_there || said.err.contains("back"), "{}", said.err);
            }
            if is_there {
                assert_eq!(hashes(&ground.rig.cluster, "back"), hashes(&ground.rig.cluster, "shop"), "after {after}");
                ground.rig.cluster.sql("drop database back");
            }
        }
        assert!(failed > 0, "nothing was cut");
        into(&ground, &["--jobs", "2", "--connection", &line]).ends_with_code(0);
        assert_eq!(hashes(&ground.rig.cluster, "back"), hashes(&ground.rig.cluster, "shop"));
    }
}

#[test]
fn without_room_on_the_server_it_leaves_nothing_and_succeeds_later() {
    for logical in ["", "jobs: 2"] {
        let ground = Ground::new(Version::V15, logical);
        let place = ground.file("ts-small");
        let Some(small) = Small::mount(&place, "64m") else { return };
        ground.rig.cluster.account().own(&place);
        ground.rig.cluster.sql(&format!("create tablespace small location '{}'", place.display()));
        ground.sql("create table plain (n int); insert into plain values (1)");
        ground.sql("create table large (k int primary key, text text) tablespace small");
        ground.sql("insert into large select k, repeat(md5(k::text), 20) from generate_series(1, 12000) k; analyze");
        ground.dump();
        small.fill(2 << 20);
        let said = into(&ground, &[]).ends_with_code(1).says("No space left on device");
        assert!(said.err.contains("the database that was made for it is gone again"), "{}", said.err);
        assert_eq!(ground.rig.cluster.sql(MADE), "0");
        small.make_room();
        into(&ground, &[]).ends_with_code(0);
        let sum = "select md5(string_agg(text, ',' order by k)) from large";
        assert_eq!(sql_in(&ground.rig.cluster, "back", sum), ground.sql(sum));
        drop(ground);
    }
}

/// Hours lie in the rows: they stay.
#[test]
fn without_room_for_an_index_the_rows_stay_and_the_next_one_succeeds() {
    let ground = Ground::new(Version::V15, "");
    let place = ground.file("ts-small");
    let Some(small) = Small::mount(&place, "64m") else { return };
    ground.rig.cluster.account().own(&place);
    ground.rig.cluster.sql(&format!("create tablespace small location '{}'", place.display()));
    ground.sql(
        "create table large (k int, text text); insert into large select k, md5(k::text) || md5((-k)::text) || md5(k || 'x') from generate_series(1, 60000) k",
    );
    ground.sql("create index on large (text) tablespace small");
    ground.dump();
    small.fill(2 << 20);
    let said = into(&ground, &[]).ends_with_code(1).says("No space left on device");
    let left = ground.rig.cluster.sql("select datname from pg_database where datname like 'seawall\\_restore\\_%'");
    assert!(said.err.contains(&format!("every row is in the database `{left}` and was counted, and it stays")), "{}", said.err);
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname = 'back'"), "0");
    let sum = "select md5(string_agg(text, ',' order by k)) from large";
    assert_eq!(sql_in(&ground.rig.cluster, &left, sum), ground.sql(sum));
    small.make_room();
    into(&ground, &[]).ends_with_code(0).says("is of a restore that did not come to its end");
    assert_eq!(sql_in(&ground.rig.cluster, "back", "select count(*) from pg_indexes where tablename = 'large'"), "1");
    assert_eq!(sql_in(&ground.rig.cluster, "back", sum), ground.sql(sum));
    drop(ground);
}
