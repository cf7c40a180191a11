//! What has lain in the archive for longer than `keep` goes: marked by one run, deleted by a later one when `expire.grace` is over, the descriptor
//! first. Only what the database itself says has left its table is looked at, and as long as a hold of the policy names the table, nothing goes:
//! which of the archived rows it means nobody can tell without reading them.
//!
//! In the same way goes, whatever `keep` says, what was exported and then exported anew, because the rows had changed or a run had broken off: the rows
//! left their table as those of the later extent, or are in it, and a later extent may take them out.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::remove::{moved_before, on_record, unrecorded};
use super::{Archived, Deed, Done, Run};
use crate::execute::expire::{self, ExpireFault};
use crate::format::layout::signature_of;
use crate::format::tombstone::{FORMAT, Tombstone};
use crate::observe::{Kept, Names};
use crate::plan::words::counted;
use crate::postgres::Connection;
use crate::site::SiteFault;
use crate::store::Locked;
use crate::units::{BackupId, Instant, Key};

/// Which table the rows of an extent came from that has the name of this one.
enum Whose {
    This,
    /// It has another name by now, and holds of its own.
    Another,
    /// It is not there any more, or that was not noted.
    Unknown,
}

impl Run<'_> {
    pub(super) fn let_go(&self, connection: &mut Connection, superseded: &[Kept], done: &mut Archived) -> Result<(), SiteFault> {
        let marks = self.shelf().marks()?;
        if self.archive.keep.is_none() && marks.is_empty() && superseded.is_empty() {
            return Ok(());
        }
        let moment = match expire::moment(expire::Clock::Measured, self.site, &self.store, &self.repository) {
            Ok(moment) => moment,
            Err(ExpireFault::Site(fault)) => return Err(fault),
            Err(refused) => {
                done.remarks.push(format!("nothing of the archive is let go: {refused}"));
                return Ok(());
            }
        };
        let names = self.shelf().names()?;
        self.finish_deleting(&marks, &names, moment.store)?;
        let limit = self.archive.keep.map(|keep| keep.before(moment.rules, self.site.policy.zone.time_zone()));
        let over = match limit {
            Some(limit) => moved_before(connection, self.archive.store.as_str(), limit)?,
            None => BTreeSet::new(),
        };
        let anew: BTreeSet<&BackupId> = superseded.iter().map(|kept| &kept.extent.id).collect();
        let is_meant = |id: &&BackupId| (over.contains(id.as_str()) || marks.contains_key(*id)) && !anew.contains(*id);
        let recorded = on_record(connection)?;
        let ours = self.of_table(names.extents.iter().filter(is_meant), &names, &recorded, done)?;
        // By the database's clock when they left the table, and by the exporter's own, which is signed: one of them may have been wrong.
        let is_over = |kept: &Kept| over.contains(kept.extent.id.as_str()) && limit.is_some_and(|limit| kept.extent.exported < limit);
        // Somebody has asked an archive class for them, and comes back.
        let awake = self.wanted_awake(&names)?;
        let is_let_go = |kept: &Kept| is_over(kept) && !awake.contains(kept.extent.id.as_str());
        let (mut due, wanted): (Vec<Kept>, Vec<Kept>) = ours.into_iter().partition(is_let_go);
        due.extend(superseded.iter().cloned());
        let marked = |kept: &&Kept| marks.contains_key(&kept.extent.id);
        self.unmark(wanted.iter().filter(marked))?;
        let (due, staying) = self.without_hold(connection, due, done)?;
        self.unmark(staying.iter().filter(marked))?;
        for kept in &due {
            if self.is_stopped(done) {
                break;
            }
            let is_anew = anew.contains(&kept.extent.id);
            match marks.get(&kept.extent.id) {
                None => self.mark(kept, is_anew)?,
                Some(at) if self.is_over(*at, moment.store) => match self.delete(kept, *at)? {
                    Some(why) => done.remarks.push(format!("extent {} stays for now: {why}", kept.extent.id)),
                    None if is_anew => done.superseded.push(self.deed(kept)),
                    None => done.let_go.push(self.deed(kept)),
                },
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What no hold keeps of them, and the others.
    fn without_hold(&self, connection: &mut Connection, due: Vec<Kept>, done: &mut Archived) -> Result<(Vec<Kept>, Vec<Kept>), SiteFault> {
        let (mut going, mut staying, mut why) = (Vec::new(), Vec::new(), BTreeMap::<_, usize>::new());
        for kept in due {
            let stays = match self.whose(connection, &kept)? {
                Whose::Another => Some("another table has their rows, which had this name when they were exported"),
                _ if !self.table.holds.is_empty() => Some("the table is under hold"),
                Whose::Unknown if !self.table.known_holds.is_empty() => {
                    Some("a hold stands in this database, and which table they were of cannot be told any more")
                }
                Whose::This | Whose::Unknown => None,
            };
            match stays {
                Some(because) => {
                    *why.entry(because).or_default() += 1;
                    staying.push(kept);
                }
                None => going.push(kept),
            }
        }
        for (because, count) in why {
            let (what, table) = (counted(count, "extent"), &self.table.name);
            done.remarks.push(format!("{what} of {table} that may go from the archive stay: {because}"));
        }
        Ok((going, staying))
    }

    /// By the table's own number, which it keeps when it is renamed; another cluster's says nothing here.
    fn whose(&self, connection: &mut Connection, kept: &Kept) -> Result<Whose, SiteFault> {
        let oid = kept.contents.oid.filter(|_| kept.extent.system_identifier == self.cluster);
        let Some(oid) = oid.map(|oid| oid.to_string()) else { return Ok(Whose::Unknown) };
        if oid == self.table.oid {
            return Ok(Whose::This);
        }
        let sql = "select exists (select from pg_catalog.pg_class where oid = $1::text::oid and relkind in ('r', 'p')) as there";
        let is_there = connection.query(sql, &[&oid])?.one()?.flag("there")?;
        Ok(if is_there { Whose::Another } else { Whose::Unknown })
    }

    /// Those of this table: others have rules of their own. An upgraded cluster has another identifier and the same record.
    fn of_table<'i>(
        &self,
        ids: impl Iterator<Item = &'i BackupId>,
        names: &Names,
        recorded: &BTreeSet<String>,
        done: &mut Archived,
    ) -> Result<Vec<Kept>, SiteFault> {
        let identities = self.site.identities(None)?;
        let table = &self.table;
        let mut ours = Vec::new();
        for id in ids {
            match self.shelf().read(id, names, &identities)? {
                Ok(Kept { extent, contents, .. })
                    if (extent.system_identifier != self.cluster && !recorded.contains(id.as_str()))
                        || (&contents.database, &contents.schema, &contents.table) != (&table.database, &table.schema, &table.table) => {}
                Ok(kept) => ours.push(kept),
                Err(why) => done.remarks.push(format!("extent {id} stays in the archive: {why}")),
            }
        }
        Ok(ours)
    }

    fn is_over(&self, marked: Instant, now: Instant) -> bool {
        marked.checked_add(self.site.policy.expire.grace.to_signed()).is_ok_and(|end| end <= now)
    }

    fn mark(&self, kept: &Kept, is_anew: bool) -> Result<(), SiteFault> {
        self.announce(if is_anew { Done::Superseded } else { Done::Marked }, kept)?;
        let reason = match is_anew {
            true => "its rows were exported anew".to_owned(),
            false => format!("its time in the archive is over by `{}.keep`", self.archive.path),
        };
        let tombstone =
            Tombstone { format: FORMAT, backup: kept.extent.id.clone(), reason, by: expire::marker(self.site), acknowledged: false };
        self.store.put_new(&self.repository.extent_mark(&kept.extent.id), Bytes::from(tombstone.to_json()))?;
        Ok(())
    }

    fn unmark<'k>(&self, of: impl Iterator<Item = &'k Kept>) -> Result<(), SiteFault> {
        let marks: Vec<Key> = of.map(|kept| self.repository.extent_mark(&kept.extent.id)).collect();
        if !marks.is_empty() {
            self.store.withdraw(&marks)?;
        }
        Ok(())
    }

    /// Says why it stays, where it does.
    fn delete(&self, kept: &Kept, marked: Instant) -> Result<Option<String>, SiteFault> {
        let id = &kept.extent.id;
        let descriptor = self.repository.extent(id);
        let mut rest = vec![signature_of(&descriptor)];
        rest.extend(self.objects(id)?);
        let whole: Vec<Key> = std::iter::once(descriptor.clone()).chain(rest.iter().cloned()).collect();
        // Of what is locked nothing goes.
        if let Some(lock) = self.store.locks(&whole)?.first() {
            return Ok(Some(words_of(lock)));
        }
        self.announce(Done::LettingGo, kept)?;
        // To the second: a list may say more than a look at one object.
        let mark = self.store.head(&self.repository.extent_mark(id))?;
        if mark.map(|meta| meta.modified.as_second()) != Some(marked.as_second()) {
            return Ok(Some("its mark was taken off, or put anew".into()));
        }
        if let Some(lock) = self.store.purge(std::slice::from_ref(&descriptor))?.locked.first() {
            return Ok(Some(words_of(lock)));
        }
        if let Some(lock) = self.store.purge(&rest)?.locked.first() {
            return Ok(Some(words_of(lock)));
        }
        (self.onlooker.deed)(Done::LetGo, &self.deed(kept));
        // Last: as long as it is there, the next run knows that something is unfinished.
        self.store.withdraw(&[self.repository.extent_mark(id)])?;
        Ok(None)
    }

    /// What an earlier run began to delete, and was killed. A descriptor that somebody moved away before its grace was over is none of that.
    fn finish_deleting(&self, marks: &BTreeMap<BackupId, Instant>, names: &Names, now: Instant) -> Result<(), SiteFault> {
        let there: BTreeSet<&BackupId> = names.extents.iter().collect();
        for (id, _) in marks.iter().filter(|(id, marked)| !there.contains(id) && self.is_over(**marked, now)) {
            let mut rest = vec![signature_of(&self.repository.extent(id))];
            rest.extend(self.objects(id)?);
            // What is locked is found again by its mark.
            if self.store.purge(&rest)?.locked.is_empty() {
                self.store.withdraw(&[self.repository.extent_mark(id)])?;
            }
        }
        Ok(())
    }

    fn objects(&self, id: &BackupId) -> Result<Vec<Key>, SiteFault> {
        let below = self.repository.prefix(&format!("archive/{id}"));
        Ok(self.store.list(&below)?.into_iter().map(|meta| meta.key).collect())
    }

    /// It is about to be done, and that is on record.
    fn announce(&self, done: Done, kept: &Kept) -> Result<(), SiteFault> {
        let deed: Deed = self.deed(kept);
        if (self.onlooker.deed)(done, &deed) { Ok(()) } else { Err(SiteFault { message: UNRECORDED.into(), ..unrecorded() }) }
    }
}

const UNRECORDED: &str = "that archived rows are let go cannot be recorded, so they stay";

fn words_of(lock: &Locked) -> String {
    match lock.until {
        Some(until) => format!("{} is locked until {until}", lock.key),
        None => format!("{} is locked", lock.key),
    }
}
