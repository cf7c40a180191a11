use std::time::Duration;

use super::{Figures, Goal, Outcome};

/// One row for our command, one for the peer's, and how many times as much the peer takes. Goals are `judged` only where the
/// figures mean something.
pub fn print(outcomes: &[Outcome], judged: bool) {
    row("what", "program", ["wall", "from", "to", "CPU", "memory"].map(str::to_owned));
    for outcome in outcomes {
        line(&outcome.name, "seawall", &outcome.ours);
        if let Some((program, figures)) = &outcome.peer {
            line("", program, figures);
            if let (Ok(ours), Ok(peer)) = (&outcome.ours, figures) {
                row("", "  ratio", ratios(ours, peer));
            }
        }
        if let Ok(ours) = &outcome.ours
            && judged
        {
            judge(ours, &outcome.goal);
        }
    }
}

fn row(what: &str, program: &str, cells: [String; 5]) {
    let [wall, from, to, cpu, memory] = cells;
    println!("{what:<34} {program:<18} {wall:>10} {from:>10} {to:>10} {cpu:>10} {memory:>10}");
}

fn line(what: &str, program: &str, figures: &Result<Figures, String>) {
    match figures {
        Ok(figures) => row(
            what,
            program,
            [
                duration(figures.wall),
                duration(figures.fastest),
                duration(figures.slowest),
                figures.cpu.map_or_else(|| "?".into(), cpu),
                figures.memory_kb.map_or_else(|| "?".into(), |kb| format!("{:.1} MB", kb as f64 / 1024.0)),
            ],
        ),
        Err(why) => println!("{what:<34} {program:<18} not measured: {why}"),
    }
}

fn ratios(ours: &Figures, peer: &Figures) -> [String; 5] {
    let times = |ours: f64, peer: f64| if ours > 0.0 { format!("{:.1}x", peer / ours) } else { "?".into() };
    let cpu = ours.cpu.zip(peer.cpu).map_or_else(|| "?".into(), |(ours, peer)| times(ours.as_secs_f64(), peer.as_secs_f64()));
    let memory = ours.memory_kb.zip(peer.memory_kb).map_or_else(|| "?".into(), |(ours, peer)| times(ours as f64, peer as f64));
    [times(ours.wall.as_secs_f64(), peer.wall.as_secs_f64()), String::new(), String::new(), cpu, memory]
}

fn judge(ours: &Figures, goal: &Goal) {
    let word = |met: bool| if met { "met" } else { "MISSED" };
    if let Some(wall) = goal.wall {
        println!("{:<34} goal: under {}: {}", "", duration(wall), word(ours.wall < wall));
    }
    if let (Some(limit), Some(memory)) = (goal.memory_mb, ours.memory_kb) {
        println!("{:<34} goal: under {limit} MB: {}", "", word(memory < limit * 1024));
    }
}

fn duration(length: Duration) -> String {
    if length < Duration::from_secs(1) { format!("{:.1} ms", length.as_secs_f64() * 1e3) } else { format!("{:.2} s", length.as_secs_f64()) }
}

/// What is below the resolution is not nothing.
fn cpu(length: Duration) -> String {
    if length.is_zero() { "< 10 ms".into() } else { duration(length) }
}
