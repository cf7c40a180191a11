//! `host=db port=5433 password='it''s not this'`: words and values.

use super::super::fault::Fault;
use super::{options, uri};

/// Option and value, in the order written; a later one wins.
pub(super) type Words = Vec<(String, String)>;

/// A connection string in either of its forms. Nothing of it is repeated in a message: it may hold a password.
pub(super) fn read(text: &str) -> Result<Words, Fault> {
    if text.contains('\0') {
        return Err(Fault::config("the connection string holds a zero byte", "Take it out."));
    }
    match uri::after_scheme(text) {
        Some(rest) => uri::read(rest),
        None => key_values(text),
    }
}

/// Whether the text itself holds a password. One that a service, a file or the environment has does not count.
pub fn names_password(text: &str) -> Result<bool, Fault> {
    let words = read(text)?;
    Ok(words.iter().any(|(name, value)| matches!(name.as_str(), "password" | "sslpassword") && !value.is_empty()))
}

/// Only where it leads, for who wants no more than to see whether anybody is there: of all else it may say something that we cannot do.
pub fn whereabouts(text: &str) -> Result<String, Fault> {
    let words = read(text)?;
    let places = words.iter().filter(|(name, _)| matches!(name.as_str(), "host" | "hostaddr" | "port"));
    let each = places.map(|(name, value)| written(name, value));
    Ok(each.chain(["sslmode=disable".to_owned()]).collect::<Vec<_>>().join(" "))
}

/// The same to another server: how it is spoken to stays. What would be seen by everybody where it is an argument, a password, is left out.
pub fn led_to(text: &str, host: &str, port: u16) -> Result<String, Fault> {
    let words = read(text)?;
    let is_secret = |name: &str| matches!(name, "password" | "sslpassword");
    let rest = words.iter().filter(|(name, _)| !is_secret(name) && !matches!(name.as_str(), "host" | "hostaddr" | "port"));
    let place = [written("host", host), written("port", &port.to_string())];
    Ok(place.into_iter().chain(rest.map(|(name, value)| written(name, value))).collect::<Vec<_>>().join(" "))
}

/// A word of a connection string, in quotes where it must be.
fn written(name: &str, value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\');
    if plain { format!("{name}={value}") } else { format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")) }
}

fn key_values(text: &str) -> Result<Words, Fault> {
    let mut words = Words::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let place = format!("word {} of the connection string", words.len() + 1);
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(Fault::config(
                format!("{place} has no `=`"),
                "Write `name=value` pairs, or a URI that begins with postgresql://; a value with spaces stands in single quotes.",
            ));
        };
        options::check(name, &place)?;
        let (value, after) = value(after.trim_start(), &place)?;
        words.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(words)
}

/// The value at the front, quoted or not, and what follows it.
fn value<'t>(text: &'t str, place: &str) -> Result<(String, &'t str), Fault> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices();
    if quoted {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            // A lone backslash at the end stands for nothing, as in libpq.
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ if !quoted && c.is_ascii_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(c),
        }
    }
    if quoted {
        return Err(Fault::config(format!("the quote of {place} is not closed"), "End the value with a single quote."));
    }
    Ok((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match read(text) {
            Ok(words) => words.iter().map(|(name, value)| format!("{name}<{value}>")).collect::<Vec<_>>().join(" "),
            Err(fault) => format!("error: {fault}"),
        }
    }

    #[test]
    fn words_and_values() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            ("host=db", "host<db>"),
            ("host = db  port= 1", "host<db> port<1>"),
            ("user='a b' dbname=''", "user<a b> dbname<>"),
            (r"password='it\'s' user=a\ b", "password<it's> user<a b>"),
            (r"password=a\\b\", r"password<a\b>"),
            ("user='a'host=b", "user<a> host<b>"),
            ("user= host=b", "user<host=b>"),
            ("user=", "user<>"),
            ("host=a host=b", "host<a> host<b>"),
            ("db", "error: word 1 of the connection string has no `=`"),
            ("password=two words", "error: word 2 of the connection string has no `=`"),
            ("user='a", "error: the quote of word 1 of the connection string is not closed"),
            ("hots=a", "error: word 1 of the connection string is no option that psql knows"),
            ("=a", "error: word 1 of the connection string is no option that psql knows"),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_that_is_nearly_right_is_named() {
        assert_eq!(read("sslmod=require").expect_err("it is wrong").hint, "Did you mean `sslmode`?");
    }

    #[test]
    fn uris() {
        for (text, expected) in [
            ("postgresql://", ""),
            ("postgres://db", "host<db>"),
            ("postgresql://db:5433/app", "host<db> port<5433> dbname<app>"),
            ("postgresql://me@db", "user<me> host<db>"),
            ("postgresql://me:p%40ss%2Fw@db/app", "user<me> password<p@ss/w> host<db> dbname<app>"),
            ("postgresql://me:@db", "user<me> password<> host<db>"),
            ("postgresql://a,b:2,c:/app", "host<a,b,c> port<,2,> dbname<app>"),
            ("postgresql://[::1]:5433,[fe80::1]", "host<::1,fe80::1> port<5433,>"),
            ("postgresql:///app?host=/tmp&port=1", "dbname<app> host</tmp> port<1>"),
            ("postgresql://%2Fvar%2Frun/app", "host</var/run> dbname<app>"),
            ("postgresql:///?ssl=true", "sslmode<require>"),
            ("postgresql://db?user=a%26b", "host<db> user<a&b>"),
            ("postgresql://u%zz@db", "error: the URI has a `%` without two hexadecimal digits"),
            ("postgresql://db/a%00", "error: the URI holds a zero byte"),
            ("postgresql://[::1", "error: the URI has a `[` without its `]`"),
            ("postgresql://[]", "error: the URI has an empty address in `[]`"),
            ("postgresql://[::1]x", "error: the URI has something after a `]` that is neither a port nor a path"),
            ("postgresql://db?user", "error: parameter 1 of the URI has no `=`"),
            ("postgresql://db?user=a=b", "error: parameter 1 of the URI has a second `=`"),
            ("postgresql://db?wat=a", "error: parameter 1 of the URI is no option that psql knows"),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }
}
