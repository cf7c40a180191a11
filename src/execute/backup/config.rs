//! Configuration that lies outside the data directory, as Debian has it in `/etc`: without it a restored server would start with
//! nothing of what it was tuned to.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::format::codec::Compressor;
use crate::format::descriptor::{Object, ObjectKind};
use crate::format::tarball::{self, Owner, What};
use crate::pipeline::backup::Job;
use crate::pipeline::{ObjectWriter, PipelineFault};
use crate::postgres::{Connection, Server};
use crate::units::hex;

/// Configuration is text that people write.
const MAX_FILE: u64 = 4 << 20;
const MAX_ALL: usize = 32 << 20;

/// The files that the server reads, if they lie elsewhere. What this role may not see is not among them.
pub(super) fn outside(server: &Server, connection: &mut Connection, root: &Path) -> Vec<PathBuf> {
    let mut paths: BTreeSet<PathBuf> =
        ["config_file", "hba_file", "ident_file"].iter().filter_map(|name| server.setting(name)).map(PathBuf::from).collect();
    let mut ask = |sql: &str| {
        let rows = connection.query(sql, &[]);
        paths.extend(rows.iter().flatten().filter_map(|row| row.get("path")).map(PathBuf::from));
    };
    ask("select distinct sourcefile as path from pg_file_settings");
    if server.major() >= 16 {
        ask("select distinct file_name as path from pg_hba_file_rules");
        ask("select distinct file_name as path from pg_ident_file_mappings");
    }
    paths.into_iter().filter(|path| path.is_absolute() && !path.starts_with(root)).collect()
}

/// Puts them as a tar with their absolute paths, the leading slash left out. Says which were taken; a file that cannot be read is a
/// remark, not the end of a backup.
pub(super) fn put(job: &Job<'_>, paths: &[PathBuf], remarks: &mut Vec<String>) -> Result<Option<(Object, Vec<String>)>, PipelineFault> {
    let (mut tar, mut taken) = (Vec::new(), Vec::new());
    for path in paths {
        match add(path, &mut tar) {
            Ok(()) => taken.push(path.display().to_string()),
            Err(error) => remarks.push(format!("`{}` is left out: {error}", path.display())),
        }
        if tar.len() > MAX_ALL {
            remarks.push("there is too much configuration outside the data directory; not all of it was taken".into());
            break;
        }
    }
    if taken.is_empty() {
        return Ok(None);
    }
    tar.extend_from_slice(&tarball::END);
    let name = format!("config.tar{}", job.codec.extension(job.data_lock.envelope()));
    let mut writer = ObjectWriter::new(job.store, &(job.key)(&name), job.data_lock)?;
    let compressing = |error| PipelineFault::file("compressing", error);
    let mut compressor = Compressor::new(job.codec).map_err(compressing)?;
    let mut frame = Vec::new();
    for piece in tar.chunks(2 << 20) {
        compressor.frame(piece, &mut frame).map_err(compressing)?;
        writer.write(&frame)?;
    }
    let written = writer.finish()?;
    let sha256 = hex(&written.sha256);
    let object = Object { name, is: ObjectKind::Config, size: written.size, sha256, plain_size: tar.len() as u64 };
    Ok(Some((object, taken)))
}

fn add(path: &Path, tar: &mut Vec<u8>) -> io::Result<()> {
    let about = fs::metadata(path)?;
    if !about.is_file() || about.len() > MAX_FILE {
        return Err(io::Error::other("it is no file of configuration"));
    }
    let name = path.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
    let bytes = fs::read(path)?;
    let size = bytes.len() as u64;
    let owner = Owner { uid: about.uid(), gid: about.gid() };
    tarball::header(name.trim_start_matches('/'), What::File { size }, about.mode(), about.mtime(), owner, tar);
    tar.extend_from_slice(&bytes);
    tar.resize(tar.len() + tarball::padding(size), 0);
    Ok(())
}
