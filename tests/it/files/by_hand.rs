//! The part of docs/restore-without-seawall.md that is about files, as it is written there.

use std::fs;
use std::process::Command;

use super::increments::three_generations;
use super::rig::{Copied, Ground, same, shell};

const PAGE: &str = include_str!("../../../docs/restore-without-seawall.md");

fn script(values: &[(&str, String)]) -> String {
    let blocks: Vec<&str> = PAGE.split("```shell\n").skip(1).map(|rest| rest.split("```").next().expect("it ends")).collect();
    assert_eq!(blocks.len(), 3);
    let (first, rest) = blocks.split_first().expect("three");
    let mut text = String::new();
    let mut used = 0;
    for line in first.lines() {
        match values.iter().find(|(name, _)| line.starts_with(&format!("{name}="))) {
            Some((name, value)) => {
                used += 1;
                text.push_str(&format!("{name}='{value}'\n"));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    assert_eq!(used, values.len());
    text + &rest.concat()
}

fn brought_back(ground: &Ground, copied: &Copied, into: &str) {
    let repository = ground.folder(copied).join("../..").canonicalize().expect("a repository");
    let text = |path: std::path::PathBuf| path.to_str().expect("text").to_owned();
    let values = [
        ("repository", text(repository)),
        ("identity", text(ground.file("identity.txt"))),
        ("ending", "zst.age".to_owned()),
        ("writer", fs::read_to_string(ground.file("root-state/keys/signing.pub")).expect("a key").trim().to_owned()),
        ("backup", copied.descriptor.id.to_string()),
        ("into", text(ground.file(into))),
    ];
    let output = Command::new("bash").args(["-c", &script(&values)]).output().expect("bash");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Good \"seawall-backup\" signature"), "{said}");
}

#[test]
fn the_page_works_as_it_is_written() {
    let ground = Ground::everything();
    let copied = ground.backup();
    shell(&ground.rig, "rm -r tree/cache tree/etc/a.log; touch -d '2003-04-05 06:07:08.25' tree/etc");
    let before = ground.seen(&ground.file("tree"));
    brought_back(&ground, &copied, "rescue");
    same(&ground.seen(&ground.below("rescue")), &before);
}

#[test]
fn it_works_for_increments_too() {
    let (ground, generations) = three_generations();
    for (number, (copied, seen)) in generations.iter().enumerate() {
        let into = format!("rescue-{number}");
        brought_back(&ground, copied, &into);
        same(&ground.seen(&ground.below(&into)), seen);
    }
}
