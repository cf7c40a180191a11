use super::*;

fn held(rows: &str, until: &str, tables: &str) -> String {
    format!("holds: {{ case: {{ reason: court{until}, rows: {{ {rows} }} }} }}\ntimescaledb: {{ shop: {{ {tables} }} }}\n")
}

#[test]
fn retention_that_cuts_through_a_hold() {
    let rows = "table: prices, from: 2024-01-01, to: 2024-06-30";
    let retain = |age: &str| format!("hypertables: {{ prices: {{ retain: {age} }} }}");
    let until = ", until: 2029-01-01";
    let at = "timescaledb.shop.hypertables.prices.retain";
    assert_with_main(
        501,
        &held(rows, until, &retain("4y")),
        &[&format!(
            "warning {at}: drops rows of 2024-01-01 on 2028-01-01, and `holds.case` holds them until 2029-01-01: what is held stays"
        )],
    );
    assert_with_main(
        501,
        &held(rows, until, &retain("2y")),
        &[&format!("warning {at}: drops rows of 2024-01-01 at once, and `holds.case` holds them until 2029-01-01: what is held stays")],
    );
    assert_with_main(
        501,
        &held(rows, "", &retain("7y")),
        &[&format!("warning {at}: drops rows of 2024-01-01 on 2031-01-01, and `holds.case` holds them without an end: what is held stays")],
    );
    assert_with_main(
        501,
        &held("table: prices", until, &retain("7y")),
        &[&format!("warning {at}: drops rows that have become 7y old, and `holds.case` holds them until 2029-01-01: what is held stays")],
    );
    // The hold has ended on the day on which the first row goes.
    assert_with_main(501, &held(rows, until, &retain("5y")), &[]);
    assert_with_main(501, &held(rows, ", until: 2026-11-21", &retain("2y")), &[]);
    assert_with_main(501, &held("table: other, from: 2024-01-01", until, &retain("2y")), &[]);
}

#[test]
fn a_table_is_the_same_with_its_schema_and_with_quotes() {
    let tables = "hypertables: { public.prices: { retain: 2y } }";
    let expected = "warning timescaledb.shop.hypertables.\"public.prices\".retain: drops rows of 2024-01-01 at once, and `holds.case` holds them until 2029-01-01: what is held stays";
    assert_with_main(501, &held("table: '\"prices\"', from: 2024-01-01", ", until: 2029-01-01", tables), &[expected]);
    assert_with_main(501, &held("table: other.prices, from: 2024-01-01", ", until: 2029-01-01", tables), &[]);
}

#[test]
fn archives_and_aggregates_cut_through_holds_too() {
    let tables = "hypertables: { prices: { retain: 9y, archive: { after: 3y, store: main } } }, continuous_aggregates: { prices_daily: { retain: 1y } }";
    let rows = |table: &str| format!("table: {table}, from: 2025-02-28");
    assert_with_main(
        501,
        &held(&rows("prices"), ", until: 2030-01-01", tables),
        &[
            "note timescaledb.shop.hypertables.prices.archive.after: moves rows of 2025-02-28 out of the database on 2028-02-28, and `holds.case` holds them until 2030-01-01: what is held stays",
        ],
    );
    assert_with_main(
        501,
        &held(&rows("prices_daily"), ", until: 2030-01-01", tables),
        &[
            "warning timescaledb.shop.continuous_aggregates.prices_daily.retain: drops rows of 2025-02-28 at once, and `holds.case` holds them until 2030-01-01: what is held stays",
        ],
    );
    let plain = "holds: { case: { reason: court, rows: { table: orders, from: 2025-01-01 } } }\narchive: { old: { table: orders, column: placed_at, after: 5y, store: main } }";
    assert_with_main(
        501,
        plain,
        &[
            "note archive.old.after: moves rows of 2025-01-01 out of the database on 2030-01-01, and `holds.case` holds them without an end: what is held stays",
        ],
    );
}

#[test]
fn a_hold_on_a_table_that_nobody_knows() {
    let tables = "hypertables: { prices: { retain: 9y } }";
    let expected = "note holds.case.rows.table: nothing else in the policy speaks of `price`";
    assert_with_main(508, &held("table: price, from: 2026-01-01", ", until: 2029-01-01", tables), &[expected]);
    assert_with_main(508, &held("table: prices, from: 2026-01-01", ", until: 2029-01-01", tables), &[]);
    let dumped = "holds: { case: { reason: court, rows: { table: orders } } }\nbackups: { orders: { tables: { tables: [public.orders] }, keep: { last: 3 } } }";
    assert_with_main(508, dumped, &[]);
}

