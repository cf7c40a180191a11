//! Nothing is deleted by a wrong clock. How old a mark is, the store's clock says; what the rules let go, this host's does, when it agrees
//! with the store's and with the database's.

use std::time::{Duration, Instant as Stopwatch};

use super::ExpireFault;
pub(super) use crate::execute::store_clock::AGREES;
use crate::execute::store_clock::{apart, stores_time};
use crate::format::layout::Repository;
use crate::postgres::{Connection, Fault};
use crate::site::{Site, SiteFault};
use crate::store::Store;
use crate::units::Instant;
use crate::world::clock;

/// The database is asked for its time, and not waited for.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// As the clocks of this host, of the store and of the database say, if they agree.
    Measured,
    /// For histories that are played: nobody's clock is asked.
    Told(Instant),
}

/// The moment by which one store is judged.
#[derive(Debug, Clone, Copy)]
pub(in crate::execute) struct Moment {
    /// By the store's clock: the age of marks, leases and pins.
    pub store: Instant,
    /// For the rules. The earlier of the two clocks: nothing goes too early.
    pub rules: Instant,
}

pub(in crate::execute) fn moment(clock: Clock, site: &Site<'_>, store: &Store, repository: &Repository) -> Result<Moment, ExpireFault> {
    if let Clock::Told(now) = clock {
        return Ok(Moment { store: now, rules: now });
    }
    let before = clock::now();
    let at = stores_time(store, repository)?;
    let after = clock::now();
    agree("the store's", at, before, after)?;
    if let Some((before, at, after)) = databases_time(site) {
        agree("the database's", at, before, after)?;
    }
    Ok(Moment { store: at, rules: before.min(at) })
}

/// The moment by which rows of a database are old enough, or under hold: the earlier of this host's clock and of its own, where they agree. By
/// one that is ahead rows would go that are young, and holds would have ended that stand.
pub(in crate::execute) fn moment_of(connection: &mut Connection) -> Result<Instant, SiteFault> {
    let (before, at, after) = time_of(connection)?;
    match agree("the database's", at, before, after) {
        Ok(()) => Ok(before.min(at)),
        Err(ExpireFault::Site(fault)) => Err(fault),
        Err(refused) => Err(SiteFault::new(refused.to_string(), refused.hint())),
    }
}

/// `at` was read somewhere between the two moments of this host's clock.
fn agree(whose: &str, at: Instant, before: Instant, after: Instant) -> Result<(), ExpireFault> {
    if apart(before, at, after).abs() <= AGREES {
        return Ok(());
    }
    let message =
        format!("this host's clock says {} and {whose} {}: nothing is deleted by a clock that may be wrong", second(before), second(at));
    Err(ExpireFault::refused(message, "Set the wrong one of them right, and run it again."))
}

pub(super) fn second(moment: Instant) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// None where it cannot be asked: a host that only expires need not reach the database.
fn databases_time(site: &Site<'_>) -> Option<(Instant, Instant, Instant)> {
    let mut settings = site.connection().ok()?;
    settings.connect_timeout = settings.connect_timeout.min(DATABASE_PATIENCE);
    let mut connection = Connection::connect(&settings).ok()?;
    connection.set_silence(DATABASE_PATIENCE).ok()?;
    time_of(&mut connection).ok()
}

/// The database's, and this host's before and after it was asked.
fn time_of(connection: &mut Connection) -> Result<(Instant, Instant, Instant), Fault> {
    let before = clock::now();
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros";
    let micros: i64 = connection.query(sql, &[])?.one()?.parse("micros")?;
    let at = Instant::from_microsecond(micros).map_err(|error| Fault::unexpected(format!("the server's time is none: {error}"), ""))?;
    Ok((before, at, clock::now()))
}

/// How long ago something was looked at. A machine that slept did not count its seconds, and one whose clock was set did not see them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    counted: Stopwatch,
    clock: Instant,
}

impl Since {
    pub(super) fn now() -> Since {
        Since { counted: Stopwatch::now(), clock: clock::now() }
    }

    pub(super) fn is_longer_than(&self, limit: Duration) -> bool {
        let by_clock = clock::now().duration_since(self.clock).unsigned_abs();
        self.counted.elapsed() > limit || by_clock > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_minutes_are_no_difference_and_three_are() {
        let at = |text: &str| -> Instant { text.parse().expect("a moment") };
        let (before, after) = (at("2026-11-21T02:00:00Z"), at("2026-11-21T02:01:00Z"));
        for (store, agrees) in [
            ("2026-11-21T01:58:00Z", true),
            ("2026-11-21T01:57:59Z", false),
            ("2026-11-21T02:00:30Z", true),
            ("2026-11-21T02:03:00Z", true),
            ("2026-11-21T02:03:01Z", false),
        ] {
            let agreed = agree("the store's", at(store), before, after);
            assert_eq!(agreed.is_ok(), agrees, "{store}: {agreed:?}");
        }
    }
}
