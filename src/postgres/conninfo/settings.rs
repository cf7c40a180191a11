//! What a connection string comes to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::super::fault::Fault;
use super::list::{self, Host, Target};
use super::options::{OPTIONS, Use};
use super::outside::{self, Outside};
use super::text::{self, Words};
use super::{passfile, service};

/// How to reach a server, with nothing left to look up but names in DNS.
#[derive(Clone)]
pub struct Settings {
    /// In the order to try them.
    pub targets: Vec<Target>,
    pub dbname: String,
    /// The text itself says which database, or a service that it names; not only the environment, or nobody.
    pub names_database: bool,
    pub user: String,
    pub(in super::super) password: Option<SecretString>,
    /// Who said the password and the database, for whoever has to mend them.
    pub(in super::super) said_by: SaidBy,
    pub tls: Tls,
    pub channel_binding: ChannelBinding,
    /// For each target: from the first packet to the server's first "ready".
    pub connect_timeout: Duration,
    pub application_name: String,
    /// Command-line options for the server process.
    pub options: Option<String>,
    pub attributes: Attributes,
    pub keepalive: Option<Keepalive>,
    /// What was left aside, for people.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub(in super::super) struct SaidBy {
    /// As words after "it came from"; a file of passwords where nothing else said one.
    pub password: Option<String>,
    /// As a sentence.
    pub database: String,
}

/// How the channel is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub mode: SslMode,
    /// The first bytes are TLS's, without PostgreSQL's question before it (17 and later).
    pub direct: bool,
    pub roots: Roots,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub sni: bool,
    pub at_least: TlsVersion,
    pub at_most: TlsVersion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Nothing was said, and there is no ~/.postgresql/root.crt.
    None,
    File(PathBuf),
    /// The machine's own.
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// Which server of several will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// How a silent TCP connection is kept and watched. `None` leaves it to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    pub idle: Duration,
    pub interval: Duration,
    pub count: u32,
    /// How long sent data may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

impl Settings {
    /// What `psql` would make of this text on this machine, now.
    pub fn read(text: &str) -> Result<Settings, Fault> {
        outside::machine(|outside| Settings::resolve(text, outside))
    }

    /// What is wrong with the text itself, on whatever machine: nothing of the environment, of a service or of a file counts.
    pub fn check(text: &str) -> Result<(), Fault> {
        let nowhere = Outside {
            env: &|_| None,
            home: Some(PathBuf::from("/")),
            user: Some("nobody".to_owned()),
            file: &|_| None,
            // What it names may be there.
            exists: &|_| true,
        };
        let mut words = text::read(text)?;
        words.retain(|(name, _)| name != "service");
        let of_text = words.len();
        Settings::of(&Said { words, of_environment: 0, of_text, service: None, names_database: false }, &nowhere).map(drop)
    }

    /// The same as a function. What the text says goes before its service, that before the environment, that before defaults.
    pub fn resolve(text: &str, outside: &Outside<'_>) -> Result<Settings, Fault> {
        Settings::of(&Said::gather(text, outside)?, outside)
    }

    fn of(said: &Said, outside: &Outside<'_>) -> Result<Settings, Fault> {
        said.refuse_missing()?;
        let sockets = ["/var/run/postgresql", "/tmp"].into_iter().find(|path| (outside.exists)(path.as_ref())).unwrap_or("/tmp");
        let user = said
            .get("user")
            .map(str::to_owned)
            .or_else(|| outside.user.clone())
            .ok_or_else(|| Fault::config("it is not known who this runs as", "Name a user in the connection string."))?;
        let mut settings = Settings {
            targets: list::targets(said.or_empty("host"), said.or_empty("hostaddr"), said.or_empty("port"), sockets)?,
            dbname: said.get("dbname").unwrap_or(&user).to_owned(),
            names_database: said.names_database,
            password: said.get("password").map(SecretString::from),
            said_by: SaidBy { password: said.place_of("password"), database: said.database_place() },
            tls: tls(said, outside)?,
            channel_binding: choose(said, "channel_binding", ChannelBinding::Prefer, &BINDINGS)?,
            connect_timeout: connect_timeout(said)?,
            application_name: said.get("application_name").or(said.get("fallback_application_name")).unwrap_or("seawall").to_owned(),
            options: said.get("options").map(str::to_owned),
            attributes: choose(said, "target_session_attrs", Attributes::Any, &ATTRIBUTES)?,
            keepalive: keepalive(said)?,
            warnings: Vec::new(),
            user,
        };
        if settings.password.is_none() {
            settings.look_up_passwords(said, outside, sockets);
        }
        Ok(settings)
    }

