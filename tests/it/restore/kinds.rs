//! Clusters and changes out of the ordinary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use seawall::format::seal::{Recipients, Sealer};

use super::rig::{Rig, objects};
use crate::clusters::{Options, StopMode, Version};
use crate::faults::small::Small;

#[test]
fn segments_of_other_sizes() {
    for (segment_mb, version) in [(1, Version::V14), (64, Version::V15)] {
        let rig = Rig::start(version, Options { segment_mb, ..Options::default() });
        rig.series();
        rig.backup();
        rig.load(20);
        rig.cluster.sql("create table much as select n, repeat('x', 500) from generate_series(1, 5000) n");
        rig.load(5);
        let (time, rows) = (rig.after_row(22), rig.hash(22));
        rig.archive();
        let restored = rig.bring_back("r", &["--to", &time]);
        assert_eq!(restored.hash(), rows);
        assert_eq!(restored.sql("select count(*) from much"), "5000");
    }
}

/// A cluster whose group may read it, as `initdb --allow-group-access` makes it, by both ways.
#[test]
fn what_the_group_may_read_it_may_read_again() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.cluster.stop(StopMode::Fast);
    rig.shell("chmod -R g+rX data");
    rig.cluster.resume();
    assert_eq!(rig.cluster.sql("show data_directory_mode"), "0750");
    rig.series();
    for (way, protocol) in [("files", false), ("protocol", true)] {
        if protocol {
            let data = format!(", data_directory: {}", rig.cluster.data().display());
            rig.change_policy(&data, "");
        }
        rig.backup();
        rig.load(5);
        rig.archive();
        let restored = rig.bring_back(way, &[]);
        assert_eq!(restored.hash(), rig.hash(i64::MAX));
        assert_eq!(restored.sql("show data_directory_mode"), "0750", "{way}");
        assert_eq!(rig.shell(&format!("stat -c %a {way}")), "750");
        restored.sql("create table new as select 1");
        // What is fetched ahead comes and goes.
        let shut = rig.shell(&format!("find {way} -name seawall-ahead -prune -o \\( -type f -o -type d \\) ! -perm -g=r -print"));
        assert_eq!(shut, "", "{way}");
        let open = rig.shell(&format!("find {way} -name seawall-ahead -prune -o \\( -type f -o -type d \\) -perm /027 -print"));
        assert_eq!(open, "", "{way}: nobody else may, nor may the group write");
        restored.remove();
    }
}

#[test]
fn databases_come_and_go() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.cluster.sql("create database doomed");
    rig.backup();
    rig.cluster.sql("create database young");
    rig.cluster.sql("create table emptied as select n from generate_series(1, 100) n");
    rig.load(2);
    let before = rig.after_row(1);
    rig.cluster.sql("truncate emptied");
    rig.cluster.sql("drop database doomed");
    rig.load(2);
    let after = rig.after_row(3);
    rig.archive();
    let restored = rig.bring_back("before", &["--to", &before]);
    assert_eq!(
        restored.sql("select string_agg(datname, ' ' order by datname) from pg_database where datname in ('doomed', 'young')"),
        "doomed young"
    );
    assert_eq!(restored.sql("select count(*) from emptied"), "100");
    assert_eq!(restored.sql_in("doomed", "select 1"), "1");
    restored.stop();
    let restored = rig.bring_back("after", &["--to", &after]);
    assert_eq!(restored.sql("select string_agg(datname, ' ') from pg_database where datname in ('doomed', 'young')"), "young");
    assert_eq!(restored.sql("select count(*) from emptied"), "0");
}

#[test]
fn tablespaces_go_elsewhere() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    let place = rig.cluster.tablespace("fast");
    rig.cluster.sql("create table there (n int) tablespace fast");
    rig.cluster.sql("insert into there select generate_series(1, 1000)");
    rig.backup();
    rig.cluster.sql("insert into there select generate_series(1001, 1500)");
    rig.archive();
    // Its own place is in use by the cluster that still runs.
    let said = rig.restore("r", &[]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("is not empty") && said.err.contains("--tablespace"), "{}", said.err);
    let elsewhere = rig.path("elsewhere");
    let map = format!("{}={}", place.display(), elsewhere.display());
    let restored = rig.bring_back("r", &["--tablespace", &map]);
    assert_eq!(restored.sql("select count(*) from there"), "1500");
    let there = restored.sql("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'");
    assert_eq!(there, elsewhere.to_str().expect("text"));
    assert_eq!(rig.cluster.sql("select count(*) from there"), "1500");
}

