//! Nothing is left out in silence: every single value of every sample is changed, and the difference is never empty.

use std::path::{Path, PathBuf};

use super::{now, policy, read_with};
use crate::diff::compare;

/// Keys whose change changes nothing that the policy means.
const MEANINGLESS: [&str; 4] = ["version", "policy", "extends", "abstract"];

fn samples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("policies"), root.join("tests/systems")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    // All of them take more than a minute in a debug build; one of each kind says most of it.
    if !is_long() {
        found.retain(|path| path.ends_with("policies/trading.yaml") || path.ends_with("fleet/billing.yaml"));
    }
    found
}

/// `tests/run long` says so.
fn is_long() -> bool {
    std::env::var_os("SEAWALL_LONG").is_some()
}

/// The byte ranges of the values of single lines: `key: value`, and what stands inside braces and brackets.
fn scalars(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut quote = None;
    let bytes = text.as_bytes();
    let mut line_is_over = true;
    for (at, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied().unwrap_or(b'\n');
        if byte == b'\n' {
            if let Some(begin) = start.take() {
                found.push(begin..at);
            }
            (quote, line_is_over) = (None, false);
            continue;
        }
        if line_is_over {
            continue;
        }
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') if start.is_none_or(|begin| text[begin..at].trim().is_empty()) => {
                quote = Some(byte);
                start.get_or_insert(at);
            }
            (None, b'#') if at == 0 || bytes[at - 1].is_ascii_whitespace() => {
                if let Some(begin) = start.take() {
                    found.push(begin..at);
                }
                line_is_over = true;
            }
            (None, b':') if matches!(next, b' ' | b'\n') => start = Some(at + 1),
            (None, b'-') if next == b' ' && start.is_none() => start = Some(at + 1),
            (None, b'{' | b'[') if start.is_none_or(|begin| text[begin..at].trim().is_empty()) => start = Some(at + 1),
            (None, b',') => {
                if let Some(begin) = start.replace(at + 1) {
                    found.push(begin..at);
                }
            }
            (None, b'}' | b']') => {
                if let Some(begin) = start.take() {
                    found.push(begin..at);
                }
            }
            _ => {}
        }
    }
    let trim = |range: std::ops::Range<usize>| {
        let part = &text[range.clone()];
        let begin = range.start + part.len() - part.trim_start().len();
        begin..begin + part.trim().len()
    };
    found.into_iter().map(trim).filter(|range| !range.is_empty()).collect()
}

/// Other values of the same kind, as far as can be guessed from the text.
fn others(value: &str) -> Vec<String> {
    let bare = value.trim_matches(['"', '\'']);
    let mut other = Vec::new();
    let digits: String = bare.chars().take_while(char::is_ascii_digit).collect();
    if let Ok(number) = digits.parse::<u64>() {
        let rest = &bare[digits.len()..];
        other.push(format!("{}{rest}", number + 1));
        other.push(format!("{}{rest}", number.saturating_sub(1).max(1)));
        other.push(format!("{}{rest}", number * 3 + 5));
        if let Some((hour, minute)) = bare.split_once(':') {
            other.push(format!("\"{hour}:{:02}\"", (minute.parse::<u32>().unwrap_or(0) + 7) % 60));
        }
        if bare.len() == 10 && bare.matches('-').count() == 2 {
            other.push(format!("{}-05-05", number + 1));
        }
    }
    let flips = [
        ("true", "false"),
        ("false", "true"),
        ("sunday", "monday"),
        ("saturday", "friday"),
        ("monday", "tuesday"),
        ("month", "quarter"),
        ("quarter", "year"),
        ("year", "month"),
        ("critical", "info"),
        ("warning", "critical"),
        ("primary", "verifier"),
        ("standby", "primary"),
        ("staging", "verifier"),
        ("cluster", "database"),
        ("table", "rows"),
        ("database", "table"),
        ("failed", "overdue"),
        ("succeeded", "failed"),
        ("drill-failed", "drill-succeeded"),
        ("P0", "P1"),
        ("P1", "P2"),
        ("SEV1", "SEV2"),
        ("GLACIER", "STANDARD_IA"),
        ("STANDARD_IA", "GLACIER_IR"),
        ("point-in-time", "newest-backup"),
        ("newest-backup", "point-in-time"),
        ("watch", "run"),
        ("compliance", "governance"),
        ("blocked", "allowed"),
        ("random", "newest"),
        ("custom", "directory"),
        ("csv", "parquet"),
        ("finish", "stop"),
        ("stop", "finish"),
        ("UTC", "Europe/Oslo"),
        ("row-counts", "extensions"),
        ("constraints-valid", "jobs"),
        ("hypertables", "jobs"),
        ("jobs", "extensions"),
        ("cool", "hot"),
        ("none", "accepted"),
        ("all", "first"),
        ("promote-standby", "external"),
        ("external", "newest-backup"),
        ("starttls", "implicit"),
        ("files", "rows"),
        ("SEV3", "SEV4"),
        ("P2", "P3"),
        ("P3", "P4"),
        ("extensions", "jobs"),
        ("any", "primary"),
        ("indexes-valid", "jobs"),
        ("rows", "table"),
        ("SEV2", "SEV3"),
        ("SEV4", "SEV1"),
        ("first", "all"),
        ("archive", "cool"),
    ];
    other.extend(flips.iter().filter(|(from, _)| *from == bare).map(|(_, to)| (*to).to_owned()));
    if bare.split(' ').count() == 5 {
        other.push(format!("\"7 9 {}\"", bare.splitn(3, ' ').nth(2).unwrap_or("* * *")));
    }
    if bare.starts_with('/') || bare.contains("://") {
        other.push(format!("{bare}/x"));
    }
    other.push(format!("\"{bare}x\""));
    other
}

