//! Several hosts with one catalog, in PostgreSQL.

use std::fs;
use std::process::{Child, Stdio};

use seawall::catalog::{Catalog, Filter, Outcome, RunRow, Where};

use super::rig::{Run, Said, by_clock};
use crate::backup::rig::Policy;
use crate::clusters::{Cluster, Options, Version, settings};

/// A fleet's catalog on a server of its own, reached over the network as a fleet reaches it.
pub(super) struct Fleet {
    pub server: Cluster,
    pub run: Run,
}

impl Fleet {
    pub(super) fn new(policy: &Policy, more: &str) -> Fleet {
        let server = Cluster::start(Version::V15, Options::default().over_tcp());
        let run = Run::with(policy, &format!("catalog: {{ postgres: {{ connection: \"{}\" }} }}\n{more}", address(&server)));
        Fleet { server, run }
    }

    pub(super) fn of_host(&self, host: &str, words: &[&str]) -> std::process::Command {
        let mut command = self.run.command_in(&format!("state-{host}"), words);
        command.args(["--host", host]);
        command
    }

    pub(super) fn say(&self, host: &str, words: &[&str]) -> Said {
        Said::of(self.of_host(host, words).output().expect("seawall"))
    }

    /// By a clock that is off by so much.
    pub(super) fn say_at(&self, offset: &str, host: &str, words: &[&str]) -> Said {
        let command = self.of_host(host, words);
        Said::of(by_clock(self.server.account(), offset, &command).output().expect("faketime"))
    }

    pub(super) fn sql(&self, statement: &str) {
        self.server.sql(&format!("set search_path = seawall; {statement}"));
    }

    pub(super) fn catalog(&self) -> Catalog {
        let place = Where::Postgres(Box::new(settings(&address(&self.server))));
        Catalog::open_existing(&place).expect("it can be read").expect("a catalog")
    }

    pub(super) fn runs(&self) -> Vec<RunRow> {
        self.catalog().history(&Filter::default()).expect("a history")
    }
}

fn address(server: &Cluster) -> String {
    format!("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port())
}

/// Of the server's own sockets: how many milliseconds at most until the kernel asks whether the other end is still there.
fn asked_after(port: u16) -> Vec<u64> {
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    const ESTABLISHED: &str = "01";
    let own = rows.filter(|row| row[1].ends_with(&format!(":{port:04X}")) && row[3] == ESTABLISHED);
    let timer = |row: Vec<&str>| row[5].strip_prefix("02:").and_then(|left| u64::from_str_radix(left, 16).ok());
    own.filter_map(timer).map(|hundredths| hundredths * 10).collect()
}

/// What it began stays open only as long as somebody may be at it.
#[test]
fn the_run_of_a_host_that_died_is_lost_and_not_before() {
    let fleet = Fleet::new(&Policy { physical: "read_limit: 1MB/s".into(), ..Policy::default() }, "");
    let start = || fleet.of_host("db-2", &["run", "nightly"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    let mut child: Child = start();
    fleet.server.wait_until("exists (select from pg_locks where locktype = 'advisory')");
    fleet.run.rig.shell("until ls store/try-*/leases/backup-* >/dev/null 2>&1; do sleep 0.1; done");
    // A host that loses its power says nothing: the server asks.
    let asked = asked_after(fleet.server.port());
    assert!(asked.iter().any(|within| *within <= 60_000), "{asked:?}");
    let outcome = || {
        fleet.say("db-1", &["watch"]).ends_with_code(0);
        let runs = fleet.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        (runs[0].outcome, runs[0].message.clone().unwrap_or_default())
    };
    // Its lock is what tells: how long ago it began does not.
    fleet.sql("update runs set started = started - 20 * 60 * 1000000::bigint");
    assert_eq!(outcome().0, None, "it is alive, and holds the lock");
    fleet.run.signal("KILL");
    child.wait().expect("its end");
    fleet.server.wait_until("not exists (select from pg_locks where locktype = 'advisory')");
    // This machine would see that the process is dead; another one would not.
    fleet.run.rig.shell(
        "sed -i -E 's/(\"boot\": *\")[^\"]*/\\1another/' store/try-*/leases/backup-* && grep -q another store/try-*/leases/backup-*",
    );
    assert_eq!(outcome().0, None, "its lock was seen free a moment ago");
    fleet.sql(
        "update series set latest_value = latest_value - 1200 where name = 'down_since' and subject like 'run:%' and latest_value > 0",
    );
    assert_eq!(outcome().0, None, "its lease in the store is not over");
    fleet.run.rig.shell("touch -d '2 hours ago' store/try-*/leases/backup-*");
    let (lost, message) = outcome();
    assert_eq!(lost, Some(Outcome::Lost));
    assert!(message.contains("nothing was heard of it any more from db-2"), "{message}");
    fleet.say("db-1", &["audit", "show"]).ends_with_code(0).says("`backups.nightly` was lost");
}
