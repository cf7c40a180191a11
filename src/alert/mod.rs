//! Who is told what, when, and when again. Decides; `notify` sends.
//!
//! [`conditions()`] turns what was seen ([`Facts`]) and what the policy allows into things that are wrong, right or unknown.
//! [`judge()`] turns those, what has happened and what was already said ([`Memory`]) into what is to be said now ([`Notice`])
//! and into the next memory. Both are functions: judged again with the memory that came out, nothing is said twice.

mod condition;
mod conditions;
mod event;
mod facts;
mod judge;
mod memory;
mod notice;

pub use condition::{Condition, State};
pub use conditions::{Limit, allowed, catalog_down, conditions, severity_of_failure};
pub use event::{Acknowledgement, Event};
pub use facts::{
    Answers, ArchiveFacts, Braked, CanaryFacts, CopyFacts, DatabaseFacts, DatabaseJob, DutyFacts, Facts, FailingReceiver, Failure,
    JobFacts, PartlyReached, RecipientFacts, Replaced, RivalTimelines, Runs, StoreFacts, Undelivered, Unreadable, WalFacts,
};
pub use judge::{Firing, Judged, Seen, Silence, Unheard, judge};
pub use memory::{Memory, MemoryError};
pub use notice::{Enclosed, Item, Notice, NoticeKind};
