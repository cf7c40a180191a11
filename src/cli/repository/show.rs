//! `seawall show BACKUP`: everything about one backup.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::definitions;
use super::list::state;
use super::moments::{ago, local, span, with_zone};
use super::{Format, stores, unguarded};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, Terminal, print};
use crate::cli::validate::json;
use crate::execute::dump::restore::contents;
use crate::format::contents::{Contents, Database};
use crate::format::descriptor::{Descriptor, ObjectKind, Private};
use crate::format::layout::Repository;
use crate::format::recorded::RecordedTimescale;
use crate::format::seal::Identities;
use crate::inventory::{Backup, BackupKind, BackupState, Chains, Compression, Dimension, DimensionKind, OrderBy, StoreInventory};
use crate::observe::{self, Read};
use crate::plan::text::{columns, wrapped};
use crate::plan::words::{counted, joined, quoted};
use crate::policy::model::Policy;
use crate::recovery::{Until, forward};
use crate::site::Site;
use crate::store::Store;
use crate::units::{BackupId, Bytes, DumpSection, Instant, Name, Segment, SegmentSize, StorageClass, WalFile};
use crate::world::clock;

/// Show everything about one backup: what it holds, what it builds on, which write-ahead log it needs, how to restore it.
#[derive(Debug, Args)]
#[command(
    name = "show",
    after_help = "\
Examples:
  seawall show 20261121T020000Z-7f3c0011
  seawall show latest --job nightly
  seawall show latest --identity recovery.txt      with what only the holder of a key may read
  seawall show latest --sql > aggregates.sql       TimescaleDB's continuous aggregates, as they were defined"
)]
pub struct Show {
    /// Its id, or `latest`.
    #[arg(value_name = "BACKUP")]
    backup: BackupId,
    #[command(flatten)]
    here: Here,
    /// Only in this store (may be given again).
    #[arg(long, value_name = "NAME")]
    store: Vec<Name>,
    /// `latest` of this job.
    #[arg(long, value_name = "NAME")]
    job: Option<Name>,
    /// The file of an identity that opens its private part.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Only the SQL that makes its continuous aggregates anew, as they were: for `psql`.
    #[arg(long, conflicts_with = "format")]
    sql: bool,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall show --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall show")]
pub struct ShowOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    store: &'a Name,
    place: String,
    key: String,
    signer: Option<&'a str>,
    state: BackupState,
    descriptor: &'a Descriptor,
    /// What only the holder of a key may read; absent where no key opened it.
    private: Option<&'a Private>,
    /// All it builds on, the full one first; absent where the chain is broken.
    chain: Option<Vec<&'a BackupId>>,
    /// What its dumps do not have of their databases; absent where it has no dumps, and where no key opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<Vec<LeftOut<'a>>>,
    /// Absent where it needs no log: a dump.
    wal: Option<WalRecord>,
    /// The storage class of each object, by its name; absent in a directory.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    classes: &'a BTreeMap<String, StorageClass>,
    /// Any moment from the backup's end to this one can be had.
    recoverable_until: Option<Instant>,
    /// Why it cannot be restored at all.
    unusable: Option<&'a str>,
    restore: &'a str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct WalRecord {
    first: String,
    last: String,
    segments: u64,
    complete: bool,
}

/// Tables that a dump does not have, or not with their rows; as SQL names them.
#[derive(Debug, Serialize, JsonSchema)]
struct LeftOut<'a> {
    database: &'a str,
    /// The role that made the dump might not read them (`unreadable: skip`).
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unreadable: &'a [String],
    /// The job leaves them out (`schemas`, `tables`, and what is excluded).
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    excluded: &'a [String],
    /// The job leaves their rows out (`exclude_table_data`, or because it chooses others).
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    without_rows: &'a [String],
    /// Unlogged tables: a standby was dumped, which has none of their rows.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unlogged: &'a [String],
    /// The only sections that the dump has (`sections`); all of them where none is named.
    #[serde(skip_serializing_if = "<[DumpSection]>::is_empty")]
    sections: &'a [DumpSection],
}

