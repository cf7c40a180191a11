//! A whole circle through each cloud: archiving, a backup under load, a list, a proof, a recovery to a moment, a release. And the day on
//! which the cloud turns away.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use age::secrecy::ExposeSecret;
use serde_json::Value;

use super::killing::prove_everything;
use crate::clusters::{Options, StopMode, Version};
use crate::restore::rig::{Place, Restored, Rig};
use crate::servers::azure::{self, Azure};
use crate::servers::gcs::Gcs;
use crate::servers::proxy::Proxy;
use crate::servers::s3::{self, S3};

/// No machine's identity is asked for: nobody answers there at once.
fn nowhere() -> Vec<(&'static str, String)> {
    vec![("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9".into()), ("HOME", "/nonexistent".into())]
}

pub fn s3_place(port: u16, bucket: &str, folder: &Path) -> Place {
    let endpoint = format!("http://127.0.0.1:{port}");
    let store = format!("s3: {{ bucket: {bucket}, prefix: prod, endpoint: \"{endpoint}\", path_style: true, profile: seawall }}");
    let credentials = folder.join("credentials").display().to_string();
    Place { store, environment: [nowhere(), vec![("AWS_SHARED_CREDENTIALS_FILE", credentials)]].concat() }
}

/// As an administrator makes and revokes them.
pub fn credentials(rig: &Rig, secret: &str) {
    rig.write("credentials", &format!("[seawall]\naws_access_key_id = {}\naws_secret_access_key = {secret}\n", s3::KEY));
}

fn on_s3(port: u16, bucket: &str, version: Version) -> Rig {
    let options = Options { segment_mb: 1, ..Options::default() };
    let rig = Rig::start_with(version, options, |folder| s3_place(port, bucket, folder));
    credentials(&rig, s3::SECRET);
    rig.series();
    rig
}

