//! What cannot be encrypted to, or opened, is said before anything is written.

use std::fs;

use super::keyring::{Keyring, PASSPHRASE, in_place_of_age};
use crate::clusters::Version;
use crate::logical::rig::Ground;

const LONG_AGO: [&str; 2] = ["--faked-system-time", "20200101T000000"];

#[test]
fn keys_that_cannot_be_used_are_refused_before_anything_is_written() {
    let ground = Ground::new(Version::V15, "");
    let ring = Keyring::new(&ground.rig.cluster, "ring");
    let good = ring.make("good@example.com", "curve", "");
    let expired = ring.make_at(&LONG_AGO, "expired@example.com", "curve", "", "1y");
    let signing = ring.make_for_signing("signing@example.com");
    let revoked = ring.make("revoked@example.com", "curve", "");
    let certificate = fs::read_to_string(ring.home.join(format!("openpgp-revocs.d/{revoked}.rev"))).expect("gpg makes one");
    fs::write(ground.file("revoked.asc"), certificate.replace(":-----BEGIN", "-----BEGIN")).expect("a file");
    ring.say(&["--import", ground.file("revoked.asc").to_str().expect("text")]);
    ring.export(&[&good, &expired, &signing, &revoked], &ground.file("keys.asc"));
    let policy = fs::read_to_string(ground.file("policy.yaml")).expect("the policy");
    let folder = ground.rig.cluster.folder().display();
    let missing = "0123456789ABCDEF0123456789ABCDEF01234567";
    for (key, why) in [
        (missing, "is among the public keys"),
        (expired.as_str(), "it expired on 2020-12-31"),
        (revoked.as_str(), "it was revoked"),
        (signing.as_str(), "none of its keys is for encryption"),
    ] {
        fs::write(ground.file("policy.yaml"), &policy).expect("the policy");
        in_place_of_age(&ground.file("policy.yaml"), &format!("recipients: [{good}, {key}], keys: {folder}/keys.asc"));
        ground.rig.cluster.account().own(ground.rig.cluster.folder());
        // Nothing is asked of a keyring when a policy is read.
        let mut validate = ground.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        let said = crate::run::rig::Said::of(validate.arg("validate").arg(ground.file("policy.yaml")).output().expect("seawall"));
        assert!(said.out.contains("nobody hears of a failure") && !said.out.contains("= at: encryption"), "{}", said.out);
        ground.say(&["backup", "dump"]).ends_with_code(1).says("encryption.openpgp.recipients").says(why).says(key);
        assert!(ground.has_nothing(), "{why}");
    }
    // A file that was cut short: which keys were behind that, nobody knows.
    let whole = fs::read_to_string(ground.file("keys.asc")).expect("keys");
    fs::write(ground.file("keys.asc"), format!("# ours\n{}", &whole[..whole.len() / 2])).expect("keys");
    fs::write(ground.file("policy.yaml"), &policy).expect("the policy");
    in_place_of_age(&ground.file("policy.yaml"), &format!("recipients: [{good}], keys: {folder}/keys.asc"));
    ground.rig.cluster.account().own(ground.rig.cluster.folder());
    let said = ground.say(&["backup", "dump"]).ends_with_code(1).says("encryption.openpgp.keys: in `").says("gpg --export --armor");
    said.says("what begins in line 2 is cut short or damaged");
    assert!(ground.has_nothing());
    // Without a file, the keyring of whoever runs it.
    fs::write(ground.file("policy.yaml"), &policy).expect("the policy");
    in_place_of_age(&ground.file("policy.yaml"), &format!("recipients: [{good}]"));
    ground.rig.cluster.account().own(ground.rig.cluster.folder());
    let in_ring = |ring: &Keyring<'_>| {
        crate::run::rig::Said::of(ground.command(&["backup", "dump"]).env("GNUPGHOME", &ring.home).output().expect("seawall"))
    };
    let empty = Keyring::new(&ground.rig.cluster, "empty");
    in_ring(&empty).ends_with_code(1).says(&good).says("gpg --import");
    assert!(ground.has_nothing());
    in_ring(&ring).ends_with_code(0);
}

#[test]
fn a_wrong_passphrase_and_a_key_of_a_card_are_told_apart() {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create table t (n int); insert into t values (1)");
    let ring = Keyring::new(&ground.rig.cluster, "ring");
    let key = ring.make("one@example.com", "curve", PASSPHRASE);
    ring.export(&[&key], &ground.file("keys.asc"));
    ring.export_secret(&key, PASSPHRASE, &ground.file("one.asc"));
    let folder = ground.rig.cluster.folder().display();
    let identity = format!("recipients: [{key}], keys: {folder}/keys.asc, identity: {{ file: {folder}/one.asc }}");
    in_place_of_age(&ground.file("policy.yaml"), &identity);
    ground.rig.cluster.account().own(ground.rig.cluster.folder());
    ground.dump();
    let opens = || ground.say(&["verify", "--deep"]);
    opens().ends_with_code(1).says("protected by a passphrase").says("encryption.openpgp.passphrase");
    ground.change("one.asc }", &format!("one.asc }}, passphrase: {{ file: {folder}/passphrase }}"));
    fs::write(ground.file("passphrase"), "wrong horse\n").expect("a passphrase");
    ground.rig.cluster.account().own(ground.rig.cluster.folder());
    let said = opens().ends_with_code(1).says("the passphrase does not open the identity");
    assert!(!said.err.contains("wrong horse"), "{}", said.err);
    fs::write(ground.file("passphrase"), PASSPHRASE).expect("a passphrase");
    opens().ends_with_code(0);
    // The public half, by mistake.
    ground.change("/one.asc", "/keys.asc");
    opens().ends_with_code(1).says("a private one is needed");
}
