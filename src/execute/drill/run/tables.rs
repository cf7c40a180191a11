//! A drill of a job of chosen tables. Out of `pg_dump`'s own format they are restored; from CSV they are loaded into tables of the columns
//! that were recorded, and what is in those is held against the sum of the rows; Parquet is read back, because nothing makes tables of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256};

use super::super::DrillFault;
use super::Run;
use crate::execute::archive::SETTINGS;
use crate::execute::dump::child::{self, Halt};
use crate::execute::dump::programs::Programs;
use crate::execute::dump::restore::feed::feed_and_hear;
use crate::execute::dump::restore::{Found, listing, types};
use crate::execute::restore::directory;
use crate::execute::throwaway::{self, Place};
use crate::format::archived::Form;
use crate::format::columnar::count_rows;
use crate::format::contents::{Database, Export};
use crate::format::descriptor::Object;
use crate::format::rows::Tally;
use crate::inventory::{BackupKind, Phase};
use crate::pipeline::{Checked, PipelineFault, hash_object, read_plain, read_rows};
use crate::plan::words::{counted, joined, quoted as shown};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Settings};
use crate::units::hex;

/// What leads to what is not in a dump of a few tables, or would act by itself.
const LEFT: [(&str, &str); 8] = [
    ("FK CONSTRAINT", "foreign key"),
    ("TRIGGER", "trigger"),
    ("POLICY", "policy"),
    ("RULE", "rule"),
    ("EVENT TRIGGER", "event trigger"),
    ("PUBLICATION", "publication"),
    ("SUBSCRIPTION", "subscription"),
    ("MATERIALIZED VIEW DATA", "materialized view"),
];
/// These need no making, or are made otherwise.
const NOT_MADE: [&str; 2] = ["plpgsql", "timescaledb"];

/// All of it is Parquet: there is nothing to restore, and no server for it.
pub(super) fn are_columns(found: &Found) -> bool {
    let mut exports = found.contents.databases.iter().flat_map(|database| &database.exports).peekable();
    found.descriptor.kind == BackupKind::Tables && exports.peek().is_some() && exports.all(|export| export.form == Form::Parquet)
}

