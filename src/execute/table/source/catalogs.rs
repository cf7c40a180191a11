//! Reads the catalogs of one database out of a backup: a few megabytes, whatever the cluster has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::Fault;
use super::choice::{Catalogs, Databases, Shared};
use super::listing::Listing;
use super::relations::{Catalog, TIMESCALE};
use crate::execute::restore::RestorePlan;
use crate::format::filenode_map;
use crate::format::heap::{Version, versions};
use crate::format::relation_file::parse;
use crate::format::system::{
    self, CLASSES, Chunk, Class, DATABASES, DEPENDENCIES, FIRST_NORMAL, Hypertable, INDEXES, INHERITS, NAMESPACES,
};
use crate::pipeline::restore::{Choice, Ground, How, Progress, Source, restore};
use crate::plan::words::{joined, quoted};

/// The catalogs that a database's relations are known by, apart from `pg_class`, which says where they are.
const READ: [u32; 4] = [NAMESPACES, INHERITS, INDEXES, DEPENDENCIES];
const TEMPLATES: [&str; 2] = ["template0", "template1"];

/// What databases were called, by their numbers; and of each name whether nothing says that it was given up.
type Names = BTreeMap<u32, BTreeMap<String, bool>>;

/// A look into a backup, on the way to knowing what to fetch of it.
#[derive(Debug)]
pub(super) struct Look<'l> {
    plan: &'l RestorePlan,
    /// Where what was fetched for it lies.
    folder: &'l Path,
    progress: &'l Progress,
    looks: u32,
    indexes: u64,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub database: String,
    /// Of all databases.
    pub names: Vec<String>,
    pub databases: Databases,
    pub catalog: Catalog,
    pub listing: Listing,
    /// Bytes that were read from the store for it: of the parts, and of their indexes.
    pub stored: u64,
    pub indexes: u64,
}

