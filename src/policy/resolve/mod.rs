//! The file → a policy that cannot be wrong in itself. Names are looked up, schedules read, choices made, defaults filled in;
//! what is wrong is reported, all of it at once.

mod alerts;
mod backups;
mod clock;
mod encryption;
mod expectations;
mod objectives;
mod people;
mod rehearsals;
mod stores;
mod timescale;
mod usage;

use std::collections::BTreeMap;
use std::fmt::Display;

use super::definition::definition;
use super::document::Document;
use super::file::{self, PolicyFile};
use super::finding::{Code, Finding};
use super::model::{Drill, Expire, Policy};
use super::path::PolicyPath;
use crate::schedule::Zone;
use crate::units::{Duration, Name, Percent, nearest};
use rehearsals::Kept;

const UNKNOWN_NAME: Code = Code(202);
const SECTION_MISSING: Code = Code(204);
const AMBIGUOUS: Code = Code(208);
const REVIEW_DUE: Code = Code(219);
const HOLD_ENDED: Code = Code(220);

/// What came of it. The policy is there when nothing is wrong with it.
#[derive(Debug)]
pub struct Resolved {
    pub policy: Option<Policy>,
    pub findings: Vec<Finding>,
}

/// Gives a document its meaning. `today` decides what is overdue.
pub fn resolve(document: &Document, today: jiff::civil::Date) -> Resolved {
    // Of a policy whose base cannot be read, nobody knows what it lacks.
    let Some(file) = document.file.as_ref().filter(|_| !document.is_abstract && !document.is_partial) else {
        return Resolved { policy: None, findings: Vec::new() };
    };
    let mut resolver = Resolver { file, zone: Zone::utc(), findings: Vec::new(), cut: &document.cut, today };
    let policy = resolver.policy(document);
    let mut findings = resolver.findings;
    // What was cut out of the tree was reported already; that it is missing is no news.
    findings.retain(|finding| !document.cut.iter().any(|cut| finding.path.steps().len() > 1 && cut.starts_with(&finding.path)));
    for finding in &mut findings {
        document.locate(finding);
    }
    let sound = document.is_sound() && !findings.iter().any(Finding::is_blocking);
    Resolved { policy: policy.filter(|_| sound), findings }
}

pub(super) struct Resolver<'d> {
    file: &'d PolicyFile,
    zone: Zone,
    findings: Vec<Finding>,
    cut: &'d [PolicyPath],
    today: jiff::civil::Date,
}

