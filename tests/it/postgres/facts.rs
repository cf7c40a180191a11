//! What a server says of itself.

use seawall::postgres::Server;
use seawall::units::Timeline;

use super::super::clusters::{Cluster, Options, Version};

#[test]
fn facts_of_every_version() {
    for version in Version::ALL {
        let options = Options { checksums: version == Version::V15, segment_mb: 1, ..Options::default() }.archiving("test -f %p");
        let cluster = Cluster::start(version, options.with("max_connections = 37"));
        let place = cluster.tablespace("far");
        cluster.sql("create database other");
        let facts = Server::observe(&mut cluster.connect()).expect("facts");
        assert_eq!(facts.major(), version.major());
        assert_eq!(facts.system.to_string(), cluster.sql("select system_identifier from pg_control_system()"));
        assert_eq!((facts.timeline, facts.in_recovery), (Timeline::FIRST, false));
        assert_eq!((facts.segment_bytes, facts.block_bytes), (1 << 20, 8192));
        assert_eq!(facts.data_checksums, version == Version::V15);
        assert_eq!(facts.tablespaces.iter().map(|space| space.path.clone()).collect::<Vec<_>>(), [place.display().to_string()]);
        assert_eq!(facts.setting("data_directory"), Some(&*cluster.data().display().to_string()));
        assert_eq!(facts.setting("archive_command"), Some("test -f %p"));
        assert_eq!(facts.setting("archive_mode"), Some("on"));
        assert_eq!(facts.at_least()["max_connections"], 37);
        assert_eq!(facts.at_least().len(), 5);
        let names: Vec<_> = facts.databases.iter().map(|database| database.name.as_str()).collect();
        assert_eq!(names, ["other", "postgres", "template0", "template1"]);
        assert_eq!(facts.databases[0].provider.is_some(), version >= Version::V15);
        let extensions = facts.extensions(&cluster.settings()).expect("extensions");
        let plpgsql = extensions.found.iter().filter(|extension| extension.name == "plpgsql").count();
        assert_eq!((plpgsql, extensions.unasked.len()), (3, 0), "{extensions:?}");
        facts.collations(&cluster.settings()).expect("collations");
    }
}

/// A database that lets nobody in, one that is gone since it was listed, one whose dropping was broken off.
#[test]
fn one_database_hides_nothing_of_the_others() {
    let cluster = Cluster::start(Version::V15, Options::default());
    for statement in ["create database closed", "create database gone", "create database broken"] {
        cluster.sql(statement);
    }
    cluster.sql("update pg_database set datconnlimit = -2 where datname = 'broken'");
    let hba = std::fs::read_to_string(cluster.data().join("pg_hba.conf")).expect("rules");
    std::fs::write(cluster.data().join("pg_hba.conf"), format!("local closed all reject\n{hba}")).expect("rules");
    cluster.reload();
    let facts = Server::observe(&mut cluster.connect()).expect("facts");
    cluster.sql("drop database gone");
    let extensions = facts.extensions(&cluster.settings()).expect("extensions");
    let names: Vec<_> = extensions.found.iter().map(|extension| extension.database.as_str()).collect();
    assert_eq!(names, ["postgres", "template1"]);
    let unasked: Vec<_> = extensions.unasked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(unasked, ["closed"]);
    assert!(extensions.unasked[0].1.message.contains("reject"), "{:?}", extensions.unasked);
}

#[test]
fn a_role_that_may_see_little_sees_little() {
    let cluster = Cluster::start(Version::V15, Options::default());
    cluster.sql("create role backup login; grant execute on function pg_backup_start, pg_backup_stop to backup");
    let text = format!("host={} port={} dbname=postgres user=backup", cluster.sockets().display(), cluster.port());
    let mut connection = seawall::postgres::Connection::connect(&super::super::clusters::settings(&text)).expect("a session");
    let facts = Server::observe(&mut connection).expect("facts");
    assert_eq!(facts.setting("data_directory"), None);
    let minute = std::time::Duration::from_secs(60);
    let session = seawall::postgres::BackupSession::start(connection, "small", true, minute).expect("a backup");
    session.stop(false, minute).expect("its end");
}
