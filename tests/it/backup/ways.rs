//! Other ways to the same objects: over the replication protocol, from a standby; and who may not.

use std::fs;

use seawall::format::descriptor::Private;
use seawall::format::seal::Identities;

use super::rig::{Backup, Policy, Rig};
use crate::clusters::{Cluster, Options, StopMode, Version};

#[test]
fn over_the_replication_protocol_the_same_objects_come_out() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let rig = Rig::new(version, &Policy { no_files: true, physical: "workers: 2".into(), ..Policy::default() });
        rig.cluster.tablespace("elsewhere");
        rig.cluster.sql(
            "create table here as select g, repeat(md5(g::text), 20) from generate_series(1, 30000) g;
             create table there tablespace elsewhere as select g, md5(g::text) from generate_series(1, 20000) g",
        );
        let backup = rig.backup(&[]);
        rig.cluster.sql("insert into there values (0, 'later')");
        rig.archive_all();
        let copy = rig.restore(&backup);
        assert_eq!(copy.sql("select count(*) from here union all select count(*) from there"), "30000\n20001", "{version}");
        let parts = rig.objects("data").len();
        assert!(parts >= 3, "{parts}");
    }
}

/// A standby of the rig's cluster, and the policy changed so that it is backed up.
fn standby(primary: &Rig, physical: &str) -> Cluster {
    primary.cluster.sql("create table t as select g from generate_series(1, 10000) g");
    let standby = Cluster::standby_of(&primary.cluster, Options::default());
    standby.wait_until("exists (select from pg_class where relname = 't')");
    let own = standby.conninfo();
    primary.change(&[
        (&primary.cluster.data().display().to_string(), &standby.data().display().to_string()),
        ("hosts: {  }", &format!("hosts: {{ db-1: {{ role: standby, backups: true, connection: \"{own}\" }} }}")),
        ("physical: {  }", &format!("physical: {{ {physical} }}")),
    ]);
    standby
}

#[test]
fn from_a_standby_the_switch_is_asked_of_the_primary() {
    let primary = Rig::new(Version::V15, &Policy::default());
    let _standby = standby(&primary, "from: standby");
    let backup = primary.backup(&[]);
    assert!(primary.descriptor(&backup).cluster.standby);
    primary.cluster.sql("insert into t values (0)");
    primary.archive_all();
    let copy = primary.restore(&backup);
    assert_eq!(copy.sql("select count(*) from t"), "10001");
}

/// A standby's backup begins with its last checkpoint, however long ago that was: twenty minutes, by the clock of this primary, which dates the
/// segments too.
#[test]
fn from_a_standby_whose_last_checkpoint_is_old() {
    let primary = Rig::new(Version::V15, &Policy::default());
    let script = fs::read_to_string(primary.path("archive")).expect("a script");
    let as_of_then = "env -u LD_PRELOAD touch -d '20 minutes ago' $1 && exec env -u LD_PRELOAD -u FAKETIME ";
    fs::write(primary.path("archive"), script.replace("exec ", as_of_then)).expect("a script");
    primary.cluster.stop(StopMode::Fast);
    let pg_ctl = primary.cluster.programs().join("pg_ctl");
    let clock = "export LD_PRELOAD=$(faketime -m -f -20m printenv LD_PRELOAD) FAKETIME=-20m FAKETIME_DONT_FAKE_MONOTONIC=1";
    primary.shell(&format!("{clock}; {} -D data -l log -w -t 180 start >&2", pg_ctl.display()));
    let standby = standby(&primary, "from: standby");
    let age = "extract(epoch from now() - checkpoint_time) >= 1200 from pg_control_checkpoint()";
    assert_eq!(standby.sql(&format!("select {age}")), "t");
    let backup = primary.backup(&[]);
    assert!(primary.descriptor(&backup).cluster.standby);
    // The server sends its files itself.
    primary.change(&[(&format!("data_directory: {}, ", standby.data().display()), "")]);
    let sent = primary.backup(&[]);
    assert!(primary.descriptor(&sent).cluster.standby);
}

#[test]
fn a_promotion_ends_a_backup_from_a_standby() {
    let primary = Rig::new(Version::V15, &Policy::default());
    let standby = standby(&primary, "from: standby, read_limit: 5MB/s");
    let child = primary.begin_backup();
    standby.wait_until("exists (select from pg_stat_activity where pid <> pg_backend_pid() and query like '%from pg_file_settings%')");
    standby.promote();
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("promoted"), "{said}");
    assert!(primary.has_only_whole_parts() && primary.objects("backups").is_empty());
}

