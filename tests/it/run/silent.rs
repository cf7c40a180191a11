//! A catalog that cannot be used: somebody hears of it all the same, and not every minute.

use super::heard::{mail, subjects};
use super::hosts::Fleet;
use super::rig::Run;
use crate::backup::rig::Policy;
use crate::clusters::StopMode;
use crate::faults::small::Small;
use crate::servers::post_office::PostOffice;

const DOWN: &str = "try: the catalog cannot be used: nothing else is watched";

fn reminding(port: u16) -> String {
    mail(port).replace("[{ to: [dba] }", "[{ to: [dba], remind: 1h }")
}

fn told(office: &PostOffice, beginning: &str) -> usize {
    subjects(office).iter().filter(|subject| **subject == format!("[{beginning}] {DOWN}")).count()
}

#[test]
fn one_that_cannot_be_written_is_told_once_and_again_after_the_interval() {
    let office = PostOffice::open(&[]);
    let run = Run::new("", &reminding(office.port));
    run.say(&["watch"]).ends_with_code(0);
    run.rig.shell("chmod 400 state/catalog.db*; chmod 500 state");
    run.say(&["watch"]).ends_with_code(1).says("can be read and not written");
    run.say(&["watch"]).ends_with_code(1);
    run.say_at("+30m", &["watch"]).ends_with_code(1);
    assert_eq!((told(&office, "critical"), told(&office, "critical, still")), (1, 0), "{:?}", subjects(&office));
    run.say_at("+61m", &["watch"]).ends_with_code(1);
    run.say_at("+62m", &["watch"]).ends_with_code(1);
    assert_eq!((told(&office, "critical"), told(&office, "critical, still")), (1, 1), "{:?}", subjects(&office));
    run.rig.shell("chmod 700 state; chmod 600 state/catalog.db*");
    run.say_at("+63m", &["watch"]).ends_with_code(0);
    run.say_at("+64m", &["watch"]).ends_with_code(0);
    assert_eq!(told(&office, "resolved"), 1, "{:?}", subjects(&office));
    // By then it is also told that this server has never archived anything.
    let of_the_catalog = subjects(&office).iter().filter(|subject| subject.contains("the catalog")).count();
    assert_eq!(of_the_catalog, 3, "{:?}", subjects(&office));
}

/// The message that does not arrive is not lost with the catalog, and the disk on which it is remembered is full as well.
#[test]
fn on_a_disk_without_room_it_is_remembered_too() {
    let office = PostOffice::open(&[]);
    let port = office.port;
    let run = Run::new("", &reminding(port));
    let Some(small) = Small::mount(&run.file("state"), "4m") else { return };
    run.rig.cluster.account().own(&run.file("state"));
    run.say(&["watch"]).ends_with_code(0);
    small.fill(0);
    drop(office);
    run.say(&["watch"]).ends_with_code(1).says("no room on the disk");
    let office = PostOffice::open_at(port, &[]);
    for _ in 0..3 {
        run.say(&["watch"]).ends_with_code(1);
    }
    assert_eq!((told(&office, "critical"), subjects(&office).len()), (1, 1), "{:?}", subjects(&office));
    small.make_room();
    run.say(&["watch"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    assert_eq!((told(&office, "resolved"), subjects(&office).len()), (1, 2), "{:?}", subjects(&office));
}

/// A server that is started anew is no alert; one that stays away is.
#[test]
fn a_server_that_is_down_is_told_after_five_minutes() {
    let office = PostOffice::open(&[]);
    let fleet = Fleet::new(&Policy::default(), &mail(office.port));
    fleet.say("db-1", &["watch"]).ends_with_code(0);
    fleet.server.stop(StopMode::Fast);
    fleet.say("db-1", &["watch"]).ends_with_code(1).says("cannot be reached");
    fleet.server.resume();
    fleet.say("db-1", &["watch"]).ends_with_code(0);
    fleet.server.stop(StopMode::Fast);
    fleet.say("db-1", &["watch"]).ends_with_code(1);
    assert_eq!(subjects(&office), [""; 0]);
    fleet.say_at("+6m", "db-1", &["watch"]).ends_with_code(1);
    fleet.say_at("+7m", "db-1", &["watch"]).ends_with_code(1);
    assert_eq!((told(&office, "critical"), subjects(&office).len()), (1, 1), "{:?}", subjects(&office));
    fleet.server.resume();
    fleet.say_at("+8m", "db-1", &["watch"]).ends_with_code(0);
    assert_eq!(told(&office, "resolved"), 1, "{:?}", subjects(&office));
}

/// The catalog, the database, the store and whoever is told: what failed meanwhile is on record afterwards, and heard of.
#[test]
fn nothing_is_lost_when_the_catalog_is_down_with_all_the_rest() {
    let office = PostOffice::open(&[]);
    let port = office.port;
    let run = Run::new("", &mail(port));
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    assert_eq!(subjects(&office), ["[info] try: 'backups.nightly' succeeded"]);
    drop(office);
    run.rig.cluster.stop(StopMode::Fast);
    run.rig.shell("mv store gone; chmod 400 state/catalog.db; chmod 500 state");
    run.say(&["run", "nightly"]).says("FAILED");
    run.say(&["watch"]).ends_with_code(1).says("can be read and not written");
    run.rig.shell("chmod 700 state; chmod 600 state/catalog.db; rm -rf store; mv gone store");
    run.rig.cluster.resume();
    let office = PostOffice::open_at(port, &[]);
    run.say(&["watch"]).ends_with_code(0).says("failed:backups.nightly");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0).says("nothing is wrong");
    let outcomes: Vec<String> = run.outcomes().into_iter().filter(|outcome| outcome.starts_with("backups")).collect();
    assert_eq!(outcomes, ["backups.nightly succeeded", "backups.nightly failed", "backups.nightly succeeded"]);
    let links = run.catalog().links(1, 1000).expect("the chain");
    assert_eq!(links.iter().filter(|link| link.entry.kind == "backups.failed").count(), 1);
    let of_runs: Vec<String> = subjects(&office).into_iter().filter(|subject| subject.contains("backups.nightly")).collect();
    assert_eq!(
        of_runs,
        ["[critical] try: backups.nightly failed", "[resolved] try: backups.nightly failed", "[info] try: 'backups.nightly' succeeded"]
    );
    assert!(told(&office, "critical") <= 1 && told(&office, "critical") == told(&office, "resolved"), "{:?}", subjects(&office));
}
