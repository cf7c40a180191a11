//! Types that cannot hold nonsense: spans of time, sizes, rates, positions in the write-ahead log, names.
//!
//! Each type has one written form, used in policies, plans, inventories and messages alike. `FromStr` reads it, `Display`
//! writes the canonical spelling, and the JSON schema carries the pattern that editors check.

mod bytes;
mod decimal;
mod dump_section;
mod duration;
mod figure;
mod hex;
mod id;
mod key;
mod lsn;
mod percent;
mod period;
mod quantity;
mod segment;
mod sign;
mod spelling;
mod storage_class;
mod text_form;

pub use bytes::{Bytes, Rate};
pub use decimal::{Decimal, NotANumber};
pub use dump_section::DumpSection;
pub use duration::Duration;
pub use figure::{figure_of, moment_of};
pub use hex::{hex, unhex};
pub use id::{BackupId, Name};
pub use key::{BadKey, Key};
pub use lsn::{Lsn, Timeline};
pub use percent::Percent;
pub use period::Period;
pub(crate) use quantity::clipped;
pub use quantity::{QuantityError, QuantityFault};
pub use segment::{NotAWalFile, Segment, SegmentSize, WalFile};
pub use sign::{is_wild, visible};
pub use spelling::nearest;
pub use storage_class::{ClassFamily, Haste, StorageClass};
pub(crate) use text_form::text_form;

/// A moment, in UTC. The core never asks for the current one: it is handed in.
pub type Instant = jiff::Timestamp;

/// As exact as people read it. Cut, not rounded: what was reached by then was reached.
pub fn to_the_millisecond(at: Instant) -> Instant {
    Instant::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
