//! What destroys, or lets less be done, is said and weighed, whichever way it is written.

use super::sentences::warns;
use super::{daily, now, policy};
use crate::diff::{PolicyDiff, compare};
use crate::inventory::{ClusterInventory, Observed};

const HEAD: &str = r#"
version: 1
policy: shop
timezone: UTC
cluster: { connection: service=shop, databases: [a] }
encryption: { none: { because: a test } }
stores: { main: { local: { path: /srv/backups } }, cold: { local: { path: /mnt/cold } } }
"#;

fn changed(old: &str, new: &str, there: Option<&ClusterInventory>) -> PolicyDiff {
    let [old, new] = [old, new].map(|rest| policy(&format!("{HEAD}{rest}\n")));
    compare(Some(&old), Some(&new), there, now()).expect("both are there")
}

fn warned(old: &str, new: &str) -> Vec<String> {
    warns(&changed(old, new, None))
}

// ---- rows ----------------------------------------------------------------------------------------------------------

#[test]
fn an_archive_that_begins_to_delete_is_destructive() {
    let logs = |rest: &str| format!("archive: {{ logs: {{ {rest} }} }}");
    let orders = "table: orders, column: at, after: 5y, store: cold, keep: 30d";
    assert_eq!(
        warned("", &logs(orders)),
        [
            "SW0910! `archive.logs` is new: rows of `orders` in `a` older than 5y leave the table for `cold` and are deleted there 30d later, for good"
        ]
    );
    assert_eq!(
        warned("", &logs("table: orders, column: at, after: 5y, store: cold")),
        ["SW0910 `archive.logs` is new: rows of `orders` in `a` older than 5y leave the table for `cold` and stay there"]
    );
    assert_eq!(
        warned(&logs(orders), &logs(&orders.replace("5y", "1d"))),
        [
            "SW0910! rows of `orders` in `a` older than 1d leave the table for `cold` and are deleted there 30d later, for good; before, only those older than 5y did"
        ]
    );
    // What is moved sooner and stays as much longer is not gone sooner.
    let longer = orders.replace("5y", "4y").replace("30d", "1y 30d");
    assert_eq!(
        warned(&logs(orders), &logs(&longer)),
        [
            "SW0910 rows of `orders` in `a` older than 4y leave the table for `cold` and are deleted there 1y 30d later, for good; before, only those older than 5y did"
        ]
    );
    assert!(warned(&logs(orders), &logs(&orders.replace("5y", "6y"))).is_empty());
    for (from, to, of) in
        [("table: orders", "table: logs", "`logs` in `a` by `at`"), ("column: at", "column: made", "`orders` in `a` by `made`")]
    {
        let said = warned(&logs(orders), &logs(&orders.replace(from, to)));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&format!("SW0910! `archive.logs` is of {of} and no longer of `orders` in `a` by `at`")), "{said:?}");
    }
    assert!(warned(&logs(orders), &logs(&orders.replace("table: orders", "table: public.orders"))).is_empty());
}

#[test]
fn a_hypertable_that_gets_an_archive_is_no_exception() {
    let with = |archive: &str| format!("timescaledb: {{ a: {{ hypertables: {{ readings: {{ retain: 7y{archive} }} }} }} }}");
    assert_eq!(
        warned(&with(""), &with(", archive: { after: 1d, store: cold, keep: 2d }")),
        [
            "SW0910! `timescaledb.a.hypertables.readings.archive` is new: rows of `readings` in `a` older than 1d leave the table for `cold` and are deleted there 2d later, for good; before, those older than 7y were dropped"
        ]
    );
    // What was dropped before stays longer now.
    let dropped = |rest: &str| format!("timescaledb: {{ a: {{ hypertables: {{ readings: {{ {rest} }} }} }} }}");
    assert_eq!(
        warned(&dropped("retain: 90d"), &dropped("archive: { after: 90d, store: main, keep: 1y }")),
        [
            "SW0910 `timescaledb.a.hypertables.readings.archive` is new: rows of `readings` in `a` older than 90d leave the table for `main` and are deleted there 1y later, for good; before, those older than 90d were dropped"
        ]
    );
    let sooner = warned(&dropped("retain: 90d"), &dropped("archive: { after: 30d, store: main, keep: 59d }"));
    assert!(matches!(sooner.as_slice(), [said] if said.starts_with("SW0910!")), "{sooner:?}");
    let apart = "archive: { old: { table: public.readings, column: at, after: 90d, store: main, keep: 1y } }";
    assert!(warned(&dropped("retain: 90d"), apart).iter().all(|said| said.starts_with("SW0910 ")));
    assert!(warned(&dropped("retain: 90d"), &apart.replace("readings", "orders")).iter().any(|said| said.starts_with("SW0910!")));
    // What another archive takes is not dropped.
    let beside = format!("{}\n{}", dropped("retain: 7y"), apart.replace(", keep: 1y", ""));
    let both = beside.replace("retain: 7y", "retain: 7y, archive: { after: 5y, store: main, keep: 3y }");
    assert!(changed(&beside, &both, None).needs_acknowledgement());
    // A month may have 28 days.
    assert_eq!(warned(&with(", archive: { after: 31d, store: cold }"), &with(", archive: { after: 1mo, store: cold }")).len(), 1);
}

