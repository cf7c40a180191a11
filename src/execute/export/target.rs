//! Where the rows go.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::execute::table::{Broken, TableFault};
use crate::world::files;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Readable by its owner only.
    File {
        path: PathBuf,
        /// In the place of a file that is there.
        over: bool,
    },
    Stdout,
}

impl To {
    /// Before anything is asked for it.
    pub(super) fn must_be_free(&self) -> Result<(), TableFault> {
        match self {
            To::File { path, over: false } if path.symlink_metadata().is_ok() => Err(self.is_there()),
            _ => Ok(()),
        }
    }

    fn is_there(&self) -> TableFault {
        TableFault::new(format!("{} is there already, and is not overwritten", self.says()), "Name another file, or say `--force`.")
    }

    /// A file gets its name when everything is in it.
    pub(super) fn write<T>(&self, write: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, Broken>) -> Result<T, TableFault> {
        let done = match self {
            To::Stdout => write(&mut io::stdout()),
            To::File { path, over } => files::made(path, *over, |file| write(file)),
        };
        done.map_err(|broken| match broken {
            Broken::Read(fault) => fault,
            Broken::Write(error) if error.kind() == io::ErrorKind::AlreadyExists => self.is_there(),
            Broken::Write(error) => TableFault::new(
                format!("{} cannot be written: {error}", self.says()),
                "Nothing is left of it; make room, or name another file.",
            ),
        })
    }

    /// For people.
    pub fn says(&self) -> String {
        match self {
            To::File { path, .. } => format!("`{}`", path.display()),
            To::Stdout => "standard output".to_owned(),
        }
    }
}
