//! A year of a database's life, written into a catalog through the catalog's own doors.

use std::path::Path;
use std::sync::OnceLock;

use seawall::alert::{Item, Notice, NoticeKind};
use seawall::catalog::{Catalog, DrillEnd, End, Measured, NewDrill, NewRun, Outcome, QueuedNotice, Why};
use seawall::format::audit::Entry;
use seawall::inventory::{
    Backup, BackupKind, BackupState, CanaryProof, ClusterInventory, DrillFailure, DrillOutcome, DrillPhase, DrillRecord, Expected, Hold,
    Observed, Phase, RehearsedPromotion, RehearsedStep, Restored, Selection, Size, StoreInventory, WalRange,
};
use seawall::policy::document::Document;
use seawall::policy::file::Severity;
use seawall::policy::resolve::resolve;
use seawall::units::Instant;

/// How the year ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// The last drill failed, the log waits, and a part of the log is missing.
    Ill,
}

const DAY: i64 = 86_400;

/// Weekly, a day before what `Life::day` lets run `days` ago: whatever the day and the hour at which the test runs, it ran in time.
pub fn weekly(days: i64) -> String {
    let day = (Instant::now() - jiff::SignedDuration::from_secs((days + 1) * DAY)).to_zoned(jiff::tz::TimeZone::UTC);
    format!("schedule: {{ on: {}, at: \"05:00\" }}", day.strftime("%A").to_string().to_lowercase())
}