#[test]
fn an_archive_that_gets_another_name_is_the_same() {
    let orders = "table: orders, column: at, after: 5y, store: cold, keep: 30d";
    let logs = "table: logs, column: at, after: 1y, store: cold, keep: 1y";
    let named = |name: &str, what: &str| format!("archive: {{ {name}: {{ {what} }} }}");
    let both = |one: &str, other: &str| format!("archive: {{ one: {{ {one} }}, other: {{ {other} }} }}");
    assert!(warned(&named("old", orders), &named("orders", &orders.replace("orders", "public.orders"))).is_empty());
    assert!(warned(&both(orders, logs), &both(logs, orders)).is_empty());
    assert_eq!(
        warned(&named("old", orders), &named("orders", &orders.replace("30d", "20d"))),
        ["SW0910! archived rows of `archive.orders` stay 20d instead of 30d"]
    );
    assert_eq!(warned(&named("old", orders), &named("orders", logs)).len(), 2);
    assert_eq!(
        warned(&both(orders, logs), &named("one", logs)),
        ["SW0910! `archive.one` is removed: old rows are no longer archived before they are dropped"]
    );
}

// ---- holds ---------------------------------------------------------------------------------------------------------

/// Ninety days of backups in `main`, and nothing in `cold`.
fn without_log() -> ClusterInventory {
    let mut there = daily(90);
    let Some(Observed::Known(store)) = there.stores.get_mut("main") else { panic!("it is there") };
    store.wal.clear();
    let mut cold = store.clone();
    cold.backups.clear();
    there.stores.insert("cold".parse().expect("a name"), Observed::Known(cold));
    there
}

#[test]
fn a_hold_that_ends_tomorrow_is_as_good_as_gone() {
    let held = |hold: &str| {
        format!(
            "backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, keep: {{ daily: 7 }} }} }}\nholds: {{ {hold} }}"
        )
    };
    let case = "case-1: { reason: legal, until: 2028-12-31, backups: { job: nightly, from: 2026-09-01, to: 2026-09-03 } }";
    let said = |new: &str| warns(&changed(&held(case), &held(new), Some(&without_log())));
    assert_eq!(
        said(&case.replace("2028-12-31", "2026-11-22")),
        [
            "SW0905! the hold `case-1` ends on 2026-11-22; before, on 2028-12-31; backups that only it protected become deletable (3 backups, 300 GB)"
        ]
    );
    // Nor does another name help.
    assert_eq!(
        said(&case.replace("case-1", "case-2").replace("2028-12-31", "2026-11-22")),
        ["SW0905! the hold `case-1` is released (reason: legal); backups that only it protected become deletable (3 backups, 300 GB)"]
    );
    assert_eq!(
        said(&case.replace("to: 2026-09-03", "to: 2026-09-02")),
        ["SW0905! the hold `case-1` protects less than it did; backups that only it protected become deletable (1 backup, 100 GB)"]
    );
    let endless = case.replace(" until: 2028-12-31,", "");
    assert_eq!(
        warns(&changed(&held(&endless), &held(case), Some(&without_log()))),
        [
            "SW0905! the hold `case-1` ends on 2028-12-31; before, it had no end; backups that only it protected become deletable (3 backups, 300 GB)"
        ]
    );
    assert!(said(&endless).is_empty());
    // What another hold had protected before, it still protects.
    let two = format!("{case}, case-2: {{ reason: tax, until: 2027-06-30, backups: {{ job: nightly }} }}");
    let one = two.replace("2028-12-31", "2026-11-22");
    assert_eq!(
        warns(&changed(&held(&two), &held(&one), Some(&without_log()))),
        ["SW0905 the hold `case-1` ends on 2026-11-22; before, on 2028-12-31; no existing backup was protected by it alone"]
    );
}

