//! Which of a store's folders is the repository of this policy. Whoever can write to the store can put another one beside it, so a
//! name and a date decide nothing where a signature can.

use std::ops::ControlFlow;

use crate::format::descriptor::MAX_BYTES;
use crate::format::layout::{Repository, signature_of};
use crate::format::signature::{BACKUP, Writers};
use crate::store::{FaultKind, Store};
use crate::units::Key;

use super::repository::{About, LIMIT};
use super::{Site, SiteFault};

/// So many backups of a doubtful repository are looked at, before it counts as having none of ours.
const LOOKED_AT: usize = 200;

/// The repository that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub repository: Repository,
    /// What else calls itself this policy's.
    pub passed_over: Vec<PassedOver>,
}

/// A `repository.json` that was not followed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    pub key: Key,
    pub why: String,
}

/// Everything that calls itself this policy's.
#[derive(Debug, Default)]
struct Candidates {
    whole: Vec<About>,
    /// Not what was written.
    bad: Vec<(Key, SiteFault)>,
}

impl Site<'_> {
    /// The repository of this policy, if the store has one: the newest that an accepted writer made (without writers: that this host
    /// made), then the only one, then the only one that holds backups. Nothing is guessed beyond that.
    pub fn find_repository(&self, store: &Store) -> Result<Option<Found>, SiteFault> {
        let mut all = self.candidates(store)?;
        if all.bad.is_empty() && all.whole.len() <= 1 {
            return match all.whole.pop() {
                Some(only) => Ok(Some(Found { repository: parsed(&only.repository)?, passed_over: Vec::new() })),
                None => self.not_forgotten(store).map(|()| None),
            };
        }
        let trusted = self.trusted()?;
        all.whole.sort_by_key(|about| about.created);
        let chosen = match all.whole.iter().rposition(|about| about.signed_by(&trusted).is_ok()) {
            Some(newest) => all.whole.remove(newest),
            None => match all.bad.into_iter().next() {
                // It may be ours, and damaged.
                Some((_, fault)) => return Err(fault),
                None => return self.by_backups(store, all.whole).map(Some),
            },
        };
        let others = all.whole.iter().map(|about| (about, about.signed_by(&trusted)));
        let why = |signed: Result<(), String>| match signed {
            Ok(()) => format!("it is older than `{}`, which is used", chosen.repository),
            Err(why) => format!("{why}; `{}` is used", chosen.repository),
        };
        let others = others.filter_map(|(about, signed)| Some(PassedOver { key: key_of(&about.repository)?, why: why(signed) }));
        let bad = all.bad.into_iter().map(|(key, fault)| PassedOver { key, why: fault.message });
        Ok(Some(Found { repository: parsed(&chosen.repository)?, passed_over: others.chain(bad).collect() }))
    }

    fn candidates(&self, store: &Store) -> Result<Candidates, SiteFault> {
        let mut all = Candidates::default();
        for folder in store.folders("")? {
            let named_ours = self.is_named_ours(&folder);
            let Some(key) = key_of(&folder) else { continue };
            let json = match store.get(&key, LIMIT) {
                Ok(json) => Some(json),
                Err(fault) if fault.is_absent() => None,
                Err(fault) if fault.kind == FaultKind::Damaged && named_ours => {
                    all.bad.push((key, fault.into()));
                    continue;
                }
                // What becomes of the repositories of others is for them to say.
                Err(_) if !named_ours => continue,
                Err(fault) => return Err(fault.into()),
            };
            let said = match json {
                Some(json) => About::read(&json, &key, store),
                None if named_ours => match not_orphaned(store, &folder)? {
                    Some(fault) => Err(fault),
                    None => continue,
                },
                None => continue,
            };
            match said {
                Ok(about) if named_ours || about.policy == self.policy.name.as_str() => match self.believe(&about, &folder, store) {
                    Ok(()) => all.whole.push(about),
                    Err(fault) => all.bad.push((key, fault)),
                },
                Err(fault) if named_ours => all.bad.push((key, fault)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(all)
    }

    /// Who may have made it: the policy's writers; where it names none, this host.
    fn trusted(&self) -> Result<Writers, SiteFault> {
        let writers = self.writers()?;
        if !writers.is_empty() {
            return Ok(writers);
        }
        let own = self.existing_host_keys().ok().flatten().map(|keys| keys.signing.public());
        Ok(own.and_then(|own| Writers::parse([(self.host(), own.as_str())]).ok()).unwrap_or_default())
    }

    /// Nobody who is trusted made any of them: perhaps the host that did has another key now. Then what lies in them tells.
    fn by_backups(&self, store: &Store, whole: Vec<About>) -> Result<Found, SiteFault> {
        let writers = self.writers()?;
        let mut with = Vec::new();
        for about in &whole {
            if holds_backups(store, &parsed(&about.repository)?, &writers)? {
                with.push(about);
            }
        }
        let [only] = with.as_slice() else { return Err(self.several(store, &whole)) };
        let holds = if writers.is_empty() { "holds backups" } else { "holds backups that the policy accepts" };
        let why = format!("only `{}` {holds}", only.repository);
        let others = whole.iter().filter(|about| about.repository != only.repository);
        let passed_over = others.filter_map(|about| Some(PassedOver { key: key_of(&about.repository)?, why: why.clone() })).collect();
        Ok(Found { repository: parsed(&only.repository)?, passed_over })
    }

    fn several(&self, store: &Store, whole: &[About]) -> SiteFault {
        let each = |about: &About| {
            let key = about.claimed_key().unwrap_or_else(|| "nobody".to_owned());
            format!("`{}`, made {} and signed by {key}", about.repository, about.created)
        };
        let each: Vec<String> = whole.iter().map(each).collect();
        let message = format!(
            "{} has {} repositories of the policy `{}`, and nothing tells which is the true one: {}",
            store.url(),
            whole.len(),
            self.policy.name,
            each.join("; ")
        );
        let hint = "Somebody may have planted one. Put the key of the host that made yours into `encryption.writers` (`seawall key host` \
                    prints it there), or take the other folder away.";
        SiteFault::new(message, hint)
    }

    /// `shop-4cdaeb91`: a name that only our own repository has.
    fn is_named_ours(&self, folder: &str) -> bool {
        let number = folder.strip_prefix(self.policy.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| number.len() == 8 && number.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    fn believe(&self, about: &About, folder: &str, store: &Store) -> Result<(), SiteFault> {
        let why = match about.check() {
            Err(error) => error.to_string(),
            Ok(_) if about.repository != folder => format!("it belongs to `{}`", about.repository),
            Ok(_) if about.policy != self.policy.name.as_str() => format!("it belongs to the policy `{}`", about.policy),
            Ok(_) => return Ok(()),
        };
        let message = format!("{folder}/repository.json in {} is not what was written: {why}", store.url());
        Err(SiteFault::new(message, "Put it back from a copy of the store."))
    }
}

pub(super) fn key_of(folder: &str) -> Option<Key> {
    Key::new(format!("{folder}/repository.json")).ok()
}

fn parsed(text: &str) -> Result<Repository, SiteFault> {
    text.parse().map_err(|_| SiteFault::new(format!("`{text}` cannot be a repository"), "Its `repository.json` was changed."))
}

/// A backup that is accepted; where nothing can be refused, any.
fn holds_backups(store: &Store, repository: &Repository, writers: &Writers) -> Result<bool, SiteFault> {
    let mut descriptors = Vec::new();
    store.list_each(&repository.prefix("backups"), &mut |meta| {
        if meta.key.as_str().ends_with(".json") {
            descriptors.push(meta.key);
        }
        if descriptors.len() < LOOKED_AT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if writers.is_empty() {
        return Ok(!descriptors.is_empty());
    }
    for key in descriptors {
        let (Ok(json), Ok(signature)) = (store.get(&key, MAX_BYTES), store.get(&signature_of(&key), LIMIT)) else { continue };
        let armored = String::from_utf8_lossy(&signature);
        if writers.check_armored(BACKUP, &json, &armored).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A folder that can only be ours and does not say what it is: no store without backups, but one that was damaged.
fn not_orphaned(store: &Store, folder: &str) -> Result<Option<SiteFault>, SiteFault> {
    let orphaned = store.folders(folder)?.iter().any(|inner| matches!(inner.as_str(), "backups" | "wal"));
    Ok(orphaned.then(|| {
        SiteFault::new(
            format!("the repository `{folder}` in {} has lost its repository.json", store.url()),
            "Put it back from a copy of the store; the backups beside it are still there.",
        )
    }))
}
