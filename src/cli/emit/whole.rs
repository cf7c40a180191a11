//! A single file: shown, put in place, or compared with what is there.

use std::path::PathBuf;

use clap::Args;

use super::difference_at;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::terminal::print;
use crate::world::files;

/// No such file is larger: the rules of a fleet of a thousand policies have 20 MB.
const LIMIT: usize = 256 << 20;

/// What is done with the file.
#[derive(Debug, Args)]
pub(super) struct Whole {
    /// Write it into this file, whole or not at all; everybody on this host may read it.
    #[arg(long, short = 'o', value_name = "FILE", conflicts_with = "diff")]
    out: Option<PathBuf>,
    /// Show how this file differs from what the policies want, and exit with 2 when it does.
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
}

impl Whole {
    pub(super) fn put(&self, text: &str) -> Result<Exit, Trouble> {
        if let Some(path) = &self.diff {
            let old = match files::read(path, LIMIT) {
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(_) if !path.exists() => None,
                Err(fault) => return Err(Trouble::failed(format!("`{}` cannot be read: {}", path.display(), fault.message), fault.hint)),
            };
            if old.as_deref() == Some(text) {
                return Ok(Exit::Done);
            }
            print(&difference_at(path, old.as_deref(), Some(text)))?;
            return Ok(Exit::SomethingToDo);
        }
        match &self.out {
            None => print(text)?,
            Some(path) => files::publish(path, text.as_bytes())
                .map_err(|fault| Trouble::failed(format!("`{}` cannot be written: {}", path.display(), fault.message), fault.hint))?,
        }
        Ok(Exit::Done)
    }
}