// ---- what a job holds ----------------------------------------------------------------------------------------------

#[test]
fn a_job_is_not_emptied_in_silence() {
    let dump = |logical: &str| format!("backups: {{ dump: {{ logical: {{ {logical} }}, store: main, keep: {{ daily: 7 }} }} }}");
    assert_eq!(warned(&dump(""), &dump("schemas: [tiny]")), ["SW0901 `backups.dump.logical` holds only tiny, no longer everything"]);
    assert_eq!(
        warned(&dump(""), &dump("exclude_tables: [\"*\"]")),
        ["SW0901 `backups.dump.logical.exclude_tables` gains `*`: the job may hold less than it did"]
    );
    assert_eq!(
        warned(&dump("exclude_table_data: [a]"), &dump("exclude_table_data: [a, \"*\"]")),
        ["SW0901 `backups.dump.logical.exclude_table_data` gains `*`: the job may hold less than it did"]
    );
    assert_eq!(warned(&dump(""), &dump("tables: [t*]")), ["SW0901 `backups.dump.logical` holds only t*, no longer everything"]);
    assert_eq!(warned(&dump("tables: [a, b]"), &dump("tables: [a]")), ["SW0901 `backups.dump.logical.tables` no longer has `b`"]);
    assert_eq!(
        warned(&dump(""), &dump("exclude_schemas: [scratch]")),
        ["SW0901 `backups.dump.logical.exclude_schemas` gains `scratch`: the job may hold less than it did"]
    );
    assert_eq!(
        warned(&dump(""), &dump("sections: [pre-data, post-data]")),
        ["SW0901 `backups.dump.logical` holds only post-data and pre-data, no longer everything"]
    );
    assert!(warned(&dump(""), &dump("sections: [post-data, data, pre-data]")).is_empty());
    assert_eq!(
        warned(&dump("tables: [a]"), &dump("tables: [a], unmatched: allow")),
        ["SW0915 `backups.dump.logical.unmatched` is loosened from fail to allow"]
    );
    assert!(warned(&dump("schemas: [tiny]"), &dump("")).is_empty());
    assert!(warned(&dump("exclude_tables: [a, b]"), &dump("exclude_tables: [a]")).is_empty());
    let files = |exclude: &str| {
        format!("backups: {{ etc: {{ files: {{ paths: [/etc], exclude: [{exclude}] }}, store: main, keep: {{ last: 7 }} }} }}")
    };
    assert_eq!(warned(&files(""), &files("\"*\"")), ["SW0901 `backups.etc.files.exclude` gains `*`: the job may hold less than it did"]);
    assert_eq!(
        warned(&files("\"*.log\", \"!kept.log\""), &files("\"*.log\"")),
        ["SW0901 `backups.etc.files.exclude` loses `!kept.log`: the job may hold less than it did"]
    );
    assert_eq!(warned(&files("\"*.log\", \"!kept.log\""), &files("\"!kept.log\", \"*.log\"")).len(), 1);
    assert!(warned(&files("\"*.log\""), &files("\"*.log\", \"!kept.log\"")).is_empty());
    assert!(warned(&files("a, b"), &files("b, a")).is_empty());
}

// ---- limits --------------------------------------------------------------------------------------------------------

