//! The part of docs/restore-without-seawall.md that is about dumps, as it is written there.

use std::fs;

use super::rig::{EVERYTHING, Ground, hashes, succeeds};
use crate::clusters::{Cluster, Options, Version};

const PAGE: &str = include_str!("../../../docs/restore-without-seawall.md");

/// What the page says first, and the blocks that are wanted of it.
pub fn script(values: &[(&str, String)], wanted: &[usize]) -> String {
    let blocks: Vec<&str> = PAGE.split("```bash\n").skip(1).map(|rest| rest.split("```").next().expect("it ends")).collect();
    assert_eq!(blocks.len(), 4);
    let (first, _) = blocks.split_first().expect("four");
    let mut text = String::new();
    let mut used = 0;
    for line in first.lines() {
        match values.iter().find(|(name, _)| line.starts_with(&format!("{name}="))) {
            Some((name, value)) => {
                used += 1;
                text.push_str(&format!("{name}='{value}'\n"));
            }
            None if line.starts_with("export") => {}
            None => text.push_str(&format!("{line}\n")),
        }
    }
    assert_eq!(used, values.len());
    text + &wanted.iter().map(|at| blocks[*at]).collect::<String>()
}

#[test]
fn the_page_works_as_it_is_written() {
    for (logical, database) in [("", "shop"), ("jobs: 3", "shop")] {
        let ground = Ground::new(Version::V15, logical);
        ground.sql(EVERYTHING);
        let dump = ground.dump();
        let target = Cluster::start(Version::V18, Options::default().with("lc_monetary = 'C'"));
        let text = |path: std::path::PathBuf| path.to_str().expect("text").to_owned();
        let repository = ground.file(&ground.folder(&dump)).join("../..").canonicalize().expect("a repository");
        let values = [
            ("repository", text(repository)),
            ("identity", text(ground.file("identity.txt"))),
            ("ending", "zst.age".to_owned()),
            ("writer", fs::read_to_string(ground.file("state/keys/signing.pub")).expect("a key").trim().to_owned()),
            ("backup", dump.descriptor.id.to_string()),
            ("database", database.to_owned()),
            ("into", "back".to_owned()),
        ];
        fs::write(ground.file("by-hand.sh"), script(&values, &[1, 2, 3])).expect("a script");
        let mut command = target.account().command("bash");
        command.arg(ground.file("by-hand.sh")).env("PGHOST", target.sockets()).env("PGPORT", target.port().to_string());
        let path = format!("{}:{}", Version::V18.programs().display(), std::env::var("PATH").expect("a path"));
        let said = succeeds(command.env("PGUSER", "postgres").env("PATH", path).output().expect("bash"));
        assert!(said.contains("Good \"seawall-backup\" signature"), "{said}");
        assert_eq!(hashes(&target, "back"), hashes(&ground.rig.cluster, "shop"));
    }
}

#[test]
fn tables_are_files_without_us_too() {
    for (format, file) in [("csv", "table-00001.csv"), ("parquet", "table-00001.parquet")] {
        let ground = Ground::new(Version::V15, "");
        ground.sql("create table t (n int, v text); insert into t select k, E'line\\n\"' || k from generate_series(1, 500) k");
        let job = format!(
            "backups: {{ some: {{ tables: {{ format: {format}, tables: [t] }}, schedule: {{ at: \"04:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }}, "
        );
        ground.change("backups: { ", &job);
        ground.say(&["backup", "some"]).ends_with_code(0);
        let backup = ground.rig.shell("ls store/*/data");
        let values = [
            ("repository", ground.rig.shell("realpath store/*")),
            ("identity", ground.file("identity.txt").display().to_string()),
            ("ending", "zst.age".to_owned()),
            ("writer", fs::read_to_string(ground.file("state/keys/signing.pub")).expect("a key").trim().to_owned()),
            ("backup", backup),
            ("database", "shop".to_owned()),
            ("into", "back".to_owned()),
        ];
        let script = script(&values, &[1, 3]) + "cat \"$work\"/tables/*\n";
        fs::write(ground.file("by-hand.sh"), script).expect("a script");
        let mut command = ground.rig.cluster.account().command("bash");
        let said = command.arg(ground.file("by-hand.sh")).output().expect("bash");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(text.contains(file), "{text}");
        if format == "csv" {
            assert!(text.ends_with("500,\"line\n\"\"500\"\n") && text.contains("n,v\n1,"), "{text}");
        } else {
            assert!(said.stdout.ends_with(b"PAR1"), "a file of Parquet");
        }
    }
}