fn table(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

fn of(fault: PipelineFault) -> DrillFault {
    DrillFault::new(fault.to_string(), fault.hint())
}

impl Run<'_> {
    /// Every object is what the signed descriptor names, before anything of it is used.
    fn check_objects(&mut self, found: &Found) -> Result<(), DrillFault> {
        self.enter(Phase::Check);
        for object in &found.descriptor.objects {
            let key = found.repository.data(&found.descriptor.id, &object.name);
            let sum = hash_object(&found.store, &key, object.size, &mut |_| !self.is_asked_to_end()).map_err(of)?;
            if sum != object.sha256 {
                let what = format!("its SHA-256 is {sum} instead of {}", object.sha256);
                return Err(of(PipelineFault::Damaged { key: key.to_string(), what }));
            }
        }
        self.watch.through(Phase::Check, found.descriptor.objects.iter().map(|object| object.size).sum());
        self.must_go_on()
    }

    pub(super) fn bring_back_tables(&mut self, found: &Found, settings: &Settings) -> Result<(), DrillFault> {
        self.check_objects(found)?;
        self.enter(Phase::Load);
        for database in &found.contents.databases {
            let settings = self.make_database(database, settings)?;
            let unmade = self.make_types(found, database, &settings)?;
            make_schemas(database, &settings)?;
            // What its tables go by comes with them: they are not to find here what a recovery would not have.
            let come_later = database.types.is_some();
            if !come_later {
                self.make_extensions(database, &settings)?;
            }
            if database.archives.is_empty() {
                self.load_rows(found, database, &settings)?;
            } else {
                self.restore_archives(found, database, &settings).map_err(|fault| match unmade {
                    Some(unmade) => {
                        let hint = format!("{} Of what the tables need not everything could be made: {}.", fault.hint, unmade.message);
                        DrillFault { hint, ..fault }
                    }
                    None => fault,
                })?;
            }
            if come_later {
                self.make_extensions(database, &settings)?;
            }
        }
        self.watch.end(None);
        self.watch.through(Phase::Load, found.descriptor.objects.iter().map(|object| object.plain_size).sum());
        self.opened_by(&found.identities);
        self.must_go_on()
    }

    /// Sorted as it was, where this machine can.
    fn make_database(&mut self, database: &Database, settings: &Settings) -> Result<Settings, DrillFault> {
        let own = settings.clone().with_dbname(&database.name);
        if database.name != settings.dbname {
            let mut connection = Connection::connect(settings)?;
            let plain = format!("create database {} template template0 encoding {}", quoted(&database.name), literal(&database.encoding));
            let sorted = format!("{plain} lc_collate {} lc_ctype {}", literal(&database.collate), literal(&database.ctype));
            if let Err(fault) = connection.run(&sorted) {
                connection.run(&plain)?;
                self.record.remarks.push(format!("text is sorted byte by byte, and not as on the original: {}", fault.message));
            }
        }
        Ok(own)
    }

    /// Types and functions that the tables go by, as `restore --into-database` makes them. Gives what was wrong with some of it.
    fn make_types(&mut self, found: &Found, database: &Database, settings: &Settings) -> Result<Option<DrillFault>, DrillFault> {
        let Some(types) = types::needed(found, database, &|_| Ok(None))? else { return Ok(None) };
        let folder = self.place().folder().to_owned();
        let (stop, programs) = (self.onlooker.stop, self.clients(found)?);
        let halt = Halt { stop, abort: AtomicBool::new(false), deadline: None };
        let restoring = Restoring { programs: &programs, settings, halt: &halt, object: &types.object, path: folder.join("types") };
        spool(found, &types.object, &restoring.path, stop)?;
        let kept: String = restoring
            .listed()?
            .lines()
            .filter(|line| listing::number(line).is_some_and(|line| types.has(line)))
            .map(|line| format!("{line}\n"))
            .collect();
        let list = folder.join("list");
        write_list(&list, &kept)?;
        let unmade = restoring.heard(&["--section=pre-data".to_owned(), format!("--use-list={}", list.display())])?.err();
        Ok(unmade.inspect(|fault| tracing::info!("not all types and functions of the dump could be made: {}", fault.message)))
    }

    /// Those that are here: the tables may have their types, and what is asked afterwards their functions.
    fn make_extensions(&mut self, database: &Database, settings: &Settings) -> Result<(), DrillFault> {
        let mut connection = Connection::connect(settings)?;
        let wanted = database.extensions.keys().filter(|name| !NOT_MADE.contains(&name.as_str()));
        let lacking: Vec<&String> =
            wanted.filter(|name| connection.run(&format!("create extension if not exists {} cascade", quoted(name))).is_err()).collect();
        if !lacking.is_empty() {
            let names = joined(lacking.iter().map(shown));
            self.record
                .remarks
                .push(format!("extensions of the original that are not here, of which the tables need not have anything: {names}"));
        }
        Ok(())
    }

    fn restore_archives(&mut self, found: &Found, database: &Database, settings: &Settings) -> Result<(), DrillFault> {
        let folder = self.place().folder().to_owned();
        let (stop, programs) = (self.onlooker.stop, self.clients(found)?);
        let halt = Halt { stop, abort: AtomicBool::new(false), deadline: None };
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for archive in &database.archives {
            let object = found.object(&archive.object)?;
            let restoring = Restoring { programs: &programs, settings, halt: &halt, object, path: folder.join("dump") };
            spool(found, object, &restoring.path, stop)?;
            restoring.part(&["--section=pre-data".to_owned()])?;
            restoring.part(&["--section=data".to_owned()])?;
            self.enter(Phase::Index);
            let list = restoring.list(&folder.join("list"), &mut left)?;
            restoring.part(&["--section=post-data".to_owned(), format!("--use-list={}", list.display())])?;
        }
        if !left.is_empty() {
            let what = joined(left.iter().map(|(what, count)| counted(*count, what)));
            self.record.remarks.push(format!("left out, for what they lead to is not in the dump: {what}"));
        }
        self.enter(Phase::Count);
        let mut connection = Connection::connect(settings)?;
        for dumped in &database.tables {
            self.must_go_on()?;
            let name = table(&dumped.schema, &dumped.name);
            let rows: u64 = connection.query(&format!("select count(*) as n from only {name}"), &[])?.one()?.parse("n")?;
            if rows != dumped.rows {
                return Err(DrillFault::new(format!("{name} has {rows} rows, and its dump {}", dumped.rows), "Take another backup."));
            }
        }
        Ok(connection.run("analyze").map(drop)?)
    }

    fn load_rows(&mut self, found: &Found, database: &Database, settings: &Settings) -> Result<(), DrillFault> {
        let mut connection = Connection::connect(settings)?;
        for (name, value) in SETTINGS {
            connection.run(&format!("set {name} = {}", literal(value)))?;
        }
        for export in &database.exports {
            if export.form == Form::Parquet {
                let message = format!("{} lies in backup {} as Parquet", table(&export.schema, &export.table), found.descriptor.id);
                return Err(DrillFault::new(message, "One backup has all of its tables in one form: take another one."));
            }
            let as_text = make_table(&mut connection, export)?;
            if !as_text.is_empty() {
                let (name, columns) = (table(&export.schema, &export.table), joined(as_text.iter().map(shown)));
                self.record
                    .remarks
                    .push(format!("{columns} of {name} came back as text: their types are the database's own, and CSV has none"));
            }
            load(found, export, &mut connection, self.onlooker.stop)?;
        }
        self.enter(Phase::Count);
        for export in &database.exports {
            self.must_go_on()?;
            must_be_the_same(export, &mut connection)?;
        }
        Ok(connection.run("analyze").map(drop)?)
    }

    /// Every file is opened, read to its last row, and held against what was written.
    pub(super) fn read_back_columns(&mut self, found: &Found) -> Result<(), DrillFault> {
        if !self.drill.expectations.is_empty() || self.drill.run.is_some() {
            let message = format!("backup {} has its rows as Parquet: no table is made that could be asked", found.descriptor.id);
            return Err(DrillFault::new(message, "Take the expectations out, or let the job say `format: csv` or `custom`."));
        }
        let base = self.base()?;
        let place = Place::make(self.site, &base, &self.record.id, self.purpose())?;
        self.place = Some(place);
        self.place().prepare(directory::server_account()?.0)?;
        let largest = found.descriptor.objects.iter().map(|object| object.plain_size).max().unwrap_or(0);
        throwaway::must_have_room(&base, largest, 0, &self.purpose())?;
        self.check_objects(found)?;
        self.enter(Phase::Load);
        let path = self.place().folder().join("rows");
        for export in found.contents.databases.iter().flat_map(|database| &database.exports) {
            read_back(found, export, &path, self.onlooker.stop)?;
            self.must_go_on()?;
        }
        self.watch.end(None);
        self.watch.through(Phase::Load, found.descriptor.objects.iter().map(|object| object.plain_size).sum());
        self.opened_by(&found.identities);
        self.record.recovery_millis = Some(self.millis());
        let rows: u64 = found.contents.databases.iter().flat_map(|database| &database.exports).map(|export| export.rows).sum();
        self.record.remarks.push(format!("{rows} rows were read back from Parquet; no database was made of them"));
        Ok(())
    }
}