/// As Debian has it: what the server starts with is in `/etc`, and its data directory has none of it.
#[test]
fn a_cluster_with_its_configuration_elsewhere_starts_where_nothing_of_it_is() {
    for version in [Version::V14, Version::V16] {
        let rig = Rig::start(version, Options::default());
        rig.series();
        rig.cluster.stop(StopMode::Fast);
        let (etc, data) = (rig.path("etc"), rig.cluster.data());
        fs::create_dir_all(etc.join("conf.d")).expect("a folder");
        for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
            fs::rename(data.join(name), etc.join(name)).expect("moved");
        }
        let conf = fs::read_to_string(etc.join("postgresql.conf")).expect("a configuration");
        let (here, pid) = (etc.display(), rig.path("main.pid"));
        let more = format!(
            "data_directory = '{}'\nhba_file = '{here}/pg_hba.conf'\nident_file = '{here}/pg_ident.conf'\nexternal_pid_file = '{}'\n\
             include_dir 'conf.d'\ninclude '{here}/extra.conf'\n",
            data.display(),
            pid.display()
        );
        rig.write("etc/postgresql.conf", &format!("{conf}\n{more}"));
        rig.write("etc/extra.conf", "work_mem = '5MB'\n");
        rig.cluster.account().own(&etc);
        let mut start = rig.cluster.account().command(version.programs().join("pg_ctl"));
        start.arg("-D").arg(&data).arg("-l").arg(rig.path("log")).args(["-w", "-o"]).arg(format!("-c config_file={here}/postgresql.conf"));
        assert!(start.arg("start").status().expect("pg_ctl").success(), "{}", rig.cluster.log_tail());
        rig.backup();
        rig.load(5);
        let rows = rig.hash(5);
        rig.archive();
        let of_original = fs::read_to_string(&pid).expect("its number");
        // A machine that has nothing of it.
        fs::rename(&etc, rig.path("away")).expect("moved");
        let restored = rig.bring_back("r", &[]);
        assert_eq!(restored.hash(), rows);
        let copies = rig.path("r/seawall-config");
        for (setting, expected) in [
            ("work_mem", "5MB".to_owned()),
            ("data_directory", rig.path("r").display().to_string()),
            ("hba_file", copies.join(etc.strip_prefix("/").expect("absolute")).join("pg_hba.conf").display().to_string()),
            ("external_pid_file", String::new()),
        ] {
            assert_eq!(restored.sql(&format!("show {setting}")), expected, "{version}: {setting}");
        }
        assert_eq!(fs::read_to_string(&pid).expect("its number"), of_original);
        let warnings = restored.report["warnings"].to_string();
        assert!(warnings.contains("started with the backup's copies"), "{warnings}");
        // Again over what is there: the copies are no part of the backup, and are made anew.
        let data = restored.stop();
        fs::write(data.join("seawall-config/stray"), "").expect("a file");
        let again = rig.bring_back("r", &["--delta"]);
        assert_eq!((again.hash(), again.sql("show work_mem")), (rows, "5MB".to_owned()));
        assert!(!data.join("seawall-config/stray").exists());
        fs::rename(rig.path("away"), &etc).expect("back");
    }
}

/// Only a part of it is elsewhere.
#[test]
fn a_configuration_that_names_files_elsewhere_is_given_their_copies() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    let etc = rig.path("etc");
    fs::create_dir(&etc).expect("a folder");
    fs::rename(rig.cluster.data().join("pg_hba.conf"), etc.join("hba.conf")).expect("moved");
    rig.write("etc/more.conf", "work_mem = '5MB'\n");
    rig.cluster.account().own(&etc);
    let data = rig.cluster.data();
    let conf = format!("hba_file = '{0}/hba.conf'\ninclude '{0}/more.conf'\ndata_directory = '{1}'", etc.display(), data.display());
    rig.cluster.add_conf(&conf);
    rig.cluster.restart();
    rig.backup();
    rig.load(3);
    let rows = rig.hash(3);
    rig.archive();
    fs::rename(&etc, rig.path("away")).expect("moved");
    let restored = rig.bring_back("r", &[]);
    assert_eq!((restored.hash(), restored.sql("show work_mem")), (rows, "5MB".to_owned()));
    assert_eq!(restored.sql("show data_directory"), rig.path("r").display().to_string());
    // Whoever starts this one later does not start the original.
    assert_eq!(rig.restore("later", &[]).code, 0);
    let conf = fs::read_to_string(rig.path("later/postgresql.conf")).expect("a configuration");
    let line = format!("data_directory = '{}'", data.display());
    assert!(conf.contains(&format!("# seawall: was for another directory: {line}")) && !conf.contains(&format!("\n{line}")), "{conf}");
    assert!(restored.sql("show hba_file").starts_with(&rig.path("r/seawall-config").display().to_string()));
}