#[test]
fn a_limit_that_was_not_written_is_compared_by_what_it_was() {
    let text = |thresholds: &str| {
        format!(
            "objectives: {{ rpo: 25h, rto: 4h }}
backups: {{ nightly: {{ logical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, keep: {{ daily: 7 }} }} }}
receivers: {{ dba: {{ email: {{ to: [dba@example.com] }} }} }}
smtp: {{ host: mail.example.com, from: a@example.com }}
alerts: {{ routes: [{{ to: [dba] }}], thresholds: {{ {thresholds} }} }}"
        )
    };
    let of = |old: &str, new: &str| warned(&text(old), &text(new));
    assert_eq!(
        of("", "backup_age: 999d"),
        [
            "SW0915 the limit of `alerts.thresholds.backup_age` is loosened from 25h to 999d",
            "SW0915 `alerts.thresholds.backup_age.severity` is loosened from critical to warning",
        ]
    );
    assert_eq!(
        of("", "backup_age_of: { nightly: { above: 999d, severity: critical } }"),
        ["SW0915 the age at which a backup of `nightly` is overdue is loosened from 25h to 999d"]
    );
    assert_eq!(
        of("backup_age: 26h", "backup_age: 26h, backup_age_of: { nightly: 3d }"),
        ["SW0915 the age at which a backup of `nightly` is overdue is loosened from 26h to 3d"]
    );
    assert_eq!(of("", "storage_used: 99%"), ["SW0915 the limit of `alerts.thresholds.storage_used` is loosened from 80% to 99%"]);
    assert!(of("storage_used: 95%", "").is_empty());
    assert_eq!(of("", "storage_used: { above: 80%, for: 30d }"), ["SW0915 `alerts.thresholds.storage_used.for` is set to 30d"]);
    assert!(of("storage_used: { above: 80%, for: 30d }", "").is_empty());
    assert_eq!(of("drill_age: 35d", "").len(), 1);
    assert!(of("", "drill_age: 35d").is_empty());
    // The same, written out.
    assert!(changed(&text(""), &text("storage_used: 80%"), None).is_empty());
}

// ---- when things run -----------------------------------------------------------------------------------------------

/// A job with this schedule, retention and window.
fn nightly(schedule: &str, rest: &str) -> String {
    format!(
        "windows: {{ sun: {{ on: sunday, from: \"01:00\", to: \"05:00\" }}, day: {{ from: \"01:00\", to: \"05:00\" }} }}\nbackups: {{ nightly: {{ physical: {{}}, schedule: {{ {schedule} }}, store: main, {rest} }} }}"
    )
}

#[test]
fn a_number_of_backups_is_as_much_history_as_they_are_apart() {
    let of = |from: &str, to: &str, keep: &str| {
        warned(&nightly(from, &format!("keep: {{ {keep} }}")), &nightly(to, &format!("keep: {{ {keep} }}")))
    };
    let daily = "at: \"02:00\"";
    assert_eq!(
        of(daily, "every: 1h", "last: 14"),
        ["SW0903! `last` of `backups.nightly` in `main` reaches back 14h instead of 14d: a backup is made every 1h now, and older ones go"]
    );
    assert_eq!(
        of("on: sunday, at: \"02:00\"", daily, "daily: 30"),
        [
            "SW0903! `daily` of `backups.nightly` in `main` reaches back 30d instead of 210d: a backup is made every 24h now, and older ones go"
        ]
    );
    assert!(of(daily, "every: 1h", "daily: 30").is_empty());
    assert!(of(daily, "every: 1h", "last: 3, daily: 30").is_empty());
    assert!(of(daily, "every: 1h", "last: 14, for: 14d").is_empty());
    assert_eq!(of(daily, "every: 1h", "last: 100, monthly: 12").len(), 1);
    let longer = warned(&nightly(daily, "keep: { last: 14 }"), &nightly("every: 1h", "keep: { last: 336 }"));
    assert!(longer.is_empty(), "{longer:?}");
    // Of a job that has made none there is nothing to lose.
    let [old, new] = [daily, "every: 1h"].map(|schedule| nightly(schedule, "keep: { last: 14 }"));
    let mut there = without_log();
    assert!(changed(&old, &new, Some(&there)).needs_acknowledgement());
    let Some(Observed::Known(store)) = there.stores.get_mut("main") else { panic!("it is there") };
    store.backups.clear();
    assert!(!changed(&old, &new, Some(&there)).needs_acknowledgement());
}

