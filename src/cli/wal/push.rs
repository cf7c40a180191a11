//! `seawall wal push`: PostgreSQL's `archive_command`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
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
    /// The command as `archive_command` usually has it, understood without the definitions of all commands: setting those up takes
    /// a third of a call that finds its marker. None for everything else that may be said, right or wrong.
    pub fn plain(words: &[OsString]) -> Option<Push> {
        let [_, wal, push, words @ ..] = words else { return None };
        if wal != "wal" || push != "push" {
            return None;
        }
        let (mut file, mut policy, mut state) = (None, None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (place, value) = match word.to_str() {
                Some("--policy" | "-p") => (&mut policy, words.next()?),
                Some("--state") => (&mut state, words.next()?),
                _ => (&mut file, word),
            };
            let strange = value.is_empty() || value.as_bytes().starts_with(b"-");
            if strange || place.replace(PathBuf::from(value)).is_some() {
                return None;
            }
        }
        Some(Push { file: file?, here: Here { policy, state, host: None } })
    }

    /// Most calls end here: an earlier one has shipped the file already.
    pub fn is_marked(&self) -> bool {
        self.pass().and_then(|pass| pass.show()).is_some_and(|markers| markers.acknowledge(&self.file))
    }

    fn pass(&self) -> Option<Pass> {
        Pass::of(&self.here.state(), &self.here.path())
    }

    /// Never ends above 125: PostgreSQL would take its archiver down.
    pub fn run(&self) -> Result<Exit, Trouble> {
        if self.is_marked() {
            return Ok(Exit::Done);
        }
        // Its time is that of now, before the policy is read.
        let pass = self.pass();
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Whole {
        #[command(flatten)]
        push: Push,
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_is_understood_at_once_is_what_the_definitions_say() {
        for line in ["pg_wal/0", "pg_wal/0 --policy a.yaml", "-p a.yaml pg_wal/0 --state /var/lib/seawall", "--state s --policy p f"] {
            let plain = Push::plain(&words(&format!("seawall wal push {line}"))).expect(line);
            let whole = Whole::try_parse_from(words(&format!("push {line}"))).expect(line);
            assert_eq!(format!("{plain:?}"), format!("{:?}", whole.push), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_them() {
        for line in [
            "push f",
            "wal fetch f",
            "wal push",
            "wal push --help",
            "wal push f g",
            "wal push f --policy",
            "wal push f --policy --state s",
            "wal push f -p a --policy b",
            "wal push f --policy=a",
            "wal push f -pa",
            "wal push f --color never",
            "wal push f --host db-1",
            "wal push -- f",
            "wal push f --policy ",
            "--color never wal push f",
        ] {
            assert!(Push::plain(&words(&format!("seawall {line}"))).is_none(), "{line}");
        }
    }
}
