//! docs/restore-without-seawall.md, command by command as it is written there.

use std::fs;

use super::rig::{Rig, said};
use crate::clusters::{Options, Version};

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
fn with_values(block: &str, values: &[(&str, String)]) -> String {
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
            None if line.contains("export PATH=") => text.push_str("export PATH=/usr/lib/postgresql/15/bin:$PATH\n"),
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
    rig.series();
    rig.cluster.tablespace("fast");
    rig.cluster.sql("create table there (n int) tablespace fast");
    rig.cluster.sql("insert into there select generate_series(1, 1000)");
    rig.load(20);
    rig.backup();
    rig.load(20);
    let (moment, rows) = (rig.after_row(30), rig.hash(30));
    let before = rig.cluster.sql(&format!("select to_char(timestamptz '{moment}' at time zone 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')"));
    rig.cluster.sql("drop table there");
    rig.archive();

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
        ("writer", fs::read_to_string(rig.path("state/keys/signing.pub")).expect("a key").trim().to_owned()),
        ("data", text(rig.path("by-hand"))),
        ("moment", moment),
        // The page's words are exact to the second; the backup ended in the same one, perhaps.
        ("before", before.replace('Z', "Z~")),
        ("tablespaces_to", text(rig.path("spaces"))),
        ("port", port.to_string()),
    ];
    let mut blocks = blocks();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    blocks[0] = with_values(&blocks[0], &values);
    rig.write("by-hand.sh", &blocks.concat());
    let mut command = rig.cluster.account().command("bash");
    let answer = said(command.arg(rig.path("by-hand.sh")).output().expect("it runs"));
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    for word in ["Good \"seawall-backup\" signature", "backup successfully verified"] {
        assert!(answer.out.contains(word), "{word}: {}", answer.out);
    }
    let restored = rig.running("by-hand", port);
    assert_eq!((restored.hash(), restored.sql("select count(*) from there")), (rows, "1000".into()));
}
