//! A server that goes away and comes back.

use std::thread;
use std::time::Duration;

use seawall::catalog::{Catalog, FaultKind, Outcome};

use super::place::{self, tamper};
use super::rows::{at, begin, end, open};
use crate::clusters::{Cluster, Options, StopMode, Version};

#[test]
fn a_run_outlives_the_server() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let place = place::database(&cluster, "outlived");
    let catalog = open(&place);
    let run = begin(&catalog, "backups.nightly", 0);
    let held = catalog.try_lock("orders", "backups.nightly").expect("asked").expect("free");
    cluster.stop(StopMode::Fast);
    thread::sleep(Duration::from_millis(1100));
    let fault = catalog.last_runs("orders").expect_err("nobody is there");
    assert!(fault.kind == FaultKind::Unreachable && fault.transient && !fault.hint.is_empty(), "{fault:?}");
    assert!(!held.is_held());
    assert!(Catalog::open(&place).expect_err("nobody is there").transient);
    cluster.resume();
    end(&catalog, run, Outcome::Succeeded, 10);
    assert_eq!(catalog.last_runs("orders").expect("read")[0].last_succeeded, Some(at(10)));
    // A session that was ended while nobody looked.
    cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'outlived'");
    thread::sleep(Duration::from_millis(1100));
    begin(&catalog, "expire", 20);
    // And one that is ended under our hands: told as something that may pass, and the next call works.
    cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'outlived'");
    if let Err(fault) = catalog.head() {
        assert!(fault.transient, "{fault:?}");
    }
    catalog.head().expect("a new session");
}

#[test]
fn who_may_do_less_is_told_so() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let place = place::database(&cluster, "granted");
    cluster.sql("create role reader login; create role maker login");
    let seawall::catalog::Where::Postgres(settings) = &place else { panic!("it is a server's") };
    let of = |user: &str| {
        let text = cluster.conninfo().replace("user=postgres", &format!("user={user}")).replace("dbname=postgres", "dbname=granted");
        seawall::catalog::Where::Postgres(Box::new(crate::clusters::settings(&text)))
    };
    assert_eq!(settings.dbname, "granted");
    let fault = Catalog::open(&of("maker")).expect_err("it may not make a schema");
    assert!(fault.kind == FaultKind::Denied && !fault.transient, "{fault:?}");
    // A schema that was made for it is enough.
    cluster_says(&place, "create schema seawall authorization maker");
    let catalog = open(&of("maker"));
    begin(&catalog, "expire", 0);
    let fault = Catalog::open(&of("reader")).expect_err("it may not look");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
    cluster_says(&place, "grant usage on schema seawall to reader; grant select on all tables in schema seawall to reader");
    let reading = Catalog::open_existing(&of("reader")).expect("opened").expect("there");
    assert_eq!(reading.last_runs("orders").expect("read").len(), 1);
    let writing = open(&of("reader"));
    let fault = writing.acknowledge("orders", "k", "ann", "", at(0), None).expect_err("it may only read");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
}

fn cluster_says(place: &seawall::catalog::Where, sql: &str) {
    let seawall::catalog::Where::Postgres(settings) = place else { panic!("it is a server's") };
    seawall::postgres::Connection::connect(settings).expect("connected").run(sql).expect(sql);
}

#[test]
fn a_standby_is_read_and_not_written() {
    let primary = Cluster::start(Version::V15, Options { own_identity: true, ..Options::default() });
    let place = place::database(&primary, "fleet");
    let catalog = open(&place);
    begin(&catalog, "expire", 0);
    let standby = Cluster::standby_of(&primary, Options::default());
    standby.wait_until("exists (select from pg_database where datname = 'fleet')");
    let text = standby.conninfo().replace("dbname=postgres", "dbname=fleet");
    let place = seawall::catalog::Where::Postgres(Box::new(crate::clusters::settings(&text)));
    let reading = Catalog::open_existing(&place).expect("opened").expect("there");
    assert_eq!(reading.last_runs("orders").expect("read").len(), 1);
    let fault = match Catalog::open(&place) {
        Ok(writing) => writing.acknowledge("orders", "k", "ann", "", at(0), None).expect_err("it is a standby"),
        Err(fault) => fault,
    };
    assert!(fault.kind == FaultKind::ReadOnly && fault.hint.contains("primary"), "{fault:?}");
}

#[test]
fn the_tables_keep_to_themselves() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let place = place::database(&cluster, "shared");
    // Somebody else's tables of the same names, in the way that is searched first elsewhere.
    cluster_says(&place, "create table public.runs (x int); create table public.migrations (version int)");
    let catalog = open(&place);
    begin(&catalog, "expire", 0);
    assert!(tamper(&place, "select 1 from runs where job = 'expire'").is_ok());
    catalog.check().expect("sound");
}
