//! Every finding has a page.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Room, golden};

fn codes_in(directory: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).expect("the sources").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            codes_in(&entry, codes);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&entry).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for rest in code.split("Code(").skip(1) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if let (Ok(number), true) = (digits.parse::<u16>(), rest[digits.len()..].starts_with(')')) {
                    codes.insert(format!("SW{number:04}"));
                }
            }
        }
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut used = BTreeSet::new();
    codes_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut used);
    used.extend(seawall::diff::CODES.iter().map(|(code, ..)| format!("SW{code:04}")));
    let list = Room::new().run(&["explain"]).stdout;
    let explained: BTreeSet<String> = list.lines().filter_map(|line| line.split_once("  ")).map(|(code, _)| code.to_owned()).collect();
    let missing: Vec<_> = used.difference(&explained).collect();
    let stale: Vec<_> = explained.difference(&used).collect();
    assert!(missing.is_empty(), "docs/findings.md lacks {missing:?}");
    assert!(stale.is_empty(), "docs/findings.md explains what no longer exists: {stale:?}");
}

#[test]
fn a_page_says_what_why_and_how() {
    let room = Room::new();
    golden("explain-SW0101.txt", &room.run(&["explain", "SW0101"]).stdout);
    for line in room.run(&["explain"]).stdout.lines().filter(|line| line.starts_with("SW")) {
        let page = room.run(&["explain", &line[..6]]).stdout;
        assert!(page.contains("**Why it matters.**"), "{line}");
    }
}

#[test]
fn a_misspelt_code_is_led_to_the_right_one() {
    let run = Room::new().run(&["explain", "SW101"]);
    assert_eq!(run.code, Some(64));
    assert!(run.stderr.contains("Did you mean SW0101 (unknown key)?"), "{run:?}");
}
