//! Connections that are cut, and servers that are killed, at every stage: the table is whole, as before or as after, and it is said which.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use seawall::execute::table::landing::{Wanted, Way};
use seawall::execute::table::{TableFault, Why};

use super::changed::SHOP;
use super::rig::{Two, into, merge, replace, rows, sql_in, wanted};
use crate::clusters::{Cluster, Version};

/// Ends all of our sessions in a database but the one that does it, and waits for their end.
fn cut(cluster: &Cluster, database: &str) {
    let ours = format!("datname = '{database}' and pid <> pg_backend_pid() and application_name = 'seawall'");
    let began = Instant::now();
    loop {
        let sql = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where {ours}");
        if sql_in(cluster, database, &sql) == "0" {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "they stay");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ways() -> Vec<(&'static str, Wanted)> {
    let orders = [("public", "orders")];
    let merge = Way::Merge { key: Vec::new(), delete_others: true, kept: Some("replaced".into()) };
    vec![("side", wanted(&orders, into("restored"))), ("replace", wanted(&orders, replace())), ("merge", wanted(&orders, merge))]
}

fn spoilt() -> Two {
    let two = Two::new(SHOP);
    two.remember();
    two.now("delete from lines; delete from orders where id % 3 = 0; update orders set total = 7 where id % 5 = 0");
    two
}

/// As it is seen from outside: the rows, and whether anything was made beside them.
fn state(two: &Two) -> (String, String) {
    let made = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('replaced', 'restored') \
                or (c.relpersistence = 't' and c.relname ~ 'seawall')";
    (two.now(&rows("orders")), two.now(made))
}

/// After a server's sudden end its temporary tables are files that nobody sees; its own autovacuum removes them.
fn lasting(two: &Two) -> (String, String) {
    let kept = "select count(*) from pg_namespace where nspname in ('replaced', 'restored')";
    (two.now(&rows("orders")), two.now(kept))
}

/// Nothing was done, and that is said; where it is not known, that is said as well.
fn is_told(fault: &TableFault, at: &str) {
    let unknown = fault.message.contains("whether") && fault.message.contains("not known");
    let expected = if unknown { Why::Unknown } else { Why::Passing };
    assert_eq!(fault.why, expected, "{at}: {} ({})", fault.message, fault.hint);
    assert!(!fault.message.is_empty() && !fault.hint.is_empty(), "{at}: {fault:?}");
    assert_eq!(unknown, at.contains("committing"), "{at}: {}", fault.message);
}

/// Every stage of every way, once each.
#[test]
fn the_connection_to_the_target_is_cut() {
    for (name, wanted) in ways() {
        let two = spoilt();
        let before = state(&two);
        let mut cuts = 0;
        for nth in 0.. {
            two.anew();
            let (seen, at) = (AtomicUsize::new(0), std::sync::Mutex::new(String::new()));
            let brought = two.bring_while(&wanted, &|what| {
                if seen.fetch_add(1, Ordering::Relaxed) == nth {
                    *at.lock().expect("nobody panics") = format!("{name}: {what}");
                    cut(&two.live, "shop");
                }
            });
            let at = at.into_inner().expect("nobody panics");
            cut_leaves_nothing(&two);
            match brought {
                Err(fault) => {
                    is_told(&fault, &at);
                    assert_eq!(state(&two), before, "{at}");
                    cuts += 1;
                }
                // What comes after the end takes nothing back.
                Ok((landed, remarks)) => {
                    let is_after_the_end =
                        at.contains("analyzing") && remarks.iter().any(|remark| remark.contains("could not be analyzed"));
                    assert!(is_after_the_end, "{at}: {remarks:?}");
                    assert_eq!(landed[0].rows, 1000);
                    break;
                }
            }
        }
        assert!(cuts >= 3, "{name}: {cuts}");
        let table = if name == "side" { "restored.orders" } else { "orders" };
        assert_eq!(two.now(&rows(table)), two.then(&rows(table)), "{name}");
    }
}

/// No session of ours, and none of what it had.
fn cut_leaves_nothing(two: &Two) {
    for (cluster, database) in [(&two.live, "shop"), (&two.origin, "was")] {
        let began = Instant::now();
        let sql = format!("select count(*) from pg_stat_activity where datname = '{database}' and pid <> pg_backend_pid()");
        while sql_in(cluster, database, &sql) != "0" {
            assert!(began.elapsed() < Duration::from_secs(60), "{database}: a session stays");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_connection_to_the_private_server_is_cut() {
    for (name, wanted) in ways() {
        let two = spoilt();
        let before = state(&two);
        let mut cuts = 0;
        for nth in 0.. {
            two.anew();
            let (seen, at) = (AtomicUsize::new(0), std::sync::Mutex::new(String::new()));
            let brought = two.bring_while(&wanted, &|what| {
                if seen.fetch_add(1, Ordering::Relaxed) == nth {
                    *at.lock().expect("nobody panics") = format!("{name}: {what}");
                    cut(&two.origin, "was");
                }
            });
            let at = at.into_inner().expect("nobody panics");
            cut_leaves_nothing(&two);
            match brought {
                Err(fault) => {
                    assert_eq!(fault.why, Why::Passing, "{at}: {} ({})", fault.message, fault.hint);
                    assert_eq!(state(&two), before, "{at}");
                    cuts += 1;
                }
                // Its sessions are not open yet, and a table beside the original goes again.
                Ok(_) if name == "side" && seen.load(Ordering::Relaxed) > nth => _ = two.now("drop schema restored cascade"),
                // From some stage on it is not needed any more.
                Ok(_) => break,
            }
        }
        assert!(cuts >= 1, "{name}: {cuts}");
    }
}

/// In the middle of a transaction, with its power: what was not committed never was.
#[test]
fn the_target_is_killed_in_the_middle() {
    for (name, wanted) in ways() {
        let two = spoilt();
        let before = lasting(&two);
        for stage in ["changing rows", "copying rows", "committing"] {
            two.anew();
            let killed = AtomicUsize::new(0);
            let brought = two.bring_while(&wanted, &|what| {
                if what.starts_with(stage) && killed.fetch_add(1, Ordering::Relaxed) == 0 {
                    two.live.kill_9();
                }
            });
            if killed.load(Ordering::Relaxed) == 0 {
                assert_eq!((name, stage), ("side", "changing rows"), "it never came to that");
                two.now("drop schema restored cascade");
                continue;
            }
            let fault = brought.expect_err("its server is gone");
            is_told(&fault, &format!("{name}: {stage}"));
            two.live.resume();
            assert_eq!(lasting(&two), before, "{name}: {stage}");
        }
        two.anew();
        two.brings(&wanted);
    }
}

/// The private server goes while rows come out of it: they do not come to an end that looks like one.
#[test]
fn the_private_server_is_killed_while_rows_come() {
    let two = Two::of(Version::V15, Version::V15, SHOP);
    two.then("insert into orders (customer, total, note) select 1 + k % 50, 1, repeat('y', 400) from generate_series(1, 60000) k");
    two.now("delete from lines; update orders set total = 7");
    let before = state(&two);
    let orders = [("public", "orders")];
    for way in [replace(), merge(), into("restored")] {
        let wanted = wanted(&orders, way);
        std::thread::scope(|scope| {
            let (begun, begins) = std::sync::mpsc::channel::<()>();
            let origin = &two.origin;
            let killer = scope.spawn(move || {
                begins.recv().expect("it begins");
                std::thread::sleep(Duration::from_millis(15));
                origin.kill_9();
            });
            let fault = two
                .bring_while(&wanted, &|what| {
                    if what.starts_with("copying rows") {
                        let _ = begun.send(());
                    }
                })
                .err();
            drop(begun);
            killer.join().expect("it was killed");
            // Fast machines may have all rows by then.
            if let Some(fault) = fault {
                assert_eq!(fault.why, Why::Passing, "{} ({})", fault.message, fault.hint);
                assert_eq!(state(&two), before, "{}", wanted.way.as_str());
            } else {
                println!("{}: it was faster", wanted.way.as_str());
            }
        });
        two.origin.resume();
    }
}
