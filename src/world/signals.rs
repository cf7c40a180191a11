//! Signals that end a program, for those that must say how they ended.

use std::task::Poll;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

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
