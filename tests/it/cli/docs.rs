//! What the documentation shows of policies is what a policy may say.

use std::fs;

use super::Room;
use crate::invalid::root;

/// The blocks of YAML of a page, each with the line on which it begins.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line == "```yaml" {
            let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push((number + 2, block.join("\n") + "\n"));
        }
    }
    blocks
}

/// Does it begin with a key of a policy?
fn is_of_a_policy(block: &str, keys: &serde_json::Map<String, serde_json::Value>) -> bool {
    let first = block.lines().find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    first.split_once(':').is_some_and(|(key, _)| keys.contains_key(key))
}

/// A piece of a policy is a fragment that others could extend. SW pages show mistakes on purpose, so docs/findings.md has tests of its own.
#[test]
fn every_policy_in_the_documentation_can_be_read() {
    let schema = fs::read(root().join("schemas/policy.schema.json")).expect("the schema");
    let schema: serde_json::Value = serde_json::from_slice(&schema).expect("JSON");
    let keys = schema["properties"].as_object().expect("keys");
    let mut room = Room::new();
    let mut names = Vec::new();
    let pages = fs::read_dir(root().join("docs")).expect("the pages").flatten().map(|entry| entry.path());
    let pages = pages.filter(|path| path.extension().is_some_and(|ending| ending == "md") && !path.ends_with("findings.md"));
    for path in pages.chain([root().join("README.md")]) {
        let page = fs::read_to_string(&path).expect("a page");
        for (line, block) in blocks(&page).into_iter().filter(|(_, block)| is_of_a_policy(block, keys)) {
            let is_whole = block.lines().any(|line| line.starts_with("policy:"));
            let head = if is_whole { "" } else { "abstract: true\n" };
            let version = if block.lines().any(|line| line.starts_with("version:")) { "" } else { "version: 1\n" };
            let name = format!("{}-{line}.yaml", path.file_stem().expect("a name").to_string_lossy());
            room = room.with(&name, format!("{version}{head}{block}"));
            names.push(name);
        }
    }
    assert!(names.len() > 20, "{names:?}");
    let run = room.run(&[&["validate".to_owned()][..], &names].concat());
    // Keys are only hinted at (`age1…`).
    let wrong: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("error[") && !line.starts_with("error[SW0212]")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", run.stdout);
}
