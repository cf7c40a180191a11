//! Second copies: what lies in one store lies in another as well, byte by byte, whatever comes in between.

mod broken;
mod buckets;
mod lost;
mod rules;
mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cli::{Run, finish, hermetic};
use crate::expire::rig::{Ground, day, files};

/// A repository in `main`, and a policy that copies it to `off`.
pub struct Pair {
    pub ground: Ground,
}

impl Pair {
    /// `copies` as the job has it.
    pub fn new(copies: &str) -> Pair {
        let mut pair = Pair { ground: Ground::keeping("{ last: 7 }") };
        let path = pair.path("policy.yaml");
        let text = std::fs::read_to_string(&path).expect("a policy");
        let of_job = format!("keep: {{ last: 7 }}, store: main, copies: {copies} }}");
        std::fs::write(&path, text.replace("keep: { last: 7 } }", &of_job)).expect("written");
        let off = format!("off: {{ local: {{ path: {} }} }}", pair.path("off").display());
        pair.ground.change("replicated: { to: elsewhere } } }", &format!("replicated: {{ to: elsewhere }} }}, {off} }}"));
        pair.ground.add("expire: { brake: 100%, grace: 1s }\n");
        pair
    }

    /// Backups of so many days, each with its own segment of the log: `b0`, `b1`, …
    pub fn backups(&self, days: std::ops::Range<i64>) {
        for number in days {
            self.backup(number);
        }
    }

    pub fn backup(&self, number: i64) {
        let segment = u64::try_from(number).expect("a day") + 1;
        self.ground.fixture.segment(1, segment);
        self.ground.backup(&format!("b{number}"), &day(number), segment);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.ground.fixture.path().join(name)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), self.ground.fixture.path());
        command
            .args(words)
            .env("SEAWALL_POLICY", self.path("policy.yaml"))
            .env("STATE_DIRECTORY", self.path("state"))
            .env("AWS_ACCESS_KEY_ID", crate::servers::s3::KEY)
            .env("AWS_SECRET_ACCESS_KEY", crate::servers::s3::SECRET);
        command
    }

    pub fn run(&self, words: &[&str]) -> Run {
        finish(&mut self.command(words), b"")
    }

    /// Succeeds, and says what it did.
    pub fn copy(&self) -> Value {
        let run = self.run(&["copy", "--format", "json"]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        crate::cli::follows("copy-output", &run.stdout)["stores"][0].clone()
    }

    /// Does not, and says why.
    pub fn copy_in_vain(&self) -> Value {
        let run = self.run(&["copy", "--format", "json"]);
        assert_ne!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        crate::cli::follows("copy-output", &run.stdout)["stores"][0].clone()
    }

    pub fn main(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.path("store"))
    }

    pub fn off(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.path("off"))
    }

    /// Everything lies in both, byte by byte.
    pub fn is_same(&self, said: &str) {
        let (main, off) = (self.main(), self.off());
        let differ = |name: &&String| main.get(*name) != off.get(*name);
        let other: std::collections::BTreeSet<&String> = main.keys().chain(off.keys()).filter(differ).collect();
        assert!(other.is_empty(), "{other:?} is not the same in both\n{said}");
    }

    /// The backups that have a descriptor in the copy, each of which has all its objects and its part of the log there.
    pub fn whole_in_copy(&self) -> Vec<String> {
        let (main, off) = (self.main(), self.off());
        let descriptors = off.keys().filter(|name| name.contains("/backups/") && name.ends_with(".json"));
        let id = |name: &String| name.rsplit('-').next().expect("an id").trim_end_matches(".json").to_owned();
        let ids: Vec<String> = descriptors.map(id).collect();
        for id in &ids {
            let number: u64 = id[1..].parse().expect("a number");
            let segment = format!("{:08X}", number + 1);
            let belongs = |name: &&String| {
                name.contains(&format!("/data/{id}/")) || (name.contains("/wal/") && name.contains(&format!("{segment}.zst")))
            };
            let names: Vec<&String> = main.keys().filter(belongs).collect();
            assert_eq!(names.len(), 5, "{names:?}");
            names.iter().for_each(|name| assert_eq!(off.get(*name), main.get(*name), "{name}"));
        }
        ids
    }
}

/// What lies in a store and is to lie in its copy. What is mutable belongs to each alone.
pub fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
    let mut all: BTreeMap<String, Vec<u8>> = files(root).iter().map(|path| (name(path), std::fs::read(path).expect("a file"))).collect();
    all.retain(|name, _| {
        ["/pins/", "/leases/", "/hints/", "/expiring/"].iter().all(|folder| !name.contains(folder)) && !name.starts_with('.')
    });
    all
}

/// Changes a byte in the middle, and leaves everything else.
pub fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("an object");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("written");
}
