//! Jobs of chosen tables, and `restore --table`, with a store that fails at its n-th call, and with processes that are killed.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::chance;
use super::killing::{kill_9, next_night, prove_everything, whole_backups};
use super::sweep::{Counter, sweep};
use crate::clusters::{Options, Version};
use crate::drill::rig::{copies, servers_below};
use crate::restore::rig::{Rig, Said, objects, said};

const GOODS: &str = "create table goods (id int primary key, name text, price numeric(10, 2)); \
    insert into goods select k, 'thing ' || k || repeat('x', k % 50), k / 3.0 from generate_series(1, 3000) k; \
    create table others (n int); insert into others select generate_series(1, 10)";
/// In a stable order, as `--csv` writes it in the order of the table.
const ROWS: &str = "select count(*) || md5(string_agg(t::text, '|' order by id)) from goods t";

/// A cluster whose tables are dumped in this way.
fn with_tables(format: &str) -> (Rig, Counter) {
    let rig = Rig::start(Version::V15, Options { segment_mb: 1, ..Options::default() });
    rig.cluster.sql(GOODS);
    let job = |name: &str, what: &str| {
        format!("  {name}: {{ {what}, schedule: {{ at: \"03:00\" }}, keep: {{ last: 3 }}, takes: 1m, size: 1MB }}\n")
    };
    let tables = job("some", &format!("tables: {{ format: {format}, tables: [goods, others] }}"));
    rig.change_policy("backups:\n", &format!("backups:\n{tables}{}", job("dump", "logical: {}")));
    let counter = Counter::in_folder(&rig.path("state"));
    (rig, counter)
}

fn sweep_away(rig: &Rig) {
    for folder in objects(&rig.path("store"), "repository.json") {
        for inner in ["data", "backups", "leases", "hints"] {
            let _ = fs::remove_dir_all(folder.with_file_name(inner));
        }
    }
}

fn jobs_meet_faults(format: &str) {
    let (rig, counter) = with_tables(format);
    let words = ["backup", "some", "--format", "json"];
    let backup = |fault| {
        let (output, calls) = counter.run(rig.command(&words), fault);
        (said(output), calls)
    };
    let (first, calls) = backup(None);
    assert_eq!(first.code, 0, "{}", first.err);
    sweep(&format!("tables as {format}"), calls, 6, |at| {
        sweep_away(&rig);
        let (tried, calls) = backup(Some(at));
        let listed = whole_backups(&rig);
        match tried.code {
            0 => assert_eq!(listed, [tried.backup()], "{at:?}"),
            1 if !at.passes && calls >= at.nth => {
                let place = rig.path("store").display().to_string();
                assert!(tried.err.contains("error: ") && tried.err.contains(&place), "{at:?}: {}", tried.err);
                let unknown = tried.err.contains("it is not known whether");
                assert!(listed.is_empty() || unknown && tried.err.contains(&listed[0]), "{at:?}: {listed:?} {}", tried.err);
            }
            _ => panic!("{at:?}: {} {}{}", tried.code, tried.out, tried.err),
        }
        next_night(&rig);
        let (again, _) = backup(None);
        assert_eq!(again.code, 0, "{at:?}: {}\nafter {}", again.err, tried.err);
        assert!(whole_backups(&rig).contains(&again.backup()), "{at:?}");
        prove_everything(&rig, &["--deep"]);
        // Nobody's session is left at the server, and no lock with it.
        rig.cluster
            .wait_until("not exists (select from pg_stat_activity where pid <> pg_backend_pid() and application_name ~ 'seawall|pg_dump')");
        calls
    });
}

#[test]
fn tables_in_the_format_of_pg_dump_meet_faults() {
    jobs_meet_faults("custom");
}

#[test]
fn tables_as_csv_meet_faults() {
    jobs_meet_faults("csv");
}

#[test]
fn tables_as_parquet_meet_faults() {
    jobs_meet_faults("parquet");
}

