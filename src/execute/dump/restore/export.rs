//! Tables that lie in the store as CSV or Parquet, written out as files that other programs read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{Found, choose};
use crate::execute::custody;
use crate::execute::id::random_word;
use crate::execute::restore::{Pin, RestoreFault, Returned};
use crate::format::archived::Form;
use crate::format::contents::Export;
use crate::format::rows::Tally;
use crate::pipeline::{Checked, PipelineFault};
use crate::plan::words::counted;
use crate::policy::sql_name;
use crate::site::Site;
use crate::units::{BackupId, Bytes, Instant, hex};
use crate::world::clock;

/// What will be written.
#[derive(Debug)]
pub struct ExportPlan {
    pub found: Found,
    folder: PathBuf,
    pub files: Vec<ExportFile>,
}

#[derive(Debug, Clone)]
pub struct ExportFile {
    pub path: PathBuf,
    pub rows: u64,
    export: Export,
}

impl ExportFile {
    pub fn form(&self) -> &'static str {
        word(self.export.form)
    }
}

/// What was written: what `--format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall restore --export-to")]
pub struct Exported {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub backup: BackupId,
    pub store: String,
    pub rows: u64,
    pub files: Vec<ExportedFile>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExportedFile {
    pub path: PathBuf,
    pub schema: String,
    pub table: String,
    /// In their order in the file.
    pub columns: Vec<String>,
    pub rows: u64,
    pub bytes: u64,
}

/// Which files; nothing is touched. `tables` are as in SQL, all where there are none.
pub fn plan_export(found: Found, database: Option<&str>, tables: &[String], folder: &Path) -> Result<ExportPlan, RestoreFault> {
    let at = choose::database(&found.contents, database)?;
    let exports = &found.contents.databases[at].exports;
    if exports.is_empty() {
        let message = format!("backup {} has no tables as files", found.descriptor.id);
        return Err(RestoreFault::new(message, "It is in `pg_dump`'s own format: `--into-database` brings it back."));
    }
    let full = |export: &Export| format!("{}.{}", sql_name::quoted(&export.schema), sql_name::quoted(&export.table));
    for table in tables {
        if !exports.iter().any(|export| sql_name::same_table(&full(export), table)) {
            let message = format!("backup {} does not have the table `{table}`", found.descriptor.id);
            return Err(RestoreFault::new(message, "`seawall show` says what is in it."));
        }
    }
    let is_wanted = |export: &&Export| tables.is_empty() || tables.iter().any(|table| sql_name::same_table(&full(export), table));
    let file = |export: &Export| ExportFile { path: folder.join(file_name(export)), rows: export.rows, export: export.clone() };
    let files: Vec<ExportFile> = exports.iter().filter(is_wanted).map(file).collect();
    if let Some(there) = files.iter().find(|file| file.path.symlink_metadata().is_ok()) {
        let message = format!("`{}` is there already", there.path.display());
        return Err(RestoreFault::new(message, "Name another folder; nothing is overwritten."));
    }
    Ok(ExportPlan { found, folder: folder.to_owned(), files })
}

fn word(form: Form) -> &'static str {
    match form {
        Form::Csv => "csv",
        Form::Parquet => "parquet",
    }
}

/// `public.orders.csv`. What means something to a file system, or could hide what is there, is written as `%2F`.
fn file_name(export: &Export) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let one = |name: &str| {
        let mut text = String::new();
        for c in name.chars() {
            if plain(c) {
                text.push(c);
            } else {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
            }
        }
        text
    };
    format!("{}.{}.{}", one(&export.schema), one(&export.table), word(export.form))
}

impl ExportPlan {
    /// Each file has its name when it is whole, and not before.
    pub fn carry_out(&self, site: &Site<'_>, stop: &AtomicBool) -> Result<Exported, RestoreFault> {
        let found = &self.found;
        let failed = |error: std::io::Error| RestoreFault::new(format!("`{}` cannot be made: {error}", self.folder.display()), "");
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        self.must_have_room()?;
        let _pin = Pin::of(&found.store, &found.repository, &found.descriptor, "restore", site.host(), clock::now());
        let started = clock::now();
        let written = self.files.iter().map(|file| self.one(file, stop)).collect::<Result<Vec<_>, _>>();
        custody::note_where_there_is_a_catalog(site, &found.identities, clock::now());
        self.note(site, started, &written);
        let files = written?;
        Ok(Exported {
            format_version: 1,
            backup: found.descriptor.id.clone(),
            store: found.store.url(),
            rows: files.iter().map(|file| file.rows).sum(),
            files,
        })
    }