#[test]
fn links_and_configuration_elsewhere() {
    let rig = Rig::new(Version::V15, &Policy::default());
    rig.cluster.sql("create table t as select g from generate_series(1, 1000) g");
    rig.cluster.stop(StopMode::Fast);
    rig.shell("mv data/pg_wal elsewhere && ln -s ../elsewhere data/pg_wal && mkdir logs && ln -s ../logs data/log");
    rig.shell("mkdir etc && mv data/pg_hba.conf etc/hba.conf && echo 'work_mem = 5MB' > etc/more.conf");
    let etc = rig.path("etc");
    rig.cluster.add_conf(&format!("hba_file = '{0}/hba.conf'\ninclude '{0}/more.conf'", etc.display()));
    rig.cluster.resume();
    let backup = rig.backup(&[]);
    let remarks = backup.0["remarks"].to_string();
    assert!(remarks.contains("`log` is left out"), "{remarks}");
    let descriptor = rig.descriptor(&backup);
    let identities = fs::read(rig.path("identity.txt")).expect("an identity");
    let identities = Identities::parse(&identities, None).expect("an identity");
    let private = Private::open(&descriptor.private, &identities).expect("it opens");
    let files = ["hba.conf", "more.conf"].map(|name| etc.join(name).display().to_string());
    assert_eq!(private.config_files, files);
    assert_eq!(private.settings["max_connections"], "30");
    assert!(private.extensions["postgres"].contains_key("plpgsql"), "{private:?}");
    let listed = rig.shell("age -d -i identity.txt store/try-*/data/*/config.tar.zst.age | zstd -dc | tar -t");
    assert_eq!(listed, files.map(|file| file.trim_start_matches('/').to_owned()).join("\n"));
    // The copy's own configuration names files of the original, which are still there.
    assert_eq!(rig.restore(&backup).sql("select count(*) from t"), "1000");
}

/// As in a unit with a `/tmp` of its own, in which the server's tablespace is not.
#[test]
fn a_tablespace_that_cannot_be_seen_is_not_left_out_in_silence() {
    let rig = Rig::new(Version::V15, &Policy::default());
    let space = rig.cluster.tablespace("elsewhere");
    rig.cluster.sql("create table there tablespace elsewhere as select g from generate_series(1, 1000) g; checkpoint");
    let aside = rig.path("aside");
    fs::rename(&space, &aside).expect("hidden");
    let gone = rig.refused(&[]);
    fs::create_dir(&space).expect("an empty directory");
    rig.cluster.account().own(&space);
    let empty = rig.refused(&[]);
    fs::remove_dir(&space).expect("it is empty");
    fs::rename(&aside, &space).expect("seen again");
    for (said, why) in [(gone, "No such file or directory"), (empty, "it has no `PG_15_…` in it")] {
        let message = format!("the tablespace `{}` cannot be seen from here: {why}", space.display());
        assert!(said.contains(&message) && said.contains("PrivateTmp="), "{said}");
    }
    assert!(rig.objects("backups").is_empty());
    let backup = rig.backup(&[]);
    rig.archive_all();
    assert_eq!(rig.restore(&backup).sql("select count(*) from there"), "1000");
}

#[test]
fn what_does_not_come_over_the_protocol_is_named() {
    let rig = Rig::new(Version::V15, &Policy { no_files: true, ..Policy::default() });
    rig.shell("mkdir etc && mv data/pg_hba.conf etc/hba.conf");
    let hba = rig.path("etc/hba.conf").display().to_string();
    rig.cluster.add_conf(&format!("hba_file = '{hba}'"));
    rig.cluster.restart();
    let remarks = rig.backup(&[]).0["remarks"].to_string();
    assert!(remarks.contains(&format!("is not in this backup: {hba}")), "{remarks}");
}

#[test]
fn a_store_on_the_cluster_s_own_disk_is_refused_unless_it_is_meant() {
    let rig = Rig::new(Version::V15, &Policy::default());
    rig.change(&[(", other_device: false", "")]);
    let said = rig.refused(&[]);
    assert!(said.contains("is on the same device as the data directory"), "{said}");
}

#[test]
fn another_server_s_files_are_not_taken_for_its_own() {
    let rig = Rig::new(Version::V15, &Policy::default());
    let other = Cluster::start(Version::V15, Options::default());
    let text = fs::read_to_string(rig.path("policy.yaml")).expect("the policy");
    let text = text.replace(&rig.cluster.data().display().to_string(), &other.data().display().to_string());
    fs::write(rig.path("policy.yaml"), text).expect("the policy");
    let said = rig.refused(&[]);
    assert!(said.contains("is not the data directory of the server that answers"), "{said}");
}

#[test]
fn a_host_that_the_policy_does_not_accept_writes_nothing() {
    let rig = Rig::new(Version::V15, &Policy::default());
    rig.backup(&[]);
    let stranger = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Lq2x9c2qvRA7Ki1u8Ue1hCvQzI7Qn6wz9qf2u6c1X";
    let text = fs::read_to_string(rig.path("policy.yaml")).expect("the policy");
    let text = text.replace("encryption: { age:", &format!("encryption: {{ writers: {{ db-9: \"{stranger}\" }}, age:"));
    fs::write(rig.path("policy.yaml"), text).expect("the policy");
    let said = rig.refused(&[]);
    assert!(said.contains("is not among the policy's `encryption.writers`") && said.contains("db-1: ssh-ed25519"), "{said}");
    assert_eq!(rig.objects("backups").len(), 2);
}

