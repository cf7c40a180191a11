use super::{daily, inventory, now, policy, read_with};
use crate::diff::{FleetDiff, PolicyDiff, compare, compare_fleet};
use crate::inventory::{ClusterInventory, Observed};
use crate::policy::model::Policy;

const SHOP: &str = r#"
version: 1
policy: shop
cluster: { connection: service=shop, databases: [shop] }
objectives: { rpo: 15m, rto: 4h, scenarios: { server-loss: { recover: cluster, priority: P0 } } }
stores:
  main: { s3: { bucket: shop-backups, sse: { kms: alias/b } }, immutable: { mode: compliance, for: 30d } }
  offsite: { azure: { account: shopdr, container: backups } }
encryption:
  age: { recipients: [age1a0lwn6n4awydl5cxgqhvwmg9zg4pkpgxhnuh3m5k5dg3xpcqh4ps53le29, age1u0t3ec0l74hufutkk3l3hf3tssuqja6ruk60fkxrlgkemhu3xvws8sdhhq] }
wal: { store: main, timeout: 60s, keep: 30d }
backups:
  nightly:
    physical: {}
    schedule: { cron: "0 2 * * *" }
    store: main
    copies: [offsite]
    keep: { daily: 30, yearly: 7 }
  dump: { logical: {}, schedule: { at: "04:00" }, store: main, keep: { daily: 7 } }
timescaledb: { shop: { hypertables: { readings: { retain: 7y, archive: { after: 5y, store: offsite } } } } }
holds:
  case-1: { reason: "ask legal", backups: { job: nightly, from: 2026-09-01, to: 2026-09-03 } }
  case-2: { reason: "ask <b>legal</b>", until: 2029-01-01, rows: { table: readings } }
verify: { weekly: { schedule: { on: saturday, at: "06:00" }, deep: true } }
drills:
  monthly:
    restore: { latest: nightly }
    schedule: { first: monday, of: month, at: "04:00" }
    expect: { enough: { sql: select count(*) from readings, at_least: 10 } }
windows: { weekly: { on: sunday, from: "03:00", to: "04:00" } }
receivers:
  dba: { email: { to: [dba@example.com] } }
  ops: { slack: { webhook: { env: SLACK } } }
  pager: { pagerduty: { routing_key: { file: /run/pd } } }
alerts:
  routes:
    - { severity: critical, to: [pager, dba], escalate: [{ after: 30m, to: [ops] }] }
    - { severity: warning, to: [ops] }
    - { event: failed, job: nightly, to: [dba], not_during: weekly }
  thresholds: { backup_age: 25h, storage_used: 80% }
smtp: { host: mail.example.com, from: a@example.com }
"#;

fn changed(from: &str, to: &str) -> Policy {
    assert!(SHOP.contains(from), "the sample has no {from:?}");
    policy(&SHOP.replacen(from, to, 1))
}

fn diff(new: &Policy, there: Option<&ClusterInventory>) -> PolicyDiff {
    compare(Some(&policy(SHOP)), Some(new), there, now()).expect("both are there")
}

fn says(from: &str, to: &str) -> Vec<String> {
    diff(&changed(from, to), None).changes.into_iter().map(|changed| changed.says).collect()
}

/// Code, whether it is destructive, and the message.
pub(super) fn warns(diff: &PolicyDiff) -> Vec<String> {
    let mark = |destructive: bool| if destructive { "!" } else { "" };
    diff.consequences.iter().map(|each| format!("{}{} {}", each.code, mark(each.destructive), each.finding().message)).collect()
}

#[test]
fn the_same_is_no_change() {
    assert!(diff(&policy(SHOP), Some(&daily(400))).is_empty());
}