#[test]
fn a_store_that_deletes_by_itself_under_a_hold() {
    let body = |store: &str, hold: &str| {
        format!(
            "stores: {{ main: {{ s3: {{ bucket: main-backups }}, {store} }} }}\nbackups: {{ full: {{ physical: {{}}, keep: {{ last: 3 }} }}, other: {{ logical: {{}}, keep: {{ last: 3 }} }} }}\nholds: {{ case: {{ reason: court{hold}, backups: {{ job: full }} }} }}"
        )
    };
    let accepted = "posture: { lifecycle_deletes: accepted }";
    let expected = "warning stores.main.posture.lifecycle_deletes: the store may delete by its own rules what `holds.case` holds";
    assert_found(510, &body(accepted, ""), &[expected]);
    assert_found(510, &body(accepted, ", until: 2026-01-01"), &[]);
    assert_found(510, &body("posture: { lifecycle_deletes: none }", ""), &[]);
    assert_found(510, &body("posture: { lifecycle_deletes: accepted }, immutable: { mode: compliance, for: 1y }", ""), &[]);
}

fn increments(increments: &str, base: &str) -> String {
    format!("backups: {{ full: {{ physical: {{}}, {base} }}, often: {{ incremental: {increments} }} }}")
}

#[test]
fn increments_that_outlive_their_base() {
    let base = "schedule: { at: \"02:00\" }, keep: { daily: 30 }";
    assert_with_main(
        502,
        &increments("{ of: full }, schedule: { every: 1h }, keep: { for: 1d, monthly: 12 }", base),
        &["warning backups.often.keep: increments are kept for up to 12 months and `backups.full` for 30 days"],
    );
    assert_with_main(502, &increments("{ of: full }, schedule: { every: 1h }, keep: { for: 30d }", base), &[]);
    assert_with_main(502, &increments("{ of: full }, schedule: { every: 1h }, keep: { for: 1y }", "schedule: { at: \"02:00\" }"), &[]);
}

#[test]
fn a_chain_that_is_never_full() {
    let base = "schedule: { at: \"02:00\" }, keep: { daily: 30 }";
    assert_with_main(
        516,
        &increments("{ of: full, chain: 200 }, schedule: { every: 15m }, keep: { for: 1d }", base),
        &["note backups.often.incremental.chain: never more than 96 increments follow one another before `backups.full` makes a new base"],
    );
    assert_with_main(516, &increments("{ of: full, chain: 96 }, schedule: { every: 15m }, keep: { for: 1d }", base), &[]);
}

#[test]
fn increments_on_a_base_that_is_never_made_again() {
    assert_with_main(
        519,
        &increments("{ of: full }, schedule: { every: 1h }, keep: { for: 1d }", "keep: { last: 2 }"),
        &["warning backups.often.incremental.of: `backups.full` has no schedule: the increments never get a new base"],
    );
}

#[test]
fn a_log_that_is_kept_for_less_than_a_base_lasts() {
    let body = |keep: &str, job: &str| format!("wal: {{ store: main, timeout: 60s, keep: {keep} }}\nbackups: {{ full: {job} }}");
    let weekly = "{ physical: {}, schedule: { on: sunday, at: \"02:00\" }, keep: { last: 4 } }";
    assert_with_main(
        503,
        &body("1d", weekly),
        &["note wal.keep: the log is kept for longer than 1d: the physical backup before it can be 7d older"],
    );
    assert_with_main(503, &body("7d", weekly), &[]);
}

#[test]
fn a_log_without_a_base() {
    let body = |job: &str| format!("wal: {{ store: main, timeout: 60s, keep: 7d }}\nbackups: {{ job: {job} }}");
    assert_with_main(
        517,
        &body("{ logical: {}, schedule: { at: \"02:00\" }, keep: { last: 4 } }"),
        &["error wal: the log is archived and there is no physical backup to replay it onto"],
    );
    assert_with_main(
        517,
        &body("{ physical: {}, keep: { last: 4 } }"),
        &["warning wal: the log is archived and no physical backup is taken by the clock"],
    );
    assert_with_main(517, &body("{ engine: { pgbackrest: { stanza: shop } } }"), &[]);
    assert_with_main(517, &body("{ physical: {}, schedule: { at: \"02:00\" }, keep: { last: 4 } }"), &[]);
}