/// `pg_restore` with one archive that lies in a file: it is read three times.
struct Restoring<'r> {
    programs: &'r Programs,
    settings: &'r Settings,
    halt: &'r Halt<'r>,
    object: &'r Object,
    path: PathBuf,
}

impl Restoring<'_> {
    /// What is wrong ends it.
    fn part(&self, more: &[String]) -> Result<(), DrillFault> {
        let words: Vec<String> = std::iter::once("--exit-on-error".to_owned()).chain(more.iter().cloned()).collect();
        self.heard(&words)?.map_err(|fault| {
            let hint = "What the tables need beside types and functions (a sequence, another table) comes with no job of chosen tables: a job with \
                        `logical` dumps it with the rest. A recovery of these tables alone would need a database that has it.";
            let is_lacking = fault.message.contains("does not exist");
            DrillFault { hint: if is_lacking { hint.to_owned() } else { fault.hint }, ..fault }
        })
    }

    /// The inner fault is what the program found wrong.
    fn heard(&self, more: &[String]) -> Result<Result<(), DrillFault>, DrillFault> {
        let database = self.settings.dbname_argument(&self.settings.dbname);
        let mut words = vec!["--no-password".to_owned(), format!("--dbname={database}")];
        let without = ["owner", "privileges", "publications", "subscriptions", "security-labels", "tablespaces"];
        words.extend(without.map(|what| format!("--no-{what}")));
        words.extend(more.iter().cloned());
        words.push(self.path.display().to_string());
        let mut command = self.programs.command("pg_restore", words);
        self.settings.environment(&self.settings.targets[0]).apply(&mut command);
        let heard = feed_and_hear(command, self.halt, &self.object.name, None)?;
        Ok(heard.map_err(|fault| DrillFault::new(fault.message, fault.hint)))
    }

    fn listed(&self) -> Result<String, DrillFault> {
        let mut text = Vec::new();
        let command = self.programs.command("pg_restore", ["--list".into(), self.path.clone().into_os_string()]);
        let listed = child::stream(command, self.halt, &mut |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        });
        listed.map_err(|fault| DrillFault::new(fault.to_string(), fault.hint()))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// What comes behind the rows, without what leads elsewhere, which is counted.
    fn list(&self, to: &Path, left: &mut BTreeMap<&'static str, usize>) -> Result<PathBuf, DrillFault> {
        let mut kept = String::new();
        for line in self.listed()?.lines() {
            // `3021; 2606 16402 FK CONSTRAINT public orders orders_customer_fkey postgres`
            let what = line.splitn(4, ' ').nth(3).unwrap_or_default();
            match LEFT.iter().find(|(kind, _)| !line.starts_with(';') && what.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
            {
                Some((_, word)) => *left.entry(word).or_default() += 1,
                None => kept.push_str(&format!("{line}\n")),
            }
        }
        write_list(to, &kept)?;
        Ok(to.to_owned())
    }
}

