//! What will be done, what differs, and what was done, for people.

use std::fmt::Write as _;

use crate::cli::copying::size;
use crate::cli::restore::seconds;
use crate::cli::terminal::tame;
use crate::execute::dump::restore::let_run;
use crate::execute::table::landing::about;
use crate::execute::table::landing::difference::Difference;
use crate::execute::table::landing::{CsvTo, Destination, Report, Wanted, Way};
use crate::execute::table::{self, Source};
use crate::plan::words::{counted, joined, plain};
use crate::units::to_the_millisecond;

struct Page(String);

impl Page {
    fn row(&mut self, what: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.0, "  {what:<10} {}", tame(value.as_ref()));
    }
}

/// `hooks` says what the policy has to run where rows change.
pub(super) fn plan(
    source: &Source<'_>,
    why: &str,
    from: &table::Wanted,
    wanted: &Wanted,
    (destination, hooks): (Option<&Destination>, Option<String>),
) -> String {
    let mut page = Page(format!("Bring back {}\n", tame(&joined(wanted.tables.iter().map(about::sql)))));
    let chosen = if why.is_empty() { String::new() } else { format!(" ({why})") };
    match source {
        Source::Physical(planned) => {
            let stopped = to_the_millisecond(planned.stopped);
            page.row(
                "from",
                format!("physical backup {} of store `{}`, ended {stopped}: {}{chosen}", planned.backup, planned.store, planned.reason),
            );
            page.row("as of", format!("{}{}", from.target, if from.exclusive { ", just before it" } else { "" }));
            page.row("fetches", format!("{} of {} that a full restore reads", size(planned.fetch), size(planned.fetch_of)));
            let estimate = &planned.estimate;
            page.row("log", format!("{}, {} at most", counted(estimate.segments, "segment"), size(estimate.wal_bytes)));
            let copy = estimate
                .copy_seconds
                .map_or_else(|| format!("files: not known ({})", estimate.copy_from), |copy| format!("files: about {}", seconds(copy)));
            let replay =
                estimate.replay_seconds.map_or_else(|| "log: not known".to_owned(), |replay| format!("log: at most {}", seconds(replay)));
            page.row("takes", format!("{copy}; {replay}"));
            page.row("room", format!("{} below `{}`, until it is over", size(planned.room), planned.directory.display()));
            for found in &planned.tables {
                let what = match found.relations {
                    Some(_) => size(found.bytes),
                    None => "not in that backup, only in the log after it".to_owned(),
                };
                page.row("held", format!("{}: {what}", about::sql(&found.table)));
            }
            planned.warnings.iter().for_each(|warning| page.row("note", warning));
        }
        Source::Dump(planned) => {
            let (id, job, store) = (planned.backup(), planned.job(), planned.store());
            page.row("from", format!("dump {id} of `backups.{job}`, store `{store}`{chosen}"));
            page.row("as of", format!("{}, when it began", to_the_millisecond(planned.started())));
            page.row(
                "fetches",
                format!(
                    "{} at most; a server of PostgreSQL {} is made for it below `{}`",
                    size(planned.fetch),
                    planned.major,
                    planned.directory.display()
                ),
            );
            match planned.pace() {
                Some(pace) => page.row("takes", format!("at most about {}, {}", seconds(pace.seconds(planned.plain)), pace.because())),
                None => page.row("takes", "not known: nothing was measured yet"),
            }
            let all = format!("all tables of that database are {} in the dump", size(planned.plain));
            match planned.room() {
                Some(room) => page.row("room", format!("about {} there, by the tables' share of all rows; {all}", size(room))),
                None => page.row("room", format!("what the tables need there with their indexes; {all}")),
            }
            for (number, table) in wanted.tables.iter().enumerate() {
                page.row("held", format!("{}: {}", about::sql(table), planned.holds(number)));
            }
            planned.remarks().iter().for_each(|remark| page.row("note", remark));
        }
    }
    if let Some(condition) = &wanted.condition {
        page.row("rows", format!("where {}", plain(condition)));
        page.row("", format!("times and days in it are those of {}", condition.zone()));
        meant(&mut page, wanted, destination);
    }
    place(&mut page, wanted, destination, hooks);
    page.0
}

