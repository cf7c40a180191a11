//! The moment before the command gets a name, and it is proven that recovery leads there.
//!
//! The order: the point; the hold, so that the backup stays from here on whatever its job's `keep` says; the end of the segment; the wait until
//! it lies in the store; and only then the question whether backup and log are all there. Whatever expired the backup before the hold was put is
//! seen by that question, and whatever comes after sees the hold.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;

use super::bases::{Place, must_lead};
use super::fault::GuardFault;
use super::primary::{self, connect};
use super::{Protection, segment};
use crate::execute::backup::archived::{Archive, Needed, must_be_own, wait};
use crate::inventory::{Hold, Selection};
use crate::plan::guard::{Base, Primary};
use crate::postgres::Connection;
use crate::site::Site;
use crate::units::{BackupId, Instant, Key, Lsn, Name, Timeline};
use crate::world::clock;

/// A moment that recovery can come back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub name: Name,
    pub lsn: Lsn,
    pub timeline: Timeline,
    pub at: Instant,
    /// Where the backup and the log are.
    pub store: Name,
    pub backup: BackupId,
    /// What of it could not be looked at.
    pub remark: Option<String>,
    /// The hold that was put for it.
    held: Option<Key>,
}

/// What it is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'o> {
    pub name: &'o Name,
    /// Why it exists, for whoever meets it in the store.
    pub reason: &'o str,
    pub from: &'o Base,
    /// The backup is held until then. None where it keeps itself.
    pub hold: Option<Instant>,
    pub patience: Duration,
    pub stop: &'o AtomicBool,
}

pub(super) fn mark(site: &Site<'_>, order: Order<'_>) -> Result<Point, GuardFault> {
    let started = clock::now();
    let mut session = connect(site)?;
    let primary = primary::look(&mut session)?;
    if let Some(why) = primary.cannot_mark() {
        return Err(GuardFault::new(why, "It was otherwise a moment ago: look who changed it."));
    }
    let place = Place::open(site, &order.from.store)?;
    let lsn = session.create_restore_point(order.name.as_str())?;
    let at = clock::now();
    let hold = order.hold.map(|until| hold(&place, &order, until)).transpose()?;
    let proven =
        session.switch_wal().map_err(GuardFault::from).and_then(|_| prove(site, &place, &order, &primary, lsn, started, &mut session));
    match proven {
        Ok(remark) => Ok(Point {
            name: order.name.clone(),
            lsn,
            at,
            timeline: primary.timeline,
            store: order.from.store.clone(),
            backup: order.from.backup.clone(),
            remark,
            held: hold,
        }),
        Err(fault) => {
            // Nothing is undone by it. Where it cannot be taken away it ends by itself.
            if let Some(key) = hold {
                let _ = place.store.delete(&[key]);
            }
            Err(fault)
        }
    }
}

fn hold(place: &Place, order: &Order<'_>, until: Instant) -> Result<Key, GuardFault> {
    let hold = Hold {
        name: order.name.clone(),
        reason: order.reason.to_owned(),
        until: Some(until),
        passing: true,
        selects: Selection { backups: vec![order.from.backup.clone()], ..Selection::default() },
    };
    let key = Key::new(format!("{}/{}.json", place.repository.prefix("holds"), order.name));
    let key = key.map_err(|error| GuardFault::new(error.to_string(), ""))?;
    let json = serde_json::to_vec(&hold).map_err(|error| GuardFault::new(error.to_string(), ""))?;
    place.store.put_new(&key, Bytes::from(json))?;
    Ok(key)
}

/// The command was not run: nothing is to be undone, and nothing held for it. False where nothing was, or where the hold stays until it ends
/// by itself, which is then said.
pub fn let_go(site: &Site<'_>, protection: &Protection) -> bool {
    let Some((point, key)) = protection.point.as_ref().and_then(|point| Some((point, point.held.as_ref()?))) else { return false };
    let gone = Place::open(site, &point.store).and_then(|place| Ok(place.store.delete(std::slice::from_ref(key))?));
    if let Err(fault) = &gone {
        let until = crate::plan::minute(protection.until);
        tracing::warn!(hint = fault.hint, "the hold {key} stays in store `{}` until {until}: {}", point.store, fault.message);
    }
    gone.is_ok()
}

/// Gives what could not be looked at.
fn prove(
    site: &Site<'_>,
    place: &Place,
    order: &Order<'_>,
    primary: &Primary,
    lsn: Lsn,
    started: Instant,
    session: &mut Connection,
) -> Result<Option<String>, GuardFault> {
    let archive = Archive { store: &place.store, repository: &place.repository, codec: site.codec(None), envelope: site.envelope() };
    let needed = Needed {
        cluster: primary.cluster,
        timeline: primary.timeline,
        // Its record ends there and may have begun in the segment before, which `must_lead` asks for.
        start: Lsn(lsn.0.saturating_sub(1)),
        stop: lsn,
        segment: primary.segment,
    };
    wait(archive, &needed, order.patience, order.stop, session, &|awaited| tracing::info!("{awaited}"))?;
    must_be_own(archive, &needed, None, started)?;
    let seen = place.look(site, clock::now())?;
    must_lead(&seen, &order.from.backup, primary.cluster, primary.timeline, lsn).map_err(|why| {
        let message = format!("the restore point is in store `{}`, and recovery does not lead to it: {why}", order.from.store);
        GuardFault::new(message, "`seawall wal status` shows the gap; `--with backup` does without the log until now.")
    })?;
    segment::must_hold(site, place, primary, (order.name, lsn))
}
