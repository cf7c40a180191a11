//! The real program by other clocks: leap days, daylight saving, clocks that are set, hosts that slept.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use seawall::catalog::{Catalog, Filter, Where};

use super::heard::{mail, subjects};
use super::hosts::Fleet;
use super::rig::{Run, Said, by};
use crate::backup::rig::Policy;
use crate::cli::{Room, hermetic};
use crate::servers::receiver::Receiver;

/// A policy with one duty, `check`, on this schedule; what its receiver gets is kept.
struct Host {
    room: Room,
    receiver: Receiver,
}

impl Host {
    fn new(schedule: &str) -> Host {
        let receiver = Receiver::open();
        let url = receiver.secret("url", &receiver.url("/told"));
        let text = format!(
            "version: 1\npolicy: shop\ntimezone: Europe/Oslo\ncluster: {{ connection: service=nowhere, databases: [app] }}\n\
             stores: {{ main: {{ local: {{ path: /nowhere }}, replicated: {{ to: elsewhere }} }} }}\n\
             encryption: {{ none: {{ because: a sample for tests }} }}\nwal: {{ store: main, timeout: 60s, keep: 30d }}\n\
             backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 30 }} }} }}\n\
             contacts: {{ ops: {{ name: Ops, role: looks after it, email: ops@example.com }} }}\n\
             duties: {{ check: {{ what: look at the tapes, who: ops, schedule: {{ {schedule} }} }} }}\n\
             receivers: {{ hook: {{ webhook: {{ url: {{ file: {} }} }} }} }}\nalerts: {{ routes: [{{ to: [hook] }}] }}\n",
            url.display()
        );
        Host { room: Room::new().with("shop.yaml", text), receiver }
    }

    /// The clock says this when the program starts.
    fn at(&self, clock: &str, words: &[&str]) -> Said {
        let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), self.room.path());
        command.args(words).args(["-p", "shop.yaml", "--state", "state", "--host", "db-1"]);
        by(&mut command, &format!("@{clock}"));
        Said::of(command.env("TZ", "UTC").output().expect("it runs"))
    }

    fn due(&self, clock: &str) -> Said {
        self.at(clock, &["run", "--due", "duties.check"]).ends_with_code(0)
    }

    #[track_caller]
    fn runs(&self, clock: &str, expected: usize) {
        let said = self.due(clock);
        assert_eq!(self.count(), expected, "at {clock}: {said:?}");
    }

    fn count(&self) -> usize {
        let place = Where::Sqlite(self.room.path().join("state/catalog.db"));
        let catalog = Catalog::open_existing(&place).expect("it can be read").expect("a catalog");
        let runs = catalog.history(&Filter { job: Some("duties.check"), ..Filter::default() }).expect("a history");
        runs.len()
    }

    /// Messages that say that the duty is due.
    fn told(&self) -> usize {
        self.receiver.bodies("/told").iter().filter(|body| body["kind"] == "firing" && body.to_string().contains("duty_due:check")).count()
    }
}

#[test]
fn the_29th_of_february_comes_once_in_four_years() {
    let host = Host::new("cron: \"0 12 29 2 *\"");
    host.runs("2026-02-28 10:00:00", 0);
    host.runs("2026-03-01 12:00:00", 0);
    host.runs("2028-02-29 10:59:30", 0);
    host.runs("2028-02-29 11:00:30", 1);
    host.runs("2028-03-01 00:00:00", 1);
    host.runs("2031-03-01 12:00:00", 1);
    host.runs("2032-02-29 11:00:30", 2);
}

