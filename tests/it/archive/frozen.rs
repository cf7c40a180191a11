//! A store whose class nobody can read from at once: read back first, then put to sleep.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::rig::{Ground, SUM};
use crate::faults::asleep::falls_asleep;
use crate::faults::killing::kill_9;
use crate::run::rig::Said;
use crate::servers::azure::{ACCOUNT, Azure, KEY, Slow};
use crate::servers::gcs::Gcs;
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

const RESTORE: [&str; 6] = ["archive", "restore", "--table", "orders", "--into", "orders"];

/// Orders that move to a store that is written so.
fn ground(cold: &str) -> Ground {
    let ground = Ground::with("archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: cold } }\n");
    ground.run.change("nightly: { physical", "nightly: { store: disk, physical");
    ground.run.change("stores: {", &format!("stores: {{ cold: {{ {cold} }},"));
    ground
}

fn azure(port: u16, tier: &str) -> String {
    format!("azure: {{ account: {ACCOUNT}, container: container, endpoint: \"http://127.0.0.1:{port}/{ACCOUNT}\", tier: {tier} }}")
}

impl Ground {
    fn say_to_azure(&self, words: &[&str]) -> Said {
        Said::of(self.run.command(words).env("AZURE_STORAGE_ACCOUNT_KEY", KEY).output().expect("seawall"))
    }
}

/// The rows' objects, each with its tier, and the tiers of all others.
fn tiers(azure: &Azure) -> (String, BTreeSet<String>) {
    let all = azure.tiers();
    let (rows, others): (Vec<_>, Vec<_>) =
        all.into_iter().filter(|(name, _)| name.contains("/archive/")).partition(|(name, _)| name.contains("/rows."));
    let word = |(name, tier): &(String, String)| format!("{} {tier}", name.split("/rows.").nth(1).expect("a form"));
    (rows.iter().map(word).collect::<Vec<_>>().join(", "), others.into_iter().map(|(_, tier)| tier).collect())
}

/// Azure fetches them for good, and takes hours for it: they stay awake as long as they were wanted for.
#[test]
fn what_azure_brings_out_of_the_archive_stays_awake_until_it_was_read() {
    let server = Slow::start();
    let ground = ground(&azure(server.port, "archive"));
    let say = |words: &[&str]| ground.say_to_azure(words);
    let all = ground.sql(&format!("{SUM} orders t"));
    // Killed when one of them is asleep, and gone on with.
    let mut killed = ground.run.command(&["run", "old-orders"]);
    killed.env("AZURE_STORAGE_ACCOUNT_KEY", KEY).env("SEAWALL_TEST_FAULTS", "kind=stopped,on=replace,nth=2");
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    assert!(falls_asleep(&mut killed), "it never puts a second one to sleep");
    kill_9(&mut killed);
    assert_eq!(tiers(&server.azure).0, "csv.zst.age Archive, parquet.age Hot");
    say(&["run", "old-orders"]).ends_with_code(0);
    let stays = ground.sql("select count(*) from orders");
    assert_eq!(stays, "0");
    let asleep = "csv.zst.age Archive, parquet.age Archive";
    assert_eq!(tiers(&server.azure), (asleep.to_owned(), BTreeSet::from(["Hot".to_owned()])));
    say(&["verify", "--store", "cold", "--deep"]).ends_with_code(0).says("only their sizes were checked");

    let thaw = [&RESTORE[..], &["--thaw", "2"]].concat();
    say(&RESTORE).ends_with_code(1).says("`--thaw DAYS` requests them (expedited within 1 hour, standard within 15 hours;");
    say(&[&thaw[..], &["--thaw-speed", "bulk"]].concat()).ends_with_code(1).says("nothing in archive can be requested as `bulk`");
    say(&thaw).ends_with_code(75).says("requested now, and here within 15 hours");
    for words in [&RESTORE[..], &thaw] {
        say(words).ends_with_code(75).says("rows of 1 extent").says("requested before");
    }
    say(&["run", "old-orders"]).ends_with_code(0);
    assert_eq!(server.arrive(), 1, "the other form is nobody's");
    // The job runs before whoever wanted them comes.
    let awake = "csv.zst.age Hot, parquet.age Archive";
    for _ in 0..2 {
        say(&["run", "old-orders"]).ends_with_code(0);
        assert_eq!(tiers(&server.azure).0, awake);
    }
    say(&RESTORE).ends_with_code(0).says("1500 rows of 1 extent");
    assert_eq!(ground.sql(&format!("{SUM} orders t")), all);
    // They leave again, and when the days are over they go back to sleep.
    say(&["run", "old-orders"]).ends_with_code(0);
    assert_eq!((ground.sql("select count(*) from orders"), tiers(&server.azure).0), (stays, awake.to_owned()));
    let note = server.azure.tiers().into_keys().find(|name| name.ends_with("/awake.json")).expect("it is noted");
    let id = note.rsplit('/').nth(1).expect("an extent");
    server.azure.put_blob(&note, format!(r#"{{"format":1,"id":"{id}","until":"2026-01-01T00:00:00Z","host":"db-1"}}"#).as_bytes());
    say(&["run", "old-orders"]).ends_with_code(0);
    assert_eq!(tiers(&server.azure).0, asleep);
    say(&RESTORE).ends_with_code(1).says("`--thaw DAYS`");
}

/// In a tier that can be read from they lie from the beginning, and nobody has to ask for them.
#[test]
fn what_lies_in_a_cool_tier_of_azure_comes_back_at_once() {
    let server = Azure::start();
    let ground = ground(&azure(server.port, "cool"));
    let all = ground.sql(&format!("{SUM} orders t"));
    ground.say_to_azure(&["run", "old-orders"]).ends_with_code(0);
    assert_eq!((ground.sql("select count(*) from orders"), tiers(&server).0), ("0".into(), "csv.zst.age Cool, parquet.age Cool".into()));
    ground.say_to_azure(&["verify", "--store", "cold", "--deep"]).ends_with_code(0);
    ground.say_to_azure(&RESTORE).ends_with_code(0).says("1500 rows of 1 extent");
    assert_eq!(ground.sql(&format!("{SUM} orders t")), all);
}

/// Google's archive can be read at once: they lie there from the beginning, are read back there, and a request for them is none.
#[test]
fn what_lies_in_the_archive_of_google_comes_back_at_once() {
    let server = Gcs::start();
    let ground = ground(&format!("gcs: {{ bucket: bucket, endpoint: \"http://127.0.0.1:{}\", storage_class: ARCHIVE }}", server.port));
    let all = ground.sql(&format!("{SUM} orders t"));
    ground.archive();
    // What the server behind it calls that class.
    let classes = server.s3.administer(
        "for o in s3.list_objects_v2(Bucket='bucket')['Contents']:\n    \
         '/rows.' in o['Key'] and print(s3.head_object(Bucket='bucket', Key=o['Key'])['StorageClass'])",
    );
    assert_eq!((ground.sql("select count(*) from orders"), classes.as_str()), ("0".into(), "GLACIER_IR\nGLACIER_IR"));
    ground.archive();
    let verified = ground.run.say(&["verify", "--store", "cold", "--deep"]).ends_with_code(0);
    assert!(!verified.out.contains("only their sizes"), "{}", verified.out);
    ground.run.say(&[&RESTORE[..], &["--thaw", "2"]].concat()).ends_with_code(0).says("1500 rows of 1 extent");
    assert_eq!(ground.sql(&format!("{SUM} orders t")), all);
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
}
