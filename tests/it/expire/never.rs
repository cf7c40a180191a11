//! What must never go, whatever the rules say, and whatever somebody puts into the store.

use std::fs;

use seawall::execute::expire::{Clock, Deed, Done, Onlooker, Wishes, expire};
use seawall::format::signature::SigningKey;
use seawall::units::Key;

use super::rig::{Ground, day, ids, later};

fn ground() -> (Ground, String) {
    let ground = Ground::keeping("{ last: 6 }");
    for number in 0..7 {
        ground.backup(&format!("n{number:02}"), &day(number), number as u64 + 1);
    }
    (ground, later(&day(6), 10))
}

fn key(ground: &Ground, rest: &str) -> Key {
    Key::new(format!("{}/{rest}", ground.fixture.repository)).expect("a key")
}

fn put(ground: &Ground, rest: &str, body: &str) {
    ground.fixture.store.replace(&key(ground, rest), body.to_owned().into()).expect("put");
}

/// Nothing is marked, deleted or unmarked, and the message says why.
fn refused(ground: &Ground, now: &str, why: &str) {
    let before = super::rig::files(&ground.fixture.store_path());
    let run = ground.expire(now);
    let [failed] = run.failed.as_slice() else { panic!("{why}: {run:?}") };
    assert!(failed.fault.to_string().contains(why), "{}", failed.fault);
    assert!(!failed.fault.hint().is_empty());
    assert!(run.marked.is_empty() && run.deleted.is_empty() && run.unmarked.is_empty(), "{run:?}");
    assert_eq!(super::rig::files(&ground.fixture.store_path()), before);
}

#[test]
fn nothing_goes_on_the_strength_of_an_unknown() {
    let (ground, noon) = ground();
    ground.expire(&noon);
    let ripe = later(&noon, 30);
    let stop = ground.fixture.repository.descriptor(day(3).parse().expect("a moment"), &"n03".parse().expect("an id"));
    let path = ground.fixture.file(&stop);
    let whole = fs::read(&path).expect("read");
    // A flipped bit; another's signature; a newer program's.
    let mut flipped = whole.clone();
    flipped[40] ^= 1;
    fs::write(&path, &flipped).expect("written");
    refused(&ground, &ripe, "is not believed");
    fs::write(&path, &whole).expect("written");
    let stranger = SigningKey::generate("x").expect("a key").sign_armored(seawall::format::signature::BACKUP, &whole).expect("signed");
    let signature = ground.fixture.file(&seawall::format::layout::signature_of(&stop));
    let ours = fs::read(&signature).expect("read");
    fs::write(&signature, stranger).expect("written");
    refused(&ground, &ripe, "is not believed");
    fs::write(&signature, ours).expect("written");
    // A hold that cannot be read may hold anything.
    put(&ground, "holds/case.json", "{\"name\":\"case\",\"reason\":\"x\",\"selects\":{},\"more\":1}");
    refused(&ground, &ripe, "the holds are not known");
    fs::remove_file(ground.fixture.file(&key(&ground, "holds/case.json"))).expect("removed");
    // All is in order again.
    assert_eq!(ids(&ground.expire(&ripe).deleted), ["n00"]);
}

#[test]
fn a_backup_from_the_future_stops_it() {
    let (ground, noon) = ground();
    ground.expire(&noon);
    refused(&ground, &later(&day(5), 1), "some clock is wrong");
    assert_eq!(ids(&ground.expire(&later(&noon, 30)).deleted), ["n00"]);
}

#[test]
fn the_newest_good_one_stays_however_old_it_is() {
    let mut ground = Ground::keeping("{ for: 1d }");
    ground.add("expire: { brake: 100% }\n");
    ground.backup("a", &day(0), 1);
    ground.backup("b", &day(1), 2);
    ground.expire(&day(400));
    ground.expire(&day(402));
    assert_eq!(ground.there(), ["b"]);
    ground.expire(&day(800));
    assert_eq!(ground.expire(&day(802)).deleted.len(), 0);
    assert_eq!(ground.there(), ["b"]);
}