impl<'a> LeftOut<'a> {
    fn all(contents: &'a Contents) -> Vec<LeftOut<'a>> {
        let of = |database: &'a Database| LeftOut {
            database: &database.name,
            unreadable: &database.skipped,
            excluded: &database.excluded,
            without_rows: &database.without_rows,
            unlogged: &database.unlogged,
            sections: &database.sections,
        };
        let has_some = |left: &LeftOut<'_>| {
            let tables = [left.unreadable, left.excluded, left.without_rows, left.unlogged];
            !left.sections.is_empty() || tables.into_iter().any(|tables| !tables.is_empty())
        };
        contents.databases.iter().map(of).filter(has_some).collect()
    }
}

/// What only the holder of a key may read.
struct Opened {
    private: Result<Private, String>,
    /// Of dumps.
    contents: Option<Result<Contents, String>>,
}

/// One backup, as it was found.
struct Found<'p> {
    store: &'p Name,
    lies: (Store, Repository),
    place: String,
    key: String,
    descriptor: Descriptor,
    signer: Option<String>,
    inventory: StoreInventory,
    /// In which storage class its objects lie, where the store has classes.
    classes: BTreeMap<String, StorageClass>,
}

impl Show {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let now = clock::now();
        let found = self.find(&site, now)?;
        let identities = site.identities(self.identity.as_deref())?;
        if self.sql {
            print(&found.sql(&identities)?)?;
            return Ok(Exit::Done);
        }
        let opened = found.open(&identities);
        let text = match self.format {
            Format::Json => output(&found, &policy, &opened)?,
            Format::Human => {
                let width = Terminal::for_tables(colour, 140);
                let mut text = human(&found, &policy, &opened, now, width);
                if let Some(warning) = unguarded(&site)? {
                    text.push_str(&wrapped(&format!("Note: {warning}"), "\n", "  ", width));
                }
                text
            }
        };
        print(&text)?;
        Ok(Exit::Done)
    }

    /// In the first store that has it; a store that could not be looked at is named when no other has it.
    fn find<'p>(&self, site: &Site<'p>, now: Instant) -> Result<Found<'p>, Trouble> {
        let mut passed = Vec::new();
        for name in stores(site.policy, &self.store)? {
            let looked = site.store(name).and_then(|store| Ok((store.clone(), observe::look_as_far_as_possible(site, &store, now)?)));
            let (store, seen) = match looked {
                Ok(looked) => looked,
                Err(fault) => {
                    passed.push(format!("{name}: {}", fault.message));
                    continue;
                }
            };
            if let Some(rejected) =
                seen.rejected.iter().find(|one| crate::format::layout::descriptor_id(&one.key).as_ref() == Some(&self.backup))
            {
                passed.push(format!("{name}: {} is rejected: {}", rejected.key, rejected.why));
            }
            passed.extend(seen.unread.iter().map(|(_, fault)| format!("{name}: {}", fault.message)));
            // The newest of some need not be the newest.
            if self.backup.as_str() == "latest" && !seen.unread.is_empty() {
                continue;
            }
            let Some(id) = self.choose(&seen.inventory) else { continue };
            let (Some(repository), Some(listed)) = (&seen.repository, seen.listed.iter().find(|listed| listed.id == id)) else {
                passed.push(format!("{name}: {id} has no descriptor: it runs still, or was interrupted"));
                continue;
            };
            let writers = site.writers()?;
            let is_signed = listed.signer.is_some() || writers.is_empty();
            let read = observe::read_descriptor(&store, repository, &listed.key, is_signed, site.policy.name.as_str(), &writers);
            match read.map_err(crate::site::SiteFault::from)? {
                Read::Good(descriptor, signer) => {
                    let (place, key) = (store.url(), listed.key.to_string());
                    let classes = classes(&store, repository, &id)?;
                    let (lies, inventory) = ((store, repository.clone()), seen.inventory);
                    return Ok(Found { store: name, lies, place, key, descriptor: *descriptor, signer, inventory, classes });
                }
                Read::Rejected(why) | Read::Newer(why) => passed.push(format!("{name}: {id}: {why}")),
                Read::Gone => passed.push(format!("{name}: {id} was deleted a moment ago")),
            }
        }
        let passed = if passed.is_empty() { String::new() } else { format!(" ({})", passed.join("; ")) };
        Err(Trouble::failed(format!("there is no backup `{}`{passed}", self.backup), "`seawall list` shows what there is."))
    }

    fn choose(&self, inventory: &StoreInventory) -> Option<BackupId> {
        if self.backup.as_str() != "latest" {
            return inventory.backups.iter().find(|backup| backup.id == self.backup).map(|backup| backup.id.clone());
        }
        let wanted = |backup: &&Backup| backup.state == BackupState::Complete && self.job.as_ref().is_none_or(|job| backup.job == *job);
        inventory.backups.iter().filter(wanted).max_by_key(|backup| backup.moment()).map(|backup| backup.id.clone())
    }
}

