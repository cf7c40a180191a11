//! The alerts of the stretch, put together from what people were told, and how soon somebody took care of them.

use std::collections::BTreeMap;

use super::shape::{AlertAccount, AlertsAccount, Listed};
use super::{Past, Room};
use crate::alert::{Item, Notice, NoticeKind};
use crate::policy::file::Severity;
use crate::report::covered::Covered;
use crate::report::standing::Standing;
use crate::units::Instant;

pub(super) fn alerts(standing: &Standing, past: &Past, covered: Covered, room: Room) -> AlertsAccount {
    // An alert is one from the moment it began: it comes back under the same key.
    let mut all: BTreeMap<(String, Instant), AlertAccount> = BTreeMap::new();
    for row in &past.notices {
        let Ok(notice) = serde_json::from_str::<Notice>(&row.notice) else { continue };
        told(&mut all, &notice, row.created);
    }
    for firing in &standing.firing {
        if firing.since >= covered.to {
            continue;
        }
        all.entry((firing.key.clone(), firing.since)).or_insert_with(|| AlertAccount {
            key: firing.key.clone(),
            severity: firing.severity,
            title: firing.title.clone(),
            since: firing.since,
            until: None,
            told: None,
            acknowledged: None,
            by: None,
            seconds_to_acknowledge: None,
        });
    }
    for row in &past.ends_after {
        let Ok(notice) = serde_json::from_str::<Notice>(&row.notice) else { continue };
        ended_after(&mut all, &notice, covered);
    }
    for row in &past.notices_before {
        let Ok(notice) = serde_json::from_str::<Notice>(&row.notice) else { continue };
        told_before(&mut all, &notice, row.created);
    }
    let mut all: Vec<AlertAccount> = all.into_values().collect();
    all.iter_mut().for_each(|alert| acknowledged(alert, past));
    all.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.key.cmp(&b.key)));
    let mut waited: Vec<f64> = all.iter().filter_map(|alert| alert.seconds_to_acknowledge).collect();
    waited.sort_by(f64::total_cmp);
    AlertsAccount {
        critical: all.iter().filter(|alert| alert.severity == Severity::Critical).count(),
        warnings: all.iter().filter(|alert| alert.severity == Severity::Warning).count(),
        acknowledged: all.iter().filter(|alert| alert.acknowledged.is_some()).count(),
        median_seconds_to_acknowledge: median(&waited),
        slowest_seconds_to_acknowledge: waited.last().copied(),
        list: Listed::of(all.into_iter(), room.rows),
    }
}

fn told(all: &mut BTreeMap<(String, Instant), AlertAccount>, notice: &Notice, at: Instant) {
    match notice.kind {
        NoticeKind::Event | NoticeKind::Sample => return,
        NoticeKind::Firing | NoticeKind::Reminder | NoticeKind::Escalation | NoticeKind::Resolved => {}
    }
    for item in &notice.items {
        let alert = entry(all, notice, item);
        if notice.kind == NoticeKind::Resolved {
            alert.until = item.until.or(Some(notice.at)).max(alert.until);
        } else {
            // Severities are ordered from the worst on.
            alert.severity = alert.severity.min(item.severity);
            alert.told = Some(alert.told.map_or(at, |told| told.min(at)));
        }
    }
}

/// It was wrong when the stretch ended, and so within it, whether or not anybody was told of it just then.
fn ended_after(all: &mut BTreeMap<(String, Instant), AlertAccount>, notice: &Notice, covered: Covered) {
    for item in notice.items.iter().filter(|item| item.since.is_some_and(|since| since < covered.to)) {
        let until = item.until.unwrap_or(notice.at);
        if until >= covered.from {
            let alert = entry(all, notice, item);
            alert.until = alert.until.max(Some(until));
        }
    }
}

fn entry<'a>(all: &'a mut BTreeMap<(String, Instant), AlertAccount>, notice: &Notice, item: &Item) -> &'a mut AlertAccount {
    let since = item.since.unwrap_or(notice.at);
    all.entry((item.key.clone(), since)).or_insert_with(|| AlertAccount {
        key: item.key.clone(),
        severity: item.severity,
        title: item.title.clone(),
        since,
        until: None,
        told: None,
        acknowledged: None,
        by: None,
        seconds_to_acknowledge: None,
    })
}

