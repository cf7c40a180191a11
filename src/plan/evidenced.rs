//! What recoveries have shown, in text and in Markdown.

use super::make::minute;
use super::markdown;
use super::text::{columns, section, wrapped};
use super::words::{about, counted, joined, plain, quoted};
use crate::evidence::{EVERYTHING, Evidence, Prediction};
use crate::inventory::{DrillOutcome, DrillStanding, PointsSeen, TierStanding};
use crate::units::{Duration, Instant, Name};

const PREDICTED: [&str; 4] = ["recovery of", "promised", "predicted", "rests on"];
const DRILLS: [&str; 4] = ["drill", "last", "recovery took", "last passed"];
const TIERS: [&str; 4] = ["tier", "usable after", "in drill", "when"];

impl Evidence {
    /// For a person at a terminal.
    pub fn to_text(&self, now: Instant, width: u16) -> String {
        let mut text = String::new();
        let predicted = self.predictions.iter().map(|one| prediction(one, now, false)).collect();
        section(&mut text, "What was measured, and what a recovery takes by it", &columns(&PREDICTED, predicted, width));
        let Some(proven) = &self.proven else { return text };
        let drills = proven.drills.iter().map(|(name, standing)| self.drill(name, standing, now, false)).collect::<Vec<_>>();
        if !drills.is_empty() {
            section(&mut text, "Drills", &columns(&DRILLS, drills, width));
        }
        let tiers: Vec<Vec<String>> = proven.drills.iter().flat_map(|(name, standing)| tiers(name, standing, now, false)).collect();
        if !tiers.is_empty() {
            section(&mut text, "Tiers of data, drilled", &columns(&TIERS, tiers, width));
        }
        if let Some(points) = &proven.recovery_point {
            section(&mut text, "Lost, had the server been lost", &wrapped(&lost(points, now), "  ", "    ", width));
        }
        text
    }

    /// For a comment on a pull request.
    pub fn to_markdown(&self, now: Instant) -> String {
        let predicted: Vec<Vec<String>> = self.predictions.iter().map(|one| prediction(one, now, true)).collect();
        let mut text = markdown::table(&PREDICTED, &predicted);
        text.push('\n');
        let Some(proven) = &self.proven else { return text };
        let drills: Vec<Vec<String>> = proven.drills.iter().map(|(name, standing)| self.drill(name, standing, now, true)).collect();
        if !drills.is_empty() {
            text.push_str(&markdown::table(&DRILLS, &drills));
            text.push('\n');
        }
        let tiers: Vec<Vec<String>> = proven.drills.iter().flat_map(|(name, standing)| tiers(name, standing, now, true)).collect();
        if !tiers.is_empty() {
            text.push_str(&markdown::table(&TIERS, &tiers));
            text.push('\n');
        }
        if let Some(points) = &proven.recovery_point {
            text.push_str(&format!("{}\n\n", markdown::prose(&lost(points, now))));
        }
        text
    }

    fn drill(&self, drill: &Name, standing: &DrillStanding, now: Instant, quotes: bool) -> Vec<String> {
        let name = if quotes { quoted(drill) } else { drill.to_string() };
        let Some(last) = &standing.last else { return vec![name, "never ran".into(), String::new(), String::new()] };
        let outcome = match (last.outcome, last.failed_in) {
            (DrillOutcome::Passed, _) => "passed".to_owned(),
            (DrillOutcome::Failed, Some(phase)) => format!("FAILED while {}", phase.says()),
            (DrillOutcome::Failed, None) => "FAILED".to_owned(),
            (DrillOutcome::Stopped, _) => "stopped".to_owned(),
        };
        let within = last.within_millis.map(|within| format!(" of {}", length(within))).unwrap_or_default();
        let took = last.recovery_millis.map(|millis| format!("{}{within}", length(millis))).unwrap_or_default();
        let otherwise = if self.defined_otherwise.contains(drill) { ", defined otherwise than now" } else { "" };
        let passed = standing.passed.map_or_else(|| "never".to_owned(), |at| format!("{} ago{otherwise}", ago(at, now)));
        vec![name, plain(format!("{outcome} {} ago", ago(last.ended, now))), took, passed]
    }
}

fn prediction(one: &Prediction, now: Instant, quotes: bool) -> Vec<String> {
    let what = match one.scenario.as_str() {
        "everything" => "everything".to_owned(),
        name if quotes => quoted(name),
        name => name.to_owned(),
    };
    let predicted = match one.p50.zip(one.p95) {
        None => "unknown".to_owned(),
        Some((p50, p95)) if p50 == p95 => p95.to_string(),
        Some((p50, p95)) => format!("{p50} to {p95}"),
    };
    let over = if one.is_over() && one.is_measured() { ", NOT KEPT" } else { "" };
    let promised = one.promised.map_or_else(|| "nothing".to_owned(), |promised| promised.to_string());
    vec![what, promised, format!("{predicted}{over}"), rests_on(one, now)]
}

/// `measured by 6 recoveries, the newest 3 d ago`
fn rests_on(one: &Prediction, now: Instant) -> String {
    let assumed = (!one.assumed.is_empty()).then(|| format!("{} only assumed", joined(&one.assumed)));
    let measured = one.newest.map(|at| match one.samples {
        0 | 1 => format!("measured once, {} ago", ago(at, now)),
        samples => format!("measured by {samples} recoveries, the newest {} ago", ago(at, now)),
    });
    match (measured, assumed) {
        (Some(measured), Some(assumed)) => format!("{measured}; {assumed}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) if one.p95.is_none() => "not measured".to_owned(),
        (None, None) => "nothing in it that a drill measures".to_owned(),
    }
}

fn tiers(drill: &Name, standing: &DrillStanding, now: Instant, quotes: bool) -> Vec<Vec<String>> {
    let say = |name: &Name| if quotes { quoted(name) } else { name.to_string() };
    let one = |(tier, seen): (&Name, &TierStanding)| {
        let took = seen.millis.first().map(|millis| length(*millis).to_string()).unwrap_or_default();
        vec![say(tier), took, say(drill), format!("{} ago", ago(seen.at, now))]
    };
    standing.tiers.iter().map(one).collect()
}

fn length(millis: u64) -> Duration {
    Duration::from_secs(millis.div_ceil(1_000))
}

fn lost(points: &PointsSeen, now: Instant) -> String {
    let length = |seconds: u64| {
        let lost = Duration::from_secs(seconds);
        if lost < EVERYTHING { lost.to_string() } else { "everything".to_owned() }
    };
    let worst = match (points.worst_seconds, points.worst_at) {
        (Some(worst), Some(at)) => format!("; the most of 30 days was {}, at {}", length(worst), minute(at)),
        _ => String::new(),
    };
    format!("{} at the last look, {} ago{worst}", length(points.lost_seconds), ago(points.at, now))
}

/// Days are counted as people count them; what lies ahead is now.
fn ago(at: Instant, now: Instant) -> String {
    const DAY: u64 = 86_400;
    let seconds = Duration::between(at, now).as_secs();
    if seconds >= 2 * DAY { counted(seconds / DAY, "day") } else { about(i64::try_from(seconds).unwrap_or(0)) }
}
