//! A job must begin inside its window and be done before it closes.

use jiff::SignedDuration;

use super::facts::{Facts, Length, moment};
use crate::policy::file::Overrun;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::MaintenanceWindow;
use crate::policy::path::PolicyPath;
use crate::schedule::{Schedule, Window, Zone};
use crate::units::{Duration, Instant, Name};

const TOO_SHORT: Code = Code(310);
const NEVER_INSIDE: Code = Code(311);
const SOMETIMES_OUTSIDE: Code = Code(312);

/// So many openings are looked at, further than these years only until there are a few.
const MOST_OPENINGS: usize = 400;
const FEWEST_OPENINGS: usize = 60;
const YEARS: i64 = 2;

struct Windowed<'p> {
    path: PolicyPath,
    schedule: Option<&'p Schedule>,
    name: &'p Name,
    window: &'p MaintenanceWindow,
    length: Option<Length>,
}

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for job in windowed(facts) {
        match job.schedule {
            Some(schedule) => job.scheduled(schedule, facts.now, findings),
            None => job.on_demand(facts.now, findings),
        }
    }
}

fn windowed<'p>(facts: &Facts<'p>) -> Vec<Windowed<'p>> {
    let policy = facts.policy;
    if policy.windows.is_empty() {
        return Vec::new();
    }
    let backups =
        policy.backups.iter().map(|(name, backup)| ("backups", name, backup.schedule.as_ref(), backup.window.as_ref(), facts.length(name)));
    let verify = policy.verify.iter().map(|(name, verify)| ("verify", name, Some(&verify.schedule), verify.window.as_ref(), None));
    let drills = policy.drills.iter().map(|(name, drill)| ("drills", name, drill.schedule.as_ref(), drill.window.as_ref(), None));
    backups
        .chain(verify)
        .chain(drills)
        .filter_map(|(section, job, schedule, window, length)| {
            let (name, window) = policy.windows.get_key_value(window?)?;
            Some(Windowed { path: PolicyPath::from([section, job.as_str()]), schedule, name, window, length })
        })
        .collect()
}

impl Windowed<'_> {
    fn scheduled(&self, schedule: &Schedule, now: Instant, findings: &mut Vec<Finding>) {
        let walk = Walk::through(schedule, &self.window.window, now);
        if let Some(outside) = walk.outside {
            let inside = match apart_from_clocks(schedule, &self.window.window) {
                // What only a change of the clocks moves into the window does not run.
                Some((schedule, window)) => ever_inside(&schedule, &window, now),
                None => walk.tightest.is_some() || ever_inside(schedule, &self.window.window, now),
            };
            findings.push(if inside { self.sometimes_outside(schedule, outside) } else { self.never_inside(schedule) });
        }
        if let (Some(length), Some(tightest)) = (self.length, &walk.tightest)
            && length.time > tightest.room
        {
            findings.push(if length.time > walk.widest { self.never_fits(length, walk.widest, now) } else { self.tight(length, tightest) });
        }
    }

    fn on_demand(&self, now: Instant, findings: &mut Vec<Finding>) {
        let usual = self.window.window.usual_length();
        if let Some(length) = self.length.filter(|length| length.time > usual) {
            findings.push(self.never_fits(length, usual, now));
        }
    }

    fn never_inside(&self, schedule: &Schedule) -> Finding {
        let (name, window) = (self.name, &self.window.window);
        let message = format!("never runs: {} is always outside `windows.{name}` ({})", schedule.describe(), window.describe());
        Finding::error(NEVER_INSIDE, self.path.key("window"), message)
            .label("a job runs only inside its window")
            .hint("Move the schedule into the window, or take `window` out.")
            .related(self.path.key("schedule"), "the schedule")
            .related(self.window_path(), "the window")
    }

    fn sometimes_outside(&self, schedule: &Schedule, outside: Instant) -> Finding {
        let message = format!("fires outside `windows.{}`, next on {}, and does not run then", self.name, moment(outside, schedule.zone()));
        Finding::warning(SOMETIMES_OUTSIDE, self.path.key("window"), message)
            .hint("Let the schedule name only moments inside the window, away from the hours in which clocks are changed.")
            .related(self.path.key("schedule"), "the schedule")
            .related(self.window_path(), "the window")
    }

    fn never_fits(&self, length: Length, room: Duration, now: Instant) -> Finding {
        let (name, window) = (self.name, &self.window.window);
        let usual = window.usual_length();
        let message = if room < usual {
            format!("takes {length} and begins {room} before `windows.{name}` closes")
        } else {
            let shortest = window.shortest_length(now);
            let less = if shortest < usual { format!(" ({shortest} on a day on which clocks are changed)") } else { String::new() };
            format!("takes {length} and `windows.{name}` is open for {usual}{less}")
        };
        let hint = match self.window.overrun {
            Overrun::Stop => "It would be stopped every time and never complete: widen the window, begin earlier, or make the job faster.",
            Overrun::Finish => "It would overrun every time: widen the window, begin earlier, or make the job faster.",
        };
        Finding::error(TOO_SHORT, self.path.key("window"), message)
            .label("does not fit")
            .hint(hint)
            .related(self.window_path(), "the window")
    }

    fn tight(&self, length: Length, tightest: &Tightest) -> Finding {
        let (name, window) = (self.name, &self.window.window);
        let clocks = if tightest.shortened { ", when clocks are changed" } else { "" };
        let message =
            format!("takes {length} and has only {} of `windows.{name}` on {}{clocks}", tightest.room, moment(tightest.at, window.zone()));
        let hint = match self.window.overrun {
            Overrun::Stop => "It would be stopped and tried again in the next window: leave more room.",
            Overrun::Finish => "It would overrun: leave more room.",
        };
        Finding::warning(TOO_SHORT, self.path.key("window"), message).hint(hint).related(self.window_path(), "the window")
    }

    fn window_path(&self) -> PolicyPath {
        PolicyPath::from(["windows", self.name.as_str()])
    }
}

