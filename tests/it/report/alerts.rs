//! Alerts that go on beyond the stretch of a report, at one end of it or at both.

use std::path::Path;

use seawall::alert::{Condition, Memory, NoticeKind, Seen, State, judge};
use seawall::catalog::{Catalog, QueuedNotice};
use seawall::format::audit::Entry;
use seawall::policy::document::Document;
use seawall::policy::file::Severity;
use seawall::policy::resolve::resolve;
use seawall::units::Instant;
use serde_json::Value;

use super::told::one;
use super::{Rig, year};

const HOUR: i64 = 3_600;

/// What `seawall watch` does with what it sees: it judges, and keeps both together.
struct Watch<'c> {
    catalog: &'c Catalog,
    now: Instant,
}

impl Watch<'_> {
    fn ago(&self, hours: i64) -> Instant {
        self.now - jiff::SignedDuration::from_secs(hours * HOUR)
    }

    /// A look so many hours ago that finds these wrong, since when they say, and these well again.
    fn sees(&self, hours: i64, wrong: &[(&str, i64)], well: &[&str]) {
        let now = self.ago(hours);
        let text = year::policy("shop");
        let document = Document::load("shop.yaml", Path::new("shop.yaml"), &|_| Ok(text.as_bytes().to_vec()));
        let policy = resolve(&document, now.to_zoned(jiff::tz::TimeZone::UTC).date()).policy.expect("a policy");
        let condition = |key: &str, state| Condition::new(key, Severity::Critical, format!("{key} is wrong")).state(state);
        let wrong = wrong.iter().map(|(key, since)| Condition { since: Some(self.ago(*since)), ..condition(key, State::Firing) });
        let conditions: Vec<Condition> = wrong.chain(well.iter().map(|key| condition(key, State::Quiet))).collect();
        let (version, text) = self.catalog.memory("shop").expect("a memory");
        let memory = if text.is_empty() { Memory::default() } else { Memory::from_json(&text).expect("a memory") };
        let judged = judge(&policy, memory, &Seen { host: "db-1", conditions: Some(&conditions), ..Seen::default() }, now);
        let json: Vec<String> = judged.notices.iter().map(|notice| serde_json::to_string(notice).expect("JSON")).collect();
        let queued = judged.notices.iter().zip(&json).map(|(notice, json)| QueuedNotice {
            id: &notice.id,
            policy: "shop",
            receiver: notice.receiver.as_str(),
            json,
            not_before: now,
        });
        assert!(judged.notices.iter().all(|notice| matches!(notice.kind, NoticeKind::Firing | NoticeKind::Resolved)));
        let queued: Vec<QueuedNotice<'_>> = queued.collect();
        assert!(self.catalog.decide("shop", version, &judged.memory.to_json(), &queued, now).expect("decided"));
        for notice in queued {
            self.catalog.delivered(notice.id, now, None).expect("delivered");
        }
    }

    fn acknowledged(&self, hours: i64, key: &str) {
        let entry = Entry {
            at: self.ago(hours),
            who: "anna".into(),
            host: "db-1".into(),
            policy: "shop".into(),
            kind: "ack".into(),
            what: format!("anna takes care of `{key}`"),
            digest: None,
            commit: None,
            details: format!("{{\"key\":\"{key}\",\"by\":\"anna\",\"note\":\"\",\"until\":null}}"),
        };
        self.catalog.append(&entry).expect("in the chain");
    }
}

fn of<'r>(report: &'r Value, key: &str) -> &'r Value {
    let shown = one(report)["alerts"]["list"]["shown"].as_array().expect("a list");
    shown.iter().find(|alert| alert["key"] == key).unwrap_or_else(|| panic!("{key} is not in {shown:?}"))
}

fn moment(value: &Value) -> Instant {
    value.as_str().expect("a moment").parse().expect("a time")
}

/// Told once, months ago, and never again: nobody was reminded.
#[test]
fn what_has_been_wrong_since_before_the_stretch_is_in_it_with_its_true_beginning() {
    let rig = Rig::new("shop");
    let catalog = rig.catalog();
    let watch = Watch { catalog: &catalog, now: Instant::from_second(rig.now.as_second()).expect("a moment") };
    let day = |ago: i64| watch.ago(24 * ago);
    watch.sees(24 * 100 - 1, &[("store:offsite", 24 * 100)], &[]);
    // That one was over before the stretch, and the next one begins after it.
    watch.sees(24 * 95, &[("store:offsite", 24 * 100), ("wal_lag", 24 * 95)], &[]);
    watch.sees(24 * 94, &[("store:offsite", 24 * 100)], &["wal_lag"]);
    watch.acknowledged(24 * 50, "store:offsite");
    watch.sees(24 * 12, &[("store:offsite", 24 * 100), ("server", 24 * 12)], &[]);

    let date = |at: Instant| at.strftime("%Y-%m-%d").to_string();
    let covered = format!("{}..{}", date(day(60)), date(day(30)));
    let covered = ["--period", covered.as_str()];
    let is_told = |still_wrong: bool| {
        let report = rig.json(&covered);
        let alerts = &one(&report)["alerts"];
        assert_eq!(
            (&alerts["list"]["count"], &alerts["critical"], &alerts["acknowledged"]),
            (&1.into(), &1.into(), &1.into()),
            "{alerts:#}"
        );
        let alert = of(&report, "store:offsite");
        assert_eq!((moment(&alert["since"]), moment(&alert["told"])), (day(100), watch.ago(24 * 100 - 1)), "{alert:#}");
        assert_eq!(alert["until"].is_null(), still_wrong, "{alert:#}");
        // From when somebody was told, 50 days and an hour less.
        let waited = ((24 * 50 - 1) * HOUR) as f64;
        assert_eq!((alert["seconds_to_acknowledge"].as_f64(), alert["by"].as_str()), (Some(waited), Some("anna")), "{alert:#}");
        assert_eq!(alerts["median_seconds_to_acknowledge"].as_f64(), Some(waited), "{alerts:#}");
        let markdown = rig.report(&[&covered[..], &["--format", "markdown"]].concat()).stdout;
        let html = rig.html(&covered);
        let since = seawall::plan::minute(day(100));
        assert!(markdown.contains("1 critical, 0 warnings; 1 of 1 acknowledged, half of them within 49 d 23 h"), "{markdown}");
        assert!(markdown.contains(&format!("| store:offsite is wrong | critical | {since} |")), "{markdown}");
        assert!(html.contains("<code>store:offsite</code>") && html.contains("49 d 23 h") && html.contains(&since), "{since}: {html}");
    };
    is_told(true);
    // That it ended after the stretch changes nothing of what was so within.
    watch.sees(24 * 5, &[("server", 24 * 12)], &["store:offsite"]);
    is_told(false);
    // Up to now there are both, each from where it began.
    let report = rig.json(&["--period", "month"]);
    assert_eq!(one(&report)["alerts"]["list"]["count"], 2);
    assert_eq!((moment(&of(&report, "store:offsite")["since"]), moment(&of(&report, "server")["since"])), (day(100), day(12)));
    assert_eq!((moment(&of(&report, "store:offsite")["until"]), of(&report, "server")["until"].is_null()), (day(5), true));
}
