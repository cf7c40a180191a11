//! A fuzzer that needs nothing but a stable compiler: mutated input, for a bounded time, always the same for one seed.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `SEAWALL_FUZZ_SECONDS` | how long, all targets together (default 5) |
//! | `SEAWALL_FUZZ_SEED` | where the mutations begin (default 1); a failure prints it |
//! | `SEAWALL_FUZZ_TARGET` | only this target |
//!
//! What broke something lies under `target/fuzz-failures/`. Put it into `tests/fuzz-corpus/<target>/` and it stays tested.

mod mutation;
pub(crate) mod random;
mod targets;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mutation::Mutator;
use random::Random;
use targets::{TARGETS, Target};

/// No input may take longer, in the unoptimised build too.
const LIMIT: Duration = Duration::from_secs(1);
/// A slow machine gets this many more tries with an input that took longer.
const TRIES: usize = 3;
/// An input that takes as long as this will never end.
const HANG: Duration = Duration::from_secs(20);

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn setting(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => otherwise,
    }
}

/// The inputs that mutation begins with: every file below the target's folders, in a fixed order.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut open: Vec<PathBuf> = target.corpus.iter().map(|folder| repository().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if about.is_file() && about.len() <= target.max_bytes as u64 {
            files.push(path);
        }
    }
    files.sort();
    files.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// The input that is being tried. It lies in a file as long as that lasts, because an overflowing stack or an abort leaves
/// no time to write anything.
struct Tried {
    path: PathBuf,
    file: fs::File,
}

impl Tried {
    fn new(target: &str) -> Tried {
        let folder = failures();
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let path = folder.join(format!("{target}-{}.running", std::process::id()));
        let file = fs::File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Tried { path, file }
    }

    fn write(&self, input: &[u8]) {
        let written = self.file.set_len(input.len() as u64).and_then(|()| self.file.write_all_at(input, 0));
        written.unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
    }
}

fn failures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    repository().join(target).join("fuzz-failures")
}

fn keep(target: &str, seed: u64, round: u64, input: &[u8]) -> PathBuf {
    let path = failures().join(format!("{target}-{seed}-{round}"));
    let written = fs::create_dir_all(failures()).and_then(|()| fs::write(&path, input));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// Runs one input; says what is wrong.
fn fault(check: fn(&[u8]), input: &[u8]) -> Option<String> {
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let began = Instant::now();
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| check(input))) {
            let said = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
            return Some(format!("panicked: {}", said.unwrap_or("without a message")));
        }
        fastest = fastest.min(began.elapsed());
        if fastest <= LIMIT {
            return None;
        }
    }
    Some(format!("took {fastest:.1?}, more than {LIMIT:?}"))
}

/// First the corpus as it is, then mutations of it until the time is over. Gives how many inputs were tried.
fn fuzz(target: &Target, seed: u64, until: Instant, round: &AtomicU64) -> Result<u64, String> {
    let corpus = corpus(target);
    let mut mutator = Mutator { random: Random::new(seed), corpus: &corpus, words: target.words, max_bytes: target.max_bytes };
    let tried = Tried::new(target.name);
    let mut tries: u64 = 0;
    loop {
        let input = match corpus.get(usize::try_from(tries).unwrap_or(usize::MAX)) {
            Some(whole) => whole.clone(),
            None if Instant::now() < until => mutator.next(),
            None => break,
        };
        tried.write(&input);
        if let Some(fault) = fault(target.check, &input) {
            let path = keep(target.name, seed, tries, &input);
            let _ = fs::remove_file(&tried.path);
            return Err(format!(
                "target `{}`, seed {seed}, input {tries}: {fault}\n  the input is kept in {}",
                target.name,
                path.display()
            ));
        }
        tries += 1;
        round.store(tries, Ordering::Relaxed);
    }
    let _ = fs::remove_file(&tried.path);
    Ok(tries)
}

/// Watches from another thread, so that an input that never ends is named too.
fn watched(target: &'static Target, seed: u64, seconds: f64) -> Result<u64, String> {
    let (done, result) = mpsc::channel();
    let round = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&round);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    thread::spawn(move || done.send(fuzz(target, seed, until, &seen)));
    let mut last = 0;
    loop {
        match result.recv_timeout(HANG) {
            Ok(outcome) => return outcome,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(format!("target `{}`: the harness itself panicked", target.name)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let now = round.load(Ordering::Relaxed);
                if now == last {
                    let name = format!("{}-{}.running", target.name, std::process::id());
                    return Err(format!(
                        "target `{}`, seed {seed}, input {now} does not end\n  the input is kept in {}",
                        target.name,
                        failures().join(name).display()
                    ));
                }
                last = now;
            }
        }
    }
}

#[test]
fn nothing_breaks_on_mutated_input() {
    let seconds = setting("SEAWALL_FUZZ_SECONDS", 5);
    let seed = setting("SEAWALL_FUZZ_SEED", 1);
    let only = std::env::var("SEAWALL_FUZZ_TARGET").ok();
    let chosen: Vec<&'static Target> = TARGETS.iter().filter(|target| only.as_deref().is_none_or(|name| name == target.name)).collect();
    assert!(!chosen.is_empty(), "no fuzz target is called `{}`", only.unwrap_or_default());
    let weights: u32 = chosen.iter().map(|target| target.weight).sum();
    let mut faults = Vec::new();
    for target in chosen {
        let share = seconds as f64 * f64::from(target.weight) / f64::from(weights);
        match watched(target, seed, share) {
            Ok(tries) => println!("fuzz {:<12} seed {seed}: {tries} inputs in {share:.1} s", target.name),
            Err(fault) => faults.push(fault),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn targets_have_names_of_their_own_and_somewhere_to_begin() {
    for (index, target) in TARGETS.iter().enumerate() {
        assert!(TARGETS[..index].iter().all(|other| other.name != target.name), "two fuzz targets are called `{}`", target.name);
        assert!(!corpus(target).is_empty(), "the fuzz target `{}` has no corpus: {:?}", target.name, target.corpus);
        assert!(target.weight > 0, "the fuzz target `{}` never runs", target.name);
    }
}

#[test]
fn the_harness_notices_a_panic_and_a_slow_input() {
    assert_eq!(fault(|_| (), b"x"), None);
    assert_eq!(fault(|bytes| assert!(bytes.is_empty(), "not empty"), b"x"), Some("panicked: not empty".to_owned()));
    let slow = fault(|_| thread::sleep(LIMIT + Duration::from_millis(20)), b"x");
    assert!(slow.is_some_and(|said| said.contains("more than 1s")));
}

#[test]
fn one_seed_gives_the_same_inputs_and_another_gives_others() {
    let corpus = vec![b"15m".to_vec(), b"1h 30m".to_vec()];
    let inputs = |seed| {
        let mut mutator = Mutator { random: Random::new(seed), corpus: &corpus, words: &["d", "w"], max_bytes: 64 };
        (0..200).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
    assert!(inputs(7).iter().all(|input| input.len() <= 64));
}
