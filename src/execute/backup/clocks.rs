//! What time it is, before a backup is dated by this host's clock.
//!
//! One from a wrong future answers no firing and stops expiry until that time comes; one from a wrong past looks old, and goes too early. By
//! minutes, that heals itself while somebody mends the clock, and a backup is worth more than its date: it is taken, and everybody hears of it.
//! By more than an hour it does more harm than a backup that comes an hour later, so it is not taken, and tried again.

use jiff::SignedDuration;

use super::BackupFault;
use super::lease::Lease;
use crate::execute::store_clock::{AGREES, apart};
use crate::plan::words::about;
use crate::postgres::Connection;
use crate::site::SiteFault;
use crate::units::{Instant, moment_of};
use crate::world::clock;

/// From here on nothing is dated by this clock.
const WRONG: SignedDuration = SignedDuration::from_hours(1);

/// What people should know of this host's clock; a fault where it is so wrong that no backup is taken by it, unless that is wished.
pub(in crate::execute) fn compare(connection: Option<&mut Connection>, lease: &Lease, force: bool) -> Result<Vec<String>, BackupFault> {
    let mut remarks = Vec::new();
    let server = connection.map(servers).transpose()?.map(|times| ("the server's", times));
    for (whose, (before, at, after)) in server.into_iter().chain([("the store's", lease.compared()?)]) {
        let off = apart(before, at, after);
        if off.abs() <= AGREES {
            continue;
        }
        let side = if off.is_positive() { "behind" } else { "ahead of" };
        let message = format!("this host's clock is {} {side} {whose}", about(off.abs().as_secs()));
        if off.abs() > WRONG && !force {
            let hint = "A backup with a wrong date stops expiry, or goes too early. Set the wrong clock right (`chronyc makestep`); `--force` takes it all the same.";
            return Err(SiteFault { transient: true, ..SiteFault::new(format!("{message}: no backup is dated by it"), hint) }.into());
        }
        tracing::warn!(hint = "Set the wrong clock right, for example with `chronyc makestep`.", "{message}");
        remarks.push(format!("{message}, and the backup is dated by it"));
    }
    Ok(remarks)
}

fn servers(connection: &mut Connection) -> Result<(Instant, Instant, Instant), BackupFault> {
    let before = clock::now();
    let rows = connection.query("select extract(epoch from clock_timestamp()) as now", &[])?;
    let at = rows.one()?.parse::<f64>("now").map(moment_of)?;
    // A time that makes no sense is no time to compare with.
    Ok((before, at.unwrap_or(before), clock::now()))
}
