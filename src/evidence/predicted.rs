//! How long a recovery will take, by what was measured: between what is usual and what is careful.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::{ClusterInventory, HowMeasured};
use crate::objectives::{self, Basis, Origin, Row, SubjectKind};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant, Percent};

/// A recovery that takes this much of what is promised is near it.
pub const NEAR: Percent = Percent::new(90);
/// So much of what is promised, and more each time, is on its way there.
const ON_ITS_WAY: Percent = Percent::new(75);
/// So many in a row are more than chance.
const IN_A_ROW: usize = 3;

/// How long the recovery of one thing that is promised will take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// The scenario or the tier of data; `everything` for the whole policy.
    pub scenario: String,
    /// Where it is declared.
    pub path: String,
    /// What is promised. Absent when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised: Option<Duration>,
    /// With the figures that are usual. Absent where a figure is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Duration>,
    /// With the careful ones. Absent where a figure is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Duration>,
    /// How many drills and recoveries the least certain of its measured figures rests on; 0 where none was measured.
    pub samples: u32,
    /// When the newest of them was; of several figures, that of the one that was measured longest ago. Absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Instant>,
    /// What a drill could have measured and none has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
}

impl Prediction {
    /// A drill or a recovery has something to say about it.
    pub fn is_measured(&self) -> bool {
        self.samples > 0
    }

    /// The careful end is beyond what is promised.
    pub fn is_over(&self) -> bool {
        self.p95.zip(self.promised).is_some_and(|(p95, promised)| p95 > promised)
    }

    /// It is kept, and not by much.
    pub fn is_near(&self) -> bool {
        !self.is_over() && self.p95.zip(self.promised).is_some_and(|(p95, promised)| is_share(p95, promised, NEAR))
    }
}

/// Predicts every recovery that the policy promises or could be asked for. `cluster` brings the measured figures.
pub fn predict(policy: &Policy, cluster: Option<&ClusterInventory>, now: Instant) -> Vec<Prediction> {
    let careful = cluster.and_then(|cluster| cluster.measured.known()).cloned().unwrap_or_default();
    let usual = objectives::recovery_times(policy, cluster, &careful.usual(), now);
    let careful = objectives::recovery_times(policy, cluster, &careful, now);
    careful.iter().zip(&usual).map(|(careful, usual)| prediction(careful, usual)).collect()
}

fn prediction(careful: &Row, usual: &Row) -> Prediction {
    let (mut samples, mut newest, mut assumed): (Option<u32>, Option<Instant>, Vec<String>) = (None, None, Vec::new());
    for part in careful.worst.parts().iter().filter(|part| part.kind.is_rehearsable()) {
        match part.rests_on.iter().find_map(measured) {
            Some((count, at)) => {
                samples = Some(samples.map_or(count, |known| known.min(count)));
                newest = Some(newest.map_or(at, |known| known.min(at)));
            }
            None if !part.length.is_zero() => assumed.push(part.kind.to_string()),
            None => {}
        }
    }
    assumed.dedup();
    let p95 = careful.worst.total();
    Prediction {
        scenario: match careful.subject.kind {
            SubjectKind::WholePolicy => "everything".to_owned(),
            SubjectKind::Scenario | SubjectKind::Tier => careful.subject.to_string(),
        },
        path: careful.subject.path.to_string(),
        promised: careful.target,
        // Of another figure another way back may be the best; a range has its ends in order all the same.
        p50: usual.worst.total().map(|usual| p95.map_or(usual, |p95| usual.min(p95))),
        p95,
        samples: samples.unwrap_or(0),
        newest,
        assumed,
    }
}

/// How often, and when last, a recovery of any kind has measured this figure.
fn measured(basis: &Basis) -> Option<(u32, Instant)> {
    match &basis.origin {
        Origin::Measured { how: HowMeasured::Run, .. } => None,
        Origin::Measured { at, samples, .. } => Some((samples.unwrap_or(1), *at)),
        _ => None,
    }
}

/// Which way the recoveries of a drill go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tendency {
    /// There is room.
    Steady,
    /// The last one took nearly all that is allowed.
    Near,
    /// The last three took longer each time, and most of what is allowed.
    Slower,
}

/// The newest first; what is over the limit is another matter.
pub fn tendency(recoveries: &[Duration], limit: Duration) -> Tendency {
    let Some(last) = recoveries.first().copied().filter(|last| *last <= limit) else { return Tendency::Steady };
    let slower = recoveries.len() >= IN_A_ROW && recoveries[..IN_A_ROW].windows(2).all(|pair| pair[0] > pair[1]);
    match () {
        () if is_share(last, limit, NEAR) => Tendency::Near,
        () if slower && is_share(last, limit, ON_ITS_WAY) => Tendency::Slower,
        () => Tendency::Steady,
    }
}

