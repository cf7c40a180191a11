//! The last version of a policy that could be read, for the day on which it cannot: who is told then, only a policy can say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::policy::document::Document;
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::units::{Instant, Name};
use crate::world::files;

const MAX_BYTES: usize = 16 << 20;

/// A policy as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    /// The file, as it was named.
    path: PathBuf,
    digest: String,
    /// With all that it extends in it.
    whole: serde_json::Value,
    /// Since when its file cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable_since: Option<Instant>,
    /// What the policy in this file was called before, as long as something is to be brought to its end under that name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    formerly: BTreeSet<Name>,
}

/// What is done where the policy of the moment cannot be read.
#[derive(Debug)]
pub struct LastGood {
    pub policy: Policy,
    pub unreadable_since: Instant,
}

impl Known {
    fn name(&self) -> Option<Name> {
        self.whole.get("policy")?.as_str()?.parse().ok()
    }
}

fn place(state: &Path, path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
    state.join("known").join(format!("{}.json", &name.as_str()[..32]))
}

fn read(place: &Path) -> Option<Known> {
    serde_json::from_slice(&files::read(place, MAX_BYTES).ok()?).ok()
}

fn write(place: &Path, known: &Known) -> std::io::Result<()> {
    if let Some(folder) = place.parent() {
        files::make_folders(folder)?;
    }
    let json = serde_json::to_vec(known)?;
    files::replace(place, &json).map_err(|fault| std::io::Error::other(fault.message))
}

/// Keeps a policy that could be read. Returns the digest of the version before, where this is another one.
pub fn remember(state: &Path, path: &Path, policy: &Policy) -> std::io::Result<Option<String>> {
    let place = place(state, path);
    let before = read(&place);
    if before.as_ref().is_some_and(|before| before.digest == policy.digest && before.unreadable_since.is_none()) {
        return Ok(None);
    }
    let mut whole = serde_json::to_value(policy.file.as_ref())?;
    without_nothing(&mut whole);
    let mut formerly = before.as_ref().map(|before| before.formerly.clone()).unwrap_or_default();
    formerly.extend(before.as_ref().and_then(Known::name));
    formerly.remove(&policy.name);
    write(&place, &Known { path: path.to_owned(), digest: policy.digest.clone(), whole, unreadable_since: None, formerly })?;
    Ok(before.map(|before| before.digest).filter(|digest| *digest != policy.digest))
}

/// What the policy in this file was called before. A name that another policy of this host has by now is not among them.
pub fn formerly(state: &Path, path: &Path) -> BTreeSet<Name> {
    let own = place(state, path);
    let mut names = read(&own).map(|known| known.formerly).unwrap_or_default();
    if !names.is_empty() {
        let others = std::fs::read_dir(state.join("known")).into_iter().flatten().flatten().map(|entry| entry.path());
        let others = others.filter(|other| *other != own).filter_map(|other| read(&other)).filter(|other| other.path.exists());
        for name in others.filter_map(|other| other.name()) {
            names.remove(&name);
        }
    }
    names
}

/// Nothing is left to be done under a former name.
pub fn forget(state: &Path, path: &Path, former: &Name) -> std::io::Result<()> {
    let place = place(state, path);
    let Some(mut known) = read(&place) else { return Ok(()) };
    if known.formerly.remove(former) { write(&place, &known) } else { Ok(()) }
}

/// The last version that could be read, and since when this one cannot.
pub fn recall(state: &Path, path: &Path, now: Instant) -> Option<LastGood> {
    let place = place(state, path);
    let mut known = read(&place)?;
    let since = known.unreadable_since.unwrap_or(now);
    if known.unreadable_since.is_none() {
        known.unreadable_since = Some(now);
        // It is told without a beginning otherwise.
        let _ = write(&place, &known);
    }
    last_good(known, path, since, now)
}

/// The same for those who only look: nothing is written. Somebody else than who runs the jobs may look, and what he wrote would be his.
pub fn peek(state: &Path, path: &Path, now: Instant) -> Option<LastGood> {
    let known = read(&place(state, path))?;
    let since = known.unreadable_since.unwrap_or(now);
    last_good(known, path, since, now)
}

fn last_good(known: Known, path: &Path, since: Instant, now: Instant) -> Option<LastGood> {
    let text = serde_json::to_vec(&known.whole).ok()?;
    let name = path.to_string_lossy().into_owned();
    let document = Document::load(&name, path, &|_| Ok(text.clone()));
    let resolved = resolve(&document, now.to_zoned(jiff::tz::TimeZone::UTC).date());
    let policy = Policy { digest: known.digest, ..resolved.policy? };
    Some(LastGood { policy, unreadable_since: since })
}

/// What a policy does not say is not written, rather than said to be nothing.
fn without_nothing(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nothing);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_nothing),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_comes_back_as_it_was() {
        let now: Instant = "2026-11-21T12:00:00Z".parse().expect("a moment");
        let state = tempfile::tempdir().expect("a folder");
        let mut seen = 0;
        for entry in std::fs::read_dir("policies").expect("policies") {
            let path = entry.expect("an entry").path();
            if !files::is_yaml(&path) {
                continue;
            }
            seen += 1;
            let document =
                Document::load("t", &path, &|path| Ok(std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))));
            let policy = resolve(&document, jiff::civil::date(2026, 11, 21)).policy.expect("a policy");
            assert_eq!(remember(state.path(), &path, &policy).expect("kept"), None);
            let back = recall(state.path(), &path, now).expect("known");
            assert_eq!(back.unreadable_since, now);
            assert_eq!(format!("{:?}", back.policy), format!("{policy:?}"), "{}", path.display());
            // The time at which it began does not move.
            let later = now + jiff::SignedDuration::from_hours(1);
            assert_eq!(recall(state.path(), &path, later).expect("known").unreadable_since, now);
        }
        assert!(seen >= 5);
    }
}
