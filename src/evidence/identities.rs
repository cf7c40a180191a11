//! What is on record of recovery identities: when each has opened something, and until when its public key can be encrypted to.

use std::collections::BTreeMap;

use super::recipient_key;
use crate::inventory::IdentityStanding;
use crate::units::Instant;

/// Under this name it is on record when an identity opened something; the subject is its public key, as [`recipient_key`] has it.
pub const IDENTITY_OPENED: &str = "identity_opened";
/// And when its public key was first seen in the policy.
pub const IDENTITY_FIRST_SEEN: &str = "identity_first_seen";
/// The same of a part of a key of OpenPGP; the subject is a [`part_subject`].
pub const IDENTITY_PART_OPENED: &str = "identity_part_opened";
/// When it was first encrypted to this part of a key; said again as long as it is this one.
pub const IDENTITY_PART_FIRST_SEEN: &str = "identity_part_first_seen";
/// When a public key can no longer be encrypted to; 0: that does not come by itself.
pub const IDENTITY_EXPIRES: &str = "identity_expires";

/// A key and one of its parts, both by their fingerprints.
pub fn part_subject(key: &str, part: &str) -> String {
    format!("{key}/{part}")
}

/// A figure of the record: a moment, and when it was written down.
#[derive(Debug, Clone, Copy)]
pub struct Noted<'n> {
    pub name: &'n str,
    pub subject: &'n str,
    pub value: Option<Instant>,
    pub at: Instant,
}

/// A part of a key.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    since: Option<Instant>,
    said: Option<Instant>,
    opened: Option<Instant>,
}

/// Each public key of the record. Where it is known to which part of a key is encrypted, that part must have opened something: an old subkey's
/// holder opens old backups with it, and has perhaps not got the new one.
pub fn identities<'n>(record: impl IntoIterator<Item = Noted<'n>>) -> BTreeMap<String, IdentityStanding> {
    let mut all: BTreeMap<String, IdentityStanding> = BTreeMap::new();
    let mut parts: BTreeMap<String, BTreeMap<&str, Part>> = BTreeMap::new();
    for Noted { name, subject, value, at } in record {
        let Some(value) = value else { continue };
        match (name, subject.split_once('/')) {
            (IDENTITY_OPENED, _) => {
                let opened = &mut all.entry(recipient_key(subject)).or_default().opened;
                *opened = (*opened).max(Some(value));
            }
            (IDENTITY_FIRST_SEEN, _) => all.entry(recipient_key(subject)).or_default().first_seen = Some(value),
            (IDENTITY_EXPIRES, _) => all.entry(recipient_key(subject)).or_default().expires = Some(value),
            (IDENTITY_PART_OPENED, Some((key, part))) => {
                let part = parts.entry(recipient_key(key)).or_default().entry(part).or_default();
                part.opened = part.opened.max(Some(value));
            }
            (IDENTITY_PART_FIRST_SEEN, Some((key, part))) => {
                let part = parts.entry(recipient_key(key)).or_default().entry(part).or_default();
                (part.since, part.said) = (Some(value), Some(at));
            }
            _ => {}
        }
    }
    for (key, parts) in &parts {
        all.entry(key.clone()).and_modify(|standing| by_part(standing, parts));
    }
    all
}

fn by_part(standing: &mut IdentityStanding, parts: &BTreeMap<&str, Part>) {
    let known = || parts.values().filter(|part| part.since.is_some());
    let (Some(now), first) = (known().max_by_key(|part| part.said), known().filter_map(|part| part.since).min()) else { return };
    // Of what was opened before anybody told parts apart, the first one is believed to have done it.
    let before = standing.opened.filter(|opened| now.since == first && Some(*opened) < first);
    standing.opened = now.opened.max(before);
    if now.since != first {
        standing.first_seen = standing.first_seen.max(now.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Instant {
        Instant::from_second(1_790_000_000 + day * 86_400).expect("a moment")
    }

    /// `(name, subject, value, at)`, in days.
    fn standing(record: &[(&str, &str, i64, i64)]) -> IdentityStanding {
        let noted = record.iter().map(|&(name, subject, value, at)| Noted { name, subject, value: Some(day(value)), at: day(at) });
        identities(noted).remove("AB").expect("a key")
    }

    #[test]
    fn a_key_without_parts_is_known_by_itself() {
        let seen = standing(&[(IDENTITY_FIRST_SEEN, "AB", 0, 9), (IDENTITY_OPENED, "a b", 3, 3), (IDENTITY_EXPIRES, "AB", 90, 9)]);
        assert_eq!(seen, IdentityStanding { first_seen: Some(day(0)), opened: Some(day(3)), expires: Some(day(90)) });
    }

    #[test]
    fn what_an_old_subkey_opens_proves_nothing_of_the_new_one() {
        let old = [
            (IDENTITY_FIRST_SEEN, "AB", 0, 9),
            (IDENTITY_PART_FIRST_SEEN, "AB/01", 0, 40),
            (IDENTITY_OPENED, "AB", 60, 60),
            (IDENTITY_PART_OPENED, "AB/01", 60, 60),
        ];
        assert_eq!(standing(&old).opened, Some(day(60)));
        let replaced = [&old[..], &[(IDENTITY_PART_FIRST_SEEN, "AB/02", 50, 70)]].concat();
        let seen = standing(&replaced);
        assert_eq!((seen.opened, seen.first_seen), (None, Some(day(50))));
        let opened = [&replaced[..], &[(IDENTITY_OPENED, "AB", 65, 65), (IDENTITY_PART_OPENED, "AB/02", 65, 65)]].concat();
        assert_eq!(standing(&opened).opened, Some(day(65)));
        // It is the old one again.
        let back = [&opened[..], &[(IDENTITY_PART_FIRST_SEEN, "AB/01", 0, 80)]].concat();
        assert_eq!(standing(&back).opened, Some(day(60)));
    }

    #[test]
    fn what_was_opened_before_parts_were_told_apart_is_the_first_one_s() {
        let before = [(IDENTITY_FIRST_SEEN, "AB", 0, 9), (IDENTITY_OPENED, "AB", 20, 20), (IDENTITY_PART_FIRST_SEEN, "AB/01", 30, 30)];
        let seen = standing(&before);
        assert_eq!((seen.opened, seen.first_seen), (Some(day(20)), Some(day(0))));
        // By an older part, since then.
        let later = [&before[..1], &[(IDENTITY_OPENED, "AB", 40, 40)], &before[2..]].concat();
        assert_eq!(standing(&later).opened, None);
        let replaced = [&before[..], &[(IDENTITY_PART_FIRST_SEEN, "AB/02", 50, 50)]].concat();
        assert_eq!(standing(&replaced).opened, None);
    }
}