/// Who was told before the stretch has known since then.
fn told_before(all: &mut BTreeMap<(String, Instant), AlertAccount>, notice: &Notice, at: Instant) {
    if !matches!(notice.kind, NoticeKind::Firing | NoticeKind::Reminder | NoticeKind::Escalation) {
        return;
    }
    for item in &notice.items {
        if let Some(alert) = all.get_mut(&(item.key.clone(), item.since.unwrap_or(notice.at))) {
            alert.severity = alert.severity.min(item.severity);
            alert.told = Some(alert.told.map_or(at, |told| told.min(at)));
        }
    }
}

fn acknowledged(alert: &mut AlertAccount, past: &Past) {
    let within = |at: Instant| at >= alert.since && alert.until.is_none_or(|until| at <= until);
    let first = past.acks.iter().filter(|given| given.key == alert.key && within(given.at)).min_by_key(|given| given.at);
    if let Some(given) = first {
        let told = alert.told.unwrap_or(alert.since);
        alert.acknowledged = Some(given.at);
        alert.by = Some(given.by.clone());
        alert.seconds_to_acknowledge = Some(given.at.duration_since(told).as_secs_f64().max(0.0));
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        1 => sorted.get(middle).copied(),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PastNotice;
    use crate::report::account::Given;
    use crate::report::standing::{Level, Problem};

    fn at(text: &str) -> Instant {
        text.parse().expect("a moment")
    }

    /// A message about the store, which has not answered since this moment.
    fn notice(kind: NoticeKind, since: &str, created: &str) -> PastNotice {
        let item = Item {
            key: "store:main".into(),
            severity: Severity::Critical,
            title: "the store does not answer".into(),
            text: String::new(),
            hint: None,
            job: None,
            since: Some(at(since)),
            until: None,
            facts: Vec::new(),
        };
        let notice = Notice {
            id: created.into(),
            policy: "shop".parse().expect("a name"),
            receiver: "dba".parse().expect("a name"),
            kind,
            severity: Severity::Critical,
            at: at(created),
            subject: String::new(),
            items: vec![item],
            enclosed: None,
        };
        PastNotice {
            receiver: "dba".into(),
            notice: serde_json::to_string(&notice).expect("JSON"),
            created: at(created),
            delivered: Some(at(created)),
        }
    }

    /// Told on the evening before the month, reminded in it, and taken an hour later: that is a day, and not an hour.
    #[test]
    fn they_were_told_when_they_were_told_first() {
        let began = "2026-10-31T21:59:00Z";
        let past = |before: Vec<PastNotice>| Past {
            notices: vec![notice(NoticeKind::Reminder, began, "2026-11-01T22:00:00Z")],
            notices_before: before,
            acks: vec![Given { key: "store:main".into(), by: "anna".into(), at: at("2026-11-01T23:00:00Z") }],
            ..Past::default()
        };
        let waited = |before: Vec<PastNotice>| {
            let covered = Covered { from: at("2026-11-01T00:00:00Z"), to: at("2026-12-01T00:00:00Z") };
            let all = alerts(&Standing::unknown("shop", Problem::new(Level::Well, "watch", "")), &past(before), covered, Room::ONE);
            (all.list.count, all.median_seconds_to_acknowledge)
        };
        assert_eq!(waited(vec![notice(NoticeKind::Firing, began, "2026-10-31T22:00:00Z")]), (1, Some(25.0 * 3_600.0)));
        // That was another time, and it was over.
        assert_eq!(waited(vec![notice(NoticeKind::Firing, "2026-10-02T00:00:00Z", "2026-10-02T00:00:00Z")]), (1, Some(3_600.0)));
    }

    #[test]
    fn half_were_faster() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 3.0]), Some(2.0));
        assert_eq!(median(&[1.0, 3.0, 100.0]), Some(3.0));
    }
}
