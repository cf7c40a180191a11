//! The event loop that drives the clouds' connections: two threads, started at the first use, shared by the process.
//!
//! Callers are plain threads. They hand work over and wait for it, so a store works the same inside and outside an event
//! loop of somebody else's.

use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::store::{Fault, FaultKind};

const THREADS: usize = 2;

fn runtime() -> Result<&'static Runtime, Fault> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let start = || {
        let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("seawall-store").enable_all().build();
        built.map_err(|error| error.to_string())
    };
    RUNTIME.get_or_init(start).as_ref().map_err(|error| {
        Fault::new(
            FaultKind::Other,
            format!("the threads for object storage cannot be started: {error}"),
            "Look at the limit of processes.",
        )
    })
}

pub(super) fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<JoinHandle<T>, Fault> {
    Ok(runtime()?.spawn(work))
}

/// Runs it there and waits here.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = Result<T, Fault>> + Send + 'static) -> Result<T, Fault> {
    let (tell, told) = mpsc::sync_channel(1);
    spawn(async move {
        let _ = tell.send(work.await);
    })?;
    told.recv().unwrap_or_else(|_| Err(lost()))
}

/// What a task that ended without a word leaves.
pub(super) fn lost() -> Fault {
    Fault::new(FaultKind::Other, "a request to the store ended without a word", "This is a bug in Seawall: please report it.")
}
