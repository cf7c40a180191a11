//! `restore`, `verify` and `list` with a store that fails at its n-th call.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::sweep::{Counter, sweep};
use super::sweep_backup::small;
use crate::restore::rig::{Rig, Said, said};

/// A store with a backup, and log before and after it.
fn with_a_backup() -> (Rig, Counter) {
    let rig = small();
    rig.backup();
    rig.load(5);
    rig.archive();
    let counter = Counter::in_folder(&rig.path("state"));
    (rig, counter)
}

/// What there is to say with nothing in the way, without what changes from call to call.
fn lasting(said: &Said) -> Value {
    let mut value = said.json();
    value.as_object_mut().expect("an object").remove("at");
    value
}

#[test]
fn a_list_meets_faults() {
    let (rig, counter) = with_a_backup();
    let list = |fault| {
        let (output, calls) = counter.run(rig.command(&["list", "--format", "json"]), fault);
        (said(output), calls)
    };
    let (whole, calls) = list(None);
    sweep("list", calls, 8, |at| {
        let (seen, calls) = list(Some(at));
        let store = &seen.json()["stores"][0];
        match seen.code {
            0 if store["doubts"] == Value::Array(vec![]) => assert_eq!(lasting(&seen), lasting(&whole), "{at:?}"),
            0 if !at.passes && calls >= at.nth => {}
            1 if !at.passes && calls >= at.nth => {
                let place = rig.path("store").display().to_string();
                assert!(store["unknown"].as_str().is_some_and(|why| why.contains(&place)), "{at:?}: {store}");
                assert_eq!(store["backups"], Value::Array(vec![]), "{at:?}");
            }
            _ => panic!("{at:?}: {} {}{}", seen.code, seen.out, seen.err),
        }
        calls
    });
}

#[test]
fn a_proof_meets_faults() {
    let (rig, counter) = with_a_backup();
    let verify = |fault| {
        let (output, calls) = counter.run(rig.command(&["verify", "--deep", "--format", "json"]), fault);
        (said(output), calls)
    };
    let (whole, calls) = verify(None);
    assert_eq!(whole.code, 0, "{}", whole.out);
    sweep("verify", calls, 8, |at| {
        let (seen, calls) = verify(Some(at));
        let (value, met) = (seen.json(), calls >= at.nth);
        match seen.code {
            // Sound is what was looked at as a whole.
            0 => assert_eq!(lasting(&seen), lasting(&whole), "{at:?}"),
            1 if met && !at.passes => {
                let store = &value["stores"][0];
                let faults = store["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
                // What could not be read is not called damaged.
                let unread = !faults.is_empty() && faults.iter().all(|fault| fault["kind"] == "unread");
                assert!(value["sound"] == false && (unread || store["unknown"].is_string()), "{at:?}: {value}");
            }
            _ => panic!("{at:?}: {} {}{}", seen.code, seen.out, seen.err),
        }
        calls
    });
}

#[test]
fn a_restore_meets_faults() {
    let (rig, counter) = with_a_backup();
    let restore = |name: &str, more: &[&str], fault| {
        let target = rig.path(name);
        let words = [&["restore", "--yes", "--target", target.to_str().expect("text")], more].concat();
        let (output, calls) = counter.run(rig.command(&words), fault);
        (said(output), calls)
    };
    let (whole, calls) = restore("whole", &[], None);
    assert_eq!(whole.code, 0, "{}", whole.err);
    let files = tree(&rig.path("whole"));
    assert!(files.contains_key(Path::new("global/pg_control")) && files.len() > 100);
    sweep("restore", calls, 6, |at| {
        let (tried, calls) = restore("r", &[], Some(at));
        match tried.code {
            0 => {}
            1 if !at.passes && calls >= at.nth => {
                let place = rig.path("store").display().to_string();
                assert!(tried.err.contains("error: ") && tried.err.contains(&place), "{at:?}: {}", tried.err);
                assert!(!rig.path("r/global/pg_control").exists(), "{at:?}: what is not whole must not start");
                let (again, _) = restore("r", &["--delta"], None);
                assert_eq!(again.code, 0, "{at:?}: {}", again.err);
            }
            _ => panic!("{at:?}: {} {}{}", tried.code, tried.out, tried.err),
        }
        let now = tree(&rig.path("r"));
        let differs = files.keys().chain(now.keys()).find(|path| files.get(*path) != now.get(*path));
        assert_eq!(differs, None, "{at:?}");
        fs::remove_dir_all(rig.path("r")).expect("room for the next one");
        calls
    });
}

/// Every file with the hash of its content, every folder with none.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<blake3::Hash>> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.strip_prefix(root).expect("below it").to_owned();
            match entry.is_dir() {
                true => {
                    all.insert(name, None);
                    open.push(entry);
                }
                false => {
                    all.insert(name, Some(blake3::hash(&fs::read(&entry).expect("a file"))));
                }
            }
        }
    }
    all
}
