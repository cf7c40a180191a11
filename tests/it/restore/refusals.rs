//! What is refused, and what it says.

use std::fs;

use seawall::format::signature::{BACKUP, SigningKey};

use super::rig::{Rig, flip, objects};
use crate::clusters::{Options, Version};

/// What the databases use is looked for before anything is fetched, whoever will start it.
#[test]
fn an_extension_that_this_machine_lacks() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    // By the catalog alone: what the backup records is what the database says it has.
    rig.cluster.sql("insert into pg_extension select 99999, 'nowhere_to_be_found', 10, 11, false, '4.2', null, null");
    rig.backup();
    rig.archive();
    let programs = Version::V16.programs();
    let answer = rig.restore("r", &["--start-with", programs.to_str().expect("text")]);
    assert_eq!(answer.code, 1, "{}", answer.err);
    assert!(answer.err.contains("lacks `nowhere_to_be_found` 4.2 in `postgres` (it is not here at all)"), "{}", answer.err);
    assert!(!rig.path("r").exists());
    // Where nothing is started: as far as somebody can know.
    let answer = rig.restore("alone", &[]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let said = answer.out + &answer.err;
    assert!(said.contains("nobody has looked whether what starts this has `nowhere_to_be_found` 4.2 of `postgres`"), "{said}");
    rig.cluster.sql("delete from pg_extension where oid = 99999");
    rig.backup();
    rig.archive();
    let restored = rig.bring_back("r", &[]);
    let compared = &restored.report["compared"];
    assert_eq!((&compared[0]["name"], &compared[0]["met"], &compared[1]), (&"extensions".into(), &true.into(), &serde_json::Value::Null));
    // The copy lost one since.
    rig.cluster.sql("create table later (n int)");
    rig.cluster.sql("drop extension plpgsql");
    rig.archive();
    restored.remove();
    let restored = rig.bring_back("later", &[]);
    let compared = &restored.report["compared"][0];
    assert_eq!(compared["met"], false);
    assert!(compared["says"].as_str().is_some_and(|says| says.contains("`plpgsql` of `postgres` is not there")), "{compared}");
}

