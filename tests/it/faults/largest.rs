//! A server with the largest segments that PostgreSQL allows.

use std::fs;
use std::process::Command;

use super::chance::is_long;
use super::killing::prove_everything;
use crate::clusters::{Options, Version};
use crate::restore::rig::{Rig, said};

/// More than this no command takes, in KiB.
const MEMORY: u64 = 128 << 10;

/// Calls a command and writes down the most memory it had.
fn measured(rig: &Rig, command: &str) -> String {
    format!("/usr/bin/time -a -o {} -f %M {command}", rig.path("memory").display())
}

#[test]
fn segments_of_a_gigabyte() {
    if !is_long() {
        crate::skipped::skipped("segments_of_a_gigabyte: in the long lane only");
        return;
    }
    let options = Options { segment_mb: 1024, ..Options::default() };
    let options = options.with("min_wal_size = 2GB").with("max_wal_size = 4GB").with("wal_keep_size = 0");
    let rig = Rig::start(Version::V17, options);
    rig.write("memory", "");
    rig.cluster.add_conf(&format!("archive_command = '{}'", measured(&rig, &rig.push()).replace("%M", "%%M")));
    rig.cluster.reload();
    rig.series();
    rig.backup();
    rig.load(20);
    let (moment, rows) = (rig.after_row(15), rig.hash(15));
    rig.cluster.sql("create table much as select n, md5(n::text) as v from generate_series(1, 2000000) n");
    rig.archive();
    let name = rig.cluster.sql("select last_archived_wal from pg_stat_archiver");
    let number = rig.cluster.sql("select system_identifier from pg_control_system()");
    let fetch =
        rig.command(&["wal", "fetch", &name, rig.path("got").to_str().expect("text"), "--system-identifier", &number, "--no-prefetch"]);
    let words: Vec<String> =
        [fetch.get_program()].into_iter().chain(fetch.get_args()).map(|word| word.to_string_lossy().into_owned()).collect();
    let answer = said(Command::new("sh").arg("-c").arg(measured(&rig, &words.join(" "))).current_dir("/").output().expect("it runs"));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let own = fs::read(rig.cluster.data().join("pg_wal").join(&name)).expect("it is done, and still there");
    assert!(own.len() == 1 << 30 && own == fs::read(rig.path("got")).expect("it was fetched"));
    prove_everything(&rig, &[]);
    let restored = rig.bring_back("r", &["--to", &moment]);
    assert_eq!(restored.hash(), rows);
    restored.stop();
    let memory = fs::read_to_string(rig.path("memory")).expect("figures");
    let most = memory.lines().map(|line| line.parse::<u64>().unwrap_or_else(|_| panic!("{memory}"))).max();
    println!("{} commands, at most {most:?} KiB", memory.lines().count());
    assert!(memory.lines().count() > 2 && most.is_some_and(|most| most < MEMORY), "{memory}");
}
