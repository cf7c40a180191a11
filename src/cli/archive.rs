//! `seawall archive`: rows that moved out of their tables, as they lie in the stores.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::copying::size;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::{Format, stores};
use super::restore::Speed;
use super::terminal::{Colour, complain, print, tame};
use super::validate::json;
use crate::execute::archive::{BroughtBack, Wanted, bring_back, read_back};
use crate::format::archived::ReadBack;
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::format::signature::Writers;
use crate::observe::{self, Kept, Names};
use crate::plan::text::columns;
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::policy::sql_name;
use crate::site::{Site, SiteFault};
use crate::store::Store;
use crate::units::{BackupId, Instant, Name};
use crate::world::{clock, signals};

/// Rows that moved out of their tables: list them, read them back, bring them back.
#[derive(Debug, Subcommand)]
#[command(name = "archive")]
pub enum Archive {
    List(List),
    Verify(Verify),
    Restore(Restore),
}

/// List what was archived: which rows of which table, and whether somebody has read them back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall archive list
  seawall archive list --table orders --format json")]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// Read archived rows back out of the store and sign that they are whole.
///
/// For a host that has the identity where the one that exports has not: the archive job takes rows out of their table only when
/// somebody has read them back. Its key must be among `encryption.writers`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall archive verify --identity recovery.txt         what nobody has read back yet, or only a week ago while its rows wait
  seawall archive verify --identity recovery.txt --all   everything, again")]
pub struct Verify {
    #[command(flatten)]
    which: Which,
    /// Those too that somebody has read back already.
    #[arg(long)]
    all: bool,
}

/// Bring archived rows back: into a table beside the one they came from, or into it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall archive restore --table orders --identity recovery.txt
      into orders_archived, which is made
  seawall archive restore --table orders --from 2019-01-01 --to 2020-01-01 --into audit.orders_2019 --identity recovery.txt
  seawall archive restore --table orders --into orders --identity recovery.txt
      into the table itself; the next run of the archive job moves them again, unless the policy has changed by then")]
pub struct Restore {
    #[command(flatten)]
    which: Which,
    /// The first moment that is wanted, as PostgreSQL reads it (UTC where it has no zone). Into the table itself come whole extents, which may have more.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The first moment that is not wanted any more.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The table that gets them, written as in SQL. It is made if it is not there. The table that they came from may have another name by now.
    #[arg(long, value_name = "TABLE")]
    into: Option<String>,
    /// Only this extent (may be given again): into a table beside its own even if the table is said to have its rows.
    #[arg(long, value_name = "ID")]
    extent: Vec<BackupId>,
    /// Request what lies in an archive class, to be readable for so many days, and end with 75; run it again when it is there.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=365))]
    thaw: Option<u32>,
    /// How fast it is wanted; the faster, the dearer.
    #[arg(long, value_name = "SPEED", default_value = "standard", requires = "thaw")]
    thaw_speed: Speed,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// Which extents.
#[derive(Debug, Args)]
pub struct Which {
    #[command(flatten)]
    here: Here,
    /// Only in this store (may be given again).
    #[arg(long, value_name = "NAME")]
    store: Vec<Name>,
    /// Only rows of this table, written as in SQL.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Only rows of this database.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The file of an identity that opens them.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// What `seawall archive list --format json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ArchiveListOutput {
    /// The version of this format.
    pub format_version: u32,
    /// The oldest rows first.
    pub extents: Vec<ListedExtent>,
}

/// The rows of one stretch of time.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ListedExtent {
    /// Its id.
    pub extent: String,
    /// The store it lies in.
    pub store: Name,
    /// The database that the rows came from.
    pub database: String,
    /// The table that they came from, with its schema.
    pub table: String,
    /// The first moment.
    pub from: String,
    /// The first moment that is not in it any more.
    pub to: String,
    /// How many there are.
    pub rows: u64,
    /// Bytes as CSV.
    pub size: u64,
    /// Bytes in the store.
    pub stored_size: u64,
    /// When they were exported.
    pub exported: Instant,
    /// The hosts that have read every row back.
    pub read_back_by: Vec<String>,
    /// Whether it is noted that the table does not have them any more.
    pub removed: bool,
    /// The later extent as whose rows they left the table: they were exported anew, and this one goes when its grace is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
}