#[test]
fn a_night_in_which_clocks_go_forward_or_back_has_one_run() {
    let host = Host::new("at: \"02:30\"");
    host.runs("2026-03-28 10:00:00", 0);
    // There is no 02:30 on that day: it is as if the clocks had not been changed yet.
    host.runs("2026-03-29 01:29:00", 0);
    host.runs("2026-03-29 01:31:00", 1);
    host.runs("2026-03-29 02:31:00", 1);
    host.runs("2026-03-30 00:31:00", 2);
    // 02:30 comes twice, at 00:30 and at 01:30 UTC.
    let host = Host::new("at: \"02:30\"");
    host.runs("2026-10-24 10:00:00", 0);
    host.runs("2026-10-25 00:29:00", 0);
    host.runs("2026-10-25 00:31:00", 1);
    host.runs("2026-10-25 01:31:00", 1);
    host.runs("2026-10-26 01:29:00", 1);
    host.runs("2026-10-26 01:31:00", 2);
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_run_twice_and_hides_nothing() {
    let host = Host::new("at: \"12:00\"");
    host.runs("2026-06-01 08:00:00", 0);
    host.runs("2026-06-01 10:01:00", 1);
    host.at("2026-06-01 10:02:00", &["watch"]).ends_with_code(0);
    let told = host.told();
    // Set back an hour, before what has fired already.
    host.at("2026-06-01 09:05:00", &["status"]).says("lies ahead");
    host.runs("2026-06-01 09:05:00", 1);
    host.at("2026-06-01 09:06:00", &["watch"]).ends_with_code(0);
    host.runs("2026-06-01 10:01:00", 1);
    host.at("2026-06-01 10:06:00", &["watch"]).ends_with_code(0);
    assert_eq!(host.told(), told);
    host.runs("2026-06-02 10:01:00", 2);
}

#[test]
fn a_host_that_slept_for_a_week_catches_up_once() {
    let host = Host::new("at: \"12:00\"");
    host.runs("2026-06-01 08:00:00", 0);
    host.runs("2026-06-08 09:00:00", 1);
    host.runs("2026-06-08 09:01:00", 1);
    host.at("2026-06-08 09:02:00", &["watch"]).ends_with_code(0).says("duty_due:check");
    host.at("2026-06-08 09:03:00", &["watch"]).ends_with_code(0);
    assert_eq!(host.told(), 1);
    host.runs("2026-06-08 10:01:00", 2);
    host.at("2026-06-08 10:02:00", &["watch"]).ends_with_code(0);
    assert_eq!(host.told(), 1, "it is the same duty, and nobody has done it");
}

/// With no other clock than the machine's.
#[test]
fn what_is_due_in_a_minute_is_due_in_a_minute() {
    let host = Host::new("every: 1m");
    let due = || {
        Said::of(host.room.command().args(["run", "--due", "duties.check", "-p", "shop.yaml", "--state", "state"]).output().expect("it"))
    };
    due().ends_with_code(0);
    assert_eq!(host.count(), 0);
    let began = Instant::now();
    let mut moments = Vec::new();
    while moments.len() < 2 {
        due().ends_with_code(0);
        if host.count() > moments.len() {
            moments.push(began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(200), "{moments:?}");
        thread::sleep(Duration::from_millis(500));
    }
    let between = (moments[1] - moments[0]).as_secs_f64();
    // A look takes some seconds on a busy machine, and neither less nor more than one minute passes between two firings.
    assert!(moments[0] < Duration::from_secs(85) && (35.0..85.0).contains(&between), "{moments:?}");
}

/// Two hosts look at one catalog by clocks that are three minutes apart.
#[test]
fn hosts_whose_clocks_differ_tell_once_and_miss_nothing() {
    let office = crate::servers::post_office::PostOffice::open(&[]);
    let fleet = Fleet::new(&Policy::default(), &mail(office.port));
    let (behind, ahead) = ("+0", "+3m");
    let look = |clock: &str, host: &str| drop(fleet.say_at(clock, host, &["watch"]).ends_with_code(0));
    let both = || {
        for _ in 0..2 {
            look(ahead, "db-2");
            look(behind, "db-1");
        }
    };
    fleet.say_at(ahead, "db-2", &["run", "nightly"]).says("min ahead of the server's").says("backups.nightly         succeeded");
    both();
    // It ends before the moment up to which the other host has told.
    fleet.say_at(behind, "db-1", &["run", "nightly"]).says("backups.nightly         succeeded");
    both();
    fleet.run.rig.shell("mv store gone");
    fleet.say_at(behind, "db-1", &["run", "nightly"]).says("FAILED");
    both();
    fleet.run.rig.shell("rm -rf store; mv gone store");
    fleet.say_at(ahead, "db-2", &["run", "nightly"]).says("backups.nightly         succeeded");
    both();
    let told = subjects(&office);
    let count = |subject: &str| told.iter().filter(|told| told.contains(subject)).count();
    assert_eq!(count("[info] try: 'backups.nightly' succeeded"), 3, "{told:#?}");
    assert_eq!(count("[critical] try: 'backups.nightly' failed"), 1, "{told:#?}");
    assert_eq!(count("[resolved] try: 'backups.nightly' failed") + count("[resolved] try: backups.nightly failed"), 1, "{told:#?}");
}

/// By minutes a clock is worth a word, by hours it is worth no backup.
#[test]
fn a_backup_is_not_dated_by_a_clock_that_is_hours_off() {
    let run = Run::new("", "");
    // Expiry, which follows, deletes nothing by such a clock.
    run.say_at("+5m", &["run", "nightly"]).ends_with_code(1).says("min ahead of the server's").says("backups.nightly         succeeded");
    run.say_at("-5m", &["backup", "nightly"]).ends_with_code(0).says("min behind the server's");
    for clock in ["+3h", "-3h"] {
        run.say_at(clock, &["run", "nightly"]).ends_with_code(75).says("no backup is dated by it").says("chronyc makestep");
    }
    assert_eq!(run.backups(), 2);
    run.say_at("+3h", &["backup", "nightly", "--force"]).ends_with_code(0);
    assert_eq!(run.backups(), 3);
}
