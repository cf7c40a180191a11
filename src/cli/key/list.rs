//! `seawall key list`: who the policy lets in, and which keys on this host open what.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::repository::{Format, stores};
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::evidence::recipient_key;
use crate::format::codec::Codec;
use crate::format::descriptor::ObjectKind;
use crate::format::layout::Repository;
use crate::format::seal::{BadHeader, Identities, LockedFor, MAX_HEADER, Opened, SealError, ssh_tag};
use crate::inventory::{BackupState, Chains};
use crate::observe::{self, Listed, Read};
use crate::plan::text::{columns, wrapped};
use crate::plan::words::counted;
use crate::policy::model::Encryption;
use crate::site::{Site, SiteFault};
use crate::store::{Fault, Store};
use crate::units::{BackupId, Instant, Key, Name};
use crate::world::{clock, parallel};

/// Show which public keys the policy names, and which of the keys on this host open which backups.
///
/// An object does not say for which keys of age it was made, so each identity is tried; keys of SSH and of OpenPGP are named.
#[derive(Debug, Args)]
#[command(
    name = "list",
    after_help = "\
Examples:
  seawall key list
  seawall key list --identity old.txt --identity new.txt     what each of them opens"
)]
pub struct List {
    #[command(flatten)]
    here: Here,
    /// Try the identity in this file too (may be given again).
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Only this store (may be given again).
    #[arg(long, value_name = "NAME")]
    store: Vec<Name>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall key list --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall key list")]
pub struct KeyListOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    policy: &'a Name,
    recipients: Vec<RecipientRecord>,
    writers: Vec<WriterRecord>,
    /// On this host.
    identities: Vec<&'a str>,
    stores: Vec<StoreRecord>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RecipientRecord {
    recipient: String,
    /// Which identity on this host belongs to it.
    identity: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct WriterRecord {
    host: String,
    key: String,
    /// It is this host's own.
    ours: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StoreRecord {
    store: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    locked: Vec<Locked>,
}

/// Backups, one after the other, that are locked for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Locked {
    backups: usize,
    from: Instant,
    to: Instant,
    /// How many keys of age, whoever has them.
    age: usize,
    /// Keys of SSH: as the policy has them, or by their tags.
    ssh: Vec<String>,
    /// Keys of OpenPGP, by the last sixteen digits of the fingerprint of what was encrypted to: mostly a subkey.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    openpgp: Vec<String>,
    /// Identities on this host.
    opened_by: Vec<String>,
    /// Of increments: further identities on this host that are needed with these, for what they build on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bases_opened_by: Vec<String>,
    /// Something that they build on is opened by nothing on this host.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bases_unopened: bool,
    encrypted: bool,
}

/// An identity on this host, and what it is called.
#[derive(Debug)]
pub struct Known {
    pub name: String,
    pub identities: Identities,
}

impl List {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let known = known(&site, &self.identity)?;
        let recipients = recipients(&site, &known);
        let looked: Vec<StoreRecord> = stores(&policy, &self.store)?.into_iter().map(|name| look(&site, name, &known)).collect();
        let all_known = looked.iter().all(|store| store.unknown.is_none());
        let writers = writers(&site)?;
        match self.format {
            Format::Json => {
                let identities = known.iter().map(|known| known.name.as_str()).collect();
                print(&json(&KeyListOutput { format_version: 1, policy: &policy.name, recipients, writers, identities, stores: looked })?)?;
            }
            Format::Human => {
                let width = Terminal::for_tables(colour, 160);
                print(&human(&recipients, &writers, &looked, width))?;
            }
        }
        Ok(if all_known { Exit::Done } else { Exit::Failed })
    }
}

/// Every identity that can be tried here.
pub fn known(site: &Site<'_>, files: &[PathBuf]) -> Result<Vec<Known>, Trouble> {
    let mut all = Vec::new();
    if let Ok(identities) = site.recovery_identities(None)
        && !identities.is_empty()
    {
        all.push(Known { name: "the policy's identity".into(), identities });
    }
    for file in files {
        let identities = site.recovery_identities(Some(file))?;
        all.push(Known { name: tame(&file.to_string_lossy()).into_owned(), identities });
    }
    if let Some(keys) = site.existing_host_keys()? {
        all.push(Known { name: "this host's metadata key".into(), identities: keys.metadata });
    }
    Ok(all)
}

fn recipients(site: &Site<'_>, known: &[Known]) -> Vec<RecipientRecord> {
    let is_of = |identities: &Identities, recipient: &String| {
        identities.public().contains(recipient) || identities.fingerprints().any(|one| one == recipient_key(recipient))
    };
    let owner = |recipient: &String| known.iter().find(|known| is_of(&known.identities, recipient)).map(|known| known.name.clone());
    let recipients = site.policy.encryption.as_ref().map(Encryption::recipients).unwrap_or_default();
    recipients.iter().map(|recipient| RecipientRecord { recipient: recipient.clone(), identity: owner(recipient) }).collect()
}

fn writers(site: &Site<'_>) -> Result<Vec<WriterRecord>, Trouble> {
    let ours = site.existing_host_keys()?.map(|keys| keys.signing.public());
    // A comment at the end of the line is no part of the key.
    let key = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let is_ours = |line: &str| ours.as_deref().is_some_and(|ours| key(ours) == key(line));
    let writers = site.policy.file.encryption.iter().flat_map(|encryption| &encryption.writers);
    Ok(writers.map(|(host, line)| WriterRecord { host: host.to_string(), key: line.clone(), ours: is_ours(line) }).collect())
}

fn look(site: &Site<'_>, name: &Name, known: &[Known]) -> StoreRecord {
    let locked = site.store(name).and_then(|store| locked(site, &store, known));
    match locked {
        Ok(locked) => StoreRecord { store: name.clone(), unknown: None, locked },
        Err(fault) => StoreRecord { store: name.clone(), unknown: Some(fault.message), locked: Vec::new() },
    }
}

fn locked(site: &Site<'_>, store: &Store, known: &[Known]) -> Result<Vec<Locked>, SiteFault> {
    let seen = observe::look(site, store, clock::now())?;
    let Some(repository) = &seen.repository else { return Ok(Vec::new()) };
    let names: Vec<(String, String)> = match &site.policy.encryption {
        Some(Encryption::Age(age)) => age.recipients.iter().filter_map(|line| Some((ssh_tag(line)?, line.clone()))).collect(),
        _ => Vec::new(),
    };
    let each = parallel::map_with(observe::width(store), &seen.listed, &|listed| {
        let first = first_object(site, store, repository, listed)?;
        first.map(|(key, size)| lock_of(store, &key, size, known, &names)).transpose()
    });
    let mut locks: HashMap<&BackupId, Locked> = HashMap::new();
    for (listed, lock) in seen.listed.iter().zip(each) {
        locks.extend(lock?.map(|lock| (&listed.id, lock)));
    }
    let backups = &seen.inventory.backups;
    let chains = Chains::of(backups);
    let mut all: Vec<Locked> = Vec::new();
    for listed in &seen.listed {
        let Some(at) = chains.position(&listed.id).filter(|at| backups[*at].state != BackupState::Running) else { continue };
        let links = chains.links(at).unwrap_or_else(|| vec![&backups[at]]);
        let Some(lock) = of_chain(links.iter().rev().filter_map(|link| locks.get(&link.id))) else { continue };
        let lock = Locked { from: backups[at].moment(), to: backups[at].moment(), ..lock };
        match all.last_mut() {
            Some(last) if last.is_like(&lock) => {
                last.backups += 1;
                last.to = lock.to;
            }
            _ => all.push(lock),
        }
    }
    Ok(all)
}

/// What opens an increment: all of what it builds on has to be opened as well. The increment first; one that holds no file of its own is as
/// the nearest that does.
fn of_chain<'l>(links: impl Iterator<Item = &'l Locked>) -> Option<Locked> {
    let (locked, open): (Vec<&Locked>, Vec<&Locked>) = links.partition(|lock| lock.encrypted);
    let Some((own, bases)) = locked.split_first() else { return open.first().map(|lock| (*lock).clone()) };
    let opens_all = |name: &&String| bases.iter().all(|base| base.opened_by.contains(name));
    let alone: Vec<String> = own.opened_by.iter().filter(opens_all).cloned().collect();
    if !alone.is_empty() {
        return Some(Locked { opened_by: alone, ..(*own).clone() });
    }
    let further: BTreeSet<&String> = bases.iter().flat_map(|base| &base.opened_by).filter(|name| !own.opened_by.contains(name)).collect();
    Some(Locked {
        bases_opened_by: further.into_iter().cloned().collect(),
        bases_unopened: bases.iter().any(|base| base.opened_by.is_empty()),
        ..(*own).clone()
    })
}