fn write_list(to: &Path, lines: &str) -> Result<(), DrillFault> {
    let failed = |error: std::io::Error| DrillFault::new(format!("`{}` cannot be written: {error}", to.display()), "");
    private(to).and_then(|mut file| file.write_all(lines.as_bytes())).map_err(failed)
}

fn make_schemas(database: &Database, settings: &Settings) -> Result<(), DrillFault> {
    let mut connection = Connection::connect(settings)?;
    let schemas: BTreeSet<&str> = database.tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.into_iter().try_for_each(|schema| connection.run(&format!("create schema if not exists {}", quoted(schema))).map(drop))?;
    Ok(())
}

/// Ours alone, in a folder that the server's account may write to as well: no link is followed.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    File::options().read(true).write(true).create(true).truncate(true).mode(0o600).custom_flags(no_link).open(path)
}

/// The dump in the clear, for as long as the copy lives.
fn spool(found: &Found, object: &Object, path: &Path, stop: &AtomicBool) -> Result<(), DrillFault> {
    let key = found.repository.data(&found.descriptor.id, &object.name);
    let failed = |error: std::io::Error| of(PipelineFault::file(format!("writing {}", path.display()), error));
    let mut file = private(path).map_err(failed)?;
    let mut reader = Checked::open(&found.store, &key, object.size, &object.sha256, &found.identities).map_err(of)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(DrillFault::new("it was asked to end", ""));
        }
        match reader.read(&mut buffer).map_err(|error| of(PipelineFault::of_stream(key.as_str(), &error)))? {
            0 => return Ok(()),
            got => file.write_all(&buffer[..got]).map_err(failed)?,
        }
    }
}

