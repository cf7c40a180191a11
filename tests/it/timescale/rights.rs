//! The server gets the settings that a policy needs, and Seawall's roles the rights that their work needs, and no more.

use std::process::{Command, Output};

use super::converge::{ends, said};
use crate::cli::hermetic;
use crate::clusters::{Cluster, Options, StopMode, Version, settings};
use seawall::postgres::{BackupSession, Connection};

const PHYSICAL: &str = "nightly: { physical: {}, schedule: { at: \"02:00\" }, keep: { daily: 7 } }";

fn write(folder: &std::path::Path, cluster: &Cluster) {
    write_with(folder, cluster, "wal: { store: main, timeout: 60s, keep: 30d }\n", PHYSICAL);
}

fn write_with(folder: &std::path::Path, cluster: &Cluster, wal: &str, job: &str) {
    let (at, conninfo) = (folder.display(), cluster.conninfo());
    let text = format!(
        "version: 1\npolicy: shop\n\
         cluster: {{ connection: \"{conninfo}\", roles: {{ backup: seawall_backup, monitor: '\"Seawall''s \"\"eye\"\"\"' }} }}\n\
         encryption: {{ none: {{ because: a test }} }}\nstores: {{ main: {{ local: {{ path: {at}/store }} }} }}\n\
         {wal}backups: {{ {job} }}\n"
    );
    std::fs::write(folder.join("policy.yaml"), text).expect("a policy");
}

fn seawall(folder: &std::path::Path, arguments: &[&str]) -> Output {
    hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), folder).args(arguments).output().expect("seawall runs")
}

fn connect_as(cluster: &Cluster, role: &str) -> Connection {
    let conninfo = cluster.conninfo().replace("user=postgres", &format!("user='{}'", role.replace('\'', "\\'")));
    Connection::connect(&settings(&conninfo)).expect("it may log in")
}

#[test]
fn a_server_gets_what_the_policy_needs_and_nothing_else() {
    for version in [Version::V14, Version::V18] {
        let cluster = Cluster::start(version, Options::default().with("wal_level = minimal").with("max_wal_senders = 0"));
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &cluster);
        let apply = ["apply", "-p", "policy.yaml", "--state", "state", "--yes"];
        // As long as nobody takes the log, nothing makes the server keep all of it.
        let shown = ends(&seawall(folder.path(), &["plan", "--connect", "--detailed-exitcode", "policy.yaml"]), 2);
        println!("{shown}");
        assert!(shown.contains("`archive_command` is empty") && !shown.contains("archive_mode ="), "{shown}");
        ends(&seawall(folder.path(), &apply), 1);
        // The setting itself is shown as `(disabled)` while nothing is archived.
        let commands = |text: &str| {
            cluster.add_conf(&format!("archive_command = '{text}'"));
            cluster.reload();
            cluster.wait_until(&format!("(select reset_val from pg_settings where name = 'archive_command') = '{text}'"));
        };
        commands("cp %p /elsewhere/%f");
        assert!(said(&seawall(folder.path(), &apply)).contains("the server's log goes elsewhere: `cp %p /elsewhere/%f`"));
        commands("seawall wal push %p --policy /etc/seawall/policy.yaml");
        let done = ends(&seawall(folder.path(), &apply), 0);
        assert!(done.contains("archive_mode = 'on'") && done.contains("counts after a restart"), "{done}");
        // What waits for the restart is not written once more.
        let again = ends(&seawall(folder.path(), &apply), 0);
        assert!(again.contains("waits for a restart") && again.contains("nothing differs"), "{again}");
        cluster.stop(StopMode::Fast);
        cluster.resume();
        let set = cluster.sql(
            "select string_agg(setting, ',' order by name) from pg_settings where name in ('archive_mode', 'archive_timeout', 'max_wal_senders', 'wal_level')",
        );
        assert_eq!(set, "on,60,10,replica");
        let settled = ends(&seawall(folder.path(), &apply), 0);
        assert!(settled.contains("nothing differs") && !settled.contains("restart"), "{settled}");

        cluster.sql("create table secrets as select 1 as one");
        let minute = std::time::Duration::from_secs(60);
        let session = BackupSession::start(connect_as(&cluster, "seawall_backup"), "test", true, minute).expect("it may begin a backup");
        session.stop(false, minute).expect("and end it");
        let mut backup = connect_as(&cluster, "seawall_backup");
        backup.query("select current_setting('data_directory')", &[]).expect("it sees where the files are");
        let mut eye = connect_as(&cluster, "Seawall's \"eye\"");
        eye.query("select count(*) from pg_ls_archive_statusdir()", &[]).expect("it sees what waits");
        for connection in [&mut backup, &mut eye] {
            let denied = connection.query("select * from secrets", &[]).expect_err("nobody's rows");
            assert_eq!(denied.code(), Some("42501"), "{denied}");
        }
    }
}

#[test]
fn who_dumps_may_read_rows_and_not_take_the_servers_files() {
    for version in [Version::V13, Version::V14, Version::V18] {
        let cluster = Cluster::start(version, Options::default());
        let folder = tempfile::tempdir().expect("a folder");
        write_with(
            folder.path(),
            &cluster,
            "",
            "dump: { logical: { databases: [postgres] }, schedule: { at: \"02:00\" }, keep: { daily: 7 } }",
        );
        cluster.sql("create table secrets as select 1 as one");
        let apply = ["apply", "-p", "policy.yaml", "--state", "state", "--yes"];
        let done = ends(&seawall(folder.path(), &apply), 0);
        let by_hand = version == Version::V13;
        assert_eq!(done.contains("GRANT pg_read_all_data"), !by_hand, "{done}");
        assert_eq!(done.contains("PostgreSQL 13 has no `pg_read_all_data`"), by_hand, "{done}");
        let again = ends(&seawall(folder.path(), &apply), 0);
        assert!(again.contains("nothing differs"), "{again}");
        assert_eq!(cluster.sql("select rolreplication from pg_roles where rolname = 'seawall_backup'"), "f");
        let mut backup = connect_as(&cluster, "seawall_backup");
        assert_eq!(backup.query("select * from secrets", &[]).is_ok(), !by_hand);
        for function in ["pg_switch_wal()", "pg_read_binary_file('PG_VERSION', 0, 1, true)"] {
            let denied = backup.query(&format!("select {function}"), &[]).expect_err("not of its work");
            assert_eq!(denied.code(), Some("42501"), "{denied}");
        }
        let denied = connect_as(&cluster, "Seawall's \"eye\"").query("select * from secrets", &[]).expect_err("nobody's rows");
        assert_eq!(denied.code(), Some("42501"), "{denied}");
    }
}
