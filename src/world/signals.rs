//! Signals that ask a long work to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};
use std::task::Poll;
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};
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

/// The signals of somebody who runs another program: before it runs they ask us to end, then they are the program's own.
#[derive(Debug, Clone, Default)]
pub struct Relay {
    /// Somebody wants this to end, and the program does not run yet.
    pub asked: Arc<AtomicBool>,
    program: Arc<AtomicI32>,
}

/// There is no program any more: what comes now came too late for it.
const OVER: i32 = -1;

impl Relay {
    /// From here on signals go to this process.
    pub fn begin(&self, program: u32) {
        let program = i32::try_from(program).unwrap_or(OVER);
        self.program.store(program, Ordering::SeqCst);
        // One that came in between was meant for it.
        if self.asked.load(Ordering::SeqCst) {
            pass_on(program, Signal::TERM);
        }
    }

    /// Before its number can become somebody else's.
    pub fn end(&self) {
        self.program.store(OVER, Ordering::SeqCst);
    }
}

/// Listens for SIGINT, SIGTERM, SIGHUP and SIGQUIT from now on, apart from those that were ignored already (`nohup`, `&` in a script): these
/// stay ignored, also by the program. Before it runs, a second signal ends the process at once, with this exit code.
pub fn relay(hurried: u8) -> io::Result<Relay> {
    let relay = Relay::default();
    let heard = relay.clone();
    let ignored = ignored();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (ready, begun) = std::sync::mpsc::channel();
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let listen = |which: Signal| Ok((which, signal(SignalKind::from_raw(which.as_raw()))?));
            let kinds = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].into_iter();
            let kinds = kinds.filter(|which| ignored & (1 << (which.as_raw() - 1)) == 0);
            let all = kinds.map(listen).collect::<io::Result<Vec<_>>>();
            let _ = ready.send(all.as_ref().map(|_| ()).map_err(io::Error::kind));
            let Ok(mut all) = all else { return };
            loop {
                let which = std::future::poll_fn(|context| {
                    let came = all.iter_mut().find_map(|(which, signal)| signal.poll_recv(context).is_ready().then_some(*which));
                    came.map_or(Poll::Pending, Poll::Ready)
                });
                heard.hear(which.await, hurried);
            }
        });
    })?;
    begun.recv().map_err(io::Error::other)?.map_err(io::Error::from)?;
    Ok(relay)
}

impl Relay {
    fn hear(&self, which: Signal, hurried: u8) {
        match self.program.load(Ordering::SeqCst) {
            0 if self.asked.swap(true, Ordering::SeqCst) => std::process::exit(hurried.into()),
            0 => {
                // It may have begun between the two.
                match self.program.load(Ordering::SeqCst) {
                    0 | OVER => {}
                    program => pass_on(program, which),
                }
            }
            OVER => {}
            // What is typed reaches all that runs on the terminal, so the program has it already.
            _ if matches!(which, Signal::INT | Signal::QUIT) && has_terminal() => {}
            program => pass_on(program, which),
        }
    }
}

fn pass_on(program: i32, which: Signal) {
    if let Some(program) = Pid::from_raw(program) {
        let _ = kill_process(program, which);
    }
}

/// We are in front of a terminal, which sends what is typed to all of us.
fn has_terminal() -> bool {
    let group = rustix::process::getpgrp();
    std::fs::File::open("/dev/tty").is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal).is_ok_and(|front| front == group))
}

/// A bit for each signal that is ignored, the first for number 1; none where the system does not say.
fn ignored() -> u64 {
    let about = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = about.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
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
