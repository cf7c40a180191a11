//! What a policy can promise: the worst loss, the longest recovery, how far back; each figure with where it came from.
//!
//! Pure: schedules, retention, declared and measured figures go in, [`Assessment`] comes out. The formulas and the
//! defaults are written down in `docs/objectives.md`. Nothing is invented: a size that nobody declared or observed makes
//! the objective *unknown*, with the key that would make it known.

mod answer;
mod figures;
mod judge;
mod loss;
mod outcome;
mod question;
mod reach;
mod steady;
#[cfg(test)]
mod tests;
mod time;

pub use figures::DEFAULTS;
pub use outcome::{
    Answer, Assessment, Basis, Margin, Objective, Oldest, Origin, Part, PartKind, ReachRow, Row, Subject, SubjectKind, Way, WorstCase,
};
pub use steady::longest_in_window;

use crate::inventory::{ClusterInventory, Measured};
use crate::policy::file::Procedure;
use crate::policy::model::Policy;
use crate::units::{Duration, Instant};
use figures::Figures;

/// Judges every promise of a policy at its worst moment from `now` on.
pub fn assess(policy: &Policy, inventory: Option<&ClusterInventory>, now: Instant) -> Assessment {
    let figures = Figures::new(policy, inventory, now);
    let cases: Vec<_> = question::questions(policy).into_iter().map(|question| answer::answered(&figures, question)).collect();
    let reach = reach::reach(&figures);
    let mut findings = judge::judge(&figures, &cases);
    findings.extend(reach::judge(&figures, &reach));
    Assessment {
        rows: cases.into_iter().flat_map(answer::Case::into_rows).collect(),
        reach: reach.into_iter().map(|job| job.row).collect(),
        findings,
    }
}

/// What comes before a recovery, and what no drill can rehearse: seeing that something is wrong, and a server to restore onto. Careful where the
/// policy does not say.
pub fn before_a_recovery(policy: &Policy, by: Option<Procedure>, now: Instant) -> Duration {
    let figures = Figures::new(policy, None, now);
    let assess = figures.assess().value;
    if by == Some(Procedure::PromoteStandby) { assess } else { assess + figures.provision().value }
}

/// How long each recovery takes at worst, reckoned with these measured figures instead of those of the inventory: one row for each thing that
/// is promised, always in the same order. Of a part that no drill has measured it is not known.
pub fn recovery_times(policy: &Policy, inventory: Option<&ClusterInventory>, measured: &Measured, now: Instant) -> Vec<Row> {
    let figures = Figures::measured_as(policy, inventory, Some(measured), now);
    let cases = question::questions(policy).into_iter().map(|question| answer::answered(&figures, question).measured());
    cases.flat_map(answer::Case::into_rows).filter(|row| row.what == Objective::Rto).collect()
}