impl<'l> Look<'l> {
    pub(super) fn new(plan: &'l RestorePlan, folder: &'l Path, progress: &'l Progress) -> Look<'l> {
        Look { plan, folder, progress, looks: 0, indexes: 0 }
    }

    pub(super) fn see(mut self, wanted: Option<&str>, likely: &[String]) -> Result<Seen, Fault> {
        let shared = self.fetch(&Shared)?;
        let all = self.databases(&shared)?;
        let names = standing(&all);
        let name = name_of(wanted, likely, &names)?;
        let wanted = number_of(&name, &all).map_err(|several| {
            let message = format!(
                "{} databases of backup {} were called {} while it was made",
                several,
                self.plan.chosen.descriptor.id,
                quoted(&name)
            );
            Fault::new(message, "Another backup may serve, with `--backup ID`.")
        })?;
        // One that was made after the backup was copied from a template, by the log, file by file.
        let whole = if wanted.is_some() { BTreeSet::new() } else { templates(&all) };
        let databases = Databases { wanted, whole };
        let listing = Mutex::new(Listing::new(databases.clone()));
        let mut catalog = Catalog::default();
        match wanted {
            Some(oid) => self.read(oid, &shared, &listing, &mut catalog)?,
            None => _ = self.fetch(&Catalogs { database: None, nodes: BTreeSet::new(), listing: Some(&listing) })?,
        }
        let listing = listing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let stored = self.progress.fetched.load(Ordering::Relaxed);
        Ok(Seen { database: name, names: names.into_iter().collect(), databases, catalog, listing, stored, indexes: self.indexes })
    }

    /// Every database that the backup has. The list of them also names what was dropped long ago; of that there is nothing else.
    fn databases(&self, shared: &Path) -> Result<Names, Fault> {
        let map = map_in(&shared.join("global"))?;
        let node = map.get(&DATABASES).copied().unwrap_or(DATABASES);
        let mut all = Names::new();
        self.each(&segments(&shared.join("global"), node), &mut |row| {
            if let Some((oid, name)) = system::named(row) {
                *all.entry(oid).or_default().entry(name).or_default() |= !row.is_replaced();
            }
        })?;
        all.retain(|oid, _| folders(shared, *oid).iter().any(|folder| folder.join(filenode_map::FILE).is_file()));
        if all.is_empty() {
            return Err(self.nonsense("it names no database"));
        }
        Ok(all)
    }

    fn read(&mut self, database: u32, shared: &Path, listing: &Mutex<Listing>, catalog: &mut Catalog) -> Result<(), Fault> {
        let folders = folders(shared, database);
        let map = folders.iter().find(|folder| folder.join(filenode_map::FILE).is_file());
        let map = map.ok_or_else(|| self.nonsense(&format!("database {database} has no `{}`", filenode_map::FILE)))?;
        catalog.map = map_in(map)?;
        let classes = catalog.map.get(&CLASSES).copied().unwrap_or(CLASSES);
        // Mostly they lie where initdb has put them.
        let mut nodes: BTreeSet<u32> = READ.into_iter().chain([classes]).collect();
        let first = self.fetch(&Catalogs { database: Some(database), nodes: nodes.clone(), listing: Some(listing) })?;
        let major = self.plan.chosen.descriptor.cluster.version / 10_000;
        self.rows(&first, database, &[classes], &mut |row| {
            if let Some(class) = Class::read(row, major) {
                catalog.add(class);
            }
        })?;
        if !catalog.classes.contains_key(&CLASSES) {
            return Err(self.nonsense(&format!("the catalog of database {database} does not name itself")));
        }
        let mut places = vec![first];
        let elsewhere: BTreeSet<u32> =
            READ.into_iter().flat_map(|oid| catalog.nodes_of(oid)).filter(|node| !nodes.contains(node)).collect();
        if !elsewhere.is_empty() {
            places.push(self.fetch(&Catalogs { database: Some(database), nodes: elsewhere.clone(), listing: None })?);
            nodes.extend(elsewhere);
        }
        for place in &places {
            self.relations(place, database, catalog)?;
        }
        self.hypertables(database, catalog)
    }

    fn relations(&self, place: &Path, database: u32, catalog: &mut Catalog) -> Result<(), Fault> {
        let files = |oid: u32| catalog.nodes_of(oid).into_iter().collect::<Vec<u32>>();
        let [namespaces, inherits, indexes, dependencies] = READ.map(files);
        self.rows(place, database, &namespaces, &mut |row| {
            if let Some((oid, name)) = system::named(row) {
                catalog.namespaces.entry(oid).or_default().insert(name);
            }
        })?;
        self.rows(place, database, &inherits, &mut |row| {
            if let Some((child, parent)) = system::pair(row) {
                catalog.children.put(child, parent);
            }
        })?;
        self.rows(place, database, &indexes, &mut |row| {
            if let Some((index, table)) = system::pair(row) {
                catalog.indexes.put(index, table);
            }
        })?;
        self.rows(place, database, &dependencies, &mut |row| {
            if let Some((sequence, table)) = system::owned(row).filter(|(sequence, _)| *sequence >= FIRST_NORMAL) {
                catalog.owned.put(sequence, table);
            }
        })
    }

    /// TimescaleDB's own tables, where there are any.
    fn hypertables(&mut self, database: u32, catalog: &mut Catalog) -> Result<(), Fault> {
        let files = |name: &str| {
            let oids = catalog.called(TIMESCALE[0], name);
            oids.into_iter().flat_map(|oid| catalog.nodes_of(oid)).collect::<Vec<u32>>()
        };
        let (tables, chunks) = (files("hypertable"), files("chunk"));
        if tables.is_empty() {
            return Ok(());
        }
        let nodes = tables.iter().chain(&chunks).copied().collect();
        let place = self.fetch(&Catalogs { database: Some(database), nodes, listing: None })?;
        self.rows(&place, database, &tables, &mut |row| catalog.hypertables.extend(Hypertable::read(row)))?;
        self.rows(&place, database, &chunks, &mut |row| catalog.chunks.extend(Chunk::read(row)))
    }

    /// Fetches what a choice takes, into a folder of its own.
    fn fetch(&mut self, only: &dyn Choice) -> Result<PathBuf, Fault> {
        let chosen = &self.plan.chosen;
        let root = self.folder.join(self.looks.to_string());
        self.looks += 1;
        let ground = Ground { root: root.clone(), tablespaces: BTreeMap::new(), owner: None };
        let source = Source::of(&chosen.store, &chosen.repository, &chosen.descriptor, &self.plan.identities)?;
        self.indexes += source.parts.iter().map(|part| part.index_size).sum::<u64>();
        let how = How { workers: self.plan.request.workers, delta: false, only: Some(only) };
        restore(&source, &ground, how, self.progress)?;
        Ok(root)
    }

    fn rows(&self, place: &Path, database: u32, nodes: &[u32], each: &mut dyn FnMut(&Version<'_>)) -> Result<(), Fault> {
        let folders = folders(place, database);
        let files: Vec<PathBuf> = nodes.iter().flat_map(|node| folders.iter().flat_map(|folder| segments(folder, *node))).collect();
        self.each(&files, each)
    }

    fn each(&self, files: &[PathBuf], each: &mut dyn FnMut(&Version<'_>)) -> Result<(), Fault> {
        let failed = |path: &Path, error: std::io::Error| Fault::new(format!("`{}` cannot be read: {error}", path.display()), "");
        let mut page = vec![0; self.plan.chosen.descriptor.cluster.block_size as usize];
        for path in files {
            let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(|error| failed(path, error))?);
            loop {
                match file.read_exact(&mut page) {
                    Ok(()) => versions(&page).for_each(|row| each(&row)),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                    Err(error) => return Err(failed(path, error)),
                }
            }
        }
        Ok(())
    }

    fn nonsense(&self, what: &str) -> Fault {
        let message = format!("backup {} cannot be understood: {what}", self.plan.chosen.descriptor.id);
        Fault::new(message, "Another backup may serve, with `--backup ID`; `seawall restore` brings back all of it.")
    }
}

/// Where files of a database may lie: by its own folder, and by those of tablespaces.
fn folders(root: &Path, database: u32) -> Vec<PathBuf> {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<PathBuf>>();
    let versions = list(&root.join("pg_tblspc")).into_iter().flat_map(|space| list(&space));
    let all = [root.join("base")].into_iter().chain(versions).map(|above| above.join(database.to_string()));
    all.filter(|folder| folder.is_dir()).collect()
}

/// The main files of a relation: `1259`, `1259.1`, …
fn segments(folder: &Path, node: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |name: &str| {
        let main = name.split('.').next().unwrap_or_default();
        main.parse() == Ok(node) && parse(&format!("base/1/{name}")).is_some()
    };
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one)).map(|entry| entry.path()).collect()
}

