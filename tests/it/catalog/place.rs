//! Where a test's catalog is.

use std::path::PathBuf;

use seawall::catalog::Where;

use crate::clusters::{Cluster, settings};

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.path("state/catalog.db")
    }

    pub(super) fn catalog(&self) -> Where {
        Where::Sqlite(self.file())
    }
}

/// A database of its own on that server.
pub(super) fn database(cluster: &Cluster, name: &str) -> Where {
    cluster.sql(&format!("create database {name}"));
    Where::Postgres(Box::new(settings(&cluster.conninfo()).with_dbname(name)))
}
