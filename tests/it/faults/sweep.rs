//! A command whose store fails at its n-th call, for every n: the sweep itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::chance;

/// What stays as it is however often it is asked: nobody has any patience.
const STAYS: [&str; 5] = ["permanent", "transient", "after-commit", "vanished", "revoked"];
/// What is over when it is tried again.
const PASSES: [&str; 6] = ["transient", "timeout", "throttled", "after-commit", "truncated", "twice"];

/// A fault at one call of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    pub nth: u64,
    kind: &'static str,
    /// The command must not notice.
    pub passes: bool,
}

impl At {
    fn all(nth: u64) -> Vec<At> {
        let at = |kind, passes| At { nth, kind, passes };
        STAYS.into_iter().map(|kind| at(kind, false)).chain(PASSES.into_iter().map(|kind| at(kind, true))).collect()
    }

    /// Whoever tries again meets it again.
    pub fn lasts(&self) -> bool {
        matches!(self.kind, "vanished" | "revoked")
    }
}

/// Where the calls of commands are counted.
#[derive(Debug)]
pub struct Counter(PathBuf);

impl Counter {
    /// In a folder that the command may write to.
    pub fn in_folder(folder: &Path) -> Counter {
        Counter(folder.join("calls"))
    }

    /// Runs a command, and says how many calls it made.
    pub fn run(&self, mut command: Command, fault: Option<At>) -> (Output, u64) {
        let _ = fs::remove_file(&self.0);
        let count = format!("count={}", self.0.display());
        let text = match fault {
            Some(At { nth, kind, passes }) => format!("nth={nth},kind={kind};patience={};{count}", if passes { 20 } else { 0 }),
            None => count,
        };
        let output = command.env("SEAWALL_TEST_FAULTS", text).output().expect("it starts");
        (output, fs::metadata(&self.0).map_or(0, |about| about.len()))
    }
}

/// Lets `round` meet faults: every one at every call in the long lane, and elsewhere `few` of them, spread over the `calls` that the
/// command makes when nothing is wrong. A round says how many calls were made.
pub fn sweep(test: &str, calls: u64, few: usize, mut round: impl FnMut(At) -> u64) {
    assert!(calls > 0, "{test}: a command that asks no store meets no faults");
    let mut met = 0;
    if chance::is_long() {
        for kind in At::all(0) {
            for nth in 1.. {
                if round(At { nth, ..kind }) < nth {
                    break;
                }
                met += 1;
            }
        }
    } else {
        let mut lot = chance::lot(test);
        let few = few as u64;
        for number in 0..few {
            let (from, to) = (number * calls / few, (number + 1) * calls / few);
            let nth = 1 + from + lot.below(usize::try_from(to - from).expect("few")) as u64;
            let kinds = At::all(nth);
            let at = kinds[lot.below(kinds.len())];
            println!("{test}: {at:?}");
            met += u64::from(round(at) >= at.nth);
        }
    }
    println!("{test}: {met} faults were met");
    assert!(met > 0, "{test}: no fault was met");
}
