//! A dump, in one piece or in several.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::execute::dump::restore::Found;
use crate::execute::dump::restore::feed::{self, feed_and_hear};
use crate::execute::table::TableFault;
use crate::execute::tiers::act::Acting;
use crate::execute::tiers::catalog::{self, Catalog};
use crate::execute::tiers::order::sections;
use crate::execute::tiers::pending::Thing;
use crate::format::contents::{Database, Holds};
use crate::format::descriptor::Object;
use crate::format::dump::{Item, Section, Stopped, Walk, columns_of};
use crate::pipeline::{Checked, PipelineFault, hash_object};
use crate::plan::words::quoted;
use crate::postgres::Connection;

const BUFFER: usize = 256 << 10;

/// What is in an object that has rows.
#[derive(Debug)]
pub(in crate::execute::tiers) struct Piece {
    pub object: Object,
    /// By line: schema, name, and how they are written.
    pub rows: BTreeMap<i64, (String, String, String)>,
    /// Where sequences are.
    pub sequences: Vec<String>,
    /// Large objects, and whatever else is of no table.
    pub others: Vec<i64>,
}

#[derive(Debug)]
pub(in crate::execute::tiers) struct Dump {
    pub found: Arc<Found>,
    pub pieces: Vec<Piece>,
    definitions: Object,
    /// What was held against its hash.
    checked: Mutex<BTreeSet<String>>,
}

impl Dump {
    /// Reads the heads of all of it. Gives that of the definitions.
    pub(in crate::execute::tiers) fn look(found: Arc<Found>, database: &Database) -> Result<(Dump, Vec<u8>), TableFault> {
        let (mut pieces, mut head, mut definitions) = (Vec::new(), Vec::new(), None);
        for archive in &database.archives {
            let object = found.object(&archive.object)?.clone();
            let walk = Walk::new(open(&found, &object)?).map_err(|stopped| unread(&object, stopped))?;
            let items = walk.items().map_err(|bad| unread(&object, Stopped::Bad(bad)))?;
            if archive.holds != Holds::Rows {
                head = walk.head().to_vec();
                definitions = Some(object.clone());
            }
            if archive.holds != Holds::Definitions {
                let rows = items.iter().filter(|item| item.kind == "TABLE DATA" && item.has_data);
                let rows = rows.map(|item| (item.id, (item.schema.clone(), item.name.clone(), item.copy.clone()))).collect();
                let sequences = items.iter().filter(|item| item.kind == "SEQUENCE SET").map(|item| item.definition.clone()).collect();
                pieces.push(Piece { object, rows, sequences, others: of_no_table(&items) });
            }
        }
        let definitions = definitions.ok_or_else(|| {
            TableFault::new(
                format!("the dump {} has no definitions of {}", found.descriptor.id, quoted(&database.name)),
                "Take another backup.",
            )
        })?;
        Ok((Dump { found, pieces, definitions, checked: Mutex::default() }, head))
    }

    fn open(&self, object: &Object) -> Result<Checked, TableFault> {
        open(&self.found, object)
    }

    /// Nothing reaches the server that is not what the signed descriptor names.
    fn check(&self, acting: &Acting<'_>, object: &Object) -> Result<(), TableFault> {
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked().contains(&object.name) {
            return Ok(());
        }
        acting.begins("checking the dump");
        let key = self.found.repository.data(&self.found.descriptor.id, &object.name);
        let sum = hash_object(&self.found.store, &key, object.size, &mut |_| acting.halt.check().is_ok())?;
        acting.halt.check()?;
        if sum != object.sha256 {
            let what = format!("its SHA-256 is {sum} instead of {}", object.sha256);
            return Err(PipelineFault::Damaged { key: key.to_string(), what }.into());
        }
        checked().insert(object.name.clone());
        Ok(())
    }

    /// The same head as when it was planned, out of what was checked since.
    pub(in crate::execute::tiers) fn check_definitions(&self, acting: &Acting<'_>) -> Result<(), TableFault> {
        self.check(acting, &self.definitions)?;
        let walk = Walk::new(self.open(&self.definitions)?).map_err(|stopped| unread(&self.definitions, stopped))?;
        let is_same = acting.ground.wanted.roles.head(&self.definitions.name, walk.head())? == acting.head;
        if is_same && acting.catalog.is_empty() {
            return Ok(());
        }
        self.pieces.iter().try_for_each(|piece| self.check(acting, &piece.object))?;
        if is_same && self.catalog(walk.head())? == acting.catalog {
            return Ok(());
        }
        Err(TableFault::new(format!("{} has changed since it was looked at", self.definitions.name), "Run it again."))
    }

