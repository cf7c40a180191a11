//! Extents whose rows somebody changed before they left their table, so that they were exported anew. Where that goes on, each run brings a copy,
//! and none is ever taken out.
//!
//! The first of them stays, because it says since when its rows wait, and so does the last, which is the one that may be taken out. What lies between
//! goes like everything that is superseded: nothing left the table by it, so its rows are there, or were when a later one was exported. Where neither
//! the table nor a later one has as many, somebody has deleted some, and it is kept, for it may be their only copy.

use std::collections::BTreeSet;

use super::{Archived, Run};
use crate::format::archived::Stretch;
use crate::observe::{Kept, Names};
use crate::plan::words::counted;
use crate::postgres::Connection;
use crate::site::SiteFault;
use crate::units::{BackupId, Instant};

/// One of which no row has left its table.
#[derive(Clone, Copy)]
struct Waiting<'k> {
    kept: &'k Kept,
    stretch: Stretch,
    /// It may be taken out, if nothing has changed: no hold came or went, and the table has its columns.
    is_current: bool,
}

impl Waiting<'_> {
    /// Exported because the other one could not be taken out any more. No column is lost with the other one.
    fn replaces(&self, other: &Waiting<'_>) -> bool {
        let (mine, theirs) = (&self.kept.contents, &other.kept.contents);
        let has = |name: &str, r#type: &str| mine.columns.iter().any(|own| own.name == name && own.r#type == r#type);
        self.is_current
            && self.kept.extent.exported > other.kept.extent.exported
            && self.stretch.overlaps(other.stretch)
            && (&mine.column, mine.oid) == (&theirs.column, theirs.oid)
            && theirs.columns.iter().all(|column| has(&column.name, &column.r#type))
    }
}

impl Archived {
    /// When rows of that stretch of time were exported for the first time that are in the table still.
    pub(super) fn waits_since(&self, kept: &Kept) -> Instant {
        let stretch = kept.contents.stretch();
        let before = self.earlier.iter().filter(|(earlier, _)| earlier.overlaps(stretch)).map(|(_, exported)| *exported);
        before.fold(kept.extent.exported, Instant::min)
    }
}

impl Run<'_> {
    /// What may go of them, and what may still be taken out of its table. `lacking`: so many that may not go are known already.
    pub(super) fn exported_anew(
        &self,
        connection: &mut Connection,
        open: Vec<Kept>,
        names: &Names,
        mut lacking: usize,
        done: &mut Archived,
    ) -> Result<(Vec<Kept>, Vec<Kept>), SiteFault> {
        let all = self.waiting(&open, names);
        let (mut between, mut replaced) = (BTreeSet::new(), BTreeSet::new());
        let mut staying: Vec<Waiting<'_>> = Vec::new();
        for (at, one) in all.iter().enumerate() {
            let (id, later) = (&one.kept.extent.id, &all[at + 1..]);
            if !later.iter().any(|later| later.replaces(one)) {
                staying.push(*one);
                continue;
            }
            replaced.insert(id.clone());
            if !staying.iter().any(|before| before.stretch.overlaps(one.stretch)) {
                staying.push(*one);
            } else if later.iter().any(|later| one.kept.is_replaced_by(&[later.kept]))
                || (self.is_of_this_table(one.kept) && self.has_rows_of(connection, one.kept)?)
            {
                between.insert(id.clone());
            } else {
                lacking += 1;
                staying.push(*one);
            }
        }
        done.earlier = staying.iter().map(|stays| (stays.stretch, stays.kept.extent.exported)).collect();
        if lacking > 0 {
            let (what, table) = (counted(lacking, "extent"), &self.table.name);
            done.remarks.push(format!(
                "{what} of {table} may be the only copy of rows that somebody has deleted there: what was exported anew since has fewer, and \
                 nothing of these is let go"
            ));
        }
        let is_in = |ids: &BTreeSet<BackupId>, kept: &Kept| ids.contains(&kept.extent.id);
        let (going, others): (Vec<Kept>, Vec<Kept>) = open.into_iter().partition(|kept| is_in(&between, kept));
        // The last one is tried alone: what was exported anew had changed.
        Ok((going, others.into_iter().filter(|kept| !is_in(&replaced, kept)).collect()))
    }

    /// Those of this table, the oldest first. What may have left once has rules of its own.
    fn waiting<'k>(&self, open: &'k [Kept], names: &Names) -> Vec<Waiting<'k>> {
        let ours = open.iter().filter(|kept| self.is_ours(kept) && !names.may_have_left(&kept.extent.id));
        let waiting =
            |kept: &'k Kept| Waiting { kept, stretch: kept.contents.stretch(), is_current: self.table.still_means(&kept.contents) };
        let mut all: Vec<Waiting<'_>> = ours.map(waiting).collect();
        all.sort_by_key(|one| one.kept.extent.exported);
        all
    }

    pub(super) fn has_changed(&self, kept: &Kept, done: &Archived) -> String {
        let (table, from, to) = (&self.table.name, &kept.contents.from, &kept.contents.to);
        let since = done.waits_since(kept);
        if since == kept.extent.exported {
            return format!("{table}: rows between {from} and {to} have changed since they were exported, and are exported anew");
        }
        let since = since.strftime("%Y-%m-%d");
        format!(
            "{table}: rows between {from} and {to} keep changing: exported on {since} for the first time, they have changed again since and are \
             exported anew; they stay until nobody changes them for as long as it takes to read them back"
        )
    }
}