#[test]
fn what_only_moves_reaches_as_far_back_whenever_somebody_asks() {
    for (from, to, keep) in [
        ("day: 1, of: month, at: \"02:00\"", "first: monday, of: month, at: \"02:00\"", "last: 12"),
        ("first: monday, of: month, at: \"02:00\"", "day: 1, of: month, at: \"02:00\"", "last: 12"),
        ("on: [tuesday, friday], at: \"03:00\"", "on: [monday, thursday], at: \"02:00\"", "last: 8"),
        ("at: [\"08:00\", \"12:00\"]", "at: [\"09:00\", \"17:00\"]", "last: 7"),
        ("last: day, of: month, at: \"02:00\"", "last: friday, of: month, at: \"04:00\"", "last: 7"),
    ] {
        let [old, new] = [from, to].map(|schedule| policy(&format!("{HEAD}{}\n", nightly(schedule, &format!("keep: {{ {keep} }}")))));
        for turn in 0..8 {
            let at = now() + jiff::SignedDuration::from_hours(turn * 13);
            let diff = compare(Some(&old), Some(&new), None, at).expect("both are there");
            assert!(!diff.needs_acknowledgement(), "from {from} to {to} at {at}: {:?}", warns(&diff));
        }
    }
    // Whole bursts count, and not where the first of them begins.
    let windowed = |from: &str, to: &str| {
        nightly("every: 1m", "keep: { last: 100 }, window: day")
            .replace("day: { from: \"01:00\", to: \"05:00\"", &format!("day: {{ from: \"{from}\", to: \"{to}\""))
    };
    assert!(warned(&windowed("01:00", "05:00"), &windowed("22:00", "02:00")).is_empty());
    assert!(warned(&windowed("22:00", "02:00"), &windowed("01:00", "05:00")).is_empty());
    assert!(changed(&windowed("01:00", "05:00"), &windowed("01:00", "06:00"), None).needs_acknowledgement());
}

#[test]
fn a_window_is_part_of_when_something_runs() {
    let of = |from: &str, to: &str| warned(&nightly("at: \"02:00\"", from), &nightly("at: \"02:00\"", to));
    let keep = "keep: { for: 30d }";
    assert_eq!(
        of(keep, &format!("{keep}, window: sun")),
        ["SW0914 `backups.nightly` runs less often: up to 7d pass between two runs, instead of 24h"]
    );
    assert!(of(keep, &format!("{keep}, window: day")).is_empty());
    assert!(of(&format!("{keep}, window: sun"), keep).is_empty());
    let inside = nightly("at: \"02:00\"", &format!("{keep}, window: day"));
    let outside = inside.replace("day: { from: \"01:00\"", "day: { from: \"03:00\"");
    assert_eq!(
        warned(&inside, &outside),
        [
            "SW0914 `backups.nightly` never runs any more: every day at 02:00 UTC is always outside of its window, every day from 03:00 to 05:00 UTC"
        ]
    );
    assert!(warned(&outside, &inside).is_empty());
}

#[test]
fn a_month_is_shorter_in_february() {
    let wal =
        |keep: &str| format!("wal: {{ store: main, timeout: 60s, keep: {keep} }}\n{}", nightly("at: \"02:00\"", "keep: { for: 90d }"));
    let of = |from: &str, to: &str| warned(&wal(from), &wal(to));
    assert_eq!(
        of("31d", "1mo"),
        [
            "SW0904! recovery to any moment in `main` goes back 1mo instead of 31d (unknown which existing backups this affects: no inventory was given)"
        ]
    );
    assert_eq!(of("30d", "1mo").len(), 1);
    assert!(of("1mo", "31d").is_empty() && of("28d", "1mo").is_empty() && of("1y", "12mo").is_empty());
    let known = warns(&changed(&wal("31d"), &wal("1mo"), Some(&daily(60))));
    assert_eq!(known, ["SW0904 recovery to any moment in `main` loses nothing today: it begins at 2026-10-21 12:00 UTC"]);
    let kept = |keep: &str| nightly("at: \"02:00\"", &format!("keep: {{ for: {keep} }}"));
    assert!(changed(&kept("30d"), &kept("1mo"), None).needs_acknowledgement());
}

