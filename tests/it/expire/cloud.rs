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

#[test]
fn a_locked_backup_is_deferred_whole_and_the_others_go_with_all_their_versions() {
    let server = S3::start();
    server.administer("s3.create_bucket(Bucket='kept', ObjectLockEnabledForBucket=True)");
    let mut ground = Ground::keeping("{ last: 2 }");
    ground.add("expire: { brake: 100%, grace: 1s }\n");
    for number in 0..5 {
        ground.backup(&format!("n{number:02}"), &day(number), number as u64 + 1);
    }
    let root = ground.fixture.store_path();
    server.administer(&format!(
        "root = '{}'\nfor at, _, names in os.walk(root):\n    for name in names:\n        path = os.path.join(at, name)\n        \
         s3.upload_file(path, 'kept', os.path.relpath(path, root))",
        root.display()
    ));
    let store = format!("s3: {{ bucket: kept, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", server.http);
    ground.change(&format!("local: {{ path: {} }}", root.display()), &store);
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
