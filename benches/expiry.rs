//! Expiry: what goes of 100,000 backups is decided, and objects are deleted from S3: batched and side by side, against one by one.
//!
//! `cargo bench --bench expiry` measures; `cargo test --bench expiry` runs it once on a few, to see that it still works. The S3 server is that of
//! the tests' Python environment (`SEAWALL_TEST_PYTHON`). pgBackRest speaks to S3 over TLS only, which this server has not, so it is no peer here.

#[allow(dead_code, reason = "shared with a benchmark that also measures the server")]
mod s3;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode};
use std::time::{Duration as Wall, Instant as Stopwatch};

use bytes::Bytes;
use jiff::tz::TimeZone;
use seawall::inventory::{Backup, BackupKind, BackupState, Observed, StoreInventory, SystemIdentifier, Timelines};
use seawall::plan::{ExpiryTerms, Mark, expiry, lint_deletions};
use seawall::policy::document::Document;
use seawall::policy::resolve::resolve;
use seawall::retention::{Keep, RetentionInput, Tier, verdicts};
use seawall::site::Site;
use seawall::store::Store;
use seawall::units::{BackupId, Duration, Instant, Key, Lsn, Name, Percent, Timeline};
use seawall::world::parallel;

const GOAL: Wall = Wall::from_secs(1);
/// The credentials are in the environment of the process that deletes.
const DELETES: &str = "--delete-from";
/// As many as one request can name.
const BATCH: usize = 1000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == DELETES) {
        let number = |place: usize| words.get(at + place).and_then(|word| word.parse().ok()).expect("a number");
        return delete(number(1), usize::from(number(2)) * 100);
    }
    let full = words.iter().any(|word| word == "--bench");
    plan(if full { 100_000 } else { 2_000 }, full);
    let good = on_s3(if full { 100 } else { 2 });
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench --bench expiry` measures)");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One backup an hour, a full one each week with increments on it, marked long ago.
fn plan(count: u64, full: bool) {
    let backups: Vec<Backup> = (0..count).map(backup).collect();
    let store = StoreInventory { backups, wal: Vec::new(), forks: Vec::new(), used: Observed::unknown("not asked") };
    let marked = moment("2026-11-01T00:00:00Z");
    let marks = store.backups.iter().map(|backup| (backup.id.clone(), Mark { at: marked, acknowledged: true })).collect();
    let keep = Keep { hourly: Some(Tier::Count(24)), daily: Some(Tier::Count(30)), ..Keep::everything(TimeZone::UTC) };
    let keeps = BTreeMap::from([(name(), keep)]);
    let now = moment("2026-11-21T08:00:00Z");
    let mut walls: Vec<(Wall, Wall, usize)> = (0..if full { 7 } else { 1 })
        .map(|_| {
            let (began, cpu_before) = (Stopwatch::now(), cpu());
            let gone = decide(&store, &keeps, &marks, now);
            (began.elapsed(), cpu().saturating_sub(cpu_before), gone)
        })
        .collect();
    walls.sort();
    let (wall, cpu, gone) = walls[walls.len() / 2];
    println!(
        "{gone} of {count} backups go, decided and looked at again by other code in {wall:.1?}, {cpu:.1?} CPU (median of {})",
        walls.len()
    );
    if full {
        println!("  goal: under {GOAL:?}: {}", if wall < GOAL { "met" } else { "MISSED" });
    }
}

/// Of this process, so far: on a busy machine the wall says little.
fn cpu() -> Wall {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Wall::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn decide(store: &StoreInventory, keeps: &BTreeMap<Name, Keep>, marks: &BTreeMap<BackupId, Mark>, now: Instant) -> usize {
    let (backups, timelines) = (&store.backups, Timelines::of(&[store]));
    let input = RetentionInput {
        backups: Observed::Known(backups.as_slice()),
        timelines: &timelines,
        keeps,
        holds: Observed::Known(&[]),
        wal: None,
        failed_grace: Duration::ZERO,
    };
    let judged = verdicts(&input, now);
    let terms = ExpiryTerms {
        marks,
        pinned: &BTreeSet::new(),
        awaited: &BTreeMap::new(),
        keeps,
        grace: Duration::from_hours(24),
        brake: Percent::new(20),
        acknowledged: false,
        now,
    };
    let decided = expiry(&judged, &terms);
    let doomed = decided.delete.iter().map(|doomed| &doomed.id).collect();
    let faults = lint_deletions(backups, &[store], &[], &doomed, now);
    assert!(faults.is_empty(), "{faults:?}");
    decided.delete.len()
}

fn backup(number: u64) -> Backup {
    let stopped = moment("2015-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(number as i64);
    let parent = (!number.is_multiple_of(168)).then(|| id(number - 1));
    Backup {
        storage_class: None,
        scope: None,
        id: id(number),
        job: name(),
        kind: if parent.is_some() { BackupKind::Incremental } else { BackupKind::Full },
        state: BackupState::Complete,
        parent,
        started: stopped - jiff::SignedDuration::from_mins(10),
        stopped: Some(stopped),
        size: None,
        stored_size: None,
        label: None,
        keep: None,
        system_identifier: Some(SystemIdentifier(7_000_000_000_000_000_001)),
        timeline: Some(Timeline::FIRST),
        start_lsn: Some(Lsn(number * 1000)),
        stop_lsn: Some(Lsn(number * 1000 + 500)),
        verified_at: None,
        carries_log: false,
    }
}

fn id(number: u64) -> BackupId {
    format!("b{number:06}").parse().expect("an id")
}

fn name() -> Name {
    "hourly".parse().expect("a name")
}

fn moment(text: &str) -> Instant {
    text.parse().expect("a moment")
}

/// So many hundred objects.
fn on_s3(hundreds: u16) -> bool {
    let Some(server) = s3::S3::start() else {
        println!("\nno S3 server here (`SEAWALL_TEST_PYTHON`): deletions are not measured");
        return true;
    };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([DELETES, &server.port.to_string(), &hundreds.to_string()]);
    command.env("AWS_ACCESS_KEY_ID", s3::KEY).env("AWS_SECRET_ACCESS_KEY", s3::SECRET);
    command.status().is_ok_and(|status| status.success())
}

fn delete(port: u16, count: usize) -> ExitCode {
    let text = format!(
        "version: 1\npolicy: bench\nowner: dba@example.com\nreview_by: 2099-06-30\n\
         cluster: {{ connection: service=bench, databases: [bench] }}\nobjectives: {{ rpo: 5m, rto: 1h }}\n\
         stores: {{ main: {{ s3: {{ bucket: {}, endpoint: \"http://127.0.0.1:{port}\", path_style: true }} }} }}\n\
         encryption: {{ none: {{ because: a benchmark }} }}\nwal: {{ store: main, timeout: 60s, keep: 7d }}\n\
         backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }} }} }}\n",
        s3::BUCKET
    );
    let document = Document::load("bench.yaml", std::path::Path::new("bench.yaml"), &|_| Ok(text.as_bytes().to_vec()));
    let policy = resolve(&document, jiff::civil::date(2026, 11, 21)).policy.unwrap_or_else(|| panic!("{:?}", document.findings));
    let store = Site::new(&policy, None, None).store(&"main".parse().expect("a name")).expect("a store");
    println!("\n{count} objects of 100 bytes on SeaweedFS, on the same processors");
    // One by one takes long enough with fewer.
    let few = count / 10;
    let one = measured(&store, few, "one by one", &|keys| keys.iter().try_for_each(|key| store.purge(std::slice::from_ref(key)).map(drop)));
    let batched = measured(&store, count, "a thousand with each request", &|keys| {
        keys.chunks(BATCH).try_for_each(|keys| store.purge(keys).map(drop))
    });
    // As the log goes: `execute::expire`.
    let both = measured(&store, count, "the same, eight at a time", &|keys| {
        let chunks: Vec<&[Key]> = keys.chunks(BATCH).collect();
        parallel::map_with(8, &chunks, &|chunk| store.purge(chunk)).into_iter().try_for_each(|purged| purged.map(drop))
    });
    println!("  ratio to one by one: {:.1}x and {:.1}x", batched / one, both / one);
    ExitCode::SUCCESS
}

/// Objects in a second.
fn measured(store: &Store, count: usize, how: &str, delete: &dyn Fn(&[Key]) -> Result<(), seawall::store::Fault>) -> f64 {
    let keys: Vec<Key> = (0..count).map(|number| Key::new(format!("repository/wal/{number:08}.zst")).expect("a key")).collect();
    let put = parallel::map_with(32, &keys, &|key| store.put_new(key, Bytes::from_static(&[7; 100])));
    for put in put {
        put.expect("put");
    }
    let began = Stopwatch::now();
    delete(&keys).expect("deleted");
    let took = began.elapsed();
    let left = store.list("repository/wal").expect("listed").len();
    assert_eq!(left, 0, "{how}: something is left");
    let rate = count as f64 / took.as_secs_f64();
    println!("  {how:<30} {count:>6} in {took:>9.1?}: {rate:>7.0} objects a second");
    rate
}
