//! Commands as somebody types them into a POSIX shell.

use super::Setting;
use crate::emit::quote::for_shell;
use crate::policy::resolve::decoded;

/// How long a line may be before it goes on in the next one.
const WIDTH: usize = 100;

/// A word of a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word<'w> {
    /// This, whatever is in it.
    Is(&'w str),
    /// What the reader has put into a variable.
    Of(&'static str),
}

/// `seawall …` on this policy.
pub(super) fn seawall(setting: &Setting, words: &[Word<'_>]) -> String {
    let policy = [Word::Is("--policy"), Word::Is(&setting.policy_file)];
    // Where the policy lies where it is looked for, the command is shorter without it.
    let policy = if setting.policy_file == Setting::USUAL { &[][..] } else { &policy[..] };
    command("seawall", &[words, policy].concat())
}

pub(super) fn command(program: &str, words: &[Word<'_>]) -> String {
    let mut lines = vec![program.to_owned()];
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let mut piece = written(*word);
        // An option stays beside its value.
        if piece.starts_with("--")
            && let Some(value) = rest.next_if(|next| !written(**next).starts_with("--"))
        {
            piece = format!("{piece} {}", written(*value));
        }
        let last = lines.last_mut().expect("a line");
        if last.len() + piece.len() > WIDTH {
            last.push_str(" \\");
            lines.push(format!("    {piece}"));
        } else {
            last.push(' ');
            last.push_str(&piece);
        }
    }
    lines.join("\n")
}

fn written(word: Word<'_>) -> String {
    match word {
        Word::Is(text) => for_shell(text),
        Word::Of(name) => format!("\"${name}\""),
    }
}

/// Words of a policy, such as a hook's.
pub(super) fn words_of(words: &[String]) -> String {
    words.iter().map(|word| for_shell(word)).collect::<Vec<_>>().join(" ")
}

/// `dbname='my db'` within a connection string: what stands in it means nothing.
pub(super) fn database(name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { format!("dbname={name}") } else { format!("dbname='{}'", name.replace('\\', r"\\").replace('\'', r"\'")) }
}

/// An address with this database, whatever it led to before: what is typed for one database must not reach another.
pub(super) fn address_of(url: &str, name: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let (scheme, rest) = place.split_once("://").unwrap_or(("postgresql", place));
    let server = rest.split_once('/').map_or(rest, |(server, _)| server);
    let others = query.into_iter().flat_map(|query| query.split('&')).filter(|word| !is_database(word));
    let others = others.collect::<Vec<_>>().join("&");
    let query = if others.is_empty() { String::new() } else { format!("?{others}") };
    format!("{scheme}://{server}/{}{query}", encoded(name))
}

/// Where a server that has these settings answers on its own host: the port, and the folder of its socket. A service says neither here.
pub(super) fn door_of(connection: &str) -> String {
    let (mut host, mut port) = (None, None);
    let mut say = |key: &str, value: String| match key {
        "host" => host = Some(value),
        "port" => port = Some(value),
        _ => {}
    };
    match connection.split_once("://") {
        Some((_, rest)) => {
            let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
            let server = place.split('/').next().unwrap_or_default();
            let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
            if let Some((_, port)) = server.rsplit_once(':').filter(|_| !server.contains(',')) {
                say("port", port.to_owned());
            }
            query.split('&').filter_map(|word| word.split_once('=')).for_each(|(key, value)| say(&decoded(key), decoded(value)));
        }
        None => connection.split_whitespace().filter_map(|word| word.split_once('=')).for_each(|(key, value)| say(key, value.to_owned())),
    }
    let socket = host.filter(|host| host.starts_with('/') && !host.contains([',', '\'', ' '])).map(|folder| format!("host={folder}"));
    let port = port.filter(|port| port.parse::<u16>().is_ok()).map(|port| format!("port={port}"));
    socket.into_iter().chain(port).collect::<Vec<_>>().join(" ")
}

/// Of two that say it the later one would count, and its key may be encoded.
fn is_database(word: &str) -> bool {
    decoded(word.split_once('=').map_or(word, |(key, _)| key)) == "dbname"
}

fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Ends the server of a directory and waits for it, wherever its programs lie: `pg_ctl` is not where a shell looks for it everywhere, and root
/// may not run it. The signal is the one of a fast shutdown.
pub(super) fn stop(directory: &str) -> String {
    let file = for_shell(&format!("{}/postmaster.pid", directory.trim_end_matches('/')));
    format!(r#"read -r pid < {file} && kill -INT "$pid" && while kill -0 "$pid" 2> /dev/null; do sleep 1; done"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        let setting = Setting { policy_file: "/etc/it's.yaml".into(), ..Setting::default() };
        let said = seawall(&setting, &[Word::Is("restore"), Word::Is("--to"), Word::Of("moment"), Word::Is("--target"), Word::Is("/a b")]);
        assert_eq!(said, r#"seawall restore --to "$moment" --target '/a b' --policy '/etc/it'\''s.yaml'"#);
        assert_eq!(database("my 'db\\"), r"dbname='my \'db\\'");
        assert!(stop("/srv/a b/").starts_with("read -r pid < '/srv/a b/postmaster.pid' && kill -INT "));
    }

    #[test]
    fn an_address_leads_to_the_database_that_is_meant() {
        for (url, expected) in [
            ("postgres://db1/app", "postgres://db1/app_rescued"),
            (
                "postgresql://me@db1:5432,db2:5433/app?sslmode=verify-full",
                "postgresql://me@db1:5432,db2:5433/app_rescued?sslmode=verify-full",
            ),
            ("postgres://db1", "postgres://db1/app_rescued"),
            ("postgres:///app?host=/run/postgresql", "postgres:///app_rescued?host=/run/postgresql"),
            ("postgres://%2Frun%2Fpostgresql?dbname=app&user=me", "postgres://%2Frun%2Fpostgresql/app_rescued?user=me"),
            ("postgres://[::1]/app?%64bname=app", "postgres://[::1]/app_rescued"),
        ] {
            assert_eq!(address_of(url, "app_rescued"), expected);
        }
        assert_eq!(address_of("postgres://db1/app", "my 'db/?"), "postgres://db1/my%20%27db%2F%3F");
    }

    #[test]
    fn a_server_answers_by_its_own_port_and_socket_wherever_its_original_was() {
        for (connection, door) in [
            ("host=/run/postgresql port=55432 user=postgres", "host=/run/postgresql port=55432"),
            ("host=db-1.example.com port=5433 dbname=shop", "port=5433"),
            ("postgresql://seawall@db-1.example.com:5433/shop?sslmode=verify-full", "port=5433"),
            ("postgresql://[fd00::1]/shop", ""),
            ("postgresql:///shop?host=%2Frun%2Fpostgresql&port=5434", "host=/run/postgresql port=5434"),
            ("host=db-1,db-2 port=5432,5433", ""),
            ("postgresql://db-1:5432,db-2:5433/shop", ""),
            ("service=shop", ""),
        ] {
            assert_eq!(door_of(connection), door, "{connection}");
        }
    }
}