/// What the firings of the coming years meet, opening by opening.
struct Walk {
    /// The first firing outside of the window.
    outside: Option<Instant>,
    tightest: Option<Tightest>,
    /// The most room that any run has, but for the day on which an hour comes twice.
    widest: Duration,
}

/// The firing with the least time until the window closes.
struct Tightest {
    at: Instant,
    room: Duration,
    /// The opening is shorter than usual.
    shortened: bool,
}

impl Walk {
    fn through(schedule: &Schedule, window: &Window, now: Instant) -> Walk {
        let mut walk = Walk { outside: None, tightest: None, widest: Duration::ZERO };
        let horizon = now.checked_add(SignedDuration::from_hours(24 * 366 * YEARS)).unwrap_or(Instant::MAX);
        let mut at = now;
        for looked_at in 0..MOST_OPENINGS {
            let Some(firing) = schedule.next_after(at).filter(|firing| looked_at < FEWEST_OPENINGS || *firing < horizon) else { break };
            let Some((open, close)) = window.opening_around(firing) else {
                // One is enough to show; go on where the window opens next, to know how much room there is.
                walk.outside = walk.outside.or(Some(firing));
                let Some((open, _)) = window.next_opening(firing) else { break };
                at = just_before(open);
                continue;
            };
            let last = schedule.previous_before(close).unwrap_or(firing);
            // The day on which an hour comes twice makes no job fit.
            let lengthened = Duration::between(open, close).saturating_sub(window.usual_length());
            walk.widest = walk.widest.max(Duration::between(firing, close).saturating_sub(lengthened));
            let room = Duration::between(last, close);
            if walk.tightest.as_ref().is_none_or(|tightest| room < tightest.room) {
                let shortened = Duration::between(open, close) < window.usual_length();
                walk.tightest = Some(Tightest { at: last, room, shortened });
            }
            at = just_before(close);
        }
        walk
    }
}

/// Both as if clocks were never changed, where they are read on the same ones.
fn apart_from_clocks(schedule: &Schedule, window: &Window) -> Option<(Schedule, Window)> {
    let same = schedule.zone() == window.zone() && schedule.times().is_some();
    same.then(|| (schedule.on_clocks_of(Zone::utc()), window.on_clocks_of(Zone::utc())))
}

/// Some opening contains a firing, however rare that is.
fn ever_inside(schedule: &Schedule, window: &Window, now: Instant) -> bool {
    let openings = std::iter::successors(window.next_opening(now), |(open, _)| window.next_opening(*open)).take(MOST_OPENINGS);
    let firings = std::iter::successors(schedule.next_after(now), |firing| schedule.next_after(*firing)).take(MOST_OPENINGS);
    firings.into_iter().any(|firing| window.contains(firing))
        || openings.into_iter().any(|(open, close)| schedule.next_after(just_before(open)).is_some_and(|firing| firing < close))
}

fn just_before(instant: Instant) -> Instant {
    instant.checked_sub(SignedDuration::from_secs(1)).unwrap_or(instant)
}