impl Archive {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Archive::List(list) => list.run(colour),
            Archive::Verify(verify) => verify.run(colour),
            Archive::Restore(restore) => restore.run(colour),
        }
    }
}

/// The extents of one store.
struct Shelf<'p> {
    name: &'p Name,
    store: Store,
    repository: Repository,
    names: Names,
    extents: Vec<Kept>,
    /// What is there and cannot be believed or opened.
    unread: Vec<String>,
}

impl Shelf<'_> {
    fn of<'s>(&'s self, writers: &'s Writers) -> observe::Shelf<'s> {
        observe::Shelf { store: &self.store, repository: &self.repository, writers }
    }

    fn is_removed(&self, kept: &Kept) -> bool {
        self.names.removed.contains(kept.extent.id.as_str())
    }

    /// The newest of those that have its rows, by what is noted of them. What left later than it may have done itself came late.
    fn superseded_by(&self, kept: &Kept) -> Option<&Kept> {
        let is_later = |other: &&Kept| {
            other.extent.exported > kept.extent.exported
                && other.extent.system_identifier == kept.extent.system_identifier
                && self.is_removed(other)
                && other.contents.overlaps(&kept.contents)
        };
        let later: Vec<&Kept> = self.extents.iter().filter(is_later).collect();
        let newest = later.iter().copied().max_by_key(|other| other.extent.exported);
        newest.filter(|_| kept.is_replaced_by(&later) && !self.names.may_have_left(&kept.extent.id))
    }
}

impl Which {
    fn shelves<'p>(&self, site: &Site<'p>, policy: &'p Policy, identities: &Identities) -> Result<Vec<Shelf<'p>>, Trouble> {
        let mut all = Vec::new();
        let writers = site.writers()?;
        for name in stores(policy, &self.store)? {
            let store = site.store(name)?;
            let Some(found) = site.find_repository(&store)? else { continue };
            let repository = found.repository;
            let place = observe::Shelf { store: &store, repository: &repository, writers: &writers };
            let names = place.names().map_err(SiteFault::from)?;
            let (mut extents, mut unread) = (Vec::new(), Vec::new());
            for id in &names.extents {
                match place.read(id, &names, identities).map_err(SiteFault::from)? {
                    Ok(kept) if self.wants(&kept) => extents.push(kept),
                    Ok(_) => {}
                    Err(why) => unread.push(format!("{id} in `{name}`: {why}")),
                }
            }
            extents.sort_by(|one, other| {
                let key = |kept: &Kept| (kept.contents.database.clone(), kept.contents.table_name(), kept.contents.stretch());
                key(one).cmp(&key(other))
            });
            all.push(Shelf { name, store, repository, names, extents, unread });
        }
        Ok(all)
    }

    fn wants(&self, kept: &Kept) -> bool {
        let contents = &kept.contents;
        let table = || format!("{}.{}", sql_name::quoted(&contents.schema), sql_name::quoted(&contents.table));
        self.table.as_ref().is_none_or(|wanted| sql_name::same_table(wanted, &table()))
            && self.database.as_ref().is_none_or(|wanted| *wanted == contents.database)
    }
}