#[test]
fn a_store_that_vanished_is_neither_begun_anew_nor_empty() {
    let rig = Rig::new(Version::V15, &Policy::default());
    // The very first time, it is made.
    rig.shell("rm -rf store state/policies");
    let backup = rig.backup(&[]);
    assert!(backup.0["remarks"].to_string().contains("was not there and was made"), "{}", backup.0);
    assert_eq!(rig.shell("stat -c %a store"), "700");
    rig.archive_all();
    rig.shell("mv store away");
    let target = rig.path("r").display().to_string();
    for mounted in [false, true] {
        let expected = if mounted { "any more" } else { "is not there" };
        if mounted {
            // The mount point is there, and its disk is not.
            rig.shell("mkdir store");
        }
        assert!(rig.refused(&[]).contains(expected), "{mounted}");
        for words in [&["list"][..], &["verify"], &["wal", "status"], &["restore", "--yes", "--target", &target]] {
            let output = rig.seawall_to(words);
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.code() == Some(1) && said.contains(expected), "{words:?}: {said}");
            assert!(said.contains("mounted?"), "{words:?}: {said}");
        }
        assert_eq!(rig.path("store").exists(), mounted);
    }
    assert_eq!(rig.shell("find store | wc -l"), "1");
    rig.shell("rmdir store && mv away store");
    rig.backup(&[]);
}

#[test]
fn the_commit_of_the_policy_is_written_down() {
    let rig = Rig::new(Version::V15, &Policy::default());
    let commit = || rig.descriptor(&rig.backup(&[])).by.commit;
    assert_eq!(commit(), None);
    let git = "git -c user.name=dba -c user.email=dba@example.com";
    rig.shell(&format!("git init -q . && echo '*' > .gitignore && git add -f policy.yaml && {git} commit -q -m first"));
    let head = rig.shell("git rev-parse HEAD");
    assert_eq!(commit(), Some(head.clone()));
    rig.shell("echo '# a thought' >> policy.yaml");
    assert_eq!(commit(), Some(format!("{head}-dirty")));
    // Not part of it at all.
    rig.shell(&format!("git rm -q --cached policy.yaml && {git} commit -q -m second"));
    assert_eq!(commit(), Some(format!("{}-dirty", rig.shell("git rev-parse HEAD"))));
}

#[test]
fn without_an_archiver_there_is_no_use_in_beginning() {
    let rig = Rig::over(Cluster::start(Version::V15, Options::default()), &Policy::default());
    let said = rig.refused(&[]);
    assert!(said.contains("`archive_mode` is off"), "{said}");
}

#[test]
fn a_server_that_was_set_back_has_no_backup_in_another_history_s_log() {
    let rig = Rig::new(Version::V15, &Policy::default());
    rig.cluster.sql("create table t as select g from generate_series(1, 1000) g");
    rig.archive_all();
    rig.cluster.stop(StopMode::Fast);
    rig.shell("cp -a data older");
    rig.cluster.resume();
    for _ in 0..4 {
        rig.cluster.sql("insert into t select g from generate_series(1, 1000) g");
        rig.archive_all();
    }
    rig.backup(&[]);
    rig.cluster.stop(StopMode::Fast);
    rig.shell("mv data newer && mv older data");
    rig.cluster.resume();
    // Names that the first history has already put; its archiver is refused.
    rig.cluster.sql("delete from t");
    let said = rig.refused(&[]);
    assert!(said.contains("is not this server's") && said.contains("timeline of its own"), "{said}");
    assert_eq!(rig.objects("backups").len(), 2);
}

#[test]
fn settings_that_are_replaced_meanwhile_come_whole() {
    let rig = Rig::new(Version::V15, &Policy { physical: "read_limit: 3MB/s".into(), ..Policy::default() });
    rig.shell("printf 'first\\n' > data/one.conf; seq 1 5000 > data/two.conf");
    let child = rig.begin_backup();
    rig.cluster.wait_until("exists (select from pg_stat_activity where pid <> pg_backend_pid() and query like '%from pg_file_settings%')");
    std::thread::sleep(std::time::Duration::from_millis(500));
    rig.shell("seq 1 9000 > new && mv new data/one.conf; printf 'short\\n' > new && mv new data/two.conf");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let copy = rig.restore(&Backup(serde_json::from_slice(&output.stdout).expect("JSON")));
    for name in ["one.conf", "two.conf"] {
        let read = |data: std::path::PathBuf| fs::read(data.join(name)).expect("a file");
        assert!(read(copy.data()) == read(rig.cluster.data()), "{name}");
    }
}