#[test]
fn backups_that_stay_for_ever() {
    let body = |job: &str| format!("objectives: {{ rpo: 1d, assume: {{ cluster_size: 500GB }} }}\nbackups: {{ job: {job} }}");
    assert_with_main(
        504,
        &body("{ physical: {}, schedule: { at: \"02:00\" } }"),
        &["warning backups.job: its backups are kept for ever: about 365 a year, 182 TB"],
    );
    // How large a dump becomes is not known, and every quarter of an hour is counted without counting to the end.
    assert_with_main(
        504,
        &body("{ logical: {}, schedule: { every: 15m } }"),
        &["warning backups.job: its backups are kept for ever: about 35100 a year"],
    );
    assert_with_main(
        504,
        &body("{ logical: {}, size: 2GB, schedule: { date: \"01-15\", at: \"02:00\" } }"),
        &["warning backups.job: its backups are kept for ever: about 1 a year, 2 GB"],
    );
    assert_with_main(
        504,
        &body("{ physical: {}, schedule: { date: 02-29, at: \"02:00\" } }"),
        &["warning backups.job: its backups are kept for ever: less than one a year"],
    );
    assert_with_main(504, &body("{ physical: {} }"), &[]);
    assert_with_main(504, &body("{ engine: { pgbackrest: { stanza: shop } }, schedule: { at: \"02:00\" } }"), &[]);
    assert_with_main(
        504,
        &increments("{ of: full }, schedule: { on: sunday, at: \"02:00\" }", "schedule: { at: \"02:00\" }, keep: { daily: 7 }"),
        &["warning backups.often: its backups are kept for ever, and with them those of `backups.full`: about 52 a year"],
    );
}

#[test]
fn a_lock_that_outlasts_the_rules() {
    let body = |lock: &str, keep: &str| {
        format!(
            "stores: {{ main: {{ s3: {{ bucket: main-backups }}, immutable: {{ mode: governance, for: {lock} }} }} }}\nwal: {{ store: main, timeout: 60s, keep: 14d }}\nbackups: {{ full: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {keep} }} }}"
        )
    };
    let at = "warning stores.main.immutable.for";
    assert_found(
        505,
        &body("14d", "{ daily: 7 }"),
        &[&format!("{at}: objects are locked for 14d and `backups.full` lets some go after 7d")],
    );
    // Only the first of each month stays for long.
    assert_found(
        505,
        &body("14d", "{ last: 2, monthly: 12 }"),
        &[&format!("{at}: objects are locked for 14d and `backups.full` lets some go after 2d")],
    );
    assert_found(505, &body("30d", "{ daily: 30 }"), &[&format!("{at}: objects are locked for 30d and `wal.keep` is 14d")]);
    assert_found(505, &body("14d", "{ for: 2w, yearly: 7 }"), &[]);
}

#[test]
fn a_lock_that_ends_before_those_of_increments() {
    let body = |lock: &str, keep: &str| {
        format!(
            "stores: {{ main: {{ s3: {{ bucket: main-backups }}, immutable: {{ mode: governance, for: {lock} }} }} }}\nwal: {{ store: main, timeout: 60s, keep: 60d }}\nbackups: {{ etc: {{ files: {{ paths: [/etc], full_every: 7d }}, schedule: {{ at: \"02:00\" }}, keep: {keep} }} }}"
        )
    };
    let found =
        "note stores.main.immutable.for: a full backup of `backups.etc` is locked for 30d, and increments upon it for up to 7d longer";
    assert_found(520, &body("30d", "{ for: 60d }"), &[found]);
    assert_found(520, &body("30d", "{ daily: 30 }"), &[found]);
    assert_found(520, &body("30d", "{ for: 14d, yearly: 7 }"), &[found]);
    assert_found(520, &body("37d", "{ daily: 30 }"), &[]);
    // Which is no lock that outlasts the rule.
    assert_found(505, &body("37d", "{ daily: 30 }"), &[]);
    assert_found(
        505,
        &body("38d", "{ daily: 30 }"),
        &["warning stores.main.immutable.for: objects are locked for 38d and `backups.etc` lets some go after 30d"],
    );
    assert_found(520, &body("30d", "{ daily: 60 }").replace(", full_every: 7d", ""), &[]);
}

#[test]
fn a_tier_that_the_schedule_does_not_fill() {
    let body = |schedule: &str, keep: &str| format!("backups: {{ full: {{ physical: {{}}, schedule: {schedule}, keep: {keep} }} }}");
    let weekly = "{ on: sunday, at: \"02:00\" }";
    assert_with_main(
        507,
        &body(weekly, "{ daily: 30, weekly: 12 }"),
        &["warning backups.full.keep.daily: the job runs less than once a day, so `daily: 30` keeps 30 weeks and not 30 days"],
    );
    assert_with_main(
        507,
        &body("{ first: monday, of: quarter, at: \"02:00\" }", "{ monthly: 12, yearly: 3 }"),
        &["warning backups.full.keep.monthly: the job runs less than once a month, so `monthly: 12` keeps 3 years and not 12 months"],
    );
    // An age means the same however often the job runs; Monday to Friday is daily enough.
    assert_with_main(507, &body(weekly, "{ daily: 30d, weekly: 12 }"), &[]);
    assert_with_main(
        507,
        &body("{ on: [monday, tuesday, wednesday, thursday, friday], at: \"02:00\" }", "{ daily: 30, monthly: 12 }"),
        &[],
    );
    assert_with_main(
        507,
        &body("{ at: \"02:00\", timezone: Europe/Oslo }", "{ hourly: 24 }"),
        &["warning backups.full.keep.hourly: the job runs less than once an hour, so `hourly: 24` keeps 24 days and not 24 hours"],
    );
}

