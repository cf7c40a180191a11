//! `seawall wal fetch`: PostgreSQL's `restore_command`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::prefetch::Ahead;
use super::source::LogSource;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::terminal::tame;
use crate::units::WalFile;
use crate::wal::{Fetched, WalFault, spare_tablespaces};

/// Fetch a file of the write-ahead log from the policy's stores: PostgreSQL's `restore_command`.
///
/// What is put in place was signed by an accepted writer and is whole. Ends with 1 only when every store was asked and none has the file.
#[derive(Debug, Args)]
#[command(after_help = "\
In postgresql.conf (`seawall restore` writes it):
  restore_command = 'seawall wal fetch %f %p --policy /etc/seawall/policy.yaml'

How it ends, and what PostgreSQL makes of it:
    0  the file is in place
    1  no store has it: recovery ends here, a standby goes on streaming
  200  it could not be fetched and is not known to be absent: recovery stops, and can be started again
A standby survives with `--standby`: there, what could not be fetched ends with 1 as well, and is asked for again.")]
pub struct Fetch {
    /// The file's name: `%f`.
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to put it: `%p`.
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    from: LogSource,
    /// How long a store that does not answer is asked again [default: 60s; for a standby, which asks again by itself, 10s].
    #[arg(long, value_name = "DURATION")]
    patience: Option<crate::units::Duration>,
    /// For a standby: what could not be fetched ends with 1, after the same patience.
    #[arg(long)]
    standby: bool,
    /// Stop recovery before it makes a tablespace in a directory of this machine that has one: it may be that of the original.
    #[arg(long)]
    spare_tablespaces: bool,
    /// Fetch only what is asked for.
    #[arg(long)]
    no_prefetch: bool,
}

const USUAL: Duration = Duration::from_secs(60);
const FOR_A_STANDBY: Duration = Duration::from_secs(10);

impl Fetch {
    /// Whatever goes wrong must not look like "absent".
    pub fn run(&self) -> Result<Exit, Trouble> {
        crate::world::signals::on_termination(|signal| std::process::exit(128 + signal));
        match self.fetch().and_then(|fetched| self.spare(fetched)) {
            Ok(Fetched::Done { despite }) => {
                for line in despite {
                    say(&format!("{} was taken from another store: {line}", self.name));
                }
                Ok(Exit::Done)
            }
            Ok(Fetched::Absent { partial }) => {
                if partial {
                    // PostgreSQL does not ask for it by itself, and nobody may hand it over as if it were whole: docs/wal.md says when it is wanted.
                    let name = &self.name;
                    say(&format!(
                        "{name} is in no store, but its beginning is: the timeline ended within it; to recover to that very end, run \
                         `seawall wal fetch {name}.partial pg_wal/{name}` before recovery"
                    ));
                }
                Ok(Exit::Failed)
            }
            Err(fault) => Ok(self.stop(&fault)),
        }
    }

    fn fetch(&self) -> Result<Fetched, WalFault> {
        let file: WalFile = self.name.parse().map_err(|error: crate::units::NotAWalFile| {
            WalFault::new(crate::wal::WalFaultKind::Local, error.to_string(), "`restore_command` is `seawall wal fetch %f %p`.")
        })?;
        // A standby that is to be promoted does not hear of it while it waits here.
        let usual = if self.standby { FOR_A_STANDBY } else { USUAL };
        let patience = self.patience.map_or(usual, |patience| Duration::from_secs(patience.as_secs()));
        let ahead = if self.no_prefetch { None } else { Ahead::of(&self.from, &self.to) };
        if ahead.as_ref().is_some_and(|ahead| ahead.take(file, patience)) {
            return Ok(Fetched::Done { despite: Vec::new() });
        }
        let archive = self.from.archive(&self.to)?;
        let fetched = archive.fetch_patiently(file, &self.to, patience)?;
        if let (Fetched::Done { .. }, WalFile::Segment(segment)) = (&fetched, file) {
            if archive.trust.writers.is_empty() {
                say("the policy names no `encryption.writers`: whoever can write to the store can plant log that PostgreSQL replays");
            }
            if let Some(ahead) = &ahead {
                ahead.go_on(segment);
            }
        }
        Ok(fetched)
    }

    /// What was fetched is taken away again, and PostgreSQL never sees it.
    fn spare(&self, fetched: Fetched) -> Result<Fetched, WalFault> {
        let is_segment = matches!(self.name.parse(), Ok(WalFile::Segment(_) | WalFile::Partial(_)));
        if !self.spare_tablespaces || !is_segment || !matches!(fetched, Fetched::Done { .. }) {
            return Ok(fetched);
        }
        spare_tablespaces(&self.to).inspect_err(|_| drop(std::fs::remove_file(&self.to)))?;
        Ok(fetched)
    }

    fn stop(&self, fault: &WalFault) -> Exit {
        let hint = if fault.hint.is_empty() { String::new() } else { format!(" -- {}", fault.hint) };
        let then = if self.standby {
            "the standby asks again"
        } else {
            "recovery stops here; nothing is lost, start it again when this is mended"
        };
        say(&format!("{} could not be fetched: {}; {then}{hint}", self.name, fault.message));
        if self.standby { Exit::Failed } else { Exit::Unfetched }
    }
}

/// One line in the server's log.
pub(super) fn say(line: &str) {
    eprintln!("seawall: {}", tame(&line.replace('\n', " ")));
}

/// The data directory that a file is fetched for.
pub(super) fn data_directory(to: &Path) -> PathBuf {
    crate::wal::data_directory(to).unwrap_or_else(|| PathBuf::from("."))
}
