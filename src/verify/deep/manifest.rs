use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read as _};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;

use super::{Deep, fingerprint, invalid};
use crate::format::descriptor::{Object, ObjectKind};
use crate::pipeline::{PipelineFault, open_object};
use crate::plan::words::counted;
use crate::units::Key;
use crate::units::hex;
use crate::verify::Ground;
use crate::verify::backup::unread;
use crate::verify::report::FaultKind;

/// A line names one file, whose path has at most 4,096 bytes.
const MAX_LINE: u64 = 64 << 10;
/// More say no more.
const MAX_NAMED: usize = 20;

/// One file, as `backup_manifest` tells it.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Path")]
    path: Option<String>,
    /// Where the path is not UTF-8.
    #[serde(rename = "Encoded-Path")]
    encoded: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

/// The manifest against itself, and against what the parts hold.
pub(super) fn compare(ground: &Ground<'_>, deep: &Deep) {
    let id = &deep.descriptor.id;
    let Some(object) = deep.descriptor.objects_of(ObjectKind::Manifest).next() else {
        ground.found.fault(FaultKind::Missing, ground.repository.prefix(&format!("data/{id}")), "it has no backup_manifest", Some(id));
        return;
    };
    let key = ground.repository.data(id, &object.name);
    let mut files = std::mem::take(&mut *deep.files.lock().unwrap_or_else(PoisonError::into_inner));
    match read(ground, &key, object, &mut files) {
        Err(fault) => unread(ground, &key, &fault, Some(id)),
        // What is missing from a part that could not be read says nothing about the manifest.
        Ok(_) if deep.broken.load(Ordering::Relaxed) => {}
        Ok(differing) => {
            for path in &differing.named {
                let what = format!("the parts do not hold `{path}` as it says");
                ground.found.fault(FaultKind::Damaged, &key, &what, Some(id));
            }
            if differing.more > 0 {
                ground.found.fault(
                    FaultKind::Damaged,
                    &key,
                    &format!("the parts do not hold {} as it says", counted(differing.more, "more file")),
                    Some(id),
                );
            }
            if !files.is_empty() {
                let what = format!("the parts hold {} of which it says nothing", counted(files.len(), "file"));
                ground.found.fault(FaultKind::Damaged, &key, &what, Some(id));
            }
        }
    }
}

/// Files that the parts do not hold as the manifest says.
#[derive(Default)]
struct Differing {
    named: Vec<String>,
    more: u64,
}

fn read(ground: &Ground<'_>, key: &Key, object: &Object, files: &mut HashSet<u128>) -> Result<Differing, PipelineFault> {
    let stream = |error: std::io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let mut reader = BufReader::new(open_object(ground.store, key, object.size, ground.identities)?);
    let mut digest = Context::new(&SHA256);
    let mut differing = Differing::default();
    let mut line = Vec::new();
    let mut own = None;
    loop {
        line.clear();
        let got = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).map_err(stream)?;
        if got == 0 {
            break;
        }
        if let Some(said) = line.strip_prefix(b"\"Manifest-Checksum\": \"") {
            own = Some(String::from_utf8_lossy(said).chars().take_while(char::is_ascii_hexdigit).collect::<String>());
            continue;
        }
        if own.is_some() {
            return Err(stream(invalid("it goes on after its own checksum")));
        }
        digest.update(&line);
        let text = line.trim_ascii();
        let text = text.strip_suffix(b",").unwrap_or(text);
        if text.starts_with(b"{ \"Path\"") || text.starts_with(b"{ \"Encoded-Path\"") {
            let file: Line = serde_json::from_slice(text).map_err(|error| stream(invalid(error.to_string())))?;
            one(&file, files, &mut differing);
        }
    }
    let sum = hex(digest.finish().as_ref());
    match own {
        Some(own) if own == sum => Ok(differing),
        Some(_) => Err(stream(invalid("its own checksum is not that of its lines"))),
        None => Err(stream(invalid("it is cut short: its own checksum is missing"))),
    }
}

fn one(file: &Line, files: &mut HashSet<u128>, differing: &mut Differing) {
    let path = file.path.clone().or_else(|| file.encoded.as_deref().and_then(decoded)).unwrap_or_default();
    let crc = file.checksum.as_deref().filter(|_| file.algorithm.as_deref() == Some("CRC32C")).and_then(crc);
    if crc.is_none_or(|crc| !files.remove(&fingerprint(&path, file.size, crc))) {
        match differing.named.len() {
            ..MAX_NAMED => differing.named.push(path),
            _ => differing.more += 1,
        }
    }
}

/// PostgreSQL shows the four bytes as they lie in memory, lowest first.
fn crc(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok().map(u32::swap_bytes)
}

fn decoded(hex: &str) -> Option<String> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}