#[test]
fn every_value_that_is_changed_is_in_the_difference() {
    let (mut mutated, mut untouched) = (0, Vec::new());
    let mut texts: Vec<(String, String, PathBuf)> =
        samples().into_iter().map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap_or_default(), path)).collect();
    texts.push(("everything".into(), EVERYTHING.to_owned(), PathBuf::from("everything.yaml")));
    for (name, text, path) in texts {
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let beside = move |other: &Path| std::fs::read_to_string(folder.join(other)).ok();
        let Ok(before) = read_with(&text, &beside) else { continue };
        let same = compare(Some(&before), Some(&before), None, now()).expect("both are there");
        assert!(same.is_empty(), "{name}: {same:#?}");
        for range in scalars(&text) {
            let line = text[..range.start].rsplit('\n').next().unwrap_or_default().trim().to_owned();
            if MEANINGLESS.iter().any(|key| line == format!("{key}:")) {
                continue;
            }
            let value = &text[range.clone()];
            if value.starts_with(['&', '*']) {
                continue;
            }
            // The first other value that still makes a policy.
            let after = others(value).into_iter().filter(|other| other.trim_matches('"') != value.trim_matches('"')).find_map(|other| {
                let changed = format!("{}{other}{}", &text[..range.start], &text[range.end..]);
                read_with(&changed, &beside).ok().map(|policy| (other, policy))
            });
            let Some((other, after)) = after else {
                untouched.push(format!("{name}: {line} {value}"));
                continue;
            };
            mutated += 1;
            let diff = compare(Some(&before), Some(&after), None, now()).expect("both are there");
            assert!(!diff.changes.is_empty(), "{name}: {line} {value} → {other} is not said");
            let shown = diff.changes.iter().map(|changed| &changed.says).cloned().collect::<Vec<_>>().join("\n");
            assert!(!shown.contains("  ") && diff.changes.iter().all(|changed| !changed.says.ends_with(": ")), "{shown}");
        }
    }
    assert!(mutated > if is_long() { 400 } else { 150 }, "only {mutated} values could be changed");
    // Names that refer to something cannot be changed by themselves; few other values may escape.
    assert!(untouched.len() * 3 < mutated, "{} of {}:\n{}", untouched.len(), mutated, untouched.join("\n"));
    eprintln!("{mutated} values changed, {} could not be", untouched.len());
}

#[test]
fn two_orders_of_the_same_routes_are_the_same() {
    let one = policy(EVERYTHING);
    let other = policy(&EVERYTHING.replace(
        "    - { severity: critical, to: [pager] }\n    - { to: [ops] }\n",
        "    - { to: [ops] }\n    - { severity: critical, to: [pager] }\n",
    ));
    assert_eq!(compare(Some(&one), Some(&other), None, now()).map(|diff| diff.is_empty()), Some(true));
}