    fn note(&self, site: &Site<'_>, started: Instant, written: &Result<Vec<ExportedFile>, RestoreFault>) {
        let descriptor = &self.found.descriptor;
        let returned = Returned {
            kind: "tables",
            subject: format!("{} of backup {}, in the clear,", counted(self.files.len(), "table"), descriptor.id),
            backup: descriptor.id.as_str(),
            store: self.found.store_name.as_str(),
            to: self.folder.display().to_string(),
            started,
            ended: clock::now(),
            bytes: written.as_ref().ok().map(|files| files.iter().map(|file| file.bytes).sum()),
            more: json!({ "files": self.files.iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>() }),
        };
        returned.note(site, written.as_ref().map(drop).map_err(|fault| fault.message.as_str()));
    }

    fn must_have_room(&self) -> Result<(), RestoreFault> {
        let Ok(about) = rustix::fs::statvfs(&self.folder) else { return Ok(()) };
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        let sizes = self.files.iter().map(|file| self.found.object(&file.export.object).map(|object| object.plain_size));
        let needed: u64 = sizes.sum::<Result<u64, RestoreFault>>()?;
        if free > needed {
            return Ok(());
        }
        let shown = |bytes: u64| Bytes::new(bytes).rounded();
        let message = format!("`{}` has {} left, and the files need {}", self.folder.display(), shown(free), shown(needed));
        Err(RestoreFault::new(message, "Make room, or name another folder."))
    }

    fn one(&self, file: &ExportFile, stop: &AtomicBool) -> Result<ExportedFile, RestoreFault> {
        let (found, export) = (&self.found, &file.export);
        let part = self.folder.join(format!(".seawall-{}.part", random_word()?));
        let failed = |error: std::io::Error| RestoreFault::new(format!("`{}`: {error}", part.display()), "Name another folder.");
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
        let written = self.write(file, out, &part, stop);
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(fault) => {
                // What is not whole is nobody's table.
                let _ = fs::remove_file(&part);
                return Err(fault);
            }
        };
        let failed = |error: std::io::Error| RestoreFault::new(format!("`{}`: {error}", file.path.display()), "");
        // A name that somebody took meanwhile stays his: a link is never made over one.
        let named = fs::hard_link(&part, &file.path);
        fs::remove_file(&part).and(named).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        tracing::debug!("{} is written from {}", file.path.display(), found.store_name);
        Ok(ExportedFile {
            path: file.path.clone(),
            schema: export.schema.clone(),
            table: export.table.clone(),
            columns: export.columns.iter().map(|column| column.name.clone()).collect(),
            rows: export.rows,
            bytes,
        })
    }

    fn write(&self, file: &ExportFile, mut out: File, part: &Path, stop: &AtomicBool) -> Result<u64, RestoreFault> {
        let (found, export) = (&self.found, &file.export);
        let object = found.object(&export.object)?;
        let key = found.repository.data(&found.descriptor.id, &object.name);
        let failed =
            |error: std::io::Error| RestoreFault::new(format!("`{}`: {error}", part.display()), "Make room, or name another folder.");
        let mut reader = Checked::open(&found.store, &key, object.size, &object.sha256, &found.identities)?;
        let (mut tally, mut digest, mut size) = (Tally::after_header(), Context::new(&SHA256), 0);
        let mut buffer = vec![0; 1 << 20];
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(RestoreFault::new("it was interrupted", ""));
            }
            let got = reader.read(&mut buffer).map_err(|error| PipelineFault::of_stream(key.as_str(), &error))?;
            if got == 0 {
                break;
            }
            out.write_all(&buffer[..got]).map_err(failed)?;
            size += got as u64;
            match export.form {
                Form::Csv => tally.push(&buffer[..got]),
                Form::Parquet => digest.update(&buffer[..got]),
            }
        }
        let is_whole = match export.form {
            Form::Csv => tally.finish().is_some_and(|rows| (rows.rows, &rows.sum) == (export.rows, &export.sum)),
            Form::Parquet => export.plain_sha256.as_ref() == Some(&hex(digest.finish().as_ref())),
        };
        if !is_whole {
            return Err(RestoreFault::new(
                format!("{key} does not hold the rows that were exported"),
                "Take another backup, or another store.",
            ));
        }
        out.sync_all().map_err(failed)?;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let name = |schema: &str, table: &str| {
            let export = Export {
                object: String::new(),
                form: Form::Csv,
                schema: schema.into(),
                table: table.into(),
                columns: Vec::new(),
                rows: 0,
                sum: String::new(),
                plain_sha256: None,
            };
            file_name(&export)
        };
        assert_eq!(name("public", "orders_2"), "public.orders_2.csv");
        assert_eq!(name("..", "../../etc/x\u{0}\n"), "%2E%2E.%2E%2E%2F%2E%2E%2Fetc%2Fx%00%0A.csv");
        assert_eq!(name("a.b", "c"), "a%2Eb.c.csv");
        assert_ne!(name("a", "b.c"), name("a.b", "c"));
        assert_eq!(name("public", "Größe \u{202e}"), "public.Größe %E2%80%AE.csv");
    }
}
