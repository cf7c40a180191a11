//! A report, as data: what was promised, what was found, and what both rest on. Everything that is shown to people comes from here.
//!
//! A function of what is on record. It asks nobody, so what it does not find it says it does not know.

mod alerts;
mod copies;
mod databases;
mod drills;
mod jobs;
mod promises;
mod promotions;
mod rehearsed;
mod shape;
mod stores;

pub(super) use copies::holds;
pub use shape::*;

use super::checklist::checklist;
use super::covered::Covered;
use super::standing::{OnRecord, Standing};
use crate::catalog::{Changed, DrillRow, KeptInventory, PastNotice, PastRun, Worst};
use crate::inventory::ClusterInventory;
use crate::policy::model::Policy;
use crate::units::Instant;

/// What a stretch of time has left on record of one policy.
#[derive(Debug, Default)]
pub struct Past {
    pub runs: Vec<PastRun>,
    pub drills: Vec<DrillRow>,
    /// Of each drill the last one that passed and the last one that failed, whenever that was.
    pub last_drills: Vec<DrillRow>,
    pub loss: Vec<Worst>,
    pub changes: Vec<Changed>,
    pub notices: Vec<PastNotice>,
    /// From before the stretch, as far back as its alerts began.
    pub notices_before: Vec<PastNotice>,
    /// Of what was over only after it, also of what nobody was told of within it.
    pub ends_after: Vec<PastNotice>,
    pub acks: Vec<Given>,
    /// As the audit chain has them.
    pub promotions: Vec<PromotionAccount>,
    pub inventory: Option<KeptInventory>,
}

/// That somebody took an alert upon himself, by the audit chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub key: String,
    pub by: String,
    pub at: Instant,
}

/// How much of each list a report shows; how much there was, it always says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Rows of a table.
    pub rows: usize,
    /// Points of a chart.
    pub points: u32,
}

impl Room {
    /// For a report of one policy.
    pub const ONE: Room = Room { rows: 200, points: 120 };
    /// For one of many, which should still open in a browser.
    pub const MANY: Room = Room { rows: 8, points: 40 };

    /// For one of a fleet, whose page is for finding out which of them to look at.
    pub const FLEET: Room = Room { rows: 4, points: 12 };

    pub fn for_policies(count: usize) -> Room {
        match count {
            0..=10 => Room::ONE,
            11..=100 => Room::MANY,
            _ => Room::FLEET,
        }
    }
}

/// One policy, and what is on record of it.
#[derive(Debug)]
pub struct Subject<'s> {
    /// None where its file cannot be read and no earlier version is known.
    pub policy: Option<&'s Policy>,
    pub record: &'s OnRecord,
    pub standing: &'s Standing,
    pub past: &'s Past,
}

/// The account of one policy.
pub fn account(subject: &Subject<'_>, covered: Covered, room: Room, now: Instant) -> PolicyAccount {
    let Subject { record, standing, past, .. } = *subject;
    let Some(policy) = subject.policy else { return PolicyAccount::unknown(standing) };
    let inventory = past.inventory.as_ref().map(|kept| (kept.at, serde_json::from_str::<ClusterInventory>(&kept.document)));
    let (observed_at, inventory) = match &inventory {
        Some((at, Ok(inventory))) => (Some(*at), Some(inventory)),
        // Written by another version: it is as if nothing had been seen, and the next look mends it.
        Some((_, Err(_))) | None => (None, None),
    };
    let (stores, databases) = stores::stores(policy, inventory, standing, room, now);
    let drilled = drills::read(&past.drills);
    let last = drills::read(&past.last_drills);
    let shown = drills::shown(&drilled, &last);
    let drills = drills::drills(policy, past, &drilled, &shown, covered, room);
    let loss = promises::loss(policy, record, standing, past, (covered, now));
    let found = promises::Found { stores: &stores, observed_at, drilled: &shown };
    let objectives = promises::objectives(policy, record, standing, &loss, &found, now);
    let verdict = promises::verdict(standing, &objectives);
    PolicyAccount {
        policy: policy.name.to_string(),
        description: policy.file.description.clone(),
        owner: policy.file.owner.clone(),
        digest: Some(policy.digest.clone()),
        unknown: standing.unknown.clone(),
        verdict,
        level: standing.level,
        problems: standing.problems.clone(),
        watched: standing.watched,
        objectives,
        loss,
        observed_at,
        stores,
        databases,
        jobs: jobs::jobs(policy, standing, past, room),
        failures: jobs::failures(past, room),
        drills,
        rates: standing.recovery.rates.clone(),
        promotions: promotions::promotions(past, &drilled, covered, room),
        verifications: jobs::verifications(past, room),
        holds: holds(policy, inventory, now),
        copies: copies::copies(policy, inventory.zip(observed_at), now),
        alerts: alerts::alerts(standing, past, covered, room),
        changes: changes(past, room),
        checklist: checklist(policy, record, standing, now),
        delegated: policy
            .file
            .delegated
            .iter()
            .map(|(what, to)| Delegated { what: what.to_string(), to: to.to.clone(), note: to.note.clone() })
            .collect(),
    }
}

fn changes(past: &Past, room: Room) -> Listed<Change> {
    let all = past.changes.iter().rev().map(|change| Change {
        at: change.at,
        digest: change.digest.clone(),
        commit: change.commit.clone(),
        in_force_before: change.first,
    });
    Listed::of(all, room.rows)
}

/// Puts the accounts of policies together, the worst first.
pub fn report(mut policies: Vec<PolicyAccount>, chains: Vec<ChainAccount>, covered: Covered, now: Instant) -> Report {
    policies.sort_by(|a, b| {
        // Worst of all is what nobody can read.
        let rank = |one: &PolicyAccount| (std::cmp::Reverse(one.verdict.state), one.digest.is_some(), std::cmp::Reverse(one.level));
        rank(a).cmp(&rank(b)).then_with(|| a.policy.cmp(&b.policy))
    });
    let count = |state: State| policies.iter().filter(|one| one.verdict.state == state).count();
    Report {
        format_version: Report::FORMAT_VERSION,
        made_at: now,
        made_by: concat!("seawall ", env!("CARGO_PKG_VERSION")).to_owned(),
        covers: covered,
        state: policies.iter().map(|one| one.verdict.state).max().unwrap_or(State::Unproven),
        kept: count(State::Kept),
        unproven: count(State::Unproven),
        broken: count(State::Broken),
        audit: chains,
        policies,
    }
}
