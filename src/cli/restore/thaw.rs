//! What lies in an archive class: refused, requested, or waited for.

use std::time::{Duration, Instant};

use super::{Way, progress, text};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::repository::Format;
use crate::execute::restore::{self, Asleep, RestoreFault};
use crate::execute::table::TableFault;
use crate::plan::words::counted;
use crate::units::Haste;
use crate::world::{clock, signals};

/// A request takes minutes or hours: at first it is asked often, then less and less.
const FIRST_LOOK: Duration = Duration::from_secs(2);
const LAST_LOOK: Duration = Duration::from_secs(300);
/// So many looks in a row may fail.
const MOST_UNANSWERED: u32 = 12;

/// What came of looking at a backup that may lie in an archive.
pub(super) enum Woken<T> {
    Now(T),
    /// Nobody waits for it any more.
    Ended(Exit),
}

/// Why something went no further, where that may be a backup that is asleep.
pub(super) trait Sleeper: Into<Trouble> {
    fn asleep(&self) -> Option<&Asleep>;
}

impl Sleeper for RestoreFault {
    fn asleep(&self) -> Option<&Asleep> {
        self.asleep.as_deref()
    }
}

impl Sleeper for TableFault {
    fn asleep(&self) -> Option<&Asleep> {
        self.asleep.as_deref()
    }
}

/// Looks, and where what is wanted lies in an archive class, asks for it as it was said and looks again.
pub(super) fn until_awake<T, F: Sleeper>(way: &Way, mut look: impl FnMut() -> Result<T, F>) -> Result<Woken<T>, Trouble> {
    loop {
        let fault = match look() {
            Ok(seen) => return Ok(Woken::Now(seen)),
            Err(fault) => fault,
        };
        let Some(asleep) = fault.asleep() else { return Err(fault.into()) };
        eprintln!("note: backup {} in store `{}`: {}", asleep.backup, asleep.store_name, text::unreadable(&asleep.archived));
        if let Some(exit) = ask(asleep, way)? {
            return Ok(Woken::Ended(exit));
        }
    }
}

/// Requests what cannot be read, if that is wished. Nothing when all of it can be read at last.
pub(super) fn ask(plan: &Asleep, way: &Way) -> Result<Option<Exit>, Trouble> {
    let asleep = plan.archived.asleep.len();
    let requested = match way.thaw {
        None if asleep > 0 => return Err(text::asleep(&plan.archived)),
        Some(days) if asleep > 0 => {
            let haste = Haste::from(way.thaw_speed);
            if let Some(why) = restore::thaw(plan, days, haste, clock::now())? {
                eprintln!("note: the backup could not be put under a hold, so `expire` may delete it or move it back meanwhile: {why}");
            }
            Some((asleep, haste))
        }
        _ => None,
    };
    if way.wait { wait(plan, way) } else { Err(text::on_their_way(&plan.archived, requested)) }
}

fn wait(plan: &Asleep, way: &Way) -> Result<Option<Exit>, Trouble> {
    let ending = signals::ending()?;
    let all = plan.archived.asleep.len() + plan.archived.underway.len();
    let mut line = progress::Line::new(way.format == Format::Json);
    let (mut pause, mut unanswered) = (FIRST_LOOK, 0);
    loop {
        match restore::readable(plan) {
            Ok(ready) => {
                unanswered = 0;
                line.say(&format!("waiting for the archive: {ready} of {} can be read", counted(all, "object")));
                if ready == all {
                    line.end();
                    return Ok(None);
                }
            }
            // In so many hours a store may be away for a while.
            Err(fault) if unanswered < MOST_UNANSWERED => {
                unanswered += 1;
                line.say(&format!("waiting for the archive: {fault}"));
            }
            Err(fault) => return Err(fault.into()),
        }
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if ending.code().is_some() {
                line.end();
                return Ok(Some(Exit::Interrupted));
            }
            std::thread::sleep(Duration::from_millis(200).min(pause));
        }
        pause = (pause * 2).min(LAST_LOOK);
    }
}
