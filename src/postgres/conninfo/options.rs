//! The words of a connection string, by what they mean here.

use super::super::fault::Fault;
use crate::units::nearest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Read, and acted on.
    Taken,
    /// Read, and of no meaning here: it changes nothing about safety.
    Idle,
    /// It would make the connection safer, and it is not built: refused rather than ignored.
    Missing,
}

/// Name, environment variable, use.
pub(super) const OPTIONS: &[(&str, Option<&str>, Use)] = &[
    ("service", Some("PGSERVICE"), Use::Taken),
    ("host", Some("PGHOST"), Use::Taken),
    ("hostaddr", Some("PGHOSTADDR"), Use::Taken),
    ("port", Some("PGPORT"), Use::Taken),
    ("dbname", Some("PGDATABASE"), Use::Taken),
    ("user", Some("PGUSER"), Use::Taken),
    ("password", Some("PGPASSWORD"), Use::Taken),
    ("passfile", Some("PGPASSFILE"), Use::Taken),
    ("channel_binding", Some("PGCHANNELBINDING"), Use::Taken),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT"), Use::Taken),
    ("options", Some("PGOPTIONS"), Use::Taken),
    ("application_name", Some("PGAPPNAME"), Use::Taken),
    ("fallback_application_name", None, Use::Taken),
    ("keepalives", None, Use::Taken),
    ("keepalives_idle", None, Use::Taken),
    ("keepalives_interval", None, Use::Taken),
    ("keepalives_count", None, Use::Taken),
    ("tcp_user_timeout", None, Use::Taken),
    ("sslmode", Some("PGSSLMODE"), Use::Taken),
    ("sslnegotiation", Some("PGSSLNEGOTIATION"), Use::Taken),
    ("sslcert", Some("PGSSLCERT"), Use::Taken),
    ("sslkey", Some("PGSSLKEY"), Use::Taken),
    ("sslrootcert", Some("PGSSLROOTCERT"), Use::Taken),
    ("sslsni", Some("PGSSLSNI"), Use::Taken),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), Use::Taken),
    ("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), Use::Taken),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS"), Use::Taken),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Use::Idle),
    ("client_encoding", Some("PGCLIENTENCODING"), Use::Idle),
    ("replication", None, Use::Idle),
    ("sslcompression", Some("PGSSLCOMPRESSION"), Use::Idle),
    ("sslcertmode", Some("PGSSLCERTMODE"), Use::Taken),
    ("gssencmode", Some("PGGSSENCMODE"), Use::Taken),
    ("gssdelegation", Some("PGGSSDELEGATION"), Use::Idle),
    ("krbsrvname", Some("PGKRBSRVNAME"), Use::Idle),
    ("gsslib", Some("PGGSSLIB"), Use::Idle),
    ("min_protocol_version", Some("PGMINPROTOCOLVERSION"), Use::Idle),
    ("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), Use::Idle),
    ("require_auth", Some("PGREQUIREAUTH"), Use::Missing),
    ("requirepeer", Some("PGREQUIREPEER"), Use::Missing),
    ("sslcrl", Some("PGSSLCRL"), Use::Missing),
    ("sslcrldir", Some("PGSSLCRLDIR"), Use::Missing),
    ("sslpassword", None, Use::Missing),
];

/// Is it a word that a connection string may hold? A word that is none is not repeated: it may be a piece of a password that
/// should have been quoted.
pub(super) fn check(name: &str, place: &str) -> Result<(), Fault> {
    if OPTIONS.iter().any(|(known, ..)| *known == name) {
        return Ok(());
    }
    let hint = match nearest(name, OPTIONS.iter().map(|(known, ..)| *known)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "The words are those of psql: host, port, dbname, user, sslmode and so on; values with spaces stand in single quotes."
            .to_owned(),
    };
    Err(Fault::config(format!("{place} is no option that psql knows"), hint))
}
