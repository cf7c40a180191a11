//! Which server is backed up. A connection string says more than that: who connects, to which database, how carefully.

use std::collections::BTreeMap;

use super::comparison::Comparison;
use super::consequence::Consequence;
use super::words::{joined, quoted};
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::policy::resolve::decoded;

/// What leads to a server, in libpq's words.
const LEADING: [&str; 4] = ["service", "host", "hostaddr", "port"];

impl Comparison<'_> {
    pub fn server(&mut self) {
        let at = |policy: &Policy| policy.file.cluster.as_ref().and_then(|cluster| cluster.connection.as_deref()).map(address);
        let (Some(before), Some(after)) = (at(self.old), at(self.new)) else { return };
        if before != after {
            let path = PolicyPath::from(["cluster", "connection"]);
            let message = format!(
                "`cluster.connection` may lead to another server: {} instead of {}; what the jobs held is backed up no longer if it does",
                words(&after),
                words(&before)
            );
            self.warn(
                Consequence::warning(901, path, message)
                    .hint("Another cluster needs a policy of its own, and another prefix or directory."),
            );
        }
    }
}

fn words(address: &BTreeMap<String, String>) -> String {
    match address.is_empty() {
        true => "the usual one of the host".into(),
        false => joined(address.iter().map(|(key, value)| quoted(format!("{key}={value}")))),
    }
}

/// Of an address or of words, only what leads to a server.
fn address(connection: &str) -> BTreeMap<String, String> {
    let pairs = match connection.split_once("://") {
        Some((_, rest)) => of_address(rest),
        None => of_words(connection),
    };
    let usual = |key: &str, value: &str| value.is_empty() || (key == "port" && value == "5432");
    pairs.into_iter().filter(|(key, value)| LEADING.contains(&key.as_str()) && !usual(key, value)).collect()
}

/// `user@host:port,host:port/database?key=value`
fn of_address(rest: &str) -> Vec<(String, String)> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let servers = place.split('/').next().unwrap_or_default();
    let servers = servers.rsplit_once('@').map_or(servers, |(_, servers)| servers);
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for server in servers.split(',') {
        // The colons of an address in brackets are its own.
        let (host, port) = match server.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, port),
            None => (server, ""),
        };
        hosts.push(decoded(host.trim_matches(['[', ']'])));
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty() || *port == "5432") { String::new() } else { ports.join(",") };
    let mut pairs = vec![("host".to_owned(), hosts.join(",")), ("port".to_owned(), ports)];
    let said = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decoded(key), decoded(value)));
    pairs.extend(said.filter(|(_, value)| !value.is_empty()));
    pairs
}

/// `host=db-1 port='5432'`
fn of_words(connection: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = connection.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, left) = value_of(after.trim_start());
        pairs.push((key.trim().to_owned(), value));
        rest = left.trim_start();
    }
    pairs
}

/// A value, bare or in quotes, and what comes after it.
fn value_of(text: &str) -> (String, &str) {
    let (mut value, mut in_quotes, mut escaped) = (String::new(), false, false);
    for (at, c) in text.char_indices() {
        match c {
            c if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '\'' if in_quotes => return (value, &text[at + 1..]),
            '\'' if at == 0 => in_quotes = true,
            c if c.is_whitespace() && !in_quotes => return (value, &text[at..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ways_of_writing_it_lead_to_the_same_server() {
        for same in [
            ["host=db-1 user=a", "host='db-1' port = 5432 dbname=x"],
            ["postgresql://a@db-1/x?sslmode=require", "host=db-1"],
            ["postgresql://db-1:5433", "host=db-1 port=5433 application_name='a b=c'"],
            ["postgresql:///x?host=/run/postgresql", "postgresql://%2Frun%2Fpostgresql/y"],
            ["postgresql://[::1]:5433/x", r"host=::1 port=5433"],
            ["service=shop", "service=shop user=b"],
            ["user=a", "dbname=b"],
        ] {
            assert_eq!(address(same[0]), address(same[1]), "{same:?}");
        }
        for other in [
            ["host=db-1", "host=db-2"],
            ["host=db-1", "host=db-1 port=5433"],
            ["service=shop", "service=till"],
            ["postgresql://a@db-1/x", "postgresql://db-1@a/x"],
            ["postgresql://db-1,db-2/x", "postgresql://db-1/x"],
            ["postgresql:///x?service=shop", "postgresql:///x"],
        ] {
            assert_ne!(address(other[0]), address(other[1]), "{other:?}");
        }
    }
}
