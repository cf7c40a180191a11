//! Files whose backup lies in an archive class: refused, requested, waited for.

use std::process::Command;

use super::rig::{Ground, shell};
use crate::run::rig::Said;
use crate::servers::moto::Moto;
use crate::servers::s3::boto3;

#[test]
fn files_come_back_from_an_archive() {
    let server = Moto::start();
    let ground = Ground::new(false, "paths: [TREE], full_every: 7d");
    ground.rig.shell("mkdir -p tree/etc; echo one > tree/etc/one; head -c 3000000 /dev/urandom > tree/large");
    let folder = ground.rig.cluster.folder().display().to_string();
    ground.change(
        &format!("local: {{ path: {folder}/store, other_device: false }}"),
        &format!("s3: {{ bucket: bucket, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", server.port),
    );
    let say = |words: &[&str]| {
        let mut command: Command = ground.command(words);
        command.env("AWS_ACCESS_KEY_ID", "any").env("AWS_SECRET_ACCESS_KEY", "any");
        Said::of(command.output().expect("seawall"))
    };
    say(&["backup", "system"]).ends_with_code(0);
    // An increment needs what it builds on.
    ground.rig.shell("echo two > tree/etc/two");
    say(&["backup", "system"]).ends_with_code(0).says("an increment");
    // As a rule of the bucket does it: all of it, what says which file lies where included.
    let moved = boto3(
        server.port,
        "any",
        "keys = [o['Key'] for o in s3.list_objects_v2(Bucket='bucket')['Contents'] if '/data/' in o['Key']]\n\
         for key in keys:\n    \
         s3.copy_object(Bucket='bucket', Key=key, CopySource={'Bucket': 'bucket', 'Key': key}, StorageClass='DEEP_ARCHIVE')\n\
         print(len(keys))",
    );
    assert_ne!(moved, "0");
    let root = ground.file("back").display().to_string();
    let words = ["restore", "--yes", "--files", "--to-root", &root];
    let refused = say(&words).ends_with_code(1);
    assert!(refused.err.contains("standard within 12 hours, bulk within 2 days"), "{}", refused.err);
    assert!(!ground.file("back").exists(), "nothing was touched");
    say(&[&words[..], &["--thaw", "1"]].concat()).ends_with_code(75).says("cannot be read now");
    say(&[&words[..], &["--thaw", "1", "--wait"]].concat()).ends_with_code(0);
    let sums = |tree: &str| shell(&ground.rig, &format!("cd {tree}; find . -type f -print0 | sort -z | xargs -0 sha256sum"));
    assert_eq!(sums(&ground.below("back").display().to_string()), sums("tree"));
}
