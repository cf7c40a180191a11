//! `postgresql://user:password@host:port,host/database?option=value`.

use super::super::fault::Fault;
use super::options;
use super::text::Words;

pub(super) fn after_scheme(text: &str) -> Option<&str> {
    ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme))
}

pub(super) fn read(rest: &str) -> Result<Words, Fault> {
    let mut words = Words::new();
    let (before, parameters) = rest.split_once('?').map_or((rest, None), |(before, after)| (before, Some(after)));
    let (who, place) = split_who(before);
    if let Some(who) = who {
        let (user, password) = who.split_once(':').map_or((who, None), |(user, password)| (user, Some(password)));
        put(&mut words, "user", user)?;
        if let Some(password) = password {
            words.push(("password".to_owned(), decoded(password)?));
        }
    }
    let (hosts, database) = split_hosts(place)?;
    let several = hosts.len() > 1;
    let join = |pick: fn(&(&str, &str)) -> String| hosts.iter().map(pick).collect::<Vec<_>>().join(",");
    let (names, ports) = (join(|(host, _)| (*host).to_owned()), join(|(_, port)| (*port).to_owned()));
    put(&mut words, "host", &names)?;
    if several && ports.bytes().all(|b| b == b',') {
        // No port anywhere: the default for all of them.
    } else {
        put(&mut words, "port", &ports)?;
    }
    put(&mut words, "dbname", database)?;
    for (index, parameter) in parameters.into_iter().filter(|all| !all.is_empty()).flat_map(|all| all.split('&')).enumerate() {
        words.push(read_parameter(parameter, &format!("parameter {} of the URI", index + 1))?);
    }
    Ok(words)
}

/// What stands before the first `@` that comes before any `/`.
fn split_who(text: &str) -> (Option<&str>, &str) {
    let end = text.find(['@', '/']).unwrap_or(text.len());
    match text[end..].strip_prefix('@') {
        Some(place) => (Some(&text[..end]), place),
        None => (None, text),
    }
}

type HostPort<'t> = (&'t str, &'t str);

fn split_hosts(text: &str) -> Result<(Vec<HostPort<'_>>, &str), Fault> {
    const HINT: &str = "Write postgresql://user@host:port/database; an IPv6 address stands in square brackets.";
    let mut hosts = Vec::new();
    let mut rest = text;
    loop {
        let host;
        if let Some(bracketed) = rest.strip_prefix('[') {
            let Some((address, after)) = bracketed.split_once(']') else {
                return Err(Fault::config("the URI has a `[` without its `]`", HINT));
            };
            if address.is_empty() {
                return Err(Fault::config("the URI has an empty address in `[]`", HINT));
            }
            if !(after.is_empty() || after.starts_with([':', '/', ','])) {
                return Err(Fault::config("the URI has something after a `]` that is neither a port nor a path", HINT));
            }
            (host, rest) = (address, after);
        } else {
            (host, rest) = rest.split_at(rest.find([':', '/', ',']).unwrap_or(rest.len()));
        }
        let mut port = "";
        if let Some(after) = rest.strip_prefix(':') {
            (port, rest) = after.split_at(after.find(['/', ',']).unwrap_or(after.len()));
        }
        hosts.push((host, port));
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok((hosts, rest.strip_prefix('/').unwrap_or(rest))),
        }
    }
}

fn read_parameter(text: &str, place: &str) -> Result<(String, String), Fault> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Fault::config(format!("{place} has no `=`"), "Write `?name=value&name=value`."));
    };
    if value.contains('=') {
        return Err(Fault::config(format!("{place} has a second `=`"), "Write a `=` in a value as %3D."));
    }
    let (name, value) = (decoded(name)?, decoded(value)?);
    // As JDBC writes it; libpq understands it too.
    if (name.as_str(), value.as_str()) == ("ssl", "true") {
        return Ok(("sslmode".to_owned(), "require".to_owned()));
    }
    options::check(&name, place)?;
    Ok((name, value))
}

/// An empty part of the URI says nothing.
fn put(words: &mut Words, name: &str, value: &str) -> Result<(), Fault> {
    if !value.is_empty() {
        words.push((name.to_owned(), decoded(value)?));
    }
    Ok(())
}

fn decoded(text: &str) -> Result<String, Fault> {
    let hint = "Write a `%` as %25.";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit)).and_then(|two| std::str::from_utf8(two).ok());
        let Some(byte) = digits.and_then(|two| u8::from_str_radix(two, 16).ok()) else {
            return Err(Fault::config("the URI has a `%` without two hexadecimal digits", hint));
        };
        if byte == 0 {
            return Err(Fault::config("the URI holds a zero byte", "Take out the %00."));
        }
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| Fault::config("the URI does not decode to UTF-8", hint))
}
