//! Signals that end a program, for those that must say how they ended.

use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Does something when the process is asked to end (SIGTERM, SIGINT, SIGQUIT), on a thread of its own. Without one it stays as it was:
/// the signal ends the process.
pub fn on_termination(act: impl FnOnce() + Send + 'static) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let _ = thread::Builder::new().name("signals".into()).spawn(move || {
        let asked = runtime.block_on(async {
            let mut term = signal(SignalKind::terminate())?;
            let mut int = signal(SignalKind::interrupt())?;
            let mut quit = signal(SignalKind::quit())?;
            std::future::poll_fn(|context| {
                let any = [&mut term, &mut int, &mut quit].into_iter().any(|signal| signal.poll_recv(context).is_ready());
                if any { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
            Ok::<(), std::io::Error>(())
        });
        if asked.is_ok() {
            act();
        }
    });
}