#[test]
fn a_drill_that_restores_less_proves_less() {
    let drill = |what: &str| {
        format!(
            "wal: {{ store: main, copies: [cold], timeout: 60s, keep: 30d }}
backups: {{ full: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, copies: [cold], keep: {{ for: 90d }} }}, other: {{ logical: {{}}, store: main, keep: {{ for: 90d }} }} }}
drills: {{ q: {{ {what}, schedule: {{ first: monday, at: \"04:00\" }}, expect: {{ rows: {{ check: row-counts }} }} }} }}"
        )
    };
    let of = |from: &str, to: &str| warned(&drill(from), &drill(to));
    let any = "restore: { point_in_time: random }";
    let latest = "restore: { latest: full }";
    assert_eq!(of(any, latest), ["SW0909 `drills.q` restores the newest backup of `full` and no longer any moment of the window"]);
    assert!(of(latest, any).is_empty() && of(latest, "restore: { random: full }").is_empty());
    assert_eq!(of("restore: { random: full }", latest).len(), 1);
    assert_eq!(
        of("restore: { latest: other }", latest),
        ["SW0909 `drills.q` restores the newest backup of `full` and no longer the newest backup of `other`"]
    );
    assert_eq!(
        of(&format!("{any}, from: cold"), &format!("{any}, from: main")),
        ["SW0909 `drills.q` restores from `main` and no longer from `cold`: nothing proves what lies there"]
    );
    assert!(of(any, &format!("{any}, from: main")).is_empty());
    let tables = |of: &str| format!("restore: {{ latest: full, tables: [{of}] }}");
    let (one, two) = (tables("public.x"), tables("public.x, public.y"));
    let drilled = |from: &str, to: &str| {
        let without = |what: &str| drill(what).replace(", expect: { rows: { check: row-counts } }", "");
        warned(&without(from), &without(to))
    };
    assert_eq!(
        drilled(latest, &one),
        ["SW0909 `drills.q` restores `public.x` in `a` from the newest backup of `full` and no longer the newest backup of `full`"]
    );
    assert_eq!(
        drilled(&two, &one),
        [
            "SW0909 `drills.q` restores `public.x` in `a` from the newest backup of `full` and no longer `public.x` and `public.y` in `a` from the newest backup of `full`"
        ]
    );
    assert!(drilled(&one, &two).is_empty() && drilled(&one, latest).is_empty());
    assert!(drilled(&one, &tables("x")).is_empty(), "the same in other words");
    let elsewhere = |database: &str| {
        let what = one.replace("] }", &format!("], database: {database} }}"));
        let rest = drill(&what).replace(", expect: { rows: { check: row-counts } }", "");
        policy(&format!("{}{rest}\n", HEAD.replace("databases: [a]", "databases: [a, b]")))
    };
    assert_eq!(warns(&compare(Some(&elsewhere("a")), Some(&elsewhere("b")), None, now()).expect("both are there")).len(), 1);
}

#[test]
fn a_host_that_is_named_takes_the_turns_of_all_that_are_not() {
    let with = |hosts: &str| {
        let jobs = "expire: { schedule: { at: \"06:00\" } }\nbackups: { full: { physical: {}, schedule: { at: \"03:00\" }, store: main, keep: { daily: 7 } } }";
        policy(&format!("{}{jobs}\n", HEAD.replace("databases: [a]", &format!("databases: [a]{hosts}"))))
    };
    let of = |from: &str, to: &str| warns(&compare(Some(&with(from)), Some(&with(to)), None, now()).expect("both are there"));
    let stage = ", hosts: { stage: { role: staging } }";
    assert_eq!(
        of("", stage),
        [
            "SW0914 `backups.full` has its turn on no host any more: none of `cluster.hosts` may run it",
            "SW0914 `expire` has its turn on no host any more: none of `cluster.hosts` may run it",
        ]
    );
    assert!(of(stage, "").is_empty() && of("", ", hosts: { db: { role: primary }, stage: { role: staging } }").is_empty());
}

#[test]
fn another_server_is_another_matter() {
    let at = |connection: &str| policy(&HEAD.replace("service=shop", connection));
    let of = |from: &str, to: &str| warns(&compare(Some(&at(from)), Some(&at(to)), None, now()).expect("both are there"));
    assert_eq!(
        of("host=db-1", "host=db-2 port=5433"),
        [
            "SW0901 `cluster.connection` may lead to another server: `host=db-2` and `port=5433` instead of `host=db-1`; what the jobs held is backed up no longer if it does"
        ]
    );
    assert!(of("host=db-1 user=a", "\"postgresql://b@db-1/a\"").is_empty());
}

// ---- names ---------------------------------------------------------------------------------------------------------

const STORED: &str = r#"
version: 1
policy: shop
timezone: UTC
cluster: { connection: service=shop, databases: [a] }
encryption: { none: { because: a test } }
objectives: { scenarios: { fire: { recover: cluster, from: cold, rpo: 2d } } }
stores: { main: { local: { path: /srv/backups } }, cold: { local: { path: /mnt/second } } }
wal: { store: main, copies: [cold], timeout: 60s, keep: 30d }
backups: { nightly: { physical: {}, schedule: { at: "02:00" }, store: main, copies: { cold: { keep: { daily: 14 } } }, keep: { daily: 30 } } }
verify: { weekly: { schedule: { on: saturday, at: "06:00" }, stores: [main, cold] } }
drills: { q: { restore: { latest: nightly }, from: cold, expect: { rows: { check: row-counts } } } }
archive: { logs: { table: logs, column: at, after: 5y, store: cold } }
"#;

#[test]
fn a_store_that_gets_another_name_is_the_same_place() {
    let renamed = STORED.replace("main", "primary").replace("cold", "far");
    let there = without_log();
    let both = |new: &str, there: Option<&ClusterInventory>| {
        compare(Some(&policy(STORED)), Some(&policy(new)), there, now()).expect("both are there")
    };
    for there in [None, Some(&there)] {
        let diff = both(&renamed, there);
        assert_eq!(
            warns(&diff),
            [
                "SW0907 the store `cold` is called `far` now; it is the same place, and its backups are found there",
                "SW0907 the store `main` is called `primary` now; it is the same place, and its backups are found there",
            ]
        );
        assert_eq!(
            diff.changes.iter().map(|changed| changed.says.as_str()).collect::<Vec<_>>(),
            ["`stores.cold` is renamed to `stores.far`", "`stores.main` is renamed to `stores.primary`"]
        );
    }
    // It hides nothing of what else is changed.
    let shorter = renamed
        .replace("daily: 30", "daily: 3")
        .replace("copies: { far: { keep: { daily: 14 } } }, ", "")
        .replace("keep: 30d", "keep: 7d")
        .replace("from: far, expect", "expect");
    let said = warns(&both(&shorter, Some(&there)));
    let has = |begin: &str| assert!(said.iter().any(|said| said.starts_with(begin)), "{begin}: {said:#?}");
    has("SW0903! existing backups of `nightly` in `primary` become deletable (");
    has("SW0904 recovery to any moment goes back less far in `primary`");
    has("SW0907! the backups of `nightly` no longer go to `far`; they go to `primary` (no existing backup)");
}

#[test]
fn stores_that_change_names_with_each_other_are_other_places() {
    let swapped = STORED.replace("/srv/backups", "/x").replace("/mnt/second", "/srv/backups").replace("/x", "/mnt/second");
    let diff = compare(Some(&policy(STORED)), Some(&policy(&swapped)), None, now()).expect("both are there");
    assert!(diff.needs_acknowledgement());
    let said = warns(&diff);
    assert!(said.iter().any(|said| said.starts_with("SW0903! existing backups of `nightly` in `cold` may become deletable")), "{said:#?}");
    assert!(said.iter().any(|said| said.starts_with("SW0910! rows that `archive.logs` has archived to `main`")), "{said:#?}");
    // A name that is taken is not free for another place.
    let taken = STORED.replace(
        "main: { local: { path: /srv/backups } }, cold: { local: { path: /mnt/second } }",
        "main: { local: { path: /mnt/second } }, cold: { local: { path: /mnt/new } }",
    );
    assert!(compare(Some(&policy(STORED)), Some(&policy(&taken)), None, now()).expect("both are there").needs_acknowledgement());
}
