//! The audit chain: the tables refuse to change it, and whoever changes it all the same is found out, by us and by a few lines of Python.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use seawall::catalog::{Catalog, Where};
use seawall::execute::report::chain_of;
use seawall::format::audit::{self, BrokenHow, Head};

use super::place::{self, Folder, tamper};
use super::rows::{entry, open};
use crate::clusters::{Cluster, Options, Version};

const ODD: &str = "odd: \u{0001}\u{001f} \"quotes\" \\ / \u{7f} \u{80} ü \u{2028}\u{2029} 🦀 \r\n\t\u{8}\u{c} </script>";

fn chain(catalog: &Catalog) -> Vec<Head> {
    ["one", ODD, "three", "four", "five"].map(|what| catalog.append(&entry(what)).expect("appended")).into()
}

#[test]
fn tampering_with_the_file_is_found() {
    let folder = Folder::new();
    tampered(&folder.catalog(), "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted");
}

#[test]
fn tampering_with_the_database_is_found() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let place = place::database(&cluster, "tampered");
    let triggers = "DROP TRIGGER audit_is_not_changed ON audit; DROP TRIGGER audit_is_not_emptied ON audit";
    open(&place);
    let said = tamper(&place, "TRUNCATE audit").expect_err("it is only added to");
    assert!(said.contains("only added to"), "{said}");
    tampered(&place, triggers);
}

fn tampered(place: &Where, drop_triggers: &str) {
    let catalog = open(place);
    let heads = chain(&catalog);
    for sql in ["UPDATE audit SET who = 'nobody' WHERE seq = 2", "DELETE FROM audit WHERE seq = 5", "DELETE FROM audit"] {
        let said = tamper(place, sql).expect_err("it is only added to");
        assert!(said.contains("the audit chain is only added to"), "{sql}: {said}");
    }
    let links = || catalog.links(1, 100).expect("read");
    let whole = links();
    assert_eq!(audit::verify(&whole, &heads), Ok(heads.last().cloned()));

    tamper(place, drop_triggers).expect("who wants to, can");
    let broken = |witnessed: &[Head]| audit::verify(&links(), witnessed).map_err(|broken| (broken.seq, broken.why));
    for (column, value) in [("who", "'nobody'"), ("details", "'{}'"), ("digest", "'sha256:0'"), ("git_commit", "NULL"), ("at", "at + 1")] {
        tamper(place, &format!("CREATE TABLE kept AS SELECT * FROM audit; UPDATE audit SET {column} = {value} WHERE seq = 3"))
            .expect("done");
        assert_eq!(broken(&[]), Err((3, BrokenHow::Changed)), "{column}");
        tamper(place, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept").expect("put back");
    }
    assert_eq!(broken(&heads), Ok(heads.last().cloned()));
    // Two change places.
    let swap = "UPDATE audit SET seq = 90 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 90";
    tamper(place, swap).expect("done");
    assert_eq!(broken(&[]), Err((2, BrokenHow::Changed)));
    tamper(place, swap).expect("put back");
    // One is taken out, and the rest moved up.
    tamper(place, "DELETE FROM audit WHERE seq = 2").expect("done");
    assert_eq!(broken(&[]), Err((2, BrokenHow::OutOfOrder { found: 3 })));
    for seq in 3..=5 {
        tamper(place, &format!("UPDATE audit SET seq = {seq} - 1 WHERE seq = {seq}")).expect("done");
    }
    assert_eq!(broken(&[]), Err((2, BrokenHow::Changed)));
    // The end is cut off: only who saw it can tell.
    tamper(place, "DELETE FROM audit WHERE seq > 1").expect("done");
    assert_eq!(broken(&[]), Ok(Some(heads[0].clone())));
    assert_eq!(broken(&heads[3..4]), Err((2, BrokenHow::Truncated { witnessed: 4 })));
    // And written anew with right hashes: only who saw the old one can tell.
    tamper(place, "DELETE FROM audit").expect("done");
    for link in &whole {
        catalog.append(&audit::Entry { who: "somebody else".into(), ..link.entry.clone() }).expect("appended");
    }
    assert_eq!(broken(&[]).expect("a whole chain").expect("a head").seq, 5);
    assert_eq!(broken(&heads[2..3]), Err((3, BrokenHow::Rewritten)));
}

/// As many links as nobody would append one by one, the first of them after this head.
fn written(place: &Where, after: Option<&Head>, count: usize) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    let mut rows: Vec<String> = Vec::new();
    for number in 0..count {
        let link = audit::Link::after(heads.last().or(after), entry(&number.to_string()));
        let of = &link.entry;
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let maybe = |maybe: &Option<String>| maybe.as_deref().map_or("NULL".to_owned(), text);
        let texts = [text(&of.policy), text(&of.host), text(&of.who), maybe(&of.digest), maybe(&of.commit), text(&of.what), text(&of.kind)];
        let rest = [text(&of.details), text(&link.previous), text(&link.hash)];
        let at = of.at.as_microsecond();
        rows.push(format!("({}, {at}, {}, {})", link.seq, texts.join(", "), rest.join(", ")));
        heads.push(link.head());
    }
    tamper(place, &format!("INSERT INTO audit VALUES {}", rows.join(", "))).expect("written");
    heads
}

