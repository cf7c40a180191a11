//! Who else of the cluster answers: the old primary, wherever the policy or the standby itself says it is, and other standbys.

use std::time::Duration;

use super::server::Seen;
use crate::inventory::SystemIdentifier;
use crate::policy::file::HostRole;
use crate::postgres::conninfo::{SslMode, whereabouts};
use crate::postgres::{Connection, Fault, FaultKind, Settings};
use crate::site::Site;
use crate::units::{Lsn, Timeline};
use crate::world::parallel;

const PATIENCE: Duration = Duration::from_secs(5);

/// A server that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Who says that it is there: `cluster.connection`, `cluster.hosts.db-1`, `primary_conninfo`.
    pub named_by: String,
    pub at: String,
    pub answer: Answer,
    /// It may be the primary. Otherwise the policy says that it is a standby.
    pub may_be_primary: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Primary {
        at: Lsn,
        timeline: Timeline,
    },
    /// Another one, or the one that is to be promoted.
    Standby {
        received: Option<Lsn>,
    },
    /// A server of another cluster.
    Stranger(SystemIdentifier),
    /// Something answers and tells us nothing: it may take writes.
    Answers(String),
    /// It could not even be tried, because of what is wrong here.
    NotAsked(String),
    Silent(String),
}

impl Asked {
    /// It takes writes, or may.
    pub fn is_alive(&self) -> bool {
        match &self.answer {
            Answer::Primary { .. } => true,
            Answer::Answers(_) | Answer::NotAsked(_) => self.may_be_primary,
            _ => false,
        }
    }

    /// Where a fence has to reach.
    pub fn may_be_the_old_one(&self) -> bool {
        self.may_be_primary && !matches!(self.answer, Answer::Standby { .. } | Answer::Stranger(_))
    }

    pub fn says(&self) -> String {
        let said = match &self.answer {
            Answer::Primary { at, .. } => format!("answers and TAKES WRITES, at {at}"),
            Answer::Standby { received } => received.map_or_else(|| "is a standby".to_owned(), |at| format!("is a standby, at {at}")),
            Answer::Stranger(number) => format!("is another cluster ({number})"),
            Answer::Answers(what) => format!("answers, and tells nothing: {what}"),
            Answer::NotAsked(why) => format!("cannot be asked from here: {why}"),
            Answer::Silent(why) => format!("does not answer: {why}"),
        };
        format!("{} ({}) {said}", self.at, self.named_by)
    }
}

/// Whom to ask, and who says that it is there.
struct Door {
    named_by: String,
    /// Of one target, or why it cannot be tried.
    settings: Result<Settings, String>,
    may_be_primary: bool,
}

impl Door {
    fn at(&self) -> String {
        self.settings.as_ref().map_or_else(|_| self.named_by.clone(), |settings| settings.targets[0].to_string())
    }
}

#[derive(Default)]
struct Doors(Vec<Door>);

impl Doors {
    fn add(&mut self, named_by: &str, settings: Result<Settings, String>, may_be_primary: bool) {
        let settings = match settings {
            Ok(settings) => settings,
            // Whom we cannot ask may be the one who takes writes: that is no silence.
            Err(why) => return self.0.push(Door { named_by: named_by.to_owned(), settings: Err(why), may_be_primary }),
        };
        for target in &settings.targets {
            let at = target.to_string();
            match self.0.iter_mut().find(|known| known.settings.is_ok() && known.at() == at) {
                Some(known) => known.may_be_primary |= may_be_primary,
                None => {
                    let mut one = settings.clone();
                    one.targets = vec![target.clone()];
                    one.attributes = crate::postgres::conninfo::Attributes::Any;
                    one.connect_timeout = one.connect_timeout.min(PATIENCE);
                    self.0.push(Door { named_by: named_by.to_owned(), settings: Ok(one), may_be_primary });
                }
            }
        }
    }

    /// Those that the policy names, but this host's own.
    fn of(site: &Site<'_>, own: Option<&str>) -> Doors {
        let mut doors = Doors::default();
        let cluster = site.policy.file.cluster.as_ref();
        if cluster.is_some_and(|cluster| cluster.connection.is_some()) {
            doors.add("cluster.connection", site.cluster_connection().map_err(|fault| fault.message), true);
        }
        for (name, host) in &site.policy.hosts {
            let role = matches!(host.role, HostRole::Primary | HostRole::Standby);
            if let Some(text) = host.connection.as_deref().filter(|_| role && Some(name.as_str()) != own) {
                let settings = site.server_at(text).map_err(|fault| fault.message);
                doors.add(&format!("cluster.hosts.{name}"), settings, host.role == HostRole::Primary);
            }
        }
        doors
    }

    /// As the standby itself knows it; its account need not be allowed into a database, and then that it answers is what counts.
    fn add_primary(&mut self, conninfo: &str) {
        if conninfo.is_empty() {
            return;
        }
        // What it says may be more than we understand; then it is only seen whether anybody is there.
        let somebody = || whereabouts(conninfo).and_then(|at| Settings::read(&at));
        let settings = Settings::read(conninfo).or_else(|fault| somebody().map_err(|_| fault));
        let settings = settings.map(|settings| settings.with_dbname("postgres"));
        self.add("primary_conninfo", settings.map_err(|fault| fault.message), true);
    }