/// What is known of a condition before anything is fetched, and what it costs.
fn meant(page: &mut Page, wanted: &Wanted, destination: Option<&Destination>) {
    let tables = if wanted.tables.len() == 1 { "the table" } else { "each table" };
    match (&wanted.way, destination) {
        (Way::Replace { .. } | Way::Merge { .. }, Some(destination)) => {
            page.row(
                "",
                format!("`{}` on {} understands it; the private server reads it once more", destination.database, destination.server),
            );
        }
        _ => page.row("", "it is one expression; what it names is looked for by the private server, before any row comes"),
    }
    page.row("", format!("all of {tables} is fetched for it; only rows that fit are brought back"));
    if let Way::Merge { .. } = wanted.way {
        page.row("", "they are compared with those that are there, and the difference is shown, before any row is merged");
    }
}

fn place(page: &mut Page, wanted: &Wanted, destination: Option<&Destination>, hooks: Option<String>) {
    let on =
        destination.map(|destination| format!("`{}` on {} (PostgreSQL {})", destination.database, destination.server, destination.major));
    let on = on.unwrap_or_default();
    match &wanted.way {
        Way::Csv(CsvTo::Stdout) => page.row("into", "standard output, as CSV"),
        Way::Csv(CsvTo::File(path)) => page.row("into", format!("`{}`, as CSV", path.display())),
        Way::Schema { schema, name } => {
            let name = name.as_ref().map_or_else(String::new, |name| format!(" as `{name}`"));
            page.row("into", format!("the schema `{schema}`{name} of {on}; nothing that is there is changed"));
        }
        Way::Replace { .. } if wanted.condition.is_some() => {
            page.row(
                "into",
                format!("the table itself in {on}, in one transaction: rows that fit, then or now, become what they were then"),
            );
            page.row("", "those that fit now and are not in the backup at all GO; every other row stays");
        }
        Way::Replace { .. } => page.row("into", format!("the table itself in {on}: all of its rows become those, in one transaction")),
        Way::Merge { delete_others, .. } => {
            page.row("into", format!("the table itself in {on}, in one transaction, after the difference was shown"));
            let others = if *delete_others { "GO" } else { "stay" };
            let which = if wanted.condition.is_some() {
                "rows that fit now and are not in the backup at all"
            } else {
                "rows that are there now and were not then"
            };
            page.row("", format!("{which} {others}"));
        }
    }
    let Some(destination) = destination else { return };
    for there in destination.tables.iter().flatten() {
        page.row("now", format!("{}: about {}, {}", there.name(), counted(there.rows, "row"), size(there.bytes)));
    }
    if let Way::Replace { .. } | Way::Merge { .. } = wanted.way {
        let bytes: u64 = destination.tables.iter().flatten().map(|there| there.table_bytes).sum();
        match wanted.way.kept() {
            Some(schema) if matches!(wanted.way, Way::Replace { .. }) && wanted.condition.is_none() => {
                page.row(
                    "keeps",
                    format!("all rows as they are now in the schema `{schema}`, {} more, and those that come in their place", size(bytes)),
                );
            }
            Some(schema) => page.row("keeps", format!("rows that change or go in the schema `{schema}`")),
            None => page.row("keeps", "NOTHING of the rows that change or go"),
        }
        page.row("meanwhile", "readers go on; whoever writes the table waits for the end, and then writes to the rows that came back");
        page.row(
            "",
            "no trigger runs; every foreign key from and to it is checked before the end, and one that breaks takes all of it back",
        );
        hooks.into_iter().for_each(|hooks| page.row("hooks", hooks));
    }
    destination.remarks.iter().for_each(|remark| page.row("note", remark));
}

/// What the state that was brought back is lacking.
pub(super) fn flaws(flaws: &[&String]) -> String {
    let mut page = Page("Of the state that was brought back\n".to_owned());
    flaws.iter().for_each(|flaw| page.row("note", flaw));
    page.0
}

