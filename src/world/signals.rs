//! Signals that ask a long work to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;
use std::{io, thread};

use tokio::signal::unix::{SignalKind, signal};

/// Set when somebody wants this to end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    pub asked: Arc<AtomicBool>,
    which: Arc<AtomicU8>,
}

const INTERRUPT: u8 = 2;
const TERMINATE: u8 = 15;

impl Ending {
    /// The exit code that the shell expects of a process that ended by this signal.
    pub fn code(&self) -> Option<u8> {
        match self.which.load(Ordering::Relaxed) {
            0 => None,
            which => Some(128 + which),
        }
    }
}

/// Listens for Ctrl-C and SIGTERM from now on. A second one ends the process at once.
pub fn ending() -> io::Result<Ending> {
    let ending = Ending::default();
    let heard = ending.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else { return };
            loop {
                let which = tokio::select! {
                    _ = interrupt.recv() => INTERRUPT,
                    _ = terminate.recv() => TERMINATE,
                };
                if heard.asked.swap(true, Ordering::Relaxed) {
                    std::process::exit((128 + which).into());
                }
                heard.which.store(which, Ordering::Relaxed);
            }
        });
    })?;
    Ok(ending)
}

/// Does something when the process is asked to end (SIGTERM, SIGINT, SIGQUIT), on a thread of its own,
/// with the signal's number. Where no such thread can be made, the signal ends the process as ever.
pub fn on_termination(act: impl FnOnce(i32) + Send + 'static) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let _ = thread::Builder::new().name("signals".into()).spawn(move || {
        let asked = runtime.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
            let mut signals = kinds.into_iter().map(|kind| Ok((kind, signal(kind)?))).collect::<std::io::Result<Vec<_>>>()?;
            let came = std::future::poll_fn(|context| {
                let came = signals.iter_mut().find_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
                came.map_or(Poll::Pending, Poll::Ready)
            });
            Ok::<_, std::io::Error>(came.await)
        });
        if let Ok(kind) = asked {
            act(kind.as_raw_value());
        }
    });
}
