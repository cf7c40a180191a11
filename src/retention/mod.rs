//! How long backups stay: a pure function from backups, rules, holds and a moment to a verdict *with its reason* for each.
//!
//! # The rules
//!
//! A job's [`Keep`] is a set of rules, and a backup stays as long as **one** of them wants it:
//!
//! * `last: N`: the newest N.
//! * `for: P`: every one, until the period P has passed since it was complete.
//! * `hourly`, `daily`, `weekly`, `monthly`, `quarterly`, `yearly`: one backup of each bucket, either for the newest N buckets
//!   that have any, or for a period after that backup was complete.
//!
//! A `Keep` without any rule keeps everything.
//!
//! # Buckets
//!
//! * A bucket is an hour, day, ISO week (from Monday), month, quarter or year on the calendar of the job's time zone. The hour
//!   that autumn repeats is two buckets.
//! * A backup belongs to the bucket in which it **started**: the run of Tuesday 23:30 is Tuesday's whether it takes twenty
//!   minutes or fifty.
//! * The **first** good backup of a bucket represents it, in every tier alike. The newest would be another one every day while the
//!   bucket is open, and the one that ends up as the year's would have to survive the shorter tiers until the year is over;
//!   usually it has not been made yet when they delete. The first of a year is the first of its month and its day too, its
//!   place in every tier is known the moment it is complete, and nothing that happens later can take it away. So no tier starves:
//!   what a tier would choose from a history in which nothing was ever deleted is always still there (`tests/it/retention.rs`).
//! * A count counts buckets that *have* a good backup, the current one included, not calendar time: when backups stop being made,
//!   nothing more is deleted. `yearly: 7` therefore always reaches back six full years, and seven on the last day of one.
//! * A period is added to the moment when the backup was complete, by the calendar of the time zone; a day that the month lacks
//!   becomes its last day.
//!
//! # What counts
//!
//! * Only *good* backups fill a place: complete, with a chain of parents that is complete.
//! * Each job is judged apart, and within it each system identifier: after `pg_upgrade` the old cluster's backups neither push
//!   out the new ones nor are pushed out by them. The order is that of stop times, never of names.
//! * After a recovery to an earlier moment, the backups that lead to the timeline that is lived on are judged apart too
//!   ([`Timelines`](crate::inventory::Timelines)): what was left behind is newer by the clock, and displaces nothing.
//! * A backup made on demand with a `keep` of its own follows that alone, and takes no place in a tier.
//!
//! # What is never deletable
//!
//! The newest good backup of a job; what is under a hold; what is running; what is dated in the future; what another kept
//! backup builds on; the base that `wal.keep` needs; anything about which a fact is unknown.
//!
//! A damaged backup (or one whose chain is broken) takes no place from a good one, but stays as long as it would if it were
//! whole: it may be all that is left of that week, and most of it can often be saved.

mod bucket;
mod claim;
mod forecast;
mod keep;
mod lifetime;
mod log;
mod reason;
#[cfg(test)]
mod tests;
mod verdict;
mod wal;

pub use crate::inventory::{Hold, Selection};
pub use bucket::Bucket;
pub use forecast::{BuildsOn, Forecast, Forecasted, JobForecast, simulate};
pub use keep::{Keep, Tier, TierClasses, TierKind};
pub use lifetime::{Firing, Lifetime, kept_until, lifetimes};
pub use log::LogNeeds;
pub use reason::{Defect, DeleteReason, KeepReason, UndecidedReason};
pub use verdict::{Action, RetentionInput, Verdict, WalKeep, verdicts};
pub use wal::{WalEnd, WalNeed, WalNeeded, WalReason, wal_needed, window_start};
