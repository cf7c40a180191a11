//! Backup mode, on every version.

use std::time::Duration;

use seawall::postgres::BackupSession;
use seawall::units::Timeline;

use super::super::clusters::{Cluster, Options, Version};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_backup_begins_and_ends() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, Options::default());
        let place = cluster.tablespace("far");
        cluster.sql("create table before (x int) tablespace far; alter role postgres set statement_timeout = 1");
        let mut connection = cluster.connect();
        connection.run("set statement_timeout = 0").expect("no limit");
        connection.run("alter role postgres reset statement_timeout").expect("no limit");
        let mut session = BackupSession::start(connection, "it's nightly", true, MINUTE).expect("a backup");
        let start = session.start_point();
        assert_eq!(start.timeline, Timeline::FIRST);
        assert!(!session.is_from_standby());
        session.ping().expect("it is there");
        cluster.sql("insert into before select generate_series(1, 1000)");
        let (stop, mut connection) = session.stop(false, MINUTE).expect("its end");
        assert!(stop.lsn > start.lsn, "{version}: {stop:?}");
        assert!(stop.backup_label.contains(&format!("START WAL LOCATION: {} (file ", start.lsn)), "{version}: {stop:?}");
        assert!(stop.backup_label.contains("\nLABEL: it's nightly\n"), "{version}: {stop:?}");
        assert!(stop.tablespace_map.contains(&place.display().to_string()), "{version}: {stop:?}");
        connection.ping().expect("the session is free again");
        let point = connection.create_restore_point("here").expect("a restore point");
        let end = connection.switch_wal().expect("a switch");
        assert!(stop.lsn < point && point < end, "{version}");
    }
}

#[test]
fn a_session_that_is_dropped_ends_the_backup_at_the_server() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let session = BackupSession::start(cluster.connect(), "dropped", true, MINUTE).expect("a backup");
    drop(session);
    cluster.wait_until("count(*) = 1 from pg_stat_activity where backend_type = 'client backend'");
    let fault = cluster.connect().run("select * from pg_backup_stop()").expect_err("there is none");
    assert_eq!(fault.code(), Some("55000"));
    // Nothing of it is in the way of the next.
    let session = BackupSession::start(cluster.connect(), "next", true, MINUTE).expect("a backup");
    session.stop(false, MINUTE).expect("its end");
}

#[test]
fn a_server_that_dies_takes_the_backup_with_it() {
    let cluster = Cluster::start(Version::V16, Options::default());
    let mut session = BackupSession::start(cluster.connect(), "killed", true, MINUTE).expect("a backup");
    cluster.kill_9();
    assert!(session.ping().expect_err("nobody there").is_transient());
    cluster.resume();
    assert!(session.stop(false, MINUTE).is_err());
}
