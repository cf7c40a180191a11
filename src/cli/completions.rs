//! `seawall completions`: what a shell needs to complete commands.

use clap::Args;
use clap_complete::Shell;

use super::exit::{Exit, Trouble};
use super::terminal::print;

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall completions bash > /etc/bash_completion.d/seawall
  seawall completions fish > ~/.config/fish/completions/seawall.fish
  source <(seawall completions zsh)")]
pub struct Completions {
    /// The shell to print them for.
    shell: Shell,
}

impl Completions {
    pub fn run(&self) -> Result<Exit, Trouble> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::definitions(), "seawall", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