/// Backed up into `store_of_backups`; the log goes to `local` and is copied to `far`.
fn with_two_stores(store_of_backups: &str) -> Rig {
    let rig = Rig::start(Version::V16, Options::default());
    let policy = fs::read_to_string(rig.path("policy.yaml")).expect("a policy");
    let far = format!("stores: {{ far: {{ local: {{ path: {}, other_device: false }} }}, ", rig.path("far").display());
    let policy = policy.replace("stores: { ", &far).replace("wal: { store: local,", "wal: { store: local, copies: [far],");
    rig.write("policy.yaml", &policy.replace("nightly: { ", &format!("nightly: {{ store: {store_of_backups}, ")));
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    rig
}

/// The store that the log goes to first is gone with everything in it; the other one has all of it.
#[test]
fn the_first_store_is_lost_and_recovery_does_not_wait_for_it() {
    let rig = with_two_stores("far");
    fs::rename(rig.path("store"), rig.path("lost")).expect("lost");
    let restored = rig.bring_back("r", &["--latest"]);
    assert_eq!((restored.hash(), restored.report["store"].as_str()), (rig.hash(5), Some("far")));
    assert!(restored.sql("show restore_command").contains(" --store far "));
}

/// The first one leads there; at the log's end the other would be asked for what comes next.
#[test]
fn a_copy_is_lost_and_recovery_does_not_stop_at_its_end() {
    let rig = with_two_stores("local");
    let both = rig.seawall(&["restore", "--target", rig.path("r").to_str().expect("text")]);
    assert!(!both.out.contains(" --store "), "{}", both.out);
    fs::rename(rig.path("far"), rig.path("lost")).expect("lost");
    let restored = rig.bring_back("r", &["--latest"]);
    assert_eq!((restored.hash(), restored.report["store"].as_str()), (rig.hash(5), Some("local")));
    assert!(restored.sql("show restore_command").contains(" --store local "));
    let said = restored.report["warnings"].to_string();
    assert!(said.contains("the log comes from `local` alone") && said.contains("store `far`"), "{said}");
}

/// What it comes with may be older than what it is followed by: the log is asked of every store that answers, whether or not it has a base.
#[test]
fn a_base_in_the_copy_is_followed_by_the_log_of_the_first_store() {
    let rig = with_two_stores("far");
    let (early, rows) = (rig.hash(5), rig.hash(i64::MAX));
    rig.load(5);
    let moment = rig.after_row(9);
    let lags = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    rig.archive();
    assert_eq!(early, rows);
    // As if the copy had been away since.
    let late = objects(&rig.path("far"), &lags);
    assert!(!late.is_empty(), "{lags}");
    late.iter().for_each(|object| fs::remove_file(object).expect("gone"));
    let restored = rig.bring_back("r", &["--latest"]);
    assert_eq!((restored.hash(), restored.report["store"].as_str()), (rig.hash(10), Some("far")));
    assert!(!restored.sql("show restore_command").contains(" --store "));
    restored.remove();
    // A moment that only the first store has reached.
    let at = rig.bring_back("at", &["--to", &moment]);
    assert_eq!(at.hash(), rig.hash(9));
    at.remove();
    // Whoever says which store means it.
    let alone = rig.bring_back("alone", &["--latest", "--store", "far"]);
    assert_eq!(alone.hash(), rig.hash(5));
}

#[test]
fn of_three_stores_only_the_silent_one_is_left_out() {
    let rig = with_two_stores("local");
    rig.change_policy(
        "stores: { ",
        &format!("stores: {{ third: {{ local: {{ path: {}, other_device: false }} }}, ", rig.path("third").display()),
    );
    rig.change_policy("copies: [far]", "copies: [far, third]");
    rig.load(5);
    let lags = rig.cluster.sql("select pg_walfile_name(pg_current_wal_lsn())");
    rig.archive();
    let late = objects(&rig.path("store"), &lags);
    assert!(!late.is_empty() && !objects(&rig.path("third"), &lags).is_empty(), "{lags}");
    late.iter().for_each(|object| fs::remove_file(object).expect("gone"));
    fs::rename(rig.path("third"), rig.path("lost")).expect("lost");
    let restored = rig.bring_back("r", &["--latest"]);
    assert_eq!((restored.hash(), restored.report["store"].as_str()), (rig.hash(10), Some("local")));
    assert!(restored.sql("show restore_command").contains(" --store local --store far "), "{}", restored.sql("show restore_command"));
    let said = restored.report["warnings"].to_string();
    assert!(said.contains("the log comes from `local` and `far` alone") && said.contains("store `third`"), "{said}");
}

