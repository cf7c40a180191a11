//! `seawall wal`: PostgreSQL's archive and restore commands, and how far the archive reaches.

mod fetch;
mod prefetch;
mod push;
mod settings;
mod source;

use clap::Subcommand;

use super::exit::{Exit, Trouble};

/// PostgreSQL's write-ahead log: archive it, fetch it, see how far it reaches.
#[derive(Debug, Subcommand)]
pub enum Wal {
    Push(push::Push),
    Fetch(fetch::Fetch),
    #[command(hide = true)]
    Prefetch(prefetch::Prefetch),
}

impl Wal {
    pub fn run(&self) -> Result<Exit, Trouble> {
        match self {
            Wal::Push(command) => command.run(),
            Wal::Fetch(command) => command.run(),
            Wal::Prefetch(command) => command.run(),
        }
    }
}
