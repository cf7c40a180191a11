//! What getting the tables will take: known, and shown, before anything large is fetched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::catalogs::{Look, Seen};
use super::choice::Partial;
use super::{Fault, Known, Onlooker, TableName, Wanted, quietly};
use crate::execute::extensions;
use crate::execute::id::new_id;
use crate::execute::restore::{self, Estimate, Pin, Request, RestorePlan, Server, programs};
use crate::execute::throwaway::{self, Place, Purpose};
use crate::format::descriptor::Private;
use crate::format::system::{FIRST_NORMAL, LARGE_OBJECTS};
use crate::inventory::Phase;
use crate::plan::words::{joined, quoted};
use crate::recovery::Target;
use crate::site::Site;
use crate::units::{BackupId, Instant, Name, nearest};
use crate::world::clock;

/// A table that comes along unasked is no larger, and there are no more of them.
const SMALL: u64 = 128 << 10;
const MOST_SMALL: usize = 256;

/// What is known of a wanted table in the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub table: TableName,
    /// With what belongs to it: its TOAST table, partitions, chunks and sequences. `None` where the backup does not have it.
    pub relations: Option<usize>,
    /// Plain bytes of all of these.
    pub bytes: u64,
}

/// What people see before anything large is fetched.
#[derive(Debug)]
pub struct Planned<'s> {
    pub backup: BackupId,
    pub stopped: Instant,
    pub store: Name,
    /// Why this backup.
    pub reason: String,
    pub database: String,
    pub tables: Vec<Found>,
    /// Bytes that are read from the store, those for this plan included, of how many that a full restore reads.
    pub fetch: u64,
    pub fetch_of: u64,
    /// Plain bytes that are written, of how many.
    pub size: u64,
    pub size_of: u64,
    /// Room that the copy needs at most: what is written, and what the log may add.
    pub room: u64,
    /// Where it will lie.
    pub directory: PathBuf,
    /// The log to replay, and how long it may take.
    pub estimate: Estimate,
    /// What is worth knowing and stops nothing.
    pub warnings: Vec<String>,
    pub(super) held: Holding<'s>,
}

/// What carries the plan out.
#[derive(Debug)]
pub(super) struct Holding<'s> {
    pub site: &'s Site<'s>,
    pub wanted: Wanted,
    pub plan: RestorePlan,
    pub place: Place,
    pub base: PathBuf,
    pub port: u16,
    pub seen: Arc<Seen>,
    /// Bytes that were read when this began, and those of looking into the backup that nobody counted.
    pub read_before: u64,
    pub read_looking: u64,
    pub partial: Partial,
    /// For as long as the backup and its log are read.
    pub pin: Option<Pin>,
}

impl Planned<'_> {
    /// The recovery of which it is a part.
    pub(in crate::execute) fn plan(&self) -> &RestorePlan {
        &self.held.plan
    }
}

/// Finds the backup and in it the tables, and says what getting them will take. Only the catalogs are fetched for that.
pub fn physical<'s>(site: &'s Site<'s>, wanted: &Wanted, onlooker: Onlooker<'_>) -> Result<Planned<'s>, Fault> {
    throwaway::sweep(site, &|purpose| *purpose == Purpose::Tables, &mut |_, _| {});
    quietly(site, onlooker, || planned(site, wanted, onlooker))
}

