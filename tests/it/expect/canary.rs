//! The heartbeat row, from the look that writes it to the drill that finds it.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant as Clock};

use seawall::execute::expect::{Copy, Owed, canary};
use seawall::format::descriptor::Private;
use seawall::inventory::CanaryProof;
use seawall::postgres::Connection;
use seawall::units::{Instant, moment_of};

use super::rig::policy;
use crate::backup::rig::Policy;
use crate::clusters::{Cluster, Options, Version};
use crate::run::rig::Run;

fn written(run: &Run) -> Option<Instant> {
    let latest = run.catalog().latest("try").expect("figures");
    latest.into_iter().find(|one| one.name == "canary_written").and_then(|one| moment_of(one.value))
}

fn prove(cluster: &Cluster, owed: &Owed) -> Result<Option<CanaryProof>, String> {
    let connect = |database: &str| Connection::connect(&cluster.settings().with_dbname(database));
    let private = Private::default();
    let copy = Copy { connect: &connect, recovered_to: Instant::now(), private: &private, stop: &AtomicBool::new(false) };
    canary(&policy("      any: { check: constraints-valid }"), &copy, owed)
}

#[test]
fn every_look_writes_what_is_due_and_keeps_a_bounded_number() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let run = Run { rig: crate::backup::rig::Rig::new(version, &Policy::default()) };
        run.add("canary: { database: postgres, every: 1h }\n");
        let cluster = &run.rig.cluster;
        let rows = || cluster.sql("select count(*) from seawall.canary");
        run.say(&["watch"]);
        assert_eq!(rows(), "1");
        let first = written(&run).expect("it is on record");
        assert!(Instant::now().duration_since(first).as_secs() < 120, "{first}");
        assert_eq!(cluster.sql("select host, policy, lsn <= pg_current_wal_lsn() from seawall.canary"), "db-1|try|t");
        // Not due, whoever looks.
        run.say(&["watch"]);
        assert_eq!((rows(), written(&run)), ("1".to_owned(), Some(first)));
        // Due by the database's clock; one from its future counts for nothing.
        cluster.sql("update seawall.canary set written = written - interval '55 minutes'; \
            insert into seawall.canary (policy, host, written, lsn) values ('try', 'x', now() + interval '1 day', '0/1'), ('else', 'x', now(), '0/1')");
        cluster.sql("insert into seawall.canary (policy, host, written, lsn) select 'try', 'x', now() - interval '1 year', '0/1' from generate_series(1, 1500)");
        run.say(&["watch"]);
        assert_eq!(cluster.sql("select count(*) from seawall.canary where policy = 'try'"), "1000");
        assert_eq!(cluster.sql("select host from seawall.canary where policy = 'try' order by id desc limit 1"), "db-1");
        assert_eq!(cluster.sql("select count(*) from seawall.canary where policy = 'else'"), "1");
    }
}

#[test]
fn nothing_waits_for_a_canary_and_a_failure_is_told() {
    let run = Run { rig: crate::backup::rig::Rig::new(Version::V15, &Policy::default()) };
    run.add("canary: { database: postgres, every: 1m }\n");
    run.say(&["watch"]);
    let before = written(&run).expect("written");
    run.rig.cluster.sql("update seawall.canary set written = written - interval '1 hour'");
    let mut holder = run.rig.cluster.connect();
    holder.run("begin; lock table seawall.canary in access exclusive mode").expect("a lock");
    let began = Clock::now();
    run.say(&["watch"]);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert_eq!(written(&run), Some(before), "what was not written is not claimed");
    holder.run("rollback").expect("an end");
    // A role that may do nothing of it.
    run.rig.cluster.sql(
        "drop schema seawall cascade; create role meek login; grant pg_monitor to meek; revoke create on database postgres from public",
    );
    run.change("user=postgres", "user=meek");
    run.say(&["watch"]);
    let told = run.say_at("+11m", &["watch"]);
    told.says("(canary)");
    run.rig.cluster.sql("create schema seawall authorization meek");
    run.say(&["watch"]);
    assert_eq!(run.rig.cluster.sql("select count(*) from seawall.canary"), "1");
}

