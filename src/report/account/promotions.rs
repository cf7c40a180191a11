//! The promotions of the stretch, and those that drills rehearsed: how long each took, what was lost, and why one failed.

use super::shape::{Listed, PromotionAccount};
use super::{Past, Room};
use crate::inventory::{DrillRecord, RehearsedPromotion};
use crate::report::covered::Covered;

pub(super) fn promotions(past: &Past, drills: &[DrillRecord], covered: Covered, room: Room) -> Listed<PromotionAccount> {
    let rehearsed = drills.iter().filter_map(|record| Some(rehearsal(record, record.promotion.as_ref()?)));
    let mut all: Vec<PromotionAccount> = past.promotions.iter().cloned().chain(rehearsed).filter(|one| covered.holds(one.at)).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.at));
    Listed::of(all.into_iter(), room.rows)
}

fn rehearsal(record: &DrillRecord, promotion: &RehearsedPromotion) -> PromotionAccount {
    let failed = promotion.steps.iter().find(|step| !step.done);
    let is_late = promotion.within_millis.is_some_and(|within| promotion.millis > within);
    let is_done = promotion.is_whole();
    let why = failed.map(|step| format!("{}: {}", step.step, step.says));
    let seconds = |millis: u64| millis as f64 / 1_000.0;
    PromotionAccount {
        kind: "rehearsal".to_owned(),
        drill: record.drill.as_ref().map(ToString::to_string),
        at: record.ended,
        host: record.host.clone(),
        outcome: if is_done && !is_late { "succeeded" } else { "failed" }.to_owned(),
        why: why.or_else(|| is_late.then(|| "it took longer than it may".to_owned())),
        seconds: Some(seconds(promotion.millis)),
        within_seconds: promotion.within_millis.map(seconds),
        timeline_before: promotion.timeline_before.0.get(),
        timeline: promotion.timeline.map(|timeline| timeline.0.get()),
        lost_seconds: promotion.lost_millis.map(seconds),
        lost_bytes: promotion.lost_bytes,
        lost: Vec::new(),
        fenced: None,
    }
}
