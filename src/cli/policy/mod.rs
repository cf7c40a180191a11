//! `seawall policy`: one policy at a time.

mod origin;
mod show;

use clap::Subcommand;

pub use show::PolicyOutput;

use super::exit::{Exit, Trouble};
use super::terminal::Colour;

/// Look at one policy.
#[derive(Debug, Subcommand)]
pub enum Policy {
    Show(show::Show),
}

impl Policy {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Policy::Show(command) => command.run(colour),
        }
    }
}