fn map_in(folder: &Path) -> Result<BTreeMap<u32, u32>, Fault> {
    let path = folder.join(filenode_map::FILE);
    let bytes = crate::world::files::read(&path, 64 << 10).map_err(|error| Fault::new(format!("`{}`: {error}", path.display()), ""))?;
    filenode_map::parse(&bytes).map_err(|error| {
        Fault::new(format!("the backup's catalogs cannot be found: {error}"), "Another backup may serve, with `--backup ID`.")
    })
}

fn templates(all: &Names) -> BTreeSet<u32> {
    let is_one = |names: &BTreeMap<String, bool>| TEMPLATES.iter().any(|name| names.contains_key(*name));
    all.iter().filter(|(_, names)| is_one(names)).map(|(oid, _)| *oid).collect()
}

/// What they are called, as far as is known.
fn standing(all: &Names) -> BTreeSet<String> {
    let of_one = |names: &BTreeMap<String, bool>| {
        let stands = names.values().any(|stands| *stands);
        names.iter().filter(|(_, one)| **one || !stands).map(|(name, _)| name.clone()).collect::<Vec<String>>()
    };
    all.values().flat_map(of_one).collect()
}

/// The one that has the name; of several, which had it one after the other, the one that has not given it up. Fails with how many there are.
fn number_of(name: &str, all: &Names) -> Result<Option<u32>, usize> {
    let called: Vec<(u32, bool)> = all.iter().filter_map(|(oid, names)| Some((*oid, *names.get(name)?))).collect();
    let standing: Vec<u32> = called.iter().filter(|(_, stands)| *stands).map(|(oid, _)| *oid).collect();
    match (called.as_slice(), standing.as_slice()) {
        ([], _) => Ok(None),
        ([(one, _)], _) | (_, [one]) => Ok(Some(*one)),
        (several, _) => Err(several.len()),
    }
}

