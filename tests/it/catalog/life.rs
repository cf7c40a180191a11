//! What becomes of a catalog's file: made, shared, filled up, deleted, put back, damaged.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use seawall::catalog::{Catalog, CatalogFault, FaultKind, Filter, Outcome, StepOutcome, Where};
use seawall::format::audit;

use super::child::Address;
use super::place::{Folder, tamper};
use super::rows::{at, begin, end, entry, notice, open};
use crate::clusters::Account;
use crate::faults::small::Small;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// A catalog with something in it, closed.
fn filled(place: &Where) {
    let catalog = open(place);
    for number in 0..200 {
        let run = begin(&catalog, "expire", number);
        end(&catalog, run, Outcome::Succeeded, number);
    }
    catalog.append(&entry("something")).expect("appended");
}

#[test]
fn it_is_the_owners_alone() {
    let folder = Folder::new();
    let catalog = open(&folder.catalog());
    begin(&catalog, "expire", 0);
    let _held = catalog.try_lock("orders", "expire").expect("asked");
    assert_eq!((mode(&folder.path("state")), mode(&folder.path("state/catalog.db.locks"))), (0o700, 0o700));
    for file in
        fs::read_dir(folder.path("state")).expect("a folder").map(|entry| entry.expect("a file").path()).filter(|path| path.is_file())
    {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn its_file_is_in_wal_mode() {
    let folder = Folder::new();
    filled(&folder.catalog());
    let header = fs::read(folder.file()).expect("a file");
    assert_eq!((&header[..15], &header[18..20]), (&b"SQLite format 3"[..], &[2, 2][..]));
    // A copy by other means may have another mode, and gets it back.
    tamper(&folder.catalog(), "PRAGMA journal_mode = DELETE").expect("done");
    assert_eq!(fs::read(folder.file()).expect("a file")[18..20], [1, 1]);
    begin(&open(&folder.catalog()), "expire", 0);
    assert_eq!(fs::read(folder.file()).expect("a file")[18..20], [2, 2]);
    assert!(!folder.path("state/catalog.db-wal").exists(), "the last one out puts the log away");
}

#[test]
fn a_catalog_that_is_deleted_is_begun_anew() {
    let folder = Folder::new();
    let place = folder.catalog();
    filled(&place);
    fs::remove_file(folder.file()).expect("deleted");
    assert!(Catalog::open_existing(&place).expect("asked").is_none());
    assert_eq!(open(&place).history(&Filter::default()), Ok(vec![]));

    // Under the hands of a run: nothing is written where nobody will ever read it.
    let catalog = open(&place);
    let run = begin(&catalog, "expire", 0);
    fs::remove_dir_all(folder.path("state")).expect("deleted");
    let fault = catalog.end_run(run, &seawall::catalog::End::with(Outcome::Succeeded, at(1))).expect_err("it is another catalog");
    assert!(fault.kind == FaultKind::Conflict && fault.hint.contains("deleted or replaced"), "{fault:?}");
    let next = begin(&catalog, "expire", 2);
    drop(catalog);
    assert_eq!(open(&place).history(&Filter::default()).expect("read").iter().map(|row| row.run).collect::<Vec<_>>(), [next]);
}

#[test]
fn an_older_copy_that_is_put_back_opens_and_the_chain_tells() {
    let folder = Folder::new();
    let place = folder.catalog();
    filled(&place);
    let copy = folder.path("copy.db");
    fs::copy(folder.file(), &copy).expect("copied");
    let witnessed = open(&place).append(&entry("later")).expect("appended");
    fs::copy(&copy, folder.file()).expect("put back");
    let catalog = open(&place);
    catalog.check().expect("sound");
    assert_eq!(catalog.history(&Filter::default()).expect("read").len(), 200);
    let links = catalog.links(1, 10).expect("read");
    let broken = audit::verify(&links, std::slice::from_ref(&witnessed)).expect_err("its end is missing");
    assert_eq!((broken.seq, broken.why), (2, audit::BrokenHow::Truncated { witnessed: 2 }));
    // Going on from there does not hide it.
    catalog.append(&entry("another second")).expect("appended");
    let broken = audit::verify(&catalog.links(1, 10).expect("read"), &[witnessed]).expect_err("it is another one");
    assert_eq!((broken.seq, broken.why), (2, audit::BrokenHow::Rewritten));
}

#[test]
fn what_root_makes_belongs_to_the_folders_owner_and_others_are_told_no() {
    let account = Account::current();
    if account != Account::Postgres {
        crate::skipped::skipped("what_root_makes_belongs_to_the_folders_owner_and_others_are_told_no: only root can be two users");
        return;
    }
    let folder = Folder::new();
    fs::set_permissions(folder.path("."), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::create_dir(folder.path("state")).expect("a folder");
    account.own(&folder.path("state"));
    let catalog = open(&folder.catalog());
    begin(&catalog, "expire", 0);
    drop(catalog.try_lock("orders", "expire").expect("asked"));
    let owner = fs::metadata(folder.path("state")).expect("a folder").uid();
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.db.lock", "catalog.db.locks"] {
        assert_eq!(fs::metadata(folder.path("state").join(file)).expect(file).uid(), owner, "{file}");
    }
    drop(catalog);
    let address = Address::File(folder.file());
    let as_postgres = || address.start_as(account, "try", "two").finish();
    assert_eq!(as_postgres(), ["done"]);
    // The other way round it is not ours to give.
    assert!(Command::new("chown").args(["-R", "root:"]).arg(folder.path("state")).status().expect("chown").success());
    fs::set_permissions(folder.path("state"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let said = as_postgres().join("");
    assert!(said.contains("Denied") && said.contains("who runs the backups"), "{said}");
}

fn refused(place: &Where, kind: FaultKind, words: &[&str]) -> CatalogFault {
    let fault = match Catalog::open(place) {
        Ok(catalog) => catalog.check().and_then(|()| catalog.history(&Filter::default()).map(drop)).expect_err("it is not as it should be"),
        Err(fault) => fault,
    };
    assert_eq!(fault.kind, kind, "{fault:?}");
    for words in words {
        assert!(fault.message.contains(words) || fault.hint.contains(words), "{words}: {fault:?}");
    }
    assert!(!fault.transient && !fault.message.ends_with('.') && fault.hint.ends_with(['.', ';']), "{fault:?}");
    fault
}

#[test]
fn a_damaged_file_says_what_to_do() {
    let words = ["is damaged", "move it aside", "undelivered notices", "catalog.db.damaged"];
    let folder = Folder::new();
    let place = folder.catalog();
    filled(&place);
    let whole = fs::read(folder.file()).expect("a file");
    fs::write(folder.file(), "This is no database, but a letter to one. It goes on for a while, as letters do.".repeat(100))
        .expect("written");
    refused(&place, FaultKind::Damaged, &words);
    fs::write(folder.file(), &whole[..whole.len() / 2]).expect("cut");
    refused(&place, FaultKind::Damaged, &words);
    fs::write(folder.file(), &whole).expect("written");
    let file = fs::OpenOptions::new().write(true).open(folder.file()).expect("opened");
    file.write_all_at(&[0xa5; 4096 * 20], 4096).expect("written");
    refused(&place, FaultKind::Damaged, &words);
    // The way out is one.
    fs::rename(folder.file(), folder.path("state/catalog.db.damaged")).expect("moved");
    begin(&open(&place), "expire", 0);
}

#[test]
fn an_empty_file_is_a_catalog_that_was_not_yet_made() {
    let folder = Folder::new();
    fs::create_dir(folder.path("state")).expect("a folder");
    fs::write(folder.file(), "").expect("written");
    assert!(Catalog::open_existing(&folder.catalog()).expect("asked").is_none());
    begin(&open(&folder.catalog()), "expire", 0);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let folder = Folder::new();
    fs::create_dir(folder.path("state")).expect("a folder");
    let place = folder.catalog();
    tamper(&place, "CREATE TABLE songs (name TEXT); INSERT INTO songs VALUES ('one')").expect("made");
    let before = fs::read(folder.file()).expect("a file");
    refused(&place, FaultKind::Foreign, &["something else", "songs", "Name another file"]);
    assert_eq!(fs::read(folder.file()).expect("a file"), before);
    refused(&Where::Sqlite(folder.path("state")), FaultKind::Foreign, &["is not a plain file"]);
}

#[test]
fn a_newer_catalog_is_not_guessed_at() {
    let folder = Folder::new();
    let place = folder.catalog();
    filled(&place);
    tamper(&place, "INSERT INTO migrations SELECT 3, 'third', sha256, applied FROM migrations WHERE version = 1").expect("done");
    let words = ["newer Seawall", "version 3 of its tables, and this program knows 2", "that newer program"];
    refused(&place, FaultKind::Newer, &words);
    assert_eq!(Catalog::open_existing(&place).expect_err("newer").kind, FaultKind::Newer);
    tamper(&place, "DELETE FROM migrations WHERE version = 3; UPDATE migrations SET sha256 = 'x'").expect("done");
    refused(&place, FaultKind::Newer, &["differs from every released Seawall"]);
}

#[test]
fn a_catalog_that_somebody_holds_is_waited_for_and_then_named() {
    let folder = Folder::new();
    let place = folder.catalog();
    filled(&place);
    let script = format!(
        "import sqlite3, time\nc = sqlite3.connect({:?}, isolation_level=None)\nc.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\ntime.sleep(60)\n",
        folder.file()
    );
    let mut holder = Command::new("python3").args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().expect("python3 starts");
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().expect("its words")), &mut said).expect("it speaks");
    // Readers are never in the way of a writer, nor he in theirs.
    let catalog = open(&place);
    assert_eq!(catalog.history(&Filter::default()).expect("read").len(), 200);
    let fault = catalog.acknowledge("orders", "k", "ann", "", at(0), None).expect_err("somebody else writes");
    assert!(fault.kind == FaultKind::Busy && fault.transient && fault.message.contains("locked by another process"), "{fault:?}");
    holder.kill().and_then(|()| holder.wait()).expect("it ends");
    catalog.acknowledge("orders", "k", "ann", "", at(0), None).expect("it is free");
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half() {
    let folder = Folder::new();
    let Some(small) = Small::mount(&folder.path("state"), "3m") else { return };
    let place = folder.catalog();
    small.fill(0);
    let fault = Catalog::open(&place).expect_err("no room for a new one");
    assert!(fault.kind == FaultKind::Full && fault.message.contains("no room"), "{fault:?}");
    small.make_room();
    let catalog = open(&place);
    let mut done = 0;
    let large = "x".repeat(10_000);
    let fault = loop {
        let id = done.to_string();
        let notice = seawall::catalog::QueuedNotice { json: &large, ..notice(&id, "mail", 0) };
        match catalog.decide("orders", done, &id, &[notice], at(0)) {
            Ok(decided) => assert!(decided),
            Err(fault) => break fault,
        }
        done += 1;
    };
    assert!(done > 20, "{done} fitted");
    assert!(fault.kind == FaultKind::Full && fault.hint.contains("Make room") && !fault.transient, "{fault:?}");
    let same = |catalog: &Catalog| {
        assert_eq!(catalog.memory("orders"), Ok((done, (done - 1).to_string())));
        assert_eq!(catalog.undelivered("orders").expect("read").len() as i64, done.min(1000));
    };
    same(&catalog);
    // It can still be looked at from outside.
    same(&Catalog::open_existing(&place).expect("opened").expect("there"));
    small.resize("64m");
    same(&catalog);
    assert_eq!(catalog.decide("orders", done, "more", &[], at(0)), Ok(true));
    drop(catalog);
    open(&place).check().expect("sound");
}

#[test]
fn a_read_only_disk_can_be_read() {
    let folder = Folder::new();
    let Some(_small) = Small::mount(&folder.path("state"), "8m") else { return };
    let place = folder.catalog();
    filled(&place);
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(folder.path("state")).status().expect("mount");
        assert!(done.success(), "{how}");
    };
    remount("ro");
    let catalog = Catalog::open_existing(&place).expect("opened").expect("there");
    assert_eq!(catalog.history(&Filter::default()).expect("read").len(), 200);
    drop(catalog);
    let fault = match Catalog::open(&place) {
        Ok(catalog) => catalog.acknowledge("orders", "k", "ann", "", at(0), None).expect_err("nobody can write"),
        Err(fault) => fault,
    };
    assert!(fault.kind == FaultKind::ReadOnly && fault.hint.contains("mounted read-only"), "{fault:?}");
    remount("rw");
    // Killed while it wrote, and read-only since: the log beside the file is read too.
    let catalog = open(&place);
    let run = begin(&catalog, "expire", 5000);
    catalog.begin_step(run, 1, "a", "b", at(0)).expect("begun");
    catalog.end_step(run, 1, StepOutcome::Succeeded, None, at(0)).expect("ended");
    let aside = folder.path("aside");
    fs::create_dir(&aside).expect("a folder");
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        fs::copy(folder.path("state").join(name), aside.join(name)).expect("copied");
    }
    drop(catalog);
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        fs::copy(aside.join(name), folder.path("state").join(name)).expect("put back");
    }
    remount("ro");
    let catalog = Catalog::open_existing(&place).expect("opened").expect("there");
    assert_eq!(catalog.steps_of(run).expect("read").len(), 1);
}
