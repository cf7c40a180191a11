//! How far it is, while it is under way.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::pipeline::restore::Progress;
use crate::units::Bytes;
use crate::world::signals::Ending;

/// One line that is written again and again on a terminal, and now and then elsewhere.
#[derive(Debug)]
pub(in crate::cli) struct Line {
    terminal: bool,
    to_stderr: bool,
    last: Option<Instant>,
    shown: bool,
}

impl Line {
    pub(in crate::cli) fn new(to_stderr: bool) -> Line {
        let terminal = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        Line { terminal, to_stderr, last: None, shown: false }
    }

    pub(in crate::cli) fn say(&mut self, text: &str) {
        let every = if self.terminal { Duration::from_millis(100) } else { Duration::from_secs(10) };
        if self.last.is_some_and(|last| last.elapsed() < every) || (self.last.is_none() && !self.terminal) {
            self.last.get_or_insert_with(Instant::now);
            return;
        }
        self.last = Some(Instant::now());
        self.shown = true;
        self.write(&if self.terminal { format!("\r\x1b[K{text}") } else { format!("{text}\n") });
    }

    pub(in crate::cli) fn end(&mut self) {
        if self.terminal && self.shown {
            self.write("\r\x1b[K");
        }
    }

    // That nobody reads it is no reason to stop restoring.
    fn write(&self, text: &str) {
        if self.to_stderr {
            let _ = std::io::stderr().write_all(text.as_bytes());
        } else {
            let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
        }
    }
}

/// Shows the copying while it goes on.
#[derive(Debug)]
pub(in crate::cli) struct Watch {
    progress: Arc<Progress>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(in crate::cli) fn start(size: u64, to_stderr: bool, ending: Ending) -> Watch {
        let (progress, over) = (Arc::new(Progress::default()), Arc::new(AtomicBool::new(false)));
        let (seen, ended) = (progress.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let (began, mut line) = (Instant::now(), Line::new(to_stderr));
            while !ended.load(Ordering::Relaxed) {
                if ending.code().is_some() {
                    seen.cancelled.store(true, Ordering::Relaxed);
                }
                line.say(&copied(seen.done.load(Ordering::Relaxed), size, began.elapsed()));
                std::thread::park_timeout(Duration::from_millis(100));
            }
            line.end();
        });
        Watch { progress, over, thread: Some(thread) }
    }

    pub(in crate::cli) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(in crate::cli) fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn copied(done: u64, size: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
    let left = if rate > 1.0 { format!(", {} left", super::text::seconds(size.saturating_sub(done) as f64 / rate)) } else { String::new() };
    let percent = done.saturating_mul(100).checked_div(size).unwrap_or(100).min(100);
    let rate = Bytes::new(rate as u64).rounded();
    format!("restoring files: {percent} % of {} at {rate}/s{left}", Bytes::new(size).rounded())
}