/// At least such a share of the whole.
fn is_share(part: Duration, whole: Duration, share: Percent) -> bool {
    u128::from(part.as_secs()) * 1_000 >= u128::from(whole.as_secs()) * u128::from(share.tenths())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::evidence::drills::tests::drill;
    use crate::evidence::{Record, measured, rehearsals};
    use crate::inventory::{DrillChoice, DrillRecord, Observed, RestoredTable};
    use crate::policy::document::Document;
    use crate::policy::resolve::resolve;

    const NOW: &str = "2026-11-21T08:00:00Z";

    fn policy() -> Policy {
        let text = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: service=t, databases: [app], hosts: { a: { role: primary }, b: { role: standby } } }\n\
             encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/main } } }\n\
             backups: { nightly: { physical: {}, store: main, schedule: { at: '02:00' }, keep: { daily: 30 }, takes: 1h } }\n\
             wal: { store: main, timeout: 60s, keep: 7d }\n\
             objectives: { rpo: 5m, rto: 2h, assume: { cluster_size: 100GB, wal_per_hour: 1GB, provision: 20m },\n\
               scenarios: { table: { recover: table, rto: 4h }, fails: { recover: cluster, by: promote-standby, rto: 1h } } }\n\
             drills: { few: { restore: { latest: nightly, tables: [public.orders] }, rehearses: table },\n\
               failover: { restore: { latest: nightly }, promote: {}, rehearses: fails } }\n\
