//! A real server from a backup that lies in an archive class.

use super::rig::{Place, Rig};
use crate::clusters::{Options, Version};
use crate::servers::moto::Moto;
use crate::servers::s3::boto3;

#[test]
fn a_server_comes_back_from_an_archive() {
    let server = Moto::start();
    let store = format!("s3: {{ bucket: bucket, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", server.port);
    let environment = vec![("AWS_ACCESS_KEY_ID", "any".to_owned()), ("AWS_SECRET_ACCESS_KEY", "any".to_owned())];
    let rig = Rig::start_with(Version::V16, Options::default(), |_| Place { store, environment });
    rig.series();
    rig.load(20);
    let id = rig.backup();
    rig.load(20);
    rig.archive();
    // As a rule of the bucket does it, without asking Seawall.
    let moved = boto3(
        server.port,
        "any",
        &format!(
            "keys = [o['Key'] for o in s3.list_objects_v2(Bucket='bucket')['Contents'] if '/data/{id}/part-' in o['Key'] and '.tar' in o['Key']]\n\
             for key in keys:\n    \
             s3.copy_object(Bucket='bucket', Key=key, CopySource={{'Bucket': 'bucket', 'Key': key}}, StorageClass='DEEP_ARCHIVE')\n\
             print(len(keys))"
        ),
    );
    assert_ne!(moved, "0");
    let refused = rig.restore("rescue", &[]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("standard within 12 hours, bulk within 2 days"), "{}", refused.err);
    assert!(!rig.path("rescue").exists(), "nothing was touched");
    let restored = rig.bring_back("rescue", &["--thaw", "1", "--wait"]);
    assert_eq!(restored.hash(), rig.hash(40));
}