    fn ask(self, cluster: SystemIdentifier) -> Vec<Asked> {
        let answers = parallel::map_with(self.0.len().clamp(1, 8), &self.0, &|door| match &door.settings {
            Ok(settings) => answer(settings, cluster),
            Err(why) => Answer::NotAsked(why.clone()),
        });
        let each = self.0.into_iter().zip(answers);
        each.map(|(door, answer)| Asked { at: door.at(), named_by: door.named_by, answer, may_be_primary: door.may_be_primary }).collect()
    }
}

/// Asks all of them, each server once.
pub fn ask(site: &Site<'_>, seen: &Seen) -> Vec<Asked> {
    let mut doors = Doors::of(site, Some(site.host()));
    doors.add_primary(&seen.primary_conninfo);
    doors.ask(seen.cluster)
}

/// Asks those that the policy names, this host's own too: a restored copy stands on any of them.
pub fn ask_all(site: &Site<'_>, cluster: SystemIdentifier) -> Vec<Asked> {
    Doors::of(site, None).ask(cluster)
}

fn answer(settings: &Settings, cluster: SystemIdentifier) -> Answer {
    let mut connection = match Connection::connect(settings) {
        Ok(connection) => connection,
        // A certificate that is not here, say. Whether anybody is there at all can be seen without it.
        Err(fault) if fault.kind == FaultKind::Config => {
            let mut plain = settings.clone();
            plain.tls.mode = SslMode::Disable;
            let nobody = Connection::connect(&plain).is_err_and(|fault| fault.kind == FaultKind::Unreachable);
            return if nobody { Answer::Silent(fault.message) } else { Answer::NotAsked(fault.message) };
        }
        Err(fault) => return of_fault(fault),
    };
    match asked(&mut connection, cluster) {
        Ok(answer) => answer,
        Err(fault) => Answer::Answers(fault.message),
    }
}

fn asked(connection: &mut Connection, ours: SystemIdentifier) -> Result<Answer, Fault> {
    const SQL: &str = "select (select system_identifier::text from pg_catalog.pg_control_system()) as cluster, pg_catalog.pg_is_in_recovery() as standby, \
         case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn() else pg_catalog.pg_current_wal_lsn() end::text as at, \
         case when not pg_catalog.pg_is_in_recovery() then \
             ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int::text end as timeline";
    let rows = connection.query(SQL, &[])?;
    let row = rows.one()?;
    let number: i64 = row.parse("cluster")?;
    let number: SystemIdentifier =
        (number as u64).to_string().parse().map_err(|_| Fault::unexpected("its system identifier cannot be read", ""))?;
    Ok(if number != ours {
        Answer::Stranger(number)
    } else if row.flag("standby")? {
        Answer::Standby { received: row.parse_if("at")? }
    } else {
        Answer::Primary { at: row.parse("at")?, timeline: row.parse("timeline")? }
    })
}

/// Only who cannot be reached at all is silent. One that refuses us is there, and one that takes the connection and says nothing may be
/// overloaded, or stopped for a moment.
fn of_fault(fault: Fault) -> Answer {
    match fault.kind {
        FaultKind::Unreachable => Answer::Silent(fault.message),
        _ => Answer::Answers(fault.message),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn at(port: u16, more: &str) -> Settings {
        let mut settings = Settings::read(&format!("host=127.0.0.1 port={port} user=nobody {more}")).expect("settings");
        settings.connect_timeout = Duration::from_millis(300);
        settings
    }

    #[test]
    fn only_who_is_not_there_is_silent() {
        let cluster: SystemIdentifier = "7".parse().expect("a number");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let lacks = "sslmode=verify-full sslrootcert=/nowhere/root.crt";
        // It takes the connection and says nothing.
        assert!(matches!(answer(&at(port, "sslmode=disable"), cluster), Answer::Answers(_)));
        assert!(matches!(answer(&at(port, lacks), cluster), Answer::NotAsked(_)));
        drop(listener);
        assert!(matches!(answer(&at(port, "sslmode=disable"), cluster), Answer::Silent(_)));
        assert!(matches!(answer(&at(port, lacks), cluster), Answer::Silent(_)));
    }

    #[test]
    fn where_it_leads_is_known_of_what_is_not_understood() {
        let text = "host=10.0.0.7,db-2 port=6432 user=replicator require_auth=scram-sha-256";
        assert!(Settings::read(text).is_err());
        let settings = Settings::read(&whereabouts(text).expect("two places")).expect("settings");
        let at: Vec<String> = settings.targets.iter().map(ToString::to_string).collect();
        assert!(at.len() == 2 && at[0].contains("10.0.0.7") && at[1].contains("db-2") && at[1].contains("6432"), "{at:?}");
    }

    #[test]
    fn who_cannot_be_asked_may_be_the_primary() {
        let mut doors = Doors::default();
        doors.add("cluster.connection", Err("the password file cannot be read".to_owned()), true);
        doors.add("cluster.hosts.db-3", Err("no such service".to_owned()), false);
        let asked = |door: &Door| Asked {
            named_by: door.named_by.clone(),
            at: door.at(),
            answer: Answer::NotAsked(String::new()),
            may_be_primary: door.may_be_primary,
        };
        assert_eq!(doors.0.iter().map(|door| asked(door).is_alive()).collect::<Vec<_>>(), [true, false]);
    }
}
