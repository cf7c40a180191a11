//! docs/restore-without-seawall.md, command by command as it is written there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::rig::{Restored, Rig, said};
use crate::clusters::{Options, Version};
use crate::timescale::place::some_natives;

const PAGE: &str = include_str!("../../../docs/restore-without-seawall.md");

/// The page's shell blocks, in order.
fn blocks() -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match line {
            "```sh" => {
                inside = true;
                blocks.push(String::new());
            }
            "```" => inside = false,
            _ if inside => {
                let block = blocks.last_mut().expect("one was begun");
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// The first block with other values: the same names, no more and no less.
fn with_values(block: &str, programs: &Path, values: &[(&str, String)]) -> String {
    let mut used = 0;
    let mut text = String::new();
    for line in block.lines() {
        let name = line.split_once('=').map(|(name, _)| name).filter(|name| values.iter().any(|(known, _)| known == name));
        match name {
            Some(name) => {
                used += 1;
                let value = &values.iter().find(|(known, _)| *known == name).expect("it was found a line ago").1;
                text.push_str(&format!("{name}='{value}'\n"));
            }
            None if line.contains("export PATH=") => text.push_str(&format!("export PATH={}:$PATH\n", programs.display())),
            None => {
                assert!(line.starts_with("set ") || line.starts_with("umask "), "a value that the test does not know: {line}");
                text.push_str(&format!("{line}\n"));
            }
        }
    }
    assert_eq!(used, values.len());
    text
}

#[test]
fn the_page_works_as_it_is_written() {
    let rig = Rig::start(Version::V15, Options::default());
    let policy = rig.path("policy.yaml");
    let more = format!(
        "backups:\n  dump: {{ logical: {{}}, schedule: {{ at: \"03:00\" }}, keep: {{ daily: 7 }} }}\n  \
         system: {{ files: {{ paths: [{}] }}, schedule: {{ at: \"04:00\" }}, keep: {{ daily: 7 }} }}\n",
        policy.display()
    );
    rig.change_policy("backups:\n", &more);
    rig.series();
    rig.cluster.tablespace("fast");
    rig.cluster.sql("create table there (n int) tablespace fast");
    rig.cluster.sql("insert into there select generate_series(1, 1000)");
    rig.load(20);
    rig.backup();
    // What lies beside it is newer, and none that a cluster can come from.
    for job in ["dump", "system"] {
        let said = rig.seawall(&["backup", job]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    }
    rig.load(20);
    let (moment, rows) = (rig.after_row(30), rig.hash(30));
    rig.cluster.sql("drop table there");
    rig.archive();
    let restored = by_hand(&rig, &moment, "zst.age", &[]);
    assert_eq!((restored.hash(), restored.sql("select count(*) from there")), (rows, "1000".into()));
}

/// Step by step, with nothing of ours.
pub fn by_hand(rig: &Rig, moment: &str, ending: &str, environment: &[(&str, &str)]) -> Restored {
    let before = rig.cluster.sql(&format!("select to_char(timestamptz '{moment}' at time zone 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')"));
    let repository = fs::read_dir(rig.path("store"))
        .expect("a store")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join("repository.json").exists());
    let text = |path: std::path::PathBuf| path.to_str().expect("text").to_owned();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port();
    let values = [
        ("repository", text(repository.expect("a repository"))),
        ("identity", text(rig.path("identity.txt"))),
        ("ending", ending.to_owned()),
        ("writer", fs::read_to_string(rig.path("state/keys/signing.pub")).expect("a key").trim().to_owned()),
        ("data", text(rig.path("by-hand"))),
        ("moment", moment.to_owned()),
        // The page's words are exact to the second; the backup ended in the same one, perhaps.
        ("before", before.replace('Z', "Z~")),
        ("tablespaces_to", text(rig.path("spaces"))),
        ("port", port.to_string()),
    ];
    let mut blocks = blocks();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    blocks[0] = with_values(&blocks[0], &rig.cluster.programs(), &values);
    rig.write("by-hand.sh", &blocks.concat());
    let mut command = rig.cluster.account().command("bash");
    let answer = said(command.arg(rig.path("by-hand.sh")).envs(environment.iter().copied()).output().expect("it runs"));
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    for word in ["Good \"seawall-backup\" signature", "backup successfully verified"] {
        assert!(answer.out.contains(word), "{word}: {}", answer.out);
    }
    let restored = rig.running("by-hand", port);
    // The page's last word is that it was started.
    restored.wait_until("not pg_is_in_recovery()");
    restored
}

/// A job that is due when the copy starts would drop what it was brought back for.
#[test]
fn a_copy_by_hand_keeps_the_chunks_of_its_hypertables() {
    for programs in some_natives("a_copy_by_hand_keeps_the_chunks_of_its_hypertables") {
        let conf = ["shared_preload_libraries = 'timescaledb'", "timescaledb.telemetry_level = off", "max_worker_processes = 20"];
        let options = Options { programs: Some(programs), ..Options::default() };
        let rig = Rig::start(Version::V15, conf.into_iter().fold(options, |options, line| options.with(line)));
        rig.series();
        rig.cluster.sql("create extension timescaledb");
        // The original's own jobs wait until the moment that is wanted is past.
        rig.cluster.sql("select _timescaledb_functions.stop_background_workers()");
        rig.cluster.sql(
            "create table prices(at timestamptz not null); select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day'); \
             insert into prices select t from generate_series(now() - interval '40 days', now(), interval '1 day') t; \
             select add_retention_policy('prices', interval '10 days')",
        );
        let count = "select count(*) from timescaledb_information.chunks where hypertable_name = 'prices'";
        let before = rig.cluster.sql(count);
        rig.load(20);
        rig.backup();
        rig.load(20);
        let moment = rig.after_row(30);
        rig.cluster.sql("select _timescaledb_functions.start_background_workers()");
        rig.cluster.wait_until(&format!("({count}) < 20"));
        rig.archive();
        let restored = by_hand(&rig, &moment, "zst.age", &[]);
        // Any query wakes the extension, and would have been enough.
        for _ in 0..5 {
            assert_eq!(restored.sql(count), before, "the copy dropped what it was brought back for");
            std::thread::sleep(Duration::from_secs(1));
        }
        assert_eq!(restored.sql("select count(*) from pg_stat_activity where application_name like 'TimescaleDB%Scheduler%'"), "0");
    }
}
