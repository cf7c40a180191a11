//! Keeps an eye on everything around a copy while its workers work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::BackupFault;
use super::own_log::Held;
use crate::pipeline::PipelineFault;
use crate::postgres::BackupSession;

const LOOK: Duration = Duration::from_millis(100);
const PING: Duration = Duration::from_secs(10);

/// What may end a backup from outside.
#[derive(Debug)]
pub(super) struct Watch<'w> {
    /// Somebody pressed Ctrl-C.
    pub stop: &'w AtomicBool,
    /// Tells the workers.
    pub abort: &'w AtomicBool,
    pub deadline: Option<Instant>,
    /// What keeps the log, where the backup brings its own.
    pub held: Option<&'w Held>,
}

impl Watch<'_> {
    pub(super) fn check(&self) -> Result<(), BackupFault> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(BackupFault::Interrupted);
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(BackupFault::refused("the backup took longer than its `timeout`", "Look what was slow, or allow it more."))
            }
            _ => Ok(()),
        }
    }

    /// Does the work in a thread of its own. A server that is gone or was promoted, a signal and a deadline all end it.
    pub(super) fn over<T: Send>(
        &self,
        session: &mut BackupSession,
        work: impl FnOnce() -> Result<T, PipelineFault> + Send,
    ) -> Result<T, BackupFault> {
        thread::scope(|scope| {
            let (done, result) = mpsc::sync_channel(1);
            let worker = scope.spawn(move || drop(done.send(work())));
            let mut wrong = None;
            let mut pinged = Instant::now();
            let result = loop {
                match result.recv_timeout(LOOK) {
                    Ok(result) => break Some(result),
                    Err(RecvTimeoutError::Disconnected) => break None,
                    Err(RecvTimeoutError::Timeout) if wrong.is_some() => {}
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(fault) = self.look(session, &mut pinged) {
                            wrong = Some(fault);
                            self.abort.store(true, Ordering::Relaxed);
                        }
                    }
                }
            };
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
            match (wrong, result) {
                (Some(fault), _) => Err(fault),
                (None, Some(result)) => result.map_err(BackupFault::from),
                (None, None) => Err(BackupFault::Interrupted),
            }
        })
    }

    fn look(&self, session: &mut BackupSession, pinged: &mut Instant) -> Result<(), BackupFault> {
        self.check()?;
        if pinged.elapsed() > PING {
            session.ping()?;
            self.held.map_or(Ok(()), Held::keeps)?;
            *pinged = Instant::now();
        }
        Ok(())
    }
}
