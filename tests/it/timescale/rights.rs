//! The server gets the settings that a policy needs, and Seawall's roles the rights that their work needs, and no more.

use std::process::{Command, Output};

use super::converge::{ends, said};
use crate::cli::hermetic;
use crate::clusters::{Cluster, Options, StopMode, Version, settings};
use seawall::postgres::{BackupSession, Connection};

fn write(folder: &std::path::Path, cluster: &Cluster) {
    let (at, conninfo) = (folder.display(), cluster.conninfo());
    let text = format!(
        "version: 1\npolicy: shop\n\
         cluster: {{ connection: \"{conninfo}\", roles: {{ backup: seawall_backup, monitor: '\"Seawall''s \"\"eye\"\"\"' }} }}\n\
         encryption: {{ none: {{ because: a test }} }}\nstores: {{ main: {{ local: {{ path: {at}/store }} }} }}\n\
         wal: {{ store: main, timeout: 60s, keep: 30d }}\n\
         backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }} }} }}\n"
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
        cluster.add_conf("max_wal_senders = 5");
        cluster.stop(StopMode::Fast);
        cluster.resume();
        let set = cluster.sql(
            "select string_agg(setting, ',' order by name) from pg_settings where name in ('archive_mode', 'archive_timeout', 'wal_level')",
        );
        assert_eq!(set, "on,60,replica");
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
