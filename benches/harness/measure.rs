use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TIME: &str = "/usr/bin/time";

/// Medians over all runs of one command.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub wall: Duration,
    pub fastest: Duration,
    pub slowest: Duration,
    /// User and system together. None without `/usr/bin/time`.
    pub cpu: Option<Duration>,
    pub memory_kb: Option<u64>,
}

#[derive(Debug, Default)]
struct Samples {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
    memory_kb: Vec<u64>,
    failure: Option<String>,
}

pub(super) fn in_turn(commands: &[(&Command, i32)], runs: usize) -> Vec<Result<Figures, String>> {
    let mut all: Vec<Samples> = commands.iter().map(|_| Samples::default()).collect();
    let mut each = |take: &dyn Fn(&Command, i32, &mut Samples) -> Result<(), String>| {
        for ((command, exit), samples) in commands.iter().zip(&mut all) {
            if samples.failure.is_none() {
                samples.failure = take(command, *exit, samples).err();
            }
        }
    };
    // Once unmeasured: files come into the cache, and a command that does not work is found out.
    each(&|command, exit, _| run(again(command), exit).map(|_| ()));
    for _ in 0..runs {
        each(&|command, exit, samples| run(again(command), exit).map(|wall| samples.wall.push(wall)));
    }
    if Path::new(TIME).exists() {
        for _ in 0..runs.div_ceil(3) {
            each(&metered);
        }
    }
    all.into_iter().map(figures).collect()
}

/// `Command` cannot be copied, and what was set up once is run often.
fn again(command: &Command) -> Command {
    copied(Command::new(command.get_program()), command)
}

fn copied(mut copy: Command, command: &Command) -> Command {
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    copy
}

fn run(mut command: Command, exit: i32) -> Result<Duration, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let wall = began.elapsed();
    if status.code() == Some(exit) { Ok(wall) } else { Err(format!("it ended with {status}")) }
}

fn metered(command: &Command, exit: i32, samples: &mut Samples) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let report = folder.path().join("time");
    let mut timed = Command::new(TIME);
    timed.args(["--quiet", "-f", "%U %S %M", "-o"]).arg(&report).arg(command.get_program());
    run(copied(timed, command), exit)?;
    let text = fs::read_to_string(&report).map_err(|error| format!("{}: {error}", report.display()))?;
    let mut words = text.split_whitespace();
    let mut next = || words.next().and_then(|word| word.parse::<f64>().ok()).ok_or_else(|| format!("{TIME} wrote {text:?}"));
    let (user, system, memory) = (next()?, next()?, next()?);
    samples.cpu.push(Duration::from_secs_f64(user + system));
    samples.memory_kb.push(memory as u64);
    Ok(())
}

fn figures(mut samples: Samples) -> Result<Figures, String> {
    if let Some(failure) = samples.failure {
        return Err(failure);
    }
    samples.wall.sort();
    let (Some(fastest), Some(wall), Some(slowest)) = (samples.wall.first(), middle(&samples.wall), samples.wall.last()) else {
        return Err("it was never run".into());
    };
    let (fastest, slowest) = (*fastest, *slowest);
    samples.cpu.sort();
    samples.memory_kb.sort();
    Ok(Figures { wall, fastest, slowest, cpu: middle(&samples.cpu), memory_kb: middle(&samples.memory_kb) })
}

fn middle<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}