impl Found<'_> {
    fn sql(&self, identities: &Identities) -> Result<String, Trouble> {
        let unread = |error: std::io::Error| {
            let message = format!("what backup {} says of its databases cannot be read: {error}", self.descriptor.id);
            Trouble::failed(message, "Give an identity that opens it with `--identity FILE`.")
        };
        Ok(definitions::sql(&self.descriptor.open_private(identities).map_err(unread)?.recorded))
    }

    fn open(&self, identities: &Identities) -> Opened {
        let private = self.descriptor.open_private(identities).map_err(|error| error.to_string());
        let is_there = private.is_ok() && self.descriptor.objects_of(ObjectKind::Contents).next().is_some();
        let (store, repository) = &self.lies;
        let read = || contents(store, repository, &self.descriptor, identities).map_err(|fault| fault.message);
        Opened { private, contents: is_there.then(read) }
    }
}

fn classes(store: &Store, repository: &Repository, id: &BackupId) -> Result<BTreeMap<String, StorageClass>, Trouble> {
    if store.classes().is_none() {
        return Ok(BTreeMap::new());
    }
    let objects = store.list(&repository.prefix(&format!("data/{id}"))).map_err(crate::site::SiteFault::from)?;
    Ok(objects.into_iter().filter_map(|meta| Some((meta.key.file_name().to_owned(), meta.class?))).collect())
}

/// Which segments make it consistent, and whether they are there.
fn wal(found: &Found<'_>) -> Option<WalRecord> {
    if !found.descriptor.kind.is_physical() {
        return None;
    }
    let (cluster, position) = (&found.descriptor.cluster, found.descriptor.position);
    let size = SegmentSize::new(cluster.wal_segment_size).expect("checked when it was read");
    let first = Segment::of(position.timeline, position.start, size);
    let last = Segment::before(position.timeline, position.stop, size);
    let covers = |range: &crate::inventory::WalRange| {
        range.system_identifier == Some(cluster.system_identifier)
            && range.timeline == position.timeline
            && range.from_lsn <= position.start
            && range.to_lsn >= position.stop
    };
    Some(WalRecord {
        first: WalFile::Segment(first).to_string(),
        last: WalFile::Segment(last).to_string(),
        segments: last.number(size).saturating_sub(first.number(size)) + 1,
        complete: found.inventory.wal.iter().any(covers),
    })
}

fn chain(found: &Found<'_>) -> Result<Vec<BackupId>, String> {
    let chains = Chains::of(&found.inventory.backups);
    let at = chains.position(&found.descriptor.id).ok_or("it is not in the list any more")?;
    match chains.links(at) {
        Some(links) => Ok(links.into_iter().map(|backup| backup.id.clone()).collect()),
        None => Err(chains.broken(at).map_or_else(|| "it is not complete".into(), |broken| broken.to_string())),
    }
}

fn until(found: &Found<'_>) -> Result<Until, String> {
    let all = forward(&found.inventory);
    let this = all.into_iter().find(|forward| forward.backup == found.descriptor.id);
    this.map_or_else(|| Err("it is not a complete physical backup".into()), |forward| forward.until.map_err(|missing| missing.to_string()))
}