/// Gives the columns whose types are not here.
fn make_table(connection: &mut Connection, export: &Export) -> Result<Vec<String>, DrillFault> {
    let (mut columns, mut as_text) = (Vec::new(), Vec::new());
    for column in &export.columns {
        // The server says what is a type and nothing else; what it cannot even read is none of its own.
        let known = connection.query("select to_regtype($1) is not null as known", &[&column.r#type]);
        let is_known = known.and_then(|rows| rows.one()?.flag("known")).unwrap_or(false);
        if !is_known {
            as_text.push(column.name.clone());
        }
        let kind = if is_known { column.r#type.as_str() } else { "text" };
        columns.push(format!("{} {kind}{}", quoted(&column.name), if column.not_null { " not null" } else { "" }));
    }
    connection.run(&format!("create table {} ({})", table(&export.schema, &export.table), columns.join(", ")))?;
    Ok(as_text)
}

fn list_of(export: &Export) -> String {
    export.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

fn load(found: &Found, export: &Export, connection: &mut Connection, stop: &AtomicBool) -> Result<(), DrillFault> {
    let object = found.object(&export.object)?;
    let key = found.repository.data(&found.descriptor.id, &object.name);
    let name = table(&export.schema, &export.table);
    let mut rows = connection.copy_in(&format!("copy {name} ({}) from stdin (format csv, header true)", list_of(export)))?;
    let mut refused = None;
    let read = read_rows(&found.store, &key, object.size, &found.identities, &mut |bytes| {
        refused = rows.send(bytes).err();
        Ok(refused.is_none() && !stop.load(Ordering::Relaxed))
    });
    let tallied = match (read, refused) {
        (_, Some(fault)) => return Err(fault.into()),
        (read, None) => read.map_err(of)?,
    };
    if (tallied.rows, &tallied.sum) != (export.rows, &export.sum) {
        return Err(DrillFault::new(format!("{key} does not hold the rows that were exported"), "Take another backup, or another store."));
    }
    let came = rows.finish()?;
    if came != export.rows {
        return Err(DrillFault::new(format!("{came} of the {} rows of {name} came into the table", export.rows), ""));
    }
    Ok(())
}

/// What is in the table now, written as it was written then, has the same sum.
fn must_be_the_same(export: &Export, connection: &mut Connection) -> Result<(), DrillFault> {
    let name = table(&export.schema, &export.table);
    let mut rows = connection.copy_out(&format!("copy (select {} from {name}) to stdout (format csv, header true)", list_of(export)))?;
    let mut tally = Tally::after_header();
    while let Some(piece) = rows.piece()? {
        tally.push(&piece);
    }
    match tally.finish() {
        Some(tallied) if (tallied.rows, &tallied.sum) == (export.rows, &export.sum) => Ok(()),
        _ => Err(DrillFault::new(
            format!("the rows that are in {name} now are not those that were exported"),
            "A recovery would bring back the same. Was it exported by another version of PostgreSQL, that writes a type differently?",
        )),
    }
}

fn read_back(found: &Found, export: &Export, path: &Path, stop: &AtomicBool) -> Result<(), DrillFault> {
    let object = found.object(&export.object)?;
    let key = found.repository.data(&found.descriptor.id, &object.name);
    let failed = |error: std::io::Error| PipelineFault::file(format!("writing {}", path.display()), error);
    let mut file = private(path).map_err(|error| of(failed(error)))?;
    let mut digest = Context::new(&SHA256);
    let read = read_plain(&found.store, &key, object.size, &found.identities, &mut |bytes| {
        digest.update(bytes);
        file.write_all(bytes).map_err(failed)?;
        Ok(!stop.load(Ordering::Relaxed))
    });
    read.map_err(of)?;
    let name = table(&export.schema, &export.table);
    if export.plain_sha256.as_ref() != Some(&hex(digest.finish().as_ref())) {
        return Err(DrillFault::new(format!("{key} does not read back as it was written"), "Take another backup, or another store."));
    }
    match count_rows(file) {
        Ok(rows) if rows == export.rows => Ok(()),
        Ok(rows) => Err(DrillFault::new(format!("{key} has {rows} rows, and {name} had {}", export.rows), "Take another backup.")),
        Err(error) => Err(DrillFault::new(format!("{key} is no Parquet that can be read: {error}"), "Take another backup.")),
    }
}
