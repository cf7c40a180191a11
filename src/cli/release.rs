//! `seawall release`: the end of a restored server's quarantine.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::Format;
use super::terminal::{Colour, print};
use crate::execute::release::{self, Release};
use crate::execute::restore::FetchCommand;
use crate::units::Duration;

/// End the quarantine of a restored server, step by step.
///
/// Refused while the server that it is a copy of goes on. Waits until it is promoted, turns archiving on, waits until the new timeline's history and first segment lie in the store, and
/// then (with `--restart`) lets extensions' background jobs run again. Each step is printed. It can be run again at any time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall release --target /var/lib/postgresql/16/main
  seawall release --target /var/lib/postgresql/16/main --fenced-by-hand 'ann: server room, power cable'
                                                                   where the original cannot be asked
  seawall release --target /var/lib/postgresql/16/main --restart   also wake background jobs, which needs a restart")]
pub struct ReleaseCommand {
    /// The restored data directory.
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
    /// Restart the server where a setting needs it.
    #[arg(long)]
    restart: bool,
    /// Where `pg_ctl` is [default: where it usually is].
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
    /// How long a promotion and the store are waited for.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait: Duration,
    /// Although the server that this is a copy of goes on: then every restore has to say which timeline is meant.
    #[arg(long)]
    beside_original: bool,
    /// Who made certain that the server that this is a copy of writes no more, and how: where it cannot be asked, or archived until lately.
    #[arg(long, value_name = "WHO AND HOW", value_parser = super::promote::words, conflicts_with = "beside_original")]
    fenced_by_hand: Option<String>,
    /// How the result is written; as JSON, the steps go to standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

impl ReleaseCommand {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let push = FetchCommand {
            program: std::env::current_exe()?,
            policy: std::path::absolute(self.here.path())?,
            // Whatever led here: the server has other surroundings when somebody starts it.
            state: Some(std::path::absolute(site.state())?),
        };
        let wanted = Release {
            directory: std::path::absolute(&self.target)?,
            push,
            restart: self.restart,
            programs: self.pg_bin.clone(),
            beside_original: self.beside_original,
            fenced_by_hand: self.fenced_by_hand.clone(),
            patience: std::time::Duration::from_secs(self.wait.as_secs()),
        };
        let released = release::release(&site, &wanted, &mut |step| {
            if self.format == Format::Json {
                eprintln!("{step}");
            } else {
                // That nobody reads it is no reason to stop half-way.
                let _ = print(&format!("{step}\n"));
            }
        })?;
        if self.format == Format::Json {
            print(&(super::validate::json(&released)?))?;
        } else if released.still_quiet.is_empty() {
            print("released\n")?;
        }
        Ok(Exit::Done)
    }
}
