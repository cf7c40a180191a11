//! Statements, and what happens when the server goes away or says nothing.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use seawall::postgres::{Connection, FaultKind};

use super::super::clusters::{Cluster, Options, StopMode, Version, settings};

/// The statement that is to be interrupted is under way.
const ASLEEP: &str = "exists (select from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)')";

#[test]
fn statements_and_parameters_on_every_version() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, Options::default());
        let mut connection = cluster.connect();
        assert_eq!(connection.major(), version.major());
        let answers =
            connection.run("select 1 as a, null as b; create table t (x text); insert into t values ('p'), ('q')").expect("answers");
        assert_eq!(answers.len(), 3);
        let row = answers[0].one().expect("one row");
        assert_eq!((row.get("a"), row.get("b"), row.get("c")), (Some("1"), None, None));
        assert_eq!(answers[2].tag, "INSERT 0 2");
        let nasty = "it's; drop table t --\\ \u{1F418}";
        let rows = connection.query("select $1 as said, count(*)::text as n from t where x <> $2", &[nasty, "q"]).expect("rows");
        assert_eq!(rows.one().expect("one row").get("said"), Some(nasty));
        assert_eq!(rows.one().expect("one row").parse::<u32>("n"), Ok(1));
        // A refused statement does not end the session.
        let fault = connection.query("select * from nothing_here", &[]).expect_err("no such table");
        assert_eq!(fault.code(), Some("42P01"), "{fault:?}");
        assert!(!fault.is_transient());
        let fault = connection.run("select 1; select 1/0; select 2").expect_err("division by zero");
        assert_eq!(fault.code(), Some("22012"));
        connection.run("do $$ begin raise notice 'hear me'; end $$").expect("a notice");
        let notices = connection.take_notices();
        assert!(notices.iter().any(|notice| notice.message == "hear me" && notice.severity == "NOTICE"), "{notices:?}");
        assert_eq!(
            connection.query("show application_name", &[]).expect("a setting").one().expect("one").get("application_name"),
            Some("seawall")
        );
    }
}

#[test]
fn a_large_answer_arrives_whole() {
    let cluster = Cluster::start(Version::V18, Options::default());
    let rows = cluster.connect().query("select repeat('x', 1000) || i as t from generate_series(1, 20000) i", &[]).expect("rows");
    assert_eq!(rows.len(), 20_000);
    assert!(rows.iter().zip(1..).all(|(row, i)| row.get("t") == Some(&format!("{}{i}", "x".repeat(1000)))));
}

#[test]
fn a_server_that_is_killed_is_lost() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let mut connection = cluster.connect();
    let fault = thread::scope(|scope| {
        scope.spawn(|| {
            cluster.wait_until(ASLEEP);
            cluster.kill_9();
        });
        connection.query("select pg_sleep(60)", &[]).expect_err("it was killed")
    });
    assert_eq!(fault.kind, FaultKind::Lost, "{fault:?}");
    assert!(fault.is_transient());
    assert!(fault.message.contains(&format!("{}", cluster.port())) && fault.message.contains("postgres"), "{fault}");
    assert_eq!(connection.ping().expect_err("still lost").kind, FaultKind::Lost);
    let fault = Connection::connect(&cluster.settings()).expect_err("nobody there");
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault:?}");
    cluster.resume();
    cluster.connect().ping().expect("it is back");
}

#[test]
fn a_server_that_is_stopped_says_so() {
    let cluster = Cluster::start(Version::V17, Options::default());
    let mut connection = cluster.connect();
    let fault = thread::scope(|scope| {
        scope.spawn(|| {
            cluster.wait_until(ASLEEP);
            cluster.stop(StopMode::Fast);
        });
        connection.query("select pg_sleep(60)", &[]).expect_err("it was stopped")
    });
    assert_eq!(fault.kind, FaultKind::Lost, "{fault:?}");
    assert!(fault.message.contains("terminating connection due to administrator command"), "{fault}");
}

#[test]
fn silence_has_an_end() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let mut connection = cluster.connect();
    connection.set_silence(Duration::from_millis(300)).expect("a limit");
    let began = Instant::now();
    let fault = connection.query("select pg_sleep(20)", &[]).expect_err("too long");
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault:?}");
    assert!(began.elapsed() < Duration::from_secs(15));
    // What comes later could belong to either statement.
    assert_eq!(connection.ping().expect_err("given up").kind, FaultKind::Lost);
}

#[test]
fn a_hanging_server_does_not_hang_us() {
    let cluster = Cluster::start(Version::V16, Options::default().over_tcp());
    let pid = std::fs::read_to_string(cluster.data().join("postmaster.pid")).expect("a server");
    let postmaster = Pid::from_raw(pid.lines().next().expect("a line").parse().expect("a number")).expect("a process");
    rustix::process::kill_process(postmaster, Signal::STOP).expect("a signal");
    let began = Instant::now();
    for host in [cluster.sockets().display().to_string(), "127.0.0.1".to_owned()] {
        let text = format!("host={host} port={} user=postgres connect_timeout=2", cluster.port());
        let fault = Connection::connect(&settings(&text)).expect_err("nobody answers");
        assert_eq!(fault.kind, FaultKind::Timeout, "{fault:?}");
    }
    rustix::process::kill_process(postmaster, Signal::CONT).expect("a signal");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_statement_can_be_stopped_from_outside() {
    let cluster = Cluster::start(Version::V13, Options::default());
    let mut connection = cluster.connect();
    let cancel = connection.cancel_handle().expect("a key");
    let fault = thread::scope(|scope| {
        let cluster = &cluster;
        scope.spawn(move || {
            cluster.wait_until(ASLEEP);
            cancel.send().expect("it is sent");
        });
        connection.query("select pg_sleep(60)", &[]).expect_err("it was stopped")
    });
    assert_eq!(fault.code(), Some("57014"), "{fault:?}");
    connection.ping().expect("the session goes on");
}

#[test]
fn the_first_host_that_will_do() {
    let primary = Cluster::start(Version::V15, Options::default());
    let standby = Cluster::standby_of(&primary, Options::default());
    let hosts = format!("host={0},{1},{2}", primary.folder().display(), standby.sockets().display(), primary.sockets().display());
    let text =
        |attributes: &str| format!("{hosts} port=1,{},{} user=postgres target_session_attrs={attributes}", standby.port(), primary.port());
    for (attributes, port) in [
        ("any", standby.port()),
        ("primary", primary.port()),
        ("read-write", primary.port()),
        ("standby", standby.port()),
        ("read-only", standby.port()),
        ("prefer-standby", standby.port()),
    ] {
        for open in [Connection::connect, Connection::replicate] {
            let connection = open(&settings(&text(attributes))).expect(attributes);
            assert_eq!(connection.target().port, port, "{attributes}");
        }
    }
    let fault = Connection::connect(&settings(&format!("{} target_session_attrs=standby", primary.conninfo()))).expect_err("no standby");
    assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
}
