//! `key`: what is generated opens what it should, and nothing is overwritten.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use seawall::format::seal::Identities;
use seawall::units::Lsn;
use serde_json::Value;

use super::fixture::{Fixture, How, SEGMENT};

fn backup(fixture: &Fixture) {
    fixture.segment(1, 2);
    fixture.backup("20261120T000200Z-aaaa", "2026-11-20T00:02:30Z", Lsn(2 * SEGMENT + 40), Lsn(2 * SEGMENT + 500));
}

fn public(stdout: &str) -> String {
    let line = stdout.lines().find_map(|line| line.strip_prefix("Its public key: "));
    line.expect(stdout).to_owned()
}

#[test]
fn an_identity_is_made_once_and_only_its_owner_reads_it() {
    let fixture = Fixture::new();
    let run = fixture.run(&["key", "generate", "--out", "new.txt"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let path = fixture.path().join("new.txt");
    let text = std::fs::read(&path).expect("it is there");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(Identities::parse(&text, None).expect("an identity").public(), [public(&run.stdout)]);
    assert!(run.stdout.contains(&format!("recipients:\n      - {}", public(&run.stdout))), "{}", run.stdout);
    assert!(!run.stdout.contains("AGE-SECRET-KEY") && !run.stderr.contains("AGE-SECRET-KEY"));
    let identity = format!("    identity: {{ file: {:?} }}\n", path.display().to_string());
    assert!(run.stdout.contains(&identity), "{}", run.stdout);
    let run = fixture.run(&["key", "generate", "--out", "new.txt"]);
    assert!(run.code == Some(1) && run.stderr.contains("is there already"), "{}", run.stderr);
    assert_eq!(std::fs::read(&path).expect("it is there"), text);
}

#[test]
fn a_passphrase_protects_the_file_and_is_never_an_argument() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("passphrase.txt"), "correct horse\n").expect("written");
    let run = fixture.run(&["key", "generate", "--out", "new.age", "--passphrase-file", "passphrase.txt"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = std::fs::read(fixture.path().join("new.age")).expect("it is there");
    assert!(text.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
    let passphrase = "correct horse".to_owned().into();
    assert_eq!(Identities::parse(&text, Some(&passphrase)).expect("it opens").public(), [public(&run.stdout)]);
    assert!(Identities::parse(&text, Some(&"wrong".to_owned().into())).is_err());
    assert!(run.stdout.contains("    passphrase: { file: \"/") && !run.stdout.contains("horse"), "{}", run.stdout);
    let run = fixture.run(&["key", "generate", "--out", "for-programs.txt", "--format", "json"]);
    let json = crate::cli::follows("key-generate-output", &run.stdout);
    let made = std::fs::read(fixture.path().join("for-programs.txt")).expect("it is there");
    assert_eq!(json["recipient"], Identities::parse(&made, None).expect("an identity").public()[0]);
    std::fs::write(fixture.path().join("empty.txt"), "\n").expect("written");
    let run = fixture.run(&["key", "generate", "--out", "other.age", "--passphrase-file", "empty.txt"]);
    assert!(run.code == Some(1) && !fixture.path().join("other.age").exists(), "{}", run.stderr);
}

#[test]
fn a_host_tells_its_line_for_the_policy() {
    let fixture = Fixture::with(How { encrypted: true, guarded: false });
    let run = fixture.run(&["key", "host", "--host", "db-1"]);
    assert!(run.stdout.contains(&format!("db-1: \"{}\"", fixture.keys.signing.public())), "{}", run.stdout);
    assert!(run.stdout.contains("does not accept this host yet") && run.stdout.contains(&fixture.keys.recipient));
    let json = fixture.run(&["key", "host", "--host", "db-1", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).expect(&json.stdout);
    assert_eq!((&json["writer"], &json["accepted"]), (&fixture.keys.signing.public().into(), &false.into()));
    let guarded = Fixture::new();
    assert!(guarded.run(&["key", "host", "--host", "db-1"]).stdout.contains("accepts this host already"));
}

#[test]
fn a_new_host_needs_no_policy_for_its_line() {
    let room = tempfile::tempdir().expect("a directory");
    let run = |more: &[&str], policy: Option<&str>| {
        let mut command = crate::cli::hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), room.path());
        command.args(["key", "host", "--state", "state"]).args(more).env_remove("SEAWALL_POLICY");
        command.envs(policy.map(|policy| ("SEAWALL_POLICY", policy)));
        crate::cli::finish(&mut command, b"")
    };
    // The last one will be written with this line.
    for (more, policy) in [(&["--host", "db-1"][..], None), (&[], None), (&["--host", "db-1"], Some("later.yaml"))] {
        let first = run(more, policy);
        assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""), "{}", first.stdout);
        let line = std::fs::read_to_string(room.path().join("state/keys/signing.pub")).expect("made");
        assert!(first.stdout.contains(&format!("\"{}\"", line.trim())) && first.stdout.contains("no policy yet"), "{}", first.stdout);
    }
    // One that was named must be there; the line is said all the same.
    let named = run(&["--policy", "missing.yaml"], None);
    assert!(named.code == Some(1) && named.stdout.contains("ssh-ed25519 ") && named.stderr.contains("missing.yaml"), "{}", named.stderr);
}

