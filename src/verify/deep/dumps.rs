//! Dumps, read from their first byte to their last: every table that the table of contents promises, with as many rows as were counted when
//! it was taken.

use std::io::Read as _;

use aws_lc_rs::digest::{Context, SHA256};

use super::invalid;
use crate::format::archived::Form;
use crate::format::contents::{Contents, MAX_BYTES};
use crate::format::descriptor::{Descriptor, Object, ObjectKind};
use crate::format::dump::Reader;
use crate::pipeline::{PipelineFault, open_object, read_plain, read_rows};
use crate::units::{Key, hex};
use crate::verify::Ground;
use crate::verify::backup::unread;

/// What a backup of dumps says is in them. What is wrong with that is a fault; of other backups there is none.
pub(super) fn contents(ground: &Ground<'_>, descriptor: &Descriptor) -> Option<Contents> {
    let object = descriptor.objects_of(ObjectKind::Contents).next()?;
    let key = ground.repository.data(&descriptor.id, &object.name);
    match read(ground, &key, object) {
        Ok(contents) => Some(contents),
        Err(fault) => {
            unread(ground, &key, &fault, Some(&descriptor.id));
            None
        }
    }
}

fn read(ground: &Ground<'_>, key: &Key, object: &Object) -> Result<Contents, PipelineFault> {
    let stream = |error: std::io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let mut json = Vec::new();
    open_object(ground.store, key, object.size, ground.identities)?.take(MAX_BYTES).read_to_end(&mut json).map_err(stream)?;
    Contents::from_json(&json).map_err(|what| stream(invalid(what)))
}

pub(super) fn look(ground: &Ground<'_>, contents: Option<&Contents>, key: &Key, object: &Object) -> Result<(), PipelineFault> {
    let damaged = |what: String| PipelineFault::Damaged { key: key.to_string(), what };
    let mut reader = Reader::default();
    read_plain(ground.store, key, object.size, ground.identities, &mut |bytes| {
        reader.push(bytes).map_err(|bad| damaged(bad.to_string()))?;
        Ok(true)
    })?;
    let whole = reader.finish().map_err(|bad| damaged(bad.to_string()))?;
    if whole.bytes != object.plain_size {
        return Err(damaged(format!("it holds {} bytes, and {} were written", whole.bytes, object.plain_size)));
    }
    let Some(contents) = contents else { return Ok(()) };
    let mut archives = contents.databases.iter().flat_map(|database| database.archives.iter().chain(&database.types));
    let Some(archive) = archives.find(|archive| archive.object == object.name) else {
        return Err(damaged("contents.json does not have it".into()));
    };
    let rows: u64 = whole.rows.values().sum();
    if (whole.about.entries, rows) != (archive.entries, archive.rows) {
        let what = format!(
            "it has {} entries and {rows} rows, and {} entries and {} rows were written",
            whole.about.entries, archive.entries, archive.rows
        );
        return Err(damaged(what));
    }
    Ok(())
}

/// A table's rows: as CSV every row as it was written, as Parquet the very same file.
pub(super) fn rows(ground: &Ground<'_>, contents: Option<&Contents>, key: &Key, object: &Object) -> Result<(), PipelineFault> {
    let damaged = |what: String| PipelineFault::Damaged { key: key.to_string(), what };
    let Some(contents) = contents else { return to_the_end(ground, key, object) };
    let mut exports = contents.databases.iter().flat_map(|database| &database.exports);
    let Some(export) = exports.find(|export| export.object == object.name) else {
        return Err(damaged("contents.json does not have it".into()));
    };
    match export.form {
        Form::Csv => {
            let tallied = read_rows(ground.store, key, object.size, ground.identities, &mut |_| Ok(true))?;
            if (tallied.rows, &tallied.sum) == (export.rows, &export.sum) {
                return Ok(());
            }
            Err(damaged(format!("it has {} rows, and {} others were written", tallied.rows, export.rows)))
        }
        Form::Parquet => {
            let mut digest = Context::new(&SHA256);
            read_plain(ground.store, key, object.size, ground.identities, &mut |bytes| {
                digest.update(bytes);
                Ok(true)
            })?;
            let sum = hex(digest.finish().as_ref());
            if export.plain_sha256.as_ref() == Some(&sum) {
                return Ok(());
            }
            Err(damaged(format!("the file in it has the SHA-256 {sum}, which is not the one that was written")))
        }
    }
}

pub(super) fn to_the_end(ground: &Ground<'_>, key: &Key, object: &Object) -> Result<(), PipelineFault> {
    let mut size = 0;
    read_plain(ground.store, key, object.size, ground.identities, &mut |bytes| {
        size += bytes.len() as u64;
        Ok(true)
    })?;
    if size == object.plain_size {
        return Ok(());
    }
    let what = format!("it holds {size} bytes, and {} were written", object.plain_size);
    Err(PipelineFault::Damaged { key: key.to_string(), what })
}