/// A policy that uses what the shipped ones do not.
pub(super) const EVERYTHING: &str = r##"
version: 1
policy: everything
description: all that can be said
owner: dba@example.com
review_by: 2029-03-31
timezone: Europe/Oslo
cluster:
  connection: service=x
  password: { env: PGPASS }
  postgresql: 16
  data_directory: /var/lib/x
  hosts:
    a: { role: primary }
    b: { role: standby, connection: service=b, backups: true }
    c: { role: staging }
  databases: [x]
objectives:
  rpo: 15m
  rto: 4h
  reach_back: { any_moment: 7d, some_backup: 1y }
  scenarios:
    loss: { description: gone, recover: cluster, by: point-in-time, from: [main, disk], using: [nightly], rpo: 20m, rto: 5h, priority: P0, severity: SEV1, notes: call }
  data:
    first: { tables: [users], rto: 1h, size: 20GB }
    rest: { everything: true, rto: 3h }
  assume: { cluster_size: 500GB, wal_per_hour: 4GB, backup: 150MB/s, restore: 200MB/s, load: 20MB/s, replay: 80MB/s, push: 10s, assess: 15m, provision: 20m, thaw: 12h, validate: 10m, release: 5m, promote: 2m, standby_lag: 30s }
stores:
  main:
    s3: { bucket: main-bucket, prefix: p, region: eu-1, account: "123", endpoint: "https://s3.example.com", path_style: true, ca: /etc/ca, profile: b, storage_class: STANDARD_IA, sse: { kms: alias/x } }
    capacity: 2TB
    upload_limit: 100MB/s
    immutable: { mode: compliance, for: 30d }
    replicated: { to: west, lag: 10m }
    posture: { versioning: true, public_access: blocked, access_logging: true, mfa_delete: true, lifecycle_deletes: none }
  disk: { local: { path: /srv/b, other_device: true } }
  goog: { gcs: { bucket: goog-bucket, prefix: p, project: z, location: eu, endpoint: "https://g.example.com", storage_class: NEARLINE } }
  blue: { azure: { account: acc, container: con, prefix: p, region: r, endpoint: "https://a.example.com", tier: cool } }
encryption:
  openpgp: { recipients: [0123456789ABCDEF0123456789ABCDEF01234567], identity: { file: /etc/id }, passphrase: { credential: pass } }
  rotate_every: 90d
  proven_within: 100d
compression: { zstd: { level: 3 } }
wal: { store: main, copies: [disk], acknowledged_by: all, timeout: 60s, keep: 7d }
backups:
  nightly:
    physical: { from: standby, workers: 2, read_limit: 200MB/s, damaged_pages: fail }
    description: all of it
    schedule: { cron: "0 2 * * *", timezone: UTC }
    window: office
    store: main
    copies: { disk: { keep: { daily: 3, weekly: 2 }, within: 2h, only: [daily, weekly] } }
    keep: { last: 3, for: 24h, hourly: 4, daily: 30, weekly: 90d, monthly: { count: 12, storage_class: GLACIER }, quarterly: { for: 2y }, yearly: 7, timezone: UTC }
    compression: { zstd: { level: 5 } }
    takes: 30m
    size: 120GB
    timeout: 6h
    size_deviation: 20%
    read_back: contents
    before: { run: [/bin/a, b], timeout: 2m }
    after: { run: [/bin/c] }
  often: { incremental: { of: nightly, chain: 96 }, schedule: { every: 15m }, store: main, keep: { for: 24h } }
  dump: { logical: { format: directory, jobs: 4, owners: false, grants: false, schemas: [public], exclude_schemas: [scratch], exclude_tables: ["audit_*"], exclude_table_data: [sessions], unreadable: skip, unmatched: allow, sections: [pre-data, data], read_limit: 50MB/s, lock_timeout: 5s, programs: /opt/pg/bin, globals: false, from: standby }, schedule: { on: [monday, thursday], at: ["04:00", "16:00"] }, store: goog, keep: { daily: 7 } }
  only: { logical: { tables: [users, "orders_*"] }, store: goog, keep: { daily: 7 } }
  some: { tables: { tables: [users, "trading.positions"], format: csv, read_limit: 9MB/s }, schedule: { first: tuesday, of: quarter, at: "04:00" }, store: disk, keep: { last: 4 } }
  etc: { files: { paths: [/etc/x, /etc/y], exclude: ["*.log"], globals: true, full_every: 7d }, schedule: { date: 01-15, at: "05:00" }, store: blue, keep: { last: 2 } }
  prov: { provider: { aiven: { project: g, service: pg, token: { env: TOKEN } }, newest_within: 26h, any_moment: 2d } }
  eng: { engine: { pgbackrest: { stanza: main, config: /etc/pgb }, mode: watch, newest_within: 25h, any_moment: 7d } }
