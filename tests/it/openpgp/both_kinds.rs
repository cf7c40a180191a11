//! A cluster with its log, and a store that has objects of both kinds because its policy changed.

use std::fs;

use super::keyring::{Keyring, PASSPHRASE, in_place_of_age};
use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;
use crate::restore::without_us::by_hand;

#[test]
fn a_store_with_both_kinds_restores_both() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.load(20);
    let first = rig.backup();
    rig.load(20);
    rig.archive();
    let ring = Keyring::new(&rig.cluster, "ring");
    let key = ring.make("one@example.com", "curve", PASSPHRASE);
    ring.export(&[&key], &rig.path("keys.asc"));
    ring.export_secret(&key, PASSPHRASE, &rig.path("one.asc"));
    rig.write("passphrase", PASSPHRASE);
    let folder = rig.cluster.folder().display();
    in_place_of_age(
        &rig.path("policy.yaml"),
        &format!(
            "recipients: [{key}], keys: {folder}/keys.asc, identity: {{ file: {folder}/one.asc }}, passphrase: {{ file: {folder}/passphrase }}"
        ),
    );
    // Log of the new kind follows the old backup.
    rig.load(20);
    rig.archive();
    let moment = rig.after_row(50);
    let rows = rig.hash(50);
    let log = rig.shell("find store -path '*/wal/*' -name '*.gpg' | wc -l");
    assert!(log.parse::<u32>().expect("a number") > 0, "{log}");
    let second = rig.backup();
    rig.load(20);
    rig.archive();
    let later = (rig.after_row(70), rig.hash(70));
    // The new key alone does not open what the old one locked, and says so before anything is written.
    let said = rig.restore("refused", &["--backup", &first, "--to", &moment]);
    assert!(said.code != 0 && said.err.contains("none of the identities opens it") && !rig.path("refused").exists(), "{}", said.err);
    // Both in one file.
    let both = ["identity.txt", "one.asc"].map(|name| fs::read_to_string(rig.path(name)).expect("a key")).join("\n");
    rig.write("both.txt", &both);
    rig.change_policy("/one.asc", "/both.txt");
    let restored = rig.bring_back("over", &["--backup", &first, "--to", &moment]);
    assert_eq!(restored.hash(), rows);
    restored.remove();
    let restored = rig.bring_back("new", &["--backup", &second, "--to", &later.0]);
    assert_eq!(restored.hash(), later.1);
    restored.remove();
    let said = rig.seawall(&["verify", "--deep"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    // Copied as they lie, and restored from there.
    rig.change_policy("stores: {", &format!("stores: {{ off: {{ local: {{ path: {folder}/off, other_device: false }} }},"));
    rig.change_policy("wal: { store: local,", "wal: { store: local, copies: [off],");
    rig.change_policy("takes: 1m }", "takes: 1m, store: local, copies: [off] }\ndrills: { d: { restore: { latest: nightly }, expect: { rows: { sql: \"select count(*) from series\", at_least: 60 } } } }");
    fs::create_dir(rig.path("off")).expect("a store");
    rig.cluster.account().own(&rig.path("off"));
    let said = rig.seawall(&["copy"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let restored = rig.bring_back("from-off", &["--store", "off", "--backup", &second, "--to", &later.0]);
    assert_eq!(restored.hash(), later.1);
    restored.remove();
    let said = rig.seawall(&["drill", "d", "--format", "json"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(said.json()["opened_with"], *key, "{}", said.out);
    // And the second one without us.
    fs::write(ring.home.join("gpg.conf"), format!("pinentry-mode loopback\npassphrase-file {folder}/passphrase\n")).expect("a file");
    rig.cluster.account().own(&ring.home);
    let restored = by_hand(&rig, &later.0, "zst.gpg", &[("GNUPGHOME", ring.home.to_str().expect("text"))]);
    assert_eq!(restored.hash(), later.1);
}