#[test]
fn the_rule_of_a_copy_is_judged_where_it_stands() {
    let body = "
stores: { main: { s3: { bucket: main-backups } }, other: { gcs: { bucket: other-backups } } }
backups: { full: { physical: {}, schedule: { on: sunday, at: \"02:00\" }, store: main, copies: { other: { keep: { daily: 7 } } }, keep: { weekly: 4 } } }
";
    assert_found(
        507,
        body,
        &["warning backups.full.copies.other.keep.daily: the job runs less than once a day, so `daily: 7` keeps 7 weeks and not 7 days"],
    );
}

#[test]
fn backups_that_go_before_the_next_is_due() {
    let body = |keep: &str| format!("backups: {{ full: {{ physical: {{}}, schedule: {{ on: sunday, at: \"02:00\" }}, keep: {keep} }} }}");
    assert_with_main(
        518,
        &body("{ for: 24h }"),
        &["warning backups.full.keep: backups are kept for 24 hours and the next can be 7 days away"],
    );
    assert_with_main(518, &body("{ for: 24h, monthly: 3 }"), &[]);
    assert_with_main(518, &body("{ for: 7d }"), &[]);
}

#[test]
fn a_class_is_paid_for_longer_than_anything_lies_in_it() {
    let job = |keep: &str| {
        format!("backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, keep: {{ {keep} }} }} }}\n")
    };
    let at = "backups.nightly.keep.weekly.storage_class";
    assert_with_main(
        525,
        &job("daily: 7, weekly: { count: 5, storage_class: GLACIER }"),
        &[&format!("warning {at}: what `weekly` keeps lies in GLACIER for about 4 weeks and is paid there for 90 days")],
    );
    assert_with_main(525, &job("daily: 7, weekly: { count: 26, storage_class: GLACIER }"), &[]);
    assert_with_main(525, &job("daily: 7, weekly: { count: 6, storage_class: STANDARD_IA }"), &[]);
    assert_with_main(
        525,
        &job("daily: 60, weekly: { count: 5, storage_class: STANDARD_IA }"),
        &[&format!("warning {at}: other rules keep everything for 60 days, as long as `weekly` does")],
    );
    // The window keeps them where they are too.
    let window =
        format!("wal: {{ store: main, timeout: 60s, keep: 90d }}\n{}", job("daily: 7, weekly: { count: 13, storage_class: STANDARD_IA }"));
    assert_with_main(
        525,
        &window,
        &[&format!("warning {at}: what `weekly` keeps lies in STANDARD_IA for about 24 hours and is paid there for 30 days")],
    );
}

#[test]
fn nothing_is_moved_to_a_class_that_is_warmer() {
    let job = |classes: [&str; 2]| {
        let [weekly, yearly] = classes;
        format!(
            "backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, keep: {{ \
             weekly: {{ count: 30, storage_class: {weekly} }}, yearly: {{ count: 7, storage_class: {yearly} }} }} }} }}\n"
        )
    };
    let at = "backups.nightly.keep.yearly.storage_class";
    let said = |colder: &str, class: &str| {
        format!("warning {at}: what comes under `yearly` lies in {colder} by then, because of `weekly`, and {class} is not colder")
    };
    assert_with_main(526, &job(["GLACIER", "STANDARD_IA"]), &[&said("GLACIER", "STANDARD_IA")]);
    assert_with_main(526, &job(["GLACIER", "GLACIER"]), &[&said("GLACIER", "GLACIER")]);
    assert_with_main(526, &job(["STANDARD_IA", "GLACIER"]), &[]);
}

#[test]
fn a_continuous_aggregate_is_no_table() {
    let with = |format: &str| {
        format!(
            "timescaledb: {{ shop: {{ hypertables: {{ prices: {{ retain: 2y }} }}, continuous_aggregates: {{ daily: {{}} }} }} }}\n\
             backups: {{ some: {{ tables: {{ tables: [prices, public.daily]{format} }}, schedule: {{ at: \"04:00\" }}, keep: {{ daily: 7 }} }} }}\n"
        )
    };
    let found = "error backups.some.tables.tables[1]: `public.daily` is a continuous aggregate, and no table";
    assert_with_main(527, &with(""), &[found]);
    assert_with_main(527, &with(", format: custom"), &[found]);
    assert_with_main(527, &with(", format: csv"), &[found]);
    assert_with_main(527, &with("").replace("public.daily", "other.daily"), &[found.replace("public", "other").as_str()]);
    assert_with_main(527, &with("").replace("public.daily", "weekly"), &[]);
}