    /// TimescaleDB's own rows: they come first of all, and are read as far as the last of them.
    pub(in crate::execute::tiers) fn catalog(&self, head: &[u8]) -> Result<Catalog, TableFault> {
        let items = Item::all(head).map_err(|bad| unread(&self.definitions, Stopped::Bad(bad)))?;
        let tables = items.iter().filter(|item| item.kind == "TABLE");
        let defined = tables.map(|item| (item.schema.as_str(), item.name.as_str())).collect();
        let mut all = Catalog::new();
        for piece in &self.pieces {
            let unread = |stopped: Stopped| unread(&piece.object, stopped);
            let mut walk = Walk::new(self.open(&piece.object)?).map_err(unread)?;
            all.extend(catalog::read(&mut walk, &defined).map_err(unread)?);
        }
        Ok(all)
    }

    /// The tables that have rows in it.
    pub(in crate::execute::tiers) fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pieces.iter().flat_map(|piece| piece.rows.values()).map(|(schema, name, _)| (schema.as_str(), name.as_str()))
    }

    /// Each of its pieces that has something is read once, as far as that.
    pub(in crate::execute::tiers) fn bring(&self, acting: &Acting<'_>, things: &[Thing]) -> Result<(), TableFault> {
        let left: HashMap<(&str, &str), &Thing> =
            things.iter().filter(|thing| !thing.is_filled).map(|thing| ((thing.schema.as_str(), thing.name.as_str()), thing)).collect();
        let with_some = |piece: &&Piece| piece.rows.values().any(|(schema, name, _)| left.contains_key(&(schema.as_str(), name.as_str())));
        let pieces: Vec<&Piece> = self.pieces.iter().filter(with_some).collect();
        acting.at_once(&pieces, &|piece, session| self.piece(acting, piece, &left, session))
    }

    fn piece(
        &self,
        acting: &Acting<'_>,
        piece: &Piece,
        left: &HashMap<(&str, &str), &Thing>,
        session: &mut Connection,
    ) -> Result<(), TableFault> {
        self.check(acting, &piece.object)?;
        let unread = |stopped: Stopped| unread(&piece.object, stopped);
        let mut walk = Walk::new(self.open(&piece.object)?).map_err(unread)?;
        let is_wanted = |id: &i64| piece.rows.get(id).and_then(|(schema, name, _)| left.get(&(schema.as_str(), name.as_str())));
        let mut waiting = piece.rows.keys().filter(|id| is_wanted(id).is_some()).count();
        while waiting > 0 {
            let Some(id) = walk.next_table().map_err(unread)? else {
                let message = format!("{} ends before all of its tables have come", piece.object.name);
                return Err(TableFault::new(message, "`seawall verify` says whether it is whole."));
            };
            let (Some(thing), Some((_, _, copy))) = (is_wanted(&id), piece.rows.get(&id)) else { continue };
            let columns = columns_of(copy)
                .ok_or_else(|| TableFault::new(format!("how the rows of {} are written is not known: {copy}", thing.named()), ""))?;
            let known = acting.ground.database.tables.iter().find(|table| table.schema == thing.schema && table.name == thing.name);
            acting.table(session, thing, columns, &mut |copy_in| {
                let mut buffer = vec![0; BUFFER];
                loop {
                    match walk.read(&mut buffer).map_err(unread)? {
                        0 => return Ok(known.map(|known| known.rows)),
                        got => copy_in(&buffer[..got])?,
                    }
                }
            })?;
            waiting -= 1;
        }
        Ok(())
    }

    /// Large objects, and what is of no table.
    pub(in crate::execute::tiers) fn rest(&self, acting: &Acting<'_>, session: &mut Connection) -> Result<(), TableFault> {
        let done = acting.done(session)?;
        for piece in self.pieces.iter().filter(|piece| !piece.others.is_empty() && !done.contains(&piece.object.name)) {
            acting.begins("restoring large objects");
            let (_file, list) = acting.list(&piece.others)?;
            self.check(acting, &piece.object)?;
            let mut reader = acting.ground.wanted.roles.over(&piece.object.name, self.open(&piece.object)?)?;
            let source = feed::Source { from: &mut reader, fed: acting.bytes, given: &|| {} };
            feed_and_hear(acting.restoring_data(Some(list)), &acting.halt, &piece.object.name, Some(source))??;
            acting.note_done(session, &piece.object.name)?;
        }
        Ok(())
    }
}

fn of_no_table(items: &[Item]) -> Vec<i64> {
    let is_other = |item: &Item| !matches!(item.kind.as_str(), "TABLE DATA" | "SEQUENCE SET" | "STATISTICS DATA");
    let of_data = items.iter().zip(sections(items)).filter(|(_, section)| *section == Section::Data);
    of_data.map(|(item, _)| item).filter(|item| is_other(item)).map(|item| item.id).collect()
}

fn open(found: &Found, object: &Object) -> Result<Checked, TableFault> {
    let key = found.repository.data(&found.descriptor.id, &object.name);
    Ok(Checked::open(&found.store, &key, object.size, &object.sha256, &found.identities)?)
}

fn unread(object: &Object, stopped: Stopped) -> TableFault {
    match stopped {
        Stopped::Bad(bad) => TableFault::new(format!("{}: {bad}", object.name), "`seawall verify` says whether it is whole."),
        Stopped::Unread(error) => PipelineFault::of_stream(&object.name, &error).into(),
    }
}