impl Locked {
    fn is_like(&self, other: &Locked) -> bool {
        let what = |one: &Locked| (one.age, one.encrypted, one.bases_unopened);
        let whom = |one: &Locked| [&one.ssh, &one.openpgp, &one.opened_by, &one.bases_opened_by].map(Clone::clone);
        what(self) == what(other) && whom(self) == whom(other)
    }
}

/// A part or a dump: what only recovery identities open.
fn first_object(site: &Site<'_>, store: &Store, repository: &Repository, listed: &Listed) -> Result<Option<(Key, u64)>, SiteFault> {
    let writers = site.writers()?;
    match observe::read_descriptor(store, repository, &listed.key, true, site.policy.name.as_str(), &writers)? {
        Read::Good(descriptor, _) => {
            let part = descriptor.objects_of(ObjectKind::Part).chain(descriptor.objects_of(ObjectKind::Dump));
            let part = part.chain(descriptor.objects_of(ObjectKind::Rows)).next();
            Ok(part.map(|part| (repository.data(&descriptor.id, &part.name), part.size)))
        }
        Read::Rejected(_) | Read::Newer(_) | Read::Gone => Ok(None),
    }
}

fn lock_of(store: &Store, key: &Key, size: u64, known: &[Known], names: &[(String, String)]) -> Result<Locked, SiteFault> {
    let mut locked = Locked {
        backups: 1,
        from: Instant::MIN,
        to: Instant::MIN,
        age: 0,
        ssh: Vec::new(),
        openpgp: Vec::new(),
        opened_by: Vec::new(),
        bases_opened_by: Vec::new(),
        bases_unopened: false,
        encrypted: Codec::of_name(key.file_name()).2.is_sealed(),
    };
    if !locked.encrypted {
        return Ok(locked);
    }
    let (bytes, locks) = locks(store, key, size)?;
    let locks = locks.map_err(|error| SiteFault::new(format!("{key}: {error}"), "`seawall verify` says what else is damaged."))?;
    for one in locks {
        match one {
            LockedFor::Age => locked.age += 1,
            LockedFor::Ssh { tag } => {
                let name = names
                    .iter()
                    .find(|(of, _)| *of == tag)
                    .map_or_else(|| format!("a key of SSH with the tag {tag}"), |(_, line)| line.clone());
                locked.ssh.push(name);
            }
            LockedFor::OpenPgp { id } => locked.openpgp.push(id),
        }
    }
    let is_closed =
        |error: &SealError| matches!(error, SealError::NoKey | SealError::Identity(_) | SealError::Header(BadHeader::Damaged(_)));
    let opens = |known: &&Known| !Opened::open(&bytes, &known.identities).is_err_and(|error| is_closed(&error));
    locked.opened_by = known.iter().filter(opens).map(|known| known.name.clone()).collect();
    Ok(locked)
}

