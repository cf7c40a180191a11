//! What a job needs of its host: secrets, variables, files to write.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{EmitFault, Setting, quote};
use crate::policy::file::{HostRole, Secret};
use crate::policy::model::{Encryption, Method, Policy, StoreKind, Timed, TimedKind};

/// What is called by a unit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Called<'t> {
    Job(&'t Timed<'t>),
    Watch,
}

/// What a job needs of its host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Needs {
    /// Names of credentials.
    pub credentials: BTreeSet<String>,
    /// Names of environment variables.
    pub variables: BTreeSet<String>,
    /// Absolute paths beside the state directory.
    pub writes: BTreeSet<String>,
    pub reads: BTreeSet<String>,
    /// The cluster's files, where it reads those.
    pub data_directory: Option<String>,
    /// Stores in a cloud, whose credentials come from the environment or from files of the account.
    pub clouds: BTreeSet<&'static str>,
    /// The keyring of the account, in its home.
    pub keyring: bool,
    /// Programs of the policy run beside it.
    pub hooks: bool,
    /// It starts PostgreSQL.
    pub starts_server: bool,
    /// The temporary directory is not its own: something that it needs lies there, or holds it.
    pub shares_temporary: bool,
}

pub(super) fn needs(policy: &Policy, setting: &Setting, called: Called<'_>) -> Result<Needs, EmitFault> {
    let mut needs = Needs::default();
    for (secret, at) in secrets(policy, setting, called) {
        needs.secret(secret, &at)?;
    }
    for (name, store) in &policy.stores {
        match &store.kind {
            StoreKind::Local(local) => needs.write(&local.path, &format!("stores.{name}.local.path"))?,
            StoreKind::S3(s3) => {
                needs.clouds.insert("AWS_*");
                s3.ca.iter().try_for_each(|ca| needs.read(ca, &format!("stores.{name}.s3.ca")))?;
            }
            StoreKind::Azure(_) => _ = needs.clouds.insert("AZURE_*"),
            StoreKind::Gcs(_) => _ = needs.clouds.insert("GOOGLE_*"),
        }
    }
    let catalog = policy.file.catalog.as_ref().and_then(|catalog| catalog.sqlite.as_ref()?.path.as_deref());
    if let Some((directory, _)) = catalog.and_then(|path| path.rsplit_once('/')) {
        // SQLite keeps its log beside the file.
        needs.write(if directory.is_empty() { "/" } else { directory }, "catalog.sqlite.path")?;
    }
    if let Some(state) = &setting.state {
        needs.write(state, "the state directory")?;
    }
    if let Some(Encryption::OpenPgp(pgp)) = &policy.encryption {
        pgp.keys.iter().try_for_each(|keys| needs.read(keys, "encryption.openpgp.keys"))?;
        needs.keyring = pgp.keys.is_none();
    }
    needs.read(&setting.policy_file, "the policy's file")?;
    needs.read(&setting.program, "the program")?;
    for (name, drill) in policy.drills.iter().filter(|(name, _)| has_copies_of(called, name.as_str())) {
        if let Some(directory) = &drill.directory {
            needs.write(directory, &format!("drills.{name}.directory"))?;
        }
    }
    if let Called::Job(timed) = called {
        of_job(policy, timed, &mut needs)?;
    }
    needs.shares_temporary = shares_temporary(policy, &needs);
    Ok(needs)
}

/// The drill itself puts its copy there, and whoever watches removes what a killed one has left.
fn has_copies_of(called: Called<'_>, drill: &str) -> bool {
    match called {
        Called::Watch => true,
        Called::Job(timed) => timed.kind == TimedKind::Drill && timed.name() == Some(drill),
    }
}

fn of_job(policy: &Policy, timed: &Timed<'_>, needs: &mut Needs) -> Result<(), EmitFault> {
    let Some(name) = timed.name() else { return Ok(()) };
    if let (TimedKind::Backup, Some(backup), Some(written)) = (timed.kind, policy.backups.get(name), policy.file.backups.get(name)) {
        needs.hooks = written.before.is_some() || written.after.is_some() || matches!(backup.method, Method::Engine(_));
        let cluster = policy.file.cluster.as_ref();
        if let Some(directory) = cluster.and_then(|cluster| cluster.data_directory.as_ref()).filter(|_| backup.method.is_physical()) {
            needs.read(directory, "cluster.data_directory")?;
            needs.data_directory = Some(directory.clone());
        }
        if let Method::Files(files) = &backup.method {
            files.paths.iter().try_for_each(|path| needs.read(path, &format!("backups.{name}.files.paths")))?;
        }
    }
    if timed.kind == TimedKind::Drill {
        needs.starts_server = true;
        needs.hooks = policy.file.drills.get(name).is_some_and(|drill| {
            drill.run.is_some() || drill.promote.as_ref().is_some_and(|promote| promote.fence.is_some() || promote.after.is_some())
        });
    }
    Ok(())
}