#[test]
fn marks_that_somebody_planted_delete_nothing_that_is_wanted() {
    let (ground, _) = ground();
    for number in 0..7 {
        put(&ground, &format!("expiring/n{number:02}.json"), "{\"acknowledged\":true}");
    }
    put(&ground, "expiring/nobody.json", "rubbish");
    put(&ground, "expiring/wal/7301234567890123456/00000001.json", "rubbish");
    // A backup that is being taken: its objects are there, and its lease.
    put(&ground, "data/running/part-00001.tar.zst", "x");
    put(&ground, "leases/backup-running.json", r#"{"backup":"running","job":"nightly","host":"db-2","started":"2025-01-07T00:00:00Z"}"#);
    put(&ground, "expiring/running.json", "{}");
    let now = jiff::Timestamp::now();
    // By the real clock, a month after they were put.
    let month = std::time::SystemTime::from(now) - std::time::Duration::from_secs(30 * 86_400);
    for path in super::rig::files(&ground.fixture.store_path()).iter().filter(|path| path.to_string_lossy().contains("/expiring/")) {
        fs::File::options().write(true).open(path).and_then(|file| file.set_modified(month)).expect("aged");
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let run = expire(&ground.fixture.site(), &Wishes::default(), Onlooker { deed: &|_, _| true, stop: &stop }).expect("it begins");
    // What the rules let go anyway went, and nothing else; a mark of nothing goes without a word.
    assert_eq!(ids(&run.deleted), ["n00"], "{run:?}");
    assert!(ground.traces("expiring/nobody").is_empty());
    assert_eq!((run.unmarked.len(), ground.there().len()), (6, 6));
    assert!(!ground.traces("data/running").is_empty());
}

#[test]
fn what_is_being_restored_stays_and_so_does_all_of_the_log() {
    let (ground, noon) = ground();
    (0..9).for_each(|number| drop(ground.fixture.segment(1, number)));
    ground.expire(&noon);
    put(&ground, "pins/odd.json", "not a pin");
    let run = ground.expire(&later(&noon, 30));
    assert!(run.deleted.is_empty() && run.waiting[0].reason.contains("being restored"), "{run:?}");
    assert!(run.remarks.iter().any(|remark| remark.contains("no log is deleted")), "{:?}", run.remarks);
}

/// What came into a store while another one was worked on is seen when its turn comes, and before any log goes.
#[test]
fn each_store_is_listed_when_its_turn_comes() {
    let (mut ground, noon) = ground();
    let second = ground.fixture.path().join("second");
    ground.change("physical: {},", "physical: {}, store: main,");
    ground.change("stores: {", &format!("stores: {{ second: {{ local: {{ path: {}, other_device: false }} }},", second.display()));
    assert!(std::process::Command::new("cp").arg("-r").arg(ground.fixture.store_path()).arg(&second).status().expect("cp").success());
    let strange = second.join(ground.fixture.repository.as_str()).join("backups/20260101T000000Z-strange.json");
    let deed = |_: Done, deed: &Deed| {
        if deed.store.as_str() == "main" {
            fs::write(&strange, "rubbish").expect("planted");
        }
        true
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let wishes = Wishes { clock: Clock::Told(crate::repository::fixture::moment(&noon)), ..Wishes::default() };
    let run = expire(&ground.fixture.site(), &wishes, Onlooker { deed: &deed, stop: &stop }).expect("it begins");
    assert_eq!(run.marked.len(), 1, "{run:?}");
    let failed: Vec<(&str, String)> = run.failed.iter().map(|failed| (failed.store.as_str(), failed.fault.to_string())).collect();
    assert!(matches!(failed.as_slice(), [("second", why)] if why.contains("strange.json is not believed")), "{run:?}");
}
