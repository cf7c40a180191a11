//! Somebody who can write to the store puts a repository of his own beside ours.

use bytes::Bytes;
use seawall::format::descriptor::Descriptor;
use seawall::format::layout::{Repository, signature_of};
use seawall::format::signature::{REPOSITORY, SigningKey};
use seawall::inventory::SystemIdentifier;
use seawall::observe;
use seawall::site::About;
use seawall::units::{Key, Lsn};

use super::fixture::{CLUSTER, Fixture, How, SEGMENT, moment};

const NOW: &str = "2026-11-21T08:00:00Z";
const ID: &str = "20261120T000200Z-aaaa";

fn backup(fixture: &Fixture) -> Descriptor {
    (1..=4).for_each(|number| drop(fixture.segment(1, number)));
    fixture.backup(ID, "2026-11-20T00:02:30Z", Lsn(2 * SEGMENT + 40), Lsn(2 * SEGMENT + 500))
}

fn about(cluster: u64, created: &str, key: &SigningKey) -> (Key, About) {
    let cluster = SystemIdentifier(cluster);
    let repository = Repository::first("shop", cluster);
    let mut about = About {
        format: 1,
        repository: repository.to_string(),
        policy: "shop".into(),
        system_identifier: cluster,
        created: moment(created),
        signature: None,
    };
    about.signature = Some(key.sign_armored(REPOSITORY, &about.to_json()).expect("signed"));
    (repository.about(), about)
}

/// Newer than ours, and whole.
fn plant(fixture: &Fixture, cluster: u64, key: &SigningKey) -> Key {
    let (name, about) = about(cluster, "2026-11-21T00:00:00Z", key);
    fixture.store.replace(&name, Bytes::from(about.to_json())).expect("put");
    name
}

fn mallory() -> SigningKey {
    SigningKey::generate("db-1").expect("a key")
}

fn ids(fixture: &Fixture) -> Vec<String> {
    let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("it can be looked at");
    seen.inventory.backups.iter().map(|backup| backup.id.to_string()).collect()
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_an_accepted_writer_made_is_taken_and_the_others_are_named() {
    let fixture = Fixture::new();
    backup(&fixture);
    let planted = plant(&fixture, 666, &mallory());
    // What cannot be read, and what has lost its name, hinders nobody either.
    let rubbish = Key::new("shop-deadbeef/repository.json").expect("a key");
    fixture.store.put_new(&rubbish, Bytes::from_static(b"{ \"format\": 1")).expect("put");
    fixture.store.put_new(&Key::new("shop-00000000/wal/x").expect("a key"), Bytes::new()).expect("put");
    let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("it can be looked at");
    assert_eq!(seen.repository.as_ref(), Some(&fixture.repository));
    let why: Vec<(String, &str)> = seen.rejected.iter().map(|one| (one.key.to_string(), one.why.as_str())).collect();
    for (key, word) in [
        (planted.as_str(), "which the policy does not accept"),
        (rubbish.as_str(), "cannot be read"),
        ("shop-00000000/repository.json", "lost its repository.json"),
    ] {
        assert!(why.iter().any(|(named, why)| named == key && why.contains(word)), "{key}: {why:?}");
    }
    let run = fixture.run(&["list"]);
    assert!(run.code == Some(0) && run.stdout.contains(ID) && run.stdout.contains(planted.as_str()), "{}", run.stdout);
    let run = fixture.run(&["verify"]);
    assert!(run.code == Some(1) && run.stdout.contains(planted.as_str()), "{}", run.stdout);
    let run = fixture.run(&["restore", "--target", "r", "--identity", "identity.txt"]);
    assert!(run.stdout.contains(ID) && run.stdout.contains(&format!("not believed: {planted}")), "{}{}", run.stdout, run.stderr);
}

#[test]
fn where_the_maker_s_key_is_not_named_any_more_the_backups_tell() {
    let fixture = Fixture::new();
    let (name, former) = about(CLUSTER.0, "2026-11-20T00:00:00Z", &mallory());
    fixture.store.replace(&name, Bytes::from(former.to_json())).expect("put");
    let planted = plant(&fixture, 666, &mallory());
    let run = fixture.run(&["list"]);
    let said = unwrapped(&run.stdout);
    assert_eq!(run.code, Some(1));
    for word in ["2 repositories of the policy `shop`", fixture.repository.as_str(), planted.as_str().split('/').next().expect("a folder")]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.contains("encryption.writers") && said.contains("ssh-ed25519 AAAA"), "{said}");
    backup(&fixture);
    assert_eq!(ids(&fixture), [ID]);
}

#[test]
fn without_writers_the_host_knows_its_own_and_others_do_not_guess() {
    let fixture = Fixture::with(How { encrypted: true, guarded: false });
    let descriptor = backup(&fixture);
    let planted = plant(&fixture, 666, &mallory());
    assert_eq!(ids(&fixture), [ID]);
    // A machine without keys of its own: only one of the two has anything to restore.
    let run = fixture.run_elsewhere(&["list"]);
    assert!(run.code == Some(0) && run.stdout.contains(ID) && run.stdout.contains(planted.as_str()), "{}", run.stdout);
    // Now both have.
    let ours = fixture.repository.descriptor(descriptor.stopped, &descriptor.id);
    let folder = planted.as_str().strip_suffix("/repository.json").expect("its name");
    for key in [&ours, &signature_of(&ours)] {
        let rest = fixture.repository.rest_of(key).expect("in it");
        let copy = Key::new(format!("{folder}/{rest}")).expect("a key");
        fixture.store.put_new(&copy, fixture.store.get(key, 1 << 20).expect("it is there")).expect("put");
    }
    assert_eq!(ids(&fixture), [ID]);
    let run = fixture.run_elsewhere(&["list"]);
    assert!(run.code == Some(1) && unwrapped(&run.stdout).contains("nothing tells which is the true one"), "{}", run.stdout);
}