";
        let document = Document::load("t.yaml", Path::new("t.yaml"), &|_| Ok(text.as_bytes().to_vec()));
        let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings))
    }

    fn predicted(drills: Vec<DrillRecord>) -> Vec<Prediction> {
        let mut cluster: ClusterInventory = serde_json::from_str(
            r#"{"system_identifier":{"unknown":{"reason":"-"}},"postgres_version":{"unknown":{"reason":"-"}},"cluster_size":{"known":"100GB"},
                "stores":{},"measured":{"unknown":{"reason":"-"}},"holds":{"unknown":{"reason":"-"}}}"#,
        )
        .expect("an inventory");
        let rehearsals = rehearsals(&policy(), &drills);
        cluster.measured = Observed::Known(measured(&Record { drills, rehearsals, ..Record::default() }));
        predict(&policy(), Some(&cluster), NOW.parse().expect("a moment"))
    }

    #[test]
    fn without_a_drill_it_is_what_is_assumed_and_says_so() {
        let all = predicted(vec![]);
        let names: Vec<&str> = all.iter().map(|one| one.scenario.as_str()).collect();
        assert_eq!(names, ["everything", "fails", "table"]);
        assert_eq!((all[0].samples, all[0].newest, all[0].p50 == all[0].p95), (0, None, true));
        assert_eq!(all[0].assumed, ["restore", "replay"]);
        assert_eq!((all[1].assumed.as_slice(), all[1].is_measured()), (["promotion".to_owned()].as_slice(), false));
        // How long the whole cluster takes is no answer.
        assert_eq!((all[2].p50, all[2].p95, all[2].is_measured()), (None, None, false));
    }

    /// 100 GB at 200 and 250 MB/s; 25 GB of log at 100 MB/s: 15m + 20m + 500s (400s) + 250s + 10m + 5m.
    #[test]
    fn the_range_is_between_the_usual_and_the_careful() {
        let all = predicted(vec![drill("2026-11-01T05:00:00Z", 400_000, 100_000), drill("2026-11-15T05:00:00Z", 300_000, 100_000)]);
        let seconds = |length: Option<Duration>| length.map(|length| length.as_secs() - 50 * 60 - 250);
        assert_eq!((seconds(all[0].p50), seconds(all[0].p95)), (Some(400), Some(500)));
        assert_eq!((all[0].samples, all[0].newest), (2, Some("2026-11-15T05:00:00Z".parse().expect("a moment"))));
        assert!(all[0].assumed.is_empty() && !all[0].is_over() && !all[0].is_near());
    }

    fn rehearsed(name: &str, day: u32, millis: u64) -> DrillRecord {
        let mut record = drill(&format!("2026-11-{day:02}T05:00:00Z"), millis, 0);
        record.drill = Some(name.parse().expect("a name"));
        if name == "few" {
            let table = RestoredTable { database: "app".into(), table: "public.orders".into(), rows: Some(17) };
            record.restored.as_mut().expect("restored").tables.push(table);
            record.recovery_millis = Some(millis);
        } else {
            let promotion = format!(r#"{{ "timeline_before": 1, "timeline": 2, "millis": {millis}, "steps": [] }}"#);
            record.promotion = Some(serde_json::from_str(&promotion).expect("a promotion"));
        }
        record
    }

    /// 15m + 20m + 4m + 10m + 5m of some tables, whatever the cluster takes; 15m + 90s + 5m of a promotion.
    #[test]
    fn a_part_and_a_promotion_are_measured_by_what_rehearses_them() {
        let whole = || drill("2026-11-01T05:00:00Z", 4_000_000, 100_000);
        let of = |all: &[Prediction], at: usize| (all[at].p95.map(Duration::as_secs), all[at].samples);
        let all = predicted(vec![whole()]);
        assert_eq!((of(&all, 1), of(&all, 2)), ((Some(25 * 60), 0), (None, 0)));
        let all = predicted(vec![whole(), rehearsed("few", 10, 240_000), rehearsed("few", 3, 60_000), rehearsed("failover", 4, 90_000)]);
        assert_eq!((of(&all, 1), of(&all, 2)), ((Some(20 * 60 + 90), 1), (Some(54 * 60), 2)));
        assert_eq!(all[2].p50, Some(Duration::from_mins(51)));
        assert!(all[1].assumed.is_empty() && all[2].assumed.is_empty());
        // What somebody chose for once is no rehearsal, and one that was too slow is.
        let mut chosen = rehearsed("few", 11, 60_000);
        chosen.chosen = vec![DrillChoice::Backup];
        assert_eq!(of(&predicted(vec![whole(), chosen]), 2), (None, 0));
        let mut late = rehearsed("few", 11, 600_000);
        late.outcome = crate::inventory::DrillOutcome::Failed;
        assert_eq!(of(&predicted(vec![whole(), late]), 2), (Some(60 * 60), 1));
    }

    #[test]
    fn a_log_that_no_drill_replayed_is_still_assumed() {
        let mut short = drill("2026-11-15T05:00:00Z", 300_000, 100_000);
        short.phases.retain(|phase| phase.phase != crate::inventory::Phase::Replay);
        let all = predicted(vec![short]);
        assert_eq!((all[0].samples, all[0].assumed.as_slice()), (1, ["replay".to_owned()].as_slice()));
    }

    #[test]
    fn near_is_before_over() {
        let of = |p95: u64, promised: u64| Prediction {
            scenario: "everything".into(),
            path: "objectives".into(),
            promised: Some(Duration::from_secs(promised)),
            p50: None,
            p95: Some(Duration::from_secs(p95)),
            samples: 1,
            newest: None,
            assumed: vec![],
        };
        let judged = |p95| (of(p95, 1000).is_near(), of(p95, 1000).is_over());
        assert_eq!([899, 900, 1000, 1001].map(judged), [(false, false), (true, false), (true, false), (false, true)]);
    }

    #[test]
    fn three_slower_ones_are_a_tendency() {
        let of =
            |millis: &[u64]| tendency(&millis.iter().map(|secs| Duration::from_secs(*secs)).collect::<Vec<_>>(), Duration::from_secs(300));
        assert_eq!(of(&[]), Tendency::Steady);
        assert_eq!(of(&[280, 100, 100]), Tendency::Near);
        assert_eq!(of(&[240, 230, 220]), Tendency::Slower);
        assert_eq!(of(&[240, 230, 230]), Tendency::Steady);
        assert_eq!(of(&[240, 230]), Tendency::Steady);
        assert_eq!(of(&[200, 190, 180]), Tendency::Steady, "there is room");
        assert_eq!(of(&[301, 230, 220]), Tendency::Steady, "over is another matter");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// The ends are in order, and one more slow drill makes nothing quicker.
        #[test]
        fn predictions_hold(times in proptest::collection::vec(1_000u64..5_000_000, 1..25), slow in 5_000_000u64..9_000_000) {
            let drills: Vec<DrillRecord> = (1..).zip(&times).map(|(day, files)| drill(&format!("2026-10-{day:02}T05:00:00Z"), *files, 0)).collect();
            let before = predicted(drills.clone());
            let after = predicted(drills.into_iter().chain([drill("2026-11-01T05:00:00Z", slow, 0)]).collect());
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(before.p50 <= before.p95);
                prop_assert!(before.p50 <= after.p50 && before.p95 <= after.p95);
            }
            prop_assert_eq!((before[0].samples, after[0].samples), (times.len() as u32, times.len() as u32 + 1));
        }
    }
}