/// The secrets of the policy that it has to read, each with its place.
fn secrets<'p>(policy: &'p Policy, setting: &Setting, called: Called<'_>) -> Vec<(&'p Secret, String)> {
    let mut found: Vec<(&Secret, String)> = Vec::new();
    let mut add = |secret: Option<&'p Secret>, at: String| found.extend(secret.map(|secret| (secret, at)));
    let file = &policy.file;
    add(file.catalog.as_ref().and_then(|catalog| catalog.postgres.as_ref()?.password.as_ref()), "catalog.postgres.password".into());
    let role = setting.host.as_ref().and_then(|host| policy.hosts.get(host)).map(|host| host.role);
    // Who restores and checks has no way to the original.
    if !matches!(role, Some(HostRole::Staging | HostRole::Verifier)) {
        add(file.cluster.as_ref().and_then(|cluster| cluster.password.as_ref()), "cluster.password".into());
    }
    let tells = match called {
        Called::Watch => true,
        Called::Job(timed) => timed.kind == TimedKind::Report,
    };
    if tells {
        for (name, receiver) in &file.receivers {
            let slack = receiver.slack.as_ref();
            add(slack.and_then(|slack| slack.webhook.as_ref()), format!("receivers.{name}.slack.webhook"));
            add(slack.and_then(|slack| slack.token.as_ref()), format!("receivers.{name}.slack.token"));
            add(receiver.pagerduty.as_ref().map(|duty| &duty.routing_key), format!("receivers.{name}.pagerduty.routing_key"));
            add(receiver.webhook.as_ref().map(|hook| &hook.url), format!("receivers.{name}.webhook.url"));
            add(receiver.webhook.as_ref().and_then(|hook| hook.sign_with.as_ref()), format!("receivers.{name}.webhook.sign_with"));
        }
        add(file.smtp.as_ref().and_then(|smtp| smtp.password.as_ref()), "smtp.password".into());
    }
    let heartbeat = file.alerts.as_ref().and_then(|alerts| alerts.heartbeat.as_ref()).filter(|_| matches!(called, Called::Watch));
    add(heartbeat.map(|heartbeat| &heartbeat.url), "alerts.heartbeat.url".into());
    for (name, backup) in &policy.backups {
        let is_it = match called {
            Called::Watch => true,
            Called::Job(timed) => timed.kind == TimedKind::Backup && timed.name() == Some(name.as_str()),
        };
        if let (Method::Provider(provider), true) = (&backup.method, is_it) {
            add(provider.aiven.as_ref().map(|aiven| &aiven.token), format!("backups.{name}.provider.aiven.token"));
        }
    }
    if opens_backups(policy, called) {
        let encryption = policy.encryption.as_ref();
        let kind = encryption.map_or("none", Encryption::word);
        add(encryption.and_then(Encryption::identity), format!("encryption.{kind}.identity"));
        add(encryption.and_then(Encryption::passphrase), format!("encryption.{kind}.passphrase"));
    }
    found
}

fn opens_backups(policy: &Policy, called: Called<'_>) -> bool {
    let Called::Job(timed) = called else { return false };
    match timed.kind {
        TimedKind::Drill => true,
        TimedKind::Verify => timed.name().and_then(|name| policy.verify.get(name)).is_some_and(|verify| verify.deep),
        _ => false,
    }
}

impl Needs {
    fn secret(&mut self, secret: &Secret, at: &str) -> Result<(), EmitFault> {
        if let Some(name) = &secret.credential {
            let good = !name.is_empty()
                && name.len() <= 255
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !name.starts_with('.');
            if !good {
                let message = format!("{at}.credential: `{}` cannot be the name of a systemd credential", crate::plan::words::plain(name));
                return Err(EmitFault::new(message, "Letters, digits, `.`, `_` and `-` make a name that systemd loads."));
            }
            self.credentials.insert(name.clone());
        }
        if let Some(name) = &secret.env {
            quote::one_line(name, &format!("{at}.env"))?;
            self.variables.insert(name.clone());
        }
        secret.file.iter().try_for_each(|path| self.read(path, &format!("{at}.file")))
    }

    fn write(&mut self, path: &str, at: &str) -> Result<(), EmitFault> {
        quote::one_line(path, at)?;
        self.writes.extend(absolute(path));
        Ok(())
    }

    fn read(&mut self, path: &str, at: &str) -> Result<(), EmitFault> {
        quote::one_line(path, at)?;
        self.reads.extend(absolute(path));
        Ok(())
    }

    /// Some of it lies in one of these directories, or is one in which they lie: whoever copies `/var` copies `/var/tmp`.
    pub(super) fn any_overlaps(&self, directories: &[&str]) -> bool {
        let overlaps = |path: &String| {
            let path = without_detours(path);
            directories.iter().any(|directory| path.starts_with(directory) || Path::new(directory).starts_with(&path))
        };
        self.writes.iter().chain(&self.reads).any(overlaps)
    }
}

/// Without what ends it needlessly. Relative paths are relative to the policy, which is readable anyway.
fn absolute(path: &str) -> Option<String> {
    let trimmed = path.trim_end_matches('/');
    path.starts_with('/').then(|| if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}

/// `/srv/../home` is `/home`, as far as a path alone can say.
fn without_detours(path: &str) -> PathBuf {
    let mut direct = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => _ = direct.pop(),
            part => direct.push(part),
        }
    }
    direct
}

const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

fn shares_temporary(policy: &Policy, needs: &Needs) -> bool {
    let cluster = policy.file.cluster.as_ref();
    let connections = cluster
        .and_then(|cluster| cluster.connection.as_ref())
        .into_iter()
        .chain(policy.hosts.values().filter_map(|host| host.connection.as_ref()));
    // A socket's directory: `host=/tmp`, or in an address, `%2Ftmp`.
    let socket = |connection: &String| connection.contains("/tmp") || connection.to_ascii_lowercase().contains("%2ftmp");
    needs.any_overlaps(&TEMPORARY) || connections.into_iter().any(socket)
}
