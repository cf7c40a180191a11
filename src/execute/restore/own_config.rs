//! The backup's own copies of configuration that lay outside the data directory, for a server that is started where it was restored.
//! Debian keeps `postgresql.conf` in `/etc`, and a machine that has never seen the cluster has nothing there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::plan::RestorePlan;
use super::request::Request;
use super::{RestoreFault, act, config, settings};
use crate::format::descriptor::Private;
use crate::pipeline::PipelineFault;
use crate::pipeline::restore::Ground;

/// Where they lie, below the data directory.
pub const FOLDER: &str = "seawall-config";
const CONFIG: &str = "postgresql.conf";
const NOT_THERE: &str = "# seawall: not in the backup: ";
const NOT_HERE: &str = "# seawall: was for another directory: ";
/// PostgreSQL's own place for sockets.
const SOCKETS: &str = "/tmp";

/// Whether the server that is started here needs them: its configuration is elsewhere, or is read from files that are not on this machine.
pub fn is_needed(request: &Request, private: &Private) -> bool {
    let missing = private.config_files.iter().any(|file| !Path::new(file).exists());
    request.start && (original(private, "config_file", CONFIG).is_some() || missing)
}

/// The configuration lay elsewhere and the backup has no copy of it: then nothing here can be started.
pub(super) fn is_lost(private: &Private) -> bool {
    let outside = |file: &String| !Path::new(file).starts_with(&private.data_directory);
    private.settings.get("config_file").is_some_and(|file| outside(file) && !private.config_files.contains(file))
}

/// What a setting named when the backup was taken, if it is among the copies. Older backups did not write it down.
fn original(private: &Private, setting: &str, usual: &str) -> Option<PathBuf> {
    let named = private.settings.get(setting);
    let is_it =
        |file: &&String| named.map_or_else(|| Path::new(file).file_name().is_some_and(|name| name == usual), |named| named == *file);
    private.config_files.iter().find(is_it).map(PathBuf::from)
}

/// A server that is started in this directory uses this one. Its configuration may name the original's, and then it would be that one that
/// starts.
pub(super) fn stay_here(ground: &Ground) -> Result<(), RestoreFault> {
    let path = ground.root.join(CONFIG);
    if !path.is_file() {
        return Ok(());
    }
    let text = read(&path)?;
    let leads_away = |line: &str| {
        let given = Given::of(line).filter(|given| given.name.eq_ignore_ascii_case("data_directory"));
        given.is_some_and(|given| Path::new(&given.value) != ground.root)
    };
    if !text.lines().any(leads_away) {
        return Ok(());
    }
    let line = |line: &str| format!("{}{line}\n", if leads_away(line) { NOT_HERE } else { "" });
    act::put(ground, &path, text.lines().map(line).collect::<String>().as_bytes())
}

pub(super) fn put(plan: &RestorePlan, ground: &Ground) -> Result<(), RestoreFault> {
    let private = &plan.chosen.private;
    if !is_needed(&plan.request, private) {
        return Ok(());
    }
    let folder = ground.root.join(FOLDER);
    let copies = config::extract(plan, ground, &folder)?;
    let mut all = BTreeMap::new();
    for (from, copy) in &copies {
        let text = read(copy)?;
        all.extend(text.lines().filter_map(Given::of).map(|given| (given.name.to_owned(), given.value)));
        let moved = Moved { from: from.parent(), folder: &folder, copies: &copies };
        act::put(ground, copy, moved.text(&text, copy, ground)?.as_bytes())?;
    }
    let inside = ground.root.join(CONFIG);
    if inside.is_file() {
        let moved = Moved { from: None, folder: &folder, copies: &copies };
        let text = moved.text(&read(&inside)?, &inside, ground)?;
        return act::put(ground, &inside, text.as_bytes());
    }
    let copy = |setting, usual| original(private, setting, usual).and_then(|file| copies.get(&file));
    let Some(config) = copy("config_file", CONFIG) else { return Ok(()) };
    let mut lines = vec![("data_directory", ground.root.clone()), ("external_pid_file", PathBuf::new())];
    lines.extend(copy("hba_file", "pg_hba.conf").map(|file| ("hba_file", file.clone())));
    lines.extend(copy("ident_file", "pg_ident.conf").map(|file| ("ident_file", file.clone())));
    if plan.chosen.descriptor.cluster.version < 150_000 {
        lines.push(("stats_temp_directory", "pg_stat_tmp".into()));
    }
    lines.extend(for_this_machine(&all));
    act::put(ground, &inside, starter(config, &lines).as_bytes())
}

