//! Ten thousand alerts at once: what follows from them is decided, routed to receivers, and written down in one transaction.
//!
//! `cargo bench --bench alerts` measures 10,000; `cargo test --bench alerts` runs it once on a few, to see that it still works. There is no peer
//! that writes down whom it will tell before it tells them.

use std::process::ExitCode;
use std::time::{Duration, Instant as Stopwatch};

use seawall::alert::{Condition, Memory, Seen, State, judge};
use seawall::catalog::{Catalog, QueuedNotice, Where};
use seawall::policy::document::Document;
use seawall::policy::file::Severity;
use seawall::policy::model::Policy;
use seawall::policy::resolve::resolve;
use seawall::units::{Duration as Span, Instant};

const GOAL: Duration = Duration::from_secs(1);

/// What one round took.
struct Took {
    judged: Duration,
    stored: Duration,
    /// Of the processors, for both: on a busy machine the wall says little.
    cpu: Duration,
    notices: usize,
    bytes: usize,
}

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (count, runs) = if full { (10_000, 7) } else { (50, 1) };
    let policy = policy();
    let mut all: Vec<Took> = (0..runs).map(|_| round(&policy, count)).collect();
    all.sort_by_key(|took| took.judged + took.stored);
    let Took { judged, stored, cpu, notices, bytes } = all.swap_remove(all.len() / 2);
    let whole = judged + stored;
    println!("{count} alerts begin, median of {runs}: {notices} notices for two receivers, {} kB of memory kept", bytes / 1024);
    println!(
        "  decided and routed {judged:>10.1?}\n  stored             {stored:>10.1?}\n  together           {whole:>10.1?}, {cpu:.1?} CPU"
    );
    println!("  {:.0} alerts a second", count as f64 / whole.as_secs_f64());
    if !full {
        println!("(a trial in a debug build: these figures mean nothing; `cargo bench --bench alerts` measures)");
        return ExitCode::SUCCESS;
    }
    println!("  goal: under {GOAL:?}: {}", if whole < GOAL { "met" } else { "MISSED" });
    ExitCode::SUCCESS
}

fn round(policy: &Policy, count: usize) -> Took {
    let room = tempfile::tempdir().expect("a folder");
    let catalog = Catalog::open(&Where::Sqlite(room.path().join("catalog.db"))).expect("a catalog");
    let now: Instant = "2026-11-21T12:00:00Z".parse().expect("a moment");
    let conditions: Vec<Condition> = (0..count).map(|number| condition(number, now)).collect();
    let (began, cpu_before) = (Stopwatch::now(), cpu());
    let seen = Seen { host: "db-1", conditions: Some(&conditions), ..Seen::default() };
    let judged = judge(policy, Memory::default(), &seen, now);
    let memory = judged.memory.to_json();
    let json: Vec<String> = judged.notices.iter().map(|notice| serde_json::to_string(notice).expect("texts")).collect();
    let decided = began.elapsed();
    let queued: Vec<QueuedNotice<'_>> = (judged.notices.iter().zip(&json))
        .map(|(notice, json)| QueuedNotice {
            id: &notice.id,
            policy: policy.name.as_str(),
            receiver: notice.receiver.as_str(),
            json,
            not_before: notice.at,
        })
        .collect();
    let began = Stopwatch::now();
    let (version, _) = catalog.memory(policy.name.as_str()).expect("read");
    assert!(catalog.decide(policy.name.as_str(), version, &memory, &queued, now).expect("stored"), "nobody else decides");
    let (stored, cpu) = (began.elapsed(), cpu().saturating_sub(cpu_before));
    assert_eq!(judged.firing.len(), count);
    let told: usize = judged.notices.iter().map(|notice| notice.items.len()).sum();
    assert!(told >= count, "{told} of {count} are told");
    Took { judged: decided, stored, cpu, notices: queued.len(), bytes: memory.len() }
}

/// Of this process, so far.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// A table that is not as it should be.
fn condition(number: usize, now: Instant) -> Condition {
    Condition {
        key: format!("tables:shop.table_{number:05}"),
        state: State::Firing,
        severity: if number.is_multiple_of(2) { Severity::Critical } else { Severity::Warning },
        lasting: Span::from_secs(0),
        since: Some(now),
        event: None,
        job: None,
        title: format!("table {number} has not been written for an hour"),
        text: format!("The newest row of `shop.table_{number:05}` is of 10:58:12."),
        hint: Some("Look at what writes it.".to_owned()),
        facts: vec![("table".to_owned(), format!("shop.table_{number:05}"))],
        because: None,
        about: None,
    }
}

fn policy() -> Policy {
    let text = "version: 1\npolicy: bench\nowner: dba@example.com\nreview_by: 2099-06-30\n\
         cluster: { connection: service=bench, databases: [bench] }\nobjectives: { rpo: 5m, rto: 1h }\n\
         stores: { main: { local: { path: /srv/backups } } }\nencryption: { none: { because: a benchmark } }\n\
         wal: { store: main, timeout: 60s, keep: 7d }\n\
         backups: { nightly: { physical: {}, schedule: { at: \"02:00\" }, keep: { daily: 7 } } }\n\
         smtp: { host: localhost, from: seawall@example.com }\n\
         receivers: { dba: { email: { to: [dba@example.com] } }, oncall: { email: { to: [oncall@example.com] } } }\n\
         alerts: { routes: [{ severity: critical, to: [oncall] }, { to: [dba] }] }\n";
    let document = Document::load("bench.yaml", std::path::Path::new("bench.yaml"), &|_| Ok(text.as_bytes().to_vec()));
    resolve(&document, jiff::civil::date(2026, 11, 21)).policy.unwrap_or_else(|| panic!("{:?}", document.findings))
}
