//! `seawall wal`: PostgreSQL's archive and restore commands, and how far the archive reaches.

mod fetch;
mod prefetch;
mod push;
mod settings;
mod source;
mod status;

use std::ffi::OsString;

use clap::Subcommand;

pub use status::WalStatusOutput;

use super::exit::{Exit, Trouble};
use super::terminal::Colour;

/// PostgreSQL's write-ahead log: archive it, fetch it, see how far it reaches.
#[derive(Debug, Subcommand)]
pub enum Wal {
    Push(push::Push),
    Fetch(fetch::Fetch),
    Status(status::Status),
    #[command(hide = true)]
    Prefetch(prefetch::Prefetch),
}

/// This is the usual `archive_command`, and the file was shipped by an earlier call.
pub fn is_marked(words: &[OsString]) -> bool {
    push::Push::plain(words).is_some_and(|push| push.is_marked())
}

impl Wal {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Wal::Push(command) => command.run(),
            Wal::Fetch(command) => command.run(),
            Wal::Status(command) => command.run(colour),
            Wal::Prefetch(command) => command.run(),
        }
    }
}
