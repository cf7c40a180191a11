//! Dumps, which `gpg`, `zstd` and `pg_restore` bring back.

use std::fs;

use super::keyring::{Keyring, PASSPHRASE, in_place_of_age};
use crate::clusters::{Cluster, Options, Version};
use crate::logical::by_hand::script;
use crate::logical::rig::{EVERYTHING, Ground, hashes, succeeds};

#[test]
fn either_recipient_brings_a_dump_back_with_gpg_alone_or_with_us() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    let cluster = &ground.rig.cluster;
    let (mine, yours) = (Keyring::new(cluster, "mine"), Keyring::new(cluster, "yours"));
    let (one, other) = (mine.make("one@example.com", "curve", PASSPHRASE), yours.make("other@example.com", "rsa", ""));
    mine.export_secret(&one, PASSPHRASE, &ground.file("one.asc"));
    yours.export_secret(&other, "", &ground.file("other.asc"));
    let public = [mine.say(&["--export", &one]), yours.say(&["--armor", "--export", &other])];
    // Binary or armoured, and more keys than are wanted.
    fs::write(ground.file("keys"), &public[1]).expect("keys");
    yours.make("stranger@example.com", "curve", "");
    mine.gpg(&["--import", ground.file("keys").to_str().expect("text")]).output().expect("gpg");
    mine.export(&[], &ground.file("keys"));
    ground.rig.cluster.account().own(&ground.file("keys"));
    fs::write(ground.file("passphrase"), format!("{PASSPHRASE}\n")).expect("a passphrase");
    let folder = cluster.folder().display();
    let openpgp = format!(
        "recipients: [{one}, \"{}\"], keys: {folder}/keys, identity: {{ file: {folder}/one.asc }}, passphrase: {{ file: {folder}/passphrase }}",
        other.to_lowercase(),
    );
    in_place_of_age(&ground.file("policy.yaml"), &openpgp);
    ground.rig.cluster.account().own(ground.rig.cluster.folder());
    let dump = ground.dump();
    let place = ground.file(&ground.folder(&dump));
    let names: Vec<String> =
        fs::read_dir(&place).expect("objects").map(|entry| entry.expect("one").file_name().into_string().expect("text")).collect();
    assert!(names.len() > 3 && names.iter().all(|name| name.ends_with(".zst.gpg")), "{names:?}");
    // The cipher that was asked for, and none of the forms that not every `gpg` has.
    let packets =
        mine.gpg(&["--passphrase", PASSPHRASE, "--list-packets", "-v", "-v", place.join("contents.json.zst.gpg").to_str().expect("text")]);
    let packets = crate::restore::rig::said({ packets }.output().expect("gpg"));
    let packets = packets.out + &packets.err;
    assert!(packets.contains("AES256 encrypted data") && packets.contains("mdc_method: 2"), "{packets}");
    // The host must read this one again; what only the recipients open, it cannot.
    assert_eq!(packets.matches(":pubkey enc packet:").count(), 3, "{packets}");
    for name in &names {
        let (a, b) = (mine.open(&place.join(name)), yours.open(&place.join(name)));
        assert!(a == b && a.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "{name}");
    }
    // As the page says it.
    for (ring, into) in [(&mine, "back_mine"), (&yours, "back_yours")] {
        if into == "back_mine" {
            // What an agent would ask for.
            fs::write(mine.home.join("gpg.conf"), format!("pinentry-mode loopback\npassphrase-file {folder}/passphrase\n"))
                .expect("a file");
        }
        let target = Cluster::start(Version::V18, Options::default().with("lc_monetary = 'C'"));
        let text = |path: std::path::PathBuf| path.to_str().expect("text").to_owned();
        let values = [
            ("repository", text(place.join("../..").canonicalize().expect("a repository"))),
            ("identity", text(ground.file("identity.txt"))),
            ("ending", "zst.gpg".to_owned()),
            ("writer", fs::read_to_string(ground.file("state/keys/signing.pub")).expect("a key").trim().to_owned()),
            ("backup", dump.descriptor.id.to_string()),
            ("database", "shop".to_owned()),
            ("into", into.to_owned()),
        ];
        fs::write(ground.file("by-hand.sh"), script(&values, &[1, 2, 3])).expect("a script");
        let mut command = target.account().command("bash");
        command.arg(ground.file("by-hand.sh")).env("PGHOST", target.sockets()).env("PGPORT", target.port().to_string());
        let path = format!("{}:{}", Version::V18.programs().display(), std::env::var("PATH").expect("a path"));
        succeeds(command.env("PGUSER", "postgres").env("PATH", path).env("GNUPGHOME", &ring.home).output().expect("bash"));
        assert_eq!(hashes(&target, into), hashes(&ground.rig.cluster, "shop"));
    }
    // With us, by the policy's identity and by the other one.
    let id = dump.descriptor.id.to_string();
    ground.say(&["restore", "--into-database", "again", "--create", "--backup", &id, "--yes"]).ends_with_code(0);
    assert_eq!(hashes(cluster, "again"), hashes(cluster, "shop"));
    let identity = ground.file("other.asc");
    let identity = ["--identity", identity.to_str().expect("text")];
    ground.say(&[&["restore", "--into-database", "anew", "--create", "--backup", &id, "--yes"][..], &identity].concat()).ends_with_code(0);
    assert_eq!(hashes(cluster, "anew"), hashes(cluster, "shop"));
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    ground.say(&[&["verify", "--deep"][..], &identity].concat()).ends_with_code(0);
    let said = ground.say(&[&["key", "list"][..], &identity].concat()).ends_with_code(0).says("the policy's identity");
    assert!(
        said.out.contains("opened by the policy's identity") && said.out.contains("other.asc") && said.out.contains("OpenPGP "),
        "{}",
        said.out
    );
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_that_counts() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    let ring = Keyring::new(&ground.rig.cluster, "ring");
    let key = ring.make("one@example.com", "curve", "");
    ring.export_secret(&key, "", &ground.file("one.asc"));
    let folder = ground.rig.cluster.folder().display();
    in_place_of_age(&ground.file("policy.yaml"), &format!("recipients: [{key}], identity: {{ file: {folder}/one.asc }}"));
    ground.rig.cluster.account().own(ground.rig.cluster.folder());
    // Without a file of keys, from the keyring.
    let command = |words: &[&str]| {
        let mut command = ground.command(words);
        command.env("GNUPGHOME", &ring.home);
        command
    };
    let mut lot = crate::faults::chance::lot("openpgp::killed");
    for _ in 0..crate::faults::chance::rounds(4, 40) {
        let mut child =
            command(&["backup", "dump"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("seawall");
        std::thread::sleep(std::time::Duration::from_millis(lot.below(900) as u64));
        let policy = ground.file("policy.yaml");
        ground.rig.shell_as_root(&format!("pkill -KILL -f '^[^ ]*seawall backup dump --policy {}' || true", policy.display()));
        child.wait().expect("its end");
        ground.rig.cluster.wait_until("not exists (select from pg_stat_activity where application_name like '%pg_dump%' or query like '%pg_export%' and pid <> pg_backend_pid())");
    }
    let said = crate::restore::rig::said(command(&["backup", "dump"]).output().expect("seawall"));
    assert_eq!(said.code, 0, "{}", said.err);
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}
