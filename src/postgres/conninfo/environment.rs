//! A connection for PostgreSQL's own programs: everything but the database's name goes by their environment, so that nothing of it is in a
//! list of processes.

use std::ffi::OsString;
use std::fmt;
use std::process::Command;

use secrecy::ExposeSecret;

use super::settings::{ChannelBinding, Roots, SslMode, TlsVersion};
use super::{Host, Settings, Target};

/// What libpq reads. One of them may be a password.
pub struct Environment(Vec<(&'static str, OsString)>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Environment {
    /// Nothing else that the caller's environment says of servers reaches the program.
    pub fn apply(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.envs(self.0.iter().map(|(name, value)| (name, value)));
    }
}

impl Settings {
    /// The way to one of the targets, as libpq takes it.
    pub fn environment(&self, target: &Target) -> Environment {
        let mut all: Vec<(&'static str, OsString)> = Vec::new();
        let mut set = |name: &'static str, value: OsString| all.push((name, value));
        match &target.host {
            Host::Socket(directory) => set("PGHOST", directory.into()),
            Host::Tcp { name, address } => {
                set("PGHOST", name.into());
                if let Some(address) = address {
                    set("PGHOSTADDR", address.to_string().into());
                }
            }
        }
        set("PGPORT", target.port.to_string().into());
        set("PGUSER", self.user.clone().into());
        if let Some(password) = self.password.as_ref().or(target.password.as_ref()) {
            set("PGPASSWORD", password.expose_secret().into());
        }
        // Otherwise a file of the account's own would be asked that was not asked here.
        set("PGPASSFILE", "/dev/null/none".into());
        set("PGAPPNAME", self.application_name.clone().into());
        set("PGCONNECT_TIMEOUT", self.connect_timeout.as_secs().max(2).to_string().into());
        set("PGGSSENCMODE", "disable".into());
        if let Some(options) = &self.options {
            set("PGOPTIONS", options.into());
        }
        let binding = match self.channel_binding {
            ChannelBinding::Disable => "disable",
            ChannelBinding::Prefer => "prefer",
            ChannelBinding::Require => "require",
        };
        set("PGCHANNELBINDING", binding.into());
        self.tls_environment(&mut set);
        Environment(all)
    }

    fn tls_environment(&self, set: &mut impl FnMut(&'static str, OsString)) {
        let version = |version| match version {
            TlsVersion::V1_2 => "TLSv1.2",
            TlsVersion::V1_3 => "TLSv1.3",
        };
        let mode = match self.tls.mode {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        };
        set("PGSSLMODE", mode.into());
        match &self.tls.roots {
            Roots::None => {}
            Roots::File(path) => set("PGSSLROOTCERT", path.into()),
            Roots::System => set("PGSSLROOTCERT", "system".into()),
        }
        if let Some(certificate) = &self.tls.certificate {
            set("PGSSLCERT", certificate.into());
        }
        if let Some(key) = &self.tls.key {
            set("PGSSLKEY", key.into());
        }
        if self.tls.direct {
            set("PGSSLNEGOTIATION", "direct".into());
        }
        set("PGSSLSNI", if self.tls.sni { "1" } else { "0" }.into());
        set("PGSSLMINPROTOCOLVERSION", version(self.tls.at_least).into());
        set("PGSSLMAXPROTOCOLVERSION", version(self.tls.at_most).into());
    }

    /// A database's name for `--dbname`, which would take one with a `=` in it for a whole connection string.
    pub fn dbname_argument(&self, name: &str) -> String {
        let quoted = name.replace('\\', r"\\").replace('\'', r"\'");
        let mut text = format!("dbname='{quoted}'");
        if let Some(keepalive) = &self.keepalive {
            text.push_str(&format!(
                " keepalives_idle={} keepalives_interval={} keepalives_count={}",
                keepalive.idle.as_secs(),
                keepalive.interval.as_secs(),
                keepalive.count
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outside;
    use super::*;

    #[test]
    fn a_password_is_in_no_argument_and_in_no_debug_output() {
        let outside = Outside { env: &|_| None, home: None, user: None, file: &|_| None, exists: &|_| false };
        let settings = Settings::resolve("host=db,db2 port=5433 user=me password=hush sslmode=require", &outside).expect("settings");
        let environment = settings.environment(&settings.targets[1]);
        let value = |name: &str| environment.0.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.to_str());
        assert_eq!(
            [value("PGHOST"), value("PGPORT"), value("PGUSER"), value("PGPASSWORD"), value("PGSSLMODE")],
            [Some("db2"), Some("5433"), Some("me"), Some("hush"), Some("require")]
        );
        assert!(!format!("{environment:?}").contains("hush"));
        let named = settings.dbname_argument(r"a=b 'c' \");
        assert!(named.starts_with(r"dbname='a=b \'c\' \\' keepalives_idle=60"), "{named}");
    }
}