#[test]
fn the_list_shows_what_opens_what() {
    let fixture = Fixture::new();
    backup(&fixture);
    fixture.run(&["key", "generate", "--out", "stranger.txt"]);
    let run = fixture.run(&["key", "list", "--identity", "identity.txt", "--identity", "stranger.txt", "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let json = crate::cli::follows("key-list-output", &run.stdout);
    assert_eq!(json["recipients"][0]["identity"], "identity.txt");
    let locked = &json["stores"][0]["locked"][0];
    assert_eq!((&locked["backups"], &locked["age"], &locked["opened_by"]), (&1.into(), &1.into(), &serde_json::json!(["identity.txt"])));
    assert_eq!(json["writers"][0]["ours"], true);
    let run = fixture.run_elsewhere(&["key", "list"]);
    assert!(run.stdout.contains("its identity is not on this host") && run.stdout.contains("NOTHING"), "{}", run.stdout);
    let open = Fixture::with(How { encrypted: false, guarded: false });
    backup(&open);
    let run = open.run(&["key", "list"]);
    assert!(run.stdout.contains("nobody: not encrypted"), "{}", run.stdout);
}

#[test]
fn rotation_shows_the_change_and_until_when_the_old_are_kept() {
    let fixture = Fixture::new();
    backup(&fixture);
    let run = fixture.run(&["key", "rotate", "--out", "next.txt"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let old = seawall::format::seal::Identities::parse(&std::fs::read(fixture.path().join("identity.txt")).expect("there"), None);
    let old = old.expect("an identity").public().pop().expect("a key");
    assert!(run.stdout.contains(&format!("# no longer: {old}")), "{}", run.stdout);
    assert!(run.stdout.contains("Keep the old identities until 20"), "{}", run.stdout);
    let run = fixture.run(&["key", "rotate", "--out", "third.txt", "--keep", &old]);
    assert!(run.stdout.contains(&format!("- {old}\n      - age1")), "{}", run.stdout);
    assert_eq!(fixture.run(&["key", "rotate", "--out", "fourth.txt", "--keep", "age1other"]).code, Some(64));
    assert!(!fixture.path().join("fourth.txt").exists());
}

/// What the documentation says that anybody can do by hand.
#[test]
fn stock_tools_agree() {
    let fixture = Fixture::new();
    backup(&fixture);
    let script = r#"set -euo pipefail
cd "$1"
descriptor=$(ls backups/*.json)
printf 'db-1 %s\n' "$(cut -d' ' -f1,2 < "$2/state/keys/signing.pub.test")" > "$2/allowed"
ssh-keygen -Y verify -f "$2/allowed" -I db-1 -n seawall-backup -s "$descriptor.sig" < "$descriptor"
id=$(jq -r .id "$descriptor")
jq -r '.objects[] | .sha256 + "  " + .name' "$descriptor" | (cd "data/$id" && sha256sum --quiet -c -)
age -d -i "$2/identity.txt" "data/$id/part-00001.tar.zst.age" | zstd -dq | tar -tf - | grep -x base/5/1259 > /dev/null
age -d -i "$2/identity.txt" "data/$id/part-00001.index.zst.age" | zstd -dq | jq -e '.pieces | length > 0' > /dev/null
segment=$(find wal -name '000000010000000000000002.zst.age')
test "$(age -d -i "$2/identity.txt" "$segment" | zstd -dq | wc -c)" = 1048576
"#;
    let missing = ["ssh-keygen", "jq", "age", "zstd"]
        .iter()
        .find(|tool| !Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().is_ok_and(|found| found.status.success()));
    if let Some(tool) = missing {
        println!("{tool} is not installed; not tried");
        return;
    }
    std::fs::write(fixture.path().join("state/keys/signing.pub.test"), fixture.keys.signing.public()).expect("written");
    let repository = fixture.store_path().join(fixture.repository.as_str());
    let output = Command::new("bash").args(["-c", script, "by-hand"]).arg(repository).arg(fixture.path()).output().expect("bash");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stdout));
}
