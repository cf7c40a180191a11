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

/// Says something to the catalog's database behind the catalog's back, as somebody with a tool would.
pub(super) fn tamper(place: &Where, sql: &str) -> Result<(), String> {
    match place {
        Where::Sqlite(path) => {
            use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
                let mut connection = options.connect().await.map_err(|error| error.to_string())?;
                let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
                connection.close().await.map_err(|error| error.to_string())?;
                done.map(drop).map_err(|error| error.to_string())
            })
        }
        Where::Postgres(settings) => {
            let mut connection = seawall::postgres::Connection::connect(settings).map_err(|fault| fault.message)?;
            let sql = format!("CREATE SCHEMA IF NOT EXISTS seawall; SET search_path = seawall; {sql}");
            connection.run(&sql).map(drop).map_err(|fault| fault.message)
        }
    }
}
