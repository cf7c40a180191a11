//! `seawall wal`: PostgreSQL's archive and restore commands, and how far the archive reaches.

mod push;
mod settings;

use clap::Subcommand;

use super::exit::{Exit, Trouble};

/// PostgreSQL's write-ahead log: archive it, fetch it, see how far it reaches.
#[derive(Debug, Subcommand)]
pub enum Wal {
    Push(push::Push),
}

impl Wal {
    pub fn run(&self) -> Result<Exit, Trouble> {
        match self {
            Wal::Push(command) => command.run(),
        }
    }
}
