//! A standby becomes the primary: looked at first, agreed to, then step by step, each of them on record.
//!
//! Two servers that both take writes cannot be made one again. So nothing is promoted before somebody who can know it has answered that the
//! old primary is fenced (`hooks.before_promote`, or a person by `--fenced-by-hand`), and not while it still answers. There is no leader
//! election here: who promotes is a person, and who wants it done without one uses Patroni.
//!
//! Each step looks first whether it is done. What was interrupted goes on with the same call: before the promotion from the beginning, fencing
//! included, because an answer of an hour ago says nothing of now; after it from where it stopped.

mod act;
mod after;
mod archived;
mod before;
mod claim;
pub(in crate::execute) mod elsewhere;
mod fault;
mod hooks;
mod journal;
mod note;
mod plan;
mod record;
mod rehearse;
mod server;

pub use act::{Onlooker, carry_out};
pub use fault::{PromoteFault, PromoteFaultKind};
pub use hooks::{Hook, Hooks};
pub use plan::{Plan, Stand, Wanted, look};
pub use record::{Archived, FencedBy, Fencing, Kind, Loss, Promotion, Stage, StepName, StepOutcome, StepRecord};
pub use rehearse::{Rehearsing, rehearse};
