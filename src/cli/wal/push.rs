//! `seawall wal push`: PostgreSQL's `archive_command`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::settings;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, tame};
use crate::wal::{self, Pass};

/// Ship a file of the write-ahead log to the policy's stores: PostgreSQL's `archive_command`.
///
/// Succeeds only when the file is durable in every store that must have it. Ships along what else is ready.
#[derive(Debug, Args)]
#[command(after_help = "\
In postgresql.conf:
  archive_mode = on
  archive_command = 'seawall wal push %p --policy /etc/seawall/policy.yaml'

When it fails, PostgreSQL keeps the file and tries again; `seawall wal status` says for how long it can.")]
pub struct Push {
    /// The file, as PostgreSQL names it: `%p`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    here: Here,
}

impl Push {
    /// Never ends above 125: PostgreSQL would take its archiver down.
    pub fn run(&self) -> Result<Exit, Trouble> {
        // Most calls end here: an earlier one has shipped the file already.
        let pass = Pass::of(&self.here.state(), &self.here.path());
        if pass.as_ref().and_then(Pass::show).is_some_and(|markers| markers.acknowledge(&self.file)) {
            return Ok(Exit::Done);
        }
        let (policy, files) = match self.here.read_with_files(Colour::Never) {
            Ok(read) => read,
            Err(trouble) => return Ok(self.refuse(&trouble.to_string(), trouble.hint().unwrap_or_default())),
        };
        let site = self.here.site(&policy);
        let markers = match settings::markers(&site) {
            Ok(markers) => markers,
            Err(fault) => return Ok(self.refuse(&fault.message, &fault.hint)),
        };
        if let Some(pass) = pass {
            pass.issue(&files, &markers);
        }
        if markers.acknowledge(&self.file) {
            return Ok(Exit::Done);
        }
        crate::world::signals::on_termination(|_| std::process::exit(1));
        let pushed = settings::for_push(&site, &self.file, markers).and_then(|settings| wal::push(settings, &self.file));
        match pushed {
            Ok(_) => {
                settings::forget_failure(&site);
                Ok(Exit::Done)
            }
            Err(fault) => {
                settings::note_failure(&site, &self.file, &fault);
                Ok(self.refuse(&fault.message, &fault.hint))
            }
        }
    }

    /// One line in the server's log.
    fn refuse(&self, why: &str, hint: &str) -> Exit {
        let name = self.file.file_name().map(Path::new).unwrap_or(&self.file).display().to_string();
        let hint = if hint.is_empty() { String::new() } else { format!(" -- {hint}") };
        let line = format!("seawall: {name} is not archived: {why}; PostgreSQL keeps it and tries again, pg_wal grows meanwhile{hint}");
        eprintln!("{}", tame(&line.replace('\n', " ")));
        Exit::Failed
    }
}
