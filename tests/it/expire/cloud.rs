//! A bucket that keeps versions and locks, as auditors want it.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::rig::{Ground, day};
use crate::cli::{Run, finish, hermetic};
use crate::servers::s3::{KEY, S3, SECRET};

fn expire(ground: &Ground, words: &[&str]) -> Run {
    let fixture = &ground.fixture;
    let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), fixture.path());
    command
        .args(words)
        .env("SEAWALL_POLICY", fixture.path().join("policy.yaml"))
        .env("STATE_DIRECTORY", fixture.path().join("state"))
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    finish(&mut command, b"")
}

/// A repository in a bucket with locks, of this many nights.
fn bucket_of(server: &S3, nights: u64) -> Ground {
    server.administer("s3.create_bucket(Bucket='kept', ObjectLockEnabledForBucket=True)");
    let mut ground = Ground::keeping("{ last: 2 }");
    ground.add("expire: { brake: 100%, grace: 1s }\n");
    for number in 0..nights {
        ground.backup(&format!("n{number:02}"), &day(number as i64), number + 1);
    }
    let root = ground.fixture.store_path();
    server.administer(&format!(
        "root = '{}'\nfor at, _, names in os.walk(root):\n    for name in names:\n        path = os.path.join(at, name)\n        \
         s3.upload_file(path, 'kept', os.path.relpath(path, root))",
        root.display()
    ));
    let store = format!("s3: {{ bucket: kept, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", server.http);
    ground.change(&format!("local: {{ path: {} }}", root.display()), &store);
    ground
}

fn deeds(ground: &Ground, field: &str) -> Vec<String> {
    let run = expire(ground, &["expire", "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let said: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let id = |deed: &serde_json::Value| {
        let what = &deed["what"];
        let id = what["backup"]["id"].as_str().or_else(|| what["leftovers"]["id"].as_str());
        id.map_or_else(|| what.to_string(), str::to_owned)
    };
    said[field].as_array().expect("a list").iter().map(id).collect()
}

/// Whatever is put is locked for a day: what Seawall says for a while cannot be deleted, and still nobody sees it any more when it is over.
#[test]
fn a_default_lock_keeps_no_mark_in_sight() {
    let server = S3::start();
    let mut ground = bucket_of(&server, 3);
    server.administer(
        "s3.put_object_lock_configuration(Bucket='kept', ObjectLockConfiguration={'ObjectLockEnabled': 'Enabled', \
         'Rule': {'DefaultRetention': {'Mode': 'COMPLIANCE', 'Days': 1}}})",
    );
    let seen = |part: &str| {
        let all = server.administer("print('\\n'.join(o['Key'] for o in s3.list_objects_v2(Bucket='kept').get('Contents', [])))");
        all.lines().filter(|name| name.contains(part)).map(str::to_owned).collect::<Vec<_>>()
    };
    let kept = |part: &str| {
        let all = server.administer("print('\\n'.join(v['Key'] for v in s3.list_object_versions(Bucket='kept').get('Versions', [])))");
        all.lines().filter(|name| name.contains(part)).count()
    };
    assert_eq!(deeds(&ground, "marked"), ["n00"]);
    assert_eq!((seen("/expiring/").len(), seen("/leases/")), (1, vec![]));
    ground.change("{ last: 2 }", "{ last: 3 }");
    assert_eq!(deeds(&ground, "unmarked"), ["n00"]);
    assert_eq!((seen("/expiring/"), kept("/expiring/")), (vec![], 1), "hidden, because it is locked");
    // Its time begins anew, although the first mark would be old enough by then.
    sleep(Duration::from_millis(2500));
    ground.change("{ last: 3 }", "{ last: 2 }");
    let again = expire(&ground, &["expire", "--format", "json"]);
    assert!(again.code == Some(0) && again.stdout.contains("n00"), "{}{}", again.stdout, again.stderr);
    assert_eq!((seen("/expiring/").len(), seen("/backups/").len()), (1, 6), "marked, and not deleted: {}", again.stdout);
    sleep(Duration::from_millis(2500));
    assert_eq!(deeds(&ground, "deleted"), ["n00"]);
    assert_eq!((seen("n00"), seen("/leases/")), (vec![], vec![]));
    assert_eq!(deeds(&ground, "deleted"), [""; 0], "once");
}

#[test]
fn a_locked_backup_is_deferred_whole_and_the_others_go_with_all_their_versions() {
    let server = S3::start();
    let ground = bucket_of(&server, 5);
    // One object of the second oldest is under a legal hold, and the oldest was hidden and put again.
    let repository = ground.fixture.repository.to_string();
    server.administer(&format!(
        "s3.put_object_legal_hold(Bucket='kept', Key='{repository}/data/n01/part-00001.tar.zst', LegalHold={{'Status': 'ON'}})\n\
         key = '{repository}/data/n00/part-00001.tar.zst'\nbody = s3.get_object(Bucket='kept', Key=key)['Body'].read()\n\
         s3.delete_object(Bucket='kept', Key=key)\ns3.put_object(Bucket='kept', Key=key, Body=body)"
    ));
    let marked = expire(&ground, &["expire", "--format", "json"]);
    assert_eq!(marked.code, Some(0), "{}{}", marked.stdout, marked.stderr);
    sleep(Duration::from_millis(2500));
    let run = expire(&ground, &["expire", "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let said: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let ids = |field: &str| -> Vec<String> {
        let deeds = said[field].as_array().expect("a list");
        deeds.iter().map(|deed| deed["what"]["backup"]["id"].as_str().expect("an id").to_owned()).collect()
    };
    let mut deleted = ids("deleted");
    deleted.sort();
    assert_eq!((deleted, ids("deferred")), (vec!["n00".to_owned(), "n02".to_owned()], vec!["n01".to_owned()]), "{}", run.stdout);
    assert!(said["deferred"][0]["reason"].as_str().expect("a reason").contains("legal hold"), "{}", run.stdout);
    let left = server.administer(
        "all = s3.list_object_versions(Bucket='kept')\n\
         print('\\n'.join(v['Key'] for v in all.get('Versions', []) + all.get('DeleteMarkers', [])))",
    );
    assert!(!left.contains("n00") && !left.contains("n02"), "{left}");
    // Whole: descriptor, signature, four objects, and its mark.
    assert_eq!(left.lines().filter(|name| name.contains("n01")).count(), 7, "{left}");
    assert!(!left.contains("leases"), "{left}");
}
