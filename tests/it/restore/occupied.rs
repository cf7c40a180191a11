//! Tablespaces that somebody else may still use.

use std::fs;
use std::path::{Path, PathBuf};

use super::rig::{Rig, flip, objects};
use crate::clusters::{Options, StopMode, Version};

/// A cluster with a tablespace and a backup of it.
fn with_tablespace() -> (Rig, PathBuf) {
    // Nobody but the test changes its files.
    let rig = Rig::start(Version::V16, Options::default().with("autovacuum = off"));
    rig.series();
    let place = rig.cluster.tablespace("fast");
    rig.cluster.sql("create table there (n int) tablespace fast");
    rig.cluster.sql("insert into there select generate_series(1, 1000)");
    rig.backup();
    rig.cluster.sql("insert into there select generate_series(1001, 1500)");
    rig.archive();
    rig.cluster.sql("checkpoint");
    (rig, place)
}

pub fn digest(rig: &Rig, folder: &Path) -> String {
    rig.shell(&format!("find {} -type f -printf '%p %T@ ' -exec sha256sum {{}} \\; | sort | sha256sum", folder.display()))
}

#[test]
fn beside_the_server_that_runs_its_tablespace_is_not_touched() {
    let (rig, place) = with_tablespace();
    let before = digest(&rig, &place);
    for words in [&["--delta"][..], &[]] {
        let said = rig.restore("side", words);
        assert_eq!(said.code, 1, "{words:?}: {}", said.out);
        for word in ["is not this directory's own", "--tablespace", place.to_str().expect("text")] {
            assert!(said.err.contains(word), "{words:?}: no `{word}` in {}", said.err);
        }
    }
    assert_eq!(digest(&rig, &place), before);
    // A link of another directory's does not make it this one's; its own does.
    let map = format!("{}={}", place.display(), rig.path("elsewhere").display());
    let side = rig.bring_back("side", &["--delta", "--tablespace", &map]);
    assert_eq!(side.sql("select count(*) from there"), "1500");
    side.stop();
    let said = rig.restore("side", &["--delta"]);
    assert!(said.code == 1 && said.err.contains("is not this directory's own"), "{}", said.err);
    let stale = rig.shell("f=$(find elsewhere/PG_16_* -mindepth 1 -type d | head -1)/99999; echo stale > $f; realpath $f");
    let side = rig.bring_back("side", &["--delta", "--tablespace", &map]);
    assert_eq!((side.sql("select count(*) from there"), Path::new(&stale).exists()), ("1500".into(), false));
    assert_eq!((digest(&rig, &place), rig.cluster.sql("select count(*) from there")), (before, "1500".into()));
}

#[test]
fn of_a_lost_data_directory_the_tablespace_is_emptied_by_people() {
    let (rig, place) = with_tablespace();
    rig.cluster.stop(StopMode::Fast);
    fs::rename(rig.cluster.data(), rig.path("lost")).expect("lost");
    let stale = rig.shell("f=$(find ts-fast/PG_16_* -mindepth 1 -type d | head -1)/99999; echo stale > $f; realpath $f");
    let before = digest(&rig, &place);
    let said = rig.restore("data", &["--delta"]);
    assert!(said.code == 1 && said.err.contains("is not this directory's own") && said.err.contains("empty it"), "{}", said.err);
    assert!(digest(&rig, &place) == before && !rig.path("data").exists());
    rig.shell("rm -rf ts-fast/*");
    let restored = rig.bring_back("data", &["--delta"]);
    assert_eq!((restored.sql("select count(*) from there"), Path::new(&stale).exists()), ("1500".into(), false));
}

#[test]
fn an_interrupted_restore_goes_on_in_its_own_tablespace_only() {
    let (rig, place) = with_tablespace();
    let part = objects(&rig.path("store"), "part-00001.tar")[0].clone();
    let whole = fs::read(&part).expect("a part");
    flip(&part);
    let map = format!("{}={}", place.display(), rig.path("elsewhere").display());
    assert_eq!(rig.restore("r", &["--tablespace", &map]).code, 1);
    fs::write(&part, whole).expect("back again");
    assert!(rig.path("r/seawall.restoring").exists() && !rig.path("r/pg_tblspc").join("16385").exists());
    // Whoever restores holds a lock on the mark: that one is not interrupted.
    let other = fs::File::open(rig.path("r/seawall.restoring")).expect("the mark");
    other.lock().expect("nobody else holds it");
    for words in [&[][..], &["--delta"]] {
        let said = rig.restore("r", words);
        assert!(said.code == 1 && said.err.contains("another restore into") && !said.err.contains("interrupted"), "{}", said.err);
    }
    drop(other);
    let said = rig.restore("r", &[]);
    assert!(said.code == 1 && said.err.contains("that was interrupted") && said.err.contains("--delta"), "{}", said.err);
    rig.shell("mkdir -p elsewhere/PG_16_0 && touch elsewhere/PG_16_0/begun");
    let before = digest(&rig, &place);
    let said = rig.restore("r", &["--delta"]);
    assert!(said.code == 1 && said.err.contains("is not this directory's own"), "{}", said.err);
    let restored = rig.bring_back("r", &["--delta", "--tablespace", &map]);
    assert_eq!(restored.sql("select count(*) from there"), "1500");
    assert_eq!(digest(&rig, &place), before);
}
