//! It ends in the middle, and is gone on with.

use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use seawall::postgres::Connection;

use super::rig::Shop;
use crate::clusters::Version;
use crate::drill::killed::ours;
use crate::run::rig::Said;

fn kill_9(child: &std::process::Child) {
    let _ = kill_process(ours(child), Signal::KILL);
}

fn start(shop: &Shop) -> std::process::Child {
    shop.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall")
}

#[test]
fn after_kill_9_it_goes_on_and_nothing_looks_empty_meanwhile() {
    let shop = Shop::gated(Version::V15, "jobs: 2");
    let mut running = start(&shop);
    shop.wait_for_critical();
    kill_9(&running);
    running.wait().expect("it has ended");
    assert_eq!(shop.there("select count(*) from users"), "500");
    assert!(shop.refusal("select from orders").contains("it comes with the tier rest"));
    // A dump of later does not matter: it is the state that was begun.
    shop.ground.sql("delete from audit");
    shop.ground.dump();
    let wrong = shop.command(&["--tier", "reports"]).output().expect("seawall");
    Said::of(wrong).ends_with_code(1).says("--tier critical");
    shop.restore(&["--no-owner"]).ends_with_code(1).says("begun with other words");
    // What has come with its tier cannot come with another one.
    for other in ["tables: [users, accounts, tree], rto", "database: shop, tables: [users, accounts, orders], rto"] {
        shop.ground.change("tables: [users, accounts], rto", other);
        shop.restore(&[]).ends_with_code(1).says("no longer those with which `shop` was begun");
        shop.ground.change(other, "tables: [users, accounts], rto");
    }
    let (less, reports) = ("rto: 4h }", "rto: 4h }, reports: { tables: [log, summed], rto: 5h }");
    shop.ground.change(reports, less);
    shop.restore(&[]).ends_with_code(1).says("no longer those with which `shop` was begun");
    shop.ground.change(less, reports);
    shop.let_go();
    let said = shop.restore(&["--format", "json"]).ends_with_code(0);
    assert!(said.err.contains("it goes on") && said.err.contains("it is there"), "{}", said.err);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((json["resumed"].as_bool(), json["tiers"][0]["rows"].as_u64()), (Some(true), None));
    shop.is_whole();
}

#[test]
fn whenever_it_is_killed_it_goes_on() {
    for filled in [0, 1, 5] {
        let shop = Shop::new(Version::V18, Version::V18, "");
        shop.ground.dump();
        let mut running = start(&shop);
        let is_so_far = || {
            let mut session = Connection::connect(&shop.target.settings().with_dbname("shop")).ok()?;
            let rows = session.query("select count(*)::text as n from seawall_pending.things where filled and kind = 't'", &[]).ok()?;
            rows.one().ok()?.parse::<u64>("n").ok()
        };
        while is_so_far().is_none_or(|so_far| so_far < filled) && running.try_wait().expect("a process").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        kill_9(&running);
        running.wait().expect("it has ended");
        let said = shop.restore(&[]);
        // It may have come to its end before.
        if said.code != Some(0) {
            said.says("is there already");
        }
        shop.is_whole();
    }
}

#[test]
fn when_the_connection_is_cut_or_somebody_ends_it_what_is_missing_is_named() {
    let shop = Shop::gated(Version::V15, "");
    let running = start(&shop);
    shop.wait_for_critical();
    shop.target.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'shop' and query ~ 'gated' and pid <> pg_backend_pid()",
    );
    let said = Said::of(running.wait_with_output().expect("seawall"));
    assert_ne!(said.code, Some(0), "{}", said.err);
    said.says("usable: `critical`").says("missing in `shop`: `rest`").says("goes on where it stopped");
    let running = start(&shop);
    shop.wait_for_critical();
    kill_process(ours(&running), Signal::TERM).expect("a signal");
    Said::of(running.wait_with_output().expect("seawall")).ends_with_code(143).says("missing in `shop`: `rest`");
    shop.let_go();
    shop.restore(&[]).ends_with_code(0).says("it goes on");
    shop.is_whole();
}