pub(super) fn differences(differences: &[Difference]) -> String {
    let mut out = String::new();
    for difference in differences {
        let _ = writeln!(out, "Difference of {} by {}", tame(&difference.table), tame(&joined(&difference.key)));
        let _ = writeln!(out, "  + {} in the backup and not there now", rows(difference.added));
        keys(&mut out, '+', &difference.first_added, difference.added);
        let _ = writeln!(out, "  ~ {} not the same", rows(difference.changed));
        for changed in &difference.first_changed {
            let _ = writeln!(out, "    ~ {}", value(Some(&changed.key)));
            for column in &changed.columns {
                let _ =
                    writeln!(out, "        {}: {} → {}", plain(&column.name), value(column.now.as_deref()), value(column.then.as_deref()));
            }
            if changed.columns.is_empty() {
                let _ = writeln!(out, "        reads the same, and is written in another form");
            }
        }
        more(&mut out, difference.first_changed.len(), difference.changed);
        let fate = if difference.missing_go { "these GO" } else { "these stay" };
        let _ = writeln!(out, "  - {} there now and not in the backup: {fate}", rows(difference.missing));
        keys(&mut out, '-', &difference.first_missing, difference.missing);
        let _ = writeln!(out, "  = {} the same", rows(difference.same));
    }
    out
}

fn rows(count: u64) -> String {
    let is = if count == 1 { "is" } else { "are" };
    format!("{} {is}", counted(count, "row"))
}

fn keys(out: &mut String, sign: char, first: &[String], all: u64) {
    for key in first {
        let _ = writeln!(out, "    {sign} {}", value(Some(key)));
    }
    more(out, first.len(), all);
}

fn more(out: &mut String, shown: usize, all: u64) {
    if shown > 0 && all > shown as u64 {
        let _ = writeln!(out, "    and {} more", all - shown as u64);
    }
}

/// On one line, and without anything that acts on a terminal. Nothing is no text.
fn value(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| format!("`{}`", plain(text)))
}

pub(super) fn report(report: &Report) -> String {
    let nothing = if report.differences.iter().all(Difference::is_empty) {
        "Nothing to bring back: no row differs\n"
    } else {
        "Nothing was changed\n"
    };
    let mut page = Page(if report.done { "Brought back\n".to_owned() } else { nothing.to_owned() });
    page.row("as of", &report.moment);
    let mut told = None;
    for landed in &report.tables {
        let size = size(landed.bytes);
        match report.way.as_str() {
            "csv" | "schema" => {
                page.row("table", format!("{} into {}: {}, {size}", landed.table, landed.into, counted(landed.rows, "row")))
            }
            _ => page.row(
                "table",
                format!(
                    "{}: {} added, {} changed, {} removed, of {} that came",
                    landed.table,
                    landed.added,
                    landed.changed,
                    landed.removed,
                    counted(landed.rows, "row")
                ),
            ),
        }
        landed.left_out.iter().for_each(|what| page.row("left out", what));
        if !landed.remake.is_empty() {
            page.row("remake", "of what was left out this makes again what can be made, in this order, when somebody has read it:");
            landed.remake.iter().for_each(|sql| format!("{sql};").lines().for_each(|line| page.row("", line)));
        }
        landed.held_jobs.iter().for_each(|job| page.row("held job", format!("{} {}", job.id, job.does)));
        if !landed.held_jobs.is_empty() {
            page.row("", format!("let them run, when what they would delete may go: {};", let_run(&landed.held_jobs)));
        }
        landed.refresh.iter().for_each(|refresh| page.row("refresh", format!("{};", refresh.sql)));
        if let (Some(kept), Some(undo)) = (&landed.kept_in, &landed.undo) {
            page.row("kept", format!("what was there before is in {kept}; drop it when nobody needs it"));
            // One for all tables.
            if told != Some(undo) {
                page.row("undo", undo);
                told = Some(undo);
            }
        }
    }
    report.remarks.iter().for_each(|remark| page.row("note", remark));
    let took = &report.seconds;
    let parts = format!("plan {}, source {}, landing {}", seconds(took.plan), seconds(took.source), seconds(took.landing));
    page.row("took", format!("{}: {parts}", seconds(took.total)));
    page.0
}