impl List {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.which.here.read(colour)?;
        let site = self.which.here.site(&policy);
        let (writers, identities) = (site.writers()?, site.identities(self.which.identity.as_deref())?);
        let mut extents = Vec::new();
        let mut unread = Vec::new();
        for shelf in self.which.shelves(&site, &policy, &identities)? {
            let place = shelf.of(&writers);
            for kept in &shelf.extents {
                let readers = place.readers(kept, &shelf.names).map_err(SiteFault::from)?;
                extents.push(ListedExtent {
                    extent: kept.extent.id.to_string(),
                    store: shelf.name.clone(),
                    database: kept.contents.database.clone(),
                    table: kept.contents.table_name(),
                    from: kept.contents.from.clone(),
                    to: kept.contents.to.clone(),
                    rows: kept.extent.rows,
                    size: kept.extent.size,
                    stored_size: kept.extent.stored_size,
                    exported: kept.extent.exported,
                    read_back_by: readers.into_iter().map(|read| read.host).collect(),
                    removed: shelf.is_removed(kept),
                    superseded_by: shelf.superseded_by(kept).map(|later| later.extent.id.to_string()),
                });
            }
            unread.extend(shelf.unread);
        }
        for what in &unread {
            eprintln!("warning: {}", tame(what));
        }
        match self.format {
            Format::Json => print(&json(&ArchiveListOutput { format_version: 1, extents })?)?,
            Format::Human if extents.is_empty() => print("nothing is archived\n")?,
            Format::Human => print(&human(&extents))?,
        }
        Ok(if unread.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

fn human(extents: &[ListedExtent]) -> String {
    let header = ["EXTENT", "TABLE", "FROM", "BEFORE", "ROWS", "STORED", "READ BACK", "IN THE TABLE"];
    let row = |extent: &ListedExtent| {
        let read = if extent.read_back_by.is_empty() { "no".to_owned() } else { format!("by {}", extent.read_back_by.join(", ")) };
        let there = match &extent.superseded_by {
            Some(later) => format!("superseded by {later}"),
            None if extent.removed => "no".to_owned(),
            None => "yes".to_owned(),
        };
        vec![
            extent.extent.clone(),
            tame(&format!("{}: {}", extent.database, extent.table)).into_owned(),
            tame(&extent.from).into_owned(),
            tame(&extent.to).into_owned(),
            extent.rows.to_string(),
            size(extent.stored_size),
            tame(&read).into_owned(),
            there,
        ]
    };
    columns(&header, extents.iter().map(row).collect(), 160)
}

impl Verify {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.which.here.read(colour)?;
        let site = self.which.here.site(&policy);
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let keys = site.host_keys()?;
        let writers = site.must_be_writer(&keys)?;
        let identities = site.identities(self.which.identity.as_deref())?;
        let (mut exit, mut read) = (Exit::Done, 0);
        let now = clock::now();
        for shelf in self.which.shelves(&site, &policy, &identities)? {
            let place = shelf.of(&writers);
            for kept in &shelf.extents {
                let readers = place.readers(kept, &shelf.names).map_err(SiteFault::from)?;
                let is_read = |read: &ReadBack| shelf.is_removed(kept) || read.is_fresh(now);
                if !self.all && readers.iter().any(is_read) {
                    continue;
                }
                let (id, rows, table) = (&kept.extent.id, kept.extent.rows, tame(&kept.contents.table_name()).into_owned());
                match read_back(&place, kept, &identities, &keys, site.host(), &ending.asked) {
                    Ok(()) => {
                        read += 1;
                        print(&format!("{id}  {rows} rows of {table}, {} to {}\n", kept.contents.from, kept.contents.to))?;
                    }
                    Err(fault) => {
                        exit = Exit::Failed;
                        complain(&format!("{id}: {}", tame(&fault.message)), &fault.hint);
                    }
                }
            }
            for what in &shelf.unread {
                exit = Exit::Failed;
                eprintln!("warning: {}", tame(what));
            }
        }
        print(&format!("{} read back\n", counted(read, "extent")))?;
        Ok(exit)
    }
}

/// What `seawall archive restore --format json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ArchiveRestoreOutput {
    /// The version of this format.
    pub format_version: u32,
    /// The table that got the rows.
    pub into: String,
    /// How many stretches of time came back.
    pub extents: usize,
    /// How many rows came back.
    pub rows: u64,
    /// Extents that were left out because the table still has their rows.
    pub passed_over: Vec<String>,
    /// Extents that were left out because their rows are in a later one.
    pub superseded: Vec<String>,
    /// What should be known of those whose rows may be in the table, or may not.
    pub remarks: Vec<String>,
}