    /// The password of a policy goes before any other.
    #[must_use]
    pub fn with_password(mut self, password: SecretString) -> Settings {
        self.password = Some(password);
        self.said_by.password = Some("the policy's `cluster.password`".to_owned());
        self
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_dbname(mut self, dbname: impl Into<String>) -> Settings {
        self.dbname = dbname.into();
        let named = "It is named where the policy lists databases (`cluster.databases`), or on the command line; `psql -l` shows those that are there.";
        named.clone_into(&mut self.said_by.database);
        self
    }

    fn look_up_passwords(&mut self, said: &Said, outside: &Outside<'_>, sockets: &str) {
        let own = || outside.home.as_ref().map(|home| home.join(".pgpass"));
        let Some(path) = said.get("passfile").map(PathBuf::from).or_else(own) else { return };
        let Some(file) = (outside.file)(&path) else { return };
        self.said_by.password = Some(format!("the password file `{}`", path.display()));
        if let Some(objection) = passfile::objection(&path, &file) {
            self.warnings.push(objection);
            return;
        }
        for target in &mut self.targets {
            let host = match &target.host {
                Host::Socket(directory) if directory.as_os_str() == sockets => "localhost".to_owned(),
                Host::Socket(directory) => directory.display().to_string(),
                Host::Tcp { name, .. } => name.clone(),
            };
            let find = |dbname: &str| passfile::find(&file.text, &host, target.port, dbname, &self.user);
            (target.password, target.replication_password) = (find(&self.dbname), find("replication").or_else(|| find(&self.dbname)));
        }
    }
}

/// All words, by whom they were said.
struct Said {
    /// Of the environment, of a service, and of the text itself; what comes later counts.
    words: Words,
    /// How many of them are the environment's.
    of_environment: usize,
    /// How many are the text's own.
    of_text: usize,
    service: Option<String>,
    names_database: bool,
}

impl Said {
    fn gather(text: &str, outside: &Outside<'_>) -> Result<Said, Fault> {
        let written = text::read(text)?;
        let last = |words: &Words, name: &str| words.iter().rev().find(|(word, _)| word == name).map(|(_, value)| value.clone());
        let of_text = last(&written, "service");
        let is_own = of_text.is_some();
        let service = of_text.or_else(|| outside.env("PGSERVICE")).filter(|name| !name.is_empty());
        let names_database = |words: &Words| last(words, "dbname").is_some_and(|name| !name.is_empty());
        let mut named = names_database(&written);
        let mut words: Words =
            OPTIONS.iter().filter_map(|(name, variable, _)| Some(((*name).to_owned(), outside.env((*variable)?)?))).collect();
        let (of_environment, of_text) = (words.len(), written.len());
        if let Some(service) = &service {
            let of_service = service::read(service, outside)?;
            named |= is_own && names_database(&of_service);
            words.extend(of_service);
        }
        words.extend(written);
        Ok(Said { words, of_environment, of_text, service, names_database: named })
    }