impl Resolver<'_> {
    fn policy(&mut self, document: &Document) -> Option<Policy> {
        let file = self.file;
        if let Some(zone) = self.zone_named(&file.timezone, &PolicyPath::from(["timezone"])) {
            self.zone = zone;
        }
        self.review();
        let windows = self.windows();
        let stores = self.stores();
        let encryption = self.encryption();
        let wal = self.wal();
        let backups = self.backups();
        let objectives = self.objectives();
        let mut drills = self.drills();
        self.rehearsals(&mut drills, &objectives, &Kept { backups: &backups, wal: wal.as_ref() });
        let verify = self.verify();
        let archives = self.archives();
        let (row_holds, backup_holds) = self.holds();
        let droppings = self.droppings(&archives, &row_holds);
        let duties = self.duties();
        let reports = self.reports();
        self.cluster();
        self.commands();
        self.alerts();
        self.contacts();
        self.usage();
        let expire = Expire {
            schedule: file
                .expire
                .as_ref()
                .and_then(|expire| expire.schedule.as_ref())
                .and_then(|schedule| self.schedule(schedule, &["expire", "schedule"].into())),
            grace: file.expire.as_ref().and_then(|expire| expire.grace).unwrap_or(Duration::from_hours(24)),
            brake: file.expire.as_ref().and_then(|expire| expire.brake).unwrap_or(Percent::new(20)),
        };
        let mut policy = Policy {
            name: file.policy.clone()?,
            digest: document.digest.clone(),
            file: document.file.clone()?,
            templates: document.templates.clone(),
            zone: self.zone.clone(),
            databases: file.cluster.as_ref().map(|cluster| cluster.databases.clone()).unwrap_or_default(),
            hosts: file.cluster.as_ref().map(|cluster| cluster.hosts.clone()).unwrap_or_default(),
            objectives,
            stores,
            encryption,
            wal,
            backups,
            expire,
            verify,
            windows,
            drills,
            archives,
            droppings,
            row_holds,
            backup_holds,
            duties,
            reports,
        };
        let defined = |(name, drill): (&Name, &Drill)| Some((name.clone(), definition(&policy, file.drills.get(name)?, drill)));
        for (name, definition) in policy.drills.iter().filter_map(defined).collect::<Vec<_>>() {
            policy.drills.entry(name).and_modify(|drill| drill.definition = definition);
        }
        Some(policy)
    }

    fn review(&mut self) {
        if let Some(file::Date(due)) = self.file.review_by
            && due <= self.today
        {
            self.push(
                Finding::warning(REVIEW_DUE, ["review_by"].into(), format!("this policy was to be reviewed by {due}"))
                    .hint("Read it through with its owner, then set the next date."),
            );
        }
    }

    fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// It, or something in it, stood in the file and was cut out because of its form.
    fn was_cut_within(&self, path: &PolicyPath) -> bool {
        self.cut.iter().any(|cut| cut.starts_with(path))
    }

    /// It stood in the file and was cut out because of its form.
    fn was_cut(&self, path: &PolicyPath) -> bool {
        self.cut.contains(path)
    }

    /// Looks a name up; `section` is where such things are declared.
    fn refer<T>(&mut self, name: &Name, declared: &BTreeMap<Name, T>, section: &str, path: &PolicyPath) -> bool {
        self.refer_to(name.as_str(), declared.keys().map(Name::as_str), section, path)
    }

    fn refer_to<'k>(&mut self, name: &str, declared: impl Iterator<Item = &'k str> + Clone, section: &str, path: &PolicyPath) -> bool {
        let declared_at = PolicyPath::from(section.split('.').collect::<Vec<_>>().as_slice());
        // What could not be read as a whole may well have declared it.
        if declared.clone().any(|known| known == name) || self.was_cut(&declared_at) || self.was_cut(&declared_at.key(name)) {
            return true;
        }
        let known: Vec<&str> = declared.collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if known.is_empty() => format!("Declare it under `{section}`; there is nothing there yet."),
            None if known.len() == 1 => format!("Declare it under `{section}`, or use {}.", list(&known)),
            None => format!("Declare it under `{section}`, or use one of {}.", list(&known)),
        };
        self.push(
            Finding::error(UNKNOWN_NAME, path.clone(), format!("there is no `{section}.{name}`")).label("not declared anywhere").hint(hint),
        );
        false
    }

    /// The database meant where none is named: the only one there is.
    fn database(&mut self, named: Option<&String>, path: &PolicyPath) -> Option<String> {
        let known = self.file.cluster.as_ref().map(|cluster| cluster.databases.as_slice()).unwrap_or_default();
        if named.is_none() && (self.was_cut(&["cluster"].into()) || self.was_cut(&["cluster", "databases"].into())) {
            return None;
        }
        match (named, known) {
            (Some(name), []) => Some(name.clone()),
            (Some(name), known) => {
                self.refer_to(name, known.iter().map(String::as_str), "cluster.databases", &path.key("database")).then(|| name.clone())
            }
            (None, [only]) => Some(only.clone()),
            (None, []) if self.file.timescaledb.len() == 1 => self.file.timescaledb.keys().next().cloned(),
            (None, []) => {
                self.push(
                    Finding::error(AMBIGUOUS, path.clone(), "it is not said which database is meant")
                        .on_key()
                        .hint("Add `database: NAME`, or list the one there is in `cluster.databases`."),
                );
                None
            }
            (None, several) => {
                let names: Vec<&str> = several.iter().map(String::as_str).collect();
                self.push(
                    Finding::error(AMBIGUOUS, path.clone(), "it is not said which database is meant")
                        .on_key()
                        .hint(format!("Add `database:` with one of {}.", list(&names))),
                );
                None
            }
        }
    }

    fn cluster(&mut self) {
        let path = PolicyPath::from(["cluster"]);
        let Some(cluster) = &self.file.cluster else {
            if !self.was_cut(&path) {
                self.push(
                    Finding::error(SECTION_MISSING, PolicyPath::top(), "the policy says nothing of a cluster")
                        .hint("Add `cluster: { connection: service=NAME }`."),
                );
            }
            return;
        };
        if let Some(connection) = &cluster.connection {
            self.no_password(connection, &path.key("connection"));
        }
        for (name, host) in &cluster.hosts {
            if let Some(connection) = &host.connection {
                self.no_password(connection, &path.key("hosts").key(name).key("connection"));
            }
        }
        if let Some(directory) = &cluster.data_directory {
            self.absolute(directory, &path.key("data_directory"));
        }
        let mut seen: Vec<&String> = Vec::new();
        if let Some(roles) = &cluster.roles {
            for (key, role) in [("backup", &roles.backup), ("monitor", &roles.monitor)] {
                if let Some(role) = role {
                    self.sql_name(role, 1, &path.key("roles").key(key));
                }
            }
        }
        for (index, database) in cluster.databases.iter().enumerate() {
            if seen.contains(&database) {
                self.push(
                    Finding::warning(Code(203), path.key("databases").item(index), format!("`{database}` is listed twice"))
                        .hint("Take one of them out."),
                );
            }
            seen.push(database);
        }
    }

    /// The arguments of a command are seen by everyone on the host, and by everyone who reads the policy.
    fn commands(&mut self) {
        let file = self.file;
        let hooks = file.hooks.iter().flat_map(|hooks| {
            let all = [
                ("before_restore", &hooks.before_restore),
                ("after_restore", &hooks.after_restore),
                ("before_promote", &hooks.before_promote),
                ("after_promote", &hooks.after_promote),
            ];
            all.into_iter().filter_map(|(key, hook)| Some((PolicyPath::from(["hooks", key]), hook.as_ref()?)))
        });
        let drills =
            file.drills.iter().filter_map(|(name, drill)| Some((PolicyPath::from(["drills", name.as_str(), "run"]), drill.run.as_ref()?)));
        let rehearsals = file.drills.iter().flat_map(|(name, drill)| {
            let both = drill.promote.iter().flat_map(|promote| [("fence", &promote.fence), ("after", &promote.after)]);
            both.filter_map(move |(key, hook)| Some((PolicyPath::from(["drills", name.as_str(), "promote", key]), hook.as_ref()?)))
        });
        for (path, command) in hooks.chain(drills).chain(rehearsals).collect::<Vec<_>>() {
            for (index, argument) in command.run.iter().enumerate() {
                if !holds_password(argument) {
                    continue;
                }
                self.push(
                    Finding::error(Code(211), path.key("run").item(index), "a password must not stand in a command")
                        .masked()
                        .label("holds a password")
                        .hint(
                            "Let the program read it from a file or from its environment. Change the password: it has been written down.",
                        ),
                );
            }
        }
    }

    fn no_password(&mut self, connection: &str, path: &PolicyPath) {
        if holds_password(connection) {
            self.push(
                Finding::error(Code(211), path.clone(), "a password must not stand in a connection")
                    .masked()
                    .label("holds a password")
                    .hint("Take it out and add `password: { file: /path }` (or `env`, `credential`) beside it; .pgpass works as well. Change the password: it has been written down."),
            );
        }
    }

    fn absolute(&mut self, text: &str, path: &PolicyPath) {
        if !text.starts_with('/') {
            self.push(
                Finding::error(Code(217), path.clone(), format!("`{}` is not an absolute path", crate::units::clipped(text)))
                    .label("must begin with `/`")
                    .hint("A timer runs it from another directory than you do; write the whole path."),
            );
        }
    }
}