/// Whoever can write to the store knows for whom things are sealed there, and how large they are; what it says is in the signed descriptor.
#[test]
fn a_configuration_that_somebody_put_in_its_place_is_not_taken() {
    let rig = Rig::start(Version::V16, Options::default());
    let more = rig.path("etc/more.conf");
    let words = rig.cluster.sql("select string_agg(md5(n::text), ' ') from generate_series(1, 100) n");
    rig.write("etc/more.conf", &format!("work_mem = '5MB'\n# {words}\n"));
    rig.cluster.account().own(&rig.path("etc"));
    rig.cluster.add_conf(&format!("include '{}'", more.display()));
    rig.cluster.restart();
    rig.backup();
    rig.archive();
    fs::rename(rig.path("etc"), rig.path("away")).expect("moved");
    let [config]: [_; 1] = objects(&rig.path("store"), "config.tar").try_into().expect("one configuration");
    let size = usize::try_from(fs::metadata(&config).expect("its size").len()).expect("small");
    let forged = forged(&rig.recipient, &more, b"work_mem = '7MB'\n", size);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(&config, forged).expect("put in its place");
    let (to, programs) = (rig.path("config"), rig.cluster.programs());
    for words in [["--config-to", to.to_str().expect("text")], ["--start-with", programs.to_str().expect("text")]] {
        let said = rig.restore("r", &words);
        assert_eq!(said.code, 1, "{}{}", said.out, said.err);
        assert!(said.err.contains("config.tar") && said.err.contains("SHA-256 is not the one"), "{}", said.err);
        assert!(!rig.path("r").exists() && !to.exists(), "{words:?}");
    }
}

/// A tar of one file, as large as the object that it stands for. It ends as a tar does, long before what makes up the size.
fn forged(recipient: &str, path: &Path, text: &[u8], size: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, path.strip_prefix("/").expect("absolute"), text).expect("a file");
    let plain = zstd::encode_all(&tar.into_inner().expect("a tar")[..], 3).expect("it compresses");
    let recipients = Recipients::parse([recipient]).expect("a recipient");
    // A frame that every decoder skips.
    let sealed = |padding: usize| {
        let mut sealer = Sealer::new(&recipients).expect("a sealer");
        let frame = [&0x184D_2A50_u32.to_le_bytes()[..], &u32::try_from(padding).expect("small").to_le_bytes(), &vec![0; padding]].concat();
        let mut out = sealer.header(&[]);
        sealer.push(&[&plain[..], &frame].concat(), &mut out);
        sealer.end(&mut out);
        out
    };
    let padding = size.checked_sub(sealed(0).len()).expect("it is smaller");
    let forged = sealed(padding);
    assert_eq!(forged.len(), size);
    forged
}

/// Where the configuration is to go there is no room, or something of this machine's own.
#[test]
fn configuration_is_put_whole_or_not_at_all() {
    let rig = Rig::start(Version::V16, Options::default());
    let (more, to) = (rig.path("etc/more.conf"), rig.path("config"));
    let text = "work_mem = '5MB'\n".to_owned() + &"# a word on every setting\n".repeat(20_000);
    rig.write("etc/more.conf", &text);
    rig.cluster.account().own(&rig.path("etc"));
    rig.cluster.add_conf(&format!("include '{}'", more.display()));
    rig.cluster.restart();
    rig.backup();
    rig.archive();
    let Some(small) = Small::mount(&to, "64k") else { return };
    let words = ["--config-to", to.to_str().expect("text")];
    let full = rig.restore("r", &words);
    assert!(full.code == 1 && full.err.contains("No space left"), "{}{}", full.out, full.err);
    assert!(objects(&to, "more.conf").is_empty(), "{:?}", objects(&to, "more.conf"));
    small.resize("8m");
    let whole = rig.restore("r", &[&words[..], &["--delta"]].concat());
    assert_eq!(whole.code, 0, "{}{}", whole.out, whole.err);
    let [put]: [_; 1] = objects(&to, "more.conf").try_into().expect("one file");
    assert_eq!(fs::read_to_string(&put).expect("text"), text);
    fs::write(&put, "# ours\n").expect("written");
    let refused = rig.restore("other", &words);
    assert!(refused.code == 1 && refused.err.contains("is there already and differs"), "{}{}", refused.out, refused.err);
    assert!(!rig.path("other").exists(), "that is known before anything is done");
}

#[test]
fn a_standby_follows() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let primary = rig.cluster.conninfo();
    let standby = rig.bring_back("standby", &["--as-standby", "--primary-conninfo", &primary]);
    assert_eq!(standby.report["reached"]["state"], "standby");
    rig.load(5);
    standby.wait_until("(select count(*) from series) = 10");
}
