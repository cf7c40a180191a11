//! The write-ahead log: `seawall wal push` and `wal fetch` against pgBackRest's asynchronous mode and `cp`, in turn.
//!
//! `cargo bench --bench wal` archives 200 segments of a real server's log (pgbench and a time series); `cargo test --bench wal` runs everything
//! once on a few, to see that it still works. Calls are made as PostgreSQL makes them: one file after the other, each waited for.
//! CPU is that of all processes that came of it, also of those that were left in the background.

mod clusters;
#[path = "wal/peers.rs"]
mod peers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clusters::{Cluster, Options, StopMode, Version};
use peers::{Archiver, Cp, PgBackRest, Seawall};

/// What a run took: the wall, and the processors.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wall: Duration,
    pub cpu: Duration,
}

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (segments, runs) = if full { (200, 5) } else { (6, 1) };
    // What is left in the background becomes ours, so that its time can be counted.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("orphans can be adopted");
    let cluster = log_of(segments);
    let room = tempfile::tempdir().expect("a folder");
    let backrest = PgBackRest::new(room.path(), &cluster);
    cluster.stop(StopMode::Fast);
    let data = cluster.data();
    let files = ready(&data, segments);
    println!("{} segments of 16 MiB, {runs} runs in turn, medians\n", files.len());

    let seawall = Seawall::new(room.path());
    let mut good = push(&seawall, backrest.as_ref(), &data, &files, runs);
    good &= marker(&seawall, &data, &files, if full { 100 } else { 5 });
    good &= fetch(&seawall, backrest.as_ref(), &data, &files[..files.len().min(80)], runs, room.path());
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench --bench wal` measures)");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A server with so many segments that wait to be archived: some of pgbench's making, some of a time series.
fn log_of(segments: usize) -> Cluster {
    let cluster =
        Cluster::start(Version::V15, Options { own_identity: true, ..Options::default() }.archiving("false").with("max_wal_size = 8GB"));
    cluster.sql("create table series (at timestamptz, device int, value float8)");
    let pgbench = |words: &[&str]| {
        let mut command = cluster.program("pgbench");
        command.arg("-h").arg(cluster.sockets()).arg("-p").arg(cluster.port().to_string()).args(["-U", "postgres", "postgres"]).args(words);
        let output = command.output().expect("pgbench starts");
        assert!(output.status.success(), "{output:?}");
    };
    pgbench(&["-i", "-q", "-s", if segments > 50 { "20" } else { "1" }]);
    while names(&cluster.data()).len() < segments {
        pgbench(&["-c", "4", "-T", if segments > 50 { "4" } else { "1" }]);
        cluster.sql(
            "insert into series select now() + g * interval '1 s', g % 100, sin(g / 50.0) * 20 + random() from generate_series(1, 300000) g",
        );
        cluster.sql("checkpoint");
    }
    cluster
}

fn names(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data.join("pg_wal/archive_status")).expect("a folder").flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_str().and_then(|name| name.strip_suffix(".ready")).map(str::to_owned);
    let mut names: Vec<String> = entries.filter_map(name).filter(|name| name.len() == 24).collect();
    names.sort();
    names
}

/// Exactly so many are ready; the others are as if they were archived.
fn ready(data: &Path, segments: usize) -> Vec<String> {
    let mut names = names(data);
    for name in names.split_off(names.len().min(segments)) {
        let _ = fs::remove_file(data.join(format!("pg_wal/archive_status/{name}.ready")));
    }
    names
}

fn push(seawall: &Seawall, backrest: Option<&PgBackRest>, data: &Path, files: &[String], runs: usize) -> bool {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        seawall.forget();
        ours.push(timed(|| push_all(seawall, data, files)));
        if let Some(backrest) = backrest {
            backrest.forget();
            theirs.push(timed(|| push_all(backrest, data, files)));
        }
    }
    report(&format!("push, {} ready segments", files.len()), "pgbackrest archive-push, async", &ours, &theirs, Some(0.50))
}

/// As PostgreSQL does: one after the other, and each that is archived is noted.
fn push_all(archiver: &dyn Archiver, data: &Path, files: &[String]) {
    let status = |name: &str, end: &str| data.join(format!("pg_wal/archive_status/{name}.{end}"));
    for name in files {
        let _ = fs::remove_file(status(name, "done"));
        fs::write(status(name, "ready"), "").expect("a status");
    }
    for name in files {
        assert!(archiver.push(data, name).status().expect("it starts").success(), "{name}");
        fs::rename(status(name, "ready"), status(name, "done")).expect("it was ready");
    }
}

/// A call that finds a marker.
fn marker(seawall: &Seawall, data: &Path, files: &[String], runs: usize) -> bool {
    for name in files.iter().take(3) {
        fs::write(data.join(format!("pg_wal/archive_status/{name}.ready")), "").expect("a status");
    }
    seawall.forget();
    assert!(seawall.push(data, &files[0]).status().expect("it starts").success());
    let mut walls: Vec<Duration> = Vec::new();
    for _ in 0..runs {
        let began = Instant::now();
        assert!(seawall.push(data, &files[1]).status().expect("it starts").success());
        walls.push(began.elapsed());
    }
    walls.sort();
    let (median, worst) = (walls[walls.len() / 2], walls[walls.len() - 1]);
    let good = median <= Duration::from_millis(5);
    println!("push, only its marker          {:7.1} ms (worst {:.1} ms), goal 5 ms: {}", ms(median), ms(worst), said(good));
    good || cfg!(debug_assertions)
}

fn fetch(seawall: &Seawall, backrest: Option<&PgBackRest>, data: &Path, files: &[String], runs: usize, room: &Path) -> bool {
    // Everything must be archived first.
    seawall.forget();
    push_all(seawall, data, files);
    if let Some(backrest) = backrest {
        backrest.forget();
        push_all(backrest, data, files);
    }
    let plain = room.join("plain");
    fs::create_dir_all(&plain).expect("a folder");
    for name in files {
        fs::copy(data.join("pg_wal").join(name), plain.join(name)).expect("copied");
    }
    // For `wal fetch` a server recovers here.
    fs::write(data.join("postmaster.pid"), format!("{}\n", std::process::id())).expect("written");
    let cp = Cp { from: plain };
    let (mut ours, mut copied, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(timed(|| fetch_all(seawall, data, files)));
        copied.push(timed(|| fetch_all(&cp, data, files)));
        if let Some(backrest) = backrest {
            theirs.push(timed(|| fetch_all(backrest, data, files)));
        }
    }
    let _ = fs::remove_file(data.join("postmaster.pid"));
    let name = format!("fetch, {} segments", files.len());
    report(&name, "cp", &ours, &copied, None) & report(&name, "pgbackrest archive-get, async", &ours, &theirs, None)
}

fn fetch_all(archiver: &dyn Archiver, data: &Path, files: &[String]) {
    let to = data.join("pg_wal/RECOVERYXLOG");
    for name in files {
        let _ = fs::remove_file(&to);
        assert!(archiver.fetch(data, name).status().expect("it starts").success(), "{name}");
        assert_eq!(fs::metadata(&to).expect("it is there").len(), 16 << 20, "{name}");
        // Replay reads it once, which takes some 30 ms.
        std::thread::sleep(Duration::from_millis(if cfg!(debug_assertions) { 0 } else { 30 }));
    }
    archiver.end(data);
}

/// Wall time of the work itself; the processors' until the last process that came of it has ended.
fn timed(work: impl FnOnce()) -> Took {
    peers::reap();
    let (began, cpu) = (Instant::now(), children_cpu());
    work();
    let wall = began.elapsed();
    peers::reap();
    Took { wall, cpu: children_cpu().saturating_sub(cpu) }
}

/// Of all children that were waited for; the kernel counts in hundredths.
fn children_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks: u64 = fields.get(13..15).unwrap_or_default().iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn median(took: &[Took]) -> Took {
    let middle = |of: fn(&Took) -> Duration| {
        let mut all: Vec<Duration> = took.iter().map(of).collect();
        all.sort();
        all[all.len() / 2]
    };
    Took { wall: middle(|took| took.wall), cpu: middle(|took| took.cpu) }
}

fn report(name: &str, peer: &str, ours: &[Took], theirs: &[Took], goal: Option<f64>) -> bool {
    let mine = median(ours);
    if theirs.is_empty() {
        println!("{name:30} {:7.2} s, {:5.2} s of CPU; {peer} is not installed", mine.wall.as_secs_f64(), mine.cpu.as_secs_f64());
        return true;
    }
    let their = median(theirs);
    let ratio = mine.wall.as_secs_f64() / their.wall.as_secs_f64();
    let good = goal.is_none_or(|goal| ratio <= goal);
    let goal = goal.map(|goal| format!(", goal {goal:.2}: {}", said(good))).unwrap_or_default();
    println!(
        "{name:30} {:7.2} s, {:5.2} s of CPU; {peer} {:.2} s, {:.2} s; ratio {ratio:.2}, CPU {:.2}{goal}",
        mine.wall.as_secs_f64(),
        mine.cpu.as_secs_f64(),
        their.wall.as_secs_f64(),
        their.cpu.as_secs_f64(),
        mine.cpu.as_secs_f64() / their.cpu.as_secs_f64().max(0.01),
    );
    good || cfg!(debug_assertions)
}

fn said(good: bool) -> &'static str {
    if good { "kept" } else { "MISSED" }
}

fn ms(wall: Duration) -> f64 {
    wall.as_secs_f64() * 1000.0
}

/// Where a store, a repository and their keys lie.
pub fn folder(of: &Path, name: &str) -> PathBuf {
    let folder = of.join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
