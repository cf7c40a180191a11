//! Reports, and the same page served live: the real program on catalogs that the library filled with a year of a database's life.

mod alerts;
mod hostile;
mod page;
mod seen;
mod served;
mod shown;
mod told;
mod year;

use std::path::PathBuf;

use seawall::catalog::{Catalog, Where};
use seawall::units::Instant;

use crate::cli::{Room, Run, follows};

/// A room with policies in `policies/`, and their catalog where `--state state` looks for it.
struct Rig {
    room: Room,
    now: Instant,
}

impl Rig {
    /// One policy, of which nothing is on record yet.
    fn new(name: &str) -> Rig {
        Rig { room: Room::new(), now: Instant::now() }.with(name)
    }

    fn with(self, name: &str) -> Rig {
        self.with_text(name, &year::policy(name))
    }

    fn with_text(self, name: &str, text: &str) -> Rig {
        Rig { room: self.room.with(&format!("policies/{name}.yaml"), text), now: self.now }
    }

    fn place(&self) -> PathBuf {
        self.room.path().join("state/catalog.db")
    }

    fn catalog(&self) -> Catalog {
        Catalog::open(&Where::Sqlite(self.place())).expect("a catalog")
    }

    /// A year in which almost everything went well.
    fn lived(self, name: &str) -> Rig {
        year::fill(&self.catalog(), name, self.now, year::Fate::Well);
        self
    }

    fn report(&self, words: &[&str]) -> Run {
        self.room.run(&[&["report", "policies", "--state", "state"], words].concat())
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        let run = self.report(&[&["--format", "json"], words].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        follows("report", &run.stdout)
    }

    fn html(&self, words: &[&str]) -> String {
        let run = self.report(&[&["--format", "html"], words].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    }
}