fn planned<'s>(site: &'s Site<'s>, wanted: &Wanted, onlooker: Onlooker<'_>) -> Result<Planned<'s>, Fault> {
    onlooker.enter(Phase::Prepare);
    if wanted.is_nothing() {
        return Err(Fault::new("no table is named", "Name one as `schema.table`."));
    }
    let now = clock::now();
    let base = wanted.directory.clone().unwrap_or_else(|| throwaway::usual_for_tables(site));
    let base = absolute(&base)?;
    let purpose = wanted.purpose();
    throwaway::refuse_the_original(site, &base, &purpose)?;
    let id = wanted.copy.as_ref().map_or_else(|| new_id(now), |(id, _)| Ok(id.clone()))?;
    let place = Place::make(site, &base, &id, purpose.clone())?;
    let port = throwaway::free_port()?;
    let plan = restore::plan(site, request(site, wanted, &place, port)?, now)?;
    throwaway::must_suit(site, &plan, &base, &purpose)?;
    let version = plan.chosen.descriptor.cluster.version;
    let programs = programs::find(wanted.programs.as_deref(), version / 10_000)?;
    // What is loaded at the start; what the database itself uses is known once it is known which one it is.
    must_be_here(&programs, &plan, None)?;
    Server::prepare(&plan, wanted.programs.as_deref())?;
    let pin = Pin::put(&plan, site.host(), now);

    let read_before = onlooker.progress.files.fetched.load(Ordering::Relaxed);
    let (seen, looked) = match &wanted.known {
        Some(known) => (Arc::clone(&known.0), (0, 0)),
        None => {
            let seen = look(site, wanted, &plan, &place, onlooker)?;
            let looked = (seen.stored, seen.indexes);
            (Arc::new(seen), looked)
        }
    };
    must_be_here(&programs, &plan, Some(&seen.database))?;
    let mut warnings = plan.warnings.clone();
    warnings.extend(unknown_database(&seen, wanted, &plan)?);
    let tables = wanted.tables.iter().map(|table| find(&seen, table)).collect::<Vec<Found>>();
    let is_guess = wanted.oids.is_empty() && seen.databases.wanted.is_some();
    for missing in tables.iter().filter(|found| found.relations.is_none() && is_guess) {
        warnings.push(unknown(&missing.table, &seen, wanted, &plan)?);
    }
    let nodes = nodes(&seen, wanted);
    let (size, stored) = seen.listing.cost(&nodes);
    let indexes: u64 = index_bytes(&plan);
    let log = plan.estimate.wal_bytes;
    throwaway::must_have_room(&base, size, log, &purpose)?;
    let descriptor = &plan.chosen.descriptor;
    let share = if descriptor.size == 0 { 1.0 } else { size as f64 / descriptor.size as f64 };
    let estimate = Estimate { copy_seconds: plan.estimate.copy_seconds.map(|seconds| seconds * share), ..plan.estimate.clone() };
    Ok(Planned {
        backup: descriptor.id.clone(),
        stopped: descriptor.stopped,
        store: plan.chosen.store_name.clone(),
        reason: plan.chosen.reason.clone(),
        database: seen.database.clone(),
        tables,
        fetch: looked.0 + looked.1 + indexes + stored,
        fetch_of: descriptor.stored_size,
        size,
        size_of: descriptor.size,
        room: size + log,
        directory: base.clone(),
        estimate,
        warnings,
        held: Holding {
            site,
            wanted: wanted.clone(),
            place,
            base,
            port,
            partial: Partial { databases: seen.databases.clone(), nodes },
            seen,
            read_before,
            read_looking: looked.1,
            pin,
            plan,
        },
    })
}

impl Planned<'_> {
    /// What was seen in the backup.
    pub fn known(&self) -> Known {
        Known(Arc::clone(&self.held.seen))
    }

    /// How many seconds a plain byte takes, where any rate is known.
    pub fn pace(&self) -> Option<f64> {
        self.estimate.copy_seconds.filter(|_| self.size > 0).map(|seconds| seconds / self.size as f64)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| Fault::new(format!("`{}`: {error}", path.display()), ""))
}

/// What every part's index has together: it is read each time that files are looked for.
pub(super) fn index_bytes(plan: &RestorePlan) -> u64 {
    plan.chosen.descriptor.objects_of(crate::format::descriptor::ObjectKind::Index).map(|index| index.size).sum()
}

