//! TimescaleDB's state, archives of old rows, holds.

use std::collections::BTreeMap;

use super::{HOLD_ENDED, Resolver};
use crate::inventory::{Hold, Selection};
use crate::policy::file;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Archive, Dropping, RowHold};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::schedule::{DayRule, Schedule, TimeOfDay};
use crate::units::{Instant, Name, Period};

const ARCHIVE_TOO_LATE: Code = Code(506);
const COMPRESS_TOO_LATE: Code = Code(509);
const BAD_COLUMN: Code = Code(210);
const WRONG_ORDER: Code = Code(236);
const REPEATED_COLUMN: Code = Code(203);

fn formats(written: Option<&file::OneOrMany<file::ArchiveFormat>>) -> Vec<file::ArchiveFormat> {
    match written {
        Some(written) => written.as_slice().to_vec(),
        None => vec![file::ArchiveFormat::Csv, file::ArchiveFormat::Parquet],
    }
}

impl Resolver<'_> {
    pub(super) fn archives(&mut self) -> Vec<Archive> {
        let mut archives = Vec::new();
        for (database, timescale) in &self.file.timescaledb {
            let path = PolicyPath::from(["timescaledb", database.as_str()]);
            let known = self.file.cluster.as_ref().map(|cluster| cluster.databases.as_slice()).unwrap_or_default();
            if !known.is_empty() {
                self.refer_to(database, known.iter().map(String::as_str), "cluster.databases", &path);
            }
            for (table, hypertable) in &timescale.hypertables {
                let at = path.key("hypertables").key(table);
                self.sql_name(table, 2, &at);
                self.hypertable(database, table, hypertable, &at, &mut archives);
            }
            for (view, aggregate) in &timescale.continuous_aggregates {
                let at = path.key("continuous_aggregates").key(view);
                self.sql_name(view, 2, &at);
                self.aggregate(aggregate, &at);
            }
        }
        for (name, written) in &self.file.archive {
            let path = PolicyPath::from(["archive", name.as_str()]);
            self.sql_name(&written.table, 2, &path.key("table"));
            self.sql_name(&written.column, 1, &path.key("column"));
            let database = self.database(written.database.as_ref(), &path);
            let good = self.refer(&written.store, &self.file.stores, "stores", &path.key("store"));
            let schedule = self.daily_unless(written.schedule.as_ref(), &path);
            let retain = database.as_ref().and_then(|database| self.retained(database, &written.table));
            if let Some((retain, of)) = &retain {
                self.in_time(written.after, *retain, &path, of);
            }
            if let (Some(database), true, Some(schedule)) = (database, good, schedule) {
                archives.push(Archive {
                    path,
                    database,
                    table: written.table.clone(),
                    after: written.after,
                    store: written.store.clone(),
                    schedule,
                    retain: retain.map(|(retain, _)| retain),
                    column: Some(written.column.clone()),
                    formats: formats(written.format.as_ref()),
                    keep: written.keep,
                });
            }
        }
        archives
    }

    /// The tables and continuous aggregates whose rows go by their age while a hold stands that names them, or always where the policy says that Seawall
    /// drops them. Those with an archive go by that. Of which
    /// of them a hold on something of TimescaleDB's own holds rows, as on a chunk, only the database knows: it may be any.
    pub(super) fn droppings(&mut self, archives: &[Archive], holds: &BTreeMap<Name, RowHold>) -> Vec<Dropping> {
        let mut droppings = Vec::new();
        let now = self.beginning(self.today).unwrap_or(Instant::MIN);
        for (database, timescale) in &self.file.timescaledb {
            let tables = timescale.hypertables.iter().map(|(table, written)| ("hypertables", table, written.retain));
            let views = timescale.continuous_aggregates.iter().map(|(view, written)| ("continuous_aggregates", view, written.retain));
            for (section, table, retain) in tables.chain(views) {
                let is_it = |of: &str, name: &str| of == database && sql_name::same_table(name, table);
                let may_be_it =
                    |hold: &&RowHold| is_it(&hold.database, &hold.table) || (hold.database == *database && is_inside(&hold.table));
                let held = holds.values().filter(may_be_it).any(|hold| hold.is_cut(retain, self.zone.time_zone(), now));
                let archived = archives.iter().any(|archive| is_it(&archive.database, &archive.table));
                let path = PolicyPath::from(["timescaledb", database.as_str(), section, table.as_str(), "retain"]);
                let always = timescale.is_dropped_by_seawall();
                if let (Some(after), true, false) = (retain, held || always, archived)
                    && let Some(schedule) = self.daily_unless(None, &path)
                {
                    droppings.push(Dropping { path, database: database.clone(), table: table.clone(), after, schedule, always });
                }
            }
        }
        droppings
    }

    fn hypertable(&mut self, database: &str, table: &str, written: &file::Hypertable, path: &PolicyPath, archives: &mut Vec<Archive>) {
        if let Some(compress) = &written.compress {
            self.compress(compress, &path.key("compress"));
            if let Some(retain) = written.retain
                && compress.after >= retain
            {
                self.push(
                    Finding::warning(
                        COMPRESS_TOO_LATE,
                        path.key("compress").key("after"),
                        format!("chunks are dropped after {retain}, before they would be compressed"),
                    )
                    .hint("Compress earlier, or take `compress` out.")
                    .related(path.key("retain"), "dropped here"),
                );
            }
        }
        let Some(archive) = &written.archive else { return };
        let at = path.key("archive");
        if let Some(retain) = written.retain {
            self.in_time(archive.after, retain, &at, &path.key("retain"));
        }
        let good = self.refer(&archive.store, &self.file.stores, "stores", &at.key("store"));
        if let (true, Some(schedule)) = (good, self.daily_unless(archive.schedule.as_ref(), &at)) {
            archives.push(Archive {
                path: at,
                database: database.to_owned(),
                table: table.to_owned(),
                after: archive.after,
                store: archive.store.clone(),
                schedule,
                retain: written.retain,
                column: None,
                formats: formats(archive.format.as_ref()),
                keep: archive.keep,
            });
        }
    }

    /// How long a table keeps its rows that an archive of its own names, and where that is said.
    fn retained(&self, database: &str, table: &str) -> Option<(Period, PolicyPath)> {
        let mut hypertables = self.file.timescaledb.get(database)?.hypertables.iter();
        let (name, hypertable) = hypertables.find(|(name, _)| sql_name::same_table(name, table))?;
        let path = PolicyPath::from(["timescaledb", database, "hypertables", name.as_str(), "retain"]);
        Some((hypertable.retain?, path))
    }

    fn in_time(&mut self, after: Period, retain: Period, archive: &PolicyPath, dropped: &PolicyPath) {
        if after < retain {
            return;
        }
        let message = format!("rows are dropped after {retain} and archived only after {after}");
        self.push(
            Finding::error(ARCHIVE_TOO_LATE, archive.key("after"), message)
                .label("they would be gone before they are archived")
                .hint("Archive earlier than `retain`.")
                .related(dropped.clone(), "dropped here"),
        );
    }

    fn compress(&mut self, compress: &file::Compress, path: &PolicyPath) {
        for (index, column) in compress.segment_by.iter().enumerate() {
            let at = path.key("segment_by").item(index);
            if self.sql_name(column, 1, &at) && compress.segment_by[..index].contains(column) {
                self.push(Finding::error(REPEATED_COLUMN, at, format!("`{column}` is listed twice")).hint("Take one of them out."));
            }
        }
        for (index, column) in compress.order_by.iter().enumerate() {
            let at = path.key("order_by").item(index);
            let (name, order) = match column.rfind('"') {
                Some(quote) => column.split_at(quote + 1),
                None => column.split_once(' ').unwrap_or((column, "")),
            };
            let order = order.trim().to_uppercase();
            if !["", "ASC", "DESC", "ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST", "NULLS FIRST", "NULLS LAST"]
                .contains(&order.as_str())
            {
                self.push(
                    Finding::error(BAD_COLUMN, at, format!("`{}` does not say how to order by a column", crate::units::clipped(column)))
                        .hint("Write the column, then ASC or DESC, then NULLS FIRST or NULLS LAST if wanted."),
                );
            } else if self.sql_name(name.trim(), 1, &at) && compress.segment_by.iter().any(|segment| segment == name.trim()) {
                self.push(
                    Finding::error(REPEATED_COLUMN, at, format!("`{}` cannot both segment and order", name.trim()))
                        .hint("TimescaleDB refuses that: keep it in one of the two."),
                );
            }
        }
    }

    fn aggregate(&mut self, written: &file::ContinuousAggregate, path: &PolicyPath) {
        for (index, job) in written.refresh_before.iter().enumerate() {
            self.refer(job, &self.file.backups, "backups", &path.key("refresh_before").item(index));
        }
        if let Some(refresh) = &written.refresh
            && refresh.from <= refresh.to
        {
            self.push(
                Finding::error(
                    WRONG_ORDER,
                    path.key("refresh").key("from"),
                    format!("the oldest rows ({}) are not older than the newest ({})", refresh.from, refresh.to),
                )
                .hint("Both are ages: `from` must be the longer one."),
            );
        }
    }

    fn daily_unless(&mut self, written: Option<&file::Schedule>, path: &PolicyPath) -> Option<Schedule> {
        match written {
            Some(written) => self.schedule(written, &path.key("schedule")),
            None => Schedule::calendar(DayRule::Daily, vec![TimeOfDay::MIDNIGHT], self.zone.clone()).ok(),
        }
    }

    pub(super) fn holds(&mut self) -> (BTreeMap<Name, RowHold>, Vec<Hold>) {
        let (mut rows, mut backups) = (BTreeMap::new(), Vec::new());
        for (name, hold) in &self.file.holds {
            let path = PolicyPath::from(["holds", name.as_str()]);
            if let Some(file::Date(until)) = hold.until
                && until <= self.today
            {
                self.push(
                    Finding::warning(HOLD_ENDED, path.key("until"), format!("this hold has ended on {until}"))
                        .label("it protects nothing any more")
                        .hint("Take it out once that is meant, or set a later day."),
                );
            }
            if let Some(held) = &hold.rows {
                let at = path.key("rows");
                self.sql_name(&held.table, 2, &at.key("table"));
                self.in_order(held.from, held.to, &at);
                if let Some(database) = self.database(held.database.as_ref(), &at) {
                    rows.insert(
                        name.clone(),
                        RowHold {
                            reason: hold.reason.clone(),
                            until: hold.until,
                            database,
                            table: held.table.clone(),
                            from: held.from,
                            to: held.to,
                            condition: held.r#where.clone(),
                        },
                    );
                }
            }
            if let Some(held) = &hold.backups {
                let at = path.key("backups");
                if let Some(job) = &held.job {
                    self.refer(job, &self.file.backups, "backups", &at.key("job"));
                }
                self.in_order(held.from, held.to, &at);
                let selects = Selection {
                    backups: held.ids.clone().unwrap_or_default(),
                    jobs: held.job.iter().cloned().collect(),
                    labels: held.label.iter().cloned().collect(),
                    from: held.from.and_then(|date| self.beginning(date.0)),
                    to: held.to.and_then(|date| self.end(date.0)),
                };
                backups.push(Hold {
                    name: name.clone(),
                    reason: hold.reason.clone(),
                    until: hold.until.and_then(|date| self.beginning(date.0)),
                    passing: false,
                    selects,
                });
            }
        }
        (rows, backups)
    }

    fn in_order(&mut self, from: Option<file::Date>, to: Option<file::Date>, path: &PolicyPath) {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            self.push(
                Finding::error(WRONG_ORDER, path.key("to"), format!("the last day, {}, lies before the first, {}", to.0, from.0))
                    .hint("Exchange the two."),
            );
        }
    }

    fn beginning(&self, date: jiff::civil::Date) -> Option<Instant> {
        date.to_zoned(self.zone.time_zone().clone()).ok().map(|start| start.timestamp())
    }

    fn end(&self, date: jiff::civil::Date) -> Option<Instant> {
        self.beginning(date).map(|start| Period::from_days(1).after(start, self.zone.time_zone()))
    }
}

/// In a schema in which TimescaleDB keeps chunks, and what is inside of continuous aggregates.
fn is_inside(table: &str) -> bool {
    matches!(sql_name::meaning(table).as_slice(), [.., schema, _] if schema.starts_with("_timescaledb_"))
}