/// The command that restores it to the newest moment it leads to.
fn restore(found: &Found<'_>, policy: &Policy, until: &Result<Until, String>) -> String {
    if found.descriptor.kind == BackupKind::Files {
        return format!("seawall restore --files --to-root DIRECTORY --store {} --backup {}", found.store, found.descriptor.id);
    }
    if !found.descriptor.kind.is_physical() {
        return format!("seawall restore --into-database DATABASE --create --store {} --backup {}", found.store, found.descriptor.id);
    }
    let from = format!("seawall restore --target DIRECTORY --store {} --backup {}", found.store, found.descriptor.id);
    match until {
        Ok(Until::Moment { at, .. }) => format!("{from} --to '{}'", with_zone(*at, &policy.zone)),
        Ok(Until::ItsEnd { .. }) | Err(_) => format!("{from} --immediate"),
    }
}

fn output(found: &Found<'_>, policy: &Policy, opened: &Opened) -> Result<String, Trouble> {
    let (until, chain) = (until(found), chain(found));
    let contents = opened.contents.as_ref().and_then(|contents| contents.as_ref().ok());
    json(&ShowOutput {
        format_version: 1,
        store: found.store,
        place: found.place.clone(),
        key: found.key.clone(),
        signer: found.signer.as_deref(),
        state: found.descriptor.to_backup().state,
        descriptor: &found.descriptor,
        private: opened.private.as_ref().ok(),
        left_out: contents.map(LeftOut::all),
        chain: chain.as_ref().ok().map(|chain| chain.iter().collect()),
        wal: wal(found),
        classes: &found.classes,
        recoverable_until: match until {
            Ok(Until::Moment { at, .. } | Until::ItsEnd { at, .. }) => Some(at),
            Err(_) => None,
        },
        unusable: until.as_ref().err().filter(|_| found.descriptor.kind.is_physical()).map(String::as_str),
        restore: &restore(found, policy, &until),
    })
}

