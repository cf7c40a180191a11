//! A moment to the record: what is made as of it a second time holds the same, whatever was archived meanwhile.

use std::fmt;
use std::str::FromStr;

use crate::execute::restore::{RestorePlan, Stopped};
use crate::recovery::Target;
use crate::units::Timeline;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    timeline: Timeline,
    /// None where it is the end of the backup itself.
    stopped: Option<Stopped>,
}

impl Fixed {
    /// None where the server did not say where it stopped.
    pub(super) fn of(plan: &RestorePlan, stopped: Option<Stopped>) -> Option<Fixed> {
        let is_backups_own = matches!(plan.request.target, Target::Immediate(_));
        let fixed = Fixed { timeline: plan.chosen.timeline, stopped: stopped.filter(|_| !is_backups_own) };
        (is_backups_own || stopped.is_some()).then_some(fixed)
    }

    pub fn target(&self) -> Target {
        self.stopped.map_or(Target::Immediate(None), |stopped| Target::Lsn(stopped.at))
    }

    pub fn is_exclusive(&self) -> bool {
        self.stopped.is_some_and(|stopped| stopped.before)
    }

    pub fn timeline(&self) -> Timeline {
        self.timeline
    }
}

const BACKUPS_OWN: &str = "end-of-backup";

/// `1 after 0/3000120`.
impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeline = self.timeline;
        match self.stopped {
            None => write!(f, "{timeline} {BACKUPS_OWN}"),
            Some(Stopped { at, before }) => write!(f, "{timeline} {} {at}", if before { "before" } else { "after" }),
        }
    }
}

impl FromStr for Fixed {
    type Err = String;

    fn from_str(text: &str) -> Result<Fixed, String> {
        let unknown = || format!("`{text}` is no position in a log");
        let words: Vec<&str> = text.split(' ').collect();
        let timeline = |word: &str| word.parse().map_err(|_| unknown());
        match words.as_slice() {
            [number, BACKUPS_OWN] => Ok(Fixed { timeline: timeline(number)?, stopped: None }),
            [number, side @ ("before" | "after"), at] => {
                let at = at.parse().map_err(|_| unknown())?;
                Ok(Fixed { timeline: timeline(number)?, stopped: Some(Stopped { at, before: *side == "before" }) })
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Lsn;

    #[test]
    fn it_is_read_as_it_was_written() {
        for text in ["1 after 0/3000120", "7 before 1A/0", "3 end-of-backup"] {
            assert_eq!(text.parse::<Fixed>().map(|fixed| fixed.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "1", "1 after", "1 at 0/1", "0 after 0/1", "1 before x", "1 after 0/1 more"] {
            assert!(text.parse::<Fixed>().is_err(), "{text}");
        }
        let before: Fixed = "2 before 0/5000000".parse().expect("a moment");
        assert_eq!((before.target(), before.is_exclusive()), (Target::Lsn(Lsn(0x500_0000)), true));
    }
}