#[test]
fn an_extension_that_somebody_else_is_to_install() {
    // Found by itself, as Debian has it.
    let rig = Rig::start(Version::V15, Options::default());
    rig.cluster.sql("insert into pg_extension select 99999, 'nowhere_to_be_found', 10, 11, false, '4.2', null, null");
    rig.backup();
    rig.archive();
    let answer = rig.restore("r", &[]);
    assert_eq!(answer.code, 1, "{}", answer.err);
    assert!(
        answer.err.contains("lacks `nowhere_to_be_found` 4.2 in `postgres`") && answer.err.contains("--extensions-later"),
        "{}",
        answer.err
    );
    assert!(!rig.path("r").exists());
    let answer = rig.restore("r", &["--extensions-later"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let said = answer.out + &answer.err;
    assert!(said.contains("lacks `nowhere_to_be_found` 4.2"), "{said}");
    assert!(rig.path("r/PG_VERSION").exists());
}

#[test]
fn what_is_not_there_or_not_right_is_named() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    let early = rig.cluster.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'");
    let id = rig.backup();
    rig.load(5);
    rig.archive();
    let newer = rig.backup();
    rig.load(5);
    rig.archive();
    let programs = Version::V16.programs();
    let programs = programs.to_str().expect("text");
    fs::create_dir(rig.path("full")).expect("a directory");
    fs::write(rig.path("full/letter"), "dear").expect("a file");
    rig.write("other.txt", age::secrecy::ExposeSecret::expose_secret(&age::x25519::Identity::generate().to_string()));
    let other = rig.path("other.txt");
    let refused = |name: &str, words: &[&str], said: &[&str]| {
        let answer = rig.restore(name, words);
        assert_ne!(answer.code, 0, "{words:?}");
        for word in said {
            assert!(answer.err.contains(word), "{words:?}: no `{word}` in\n{}", answer.err);
        }
        assert!(name == "data" || !rig.path(name).join("global").exists(), "{words:?}");
    };
    refused("r", &["--to", &early], &["before the end of the oldest backup"]);
    refused("r", &["--to", "2099-01-01T00:00:00Z"], &["future"]);
    refused("r", &["--to", "yesterday"], &["is not a time"]);
    refused("r", &["--backup", "20200101T000000Z-00000000"], &["is not in this store"]);
    refused("r", &["--timeline", "9"], &["timeline 9 is not in this store"]);
    refused("r", &["--store", "moon"], &["no store `moon`"]);
    refused("nowhere/r", &[], &["no parent directory"]);
    refused("full", &["--delta"], &["not a data directory"]);
    refused("data", &["--delta"], &["a server runs in"]);
    refused("r", &["--identity", other.to_str().expect("text")], &["none of the identities opens it", "policy names now"]);
    refused("r", &["--start-with", "/nonexistent"], &["no `postgres`"]);
    refused("r", &["--tablespace", "4711=/x"], &["no tablespace `4711`"]);

    // A segment is missing between the backup and the target.
    let segments: Vec<_> =
        objects(&rig.path("store"), "/00000001/").into_iter().filter(|path| !path.to_string_lossy().contains(".backup")).collect();
    let missing = &segments[segments.len() - 2];
    let kept = fs::read(missing).expect("a segment");
    fs::remove_file(missing).expect("gone");
    refused("r", &[], &["has a gap"]);
    fs::write(missing, kept).expect("back again");

    // A part with one bit changed, and an object that is gone: the backup before it leads there too.
    let part = &objects(&rig.path("store"), &format!("{newer}/part-00001.tar"))[0];
    let whole = fs::read(part).expect("a part");
    flip(part);
    let answer = rig.restore("damaged", &[]);
    assert!(answer.code == 1 && answer.err.contains("part-00001.tar"), "{}", answer.err);
    assert!(answer.err.contains(&format!("`--backup {id}`")) && answer.err.contains("Add `--delta`"), "{}", answer.err);
    assert!(!rig.path("damaged/global/pg_control").exists());
    fs::remove_file(part).expect("gone");
    refused("r", &[], &["part-00001.tar", "is not in the store", "What leads there too: `--backup", &id]);
    refused("r", &["--backup", &newer], &["is not in the store", "What leads there too: `--backup", &id]);
    fs::write(part, whole).expect("back again");

    // The original holds its port.
    refused("r", &["--start-with", programs], &["port", "is taken", "--set port="]);

    // Without that one, only a single backup leads there.
    objects(&rig.path("store"), &format!("{newer}.json")).into_iter().for_each(|path| fs::remove_file(path).expect("gone"));
    // Somebody who has the bucket and the public keys signs a changed descriptor with a key of his own.
    let descriptor =
        objects(&rig.path("store"), &format!("{id}.json")).into_iter().find(|path| path.extension().is_some_and(|end| end == "json"));
    let descriptor = descriptor.expect("a descriptor");
    let changed = fs::read_to_string(&descriptor).expect("text").replace("\"files\": ", "\"files\": 1");
    fs::write(&descriptor, &changed).expect("changed");
    refused("r", &[], &["no complete physical backup", "not believed", &id, "does not belong to it"]);
    let theirs = SigningKey::generate("mallory").expect("a key").sign_armored(BACKUP, changed.as_bytes()).expect("signed");
    fs::write(descriptor.with_extension("json.sig"), theirs).expect("forged");
    refused("r", &[], &["not believed", &id, "does not accept"]);
    fs::remove_file(descriptor.with_extension("json.sig")).expect("gone");
    refused("r", &[], &["not believed", "it is not signed"]);
}

#[test]
fn nobody_is_asked_and_nothing_is_done() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.archive();
    let target = rig.path("r");
    let said = rig.seawall(&["restore", "--target", target.to_str().expect("text")]);
    assert_eq!(said.code, 1);
    for word in ["Restore of `shop`", "backup", "recovery.signal", "archive_command = ''", "restore_command"] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    assert!(said.err.contains("--yes") && !target.exists(), "{}", said.err);
    assert!(!said.out.contains(" --store "), "{}", said.out);
    let said = rig.seawall(&["restore", "--store", "local", "--target", target.to_str().expect("text")]);
    assert!(said.out.contains(" --store local "), "{}", said.out);
    // A hook that fails stops it before anything is touched.
    let policy = fs::read_to_string(rig.path("policy.yaml")).expect("a policy");
    rig.write(
        "policy.yaml",
        &format!("{policy}\nhooks: {{ before_restore: {{ run: [sh, -c, \"echo $SEAWALL_DIRECTORY >&2; exit 3\"] }} }}\n"),
    );
    let said = rig.restore("r", &[]);
    assert!(said.code == 1 && said.err.contains("hooks.before_restore") && !target.exists(), "{}", said.err);
}

/// Replay makes a tablespace at the path that it had: next to the original that is the original's own, and older versions empty it first.
#[test]
fn a_tablespace_that_the_log_makes_is_the_original_s() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let rig = Rig::start(version, Options::default());
        rig.series();
        rig.backup();
        // A segment is looked at as a whole.
        rig.archive();
        rig.shell("mkdir late");
        rig.cluster.sql(&format!("create tablespace late location '{}'", rig.path("late").display()));
        rig.cluster.sql("create table there tablespace late as select n from generate_series(1, 1000) n");
        rig.cluster.sql("checkpoint");
        rig.archive();
        let files = || rig.shell("find late -type f | sort | xargs sha256sum");
        let before = files();
        let programs = version.programs();
        let [port] = crate::clusters::free_ports();
        let port = format!("port={port}");
        let answer = rig.restore("r", &["--start-with", programs.to_str().expect("text"), "--set", &port]);
        assert_ne!(answer.code, 0, "{}", answer.err);
        let place = rig.path("late").display().to_string();
        assert!(answer.err.contains(&format!("the log makes a tablespace in `{place}`")), "{}", answer.err);
        assert_eq!(files(), before);
        assert_eq!(rig.cluster.sql("select sum(n) from there"), "500500");
        rig.shell("rm -rf r");
        // What ends before it is not concerned, as far as PostgreSQL does not read ahead.
        if version == Version::V13 {
            rig.bring_back("before", &["--immediate"]).remove();
        }
    }
}
