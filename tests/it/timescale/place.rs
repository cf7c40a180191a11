//! Where TimescaleDB is found for a test: for node, which is everywhere, and as servers of their own, which a developer built.

use std::path::{Path, PathBuf};

use seawall::inventory::{Timescale, TimescaleState};
use seawall::postgres::Connection;
use seawall::timescale;

use crate::clusters::{Cluster, Options, Version};
use crate::servers::pglite::Pglite;
use crate::skipped::skipped;

/// A database with the extension.
#[derive(Debug)]
pub(super) enum Place {
    Node(Pglite),
    Native(Cluster),
}

/// The folders with the programs of servers that have the extension.
fn natives() -> Vec<PathBuf> {
    let named = std::env::var("SEAWALL_TEST_TIMESCALEDB").unwrap_or_default();
    let mut folders: Vec<PathBuf> = named.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    if Path::new("/usr/share/postgresql/15/extension/timescaledb.control").exists() {
        folders.push(Version::V15.programs());
    }
    folders
}

/// The same. Says loudly when there are none: then `test` has tested nothing.
pub fn some_natives(test: &str) -> Vec<PathBuf> {
    let natives = natives();
    if natives.is_empty() {
        skipped(&format!("{test}: it needs a PostgreSQL 15 with TimescaleDB, and SEAWALL_TEST_TIMESCALEDB names no folder with one"));
    }
    natives
}

/// All servers of their own.
pub(super) fn all_natives(test: &str) -> Vec<Place> {
    some_natives(test).into_iter().map(Place::native).collect()
}

/// Every kind there is.
pub(super) fn everywhere(test: &str) -> Vec<Place> {
    let mut places = all_natives(test);
    places.push(Place::Node(Pglite::start()));
    places
}

impl Place {
    fn native(programs: PathBuf) -> Place {
        Place::native_with(programs, &[])
    }

    fn native_with(programs: PathBuf, conf: &[&str]) -> Place {
        let mut options = Options { programs: Some(programs), ..Options::default() }
            .with("shared_preload_libraries = 'timescaledb'")
            .with("timescaledb.telemetry_level = off")
            .with("max_worker_processes = 20");
        for line in conf {
            options = options.with(*line);
        }
        let cluster = Cluster::start(Version::V15, options);
        cluster.sql("create extension timescaledb");
        Place::Native(cluster)
    }

    /// All servers of their own, as what was built without the parts that are not free.
    pub(super) fn apache(test: &str) -> Vec<Place> {
        some_natives(test).into_iter().map(|programs| Place::native_with(programs, &["timescaledb.license = 'apache'"])).collect()
    }

    /// For policies.
    pub(super) fn conninfo(&self) -> String {
        match self {
            Place::Node(server) => server.conninfo(),
            Place::Native(cluster) => cluster.conninfo(),
        }
    }

    pub(super) fn connect(&self) -> Connection {
        match self {
            Place::Node(server) => {
                let mut connection = server.connect();
                // All sessions are one there: what an earlier one set is still set.
                connection.run("discard all").expect("a session like new");
                connection.run("set search_path = public").expect("what is usual");
                connection
            }
            Place::Native(cluster) => cluster.connect(),
        }
    }

    /// As `psql -At`; of several statements the last one's answer.
    pub(super) fn sql(&self, statements: &str) -> String {
        let answers = self.connect().run(statements).unwrap_or_else(|fault| panic!("{statements}: {fault}"));
        let line = |row: &seawall::postgres::Row| row.values().iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>();
        answers.last().map(|rows| rows.iter().map(|row| line(row).join("|")).collect::<Vec<_>>().join("\n")).unwrap_or_default()
    }

    pub(super) fn state(&self) -> TimescaleState {
        match timescale::observe(&mut self.connect()).expect("it can be asked") {
            Timescale::Installed(state) => state,
            Timescale::Absent => panic!("the extension is not there"),
        }
    }

    /// The newer words of compression are known.
    pub(super) fn has_columnstore(&self) -> bool {
        self.state().version_numbers().is_some_and(|numbers| numbers >= (2, 18))
    }
}
