//! `seawall wal prefetch`: the process beside a recovery that fetches ahead. Started by `wal fetch`, not by people.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::source::LogSource;
use crate::cli::exit::{Exit, Trouble};
use crate::units::{Segment, WalFile};
use crate::wal::Spool;

/// Fetch ahead of a recovery. `wal fetch` starts it.
#[derive(Debug, Args)]
pub struct Prefetch {
    /// Where the segments wait.
    spool: PathBuf,
    /// The place that PostgreSQL names.
    to: PathBuf,
    #[command(flatten)]
    from: LogSource,
}

impl Prefetch {
    pub fn run(&self) -> Result<Exit, Trouble> {
        let spool = Spool::at(&self.spool);
        // A server that is the first process of a container inherits this one: whatever ends it, it ends well.
        let ours = spool.clone();
        crate::world::signals::on_termination(move |_| {
            ours.clear();
            std::process::exit(0);
        });
        let archive = match self.from.archive(&self.to) {
            Ok(archive) => archive,
            Err(_) => return Ok(Exit::Done),
        };
        crate::wal::prefetch(&archive, &spool, crate::wal::server(&super::fetch::data_directory(&self.to)));
        Ok(Exit::Done)
    }
}

/// What `wal fetch` has to do with it.
pub(super) struct Ahead<'f> {
    spool: Spool,
    from: &'f LogSource,
    to: &'f Path,
}

impl<'f> Ahead<'f> {
    /// None where no server recovers: nobody would take away what is fetched ahead.
    pub(super) fn of(from: &'f LogSource, to: &'f Path) -> Option<Ahead<'f>> {
        crate::wal::server(&super::fetch::data_directory(to))?;
        let cluster = from.cluster(to).ok()?;
        Some(Ahead { spool: Spool::beside(to, cluster, &format!("{from:?}"))?, from, to })
    }

    /// Takes over what is there, or will be in a moment.
    pub(super) fn take(&self, file: WalFile, patience: Duration) -> bool {
        let WalFile::Segment(segment) = file else { return false };
        let deadline = Instant::now() + patience;
        loop {
            if self.spool.hand_over(segment, self.to) {
                self.go_on(segment);
                return true;
            }
            if !self.spool.is_coming(segment) || Instant::now() > deadline {
                // It may have come between the two looks.
                let taken = self.spool.hand_over(segment, self.to);
                if taken {
                    self.go_on(segment);
                }
                return taken;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Says where PostgreSQL is, and sees to it that somebody fetches ahead. Whatever fails here only costs time.
    pub(super) fn go_on(&self, segment: Segment) {
        let Ok(about) = std::fs::metadata(self.to) else { return };
        if self.spool.tell(segment, about.len()).is_ok() && !self.spool.is_manned() {
            self.spool.clear_others();
            let _ = self.start();
        }
    }

    /// Nothing of the server's is handed on: its log's pipe would otherwise stay open after its end.
    fn start(&self) -> std::io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["wal", "prefetch"]).arg(self.spool.folder()).arg(self.to).args(self.from.words());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(|_| ())
    }
}
