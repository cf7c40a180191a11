//! What lies in an archive class is found before anything is touched, requested at once, and waited for.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::rig::Bucket;
use crate::servers::moto::Moto;

/// Long enough to ask for it twice, also on a busy machine.
const THAWS: Duration = Duration::from_secs(30);

/// Where a restore goes, owned by nobody in particular.
fn target(bucket: &Bucket, name: &str) -> PathBuf {
    bucket.ground.fixture.path().join(name)
}

fn restore(bucket: &Bucket, name: &str, words: &[&str]) -> crate::cli::Run {
    let target = target(bucket, name);
    let target = target.to_str().expect("text");
    let all = ["restore", "--target", target, "--backup", "jan", "--immediate", "--owner", "nobody", "--yes"];
    bucket.run(&[&all[..], words].concat())
}

#[test]
fn a_restore_from_the_archive_is_refused_requested_and_done() {
    let server = Moto::start();
    let bucket = Bucket::of_months(&server, "bucket");
    bucket.done(&["expire"]);
    let verified = bucket.run(&["verify", "jan"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("1 object of backup jan: they lie in an archive class"), "{}", verified.stdout);

    // This server counts from when it was last asked: it is asked first by the restore that is refused.
    server.thaw_within(THAWS);
    std::thread::sleep(THAWS + Duration::from_millis(500));
    let refused = restore(&bucket, "data", &[]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.stdout, refused.stderr);
    for words in [
        "1 of 1 object",
        "nothing was touched",
        "`--thaw DAYS`",
        "expedited within 5 minutes, standard within 5 hours, bulk within 12 hours",
    ] {
        assert!(refused.stderr.contains(words), "no `{words}` in\n{}", refused.stderr);
    }
    assert!(refused.stdout.contains("in GLACIER cannot be read before they are requested"), "{}", refused.stdout);
    assert!(!target(&bucket, "data").join("PG_VERSION").exists());

    let requested = restore(&bucket, "data", &["--thaw", "3", "--thaw-speed", "bulk"]);
    assert_eq!(requested.code, Some(75), "{}{}", requested.stdout, requested.stderr);
    assert!(requested.stderr.contains("1 object requested now, all of them here within 12 hours"), "{}", requested.stderr);
    // Nobody deletes it meanwhile.
    let hold = bucket.boto3(&format!(
        "print(s3.get_object(Bucket='bucket', Key='{}/holds/thaw-jan.json')['Body'].read().decode())",
        bucket.ground.fixture.repository
    ));
    let hold: serde_json::Value = serde_json::from_str(&hold).expect("JSON");
    assert_eq!(hold["selects"]["backups"][0], "jan", "{hold}");

    // Again: nothing is requested twice, and it says so.
    let again = restore(&bucket, "data", &["--thaw", "3"]);
    assert_eq!(again.code, Some(75), "{}{}", again.stdout, again.stderr);
    assert!(again.stderr.contains("All of them were requested before"), "{}", again.stderr);
    assert!(again.stdout.contains("were requested and are on their way"), "{}", again.stdout);
    assert!(!target(&bucket, "data").join("PG_VERSION").exists());
    let done = restore(&bucket, "data", &["--wait"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert_eq!(fs::read(target(&bucket, "data").join("PG_VERSION")).expect("restored"), b"16\n");
    assert_eq!(bucket.in_class("GLACIER"), ["feb", "jan"], "a thawed object stays in its class");
    let verified = bucket.done(&["verify", "jan", "--deep"]);
    assert!(!verified.contains("archive class"), "{verified}");
}

#[test]
fn what_cannot_be_had_in_that_haste_is_said_before_anything_is_requested() {
    let server = Moto::start();
    let mut bucket = Bucket::of_months(&server, "bucket");
    bucket.ground.change("storage_class: GLACIER", "storage_class: DEEP_ARCHIVE");
    bucket.done(&["expire"]);
    let refused = restore(&bucket, "data", &["--thaw", "3", "--thaw-speed", "expedited"]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("nothing in DEEP_ARCHIVE can be requested as `expedited`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--thaw-speed` standard or bulk"), "{}", refused.stderr);
    let asked = bucket.boto3(&format!(
        "print(s3.head_object(Bucket='bucket', Key='{}/data/jan/part-00001.tar.zst').get('Restore'))",
        bucket.ground.fixture.repository
    ));
    assert_eq!(asked, "None");
}

#[test]
fn half_a_thawed_backup_says_which_half() {
    let server = Moto::start();
    let bucket = Bucket::of_months(&server, "bucket");
    // The configuration in an archive too, as a lifecycle rule puts it there; one of the two was asked for by somebody.
    let repository = bucket.ground.fixture.repository.to_string();
    bucket.boto3(&format!(
        "for name in ['part-00001.tar.zst', 'config.tar.zst']:\n    key = '{repository}/data/jan/' + name\n    \
         s3.copy_object(Bucket='bucket', Key=key, CopySource={{'Bucket': 'bucket', 'Key': key}}, StorageClass='GLACIER')\n\
         s3.restore_object(Bucket='bucket', Key=key, RestoreRequest={{'Days': 2, 'GlacierJobParameters': {{'Tier': 'Standard'}}}})\n\
         for _ in range(4):\n    s3.head_object(Bucket='bucket', Key=key)"
    ));
    let refused = restore(&bucket, "data", &[]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stdout.contains("of an archive class were thawed and can be read now"), "{}", refused.stdout);
    assert!(refused.stderr.contains("1 of 2 objects"), "{}", refused.stderr);
}
