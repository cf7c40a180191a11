//! `seawall drill`: a copy is restored, judged, timed and removed.

mod text;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::repository::Format;
use super::restore::{Line, time};
use super::terminal::{Colour, print};
use super::{record, validate};
use crate::execute::drill::{self, Progress, Wishes};
use crate::execute::run::{self, Ended, Ground, Why};
use crate::execute::watch::{self, Look};
use crate::pipeline::backup;
use crate::policy::model::Policy;
use crate::recovery::Target;
use crate::site::Site;
use crate::units::{BackupId, Lsn, Name};
use crate::world::{git, signals};

/// Prove that a recovery works: restore a copy, check it, time it, remove it.
///
/// Restores into a throw-away PostgreSQL that archives nothing, follows nobody and listens on no network, replays the log, checks what the
/// policy expects, runs its program, and removes everything, whatever happens. Ends with 1 when anything of it did not hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall drill weekly                                     what the timer does
  seawall drill weekly --random                            a moment by chance, anywhere in the recovery window
  seawall drill weekly --time '2026-11-21 10:14:59+01:00'  this moment
  seawall drill weekly --backup 20261121T020000Z-7f3c0011 --store offsite
  seawall drill weekly --keep                              leave the copy running, to look at it
  seawall drill --remove                                   remove copies that were left")]
pub struct Drill {
    /// The drill of the policy: `weekly`.
    #[arg(required_unless_present = "remove")]
    drill: Option<Name>,
    /// This base backup, and no other.
    #[arg(long, value_name = "ID")]
    backup: Option<BackupId>,
    /// To this moment, with its zone (`2026-11-21T10:14:59+01:00`); without one it is read in the policy's zone.
    #[arg(long, value_name = "TIME", group = "moment")]
    time: Option<String>,
    /// To this position in the write-ahead log.
    #[arg(long, value_name = "LSN", group = "moment")]
    lsn: Option<Lsn>,
    /// To a moment by chance, each that the archived log covers as likely as every other.
    #[arg(long, group = "moment", conflicts_with = "backup")]
    random: bool,
    /// From this store [default: the drill's `from`, then the first of the policy's that leads there].
    #[arg(long, value_name = "NAME")]
    store: Option<Name>,
    /// The recovery identity [default: the policy's `encryption.age.identity`].
    #[arg(long, short = 'i', value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Leave the copy and its server, to look at them; `--remove` removes them.
    #[arg(long)]
    keep: bool,
    /// Remove the copies that were left on this host, with their servers, and drill nothing.
    #[arg(long, conflicts_with_all = ["drill", "backup", "moment", "store", "identity", "keep", "workers", "start_with"])]
    remove: bool,
    /// How many files are worked on at once [default: as many as there are processors, at most 8].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// PostgreSQL's programs [default: where they usually are, of the backup's version].
    #[arg(long, value_name = "DIR")]
    start_with: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

impl Drill {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        log::begin(LogFormat::Human);
        let (policy, files) = self.here.read_with_files(colour)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        let Some(name) = &self.drill else { return remove(&site) };
        let path = format!("drills.{name}");
        let job = run::find(&policy, &path).map_err(|fault| Trouble::usage(fault.to_string(), fault.hint))?;
        let progress = Arc::new(Progress::default());
        let wishes = run::Wishes { drill: self.wishes(&policy, &progress)?, ..run::Wishes::default() };
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let catalog = record::open(&site);
        if let Some(catalog) = &catalog {
            record::settle(&[&site], catalog);
        }
        let none = backup::Progress::default();
        let ground = Ground { site: &site, catalog: catalog.as_ref(), progress: &none, stop: &ending.asked };
        let ran = self.watched(&progress, || run::run(&ground, &job, &Why::Asked, &wishes));
        if let Some(catalog) = &catalog
            && let Err(fault) = watch::watch(&site, catalog, Look::Record, None, &AtomicBool::new(false))
        {
            tracing::warn!(hint = fault.hint(), "nobody is told yet: {fault}");
        }
        if let Some(drilled) = &ran.made.drilled {
            print(&match self.format {
                Format::Human => text::report(drilled),
                Format::Json => validate::json(&drilled.record)?,
            })?;
        }
        match ran.end {
            Ended::Succeeded | Ended::Elsewhere { .. } | Ended::NotOwed { .. } => Ok(Exit::Done),
            Ended::Stopped => Ok(if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted }),
            Ended::Busy { message, hint } => Err(Trouble::try_again(message, hint)),
            Ended::Failed { message, hint, transient: true } => Err(Trouble::try_again(message, hint)),
            Ended::Failed { message, hint, .. } => Err(Trouble::failed(message, hint)),
        }
    }

    fn wishes(&self, policy: &Policy, progress: &Arc<Progress>) -> Result<Wishes, Trouble> {
        let target = match (&self.time, self.lsn) {
            (Some(text), _) => Some(Target::Time(time(text, policy)?)),
            (None, lsn) => lsn.map(Target::Lsn),
        };
        Ok(Wishes {
            backup: self.backup.clone(),
            target,
            random: self.random,
            store: self.store.clone(),
            identity: self.identity.clone(),
            keep: self.keep,
            workers: self.workers.map(usize::from),
            programs: self.start_with.clone(),
            progress: Some(progress.clone()),
        })
    }

    /// Does it, and shows meanwhile how far it is.
    fn watched<T: Send>(&self, progress: &Progress, work: impl FnOnce() -> T + Send) -> T {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut line = Line::new(self.format == Format::Json);
                while !over.load(Ordering::Relaxed) {
                    if let Some(text) = text::glance(&progress.glance()) {
                        line.say(&text);
                    }
                    thread::park_timeout(Duration::from_millis(100));
                }
                line.end();
            });
            let done = work();
            over.store(true, Ordering::Relaxed);
            watcher.thread().unpark();
            done
        })
    }
}

fn remove(site: &Site<'_>) -> Result<Exit, Trouble> {
    let removed = drill::remove_kept(site).map_err(|fault| Trouble::failed(fault.message, fault.hint))?;
    if removed.is_empty() {
        print("nothing was left\n")?;
    }
    for folder in removed {
        print(&format!("removed {}\n", folder.display()))?;
    }
    Ok(Exit::Done)
}