/// At any moment, and the server as well: what looks whole is, and the next night goes well.
#[test]
fn a_job_of_tables_is_killed() {
    let (rig, _) = with_tables("csv");
    let mut lot = chance::lot("kills of jobs of tables");
    rig.cluster.sql("insert into goods select k, repeat('y', 200), 1 from generate_series(10000, 60000) k");
    let began = Instant::now();
    assert_eq!(rig.seawall(&["backup", "some"]).code, 0);
    let whole = usize::try_from(began.elapsed().as_millis() * 11 / 10).expect("short");
    for round in 0..chance::rounds(6, 100) {
        let before = whole_backups(&rig).len();
        let mut child = rig.command(&["backup", "some", "--force"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(lot.below(whole) as u64));
        if round % 3 == 2 {
            rig.cluster.kill_9();
            let ended = child.wait_with_output().expect("its end");
            let words = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(ended.status.success() || (ended.status.code() == Some(1) && words.contains("error: ")), "{words}");
            rig.cluster.resume();
            assert!(whole_backups(&rig).len() >= before + usize::from(ended.status.success()), "{words}");
        } else {
            kill_9(&mut child);
            let ended = child.wait().expect("its end").success();
            assert!(whole_backups(&rig).len() >= before + usize::from(ended));
        }
        rig.cluster
            .wait_until("not exists (select from pg_stat_activity where pid <> pg_backend_pid() and application_name ~ 'seawall|pg_dump')");
    }
    next_night(&rig);
    assert_eq!(rig.seawall(&["backup", "some"]).code, 0);
    prove_everything(&rig, &["--deep"]);
}

fn place(rig: &Rig) -> PathBuf {
    rig.path("state/policies/shop/tables")
}

fn nothing_is_left(rig: &Rig, at: &str) {
    assert_eq!(copies(&place(rig)), Vec::<PathBuf>::new(), "{at}");
    let began = Instant::now();
    while !servers_below(&place(rig)).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "{at}: {:?} run on", servers_below(&place(rig)));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A backup and a dump, and then an accident: the moment before it, and the rows that were there.
fn spoilt(rig: &Rig) -> (String, String) {
    rig.backup();
    assert_eq!(rig.seawall(&["backup", "dump"]).code, 0);
    let then = rig.cluster.sql(ROWS);
    let moment = rig.cluster.sql("select pg_sleep(0.1), clock_timestamp()").trim_start_matches('|').to_owned();
    rig.cluster.sql("select pg_sleep(0.1)");
    rig.cluster.sql("update goods set price = 0");
    rig.archive();
    (moment, then)
}

/// Both of its sources, with a store that fails while it is read.
fn a_table_meets_faults(dump: bool) {
    let (rig, counter) = with_tables("custom");
    let (moment, _) = spoilt(&rig);
    let source = if dump { ["--job", "dump"] } else { ["--to", &moment] };
    let before = rig.cluster.sql(ROWS);
    let csv = rig.path("goods.csv");
    let words = [&["restore", "--table", "public.goods", "--csv", csv.to_str().expect("text"), "--yes"], &source[..]].concat();
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = rig.cluster.version().programs();
    let restore = |fault| -> (Said, u64) {
        let _ = fs::remove_file(&csv);
        let mut command = rig.command(&words);
        command.env("PATH", format!("{}:{path}", programs.display()));
        let (output, calls) = counter.run(command, fault);
        (said(output), calls)
    };
    let (first, calls) = restore(None);
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let whole = fs::read(&csv).expect("rows");
    sweep(&format!("restore --table {}", source.join(" ")), calls, 8, |at| {
        let (tried, calls) = restore(Some(at));
        match tried.code {
            0 => assert!(fs::read(&csv).expect("rows") == whole, "{at:?}"),
            1 | 75 if !at.passes && calls >= at.nth => {
                let place = rig.path("store").display().to_string();
                let named = tried.err.contains(&place) || tried.err.contains("store `local`");
                assert!(tried.err.contains("error: ") && named, "{at:?}: {}", tried.err);
                assert!(!csv.exists(), "{at:?}: what is not whole has no name");
            }
            _ => panic!("{at:?}: {} {}{}", tried.code, tried.out, tried.err),
        }
        nothing_is_left(&rig, &format!("{at:?}"));
        assert_eq!(rig.cluster.sql(ROWS), before, "{at:?}");
        calls
    });
    let (again, _) = restore(None);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(fs::read(&csv).expect("rows") == whole);
}

#[test]
fn a_table_out_of_a_physical_backup_meets_faults() {
    a_table_meets_faults(false);
}

#[test]
fn a_table_out_of_a_dump_meets_faults() {
    a_table_meets_faults(true);
}

/// A store that is away for now is tried again later: 75. One that says no is not: 1.
#[test]
fn whether_it_is_worth_to_try_again_is_said_by_the_code() {
    let (rig, _) = with_tables("custom");
    rig.backup();
    assert_eq!(rig.seawall(&["backup", "dump"]).code, 0);
    rig.archive();
    let csv = rig.path("goods.csv");
    for source in [&[][..], &["--job", "dump"]] {
        let words = [&["restore", "--table", "public.goods", "--csv", csv.to_str().expect("text"), "--yes"], source].concat();
        for (kind, code) in [("transient", 75), ("permanent", 1)] {
            // Everything that is read as a stream or in part: contents, rows, files, log.
            let faults = format!("nth=1,times=100000,kind={kind},on=read;nth=1,times=100000,kind={kind},on=get-range;patience=0");
            let mut command = rig.command(&words);
            let tried = said(command.env("SEAWALL_TEST_FAULTS", faults).output().expect("it runs"));
            assert_eq!(tried.code, code, "{source:?}, {kind}: {}", tried.err);
            nothing_is_left(&rig, kind);
        }
    }
}

/// The private server is killed while the table is made ready in it, or taken out of it.
#[test]
fn the_private_server_is_killed() {
    let (rig, _) = with_tables("custom");
    let mut lot = chance::lot("kills of private servers");
    rig.cluster.sql("insert into goods select k, repeat('y', 300), 1 from generate_series(10000, 60000) k");
    let (moment, then) = spoilt(&rig);
    let before = rig.cluster.sql(ROWS);
    for source in [["--job", "dump"], ["--to", &moment]] {
        let words = [&["restore", "--table", "public.goods", "--replace", "--no-snapshot", "--yes"], &source[..]].concat();
        let (mut failed, mut done) = (0, 0);
        for round in 0..chance::rounds(3, 60) {
            let child = rig.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
            let deadline = Instant::now() + Duration::from_secs(60);
            // When its socket is there it runs.
            let runs = || copies(&place(&rig)).iter().any(|copy| !copies(&copy.join("s")).is_empty());
            while !runs() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_millis(lot.below(1500) as u64));
            for process in servers_below(&place(&rig)).into_iter().filter_map(Pid::from_raw) {
                let is_server =
                    fs::read_to_string(format!("/proc/{}/comm", process.as_raw_nonzero())).is_ok_and(|name| name.starts_with("postgres"));
                if is_server {
                    let _ = kill_process(process, Signal::KILL);
                }
            }
            let ended = said(child.wait_with_output().expect("its end"));
            nothing_is_left(&rig, &format!("{source:?}, round {round}: {}", ended.err));
            if ended.code == 0 {
                assert_eq!(rig.cluster.sql(ROWS), then, "{source:?}: {}", ended.err);
                rig.cluster.sql("update goods set price = 0");
                done += 1;
            } else {
                assert!([1, 75].contains(&ended.code) && ended.err.contains("error: "), "{source:?}: {} {}", ended.code, ended.err);
                assert_eq!(rig.cluster.sql(ROWS), before, "{source:?}: {}", ended.err);
                println!("{source:?}: {} {}", ended.code, ended.err.lines().filter(|line| line.contains("error")).collect::<String>());
                failed += 1;
            }
        }
        println!("{source:?}: {failed} failed, {done} were faster");
        assert_eq!(rig.seawall(&words).code, 0);
        assert_eq!(rig.cluster.sql(ROWS), then);
        rig.cluster.sql("update goods set price = 0");
    }
}

/// The target goes down while its lock is waited for, and comes back: the table is as it was, and it is said that it may be tried again.
#[test]
fn the_target_is_killed() {
    let (rig, _) = with_tables("custom");
    assert_eq!(rig.seawall(&["backup", "dump"]).code, 0);
    let then = rig.cluster.sql(ROWS);
    rig.cluster.sql("update goods set price = 0");
    let before = rig.cluster.sql(ROWS);
    let words = ["restore", "--table", "public.goods", "--job", "dump", "--replace", "--yes", "--lock-timeout", "1m"];
    let mut other = rig.cluster.connect();
    other.run("begin; update goods set price = 1 where id = 1").expect("a lock");
    let child = rig.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    rig.cluster.wait_until("exists (select from pg_locks where not granted and locktype = 'relation')");
    rig.cluster.kill_9();
    let ended = said(child.wait_with_output().expect("its end"));
    assert_eq!(ended.code, 75, "{}", ended.err);
    rig.cluster.resume();
    assert_eq!(rig.cluster.sql(ROWS), before, "{}", ended.err);
    nothing_is_left(&rig, "the target was killed");
    assert_eq!(rig.seawall(&words).code, 0);
    assert_eq!(rig.cluster.sql(ROWS), then);
}