fn human(found: &Found<'_>, policy: &Policy, opened: &Opened, now: Instant, width: u16) -> String {
    let descriptor = &found.descriptor;
    let backup = descriptor.to_backup();
    let mut text = format!("Backup {}\n", descriptor.id);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, words: String| rows.push(vec![what.into(), words]);
    row("state", state(&backup).into());
    row("job", format!("{} ({})", descriptor.job, super::list::kind(&backup)));
    if let Some(label) = &descriptor.label {
        row("label", quoted(label));
    }
    let took = span(descriptor.stopped.as_second() - descriptor.started.as_second());
    row(
        "taken",
        format!(
            "{} to {} ({took}), {}",
            local(descriptor.started, &policy.zone),
            local(descriptor.stopped, &policy.zone),
            ago(descriptor.stopped, now)
        ),
    );
    let commit = descriptor.by.commit.as_ref().map_or_else(String::new, |commit| format!(", commit {commit}"));
    row(
        "by",
        format!(
            "host {}, seawall {}, policy {} {}{commit}",
            descriptor.by.host, descriptor.by.seawall, descriptor.by.policy, descriptor.by.digest
        ),
    );
    row(
        "signed",
        found.signer.as_ref().map_or_else(
            || "checked for damage only: the policy names no writers".into(),
            |name| format!("by {name}, whom the policy accepts"),
        ),
    );
    let is_files = descriptor.kind == BackupKind::Files;
    let cluster = &descriptor.cluster;
    let checksums = if cluster.data_checksums { "with page checksums" } else { "without page checksums" };
    let standby = if cluster.standby { ", a standby" } else { "" };
    row("cluster", format!("{}, PostgreSQL {}, {checksums}{standby}", cluster.system_identifier, observe::spelled(cluster.version)));
    row(
        "size",
        format!(
            "{} in {}; {} stored",
            Bytes::new(descriptor.size).rounded(),
            counted(descriptor.files, if descriptor.kind.is_physical() || is_files { "file" } else { "table" }),
            Bytes::new(descriptor.stored_size).rounded()
        ),
    );
    if descriptor.damage.unread > 0 {
        row("INCOMPLETE", format!("{} could not be read; `notes.json` names them", counted(descriptor.damage.unread, "file")));
    }
    if descriptor.damage.pages > 0 {
        let blocks: Vec<String> = descriptor.damage.blocks.iter().take(5).map(|bad| format!("{} block {}", bad.path, bad.block)).collect();
        row("DAMAGED", format!("{} with wrong checksums: {}", counted(descriptor.damage.pages, "page"), blocks.join(", ")));
    }
    row(
        "chain",
        match chain(found) {
            Ok(chain) => chain.iter().map(BackupId::as_str).collect::<Vec<_>>().join(", then "),
            Err(why) => format!("BROKEN: {why}"),
        },
    );
    let until = until(found);
    let position = descriptor.position;
    match wal(found) {
        Some(wal) => {
            let there = if wal.complete { "all there" } else { "NOT all there" };
            let range = format!("{} to {}: {} to {}", position.start, position.stop, wal.first, wal.last);
            row("needs log", format!("timeline {}, {range} ({there})", position.timeline));
        }
        None if is_files => row("needs log", "none".into()),
        None => row(
            "needs log",
            format!("none; its snapshots are of {} to {} on timeline {}", position.start, position.stop, position.timeline),
        ),
    }
    row(
        "restores to",
        match &until {
            _ if is_files => "files as they were read".into(),
            _ if !descriptor.kind.is_physical() => "each database as of its snapshot".into(),
            Ok(Until::Moment { at, timeline }) => format!("any moment from its end to {} on timeline {timeline}", local(*at, &policy.zone)),
            Ok(Until::ItsEnd { .. }) => "its own end only".into(),
            Err(why) => format!("NOTHING: {why}"),
        },
    );
    row("lies in", format!("store {} ({}), {}", found.store, found.place, found.key));
    secret(&mut row, opened.private.as_ref());
    match &opened.contents {
        Some(Ok(contents)) => LeftOut::all(contents).iter().for_each(|left| left_out(&mut row, left)),
        Some(Err(why)) => row("left out", format!("not known: {why}")),
        None => {}
    }
    text.push_str(&columns(&[], rows, width));
    text.push_str("\nObjects\n");
    text.push_str(&objects(found, width));
    text + &format!("\nRestore it with\n  {}\n", restore(found, policy, &until))
}

/// What only the holder of a key may read.
fn secret(row: &mut impl FnMut(&str, String), private: Result<&Private, &String>) {
    let private = match private {
        Ok(private) => private,
        Err(why) => return row("private part", format!("closed: {why} (give `--identity FILE`)")),
    };
    for path in &private.paths {
        row("path", quoted(path));
    }
    for database in &private.databases {
        row("database", quoted(database));
    }
    if !private.data_directory.is_empty() {
        row("directory", quoted(&private.data_directory));
    }
    for tablespace in &private.tablespaces {
        row("tablespace", format!("{} at {}", tablespace.oid, quoted(&tablespace.path)));
    }
    for file in &private.config_files {
        row("configuration", quoted(file));
    }
    let settings: Vec<String> = private.settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if !settings.is_empty() {
        row("settings", settings.join(", "));
    }
    for (database, extensions) in &private.extensions {
        let words: Vec<String> = extensions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        row("extensions", format!("{}: {}", quoted(database), words.join(", ")));
    }
    for (database, timescale) in private.recorded.iter().filter_map(|(name, recorded)| Some((name, recorded.timescale.as_ref()?))) {
        hypertables(row, database, timescale);
    }
    let collations: Vec<String> = private.collations.iter().map(|(name, version)| format!("{name} {version}")).collect();
    if !collations.is_empty() {
        row("collations", collations.join(", "));
    }
}

