use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;

use crate::units::{Period, StorageClass};

/// How long the backups of a job stay. See the room's documentation for the meaning of each rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    pub last: Option<u32>,
    /// `for` in a policy.
    pub within: Option<Period>,
    pub hourly: Option<Tier>,
    pub daily: Option<Tier>,
    pub weekly: Option<Tier>,
    pub monthly: Option<Tier>,
    pub quarterly: Option<Tier>,
    pub yearly: Option<Tier>,
    /// Whose calendar the buckets and periods follow.
    pub zone: TimeZone,
}

/// Into which storage class goes what only a tier, or a longer one, still keeps; for the tiers that say so.
pub type TierClasses = BTreeMap<TierKind, StorageClass>;

/// How many buckets a tier keeps, or how long the representative of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Count(u32),
    For(Period),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TierKind {
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Yearly,
}

impl Keep {
    /// No rule at all: everything stays.
    pub fn everything(zone: TimeZone) -> Self {
        Keep { last: None, within: None, hourly: None, daily: None, weekly: None, monthly: None, quarterly: None, yearly: None, zone }
    }

    pub fn has_no_rule(&self) -> bool {
        self.last.is_none() && self.within.is_none() && self.tiers().next().is_none()
    }

    /// The calendar tiers there are, shortest first.
    pub fn tiers(&self) -> impl Iterator<Item = (TierKind, Tier)> {
        [
            (TierKind::Hourly, self.hourly),
            (TierKind::Daily, self.daily),
            (TierKind::Weekly, self.weekly),
            (TierKind::Monthly, self.monthly),
            (TierKind::Quarterly, self.quarterly),
            (TierKind::Yearly, self.yearly),
        ]
        .into_iter()
        .filter_map(|(kind, tier)| tier.map(|tier| (kind, tier)))
    }
}

impl TierKind {
    pub const ALL: [TierKind; 6] =
        [TierKind::Hourly, TierKind::Daily, TierKind::Weekly, TierKind::Monthly, TierKind::Quarterly, TierKind::Yearly];

    /// The policy's key.
    pub const fn as_str(self) -> &'static str {
        match self {
            TierKind::Hourly => "hourly",
            TierKind::Daily => "daily",
            TierKind::Weekly => "weekly",
            TierKind::Monthly => "monthly",
            TierKind::Quarterly => "quarterly",
            TierKind::Yearly => "yearly",
        }
    }

    /// What its bucket is called.
    pub const fn bucket_word(self) -> &'static str {
        match self {
            TierKind::Hourly => "hour",
            TierKind::Daily => "day",
            TierKind::Weekly => "week",
            TierKind::Monthly => "month",
            TierKind::Quarterly => "quarter",
            TierKind::Yearly => "year",
        }
    }
}

impl fmt::Display for TierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
