//! A drill that is owed together with its backup, or soon after it: what was written behind the backup is still on its way into the store, and
//! without it nothing would be proven of the log.

use std::thread;
use std::time::{Duration, Instant as Clock};

use super::super::DrillFault;
use super::super::choose::Goal;
use super::super::judge::{self, Awaited};
use super::Run;
use crate::execute::restore::Chosen;
use crate::inventory::Phase;
use crate::world::clock;

/// So often the store is asked.
const EVERY: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

impl Run<'_> {
    /// Whether to look once more, after a pause, because nothing is archived yet behind a backup that is still so young. It is on the clock of no
    /// part of a recovery; the drill's own `timeout` goes on.
    pub(super) fn waits_for_log(&mut self, chosen: &Chosen, goal: &Goal) -> Result<bool, DrillFault> {
        let is_waiting = self.watch.phase() == Phase::Wait;
        let waited = if is_waiting { self.watch.under_way() } else { Duration::ZERO };
        let until = judge::awaited_until(self.site.policy, chosen.descriptor.stopped);
        let until = until.filter(|_| goal.newest && !judge::goes_beyond_the_backup(chosen));
        match judge::awaits(until, clock::now(), waited) {
            Awaited::GoOn => {
                if is_waiting {
                    self.enter(Phase::Prepare);
                }
                return Ok(false);
            }
            Awaited::TryLater => return Err(DrillFault { passing: true, ..judge::nothing_behind(self.site.policy) }),
            Awaited::Wait if is_waiting => {}
            Awaited::Wait => self.enter(Phase::Wait),
        }
        self.pause()?;
        Ok(true)
    }

    fn pause(&self) -> Result<(), DrillFault> {
        let began = Clock::now();
        while began.elapsed() < EVERY {
            self.must_go_on()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }
}
