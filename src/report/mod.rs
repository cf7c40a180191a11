//! What is on record, put together for people and for those who watch: how a policy stands, the answers to the questions of the day, and
//! reports for people who were not there.
//!
//! A report is made in two steps. [`account::account`] turns what is on record into data, and that data is what a program gets; the page
//! ([`html`]) and the text ([`markdown`]) are written from that data and from nothing else, so that no form can say what another does not.

pub mod account;
mod checklist;
mod covered;
pub mod html;
pub mod markdown;
mod recovery;
mod standing;
pub mod words;

pub use checklist::{Answer, Question, checklist};
pub use covered::{Covered, Wanted};
pub use recovery::{
    DRILL_PHASE, DRILL_TIER, DrillSeen, IdentitySeen, PhaseSeen, RATE_MEASURED, RATE_P50, RATE_P95, RATE_SAMPLES, RateSeen,
    RecoveryStanding, RecoveryTime, TierSeen, phase_subject, rate_subject,
};
pub use standing::{JobDue, JobStanding, Level, Measurements, OnRecord, Problem, Receiver, Standing, Store, Succeeded, stand};
