//! What of the log has not left the host: the server's word, held against what lies in the stores.
//!
//! That something waits is believed of the server alone. That nothing does is believed only where the stores have what it says was archived:
//! an `archive_command` that ships nothing succeeds as well.

use serde::{Deserialize, Serialize};

use crate::inventory::Observed;
use crate::units::Instant;

/// Written behind the archived log in so few bytes, nothing that a commit waited for is lost: an idle server notes its own state there.
const IDLE_BYTES: i64 = 8192;

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTold {
    /// The segment that was archived last; none where it knows of none.
    pub segment: Option<String>,
    pub archived: Option<Instant>,
    /// How many bytes were written behind it.
    pub beyond: i64,
    /// Since when the oldest segment waits that is whole and not archived.
    pub ready: Option<Instant>,
    /// Which transactions have ended, as a snapshot has it: as long as it stays, nobody has committed anything.
    pub snapshot: String,
}

/// What the stores show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStored {
    /// Whether the segment is there that the server says was archived last.
    pub has_it: Observed<bool>,
    /// Up to when the newest backup can be rolled forward.
    pub until: Option<Instant>,
}

/// A look at which nothing waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    pub at: Instant,
    pub segment: String,
    pub snapshot: String,
}

/// Since when the oldest log waits that is in no store; none when nothing does.
pub fn waiting_since(told: &LogTold, stored: &LogStored, quiet: Option<&Quiet>) -> Observed<Option<Instant>> {
    if stored.has_it == Observed::Known(false) {
        // What is called archived and is nowhere has been lost since the log in the store ends.
        return match stored.until.into_iter().chain(told.ready).min().or(told.archived) {
            Some(since) => Observed::Known(Some(since)),
            None => Observed::unknown("what the server calls archived is in no store, and neither is anything before it"),
        };
    }
    if told.ready.is_some() {
        return Observed::Known(told.ready);
    }
    let Some(segment) = &told.segment else {
        return Observed::unknown("the server knows of no segment that was archived: none ever was, or its statistics were reset");
    };
    if let Observed::Unknown { reason } = &stored.has_it {
        return Observed::unknown(format!("whether {segment} is in a store is not known: {reason}"));
    }
    if told.beyond < 0 {
        return Observed::unknown(format!("the server has written less than {segment}, which it says was archived last"));
    }
    let quiet_behind_it = quiet.filter(|quiet| quiet.segment == *segment);
    // Whatever the server has written since: no transaction has ended.
    if quiet_behind_it.is_some_and(|quiet| quiet.snapshot == told.snapshot) {
        return Observed::Known(None);
    }
    if told.beyond <= IDLE_BYTES {
        // Few bytes, and somebody's, where transactions have ended since a look that saw the same segment.
        return Observed::Known(quiet_behind_it.filter(|_| told.beyond > 0).map(|quiet| quiet.at));
    }
    // What is there now was written after the last time when it was not.
    match told.archived.max(quiet.map(|quiet| quiet.at)).or(stored.until) {
        Some(since) => Observed::Known(Some(since)),
        None => Observed::unknown(format!("when {segment} was archived is not known, and more was written since")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: &str = "000000010000000000000007";

    fn at(minute: i64) -> Instant {
        Instant::from_second(1_790_000_000 + minute * 60).expect("a moment")
    }

    /// A segment was archived at 0, and so many bytes were written behind it.
    fn told(beyond: i64) -> LogTold {
        LogTold { segment: Some(SEGMENT.to_owned()), archived: Some(at(0)), beyond, ready: None, snapshot: "700:700:".to_owned() }
    }

    fn stored(has_it: bool) -> LogStored {
        LogStored { has_it: Observed::Known(has_it), until: Some(at(-30)) }
    }

    fn quiet(minute: i64) -> Quiet {
        Quiet { at: at(minute), segment: SEGMENT.to_owned(), snapshot: "699:699:".to_owned() }
    }

    #[test]
    fn what_the_server_calls_archived_and_no_store_has_is_lost() {
        assert_eq!(waiting_since(&told(100), &stored(true), None), Observed::Known(None));
        assert_eq!(waiting_since(&told(100), &stored(false), None), Observed::Known(Some(at(-30))));
        // However quiet it was.
        assert_eq!(waiting_since(&told(0), &stored(false), Some(&quiet(5))), Observed::Known(Some(at(-30))));
        let nowhere = LogStored { until: None, ..stored(false) };
        assert_eq!(waiting_since(&told(100), &nowhere, None), Observed::Known(Some(at(0))));
    }

    #[test]
    fn a_night_without_commits_is_not_a_night_that_was_lost() {
        // Archived at 0, idle until a look at 600, and busy since.
        assert_eq!(waiting_since(&told(1 << 20), &stored(true), Some(&quiet(600))), Observed::Known(Some(at(600))));
        assert_eq!(waiting_since(&told(1 << 20), &stored(true), None), Observed::Known(Some(at(0))));
        // A look from before the segment was archived says nothing of what is behind it.
        assert_eq!(waiting_since(&told(1 << 20), &stored(true), Some(&quiet(-5))), Observed::Known(Some(at(0))));
    }

    #[test]
    fn what_transactions_say_counts_before_bytes_do() {
        // Nobody has committed anything since a look that saw the same segment.
        let idle = Quiet { snapshot: told(0).snapshot, ..quiet(9) };
        assert_eq!(waiting_since(&told(1 << 20), &stored(true), Some(&idle)), Observed::Known(None));
        assert_eq!(waiting_since(&told(300), &stored(true), Some(&idle)), Observed::Known(None));
        // Somebody has, in however few bytes.
        assert_eq!(waiting_since(&told(300), &stored(true), Some(&quiet(9))), Observed::Known(Some(at(9))));
        // They may be in the segment that was archived in between.
        let earlier = Quiet { segment: "000000010000000000000006".to_owned(), ..quiet(9) };
        assert_eq!(waiting_since(&told(300), &stored(true), Some(&earlier)), Observed::Known(None));
    }

    #[test]
    fn what_nobody_can_say_is_unknown() {
        let is_unknown = |told: &LogTold, stored: &LogStored| matches!(waiting_since(told, stored, None), Observed::Unknown { .. });
        let away = LogStored { has_it: Observed::unknown("it does not answer"), until: Some(at(-30)) };
        assert!(is_unknown(&told(0), &away));
        // What waits here waits, whatever a store would say.
        let ready = LogTold { ready: Some(at(3)), ..told(0) };
        assert_eq!(waiting_since(&ready, &away, None), Observed::Known(Some(at(3))));
        let reset = LogTold { segment: None, archived: None, ..told(0) };
        assert!(is_unknown(&reset, &away));
        assert!(is_unknown(&LogTold { archived: None, ..told(1 << 20) }, &LogStored { until: None, ..stored(true) }));
        assert!(is_unknown(&told(-1), &stored(true)));
    }
}
