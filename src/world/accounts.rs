//! The accounts of this host: names for numbers, and numbers for names.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::files;

const MAX_BYTES: usize = 64 << 20;

/// Users and groups. Those of the host's own files are read once; others (of a directory service) are asked for one by one, and once.
#[derive(Debug)]
pub struct Accounts {
    users: Book,
    groups: Book,
}

#[derive(Debug)]
struct Book {
    database: &'static str,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<u32, String>,
    numbers: HashMap<String, Option<u32>>,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts { users: Book::of("passwd"), groups: Book::of("group") }
    }
}

impl Accounts {
    /// Empty where nobody has this number.
    pub fn user(&self, uid: u32) -> String {
        self.users.name(uid)
    }

    pub fn group(&self, gid: u32) -> String {
        self.groups.name(gid)
    }

    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.number(name)
    }

    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.number(name)
    }
}

impl Book {
    fn of(database: &'static str) -> Book {
        let text = files::read(&Path::new("/etc").join(database), MAX_BYTES).unwrap_or_default();
        let mut known = Known::default();
        for (name, number) in String::from_utf8_lossy(&text).lines().filter_map(line) {
            // The first of several is the one that counts.
            known.names.entry(number).or_insert_with(|| name.clone());
            known.numbers.entry(name).or_insert(Some(number));
        }
        Book { database, known: Mutex::new(known) }
    }

    fn name(&self, number: u32) -> String {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.names.entry(number).or_insert_with(|| self.ask(&number.to_string()).map(|(name, _)| name).unwrap_or_default()).clone()
    }

    fn number(&self, name: &str) -> Option<u32> {
        if name.is_empty() {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.numbers.get(name) {
            return *number;
        }
        // A name of digits would be taken for a number.
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { None } else { self.ask(name).map(|(_, number)| number) };
        known.numbers.insert(name.to_owned(), number);
        number
    }

    fn ask(&self, key: &str) -> Option<(String, u32)> {
        let output = Command::new("getent").args([self.database, "--", key]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        String::from_utf8_lossy(&output.stdout).lines().find_map(line)
    }
}

/// `postgres:x:104:112:…`
fn line(text: &str) -> Option<(String, u32)> {
    let mut words = text.split(':');
    let (name, _, number) = (words.next()?, words.next()?, words.next()?);
    Some((name.to_owned(), number.parse().ok()?)).filter(|(name, _)| !name.is_empty() && !name.starts_with(['#', '+', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_both_ways_and_nobody_else_is_made_up() {
        let accounts = Accounts::default();
        assert_eq!((accounts.user(0), accounts.uid("root"), accounts.group(0)), ("root".into(), Some(0), "root".into()));
        assert_eq!((accounts.user(3_999_999_999), accounts.uid("nobody has this name"), accounts.uid("4711")), (String::new(), None, None));
    }
}