#[test]
fn a_long_chain_is_looked_at_in_pages_and_breaks_where_it_is_broken() {
    let folder = Folder::new();
    let place = folder.catalog();
    let catalog = open(&place);
    let heads = written(&place, None, 3_500);
    let (walked, whole) = chain_of(&catalog, None);
    let last = heads.last().expect("a head");
    assert_eq!((whole.why, whole.links, whole.head), (None, 3_500, Some(format!("3500:{}", last.hash))));
    let next = catalog.append(&entry("one more")).expect("appended");
    let (_, again) = chain_of(&catalog, Some(&walked));
    assert_eq!((again.why, again.links, again.head), (None, 3_501, Some(format!("3501:{}", next.hash))));
    let broken = || {
        let (_, account) = chain_of(&catalog, None);
        assert_eq!(account.whole, account.why.is_none());
        account.why.unwrap_or_default()
    };
    tamper(&place, "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted; CREATE TABLE kept AS SELECT * FROM audit")
        .expect("who wants to, can");
    let other = Head { seq: 2_000, hash: heads[1_998].hash.clone() };
    for (sql, says) in [
        ("UPDATE audit SET who = 'nobody' WHERE seq = 2222", "broken at 2222: it was changed"),
        ("UPDATE audit SET who = 'nobody' WHERE seq IN (1000, 3000)", "broken at 1000: it was changed"),
        ("DELETE FROM audit WHERE seq = 1001", "broken at 1001: 1002 stands there"),
        (
            "INSERT INTO audit SELECT 0, at, policy, host, who, digest, git_commit, what, kind, details, previous, hash FROM audit WHERE seq = 1",
            "broken at 1: 0 stands there",
        ),
        ("UPDATE audit SET details = x'00' WHERE seq = 1500", "cannot be read"),
        // Right in itself, but it goes on from another place.
        ("DELETE FROM audit WHERE seq > 2000", "broken at 2001: it does not follow"),
    ] {
        tamper(&place, sql).expect("done");
        if says.contains("2001") {
            written(&place, Some(&other), 1_500);
        }
        let said = broken();
        assert!(said.contains(says), "{sql}: {said}");
        tamper(&place, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept").expect("put back");
        assert_eq!(broken(), "");
    }
}

/// The program that docs/catalog.md shows.
fn checker() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/catalog.md")).expect("docs/catalog.md");
    let (_, after) = text.split_once("```python\n").expect("a program");
    after.split_once("```").expect("its end").0.to_owned()
}

/// What it says of a chain, and whether it is content.
fn checked(lines: &[String], head: Option<&Head>) -> (bool, String) {
    let mut command = Command::new("python3");
    command.arg("-c").arg(checker()).args(head.map(|head| format!("{}:{}", head.seq, head.hash)));
    let mut python = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3 starts");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    python.stdin.take().expect("its ear").write_all(text.as_bytes()).expect("told");
    let output = python.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.trim().to_owned())
}

#[test]
fn a_few_lines_of_python_check_it_too() {
    let folder = Folder::new();
    let catalog = open(&folder.catalog());
    let heads = chain(&catalog);
    let links = catalog.links(1, 100).expect("read");
    let lines: Vec<String> = links.iter().map(audit::Link::to_line).collect();
    assert_eq!(lines.iter().map(|line| audit::Link::from_line(line).expect("a line")).collect::<Vec<_>>(), links);
    let last = heads.last().expect("a head");
    assert_eq!(checked(&lines, None), (true, format!("whole: 5:{}", last.hash)));
    assert!(checked(&lines, Some(&heads[2])).0);
    assert!(checked(&lines, Some(last)).0);
    let mut changed = lines.clone();
    changed[1] = changed[1].replace("root", "toor");
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    for (lines, at) in [(changed, 2), (swapped, 3), (lines[1..].to_vec(), 1), ([&lines[..3], &lines[4..]].concat(), 4)] {
        let (content, said) = checked(&lines, None);
        assert!(!content && said.contains(&format!("broken at {at}")), "{said}");
        let links: Vec<_> = lines.iter().map(|line| audit::Link::from_line(line).expect("a line")).collect();
        assert_eq!(audit::verify(&links, &[]).expect_err("broken").seq, at, "{said}");
    }
    assert!(!checked(&lines[..4], Some(last)).0, "its end is cut off");
    assert!(!checked(&lines, Some(&Head { seq: 2, hash: heads[2].hash.clone() })).0, "it was written anew");
}
