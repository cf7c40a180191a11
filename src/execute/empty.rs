//! A private server with nothing in it: a dump needs one that runs, and here it is in nobody's way.
//!
//! Whose place it lies in ends and removes it, also when its process was killed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::execute::restore::{RestoreFault, programs, settings};
use crate::execute::throwaway::{BESIDE, Place};
use crate::pipeline::restore::Owner;
use crate::postgres::{Fault, Settings};

/// Its superuser. Most dumps belong to this one, and then nothing has to be made for them.
pub(super) const USER: &str = "postgres";
/// The database that is there from the beginning and that no dump has.
pub(super) const DATABASE: &str = "template1";
const LOG: &str = "seawall-server.log";
/// So long a server may take that has nothing to recover.
const STARTS_WITHIN_SECONDS: &str = "60";

/// Makes it in the place of a copy, and starts it. `lines` are settings, as in its configuration; what comes last counts.
pub(super) fn start(place: &Place, bin: &Path, owner: Option<Owner>, lines: &[(String, String)]) -> Result<(), RestoreFault> {
    let data = &place.data();
    let mut initdb = programs::as_owner(&bin.join("initdb"), owner);
    // Each database that comes back brings its own encoding and locale.
    initdb.arg("-D").arg(data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    // Whoever removes the place of a run that was killed must end it first: it would make the directory anew.
    initdb.env(BESIDE, place.id().as_str());
    let made = run(&mut initdb, "initdb")?;
    if !made.is_empty() {
        return Err(RestoreFault::new(format!("initdb failed: {made}"), "Its own words say what is wrong."));
    }
    let conf = data.join("postgresql.conf");
    let text: String = lines.iter().map(|(name, value)| settings::line(name, value)).collect();
    let put = OpenOptions::new().append(true).open(&conf).and_then(|mut file| file.write_all(text.as_bytes()));
    put.map_err(|error| RestoreFault::new(format!("`{}` cannot be written: {error}", conf.display()), ""))?;
    let mut server = programs::as_owner(&bin.join("pg_ctl"), owner);
    server
        .arg("-D")
        .arg(data)
        .arg("-l")
        .arg(data.join(LOG))
        .args(["-w", "-t", STARTS_WITHIN_SECONDS, "start"])
        .env(BESIDE, place.id().as_str());
    let started = server.stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(RestoreFault::new(
            format!("the throw-away server could not be started: {}", why(data)),
            "Mend what it says; `--start-with DIR` names another installation of PostgreSQL.",
        )),
        Err(error) => Err(RestoreFault::new(format!("`pg_ctl` cannot be run: {error}"), "Check the installation.")),
    }
}

/// As its superuser, through its own socket.
pub(super) fn settings_of(sockets: &Path, port: u16) -> Result<Settings, Fault> {
    Settings::read(&connection(sockets, port))
}

/// The same as a connection string.
pub(super) fn connection(sockets: &Path, port: u16) -> String {
    let sockets = sockets.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'");
    format!("host='{sockets}' port={port} user={USER} dbname={DATABASE} connect_timeout=10")
}

/// What it says when it fails; nothing when it does not.
fn run(command: &mut Command, name: &str) -> Result<String, RestoreFault> {
    let cannot = |error: std::io::Error| RestoreFault::new(format!("`{name}` cannot be run: {error}"), "Check the installation.");
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().map_err(cannot)?;
    if output.status.success() {
        return Ok(String::new());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Ok(if said.is_empty() { output.status.to_string() } else { said })
}

/// The last lines of its log that say why.
fn why(data: &Path) -> String {
    let log = fs::read_to_string(data.join(LOG)).unwrap_or_default();
    let said: Vec<&str> = log.lines().filter(|line| ["FATAL:", "PANIC:", "HINT:"].iter().any(|word| line.contains(word))).collect();
    if said.is_empty() { "it did not say why".to_owned() } else { said[said.len().saturating_sub(4)..].join("; ") }
}