type Looked = (Vec<u8>, Result<Vec<LockedFor>, BadHeader>);

fn locks(store: &Store, key: &Key, size: u64) -> Result<Looked, Fault> {
    let mut length = 4096;
    loop {
        let bytes = store.get_range(key, 0..size.min(length))?;
        match LockedFor::of(&bytes) {
            Err(BadHeader::Short) if length < size && length < MAX_HEADER as u64 => length *= 4,
            parsed => return Ok((bytes.to_vec(), parsed)),
        }
    }
}

fn human(recipients: &[RecipientRecord], writers: &[WriterRecord], stores: &[StoreRecord], width: u16) -> String {
    let mut text = String::from("Recipients: who can open what is written from now on\n");
    let rows = recipients.iter().map(|one| {
        vec![
            one.recipient.clone(),
            one.identity.as_ref().map_or_else(|| "its identity is not on this host".into(), |name| format!("opened by {name}")),
        ]
    });
    text.push_str(&columns(&[], rows.collect(), width));
    if recipients.is_empty() {
        text.push_str("  none: nothing is encrypted\n");
    }
    text.push_str("\nWriters: whose backups are accepted\n");
    let rows = writers.iter().map(|one| vec![one.host.clone(), one.key.clone(), if one.ours { "this host".into() } else { String::new() }]);
    text.push_str(&columns(&[], rows.collect(), width));
    if writers.is_empty() {
        text.push_str("  none: nobody can be refused (`seawall key host` prints this host's line)\n");
    }
    for store in stores {
        text.push_str(&format!("\nStore {}\n", store.store));
        if let Some(why) = &store.unknown {
            text.push_str(&wrapped(&format!("what lies there is unknown: {why}"), "  ", "    ", width));
        }
        let rows = store.locked.iter().map(locked_row);
        text.push_str(&columns(&["backups", "from", "to", "locked for", "opened here by"], rows.collect(), width));
    }
    text
}

fn locked_row(locked: &Locked) -> Vec<String> {
    let day = |at: Instant| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let mut whom: Vec<String> = Vec::new();
    if locked.age > 0 {
        whom.push(counted(locked.age, "key") + " of age");
    }
    whom.extend(locked.ssh.iter().cloned());
    whom.extend(locked.openpgp.iter().map(|id| format!("OpenPGP {id}")));
    let (whom, by) = match (locked.encrypted, locked.opened_by.is_empty()) {
        (false, _) => ("nobody: not encrypted".into(), "anybody".into()),
        (true, true) => (whom.join(", "), "NOTHING".into()),
        (true, false) => (whom.join(", "), locked.opened_by.join(", ")),
    };
    let nothing = locked.bases_unopened.then(|| "NOTHING".to_owned());
    let bases: Vec<String> = locked.bases_opened_by.iter().cloned().chain(nothing).collect();
    let by = if bases.is_empty() { by } else { format!("{by}; what they build on: {}", bases.join(", ")) };
    vec![locked.backups.to_string(), day(locked.from), day(locked.to), whom, by]
}
