//! What must be so before a dump is fetched for a drill.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::DrillFault;
use crate::execute::dump::restore::Found;
use crate::execute::extensions;
use crate::execute::throwaway::may_enter;
use crate::format::contents::Database;
use crate::format::descriptor::Private;
use crate::pipeline::restore::Owner;
use crate::units::Bytes;

/// A server with nothing in it.
const EMPTY: u64 = 64 << 20;
/// As much log a server keeps that is loaded, unless it is told otherwise.
const LOG: u64 = 1 << 30;

/// For a server of this version with these libraries. Which other extensions it has, it says itself.
pub(super) fn must_suit(found: &Found, (bin, major): (&Path, u32), preloaded: &str, base: &Path) -> Result<(), DrillFault> {
    // Tables without anything around them are no hypertables, and what else they need is seen when they are made.
    if found.is_of_tables() {
        return must_have_room(found, base);
    }
    let timescale = |database: &Database| {
        let version = database.extensions.get("timescaledb")?;
        Some((database.name.clone(), BTreeMap::from([("timescaledb".to_owned(), version.clone())])))
    };
    let private = Private {
        extensions: found.contents.databases.iter().filter_map(timescale).collect(),
        settings: BTreeMap::from([("shared_preload_libraries".to_owned(), preloaded.to_owned())]),
        ..Private::default()
    };
    extensions::must_be_here(bin, major, &private)?;
    must_have_room(found, base)
}

/// A database needs as much as it has on the original's disk; where that is not known, or not all of it is dumped, twice its rows.
fn must_have_room(found: &Found, base: &Path) -> Result<(), DrillFault> {
    // The folder itself is made later.
    let Some(system) = base.ancestors().find_map(|above| rustix::fs::statvfs(above).ok()) else { return Ok(()) };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let dumped = |database: &Database| {
        let is_of_it = |name: &str| {
            database.archives.iter().any(|archive| archive.object == name) || database.exports.iter().any(|export| export.object == name)
        };
        let objects = found.descriptor.objects.iter().filter(|object| is_of_it(&object.name));
        objects.map(|object| object.plain_size).sum::<u64>().saturating_mul(2)
    };
    let of = |database: &Database| database.own.as_ref().filter(|_| !database.partial).map_or_else(|| dumped(database), |own| own.bytes);
    let data: u64 = found.contents.databases.iter().map(of).sum();
    let needed = data.saturating_add(data.min(LOG)).saturating_add(EMPTY);
    if free >= needed {
        return Ok(());
    }
    let shown = |bytes: u64| Bytes::new(bytes).rounded();
    let message = format!("`{}` has {} left, and the copy needs about {}", base.display(), shown(free), shown(needed));
    Err(DrillFault::new(message, "Make room, or name another place with `drills.NAME.directory`."))
}

/// Its server will lie there.
pub(super) fn must_be_entered(base: &Path, owner: Option<Owner>, account: &str) -> Result<(), DrillFault> {
    if may_enter(base, owner) {
        return Ok(());
    }
    let message = format!("`{account}`, as whom PostgreSQL runs, may not enter `{}`", base.display());
    Err(DrillFault::new(message, "Name a place that it may enter with `drills.NAME.directory`, or run the drill as that account."))
}