/// What would keep the server from starting here.
fn for_this_machine(all: &BTreeMap<String, String>) -> Vec<(&'static str, PathBuf)> {
    let is_missing = |name: &str| all.get(name).is_some_and(|file| file.starts_with('/') && !Path::new(file).exists());
    let mut lines = Vec::new();
    if ["ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file", "ssl_dh_params_file"].into_iter().any(is_missing) {
        lines.push(("ssl", "off".into()));
    }
    let sockets = all.get("unix_socket_directories").into_iter().flat_map(|all| all.split(',')).map(str::trim);
    if sockets.clone().any(|folder| folder.starts_with('/') && !Path::new(folder).is_dir()) {
        let there: Vec<&str> = sockets.filter(|folder| Path::new(folder).is_dir()).collect();
        lines.push(("unix_socket_directories", if there.is_empty() { SOCKETS.into() } else { there.join(", ").into() }));
    }
    lines
}

/// The file that PostgreSQL looks for. What comes last counts.
fn starter(config: &Path, lines: &[(&str, PathBuf)]) -> String {
    let mut text = "# Written by `seawall restore`: the cluster's configuration lay outside its data directory. This is the backup's copy of it,\n\
                    # and below it what must be otherwise here. Put the original where it belongs, and delete this file, when the server moves in.\n"
        .to_owned();
    text.push_str(&settings::line("include", &config.to_string_lossy()));
    for (name, value) in lines {
        text.push_str(&settings::line(name, &value.to_string_lossy()));
    }
    text
}

fn read(path: &Path) -> Result<String, RestoreFault> {
    let bytes = fs::read(path).map_err(|error| PipelineFault::file(format!("`{}` cannot be read", path.display()), error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of a configuration: `name = 'value'`, or `include "file"` as it may stand in pg_hba.conf.
struct Given<'l> {
    name: &'l str,
    value: String,
    quote: char,
}

impl<'l> Given<'l> {
    fn of(line: &'l str) -> Option<Given<'l>> {
        let line = line.trim_start();
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"')).unwrap_or(' ');
        let value = match quote {
            ' ' => rest.split(|c: char| c.is_whitespace() || c == '#').next().unwrap_or_default().to_owned(),
            quote => within(&rest[1..], quote),
        };
        (!name.is_empty()).then_some(Given { name, value, quote })
    }
}

/// Up to the quote that ends it; two of them, or one behind a backslash, are one.
fn within(text: &str, quote: char) -> String {
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next()),
            c if c == quote && chars.peek() == Some(&quote) => value.extend(chars.next()),
            c if c == quote => break,
            c => value.push(c),
        }
    }
    value
}

/// Where files went that a configuration names.
struct Moved<'m> {
    /// Where the copied file lay; none for one that is at its own place.
    from: Option<&'m Path>,
    folder: &'m Path,
    copies: &'m BTreeMap<PathBuf, PathBuf>,
}

