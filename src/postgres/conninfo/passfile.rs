//! `.pgpass`: host:port:database:user:password.

use std::path::Path;

use secrecy::SecretString;

use super::outside::SeenFile;

/// Why a password file is left aside. libpq says the same and goes on without it, and so do we.
pub(super) fn objection(path: &Path, file: &SeenFile) -> Option<String> {
    const OTHERS: u32 = 0o077;
    if !file.is_plain {
        Some(format!("the password file `{}` is not a plain file and is ignored", path.display()))
    } else if file.mode & OTHERS != 0 {
        let shown = path.display();
        Some(format!("the password file `{shown}` is open to others than its owner and is ignored; `chmod 0600 {shown}` mends it"))
    } else {
        None
    }
}

/// The password of the first line that fits.
pub(super) fn find(text: &str, host: &str, port: u16, dbname: &str, user: &str) -> Option<SecretString> {
    let port = port.to_string();
    let wanted = [host, port.as_str(), dbname, user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for wanted in wanted {
            rest = after_field(rest, wanted)?;
        }
        // An empty password is none.
        let password = unescaped(rest);
        (!password.is_empty()).then(|| SecretString::from(password))
    })
}

/// What follows the first field, if that is `*` or the one that is wanted.
fn after_field<'l>(line: &'l str, wanted: &str) -> Option<&'l str> {
    let mut escaped = false;
    let end = line.find(|c| {
        let ends = c == ':' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let field = &line[..end];
    (field == "*" || unescaped(field) == wanted).then(|| &line[end + 1..])
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_first_line_that_fits() {
        const FILE: &str = "#db:5432:app:me:comment\nshort:line\ndb:5432:app:me:one\n*:*:app:me:two\nwith\\:colon:*:*:*:a\\:b\\\\c\n/run/pg:*:*:*:sock\n*:*:empty:*:\n";
        for (host, port, dbname, user, expected) in [
            ("db", 5432, "app", "me", Some("one")),
            ("db", 5433, "app", "me", Some("two")),
            ("db", 5432, "app", "you", None),
            ("with:colon", 1, "x", "y", Some("a:b\\c")),
            ("/run/pg", 1, "x", "y", Some("sock")),
            ("h", 1, "empty", "y", None),
        ] {
            let found = find(FILE, host, port, dbname, user);
            assert_eq!(found.as_ref().map(|secret| secret.expose_secret()), expected, "{host}:{port}:{dbname}:{user}");
        }
    }

    #[test]
    fn an_open_file_is_ignored_with_a_word() {
        let seen = |mode, is_plain| objection(Path::new("/h/.pgpass"), &SeenFile { text: String::new(), mode, is_plain });
        assert_eq!(seen(0o600, true), None);
        assert!(seen(0o640, true).expect("a word").contains("chmod 0600"));
        assert!(seen(0o600, false).expect("a word").contains("not a plain file"));
    }
}