pub fn policy(name: &str) -> String {
    let (verified, drilled) = (weekly(2), weekly(1));
    format!(
        "version: 1
policy: {name}
description: Orders and what follows from them. The team answers for it day and night.
owner: dba@example.com
review_by: 2099-01-31
cluster: {{ connection: service={name}, databases: [app] }}
objectives:
  rpo: 15m
  rto: 1h
  reach_back: {{ any_moment: 7d }}
  scenarios:
    corruption: {{ recover: cluster, by: point-in-time, rto: 2h, severity: SEV2 }}
  assume: {{ cluster_size: 100GB, wal_per_hour: 1GB, assess: 5m, provision: 5m }}
stores:
  main: {{ local: {{ path: /srv/backups/{name} }}, capacity: 4TB }}
  offsite: {{ s3: {{ bucket: {name}, region: eu-north-1 }} }}
encryption: {{ none: {{ because: a sample for tests }} }}
wal: {{ store: main, copies: [offsite], timeout: 60s, keep: 14d }}
backups:
  nightly:
    physical: {{}}
    schedule: {{ at: \"02:00\" }}
    store: main
    copies: {{ offsite: {{ within: 6h }} }}
    keep: {{ daily: 14, weekly: 8, monthly: 12 }}
verify:
  weekly: {{ {verified} }}
drills:
  weekly:
    restore: {{ latest: nightly }}
    {drilled}
    rehearses: corruption
    expect: {{ rows: {{ check: row-counts }} }}
holds:
  case-4711: {{ reason: \"litigation, ask legal\", backups: {{ job: nightly, from: 2026-01-01, to: 2026-01-31 }} }}
duties:
  review: {{ what: read who may see the bucket, who: dba }}
contacts: {{ dba: {{ name: The DBA on call }} }}
delegated: {{ failover: {{ to: Patroni, note: \"three nodes; 99.9 % is their objective\" }} }}
receivers:
  dba: {{ email: {{ to: [dba@example.com] }} }}
  chat: {{ webhook: {{ url: {{ env: CHAT }} }} }}
alerts: {{ routes: [{{ severity: critical, to: [dba] }}] }}
reports:
  monthly: {{ schedule: {{ day: 1, of: month, at: \"08:00\" }}, to: [dba, chat] }}
smtp: {{ host: localhost, from: seawall@example.com }}
"
    )
}

struct Life<'l> {
    catalog: &'l Catalog,
    policy: &'l str,
    now: Instant,
    fate: Fate,
}

/// The names of all that is unique are the policy's own.
pub fn fill(catalog: &Catalog, policy: &str, now: Instant, fate: Fate) {
    fill_days(catalog, policy, now, fate, 365);
}

pub fn fill_days(catalog: &Catalog, policy: &str, now: Instant, fate: Fate, days: i64) {
    let life = Life { catalog, policy, now, fate };
    let jobs = ["backups.nightly", "drills.weekly", "expire", "verify.weekly", "reports.monthly", "duties.review"];
    catalog.see_jobs(policy, &jobs, life.ago(days * DAY)).expect("seen");
    for day in (0..days).rev() {
        life.day(day);
    }
    life.looks();
    life.store();
    life.alerts();
    life.promotions();
}

impl Life<'_> {
    fn ago(&self, seconds: i64) -> Instant {
        self.now - jiff::SignedDuration::from_secs(seconds)
    }

    /// A figure that differs from day to day and is the same whenever the test runs.
    fn noise(day: i64, salt: i64) -> f64 {
        let mut word = (day * 7_919 + salt * 104_729) as u64;
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word % 1_000) as f64 / 1_000.0
    }

    fn day(&self, day: i64) {
        // What of today lies a few hours back.
        let at = day * DAY + 5 * 3_600;
        let failed = day > 0 && day % 61 == 17;
        let growth = (400 - day.min(400)) as f64;
        let bytes = (80e9 + growth * 60e6 + Self::noise(day, 1) * 2e9) as u64;
        let took = 1_500 + (Self::noise(day, 2) * 400.0) as i64;
        let end = if failed {
            End { message: Some("the disk is full"), hint: Some("Make room."), ..End::with(Outcome::Failed, self.ago(at - 60)) }
        } else {
            let stored = Some((bytes as f64 * 0.31) as u64);
            End {
                backup: Some("one"),
                store: Some("main"),
                bytes: Some(bytes),
                stored_bytes: stored,
                ..End::with(Outcome::Succeeded, self.ago(at - took))
            }
        };
        self.run("backups.nightly", day, at, &end);
        if day % 7 == 2 {
            self.run("verify.weekly", day, at - 3_600, &End::with(Outcome::Succeeded, self.ago(at - 4_000)));
            self.run("expire", day, at - 3_000, &End::with(Outcome::Succeeded, self.ago(at - 3_030)));
        }
        if day % 7 == 1 {
            self.drill(day, at - 7_200);
        }
    }

    fn run(&self, job: &str, day: i64, ago: i64, end: &End<'_>) {
        let started = self.ago(ago);
        // Two changes in a year.
        let (digest, commit) = match day {
            200.. => ("sha256:1111111111111111111111111111111111111111111111111111111111111111", "1a2b3c4d5e6f"),
            20..200 => ("sha256:2222222222222222222222222222222222222222222222222222222222222222", "2b3c4d5e6f70"),
            _ => ("sha256:3333333333333333333333333333333333333333333333333333333333333333", "3c4d5e6f7081"),
        };
        let new = NewRun {
            policy: self.policy,
            job,
            host: "db1",
            boot: None,
            pid: 4711,
            why: Why::Due,
            owed_since: Some(started),
            started,
            digest: Some(digest),
            commit: Some(commit),
        };
        let run = self.catalog.begin_run(&new).expect("begun");
        self.catalog.end_run(run, end).expect("ended");
        self.link(end.at, &format!("{job}.{}", end.outcome), &format!("`{job}` {}", end.outcome), "{}");
    }

    fn link(&self, at: Instant, kind: &str, what: &str, details: &str) {
        let entry = Entry {
            at,
            policy: self.policy.to_owned(),
            host: "db1".into(),
            who: "postgres".into(),
            digest: None,
            commit: None,
            what: what.to_owned(),
            kind: kind.to_owned(),
            details: details.to_owned(),
        };
        self.catalog.append(&entry).expect("a link");
    }

    fn drill(&self, day: i64, ago: i64) {
        let ill = self.fate == Fate::Ill && day == 1;
        let failed = ill || day % 91 == 36;
        let record = drill(self.policy, self.ago(ago), failed, 1.0 + Self::noise(day, 3) * 0.5);
        keep_drill(self.catalog, &record);
        let end = if failed {
            End { message: Some("replaying the log: a segment is missing"), ..End::with(Outcome::Failed, record.ended) }
        } else {
            End::with(Outcome::Succeeded, record.ended)
        };
        self.run("drills.weekly", day, ago, &end);
    }

    /// What `seawall watch` wrote: all of the last days, one a day before that.
    fn looks(&self) {
        let measure = |ago: i64, seconds: f64| {
            let measured = [Measured { name: "recovery_point_seconds", subject: "", value: seconds }];
            self.catalog.measure(self.policy, &measured, self.ago(ago)).expect("measured");
        };
        for day in (2..365).rev() {
            // Once the network was away for half an hour.
            let away = if day == 12 { 2_100.0 } else { 0.0 };
            measure(day * DAY, 20.0 + Self::noise(day, 4) * 70.0 + away);
        }
        for hour in (1..48).rev() {
            measure(hour * 3_600, 20.0 + Self::noise(hour, 5) * 70.0);
        }
        let at = self.ago(60);
        let lost = if self.fate == Fate::Ill { 4_000.0 } else { 42.0 };
        let waiting = if self.fate == Fate::Ill { self.ago(4_060).as_second() as f64 } else { 0.0 };
        let newest = self.ago(3 * 3_600).as_second() as f64;
        let all = [
            ("recovery_point_seconds", "", lost),
            ("recovery_time_p50_seconds", "everything", 2_040.0),
            ("recovery_time_p95_seconds", "everything", 2_700.0),
            ("recovery_time_samples", "everything", 48.0),
            ("recovery_time_measured", "everything", self.ago(7 * 24 * 3_600).as_second() as f64),
            ("watched", "", at.as_second() as f64),
            ("store_answers", "main", 1.0),
            ("store_answers", "offsite", 1.0),
            ("store_used_bytes", "main", 1.1e12),
            ("store_used_bytes", "offsite", 1.0e12),
            ("wal_waiting_since", "", waiting),
            ("clock_skew_seconds", "", 0.0),
            ("backup_newest", "backups.nightly", newest),
        ];
        let all: Vec<Measured<'_>> = all.iter().map(|(name, subject, value)| Measured { name, subject, value: *value }).collect();
        self.catalog.measure(self.policy, &all, at).expect("measured");
    }

    fn store(&self) {
        let document = serde_json::to_string(&self.inventory()).expect("JSON");
        self.catalog.keep_inventory(self.policy, &document, self.ago(600)).expect("kept");
    }

    fn inventory(&self) -> ClusterInventory {
        let nightly: Vec<i64> = (0..14).chain([20, 27, 34, 41, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330]).collect();
        let backups: Vec<Backup> = nightly.iter().map(|day| self.backup(*day)).collect();
        let mut wal = vec![self.log(14 * DAY, 600, 13)];
        if self.fate == Fate::Ill {
            wal = vec![self.log(14 * DAY, 6 * DAY, 13), self.log(5 * DAY + 18_000, 4_060, 5)];
        }
        // Older ones have the log of their own making and no more.
        wal.extend(nightly.iter().filter(|day| **day > 13).map(|day| self.own_log(*day)));
        let store = |wal| StoreInventory { backups: backups.clone(), wal, forks: Vec::new(), used: Observed::Known(size("1TB")) };
        let stores = [("main", store(wal.clone())), ("offsite", store(wal))];
        let hold = Hold {
            name: "audit-2026".parse().expect("a name"),
            reason: "asked for by the auditor".into(),
            until: Some(self.ago(-90 * DAY)),
            passing: false,
            selects: Selection { jobs: vec!["nightly".parse().expect("a name")], ..Selection::default() },
        };
        ClusterInventory {
            repository: Some("01jd3k9w6zq8".into()),
            system_identifier: Observed::Known("7301234567890123456".parse().expect("a number")),
            postgres_version: Observed::Known("16.4".into()),
            cluster_size: Observed::unknown("the database was not asked"),
            stores: stores.into_iter().map(|(name, store)| (name.parse().expect("a name"), Observed::Known(store))).collect(),
            measured: Observed::unknown("not asked"),
            proven: None,
            holds: Observed::Known(vec![hold]),
            timescaledb: Default::default(),
            server: None,
        }
    }

    fn lsn(&self, ago: i64) -> seawall::units::Lsn {
        let position = 0x10_0000_0000_u64 + ((365 * DAY - ago).max(0) as u64) * 0x10_0000;
        format!("{:X}/{:X}", position >> 32, position & 0xFFFF_FFFF).parse().expect("a position")
    }

    fn backup(&self, day: i64) -> Backup {
        let ago = day * DAY + 5 * 3_600;
        let stopped = self.ago(ago - 1_500);
        Backup {
            id: format!("{}-{:04x}", stopped.strftime("%Y%m%dT%H%M%SZ"), day).parse().expect("an id"),
            job: "nightly".parse().expect("a name"),
            kind: BackupKind::Full,
            state: BackupState::Complete,
            parent: None,
            started: self.ago(ago),
            stopped: Some(stopped),
            size: Some(size("90GB")),
            stored_size: Some(size("28GB")),
            label: None,
            keep: None,
            system_identifier: Some("7301234567890123456".parse().expect("a number")),
            timeline: Some("1".parse().expect("a timeline")),
            start_lsn: Some(self.lsn(ago)),
            stop_lsn: Some(self.lsn(ago - 1_500)),
            verified_at: None,
            carries_log: false,
            storage_class: None,
            scope: None,
        }
    }

    /// From so many seconds ago to so many; it begins with the backup of that day.
    fn log(&self, from: i64, to: i64, day: i64) -> WalRange {
        let begins = (day * DAY + 5 * 3_600 + 60).min(from);
        WalRange {
            system_identifier: None,
            timeline: "1".parse().expect("a timeline"),
            from_lsn: self.lsn(begins),
            to_lsn: self.lsn(to),
            from_time: self.ago(begins),
            to_time: self.ago(to),
        }
    }

    fn own_log(&self, day: i64) -> WalRange {
        let ago = day * DAY + 5 * 3_600;
        WalRange {
            system_identifier: None,
            timeline: "1".parse().expect("a timeline"),
            from_lsn: self.lsn(ago + 60),
            to_lsn: self.lsn(ago - 1_560),
            from_time: self.ago(ago),
            to_time: self.ago(ago - 1_500),
        }
    }

    fn alerts(&self) {
        let since = self.ago(12 * DAY);
        for (kind, after) in [(NoticeKind::Firing, 300), (NoticeKind::Resolved, 2_400)] {
            let at = self.ago(12 * DAY - after);
            let notice = Notice {
                id: format!("{}:{kind:?}", self.policy),
                policy: self.policy.parse().expect("a name"),
                receiver: "dba".parse().expect("a name"),
                kind,
                severity: Severity::Critical,
                at,
                subject: "the log is not archived".into(),
                items: vec![Item {
                    key: "wal_lag".into(),
                    severity: Severity::Critical,
                    title: "the log waits for 20 min".into(),
                    text: String::new(),
                    hint: None,
                    job: None,
                    since: Some(since),
                    until: (kind == NoticeKind::Resolved).then_some(at),
                    facts: Vec::new(),
                }],
                enclosed: None,
            };
            let json = serde_json::to_string(&notice).expect("JSON");
            self.catalog
                .queue(&[QueuedNotice { id: &notice.id, policy: self.policy, receiver: "dba", json: &json, not_before: at }], at)
                .expect("queued");
            self.catalog.delivered(&notice.id, at, None).expect("delivered");
        }
        // Eleven minutes after somebody was told.
        self.link(
            self.ago(12 * DAY - 960),
            "ack",
            "anna takes care of `wal_lag`",
            "{\"key\":\"wal_lag\",\"by\":\"anna\",\"note\":\"\",\"until\":null}",
        );
    }
}

/// Of 20 days ago: it was interrupted, and gone on with. And the last drill rehearsed one.
impl Life<'_> {
    fn promotions(&self) {
        let begun = self.ago(20 * DAY);
        let promotion = |stage: &str, outcome: &str, ended: i64| {
            let ended = begun + jiff::SignedDuration::from_secs(ended);
            serde_json::json!({
                "format_version": 1, "policy": self.policy, "host": "db2", "who": "anna", "kind": "failover", "stage": stage, "server": "db2:5432",
                "system_identifier": "7301234567890123456", "timeline_before": 1, "timeline": (stage == "done").then_some(2), "begun": begun,
                "ended": ended, "fencing": { "by": "hand", "words": "anna, power off", "at": begun },
                "loss": { "received": null, "replayed": null, "last_commit": null, "last_commit_seconds_ago": 3.5, "primary": null,
                    "behind_primary_bytes": null, "archives": [], "words": ["the old primary does not answer"] },
                "steps": [{ "step": "drain", "begun": begun, "ended": ended, "seconds": 1.0, "outcome": outcome, "said": "a store did not answer" }],
                "remarks": [], "old_primary": [], "recorded": true,
            })
            .to_string()
        };
        let at = |seconds: i64| begun + jiff::SignedDuration::from_secs(seconds);
        self.link(at(40), "promotion.failed", "failover by anna", &promotion("fenced", "failed", 40));
        self.link(at(95), "promotion.succeeded", "failover by anna", &promotion("done", "done", 95));
    }
}

fn rehearsal(failed: bool) -> RehearsedPromotion {
    let step = |step: &str, done: bool| RehearsedStep { step: step.to_owned(), done, millis: 900, says: "as it should be".into() };
    RehearsedPromotion {
        timeline_before: "1".parse().expect("a timeline"),
        timeline: (!failed).then(|| "2".parse().expect("a timeline")),
        replayed: None,
        archived: None,
        millis: 14_300,
        within_millis: Some(60_000),
        lost_millis: Some(2_100),
        lost_bytes: Some(0),
        steps: vec![step("fence", true), step("promote", !failed)],
    }
}

static WEEKLY: OnceLock<String> = OnceLock::new();

/// What a policy's drill proves, as its records have it.
pub fn definition(text: &str, drill: &str) -> String {
    let document = Document::load("shop.yaml", Path::new("shop.yaml"), &|_| Ok(text.as_bytes().to_vec()));
    let policy = resolve(&document, jiff::civil::date(2026, 11, 21)).policy.expect("a policy");
    policy.drills.get(drill).unwrap_or_else(|| panic!("no drill {drill}")).definition.clone()
}

/// A drill as `seawall drill` leaves it.
pub fn drill(policy: &str, started: Instant, failed: bool, pace: f64) -> DrillRecord {
    let phase = |phase: Phase, seconds: f64, bytes: Option<u64>| DrillPhase { phase, millis: (seconds * pace * 1_000.0) as u64, bytes };
    let mut phases = vec![
        phase(Phase::Prepare, 4.0, None),
        phase(Phase::Files, 1_210.0, Some(90_000_000_000)),
        phase(Phase::Fetch, 900.0, Some(28_000_000_000)),
        phase(Phase::Open, 640.0, Some(90_000_000_000)),
        phase(Phase::Write, 410.0, Some(90_000_000_000)),
        phase(Phase::Sync, 35.0, None),
        phase(Phase::Consistent, 18.0, None),
        phase(Phase::Replay, 520.0, Some(12_000_000_000)),
    ];
    if !failed {
        phases.extend([phase(Phase::Expect, 75.0, None), phase(Phase::Remove, 9.0, None)]);
    }
    let millis: u64 =
        phases.iter().filter(|one| !matches!(one.phase, Phase::Fetch | Phase::Open | Phase::Write)).map(|one| one.millis).sum();
    let ended = started + jiff::SignedDuration::from_millis(millis as i64);
    let name = |text: &str| text.parse().expect("a name");
    DrillRecord {
        format_version: 1,
        id: format!("{}-{}", started.strftime("%Y%m%dT%H%M%SZ"), short(policy)).parse().expect("an id"),
        policy: name(policy),
        drill: Some(name("weekly")),
        definition: Some(WEEKLY.get_or_init(|| definition(&self::policy("shop"), "weekly")).clone()),
        host: "drill1".into(),
        started,
        ended,
        outcome: if failed { DrillOutcome::Failed } else { DrillOutcome::Passed },
        failure: failed.then(|| DrillFailure {
            phase: Phase::Replay,
            message: "segment 0000000100000016000000B3 is not in the store".into(),
            hint: "`seawall verify` shows what is missing.".into(),
        }),
        restored: Some(Restored {
            job: name("nightly"),
            store: name("main"),
            backup: "20261121T020000Z-7f3c".parse().expect("an id"),
            kind: BackupKind::Full,
            stopped: started,
            size: 90_000_000_000,
            stored_size: Some(30_000_000_000),
            postgres: "16.4".into(),
            target: None,
            tables: Vec::new(),
            scope: None,
        }),
        reached: None,
        phases,
        recovery_millis: (!failed).then_some((1_787.0 * pace * 1_000.0) as u64),
        within_millis: Some(3_600_000),
        expectations: (!failed)
            .then(|| Expected { name: name("rows"), met: true, says: "41 tables, none differs by more than 1 %".into(), millis: 4_000 })
            .into_iter()
            .collect(),
        command: None,
        promotion: Some(rehearsal(failed)),
        canary: (!failed).then_some(CanaryProof { written: started, after_backup: true, lost_millis: 31_000 }),
        opened_with: None,
        opened_with_part: None,
        tiers: Vec::new(),
        chosen: Vec::new(),
        remarks: Vec::new(),
    }
}

fn size(text: &str) -> Size {
    serde_json::from_value(text.into()).expect("a size")
}

/// Four letters that tell policies apart.
fn short(policy: &str) -> String {
    let sum = policy.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{:04x}", sum % 0x1_0000)
}

pub fn keep_drill(catalog: &Catalog, record: &DrillRecord) {
    let json = serde_json::to_string(record).expect("JSON");
    let new = NewDrill {
        id: record.id.as_str(),
        policy: record.policy.as_str(),
        drill: record.answers_for().map_or("", |drill| drill.as_str()),
        started: record.started,
        ended: record.ended,
        end: if record.passed() { DrillEnd::Passed } else { DrillEnd::Failed },
        record: &json,
    };
    catalog.record_drill(&new, &[]).expect("recorded");
}
