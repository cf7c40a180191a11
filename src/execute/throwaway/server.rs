//! The throw-away server as a client sees it.

use super::place::Place;
use crate::execute::restore::RestoreFault;
use crate::policy::model::Policy;
use crate::postgres::{Connection, Fault, Settings};

/// How the copy is reached: through its own socket, as the superuser that initdb made, whatever its name is.
#[derive(Debug, Clone)]
pub struct Reached {
    pub sockets: String,
    pub port: u16,
    pub user: String,
    /// The first database that the policy speaks of, or `postgres`.
    pub database: String,
    /// Settings of every session, which go before what a database or a role has.
    pub options: Option<String>,
}

impl Reached {
    /// Everybody who may enter the folder is let in; only which role there is at all has to be found out.
    pub fn of(place: &Place, port: u16, policy: &Policy) -> Result<Reached, RestoreFault> {
        let named = policy.file.cluster.as_ref().and_then(|cluster| cluster.databases.first().cloned());
        let databases: Vec<String> = ["postgres".to_owned(), "template1".to_owned()].into_iter().chain(named.clone()).collect();
        Reached::by(place, port, policy, (&databases, named), None)
    }

    /// The same where only one database is whole: whoever enters another one ends the server.
    pub fn only(place: &Place, port: u16, policy: &Policy, database: &str, options: &str) -> Result<Reached, RestoreFault> {
        Reached::by(place, port, policy, (&[database.to_owned()], Some(database.to_owned())), Some(options.to_owned()))
    }

    fn by(
        place: &Place,
        port: u16,
        policy: &Policy,
        (databases, named): (&[String], Option<String>),
        options: Option<String>,
    ) -> Result<Reached, RestoreFault> {
        let mut reached = Reached {
            sockets: place.sockets().to_string_lossy().into_owned(),
            port,
            user: "postgres".to_owned(),
            database: named.unwrap_or_else(|| "postgres".to_owned()),
            options,
        };
        let roles = ["postgres".to_owned(), crate::world::host::account()].into_iter().chain(user_of(policy));
        let mut first: Option<Fault> = None;
        for role in roles {
            reached.user = role;
            for database in databases {
                match reached.connect(database).and_then(|mut connection| superuser(&mut connection)) {
                    Ok(user) => {
                        reached.user = user;
                        return Ok(reached);
                    }
                    Err(fault) => _ = first.get_or_insert(fault),
                }
            }
        }
        let passing = first.as_ref().is_some_and(Fault::is_transient);
        let why = first.map_or_else(String::new, |fault| format!(": {}", fault.message));
        let message = format!("the throw-away server runs and cannot be asked{why}");
        Err(RestoreFault::new(message, "`--keep` leaves it running, to be looked at.").passing_if(passing))
    }

    pub fn connect(&self, database: &str) -> Result<Connection, Fault> {
        Connection::connect(&self.settings(database)?)
    }

    pub fn settings(&self, database: &str) -> Result<Settings, Fault> {
        let text = format!("host={} port={} user={} connect_timeout=10", value(&self.sockets), self.port, value(&self.user));
        let mut settings = Settings::read(&text)?.with_dbname(database);
        if self.options.is_some() {
            settings.options.clone_from(&self.options);
        }
        Ok(settings)
    }

    /// For programs that use libpq.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.sockets.clone()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
        ]
    }
}

/// Its number is the same in every cluster.
fn superuser(connection: &mut Connection) -> Result<String, Fault> {
    let rows = connection.query("select rolname from pg_catalog.pg_roles where oid = 10", &[])?;
    Ok(rows.one()?.text("rolname")?.to_owned())
}

/// Of the original's connection, where it is written as words.
fn user_of(policy: &Policy) -> Option<String> {
    let text = policy.file.cluster.as_ref()?.connection.as_ref()?;
    let user = text.split_ascii_whitespace().find_map(|word| word.strip_prefix("user="))?;
    Some(user.trim_matches('\'').to_owned())
}

/// As a connection string takes it.
fn value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
