//! A policy with dumps, and one with files.

use std::fs;
use std::process::Output;

use crate::clusters::Version;
use crate::logical::rig::{EVERYTHING, Ground, hashes};
use crate::run::rig::Said;

fn guard(rig: &crate::backup::rig::Rig, words: &[&str], guarded: &[&str]) -> Said {
    let mut command = rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    command.arg("guard").arg("-p").arg(rig.path("policy.yaml")).arg("--state").arg(rig.path("state")).args(["--host", "db-1"]);
    Said::of(command.args(words).arg("--").args(guarded).output().expect("it runs"))
}

fn undo(said: &Said) -> Vec<String> {
    let after = said.err.rsplit("guard: ").next().unwrap_or_default();
    after.lines().filter_map(|line| line.strip_prefix("  seawall ")).map(str::to_owned).collect()
}

fn follow(rig: &crate::backup::rig::Rig, line: &str) -> Said {
    let text = format!("cd / && exec {} {line} --yes", env!("CARGO_BIN_EXE_seawall"));
    let output: Output = rig.cluster.account().command("bash").args(["-c", &text]).output().expect("a shell");
    Said::of(output)
}

#[test]
fn a_dump_undoes_what_was_done_to_its_database() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    let before = hashes(&ground.rig.cluster, "shop");
    let conninfo = format!("{} dbname=shop", ground.rig.cluster.conninfo());
    let sql = "drop table types cascade; update wide set text = ''; create table leftover (n int)";
    let said = guard(&ground.rig, &["dump", "--label", "before"], &["psql", "-X", "-q", "-d", &conninfo, "-c", sql]).ends_with_code(0);
    let said = said.says("`backups.dump` was named");
    assert_eq!(ground.sql("select to_regclass('types') is null and to_regclass('leftover') is not null"), "t", "{}{}", said.out, said.err);
    let lines = undo(&said);
    assert_eq!(lines.len(), 1, "{}", said.err);
    // Somebody is connected all the while.
    let _session = crate::logical::rig::connect(&ground.rig.cluster, "shop");
    follow(&ground.rig, &lines[0]).ends_with_code(0);
    assert_eq!(hashes(&ground.rig.cluster, "shop"), before);

    // One table of it, in its place.
    let words = ["dump", "--table", "public.wide", "--database", "shop"];
    let said = guard(&ground.rig, &words, &["psql", "-X", "-q", "-d", &conninfo, "-c", "delete from wide where id > 7"]).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from wide"), "7");
    follow(&ground.rig, &undo(&said)[0]).ends_with_code(0);
    // The rows that were replaced are kept beside it.
    let after = hashes(&ground.rig.cluster, "shop");
    let after: Vec<&str> = after.lines().filter(|line| !line.starts_with("replaced_")).collect();
    assert_eq!(after.join("\n"), before);
}

#[test]
fn a_policy_with_dumps_alone_takes_one_and_one_that_leaves_something_out_does_not_do() {
    let ground = Ground::new(Version::V15, "");
    let path = ground.file("policy.yaml");
    let text = fs::read_to_string(&path).expect("the policy");
    // A copy of the files brings its own log, and comes first.
    fs::write(&path, text.replace("wal: { store: disk, timeout: 60s, keep: 7d }\n", "")).expect("the policy");
    let said = guard(&ground.rig, &["--plan"], &["true"]).ends_with_code(0);
    assert!(said.out.contains("a backup by `backups.nightly`") && said.out.contains("the policy archives no log"), "{}", said.out);
    guard(&ground.rig, &["--plan", "dump"], &["true"]).ends_with_code(0).says("a backup by `backups.dump`");
    guard(&ground.rig, &["--plan", "nightly"], &["true"]).ends_with_code(0).says("a backup by `backups.nightly`");
    let at = text.find(", nightly:").expect("the physical job");
    let text = format!("{} }}\n", &text[..at]).replace("wal: { store: disk, timeout: 60s, keep: 7d }\n", "");
    fs::write(&path, text).expect("the policy");
    let said = guard(&ground.rig, &["--plan"], &["true"]).ends_with_code(0);
    assert!(said.out.contains("a backup by `backups.dump`") && said.out.contains("the policy archives no log"), "{}", said.out);
    assert!(said.out.contains("--into-database shop --replace --end-connections"), "{}", said.out);
    ground.change("logical: {", "logical: { exclude_tables: [secret], ");
    let said = guard(&ground.rig, &["dump"], &["true"]).ends_with_code(125);
    assert!(said.err.contains("leaves out some") && said.err.contains("NOT run"), "{}", said.err);
    guard(&ground.rig, &[], &["true"]).ends_with_code(125).says("no backup that could undo it");
    // Also where only a table is to come back: it may be the very one that is left out.
    guard(&ground.rig, &["dump", "--table", "public.secret"], &["true"]).ends_with_code(125).says("leaves out some");
    // What comes back must be what was there, to whom it belongs and who may use it included; rows alone have neither.
    ground.change("logical: { exclude_tables: [secret], ", "logical: { grants: false, ");
    guard(&ground.rig, &["--plan", "dump"], &["true"]).ends_with_code(125).says("leaves out owners or grants");
    guard(&ground.rig, &["--plan"], &["true"]).ends_with_code(125).says("no backup that could undo it");
    ground.sql("create table plain (n int)");
    guard(&ground.rig, &["--plan", "dump", "--table", "public.plain", "--database", "shop"], &["true"]).ends_with_code(0);
    ground.change("logical: { grants: false, ", "logical: { exclude_tables: [secret], ");
    // Of several databases a job that has one protects that one.
    ground.change("databases: [shop]", "databases: [shop, postgres]");
    ground.change("logical: { exclude_tables: [secret], ", "logical: { databases: [shop], ");
    guard(&ground.rig, &["--plan"], &["true"]).ends_with_code(125).says("no backup that could undo it");
    guard(&ground.rig, &["--plan", "dump"], &["true"]).ends_with_code(125).says("does not dump every database");
    guard(&ground.rig, &["--plan", "--database", "shop"], &["true"]).ends_with_code(0);
    guard(&ground.rig, &["--plan", "--database", "shop", "--table", "public.nowhere"], &["true"])
        .ends_with_code(125)
        .says("there is no public.nowhere");
}

#[test]
fn files_come_back_where_they_were() {
    let ground = Ground::new(Version::V15, "");
    ground.rig.shell("mkdir conf && echo one > conf/a && echo two > conf/b");
    // Whose time nobody else may set.
    ground.rig.shell_as_root("ln -s a conf/roots; echo three > conf/c");
    let folder = ground.file("conf").display().to_string();
    ground.change("backups: {", &format!("backups: {{ conf: {{ files: {{ paths: [{folder}] }}, schedule: {{ at: \"03:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }}, "));
    let said = guard(&ground.rig, &["conf"], &["sh", "-c", &format!("echo spoiled > {folder}/a; rm {folder}/b")]).ends_with_code(0);
    follow(&ground.rig, &undo(&said)[0]).ends_with_code(0);
    assert_eq!(ground.rig.shell("cat conf/a conf/b conf/roots conf/c"), "one\ntwo\none\nthree");
    assert_eq!(ground.rig.shell("stat -c %U conf/roots conf/c"), "root\nroot");
}
