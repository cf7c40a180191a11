//! A standby, and what becomes of its backup when it is promoted.

use std::time::Duration;

use seawall::postgres::{BackupSession, Server};

use super::super::clusters::{Cluster, Options, Version};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_promotion_spoils_the_backup() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let primary = Cluster::start(version, Options::default());
        let standby = Cluster::standby_of(&primary, Options::default());
        primary.sql("create table t (x int); insert into t values (1)");
        primary.sql("checkpoint");
        let caught_up = primary.sql("select pg_current_wal_lsn()");
        standby.wait_until(&format!("pg_last_wal_replay_lsn() >= '{caught_up}'"));
        assert!(Server::observe(&mut standby.connect()).expect("facts").in_recovery);

        let mut session = BackupSession::start(standby.connect(), "from the standby", true, MINUTE).expect("a backup");
        assert!(session.is_from_standby());
        session.ping().expect("still a standby");
        let (stop, mut connection) = session.stop(false, MINUTE).expect("its end");
        assert!(stop.backup_label.contains("BACKUP FROM: standby"), "{stop:?}");
        // The switch is the primary's to make.
        assert_eq!(connection.switch_wal().expect_err("a standby").code(), Some("55000"));
        primary.connect().switch_wal().expect("a switch");

        let mut pinged = BackupSession::start(connection, "promoted", true, MINUTE).expect("a backup");
        let stopped = BackupSession::start(standby.connect(), "promoted", true, MINUTE).expect("a backup");
        standby.promote();
        for fault in [pinged.ping().expect_err("promoted"), stopped.stop(false, MINUTE).expect_err("promoted")] {
            assert!(fault.message.contains("promoted") && !fault.is_transient(), "{version}: {fault:?}");
        }
        let history = standby.replicate().timeline_history("2".parse().expect("a timeline")).expect("a history");
        assert_eq!(history.name, "00000002.history");
        assert!(history.content.starts_with(b"1\t"), "{history:?}");
        let fault = standby.replicate().timeline_history("1".parse().expect("a timeline")).expect_err("it has none");
        assert!(fault.code().is_some(), "{fault:?}");
    }
}