impl Moved<'_> {
    /// The text with every name of a copied file replaced by that of its copy; directories that are included are there afterwards.
    fn text(&self, text: &str, copy: &Path, ground: &Ground) -> Result<String, RestoreFault> {
        let mut moved = String::new();
        for line in text.lines() {
            let included = Given::of(line).filter(|given| given.name.eq_ignore_ascii_case("include_dir"));
            if let Some(directory) = included.and_then(|given| self.directory(&given.value, copy)) {
                ground.make_directory(&directory)?;
            }
            moved.push_str(&self.line(line));
            moved.push('\n');
        }
        Ok(moved)
    }

    /// A directory that PostgreSQL must find, even if nothing in it was worth a copy.
    fn directory(&self, named: &str, copy: &Path) -> Option<PathBuf> {
        match (Path::new(named).strip_prefix("/"), self.from) {
            (Ok(below), _) => Some(self.folder.join(below)),
            (Err(_), Some(_)) => copy.parent().map(|parent| parent.join(named)),
            (Err(_), None) => None,
        }
    }

    fn line(&self, line: &str) -> String {
        let Some(given) = Given::of(line) else { return line.to_owned() };
        let absolute = Path::new(&given.value).is_absolute();
        let original = match self.from {
            Some(from) => from.join(&given.value),
            None => PathBuf::from(&given.value),
        };
        match (given.name.to_ascii_lowercase().as_str(), self.copies.get(&original)) {
            ("include" | "include_if_exists" | "hba_file" | "ident_file", Some(copy)) if absolute => given.with(copy),
            ("include_dir", _) if absolute => given.with(&self.folder.join(original.strip_prefix("/").unwrap_or(&original))),
            ("include", None) if absolute && !original.exists() || !absolute && self.from.is_some() => format!("{NOT_THERE}{line}"),
            _ => line.to_owned(),
        }
    }
}

impl Given<'_> {
    fn with(&self, path: &Path) -> String {
        let path = path.to_string_lossy();
        match self.quote {
            '\'' => settings::line(self.name, &path).trim_end().to_owned(),
            _ => format!("{} \"{path}\"", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copied_files_become_those_of_their_copies() {
        let folder = Path::new("/r/seawall-config");
        let etc = "/etc/nowhere/16/main";
        let copies = ["extra.conf", "conf.d/a.conf", "pg_hba.conf"];
        let copies = copies.map(|name| (PathBuf::from(format!("{etc}/{name}")), folder.join(format!("{}/{name}", &etc[1..]))));
        let copies = BTreeMap::from(copies);
        let of_copy = Moved { from: Some(Path::new(etc)), folder, copies: &copies };
        for (line, expected) in [
            ("include 'extra.conf'", "include 'extra.conf'"),
            ("include '/etc/nowhere/16/main/extra.conf'  # more", "include = '/r/seawall-config/etc/nowhere/16/main/extra.conf'"),
            ("HBA_FILE = '/etc/nowhere/16/main/pg_hba.conf'", "HBA_FILE = '/r/seawall-config/etc/nowhere/16/main/pg_hba.conf'"),
            ("include_dir '/etc/nowhere/conf.d'", "include_dir = '/r/seawall-config/etc/nowhere/conf.d'"),
            ("include \"/etc/nowhere/16/main/extra.conf\"", "include \"/r/seawall-config/etc/nowhere/16/main/extra.conf\""),
            ("include '/etc/nowhere/secret.conf'", "# seawall: not in the backup: include '/etc/nowhere/secret.conf'"),
            ("include 'gone.conf'", "# seawall: not in the backup: include 'gone.conf'"),
            ("include_if_exists 'gone.conf'", "include_if_exists 'gone.conf'"),
            ("# include '/etc/nowhere/16/main/extra.conf'", "# include '/etc/nowhere/16/main/extra.conf'"),
            ("work_mem = 5MB", "work_mem = 5MB"),
            ("local all all peer", "local all all peer"),
        ] {
            assert_eq!(of_copy.line(line), expected);
        }
        // One at its own place: what is beside it came with it.
        let inside = Moved { from: None, folder, copies: &copies };
        assert_eq!(inside.line("include 'gone.conf'"), "include 'gone.conf'");
        assert_eq!(inside.line("ident_file = '/etc/other'"), "ident_file = '/etc/other'");
        assert_eq!(Given::of("a='it''s \\'x\\'' # b").expect("a setting").value, "it's 'x'");
    }

    #[test]
    fn what_this_machine_does_not_have_is_not_asked_for() {
        let all = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(for_this_machine(&all(&[("ssl_key_file", "server.key"), ("unix_socket_directories", "/tmp, @abstract")])), []);
        let elsewhere = all(&[("ssl_key_file", "/nowhere/key"), ("unix_socket_directories", "/nowhere,/tmp")]);
        assert_eq!(for_this_machine(&elsewhere), [("ssl", PathBuf::from("off")), ("unix_socket_directories", PathBuf::from("/tmp"))]);
    }
}
