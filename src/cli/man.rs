//! `seawall man`: manual pages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Trouble};
use super::terminal::{print, tame};

/// Write the manual pages into a directory, one for each command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall man /usr/local/share/man/man1")]
pub struct Man {
    /// The directory; it is made if it does not exist.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub fn run(&self) -> Result<Exit, Trouble> {
        std::fs::create_dir_all(&self.directory)
            .and_then(|()| clap_mangen::generate_to(super::definitions(), &self.directory))
            .map_err(|error| cannot_write(&self.directory, &error))?;
        print(&format!("the manual pages are in {}\n", tame(&self.directory.to_string_lossy())))?;
        Ok(Exit::Done)
    }
}

/// What to say when a file or directory cannot be written.
pub(super) fn cannot_write(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::failed(format!("`{}` cannot be written: {error}", path.display()), "Check that the directory exists and may be written to.")
}
