use super::bucket::{Bucket, Local};
use super::keep::{Keep, Tier, TierKind};
use super::lifetime::Firing;
use crate::units::{Instant, Period};

/// That one rule wants one backup, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// The backup, by its position in the history.
    pub at: usize,
    pub rule: Rule,
    /// `None`: nothing in this history ends it.
    pub until: Option<Instant>,
}

/// `place` counts from the newest, which is 1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Last { place: u32, of: u32 },
    Within { period: Period },
    Count { bucket: Bucket, place: u32, of: u32 },
    For { bucket: Bucket, period: Period },
}

impl Claim {
    pub(super) fn holds_at(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Every claim of every rule on a history of good backups, which is in the order of stop times.
///
/// The one place where the rules are applied: verdicts ask which claims hold now, forecasts until when they will.
pub(super) fn claims(history: &[Firing], keep: &Keep, mut claim: impl FnMut(Claim)) {
    debug_assert!(history.is_sorted_by_key(|firing| firing.stopped));
    if let Some(of) = keep.last {
        for (at, place) in (0..history.len()).rev().zip(1..) {
            claim(Claim { at, rule: Rule::Last { place, of }, until: displaced_by(history, at.checked_add(of as usize)) });
        }
    }
    if let Some(period) = keep.within {
        for (at, firing) in history.iter().enumerate() {
            claim(Claim { at, rule: Rule::Within { period }, until: Some(period.after(firing.stopped, &keep.zone)) });
        }
    }
    if keep.tiers().next().is_none() {
        return;
    }
    // By start: the first of a bucket is the one that began first. A job's runs hardly ever overtake one another.
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|&at| history[at].started);
    let calendar: Vec<(usize, Local)> = order.into_iter().map(|at| (at, Local::of(history[at].started, &keep.zone))).collect();
    for (kind, tier) in keep.tiers() {
        claim_tier(history, &representatives(&calendar, kind), kind, tier, keep, &mut claim);
    }
}

fn claim_tier(history: &[Firing], chosen: &[(usize, Local)], kind: TierKind, tier: Tier, keep: &Keep, claim: &mut impl FnMut(Claim)) {
    for (index, &(at, local)) in chosen.iter().enumerate() {
        let bucket = local.bucket(kind);
        claim(match tier {
            Tier::Count(of) => {
                let place = u32::try_from(chosen.len() - index).unwrap_or(u32::MAX);
                let successor = index.checked_add(of as usize).and_then(|next| chosen.get(next)).map(|&(next, _)| next);
                Claim { at, rule: Rule::Count { bucket, place, of }, until: displaced_by(history, successor) }
            }
            Tier::For(period) => {
                Claim { at, rule: Rule::For { bucket, period }, until: Some(period.after(history[at].stopped, &keep.zone)) }
            }
        });
    }
}

/// The first of each bucket. A number that goes back (a clock set back across midnight) opens no bucket a second time.
fn representatives(calendar: &[(usize, Local)], kind: TierKind) -> Vec<(usize, Local)> {
    let mut newest = i64::MIN;
    let mut chosen = Vec::new();
    for &(at, local) in calendar {
        let number = local.number(kind);
        if number > newest {
            newest = number;
            chosen.push((at, local));
        }
    }
    chosen
}

fn displaced_by(history: &[Firing], successor: Option<usize>) -> Option<Instant> {
    successor.and_then(|next| history.get(next)).map(|firing| firing.stopped)
}