impl Restore {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.which.here.read(colour)?;
        let site = self.which.here.site(&policy);
        if self.which.table.is_none() {
            return Err(Trouble::usage("it does not say of which table", "Name it with `--table`; `seawall archive list` has them."));
        }
        if let Some((fault, hint)) = self.into.as_ref().and_then(|into| sql_name::fault(into, 2)) {
            return Err(Trouble::usage(format!("--into: {fault}"), hint));
        }
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let (writers, identities) = (site.writers()?, site.identities(self.which.identity.as_deref())?);
        let shelves = self.which.shelves(&site, &policy, &identities)?;
        if let Some(what) = shelves.iter().flat_map(|shelf| &shelf.unread).next() {
            return Err(Trouble::failed(tame(what), "All of it must be readable; or name another store with `--store`."));
        }
        let mut shelf = shelves.into_iter().filter(|shelf| !shelf.extents.is_empty());
        let Some(found) = shelf.next() else {
            return Err(Trouble::failed("nothing of this table is in the archive", "`seawall archive list` says what is."));
        };
        if let Some(other) = shelf.next() {
            let message = format!("rows of this table lie in `{}` and in `{}`", found.name, other.name);
            return Err(Trouble::usage(message, "Say which one is meant, with `--store`."));
        }
        let database = self.database(&found.extents)?;
        let (into, from, to) = (self.into.clone(), self.from.clone(), self.to.clone());
        let thaw = self.thaw.map(|days| (days, self.thaw_speed.into()));
        let (removed, leaving) = (found.names.removed.clone(), found.names.leaving.clone());
        let wanted = Wanted { database, into, from, to, thaw, only: self.extent.clone(), removed, leaving };
        let place = found.of(&writers);
        let brought =
            bring_back(&site, &place, &found.extents, &wanted, &identities, &ending.asked).map_err(|fault| match fault.transient {
                true => Trouble::try_again(fault.message, fault.hint),
                false => fault.into(),
            })?;
        for remark in &brought.remarks {
            eprintln!("warning: {}", tame(remark));
        }
        match self.format {
            Format::Human => print(&text(&brought))?,
            Format::Json => {
                let BroughtBack { into, extents, rows, passed_over, superseded, remarks, .. } = brought;
                print(&json(&ArchiveRestoreOutput { format_version: 1, into, extents, rows, passed_over, superseded, remarks })?)?;
            }
        }
        Ok(Exit::Done)
    }

    /// One table at a time.
    fn database(&self, extents: &[Kept]) -> Result<String, Trouble> {
        let mut databases: Vec<&str> = extents.iter().map(|kept| kept.contents.database.as_str()).collect();
        databases.dedup();
        match databases.as_slice() {
            [one] => Ok((*one).to_owned()),
            several => Err(Trouble::usage(
                format!("several databases have such a table: {}", several.join(", ")),
                "Say which one is meant, with `--database`.",
            )),
        }
    }
}

fn text(brought: &BroughtBack) -> String {
    let (rows, into) = (brought.rows, tame(&brought.into));
    let mut text = format!("{rows} rows of {} are in {into}\n", counted(brought.extents, "extent"));
    if !brought.passed_over.is_empty() {
        let ids = brought.passed_over.join(", ");
        text.push_str(&format!("not brought back, because the table still has their rows: {ids}\n"));
    }
    if !brought.superseded.is_empty() {
        let ids = brought.superseded.join(", ");
        text.push_str(&format!("left out, because a later extent has their rows as they were when they left: {ids}\n"));
    }
    if brought.is_original {
        text.push_str("the archive job moves them again when it runs next: change the policy, or place a hold, if they are to stay\n");
    }
    text
}