fn request(site: &Site<'_>, wanted: &Wanted, place: &Place, port: u16) -> Result<Request, Fault> {
    let file = site.file().ok_or_else(|| Fault::new("the policy's file is not known, and the server reads its log by it", ""))?;
    let own = || std::env::current_exe().map_err(|error| Fault::new(format!("our own program is not found: {error}"), ""));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut set = throwaway::of_copy(place, &place.id().clone(), port);
    set.extend(settings());
    Ok(Request {
        target: wanted.target.clone(),
        exclusive: wanted.exclusive,
        timeline: wanted.timeline,
        backup: wanted.backup.clone(),
        store: wanted.store.clone(),
        directory: place.data(),
        tablespaces: Vec::new(),
        delta: false,
        standby: None,
        identity: wanted.identity.as_deref().map(absolute).transpose()?,
        owner: None,
        workers: wanted.workers.unwrap_or_else(|| processors.min(8)),
        action: restore::Action::Promote,
        config_to: None,
        set,
        start: true,
        fetch: restore::FetchCommand {
            program: wanted.seawall.clone().map_or_else(own, Ok)?,
            policy: absolute(file)?,
            state: site.given_state().map(absolute).transpose()?,
        },
        throw_away: Some(place.tablespaces()),
    })
}

/// On top of what every throw-away copy gets.
fn settings() -> Vec<(String, String)> {
    let all = [
        // What is not wanted is full of holes. What the log says of a page that lies in one is passed over; once it brings the whole page,
        // the page is there.
        ("ignore_invalid_pages", "on"),
        // One line for each, without where in the log it was.
        ("log_error_verbosity", "terse"),
        // Nobody but us, and what we read is proven.
        ("default_transaction_read_only", "off"),
        ("ignore_checksum_failure", "off"),
        ("zero_damaged_pages", "off"),
        // Not even to save a cluster from the end of its transaction numbers: a worker that enters a database of holes ends the server.
        ("autovacuum_freeze_max_age", "2000000000"),
        ("autovacuum_multixact_freeze_max_age", "2000000000"),
        // It goes with the machine.
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Of the database all extensions, and of the others none: nobody enters them.
fn must_be_here(programs: &Path, plan: &RestorePlan, database: Option<&str>) -> Result<(), Fault> {
    let private = &plan.chosen.private;
    let ours = |(name, _): &(&String, _)| Some(name.as_str()) == database;
    let extensions = private.extensions.iter().filter(ours).map(|(name, versions)| (name.clone(), versions.clone())).collect();
    let needed = Private { extensions, settings: private.settings.clone(), ..Private::default() };
    Ok(extensions::must_be_here(programs, plan.chosen.descriptor.cluster.version / 10_000, &needed)?)
}

fn look(site: &Site<'_>, wanted: &Wanted, plan: &RestorePlan, place: &Place, onlooker: Onlooker<'_>) -> Result<Seen, Fault> {
    let folder = place.folder().join("catalogs");
    let likely = site.policy.file.cluster.as_ref().map(|cluster| cluster.databases.clone()).unwrap_or_default();
    onlooker.must_go_on()?;
    let seen = Look::new(plan, &folder, &onlooker.progress.files).see(wanted.database.as_deref(), &likely)?;
    onlooker.must_go_on()?;
    // What comes back is counted from here on.
    onlooker.progress.files.done.store(0, Ordering::Relaxed);
    fs::remove_dir_all(&folder).map_err(|error| Fault::new(format!("`{}` cannot be removed: {error}", folder.display()), ""))?;
    Ok(seen)
}

fn find(seen: &Seen, table: &TableName) -> Found {
    let called = seen.catalog.called(&table.schema, &table.name);
    let family = seen.catalog.family(&called);
    let nodes: BTreeSet<u32> = family.iter().flat_map(|oid| seen.catalog.nodes_of(*oid)).collect();
    Found { table: table.clone(), relations: (!called.is_empty()).then_some(family.len()), bytes: seen.listing.size(&nodes) }
}

/// Files of the catalogs and of what is wanted, and of nothing else.
fn nodes(seen: &Seen, wanted: &Wanted) -> BTreeSet<u32> {
    let catalog = &seen.catalog;
    let mut oids: BTreeSet<u32> = if wanted.oids.is_empty() {
        wanted.tables.iter().flat_map(|table| catalog.called(&table.schema, &table.name)).collect()
    } else {
        wanted.oids.clone()
    };
    oids.extend(wanted.ahead.iter().flat_map(|(schema, name)| catalog.called_anywhere(schema.as_deref(), name)));
    if !wanted.ahead.is_empty() {
        oids.extend(small(seen));
    }
    oids.extend(catalog.sequences().filter(|_| wanted.sequences));
    let large = LARGE_OBJECTS.into_iter().filter(|_| wanted.large_objects).flat_map(|oid| catalog.nodes_of(oid));
    catalog.family(&oids).into_iter().flat_map(|oid| catalog.nodes_of(oid)).chain(large).chain(system(seen)).collect()
}

/// Tables that cost next to nothing: what is asked for ahead may not be usable without one of them, and nobody knows yet without which.
fn small(seen: &Seen) -> impl Iterator<Item = u32> {
    let bytes = |oid: &u32| seen.listing.size(&seen.catalog.nodes_of(*oid));
    let mut tables: Vec<(u64, u32)> = seen.catalog.tables().map(|oid| (bytes(&oid), oid)).filter(|(bytes, _)| *bytes <= SMALL).collect();
    tables.sort_unstable();
    tables.into_iter().take(MOST_SMALL).map(|(_, oid)| oid)
}

/// What a server needs whatever is wanted.
pub(super) fn system(seen: &Seen) -> BTreeSet<u32> {
    // What initdb has put there is a catalog's, should its row have been missed.
    let first = seen.listing.nodes.keys().copied().filter(|node| *node < FIRST_NORMAL);
    let not = |node: &u32| !LARGE_OBJECTS.contains(node);
    first.filter(not).chain(seen.catalog.system()).collect()
}

/// A database that the backup does not have can only have been made after it.
fn unknown_database(seen: &Seen, wanted: &Wanted, plan: &RestorePlan) -> Result<Option<String>, Fault> {
    if seen.databases.wanted.is_some() {
        return Ok(None);
    }
    let what = format!("the database {} is not in backup {}", quoted(&seen.database), plan.chosen.descriptor.id);
    let near = nearest(&seen.database, seen.names.iter().map(String::as_str));
    if let Some(near) = near.filter(|_| !wanted.made_later) {
        return Err(Fault::new(what, format!("Did you mean {}?", quoted(near))));
    }
    if is_all(plan) {
        return Err(Fault::new(what, format!("It has {}.", joined(seen.names.iter().map(quoted)))));
    }
    Ok(Some(format!("{what}: if it was made after it, the log makes it again")))
}

/// Nothing of the log comes after the backup.
fn is_all(plan: &RestorePlan) -> bool {
    matches!(plan.request.target, Target::Immediate(_))
}

fn unknown(table: &TableName, seen: &Seen, wanted: &Wanted, plan: &RestorePlan) -> Result<String, Fault> {
    let id = &plan.chosen.descriptor.id;
    let what = format!("{} is not in the database {} of backup {id}", quoted(table), quoted(&seen.database));
    let near = seen.catalog.near(table).map(|near| format!("Did you mean {}?", quoted(near)));
    match near {
        Some(near) if is_all(plan) => Err(Fault::new(what, near)),
        Some(near) if !wanted.made_later => Err(Fault::new(
            what,
            format!("{near} If it is the name of a table that was made or renamed after the backup, say `--made-later`."),
        )),
        None if is_all(plan) => {
            Err(Fault::new(what, "Check the name: it is written as `schema.table`, with upper and lower case as they are."))
        }
        _ => Ok(format!("{what}: if it was made or renamed after it, the log does that again")),
    }
}
