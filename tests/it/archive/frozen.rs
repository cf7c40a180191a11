//! A store whose class nobody can read from at once: read back first, then put to sleep.

use super::rig::{Ground, SUM};
use crate::run::rig::Said;
use crate::servers::moto::Moto;
use crate::servers::s3::boto3;

#[test]
fn rows_are_read_back_before_they_go_to_sleep() {
    let server = Moto::start();
    let ground = Ground::with("archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: cold } }\n");
    let cold =
        format!("s3: {{ bucket: bucket, endpoint: \"http://127.0.0.1:{}\", path_style: true, storage_class: GLACIER }}", server.port);
    ground.run.change("nightly: { physical", "nightly: { store: disk, physical");
    ground.run.change("stores: {", &format!("stores: {{ cold: {{ {cold} }},"));
    let say = |words: &[&str]| {
        let mut command = ground.run.command(words);
        command.env("AWS_ACCESS_KEY_ID", "any").env("AWS_SECRET_ACCESS_KEY", "any");
        Said::of(command.output().expect("seawall"))
    };
    let classes = || {
        boto3(
            server.port,
            "any",
            "print(sorted((o['Key'].rsplit('/')[-1].split('.')[1], o['StorageClass']) for o in s3.list_objects_v2(Bucket='bucket')['Contents'] \
             if '/rows.' in o['Key']))",
        )
    };
    let all = ground.sql(&format!("{SUM} orders t"));
    say(&["run", "old-orders"]).ends_with_code(0);
    let stays = ground.sql("select count(*) from orders");
    assert_ne!(stays, "1500", "old rows have left");
    let asleep = classes();
    assert!(asleep.contains("('csv', 'GLACIER')") && asleep.contains("('parquet', 'GLACIER')") && !asleep.contains("STANDARD"), "{asleep}");
    // A second run has nothing to do, and nothing to read.
    say(&["run", "old-orders"]).ends_with_code(0);
    let verified = say(&["verify", "--store", "cold", "--deep"]).ends_with_code(0);
    assert!(verified.out.contains("they lie in an archive class, and only their sizes were checked"), "{}", verified.out);

    let words = ["archive", "restore", "--table", "orders", "--into", "orders"];
    let refused = say(&words).ends_with_code(1);
    assert!(refused.err.contains("cannot be read now") && refused.err.contains("--thaw DAYS"), "{}", refused.err);
    say(&[&words[..], &["--thaw", "2"]].concat()).ends_with_code(75).says("requested now");
    // This server has them there when it is asked again.
    let mut tries = 0;
    while say(&words).code != Some(0) {
        tries += 1;
        assert!(tries < 10, "they never come");
    }
    assert_eq!(ground.sql(&format!("{SUM} orders t")), all);
    // They leave again, without being read a second time.
    say(&["run", "old-orders"]).ends_with_code(0);
    assert_eq!(ground.sql("select count(*) from orders"), stays);
}
