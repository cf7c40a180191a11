//! `seawall key`: who can open the backups, and who is believed to have written them.

mod generate;
mod host;
mod list;
mod rotate;

use clap::Subcommand;

pub use generate::KeyGenerateOutput;
pub use host::KeyHostOutput;
pub use list::KeyListOutput;

use super::exit::{Exit, Trouble};
use super::terminal::Colour;

/// Make keys, and see which of them open what.
#[derive(Debug, Subcommand)]
pub enum Key {
    Generate(generate::Generate),
    Host(host::Host),
    List(list::List),
    Rotate(rotate::Rotate),
}

impl Key {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Key::Generate(command) => command.run(),
            Key::Host(command) => command.run(colour),
            Key::List(command) => command.run(colour),
            Key::Rotate(command) => command.run(colour),
        }
    }
}
