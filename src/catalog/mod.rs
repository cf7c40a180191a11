//! What ran, what was measured, who was told, what was decided: in a SQLite file of this host, or in a PostgreSQL database that a
//! fleet shares.
//!
//! Synchronous: one call after the other, many threads may share it. Those who read many rows of a file of this host at the same time
//! have a connection each; all others share one. Not to be called from within an event loop.
//! It stores texts and numbers and knows no policy; every time is the caller's. What one call changes is changed whole or not at all,
//! and is on disk when the call returns. docs/catalog.md describes the tables.

mod acknowledgements;
mod audit;
mod bounds;
mod drills;
mod fault;
mod history;
mod inventories;
mod jobs;
mod link;
mod lock;
mod many;
mod measurements;
mod memory;
mod migrate;
mod outbox;
mod packed;
mod past;
mod runs;
mod server;
mod sqlite;
mod threads;
mod upkeep;
mod value;
mod words;

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

pub use acknowledgements::Acknowledgement;
pub use drills::{DrillEnd, DrillRow, NewDrill};
pub use fault::{CatalogFault, FaultKind};
pub use history::{Filter, RunRow, Size, StepRow, Taken};
pub use inventories::KeptInventory;
pub use jobs::JobRecord;
pub use link::Where;
pub use lock::Guard;
pub use many::OfPolicy;
pub use measurements::{Latest, Measured, RECOVERY_POINT, RECOVERY_POINT_WORST};
pub use memory::QueuedNotice;
pub use outbox::{FailingReceiver, Outgoing, Undelivered};
pub use past::{ByPolicy, Changed, PastNotice, PastRun, PastRuns, Stretch, Worst};
pub use runs::{Abandoned, End, NewRun, Outcome, RunId, StepOutcome, Why};
pub use upkeep::Pruned;

use link::{Access, Link};
use migrate::{Migration, Stand};

use crate::world::clock;

/// The record, opened.
#[derive(Debug)]
pub struct Catalog {
    place: Where,
    access: Access,
    migrations: Vec<Migration>,
    /// For reading while the other one is taken; those that nobody uses. They are closed before it: the last one out tidies the file up.
    beside: Mutex<Vec<Link>>,
    /// Nothing after a connection broke: the next call makes a new one.
    link: Mutex<Option<Link>>,
}

impl Catalog {
    /// Opens it for writing; makes it where there is none, and brings its tables up to date.
    pub fn open(place: &Where) -> Result<Catalog, CatalogFault> {
        Catalog::open_with(place, migrate::all())
    }

    fn open_with(place: &Where, migrations: Vec<Migration>) -> Result<Catalog, CatalogFault> {
        let link = open_for_writing(place, &migrations)?;
        Ok(Catalog::of(place, Access::Write, migrations, link))
    }

    /// Opens it for reading; `None` where there is none. Nothing is made, changed or brought up to date.
    pub fn open_existing(place: &Where) -> Result<Option<Catalog>, CatalogFault> {
        Catalog::open_existing_with(place, migrate::all())
    }

    fn open_existing_with(place: &Where, migrations: Vec<Migration>) -> Result<Option<Catalog>, CatalogFault> {
        let Some(link) = open_for_reading(place, &migrations)? else { return Ok(None) };
        Ok(Some(Catalog::of(place, Access::Read, migrations, link)))
    }

    fn of(place: &Where, access: Access, migrations: Vec<Migration>, link: Link) -> Catalog {
        Catalog { place: place.clone(), access, migrations, beside: Mutex::default(), link: Mutex::new(Some(link)) }
    }

    pub fn place(&self) -> &Where {
        &self.place
    }

    /// Reads. A connection that broke since the last call is made anew first.
    fn read<T>(&self, work: impl FnOnce(&mut Link) -> Result<T, CatalogFault>) -> Result<T, CatalogFault> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        work(self.usable(&mut link)?)
    }

    /// Reads what takes its time, beside others who do. What this process is writing just now may not be seen yet.
    fn read_beside<T>(&self, work: impl FnOnce(&mut Link) -> Result<T, CatalogFault>) -> Result<T, CatalogFault> {
        if let (Where::Sqlite(_), Err(TryLockError::WouldBlock)) = (&self.place, self.link.try_lock()) {
            let kept = self.beside.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut link = match kept.and_then(|mut link| link.is_usable().then_some(link)) {
                Some(link) => link,
                None => self.open_again()?,
            };
            let done = work(&mut link);
            self.beside.lock().unwrap_or_else(PoisonError::into_inner).push(link);
            return done;
        }
        self.read(work)
    }

    /// Writes, whole or not at all.
    fn write<T>(&self, work: impl FnOnce(&mut Link) -> Result<T, CatalogFault>) -> Result<T, CatalogFault> {
        if self.access == Access::Read {
            let message = format!("the catalog {} was opened for reading only", self.place);
            return Err(CatalogFault::new(FaultKind::ReadOnly, message, "This is a bug in Seawall: please report it."));
        }
        self.read(|link| link.transaction(work))
    }

    fn usable<'l>(&self, slot: &'l mut MutexGuard<'_, Option<Link>>) -> Result<&'l mut Link, CatalogFault> {
        let usable = slot.take().and_then(|mut link| link.is_usable().then_some(link));
        let link = match (usable, self.access) {
            (Some(link), _) => link,
            (None, Access::Write) => open_for_writing(&self.place, &self.migrations)?,
            (None, Access::Read) => self.open_again()?,
        };
        Ok(slot.insert(link))
    }

    fn open_again(&self) -> Result<Link, CatalogFault> {
        open_for_reading(&self.place, &self.migrations)?.ok_or_else(|| {
            let message = format!("the catalog {} is gone", self.place);
            CatalogFault::new(FaultKind::Conflict, message, "It was deleted while it was being read.")
        })
    }
}

fn open_for_writing(place: &Where, migrations: &[Migration]) -> Result<Link, CatalogFault> {
    let mut link = match (Link::open(place, Access::Write)?, place) {
        (Some(link), _) => link,
        (None, Where::Sqlite(path)) => {
            sqlite::create(path)?;
            Link::open(place, Access::Write)?.ok_or_else(|| {
                let message = format!("the catalog {place} vanished as soon as it was made");
                CatalogFault::new(FaultKind::Conflict, message, "Look who deletes files there.")
            })?
        }
        (None, Where::Postgres(_)) => {
            let message = format!("the catalog {place} is not there");
            return Err(CatalogFault::new(FaultKind::Conflict, message, "Look whether `state.catalog` names the right database."));
        }
    };
    match migrate::stand(&mut link, place, migrations)? {
        Stand::Current => link.ensure_wal()?,
        Stand::Older(_) | Stand::Empty => migrate::bring_up(&mut link, place, migrations, clock::now())?,
    }
    Ok(link)
}

fn open_for_reading(place: &Where, migrations: &[Migration]) -> Result<Option<Link>, CatalogFault> {
    let Some(mut link) = Link::open(place, Access::Read)? else { return Ok(None) };
    match migrate::stand(&mut link, place, migrations)? {
        Stand::Current => Ok(Some(link)),
        Stand::Older(done) => Err(migrate::older(place, done, migrations.len())),
        Stand::Empty => Ok(None),
    }
}
