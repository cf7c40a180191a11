//! Backups and the log of real servers, looked at and proved.

use std::process::{Command, Output};

use serde_json::Value;

use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Options, Version};

fn seawall(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command: Command = rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    // A machine that has never seen the database: no state of the host.
    command.args(arguments).arg("--policy").arg(rig.path("policy.yaml")).arg("--state").arg(rig.path("elsewhere"));
    command.output().expect("seawall")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn is_proved(version: Version, options: Options) {
    let rig = Rig::with(version, options, &Policy::default());
    rig.cluster.tablespace("elsewhere");
    rig.cluster.sql(
        "create table here as select g, repeat(md5(g::text), 20) from generate_series(1, 40000) g;
         create index on here (g);
         create table there tablespace elsewhere as select g, md5(g::text) from generate_series(1, 20000) g",
    );
    rig.cluster.sql("vacuum (freeze, analyze) here");
    let backup = rig.backup(&[]);
    rig.cluster.sql("insert into there select g, 'more' from generate_series(1, 20000) g");
    rig.archive_all();
    let output = seawall(&rig, &["verify", "--deep", "--format", "json"]);
    let proved = json(&output);
    assert_eq!((output.status.code(), &proved["stores"][0]["faults"]), (Some(0), &serde_json::json!([])), "{proved}");
    assert!(proved["stores"][0]["wal_objects"].as_u64().expect("a number") > 1);
    let listed = json(&seawall(&rig, &["list", "--format", "json"]));
    let store = &listed["stores"][0];
    assert_eq!(
        (store["backups"].as_array().map(Vec::len), &store["rejected"], &store["doubts"]),
        (Some(1), &serde_json::json!([]), &serde_json::json!([]))
    );
    assert!(store["backups"][0]["recoverable"]["any-moment-until"].is_object(), "{listed}");
    let shown = json(&seawall(&rig, &["show", backup.text("id"), "--format", "json"]));
    assert_eq!((&shown["wal"]["complete"], &shown["state"]), (&true.into(), &"complete".into()));
    assert!(shown["private"]["settings"].is_object());
    // One byte in the middle of the first part.
    rig.shell(
        "f=$(ls store/*/data/*/part-00001.tar.zst.age); printf damaged | dd of=$f bs=1 seek=$(($(stat -c %s $f) / 2)) conv=notrunc 2>/dev/null",
    );
    let output = seawall(&rig, &["verify", "--format", "json"]);
    let fault = &json(&output)["stores"][0]["faults"][0];
    assert_eq!(output.status.code(), Some(1));
    assert!(fault["key"].as_str().expect("a key").ends_with("/part-00001.tar.zst.age") && fault["kind"] == "damaged", "{fault}");
}

#[test]
fn a_real_backup_is_proved_15() {
    is_proved(Version::V15, Options::default());
}

#[test]
fn a_real_backup_is_proved_13_without_checksums() {
    is_proved(Version::V13, Options { checksums: false, segment_mb: 1, ..Options::default() });
}

#[test]
fn a_real_backup_is_proved_18() {
    is_proved(Version::V18, Options::default());
}