/// PostgreSQL's own load, with sums that agree at every moment.
fn pgbench(rig: &Rig) -> Child {
    let (sockets, port) = (rig.cluster.sockets(), rig.cluster.port().to_string());
    let command = |words: &[&str]| {
        let mut command = rig.cluster.program("pgbench");
        command.arg("-h").arg(&sockets).args(["-p", &port, "-U", "postgres"]).args(words).arg("postgres");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(command(&["-i", "-q"]).status().expect("pgbench").success());
    command(&["-n", "-c", "2", "-T", "600"]).spawn().expect("pgbench")
}

fn sums_agree(restored: &Restored) {
    let sums = "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history) \
                and (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches) \
                and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)";
    assert_eq!(restored.sql(sums), "t");
    assert_ne!(restored.sql("select count(*) from pgbench_history"), "0");
}

fn circle(rig: &Rig, with_pgbench: bool) {
    rig.load(20);
    let load = with_pgbench.then(|| pgbench(rig));
    let id = rig.backup();
    rig.load(30);
    let (moment, rows) = (rig.after_row(37), rig.hash(37));
    rig.load(5);
    if let Some(mut load) = load {
        super::killing::kill_9(&mut load);
    }
    rig.archive();

    let listed = rig.seawall(&["list", "--format", "json"]);
    let store = &listed.json()["stores"][0];
    assert_eq!((listed.code, &store["rejected"], &store["doubts"]), (0, &Value::Array(vec![]), &Value::Array(vec![])), "{}", listed.out);
    let backup = &store["backups"][0];
    assert_eq!((&backup["id"], &backup["state"]), (&Value::from(id.as_str()), &Value::from("complete")), "{}", listed.out);
    assert!(backup["recoverable"]["any-moment-until"].is_object(), "{}", listed.out);
    let shown = rig.seawall(&["show", &id, "--format", "json"]).json();
    assert_eq!(shown["wal"]["complete"], true, "{shown}");
    prove_everything(rig, &["--deep"]);

    rig.write("other.txt", age::x25519::Identity::generate().to_string().expose_secret());
    let refused = rig.restore("r", &["--to", &moment, "--identity", rig.path("other.txt").to_str().expect("text")]);
    assert!(refused.code == 1 && refused.err.contains("none of the identities opens it"), "{}", refused.err);
    assert!(!rig.path("r/global").exists());

    let restored = rig.bring_back("r", &["--to", &moment]);
    assert_eq!(restored.hash(), rows);
    if with_pgbench {
        sums_agree(&restored);
    }
    // The original is gone; the copy takes its place, and archives.
    rig.cluster.stop(StopMode::Fast);
    let released = rig.seawall(&["release", "--target", restored.data.to_str().expect("text"), "--wait", "60s"]);
    assert!(released.code == 0 && released.out.contains("released"), "{}{}", released.out, released.err);
    restored.sql("insert into series (v) values ('on the new timeline')");
    let segment = restored.sql("select pg_walfile_name(pg_switch_wal())");
    restored.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
    let rows = restored.hash();
    restored.stop();
    let again = rig.bring_back("again", &["--latest"]);
    assert_eq!((again.hash(), again.report["timeline"].as_u64()), (rows, Some(2)));
}

#[test]
fn through_s3() {
    let server = S3::start();
    circle(&on_s3(server.http, "bucket", Version::V14), true);
}

#[test]
fn through_azure() {
    let server = Azure::start();
    let store = format!(
        "azure: {{ account: {0}, container: container, prefix: prod, endpoint: \"http://127.0.0.1:{1}/{0}\" }}",
        azure::ACCOUNT,
        server.port
    );
    let environment = [nowhere(), vec![("AZURE_STORAGE_ACCOUNT_KEY", azure::KEY.to_owned())]].concat();
    let rig = Rig::start_with(Version::V16, Options::default(), |_| Place { store, environment });
    rig.series();
    circle(&rig, false);
}

#[test]
fn through_gcs() {
    let server = Gcs::start();
    let store = format!("gcs: {{ bucket: bucket, prefix: prod, endpoint: \"http://127.0.0.1:{}\" }}", server.port);
    let rig = Rig::start_with(Version::V17, Options { segment_mb: 1, ..Options::default() }, |_| Place { store, environment: nowhere() });
    rig.series();
    circle(&rig, false);
}

/// The server's log says why, PostgreSQL keeps what it has, and all of it arrives when the cloud is there again.
fn turned_away(rig: &Rig, says: &str, away: impl FnOnce(), back: impl FnOnce()) {
    rig.backup();
    rig.load(3);
    rig.archive();
    let before = rig.cluster.sql("select last_archived_wal from pg_stat_archiver");
    away();
    for _ in 0..3 {
        rig.load(3);
        rig.cluster.sql("select pg_switch_wal()");
    }
    rig.cluster.wait_until("failed_count >= 2 from pg_stat_archiver");
    let log = rig.cluster.log_tail();
    assert!(log.contains("PostgreSQL keeps it and tries again") && log.contains(says), "{log}");
    assert_eq!(rig.cluster.sql("select last_archived_wal from pg_stat_archiver"), before);
    let waiting = fs::read_dir(rig.cluster.data().join("pg_wal/archive_status")).expect("a folder").flatten();
    assert!(waiting.filter(|entry| entry.file_name().to_string_lossy().ends_with(".ready")).count() >= 3);
    // Nothing is there: but nobody says that there is nothing.
    let refused = rig.restore("r", &[]);
    assert!(refused.code == 1 && refused.err.contains(says) && !rig.path("r").exists(), "{}", refused.err);
    let listed = rig.seawall(&["list", "--format", "json"]);
    assert!(listed.code == 1 && listed.json()["stores"][0]["unknown"].is_string(), "{}", listed.out);
    let refused = rig.seawall(&["backup", "nightly"]);
    assert!(refused.code == 1 && refused.err.contains(says), "{}", refused.err);

    back();
    // After three failures PostgreSQL waits for a minute, unless it is started anew.
    rig.cluster.restart();
    rig.archive();
    assert_eq!(rig.cluster.sql("select failed_count from pg_stat_archiver where last_archived_wal is null"), "");
    prove_everything(rig, &[]);
    assert_eq!(rig.bring_back("r", &["--latest"]).hash(), rig.hash(i64::MAX));
}

#[test]
fn revoked_credentials() {
    let server = S3::start();
    let rig = on_s3(server.http, "bucket", Version::V15);
    turned_away(&rig, "s3://bucket", || credentials(&rig, "another-one"), || credentials(&rig, s3::SECRET));
}

/// SeaweedFS does not rename buckets: so the address leads to a server that has none of that name.
#[test]
fn a_bucket_that_vanishes() {
    let (mut server, other) = (S3::start(), S3::start());
    server.make_bucket("backups");
    let address = Proxy::to(server.http);
    let rig = on_s3(address.port, "backups", Version::V15);
    turned_away(&rig, "s3://backups", || address.lead_to(other.http), || address.lead_to(server.http));
}