impl<'k> From<&[&'k str]> for PolicyPath {
    fn from(keys: &[&'k str]) -> Self {
        keys.iter().fold(PolicyPath::top(), |path, key| path.key(key))
    }
}

/// Names for a hint: `a`, `b` or `c`.
fn list<T: Display>(names: &[T]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    match shown.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

/// In an address or in words, with blanks around the sign, as libpq takes it; the keys of an address may be encoded.
fn holds_password(connection: &str) -> bool {
    let lower = connection.to_lowercase();
    let in_address = lower
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .is_some_and(|(user, _)| user.contains(':') && !user.ends_with(':'));
    let plain = decoded(&lower);
    let behind_key = plain.match_indices('=').any(|(at, _)| {
        let before = plain[..at].trim_end_matches(|c: char| c.is_whitespace() || c == '\\');
        let key = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        let value = plain[at + 1..].trim_start();
        (key.ends_with("password") || key.ends_with("token") || key.ends_with("secret")) && !value.is_empty() && !value.starts_with('&')
    });
    in_address || behind_key
}

/// `%77` is `w`. What is not ASCII is no key, and stays.
pub fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii_graphic);
        match code {
            Some(code) => {
                plain.push(char::from(code).to_ascii_lowercase());
                plain.push_str(&part[2..]);
            }
            None => {
                plain.push('%');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::holds_password;

    #[test]
    fn a_password_is_found_however_libpq_would_read_it() {
        for text in [
            "host=db password=x",
            "host=db password= 'x y'",
            "host=db PASSWORD = 'x y'",
            "host=db password\t=\tx",
            "host=db sslpassword= x",
            "postgres://me:x@db/app",
            "postgres://db/app?password=x",
            "postgres://db/app?user=me&pass%77ord=x",
            "postgres://db/app?sslpassword=x",
            "postgres://db/app?oauth_client_secret=x",
            "--password=x",
            "PGPASSWORD=x",
            "--api-token=x",
        ] {
            assert!(holds_password(text), "{text}");
        }
        for text in [
            "service=x",
            "host=db user=me passfile=/x require_auth=password",
            "postgres://me@db/app",
            "postgres://db/app?password=&user=me",
        ] {
            assert!(!holds_password(text), "{text}");
        }
    }
}