#[test]
fn the_same_in_other_words_is_no_change_in_meaning() {
    let other = SHOP
        .replace(r#"{ cron: "0 2 * * *" }"#, r#"{ at: "02:00", timezone: UTC }"#)
        .replace("copies: [offsite]", "copies: { offsite: { within: 60m, keep: { yearly: 7, daily: { count: 30 } } } } # said in full")
        .replace("rpo: 15m", "rpo: 900s")
        .replace("to: [pager, dba]", "to: [dba, pager]")
        .replace("backup_age: 25h", "backup_age: { above: 1d 1h, severity: warning }")
        .replace("timeout: 60s", "timeout: 1m, acknowledged_by: all")
        .replace("retain: 7y", "retain: 84mo")
        .replace("rows: { table", "rows: { database: shop, table")
        .replace("logical: {}", "logical: { format: custom, globals: true, databases: [shop] }")
        .replace("smtp: { host: mail.example.com,", "smtp: { port: 587, tls: starttls, host: mail.example.com,")
        .replace("restore: { latest: nightly }", "restore: {latest: 'nightly'}");
    let diff = diff(&policy(&other), None);
    assert!(diff.is_empty(), "{diff:#?}");
}

#[test]
fn a_refactoring_into_extends_is_no_change_in_meaning() {
    let (own, shared) = SHOP.split_once("receivers:").expect("the sample has receivers");
    let base = format!("version: 1\nabstract: true\nreceivers:{shared}");
    let own = format!("extends: base.yaml\n{own}");
    let new = read_with(&own, &|path| path.ends_with("base.yaml").then(|| base.clone())).expect("it resolves");
    assert!(diff(&new, None).is_empty());
}

#[test]
fn what_starts_stops_and_moves_is_said_in_words() {
    let weekly =
        "  weekly: { physical: {}, schedule: { cron: \"0 2 * * *\" }, store: main, copies: [offsite], keep: { daily: 30 } }\n  dump:";
    assert_eq!(
        says("  dump:", weekly),
        ["`backups.weekly` starts: physical, every day at 02:00 UTC, to `main`, copied to `offsite`, kept daily 30"]
    );
    let gone = changed("  dump: { logical: {}, schedule: { at: \"04:00\" }, store: main, keep: { daily: 7 } }\n", "");
    let gone = diff(&gone, None);
    assert_eq!(gone.changes[0].says, "`backups.dump` stops: logical, every day at 04:00 UTC, to `main`, kept daily 7");
    assert_eq!(
        warns(&gone),
        [
            "SW0901! `backups.dump` is removed; its existing backups are no longer managed (unknown which existing backups this affects: no inventory was given)"
        ]
    );
    assert_eq!(
        says(r#"cron: "0 2 * * *""#, r#"on: sunday, at: "03:00""#),
        ["`backups.nightly` moves from every day at 02:00 UTC to every Sunday at 03:00 UTC"]
    );
    assert_eq!(
        warns(&diff(&changed(r#"cron: "0 2 * * *""#, r#"on: sunday, at: "03:00""#), None)),
        ["SW0914 `backups.nightly` runs less often: up to 7d pass between two runs, instead of 24h"]
    );
    assert_eq!(
        says(", schedule: { at: \"04:00\" }", ""),
        ["`backups.dump` no longer runs by itself, only when someone asks; it ran every day at 04:00 UTC"]
    );
    assert_eq!(
        says(r#"from: "03:00""#, r#"from: "02:00""#),
        ["`windows.weekly` moves from every Sunday from 03:00 to 04:00 UTC to every Sunday from 02:00 to 04:00 UTC"]
    );
}

#[test]
fn a_renamed_job_is_renamed_and_what_it_made_is_not() {
    let new = changed("  dump: {", "  nightly-dump: {");
    let mut there = daily(1);
    if let Some(Observed::Known(store)) = there.stores.get_mut("main") {
        store.backups[0].job = "dump".parse().expect("a name");
    }
    let diff = diff(&new, Some(&there));
    assert_eq!(diff.changes[0].says, "`backups.dump` is renamed to `backups.nightly-dump`");
    assert_eq!(diff.changes.len(), 1);
    assert_eq!(
        warns(&diff),
        [
            "SW0901! `backups.dump` is renamed to `backups.nightly-dump`: what it has made keeps the old name; its existing backups are no longer managed (1 backup, 100 GB)"
        ]
    );
}

#[test]
fn objectives_are_loosened_and_tightened() {
    assert_eq!(says("rpo: 15m", "rpo: 1h"), ["the RPO is loosened from 15m to 1h"]);
    assert_eq!(warns(&diff(&changed("rpo: 15m", "rpo: 1h"), None)), ["SW0902 the RPO is loosened from 15m to 1h"]);
    assert_eq!(says("rto: 4h", "rto: 1h"), ["the RTO is tightened from 4h to 1h"]);
    assert_eq!(says("rpo: 15m, ", ""), ["the RPO is no longer set; it was 15m"]);
    assert_eq!(says("priority: P0", "priority: P2"), ["the priority of `server-loss` is loosened from P0 to P2"]);
    assert_eq!(says("priority: P0", "rpo: 5m, priority: P0"), ["the RPO of `server-loss` is tightened from 15m to 5m"]);
    assert_eq!(
        says(", scenarios: { server-loss: { recover: cluster, priority: P0 } }", ""),
        ["`objectives.scenarios.server-loss` stops: priority P0, recover cluster, rpo 15m, rto 4h"]
    );
}

#[test]
fn retention_names_what_becomes_deletable() {
    let new = changed("keep: { daily: 30, yearly: 7 }", "keep: { daily: 28, yearly: 3 }");
    let mut there = daily(40);
    let copy = there.stores.get("main").cloned().expect("it is there");
    there.stores.insert("offsite".parse().expect("a name"), copy);
    let diff = diff(&new, Some(&there));
    assert_eq!(diff.changes[0].says, "retention of `backups.nightly` is shortened: daily 30 → 28, yearly 7 → 3");
    assert_eq!(diff.changes.len(), 1);
    let offsite = &diff.consequences[0];
    assert_eq!(offsite.finding().message, "existing backups of `nightly` in `offsite` become deletable (2 backups, 200 GB)");
    let first = &offsite.existing.as_ref().expect("it is about backups").backups()[0];
    assert_eq!(
        (first.id.as_str(), first.before.as_str(), first.after.as_str()),
        ("n00028", "29th of 30 daily, day 2026-10-24", "in no tier")
    );
    // Where the log lies, the window's base stays.
    let main = &diff.consequences[1];
    assert_eq!(main.path.to_string(), "backups.nightly.keep");
    assert!(diff.needs_acknowledgement());

    let unknown = super::sentences::diff(&new, None);
    assert_eq!(
        warns(&unknown),
        [
            "SW0903! existing backups of `nightly` in `offsite` may become deletable (unknown which existing backups this affects: no inventory was given)",
            "SW0903! existing backups of `nightly` in `main` may become deletable (unknown which existing backups this affects: no inventory was given)",
        ]
    );
    let few = super::sentences::diff(&new, Some(&daily(5)));
    assert_eq!(
        warns(&few),
        [
            "SW0903! existing backups of `nightly` in `offsite` may become deletable (unknown which existing backups this affects: the inventory does not speak of the store `offsite`)",
            "SW0903 no existing backup of `nightly` in `main` becomes deletable today; they will be sooner than before",
        ]
    );
    assert_eq!(
        says("keep: { daily: 30, yearly: 7 }", "keep: { daily: 30, monthly: 2, yearly: 7 }"),
        ["retention of `backups.nightly` is lengthened: monthly none → 2"]
    );
    assert_eq!(
        says("copies: [offsite]", "copies: { offsite: { keep: { daily: 7 } } }"),
        ["retention of `backups.nightly` in `offsite` is shortened: daily 30 → 7, yearly 7 → none"]
    );
    assert_eq!(
        says("\n    keep: { daily: 30, yearly: 7 }", ""),
        ["retention of `backups.nightly` is lengthened: daily 30 → none, yearly 7 → none, everything none → for ever"]
    );
}

#[test]
fn the_window_that_is_lost_is_named() {
    let new = changed("keep: 30d }", "keep: 7d }");
    let diff = diff(&new, Some(&daily(60)));
    assert_eq!(diff.changes[0].says, "the window for recovery to any moment is loosened from 30d to 7d");
    let lost = diff.consequences.iter().find(|each| each.code.0 == 904).expect("it is lost");
    assert_eq!(lost.message, "recovery to any moment in `main` begins at 2026-11-14 12:00 UTC instead of 2026-10-22 12:00 UTC");
    let short = super::sentences::diff(&new, Some(&daily(3)));
    assert_eq!(warns(&short), ["SW0904 recovery to any moment in `main` loses nothing today: it begins at 2026-11-19 02:40 UTC"]);
    let gone = super::sentences::diff(&changed("wal: { store: main, timeout: 60s, keep: 30d }\n", ""), None);
    assert_eq!(gone.changes[0].says, "`wal` stops: the log is archived, to `main`, at least every 1m, any moment of the last 30d");
    assert_eq!(warns(&gone), ["SW0904! the log is no longer archived: no moment after a backup can be recovered, where 30d could"]);
}

#[test]
fn a_hold_that_goes_names_what_only_it_protected() {
    let line = "  case-1: { reason: \"ask legal\", backups: { job: nightly, from: 2026-09-01, to: 2026-09-03 } }\n";
    let new = changed(line, "");
    let mut there = daily(120);
    if let Some(Observed::Known(store)) = there.stores.get_mut("main") {
        store.wal.clear();
    }
    let copy = there.stores.get("main").cloned().expect("it is there");
    there.stores.insert("offsite".parse().expect("a name"), copy);
    let diff = diff(&new, Some(&there));
    assert_eq!(
        diff.changes[0].says,
        "`holds.case-1` stops: backups from 2026-09-01, backups job nightly, backups to 2026-09-03, reason ask legal"
    );
    assert_eq!(
        warns(&diff),
        ["SW0905! the hold `case-1` is released (reason: ask legal); backups that only it protected become deletable (6 backups, 600 GB)"]
    );
    assert_eq!(
        warns(&super::sentences::diff(&changed("to: 2026-09-03", "to: 2026-09-02"), None)),
        ["SW0905! the hold `case-1` protects less than it did (unknown which existing backups this affects: no inventory was given)"]
    );
    assert!(warns(&super::sentences::diff(&changed("to: 2026-09-03", "to: 2026-09-04"), None)).is_empty());
    assert_eq!(
        warns(&super::sentences::diff(&changed("until: 2029-01-01, rows", "until: 2027-01-01, rows"), None)),
        [
            "SW0905! the hold `case-2` on rows of `readings` in `shop` may protect less than it did (unknown which existing backups this affects: which rows it protected cannot be told from here)"
        ]
    );
}

#[test]
fn who_no_longer_hears_is_named() {
    let hearing = |from: &str, to: &str| warns(&diff(&changed(from, to), None));
    assert_eq!(hearing("to: [pager, dba]", "to: [dba]"), ["SW0906 `pager` (PagerDuty, file /run/pd) no longer hears of critical alerts"]);
    assert_eq!(
        hearing("after: 30m", "after: 2h"),
        ["SW0906 `ops` (Slack, env SLACK) hears of critical alerts later: after 2h instead of after 30m"]
    );
    assert_eq!(
        hearing("{ severity: warning, to: [ops] }", "{ severity: warning, to: [ops], during: weekly }"),
        ["SW0906 `ops` (Slack, env SLACK) hears of warning alerts only at times"]
    );
    assert_eq!(
        hearing("\n    - { event: failed, job: nightly, to: [dba], not_during: weekly }", ""),
        ["SW0906 `dba` (email to dba@example.com) no longer hears of failed runs that are warning and info of `nightly`"]
    );
    assert_eq!(
        hearing("[dba@example.com]", "[db@example.com]")[0],
        "SW0906 `dba` (email to dba@example.com) no longer hears of critical alerts and failed runs that are warning and info of `nightly`"
    );
    assert_eq!(
        hearing("backup_age: 25h", "backup_age: 3d"),
        ["SW0915 the limit of `alerts.thresholds.backup_age` is loosened from 25h to 3d"]
    );
    assert_eq!(
        hearing("storage_used: 80%", "storage_used: 95%"),
        ["SW0915 the limit of `alerts.thresholds.storage_used` is loosened from 80% to 95%"]
    );
    assert_eq!(hearing("backup_age: 25h, ", ""), ["SW0915 `alerts.thresholds.backup_age` stops: above 25h, severity warning"]);
}

#[test]
fn places_keys_and_locks() {
    let warned = |from: &str, to: &str| warns(&diff(&changed(from, to), None));
    let unknown = "(unknown which existing backups this affects: no inventory was given)";
    assert_eq!(
        warned("bucket: shop-backups", "bucket: shop-other"),
        [format!(
            "SW0913! `stores.main` points elsewhere: existing backups are out of sight, and increments lose what they build on {unknown}"
        )]
    );
    assert_eq!(says("bucket: shop-backups", "bucket: shop-other"), ["`stores.main` moves from s3://shop-backups to s3://shop-other"]);
    assert_eq!(
        warned("\n    copies: [offsite]", ""),
        [format!("SW0907! the backups of `nightly` no longer go to `offsite`; they go to `main` {unknown}")]
    );
    assert_eq!(
        warned(", immutable: { mode: compliance, for: 30d }", ""),
        [
            "SW0911! the lock on `stores.main` is no longer set; it was compliance for 30d: what is written from now on can be deleted sooner"
        ]
    );
    assert_eq!(
        warned("for: 30d }", "for: 7d }")[0],
        "SW0911! the lock on `stores.main` is loosened from compliance for 30d to compliance for 7d: what is written from now on can be deleted sooner"
    );
    assert_eq!(warned(", sse: { kms: alias/b }", ""), ["SW0908 `stores.main.s3.sse` is no longer set; it was SSE-KMS with alias/b"]);
    assert_eq!(
        warned(", age1u0t3ec0l74hufutkk3l3hf3tssuqja6ruk60fkxrlgkemhu3xvws8sdhhq", ""),
        [
            "SW0908 whoever holds the key for `age1u0t3ec0l74hufutkk3l3hf3tssuqja6ruk60fkxrlgkemhu3xvws8sdhhq` cannot open new backups; old ones stay readable to them"
        ]
    );
    let nobody = "encryption: { none: { because: a try } }\nwal:";
    let start = SHOP.find("encryption:").expect("it is there");
    let end = SHOP.find("wal:").expect("it is there");
    let open = policy(&format!("{}{nobody}{}", &SHOP[..start], &SHOP[end + 4..]));
    assert_eq!(
        warns(&diff(&open, None))[0],
        "SW0908 what is written from now on is not encrypted before it leaves the host: whoever reads the store reads the database"
    );
}

#[test]
fn drills_checks_and_rows() {
    let warned = |from: &str, to: &str| warns(&diff(&changed(from, to), None));
    assert_eq!(warned("first: monday, of: month", "first: monday, of: quarter").len(), 1);
    assert_eq!(warned(", deep: true", ""), ["SW0909 `verify.weekly.deep` is loosened from yes to no"]);
    assert_eq!(warned("  dump: {", "  dump: { read_back: sizes,"), Vec::<String>::new());
    let contents = policy(&SHOP.replacen("  dump: {", "  dump: { read_back: contents,", 1));
    let loosened = compare(Some(&contents), Some(&policy(SHOP)), None, now()).expect("both are there");
    assert_eq!(warns(&loosened), ["SW0915 `backups.dump.read_back` is loosened from contents to sizes"]);
    assert_eq!(
        warned("\n    expect: { enough: { sql: select count(*) from readings, at_least: 10 } }", ""),
        ["SW0909 `drills.monthly.expect.enough` is no longer expected of a restored database"]
    );
    assert_eq!(
        warned("verify: { weekly: { schedule: { on: saturday, at: \"06:00\" }, deep: true } }\n", ""),
        ["SW0909 `verify.weekly` stops: deep yes, schedule every Saturday at 06:00 UTC"]
    );
    assert_eq!(
        warned("retain: 7y", "retain: 6y"),
        ["SW0910! rows of `timescaledb.shop.hypertables.readings` older than 6y are dropped; before, only those older than 7y were"]
    );
    assert_eq!(
        warned(", archive: { after: 5y, store: offsite }", ""),
        ["SW0910! `timescaledb.shop.hypertables.readings.archive` is removed: old rows are no longer archived before they are dropped"]
    );
    assert_eq!(
        says("retain: 7y", "retain: 6y"),
        ["the time that rows stay in `timescaledb.shop.hypertables.readings` is loosened from 7y to 6y"]
    );
}

// ---- the fleet -----------------------------------------------------------------------------------------------------

fn fleet(old: &[Policy], new: &[Policy]) -> FleetDiff {
    compare_fleet(old, new, Some(&inventory(daily(3))), now())
}

#[test]
fn a_policy_that_goes_is_acknowledged_by_one_that_stays() {
    let other =
        |tail: &str| policy(&format!("{}{tail}", SHOP.replace("policy: shop", "policy: other").replace("service=shop", "service=other")));
    let gone = fleet(&[policy(SHOP), other("")], &[other("")]);
    assert!(gone.needs_acknowledgement());
    assert_eq!(gone.summary(), "3 changes in 1 policy; 1 destructive, not acknowledged");
    assert_eq!(gone.policies[0].consequences[0].code.to_string(), "SW0912");
    let meant = fleet(&[policy(SHOP), other("")], &[other("acknowledge: [{ finding: SW0912, at: shop, reason: the shop is closed }]")]);
    assert!(!meant.needs_acknowledgement());
    assert_eq!(
        meant
            .policies
            .iter()
            .find(|policy| policy.policy.as_str() == "shop")
            .and_then(|policy| policy.consequences[0].acknowledged.clone()),
        Some("the shop is closed".into())
    );
    let late = fleet(&[policy(SHOP), other("")], &[other("acknowledge: [{ finding: SW0912, at: shop, reason: x, until: 2026-11-21 }]")]);
    assert!(late.needs_acknowledgement());
}

#[test]
fn a_policy_with_another_name_and_the_same_cluster_is_renamed() {
    let renamed = policy(&SHOP.replace("policy: shop", "policy: web-shop"));
    let diff = fleet(&[policy(SHOP)], &[renamed]);
    assert_eq!(diff.policies.len(), 1);
    assert_eq!(diff.policies[0].changes[0].says, "the policy `shop` is renamed to `web-shop`");
    assert_eq!(
        warns(&diff.policies[0]),
        [
            "SW0912! the policy `shop` is renamed to `web-shop`: its stores keep what there is under `shop`, where nobody finds it, and begin nothing beside it: backups and the log stop (unknown which existing backups this affects: the inventory does not speak of the store `offsite`)"
        ]
    );
    assert!(diff.needs_acknowledgement());
    let meant = "acknowledge: [{ finding: SW0912, at: policy, reason: the folder is renamed as well }]";
    let meant = policy(&format!("{}{meant}", SHOP.replace("policy: shop", "policy: web-shop")));
    assert!(!fleet(&[policy(SHOP)], &[meant]).needs_acknowledgement());
    let added = fleet(&[], &[policy(SHOP)]);
    assert_eq!(
        added.policies[0].changes[0].says,
        "the policy `shop` is new: RPO 15m, RTO 4h, store `main` at `s3://shop-backups`, store `offsite` at `azure://shopdr/backups`"
    );
}

#[test]
fn an_acknowledgement_is_for_its_code_its_place_and_its_time() {
    let tail = |entry: &str| {
        policy(&format!("{}acknowledge: [{entry}]\n", SHOP.replacen("keep: { daily: 30, yearly: 7 }", "keep: { daily: 3 }", 1)))
    };
    let needs = |entry: &str| diff(&tail(entry), None).needs_acknowledgement();
    assert!(!needs("{ finding: SW0903, reason: agreed }"));
    assert!(!needs("{ finding: SW0903, at: backups.nightly, reason: agreed, until: 2026-11-22 }"));
    assert!(needs("{ finding: SW0903, at: backups.night, reason: agreed }"));
    assert!(needs("{ finding: SW0903, at: backups.nightly.keep, reason: the copy is meant as well }"));
    assert!(needs("{ finding: SW0901, reason: agreed }"));
    assert!(needs("{ finding: SW0903, reason: agreed, until: 2026-11-21 }"));
}

#[test]
fn what_was_accepted_once_says_nothing_of_the_next_time() {
    let entry = "acknowledge: [{ finding: SW0903, reason: agreed }]\n";
    let before = policy(&format!("{SHOP}{entry}"));
    let shorter = SHOP.replacen("keep: { daily: 30, yearly: 7 }", "keep: { daily: 3 }", 1);
    let again = fleet(std::slice::from_ref(&before), &[policy(&format!("{shorter}{entry}"))]);
    assert!(again.needs_acknowledgement());
    let renewed = fleet(&[before], &[policy(&format!("{shorter}{}", entry.replace("agreed", "agreed again on 2026-11-20")))]);
    assert!(!renewed.needs_acknowledgement());
}

#[test]
fn markdown_is_fit_for_a_comment() {
    let new = policy(&format!(
        "{}acknowledge: [{{ finding: SW0903, at: backups.nightly.copies, reason: \"@legal said <i>yes</i> | no\" }}]\n",
        SHOP.replacen("keep: { daily: 30, yearly: 7 }", "keep: { daily: 2 }", 1)
    ));
    let mut there = daily(30);
    if let Some(Observed::Known(store)) = there.stores.get_mut("main") {
        store.wal.clear();
    }
    let diff = compare_fleet(&[policy(SHOP)], &[new], Some(&inventory(there)), now());
    let markdown = diff.to_markdown();
    assert!(
        markdown.starts_with(
            "**2 changes in 1 policy; 2 destructive, 1 of them not acknowledged; frees 2.7 TB**\n\n### `shop`\n\n**Destructive:**\n\n"
        ),
        "{markdown}"
    );
    assert!(markdown.contains("  - acknowledged: @<!-- -->legal said &lt;i&gt;yes&lt;/i&gt; &#124; no\n"), "{markdown}");
    assert!(markdown.contains("and 7 more"), "{markdown}");
    assert!(
        markdown.contains(
            "  | `n00002` | `nightly` | `main` | 2026-11-19 02:40 UTC | 100 GB | 3rd of 30 daily, day 2026-11-19 | in no tier |\n"
        ),
        "{markdown}"
    );
    let text = diff.to_text(100);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("Destructive:\n  - SW0903 existing backups of `nightly`"), "{text}");
    let json = serde_json::to_value(&diff).expect("it has a form");
    assert_eq!(json["format_version"], 1);
    let schema = schemars::schema_for!(FleetDiff).to_value();
    assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&json), "the JSON fits its schema");
    assert_eq!(json.pointer("/policies/0/consequences/1/existing/known/backups").and_then(|all| all.as_array()).map(Vec::len), Some(27));
    assert_eq!(fleet(&[policy(SHOP)], &[policy(SHOP)]).to_markdown(), "**no change in meaning**\n");
}

#[test]
fn another_time_zone_of_a_keep_makes_others_the_first_of_their_day() {
    let with_zone = SHOP.replacen("keep: { daily: 30, yearly: 7 }", "keep: { daily: 30, yearly: 7, timezone: Asia/Tokyo }", 1);
    assert_ne!(with_zone, SHOP);
    let unknown = diff(&policy(&with_zone), None);
    assert!(unknown.consequences.iter().any(|each| each.code.0 == 903), "{:?}", unknown.consequences);
    assert!(unknown.needs_acknowledgement());
}
