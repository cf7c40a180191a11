//! A catalog that several hosts share, in a PostgreSQL database.
//!
//! Through our own client and not through sqlx's, which adds the certificate authorities of browsers to a given `sslrootcert` and knows
//! neither several hosts nor channel binding: a catalog is reached with the very same words and care as a database that is backed up.

use std::fmt;
use std::time::{Duration, Instant};

use super::fault::CatalogFault;
use super::link::Access;
use super::value::{Row, Value};
use crate::postgres::{Connection, Settings};

/// A connection that was silent for longer is asked whether it still is one, before anything is trusted to it.
const IDLE: Duration = Duration::from_secs(1);
/// Our tables' own place, so that the database may hold others' too. Nobody else's function is ever called by a bare name.
const SESSION: &str = "SET search_path = seawall, pg_catalog; SET lock_timeout = '10s'; SET statement_timeout = '60s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET default_transaction_isolation = 'read committed'; \
     SET default_transaction_read_only = ";

pub(super) struct Server {
    connection: Connection,
    used: Instant,
    broken: bool,
}

impl Server {
    pub(super) fn open(settings: &Settings, access: Access) -> Result<Server, CatalogFault> {
        let of = |fault| CatalogFault::of_server(&fault);
        let mut connection = Connection::connect(settings).map_err(of)?;
        let read_only = if access == Access::Read { "on" } else { "off" };
        connection.run(&format!("{SESSION}{read_only}")).map_err(of)?;
        Ok(Server { connection, used: Instant::now(), broken: false })
    }

    /// Firewalls forget connections, and servers are started anew, while a backup takes its hours.
    pub(super) fn is_alive(&mut self) -> bool {
        !self.broken && (self.used.elapsed() < IDLE || self.connection.ping().is_ok())
    }

    pub(super) fn ask(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row<'static>>, CatalogFault> {
        let texts: Vec<Option<String>> = values.iter().map(written).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let answer = self.connection.query_or_null(sql, &texts);
        let rows = self.used(answer)?;
        let value = |value: &Option<String>| value.clone().map_or(Value::Null, Value::Text);
        Ok(rows.iter().map(|row| Row::new(row.values().iter().map(value).collect())).collect())
    }

    pub(super) fn script(&mut self, sql: &str) -> Result<(), CatalogFault> {
        let answer = self.connection.run(sql);
        self.used(answer).map(drop)
    }

    pub(super) fn give_up(&mut self) {
        self.broken = true;
    }

    /// What the server refuses it may be asked again; after anything else nobody knows where the conversation stands.
    fn used<T>(&mut self, answer: Result<T, crate::postgres::Fault>) -> Result<T, CatalogFault> {
        self.used = Instant::now();
        answer.map_err(|fault| {
            self.broken |= fault.code().is_none_or(|code| code.starts_with("57P") || code.starts_with("08") || code == "25P03");
            CatalogFault::of_server(&fault)
        })
    }
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Int(number) => Some(number.to_string()),
        // The shortest form that reads back as the same number.
        Value::Real(number) => Some(format!("{number:?}")),
        Value::Text(text) => Some(text.clone()),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("target", self.connection.target()).finish_non_exhaustive()
    }
}