/// Its owner's trigger would run with the rights of whoever watches.
#[test]
fn a_table_of_somebody_else_is_not_written_to() {
    let run = Run { rig: crate::backup::rig::Rig::new(Version::V15, &Policy::default()) };
    run.add("canary: { database: postgres, every: 1m }\n");
    run.say(&["watch"]);
    run.rig.cluster.sql(
        "update seawall.canary set written = written - interval '1 hour'; create table caught (n int); \
         create function catch() returns trigger language plpgsql as $$ begin insert into public.caught values (1); return new; end $$; \
         create trigger catch before insert on seawall.canary for each row execute function catch()",
    );
    run.say(&["watch"]);
    assert_eq!(run.rig.cluster.sql("select count(*) from caught"), "0");
    run.rig.cluster.sql("drop trigger catch on seawall.canary; create role other; alter table seawall.canary owner to other");
    run.say(&["watch"]);
    assert_eq!(run.rig.cluster.sql("select count(*) from seawall.canary"), "1");
    run.rig.cluster.sql("alter table seawall.canary owner to postgres");
    run.say(&["watch"]);
    assert_eq!(run.rig.cluster.sql("select count(*) from seawall.canary"), "2");
}

#[test]
fn a_standby_takes_no_writes_and_nobody_claims_that_it_did() {
    let run = Run { rig: crate::backup::rig::Rig::new(Version::V15, &Policy::default()) };
    let standby = Cluster::standby_of(&run.rig.cluster, Options::default());
    run.add("canary: { database: postgres, every: 1m }\n");
    run.change(&run.rig.cluster.conninfo(), &standby.conninfo());
    run.say(&["watch"]);
    assert_eq!((written(&run), run.rig.cluster.sql("select to_regclass('seawall.canary') is null")), (None, "t".to_owned()));
}

#[test]
fn a_drill_finds_the_row_that_was_written_last_and_knows_when_one_is_missing() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let now = Instant::now();
    let ago = |minutes: i64| now - jiff::SignedDuration::from_mins(minutes);
    let owed = Owed {
        stop: "0/100".parse().expect("an LSN"),
        stopped: ago(60),
        until: now,
        archived: Some(ago(1)),
        written: None,
        may_lack: None,
    };
    let nothing = prove(&cluster, &owed).expect_err("no table");
    assert!(nothing.contains("no heartbeat row came back"), "{nothing}");
    assert_eq!(prove(&cluster, &Owed { archived: Some(ago(59)), ..owed }), Ok(None), "nothing was archived since");
    cluster.sql("create schema seawall; create table seawall.canary (id bigint generated always as identity primary key, policy text not null, host text not null, written timestamptz not null, lsn pg_lsn not null)");
    assert!(prove(&cluster, &owed).is_err());
    cluster.sql("insert into seawall.canary (policy, host, written, lsn) values ('try', 'h', now() - interval '5 minutes', '0/200'), ('else', 'h', now(), '9/200')");
    let proof = prove(&cluster, &owed).expect("it came back").expect("a row");
    assert!(proof.after_backup && (290_000..330_000).contains(&proof.lost_millis), "{proof:?}");
    // Rows were written until a minute ago, and the log in the store ends five minutes ago.
    let cut = Owed { archived: Some(ago(5)), written: Some(ago(1)), may_lack: Some(seawall::units::Duration::from_mins(2)), ..owed };
    assert!(prove(&cluster, &cut).expect_err("too much is gone").contains("are gone, and 3m may be"));
    assert!(prove(&cluster, &Owed { archived: Some(ago(2)), ..cut }).is_ok());
    // The same row was in the base backup already.
    assert!(prove(&cluster, &Owed { stop: "0/300".parse().expect("an LSN"), ..owed }).is_err());
}