expire: { schedule: { at: "06:30" }, grace: 20h, brake: 10% }
verify: { weekly: { schedule: { on: saturday, at: "06:00" }, stores: [main], backups: [nightly], deep: true, host: c, window: office } }
windows: { office: { last: sunday, of: month, from: "02:00", to: "06:00", timezone: UTC, overrun: stop } }
drills:
  failover:
    restore: { latest: nightly }
    promote: { fence: { run: [./fence, --dry], timeout: 2m }, after: { run: [./dns, --dry] }, within: 5m, stream: host=db-1 }
    expect: { there: { sql: select 1, is: 1 } }
  monthly:
    restore: { random: nightly }
    schedule: { day: 15, of: month, at: "04:00" }
    description: because
    host: c
    window: office
    rehearses: loss
    from: disk
    within: 3h
    timeout: 6h
    run: { run: [./test], timeout: 9m }
    expect:
      a: { sql: select 1, is: 1 }
      b: { sql: select now(), newer_than: 15m }
      c: { check: row-counts }
      d: { sql: select 2, at_least: 1, at_most: 3 }
      e: { sql: select 3, like_source: 1% }
      f: { sql: select 4, some_rows: true }
      g: { sql: select 5, rows: [[1, x], [2, "2"]] }
canary: { database: x, every: 2m }
timescaledb:
  x:
    dropped_by: seawall
    hypertables:
      h: { compress: { after: 7d, segment_by: [a, b], order_by: [t DESC] }, retain: 7y, archive: { after: 5y, store: goog, format: csv, keep: 20y, schedule: { day: 1, of: month, at: "01:00" } } }
      i: {}
    continuous_aggregates:
      v: { refresh: { every: 1h, from: 3d, to: 1h }, refresh_before: [nightly], refresh_timeout: 5m, retain: 10y }
archive: { old: { table: orders, column: placed_at, after: 5y, store: goog, format: [csv, parquet], keep: 20y, schedule: { at: "02:30" } } }
holds:
  r: { reason: because, until: 2029-01-01, rows: { table: orders, where: "a = 1", from: 2024-01-01, to: 2024-06-30 } }
  b: { reason: because, until: 2029-01-01, backups: { job: nightly, label: keepme, ids: [abc], from: 2024-01-01, to: 2024-06-30 } }
receivers:
  dba: { email: { to: [dba@example.com, two@example.com] }, template: t.txt }
  ops: { slack: { token: { env: T }, channel: "#ops", api: "https://slack-gov.com/api" } }
  pager: { pagerduty: { routing_key: { credential: k }, url: "https://events.eu.pagerduty.com" } }
  hook: { webhook: { url: { env: U }, sign_with: { env: S } } }
  am: { alertmanager: { url: "http://am:9093" } }
alerts:
  routes:
    - { severity: critical, to: [pager] }
    - { to: [ops] }
    - { event: failed, job: nightly, during: office, to: [dba], escalate: [{ after: 30m, to: [hook] }], remind: 4h }
    - { severity: info, not_during: office, to: [am] }
  thresholds:
    backup_age: { above: 25h, for: 1h, severity: critical }
    backup_age_of: { nightly: 26h }
    wal_lag: 900s
    replication_lag: { above: 300s, for: 2m, severity: warning }
    storage_used: 80%
    size_deviation: 20%
    success_rate: { below: 99%, for: 1h, severity: info }
    restore_time: 10m
    drill_age: 35d
    archive_unread: 10d
  heartbeat: { url: { env: HB }, every: 10m }
