//! How far a copy has come: a line that changes on a terminal, a line every ten seconds elsewhere, the state of the unit under systemd.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use indicatif::ProgressBar;

use crate::pipeline::backup::Progress;
use crate::units::Bytes;

/// The line at the bottom of the terminal, while there is one: what is told meanwhile goes above it.
static BOTTOM: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Standard error, above the line that changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Above;

impl io::Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*BOTTOM.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Does the work and shows how far it is.
pub fn watched<T: Send>(progress: &Progress, work: impl FnOnce() -> T + Send) -> T {
    let bar = io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    });
    bottom(bar.clone());
    let pause = if bar.is_some() { Duration::from_millis(200) } else { Duration::from_secs(10) };
    thread::scope(|scope| {
        let (done, ended) = mpsc::sync_channel::<()>(0);
        let bar = &bar;
        scope.spawn(move || {
            let mut copying = None;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let Some(line) = line(progress, &mut copying) else { continue };
                match bar {
                    Some(bar) => bar.set_message(line),
                    None => {
                        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&line)]);
                        tracing::info!("{line}");
                    }
                }
            }
        });
        let result = work();
        drop(done);
        bottom(None);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        result
    })
}

fn bottom(bar: Option<ProgressBar>) {
    *BOTTOM.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// While something is copied; nothing before and after.
fn line(progress: &Progress, copying: &mut Option<Stopwatch>) -> Option<String> {
    let (read, total) = (progress.read.load(Ordering::Relaxed), progress.total.load(Ordering::Relaxed));
    if total == 0 || read >= total {
        return None;
    }
    let since = copying.get_or_insert_with(Stopwatch::now).elapsed();
    let stored = progress.stored.load(Ordering::Relaxed);
    let percent = read.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
    let rate = (read as f64 / since.as_secs_f64().max(0.001)) as u64;
    let left = total.saturating_sub(read).checked_div(rate).map_or_else(|| "?".to_owned(), seconds);
    Some(format!("{percent:>3} %  {} of {}, {} stored, {}/s, {left} left", size(read), size(total), size(stored), size(rate)))
}

pub fn size(bytes: u64) -> String {
    Bytes::new(bytes).rounded()
}

pub fn seconds(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}