/// The database that is meant: as somebody says, or the only one that can be.
fn name_of(wanted: Option<&str>, likely: &[String], all: &BTreeSet<String>) -> Result<String, Fault> {
    if let Some(name) = wanted {
        return Ok(name.to_owned());
    }
    let own: BTreeSet<&String> = all.iter().filter(|name| !TEMPLATES.contains(&name.as_str())).collect();
    let likely: Vec<&String> = likely.iter().filter(|name| own.contains(name)).collect();
    let made: Vec<&String> = own.iter().copied().filter(|name| *name != "postgres").collect();
    match (likely.as_slice(), made.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        ([], []) => Ok("postgres".to_owned()),
        (several, all) => {
            let names = joined(if several.is_empty() { all } else { several }.iter().map(quoted));
            Err(Fault::new(format!("the table may be in {names}"), "Say which with `--database NAME`."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_databases_with_one_name_one_has_it() {
        let one = |oid: u32, names: &[(&str, bool)]| (oid, names.iter().map(|(name, stands)| ((*name).to_owned(), *stands)).collect());
        let all: Names = [
            one(1, &[("template1", true)]),
            // One took the other's place.
            one(16_400, &[("shop", false), ("shop_old", true)]),
            one(16_500, &[("shop", true), ("shop_new", false)]),
            // Dropped while it was copied.
            one(16_600, &[("gone", false)]),
            one(16_700, &[("twice", true)]),
            one(16_800, &[("twice", true)]),
        ]
        .into();
        assert_eq!(number_of("shop", &all), Ok(Some(16_500)));
        assert_eq!(number_of("shop_old", &all), Ok(Some(16_400)));
        assert_eq!(number_of("shop_new", &all), Ok(Some(16_500)), "it may be wanted as of before");
        assert_eq!((number_of("gone", &all), number_of("never", &all)), (Ok(Some(16_600)), Ok(None)));
        assert_eq!(number_of("twice", &all), Err(2));
        assert_eq!(standing(&all).into_iter().collect::<Vec<_>>(), ["gone", "shop", "shop_old", "template1", "twice"]);
        assert_eq!(templates(&all), BTreeSet::from([1]));
    }

    #[test]
    fn the_only_database_need_not_be_said() {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let is = |wanted: Option<&str>, likely: &[&str], names: &[&str]| {
            let likely: Vec<String> = likely.iter().map(|name| (*name).to_owned()).collect();
            name_of(wanted, &likely, &all(names)).map_err(|fault| fault.message)
        };
        let usual = ["template0", "template1", "postgres"];
        assert_eq!(is(Some("x"), &[], &usual), Ok("x".into()), "it may be made later");
        assert_eq!(is(None, &[], &usual), Ok("postgres".into()));
        assert_eq!(is(None, &[], &["template1", "postgres", "shop"]), Ok("shop".into()));
        assert_eq!(is(None, &["shop"], &["postgres", "shop", "crm"]), Ok("shop".into()));
        assert_eq!(is(None, &["shop", "crm"], &["postgres", "shop", "crm"]), Err("the table may be in `shop` and `crm`".into()));
        assert_eq!(is(None, &[], &["postgres", "shop", "crm"]), Err("the table may be in `crm` and `shop`".into()));
    }
}
