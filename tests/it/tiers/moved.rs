//! What only longer tiers keep lies in their class, however often and by however many it is tried.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::rig::{Bucket, MONTHS};
use crate::expire::rig::day;
use crate::servers::moto::Moto;
use crate::servers::s3::S3;

fn ids(said: &serde_json::Value, field: &str) -> Vec<String> {
    let deeds = said[field].as_array().expect("a list");
    let mut ids: Vec<String> = deeds.iter().map(|deed| deed["what"]["backup"]["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn what_only_months_keep_moves_once_and_is_shown_before_and_after() {
    let server = Moto::start();
    let bucket = Bucket::of_months(&server, "bucket");
    let planned = bucket.done(&["expire", "--plan"]);
    for line in ["move      main  jan of `nightly`", "to GLACIER: only `keep.monthly` still keeps it", "2 backups to move"] {
        assert!(planned.contains(line), "no `{line}` in\n{planned}");
    }
    assert!(!planned.contains("mar of"), "{planned}");
    let inventory = bucket.ground.fixture.path().join("seen.json");
    std::fs::write(&inventory, bucket.done(&["inventory", "export"])).expect("written");
    let plan = |bucket: &Bucket| bucket.done(&["plan", "--inventory", inventory.to_str().expect("text")]);
    let told = plan(&bucket);
    assert!(
        told.contains("to be moved to GLACIER, because only `keep.monthly` still keeps it: `jan` and `feb`")
            || told.contains("`feb` and `jan`"),
        "{told}"
    );

    let key = format!("{}/data/jan/part-00001.tar.zst", bucket.ground.fixture.repository);
    bucket.boto3(&format!(
        "s3.copy_object(Bucket='bucket', Key='{key}', CopySource={{'Bucket': 'bucket', 'Key': '{key}'}}, Metadata={{'from': 'db-1'}}, \
         MetadataDirective='REPLACE', ContentType='application/zstd', ServerSideEncryption='aws:kms', SSEKMSKeyId='our-key')"
    ));
    let about = format!(
        "h = s3.head_object(Bucket='bucket', Key='{key}')\n\
         print(h['Metadata'], h['ContentType'], h['ServerSideEncryption'], h['SSEKMSKeyId'], h['ContentLength'])"
    );
    let before = bucket.boto3(&about);
    let said = bucket.json(&["expire", "--format", "json"]);
    assert_eq!(bucket.boto3(&about), before, "it stays what it was, and encrypted as it was");
    assert_eq!(ids(&said, "moved"), ["feb", "jan"], "{said}");
    assert_eq!((&said["moved"][0]["storage_class"], &said["moved"][0]["objects"]), (&"GLACIER".into(), &1.into()), "{said}");
    assert_eq!(bucket.in_class("GLACIER"), ["feb", "jan"]);
    assert_eq!(bucket.in_class("STANDARD"), ["mar"]);

    // Nothing twice: neither planned nor done.
    assert!(!bucket.done(&["expire", "--plan"]).contains("to move"));
    assert_eq!(ids(&bucket.json(&["expire", "--format", "json"]), "moved"), [""; 0]);
    std::fs::write(&inventory, bucket.done(&["inventory", "export"])).expect("written");
    assert!(!plan(&bucket).contains("to be moved"));

    let audit = bucket.done(&["audit", "show"]);
    assert!(audit.contains("jan of `nightly` in `main` to GLACIER: only `keep.monthly` still keeps it"), "{audit}");
    let list = bucket.done(&["list"]);
    assert!(list.contains("CLASS") && list.contains("GLACIER") && list.contains("STANDARD"), "{list}");
    let shown = bucket.json(&["show", "jan", "--format", "json"]);
    assert_eq!(shown["classes"]["part-00001.tar.zst"], "GLACIER", "{shown}");
    assert_eq!(shown["classes"]["part-00001.index.zst"], "STANDARD", "{shown}");
}

#[test]
fn a_bucket_that_keeps_versions_is_left_with_one_and_what_is_locked_stays() {
    let server = S3::start();
    server.administer("s3.create_bucket(Bucket='kept', ObjectLockEnabledForBucket=True)");
    let bucket = Bucket::of_months(&server, "kept");
    let repository = bucket.ground.fixture.repository.to_string();
    bucket.boto3(&format!(
        "s3.put_object_legal_hold(Bucket='kept', Key='{repository}/data/feb/part-00001.tar.zst', LegalHold={{'Status': 'ON'}})"
    ));
    let said = bucket.json(&["expire", "--format", "json"]);
    assert_eq!((ids(&said, "moved"), ids(&said, "deferred")), (vec!["jan".to_owned()], vec!["feb".to_owned()]), "{said}");
    assert!(said["deferred"][0]["reason"].as_str().expect("a reason").contains("legal hold"), "{said}");
    assert_eq!((bucket.in_class("GLACIER"), bucket.versions().as_str()), (vec!["jan".to_owned()], ""));
    let held = format!("s3.get_object_legal_hold(Bucket='kept', Key='{repository}/data/feb/part-00001.tar.zst')['LegalHold']['Status']");
    assert_eq!(bucket.boto3(&format!("print({held})")), "ON");
    // A version from before is somebody's way back: it stays, and only the one that was copied goes.
    bucket.boto3(&format!(
        "key = '{repository}/data/feb/part-00001.tar.zst'\n\
         s3.put_object_legal_hold(Bucket='kept', Key=key, LegalHold={{'Status': 'OFF'}})\n\
         body = s3.get_object(Bucket='kept', Key=key)['Body'].read()\ns3.put_object(Bucket='kept', Key=key, Body=body)"
    ));
    let said = bucket.json(&["expire", "--format", "json"]);
    assert_eq!(ids(&said, "moved"), ["feb"], "{said}");
    assert_eq!(bucket.versions(), format!("{repository}/data/feb/part-00001.tar.zst"));
    assert_eq!(bucket.in_class("GLACIER"), ["feb", "jan"]);
}

#[test]
fn what_broke_off_is_gone_on_with() {
    let server = S3::start();
    let bucket = Bucket::of_months(&server, "bucket");
    bucket.add_parts("jan", 40);
    // The seventh object is refused for good: what was moved before it is on record, and the rest follows.
    let mut command = bucket.command(&["expire", "--format", "json"]);
    let run = crate::cli::finish(command.env("SEAWALL_TEST_FAULTS", "nth=9,kind=permanent,on=replace"), b"");
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let moved = |bucket: &Bucket| bucket.classes().values().filter(|class| *class == "GLACIER").count();
    let before = moved(&bucket);
    assert!((1..41).contains(&before), "{before}");
    let said: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let told: u64 = said["moved"].as_array().expect("a list").iter().map(|deed| deed["objects"].as_u64().expect("a number")).sum();
    assert_eq!(told, before as u64, "{said}");
    bucket.done(&["expire"]);
    assert_eq!(bucket.in_class("GLACIER"), ["feb", "jan"]);
}

#[test]
fn a_run_that_is_killed_and_two_at_once_leave_what_one_leaves() {
    let server = S3::start();
    server.administer(
        "s3.create_bucket(Bucket='kept')\ns3.put_bucket_versioning(Bucket='kept', VersioningConfiguration={'Status': 'Enabled'})",
    );
    let bucket = Bucket::of_months(&server, "kept");
    bucket.add_parts("jan", 150);
    let mut run = bucket.begin(&["expire"]);
    let since = Instant::now();
    while !bucket.classes().values().any(|class| class == "GLACIER") {
        assert!(since.elapsed() < Duration::from_secs(60) && run.try_wait().expect("asked").is_none(), "it moves something before its end");
    }
    run.kill().expect("killed");
    run.wait().expect("gone");
    // The server may be at its last request yet.
    let mut left = bucket.versions();
    loop {
        sleep(Duration::from_millis(300));
        let now = bucket.versions();
        if now == left {
            break;
        }
        left = now;
    }
    let mut both = [bucket.begin(&["expire"]), bucket.begin(&["expire"])];
    for run in &mut both {
        assert_eq!(run.wait().expect("it ends").code(), Some(0));
    }
    assert_eq!(bucket.in_class("GLACIER"), ["feb", "jan"]);
    // What the killed run had copied and not taken away yet is all that stays beside it, until the backup goes.
    let doubled = bucket.versions();
    assert!(doubled.split(' ').all(|key| left.split(' ').any(|known| known == key)), "{doubled}\n{left}");
}

#[test]
fn what_is_marked_held_or_read_stays_where_it_is() {
    let server = Moto::start();
    let mut bucket = Bucket::of_months(&server, "bucket");
    let repository = bucket.ground.fixture.repository.to_string();
    bucket.boto3(&format!(
        "hold = {{'name': 'case', 'reason': 'asked for', 'selects': {{'backups': ['jan']}}}}\n\
         s3.put_object(Bucket='bucket', Key='{repository}/holds/case.json', Body=json.dumps(hold))\n\
         pin = {{'format': 1, 'backup': 'feb', 'host': 'db-1', 'since': '2025-01-01T00:00:00Z', 'why': 'restore', 'wal_from': '0/0'}}\n\
         s3.put_object(Bucket='bucket', Key='{repository}/pins/feb-db-1-7.json', Body=json.dumps(pin))"
    ));
    assert_eq!(ids(&bucket.json(&["expire", "--format", "json"]), "moved"), [""; 0]);
    // Nothing keeps what is not one of the months any more: it is marked, and what is marked does not move.
    bucket.boto3(&format!("s3.delete_object(Bucket='bucket', Key='{repository}/pins/feb-db-1-7.json')"));
    bucket.ground.change(MONTHS, "{ last: 1, monthly: { count: 1, storage_class: GLACIER } }");
    let said = bucket.json(&["expire", "--format", "json"]);
    assert_eq!((ids(&said, "moved"), ids(&said, "marked")), (vec![], vec!["feb".to_owned()]), "{said}");
    assert_eq!(bucket.in_class("STANDARD").len(), 3);
}

#[test]
fn each_tier_has_its_class_on_a_server_that_imitates_s3() {
    let server = S3::start();
    let keep = "{ last: 1, monthly: { count: 2, storage_class: STANDARD_IA }, yearly: { count: 3, storage_class: GLACIER_IR } }";
    let mut bucket = Bucket::with(&server, "bucket", keep, |ground| {
        for (number, (id, started)) in [("year", 0), ("month", 396), ("new", 425)].into_iter().enumerate() {
            ground.backup(id, &day(started), number as u64 + 1);
        }
    });
    bucket.ground.add("expire: { brake: 100%, grace: 1s }\n");
    // Of 2026 February's is the first that is there.
    assert_eq!(ids(&bucket.json(&["expire", "--format", "json"]), "moved"), ["month", "year"]);
    assert_eq!((bucket.in_class("GLACIER_IR"), bucket.in_class("STANDARD_IA")), (vec!["year".to_owned()], vec!["month".to_owned()]));
}
