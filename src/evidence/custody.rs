//! Recovery identities: a key that never opened anything may be the wrong one, or be lost.

use crate::inventory::Proven;
use crate::policy::model::{Encryption, Policy};
use crate::units::{Duration, Instant};

/// How long before a key expires somebody is told.
pub const NOTICE_OF_KEYS: Duration = Duration::from_days(30);
/// From here on it is urgent.
pub const URGENT_FOR_KEYS: Duration = Duration::from_days(7);

/// One identity of the policy, held against the time within which it is to be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    /// Its public key, without a comment.
    pub recipient: String,
    /// Which one it is in the policy's list.
    pub number: usize,
    /// When it last opened something.
    pub opened: Option<Instant>,
    /// From when on it is to be proven; none where nobody has watched yet.
    pub since: Option<Instant>,
    pub within: Option<Duration>,
    /// When its public key can no longer be encrypted to; none where that does not come by itself, or nobody has looked.
    pub expires: Option<Instant>,
}

impl Custody {
    /// It has opened nothing for longer than the policy says.
    pub fn is_unproven(&self, now: Instant) -> bool {
        let last = self.opened.max(self.since);
        self.within.zip(last).is_some_and(|(within, last)| Duration::between(last, now) > within)
    }

    /// Enough of it to tell it from others, without a sign that a key of an alert cannot have.
    pub fn key(&self) -> String {
        let key = self.recipient.rsplit(' ').next().unwrap_or(&self.recipient);
        let skipped = key.chars().count().saturating_sub(16);
        key.chars().skip(skipped).collect()
    }

    /// Enough of it to know it by.
    pub fn short(&self) -> String {
        shortened(&self.recipient)
    }
}

/// The recovery identities of a policy, each once, in the order of the policy.
pub fn custody(policy: &Policy, proven: Option<&Proven>) -> Vec<Custody> {
    let within = policy.file.encryption.as_ref().and_then(|encryption| encryption.proven_within);
    let one = |(number, recipient): (usize, String)| {
        let known = proven.and_then(|proven| proven.identities.get(&recipient)).copied().unwrap_or_default();
        Custody { recipient, number, opened: known.opened, since: known.first_seen, within, expires: known.expires }
    };
    recipients(policy).into_iter().enumerate().map(one).collect()
}

/// The public keys that backups are encrypted to, as they are known on record.
pub fn recipients(policy: &Policy) -> Vec<String> {
    let written = policy.encryption.iter().flat_map(Encryption::recipients);
    written.map(|recipient| recipient_key(recipient)).collect()
}

/// A public key without what people write beside it: the comment of an SSH key, the spaces in a fingerprint.
pub fn recipient_key(written: &str) -> String {
    let words: Vec<&str> = written.split_whitespace().collect();
    match words.as_slice() {
        [kind, key, ..] if kind.starts_with("ssh-") => format!("{kind} {key}"),
        words => {
            let key = words.concat();
            // Of OpenPGP: people write it in small letters too.
            if key.bytes().all(|byte| byte.is_ascii_hexdigit()) { key.to_uppercase() } else { key }
        }
    }
}

/// `age1qyqszqgpq…`; of an SSH key the end, since all of one kind begin alike.
fn shortened(recipient: &str) -> String {
    const KEPT: usize = 14;
    match recipient.split_once(' ') {
        Some((kind, key)) => {
            let skipped = key.chars().count().saturating_sub(KEPT);
            format!("{kind}-…{}", key.chars().skip(skipped).collect::<String>())
        }
        None => format!("{}…", recipient.chars().take(KEPT).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_without_what_is_written_beside_it() {
        assert_eq!(recipient_key(" ssh-ed25519  AAAAC3Nz anna@desk "), "ssh-ed25519 AAAAC3Nz");
        assert_eq!(recipient_key("age1qyqszq"), "age1qyqszq");
        assert_eq!(recipient_key("0123 4567 89AB"), "0123456789AB");
        assert_eq!(shortened("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeu"), "ssh-ed25519-…E5AAAAIJl3dIeu");
        assert_eq!(shortened("age1qyqszqgpqyqszqgpqyqszq"), "age1qyqszqgpqy…");
    }

    #[test]
    fn it_is_unproven_from_when_it_was_first_seen() {
        let at = |day: i64| Some(Instant::from_second(1_790_000_000 + day * 86_400).expect("a moment"));
        let custody = |opened, since, within| Custody { recipient: "age1x".into(), number: 0, opened, since, within, expires: None };
        let month = Some(Duration::from_days(30));
        let now = at(100).expect("now");
        assert!(custody(None, at(0), month).is_unproven(now));
        assert!(custody(at(60), at(0), month).is_unproven(now));
        assert!(!custody(at(80), at(0), month).is_unproven(now));
        assert!(!custody(None, at(90), month).is_unproven(now));
        // Nobody has declared how often, or nobody has watched.
        assert!(!custody(None, at(0), None).is_unproven(now));
        assert!(!custody(None, None, month).is_unproven(now));
    }
}
