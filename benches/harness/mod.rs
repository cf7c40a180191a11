//! Times whole commands against other people's: in turn, A B A B, so that a busy minute hits both.
//!
//! Wall time is taken around the process itself. CPU time and peak memory come from runs of their own under `/usr/bin/time`
//! (Debian package `time`), because that costs a millisecond and some commands take less than five; it counts in hundredths
//! of a second. All figures are medians; only ratios of runs made in turn mean anything on another machine.

mod measure;
mod table;

use std::process::Command;
use std::time::Duration;

pub use measure::Figures;
pub use table::print;

/// What one comparison found.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub ours: Result<Figures, String>,
    /// The other program, by name; none when ours is only held to a goal.
    pub peer: Option<(String, Result<Figures, String>)>,
    pub goal: Goal,
}

/// What we promise for this command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Goal {
    pub wall: Option<Duration>,
    pub memory_mb: Option<u64>,
    /// The exit code that is the right answer.
    pub exit: i32,
}

/// Runs both commands `runs` times in turn. A command that ends otherwise than it should is not measured; why is said instead.
pub fn compare(name: &str, goal: Goal, ours: &Command, peer: Option<&Command>, runs: usize) -> Outcome {
    let commands: Vec<(&Command, i32)> = std::iter::once((ours, goal.exit)).chain(peer.map(|peer| (peer, 0))).collect();
    let mut measured = measure::in_turn(&commands, runs).into_iter();
    let ours = measured.next().unwrap_or_else(|| Err("it was not run".into()));
    let peer = peer.map(|command| (program(command), measured.next().unwrap_or_else(|| Err("it was not run".into()))));
    Outcome { name: name.to_owned(), ours, peer, goal }
}

fn program(command: &Command) -> String {
    std::path::Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