    /// The last word counts; an empty value says nothing.
    fn get(&self, name: &str) -> Option<&str> {
        self.words.iter().rev().find(|(word, _)| word == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Where the word that counts was written.
    fn place_of(&self, name: &str) -> Option<String> {
        let at = self.words.iter().rposition(|(word, _)| word == name).filter(|at| !self.words[*at].1.is_empty())?;
        let variable = || OPTIONS.iter().find(|(option, ..)| *option == name).and_then(|(_, variable, _)| *variable).unwrap_or_default();
        Some(match &self.service {
            _ if at >= self.words.len() - self.of_text => "the connection string (`cluster.connection`)".to_owned(),
            Some(service) if at >= self.of_environment => format!("the service `{service}`"),
            _ => format!("the environment's {}", variable()),
        })
    }

    fn database_place(&self) -> String {
        match self.place_of("dbname") {
            Some(place) => format!("It is named by `dbname` of {place}."),
            None => "Nobody names one, so it is the user's name: write `dbname=…` into `cluster.connection`.".to_owned(),
        }
    }

    fn or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn refuse_missing(&self) -> Result<(), Fault> {
        let missing = OPTIONS.iter().find(|(name, _, usage)| *usage == Use::Missing && self.get(name).is_some());
        if let Some((name, ..)) = missing {
            return Err(Fault::config(
                format!("`{name}` is not understood here"),
                "Seawall does not connect with less safety than was asked for.",
            ));
        }
        if self.get("gssencmode") == Some("require") {
            return Err(Fault::config("`gssencmode=require` cannot be met", "Seawall speaks TLS only: use `sslmode=verify-full`."));
        }
        Ok(())
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Fault> {
        let wrong =
            |text: &str| Fault::config(format!("{name} `{}` is no whole number", crate::units::clipped(text)), "Write digits only.");
        self.get(name).map(|text| text.trim().parse().map_err(|_| wrong(text))).transpose()
    }
}

const MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];
const BINDINGS: [(&str, ChannelBinding); 3] =
    [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];
const ATTRIBUTES: [(&str, Attributes); 6] = [
    ("any", Attributes::Any),
    ("read-write", Attributes::ReadWrite),
    ("read-only", Attributes::ReadOnly),
    ("primary", Attributes::Primary),
    ("standby", Attributes::Standby),
    ("prefer-standby", Attributes::PreferStandby),
];
/// Older ones than 1.2 are not spoken, so asking for at least them asks for nothing.
const VERSIONS: [(&str, TlsVersion); 4] =
    [("TLSv1", TlsVersion::V1_2), ("TLSv1.1", TlsVersion::V1_2), ("TLSv1.2", TlsVersion::V1_2), ("TLSv1.3", TlsVersion::V1_3)];

fn choose<T: Copy>(said: &Said, name: &str, default: T, choices: &[(&str, T)]) -> Result<T, Fault> {
    let Some(word) = said.get(name) else { return Ok(default) };
    choices.iter().find(|(choice, _)| *choice == word).map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
        Fault::config(format!("{name} cannot be `{}`", crate::units::clipped(word)), format!("It is one of {}.", all.join(", ")))
    })
}

fn tls(said: &Said, outside: &Outside<'_>) -> Result<Tls, Fault> {
    let own = |name: &str| outside.home.as_ref().map(|home| home.join(".postgresql").join(name)).filter(|path| (outside.exists)(path));
    let roots = match said.get("sslrootcert") {
        Some("system") => Roots::System,
        Some(path) => Roots::File(path.into()),
        None => own("root.crt").map_or(Roots::None, Roots::File),
    };
    let default = if roots == Roots::System { SslMode::VerifyFull } else { SslMode::Prefer };
    let mode = choose(said, "sslmode", default, &MODES)?;
    let direct = choose(said, "sslnegotiation", false, &[("postgres", false), ("direct", true)])?;
    if roots == Roots::System && mode < SslMode::VerifyFull {
        let message = "`sslrootcert=system` needs `sslmode=verify-full`";
        return Err(Fault::config(message, "Anybody can have a certificate that the system trusts; only its name tells who it is."));
    }
    if direct && mode < SslMode::Require {
        return Err(Fault::config("`sslnegotiation=direct` needs `sslmode=require` or more", "Set sslmode."));
    }
    if mode >= SslMode::VerifyCa && roots == Roots::None {
        let message = "no root certificate is known to verify the server with";
        return Err(Fault::config(message, "Give `sslrootcert` (a file, or `system`), or put it into ~/.postgresql/root.crt."));
    }
    let at_least = choose(said, "ssl_min_protocol_version", TlsVersion::V1_2, &VERSIONS)?;
    let at_most = choose(said, "ssl_max_protocol_version", TlsVersion::V1_3, &VERSIONS[2..])?;
    if at_least > at_most {
        return Err(Fault::config("ssl_min_protocol_version is above ssl_max_protocol_version", "Leave out one of them."));
    }
    let shown = choose(said, "sslcertmode", true, &[("allow", true), ("disable", false)])?;
    let certificate = said.get("sslcert").map(PathBuf::from).or_else(|| own("postgresql.crt")).filter(|_| shown);
    let key = said.get("sslkey").map(PathBuf::from).or_else(|| own("postgresql.key"));
    let sni = said.get("sslsni") != Some("0");
    Ok(Tls { mode, direct, roots, certificate, key, sni, at_least, at_most })
}

/// Nothing waits for ever here: where libpq takes 0 for that, it is the default.
fn connect_timeout(said: &Said) -> Result<Duration, Fault> {
    const DEFAULT: Duration = Duration::from_secs(30);
    const LEAST: i64 = 2;
    Ok(match said.number("connect_timeout")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.max(LEAST).unsigned_abs()),
        _ => DEFAULT,
    })
}

fn keepalive(said: &Said) -> Result<Option<Keepalive>, Fault> {
    if said.number("keepalives")? == Some(0) {
        return Ok(None);
    }
    let or = |name, default: u64| -> Result<u64, Fault> {
        Ok(said.number(name)?.and_then(|given| u64::try_from(given).ok()).filter(|given| *given > 0).unwrap_or(default))
    };
    let user_timeout = Some(or("tcp_user_timeout", 0)?).filter(|ms| *ms > 0).map(Duration::from_millis);
    Ok(Some(Keepalive {
        // A backup leaves its session silent for as long as it copies; firewalls forget such connections within minutes.
        idle: Duration::from_secs(or("keepalives_idle", 60)?),
        interval: Duration::from_secs(or("keepalives_interval", 15)?),
        count: u32::try_from(or("keepalives_count", 8)?).unwrap_or(8),
        user_timeout,
    }))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("targets", &self.targets)
            .field("dbname", &self.dbname)
            .field("user", &self.user)
            .field("has_password", &self.password.as_ref().is_some_and(|password| !password.expose_secret().is_empty()))
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
