//! Who can read what is written from now on, and whose backups are accepted.

use super::change::{Change, Group};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::words::{plain, quoted};
use crate::policy::model::{Encryption, Policy};
use crate::policy::path::PolicyPath;

impl Comparison<'_> {
    pub fn encryption(&mut self) {
        let path = PolicyPath::from(["encryption"]);
        let (before, after) = (kind(self.old), kind(self.new));
        if before != after {
            let said = |kind: Option<&str>| kind.map(str::to_owned);
            let change = Change::Setting { path: path.clone(), from: said(before), to: said(after) };
            self.say(Group::Encryption, path.clone(), change);
            if matches!(after, None | Some("none")) && !matches!(before, None | Some("none")) {
                let message =
                    "what is written from now on is not encrypted before it leaves the host: whoever reads the store reads the database";
                self.warn(Consequence::warning(908, path.clone(), message).hint("Keep at least one recipient."));
            }
            // What the one kind had, the other has not: its settings are no news.
            for gone in before.iter().filter(|kind| **kind != "none") {
                self.cover(path.key(gone).key("identity"));
                self.cover(path.key(gone).key("keys"));
                self.cover(path.key(gone).key("passphrase"));
            }
        }
        self.recipients(&path);
        self.writers(&path);
    }

    fn recipients(&mut self, path: &PolicyPath) {
        for kind in ["age", "openpgp"] {
            let at = path.key(kind).key("recipients");
            let (old, new) = (Self::set(&self.was, &at), Self::set(&self.is, &at));
            let (added, removed): (Vec<String>, Vec<String>) =
                (new.difference(&old).cloned().collect(), old.difference(&new).cloned().collect());
            if added.is_empty() && removed.is_empty() {
                continue;
            }
            for gone in &removed {
                let message = format!("whoever holds the key for {} cannot open new backups; old ones stay readable to them", quoted(gone));
                self.warn(Consequence::warning(908, at.clone(), message));
            }
            for new in &added {
                let message = format!("whoever holds the key for {} can open every new backup", quoted(new));
                self.warn(Consequence::warning(908, at.clone(), message).hint("Make sure whose key it is."));
            }
            self.say(Group::Encryption, at.clone(), Change::List { path: at.clone(), added, removed });
            self.cover(at);
        }
    }

    fn writers(&mut self, path: &PolicyPath) {
        let section = path.key("writers");
        for host in super::meaning::names_below(&self.was, &section) {
            let at = section.key(&host);
            let (before, after) = (Self::one(&self.was, &at), Self::one(&self.is, &at));
            let message = match (before, after) {
                (before, after) if before == after => continue,
                (_, None) => format!("backups signed by `{}` are no longer accepted, existing ones included", plain(&host)),
                _ => format!("backups signed by `{}` with its old key are no longer accepted, existing ones included", plain(&host)),
            };
            self.warn(Consequence::warning(908, at, message));
        }
        for host in super::meaning::names_below(&self.is, &section) {
            let at = section.key(&host);
            if Self::one(&self.was, &at).is_none() {
                self.warn(Consequence::warning(908, at, format!("backups signed by `{}` are accepted from now on", plain(&host))));
            }
        }
    }
}

fn kind(policy: &Policy) -> Option<&'static str> {
    policy.encryption.as_ref().map(Encryption::word)
}