smtp: { host: mail.example.com, port: 2525, tls: implicit, from: a@example.com, user: u, password: { env: P } }
contacts: { who: { name: Who, role: does, email: who@example.com, phone: "+47 1", hours: always }, two: { name: Two } }
escalation: [{ contact: who, for: all of it }, { contact: two, after: 1h }]
duties: { review: { what: look, who: who, schedule: { first: monday, of: quarter, at: "09:00" } } }
hooks: { before_restore: { run: [/bin/stop], timeout: 1m }, after_restore: { run: [/bin/start] }, before_promote: { run: [/bin/fence] }, after_promote: { run: [/bin/dns] } }
reports: { monthly: { schedule: { day: 1, of: month, at: "08:00" }, covers: 3mo, to: [dba] } }
catalog: { sqlite: { path: /var/lib/catalog.db } }
delegated: { failover: { to: Patroni, note: three nodes } }
acknowledge: [{ finding: SW0903, at: backups.nightly.keep, reason: agreed, until: 2027-06-30 }]
"##;

/// What may be taken away without a change in meaning, because it says what holds anyway.
const SAID_ANYWAY: &[&str] = &[
    "/abstract",
    "/cluster/hosts/a/backups",
    "/cluster/hosts/c/backups",
    "/stores/disk/local/other_device",
    "/encryption/writers",
    "/wal/acknowledged_by",
    "/backups/dump/logical/format",
    "/backups/eng/engine/mode",
    "/backups/often/store",
    "/windows/office/of",
    "/drills/monthly/schedule/of",
    "/timescaledb/x/hypertables/h/archive/schedule/of",
    "/archive/old/format",
    "/alerts/thresholds/replication_lag/severity",
    "/alerts/thresholds/storage_used",
    "/backups/nightly/size_deviation",
    "/reports/monthly/schedule/of",
];

#[test]
fn every_value_that_is_taken_away_is_in_the_difference() {
    let before = policy(EVERYTHING);
    let mut tree = serde_json::to_value(&*before.file).expect("it has a form");
    strip(&mut tree);
    let whole = policy(&tree.to_string());
    let same = compare(Some(&before), Some(&whole), None, now()).expect("both are there");
    assert!(same.is_empty(), "{same:#?}");
    let (mut removed, mut silent) = (0, Vec::new());
    for pointer in pointers(&tree) {
        let mut less = tree.clone();
        take(&mut less, &pointer);
        let Ok(after) = super::read(&less.to_string()) else { continue };
        removed += 1;
        let diff = compare(Some(&before), Some(&after), None, now()).expect("both are there");
        let back = compare(Some(&after), Some(&before), None, now()).expect("both are there");
        assert_eq!(diff.changes.is_empty(), back.changes.is_empty(), "{pointer}");
        if diff.changes.is_empty() {
            silent.push(pointer);
        }
    }
    assert!(removed > 200, "only {removed} could be taken away");
    silent.sort();
    let mut expected = SAID_ANYWAY.to_vec();
    expected.sort_unstable();
    assert_eq!(silent, expected);
}

fn strip(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.values_mut().for_each(strip);
            map.retain(|_, value| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn pointers(value: &serde_json::Value) -> Vec<String> {
    let below = |(key, value): (String, &serde_json::Value)| {
        let key = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        std::iter::once(key.clone()).chain(pointers(value).into_iter().map(move |rest| format!("{key}{rest}"))).collect::<Vec<_>>()
    };
    match value {
        serde_json::Value::Object(map) => map.iter().flat_map(|(key, value)| below((key.clone(), value))).collect(),
        serde_json::Value::Array(items) => items.iter().enumerate().flat_map(|(at, value)| below((at.to_string(), value))).collect(),
        _ => Vec::new(),
    }
}

fn take(tree: &mut serde_json::Value, pointer: &str) {
    let (above, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    match tree.pointer_mut(above) {
        Some(serde_json::Value::Object(map)) => {
            map.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Some(serde_json::Value::Array(items)) => {
            items.remove(key.parse().expect("a position"));
        }
        _ => {}
    }
}