/// What a dump lacks, and who wanted it so.
fn left_out(row: &mut impl FnMut(&str, String), left: &LeftOut<'_>) {
    const NAMED: usize = 20;
    if !left.sections.is_empty() {
        let only = joined(left.sections.iter().map(quoted));
        row("sections", format!("{}: only {only}, by the job's `sections`", quoted(left.database)));
    }
    let parts = [
        ("left out", left.unreadable, "the role that made the dump might not read them"),
        ("left out", left.excluded, "by the job's patterns (`schemas`, `tables`, `exclude_schemas`, `exclude_tables`)"),
        ("without rows", left.without_rows, "by the job's `exclude_table_data`, or because it chooses others"),
        ("without rows", left.unlogged, "unlogged, and a standby was dumped, which has none of their rows"),
    ];
    for (what, tables, why) in parts.into_iter().filter(|(_, tables, _)| !tables.is_empty()) {
        let more =
            if tables.len() > NAMED { format!(" and {} more (`--format json` shows all)", tables.len() - NAMED) } else { String::new() };
        let names = joined(tables.iter().take(NAMED).map(quoted));
        row(what, format!("{}: {names}{more}: {why}", quoted(left.database)));
    }
}

/// What TimescaleDB had in a database, as it was defined.
fn hypertables(row: &mut impl FnMut(&str, String), database: &str, timescale: &RecordedTimescale) {
    const NAMED: usize = 20;
    for one in timescale.hypertables.iter().take(NAMED) {
        let name = quoted(format!("{database}: {}.{}", one.table.schema, one.table.name));
        let chunks = counted(one.chunks, "chunk");
        if let Some(made) = &one.made {
            let of = format!("{}.{}", made.of.schema, made.of.name);
            let definition = made.definition.split_whitespace().collect::<Vec<_>>().join(" ");
            row("aggregate", format!("{name} of {}, {chunks}: {definition}", quoted(of)));
            continue;
        }
        let by: Vec<String> = one.dimensions.iter().map(divided).collect();
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(" and ")) };
        row("hypertable", format!("{name}{by}, {chunks}{}", one.compression.as_ref().map(compressed).unwrap_or_default()));
    }
    if timescale.hypertables.len() > NAMED {
        row("hypertables", format!("{} more in {} (`--format json` shows all)", timescale.hypertables.len() - NAMED, quoted(database)));
    }
}

fn divided(dimension: &Dimension) -> String {
    let column = quoted(&dimension.column);
    match &dimension.by {
        DimensionKind::Time { every } => format!("{column} (each {every})"),
        DimensionKind::Number { every } => format!("{column} (each {every})"),
        DimensionKind::Space { partitions } => format!("{column} (into {partitions})"),
    }
}

fn compressed(compression: &Compression) -> String {
    let order = |one: &OrderBy| format!("{}{}", one.column, if one.descending { " desc" } else { "" });
    let order: Vec<String> = compression.order_by.iter().map(order).collect();
    let parts = [("by", compression.segment_by.join(", ")), ("in the order of", order.join(", "))];
    let parts: Vec<String> =
        parts.iter().filter(|(_, columns)| !columns.is_empty()).map(|(how, columns)| format!(" {how} {}", quoted(columns))).collect();
    format!(", compressed{}", parts.concat())
}

fn objects(found: &Found<'_>, width: u16) -> String {
    const NAMED: usize = 20;
    let descriptor = &found.descriptor;
    let has_classes = !found.classes.is_empty();
    let rows = descriptor.objects.iter().take(NAMED).map(|object| {
        let class = || found.classes.get(&object.name).map_or_else(String::new, StorageClass::to_string);
        let mut row = vec![object.name.clone(), Bytes::new(object.size).rounded(), Bytes::new(object.plain_size).rounded()];
        row.extend(has_classes.then(class));
        row.push(object.sha256.clone());
        row
    });
    let header: &[&str] =
        if has_classes { &["name", "stored", "plain", "class", "sha-256"] } else { &["name", "stored", "plain", "sha-256"] };
    let mut text = columns(header, rows.collect(), width);
    if descriptor.objects.len() > NAMED {
        text.push_str(&format!("  and {} more (`--format json` shows all)\n", descriptor.objects.len() - NAMED));
    }
    text
}
