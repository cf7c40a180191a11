//! The event loop that carries messages: one thread, started at the first use, shared by the process.
//!
//! Callers are plain threads, each waiting for its own message. Whatever takes longer than it may is dropped, its connection with it.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::fault::SendFault;

/// How long it may take until there is a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long one delivery may take in all.
pub(super) const WHOLE: Duration = Duration::from_secs(30);

fn runtime() -> Result<&'static Runtime, SendFault> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let start = || {
        let built = Builder::new_multi_thread().worker_threads(1).thread_name("seawall-notify").enable_all().build();
        built.map_err(|error| error.to_string())
    };
    RUNTIME.get_or_init(start).as_ref().map_err(|error| SendFault::passing(format!("the thread for messages cannot be started: {error}")))
}

/// Runs it there and waits here, [`WHOLE`] at most. `late` says what became of the message then.
pub(super) fn wait<T: Send + 'static>(
    work: impl Future<Output = Result<T, SendFault>> + Send + 'static,
    late: impl FnOnce() -> &'static str + Send + 'static,
) -> Result<T, SendFault> {
    let (tell, told) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        let done = tokio::time::timeout(WHOLE, work).await;
        let late = || SendFault::passing(format!("not done within {} s; {}", WHOLE.as_secs(), late()));
        let _ = tell.send(done.unwrap_or_else(|_| Err(late())));
    });
    told.recv().unwrap_or_else(|_| Err(SendFault::passing("the delivery ended without a word")))
}
