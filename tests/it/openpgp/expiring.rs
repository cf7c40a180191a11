//! A key that expires stops everything in the night in which it does: it is told of before. And who opened something with a subkey that was replaced
//! has shown nothing of the new one.

use std::fs;

use seawall::units::Instant;
use serde_json::Value;

use super::keyring::{Keyring, in_place_of_age};
use crate::run::rig::Run;

const LONG_AGO: [&str; 2] = ["--faked-system-time", "20200101T000000"];

/// A policy with one recipient, and its key beside it.
struct Ground {
    run: Run,
}

impl Ground {
    fn new() -> Ground {
        Ground { run: Run::new("", "") }
    }

    fn ring(&self) -> Keyring<'_> {
        Keyring::new(&self.run.rig.cluster, "ring")
    }

    fn encrypt_to(&self, key: &str, more: &str) {
        let folder = self.run.rig.cluster.folder().display();
        in_place_of_age(&self.run.rig.path("policy.yaml"), &format!("recipients: [{key}], keys: {folder}/keys.asc{more}"));
        self.run.rig.cluster.account().own(self.run.rig.cluster.folder());
    }

    fn standing(&self) -> Value {
        let said = self.run.say(&["status", "--format", "json"]);
        let status: Value = serde_json::from_str(&said.out).expect("JSON");
        status["policies"][0].clone()
    }

    /// What a look finds of this kind.
    fn firing(&self, kind: &str) -> Vec<Value> {
        self.run.say(&["watch"]).ends_with_code(0);
        let standing = self.standing();
        let firing = standing["firing"].as_array().expect("alerts");
        firing.iter().filter(|alert| alert["key"].as_str().is_some_and(|key| key.starts_with(kind))).cloned().collect()
    }
}

#[test]
fn a_key_that_will_expire_is_told_of_everywhere_until_it_is_prolonged() {
    let ground = Ground::new();
    let ring = ground.ring();
    // Twenty days and ten hours, so that the second in which the test asks makes no difference.
    let key = ring.make_at(&[], "one@example.com", "curve", "", "seconds=1764000");
    ring.export(&[&key], &ground.run.rig.path("keys.asc"));
    ground.encrypt_to(&key, "");
    let firing = ground.firing("key_ending");
    let [alert] = firing.as_slice() else { panic!("{firing:?}") };
    assert_eq!(alert["key"], format!("key_ending:{}", &key[key.len() - 16..]));
    assert_eq!(alert["severity"], "warning");
    let standing = ground.standing();
    let seen: Instant = standing["recovery"]["identities"][0]["expires"].as_str().expect("a moment").parse().expect("a moment");
    let left = seen.duration_since(Instant::now()).as_hours();
    assert!((20 * 24 + 8..=20 * 24 + 10).contains(&left), "{left}");
    ground.run.say(&["status"]).says(&format!("The key {key} expires in 20 d"));
    ground.run.say(&["check"]).says(&format!("'key_expires {key}'=")).says("s;2592000:;604800:;0");
    ground
        .run
        .say(&["metrics"])
        .says(&format!("seawall_key_expires_timestamp_seconds{{policy=\"try\",recipient=\"{key}\"}} {}", seen.as_second()));
    // Whoever reviews the policy sees it by what is on record.
    let inventory = ground.run.rig.path("seen.json");
    let inventory = inventory.to_str().expect("text");
    ground.run.say(&["inventory", "export", "--out", inventory]).ends_with_code(0);
    let policy = ground.run.rig.path("policy.yaml");
    let validate = || {
        let mut command = ground.run.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.arg("validate").arg(&policy).args(["--inventory", inventory]);
        crate::run::rig::Said::of(command.output().expect("seawall"))
    };
    validate().says("warning[SW0418]").says("expires on");
    // A backup is taken as before.
    ground.run.say(&["run", "nightly"]).ends_with_code(0);
    ring.say(&["--passphrase", "", "--quick-set-expire", &key, "2y"]);
    ring.say(&["--passphrase", "", "--quick-set-expire", &key, "2y", "*"]);
    ring.export(&[&key], &ground.run.rig.path("keys.asc"));
    assert_eq!(ground.firing("key_ending"), Vec::<Value>::new());
    // A file that cannot be read is no key that is well.
    fs::write(ground.run.rig.path("keys.asc"), "gone").expect("keys");
    ground.run.say_at("+1m", &["watch"]).ends_with_code(0);
    ground.run.say_at("+32m", &["watch"]).ends_with_code(0).says("cannot_look:encryption.openpgp.");
}

#[test]
fn what_an_old_subkey_opens_proves_nothing_of_the_new_one() {
    let ground = Ground::new();
    let (ring, path) = (ground.ring(), |name: &str| ground.run.rig.path(name));
    let key = ring.make_at(&LONG_AGO, "one@example.com", "curve", "", "never");
    let export = || {
        ring.export(&[&key], &path("keys.asc"));
        ring.export_secret(&key, "", &path("one.asc"));
    };
    export();
    let identity = format!(", identity: {{ file: {} }}", path("one.asc").display());
    ground.encrypt_to(&key, &identity);
    let opened = || {
        ground.run.say(&["watch"]).ends_with_code(0);
        ground.standing()["recovery"]["identities"][0]["opened"].is_string()
    };
    ground.run.say(&["run", "nightly"]).ends_with_code(0);
    assert!(!opened());
    ground.run.say(&["verify", "--deep"]).ends_with_code(0);
    assert!(opened());
    // Another subkey: the old one opens what is there, and nothing is encrypted to it any more.
    ring.say(&["--passphrase", "", "--quick-add-key", &key, "cv25519", "encr", "never"]);
    ring.export(&[&key], &path("keys.asc"));
    assert!(!opened());
    ground.run.say(&["verify", "--deep"]).ends_with_code(0);
    assert!(!opened(), "the old subkey did it");
    export();
    ground.run.say(&["run", "nightly"]).ends_with_code(0);
    ground.run.say(&["verify", "--deep"]).ends_with_code(0);
    assert!(opened());
}
