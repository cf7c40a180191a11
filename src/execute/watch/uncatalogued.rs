//! What is done where the catalog cannot be used: nothing else can be decided, but that much is told, to those whom the routes name for
//! something critical, directly.
//!
//! What was said is remembered in one small file of the state, by the rules that hold for every alert: reminders, levels, and that it is over.
//! A disk that is full takes no new file, so the file is made while all is well, with room in it, and is written over in place. Where not even
//! that can be written, it is said at every look: too often rather than never.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::WatchFault;
use crate::alert::{Memory, Notice, Seen, catalog_down, judge};
use crate::notify::{Before, Courier, FaultKind};
use crate::site::Site;
use crate::units::Instant;
use crate::world::{clock, files};

/// Room for what is remembered.
const ROOM: usize = 64 << 10;
const MAX_BYTES: usize = 16 << 20;

/// What was said, and what has not arrived.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Said {
    /// The memory of this one alert, as JSON.
    #[serde(default)]
    memory: String,
    /// Since when it cannot be used.
    #[serde(default)]
    since: Option<Instant>,
    #[serde(default)]
    waiting: Vec<Notice>,
}

/// Tells that the catalog cannot be used, if somebody has to hear of it now. Returns how many messages were sent.
pub fn catalog_is_down(site: &Site<'_>, fault: &WatchFault, stop: &AtomicBool) -> usize {
    tell(site, Some(fault), stop)
}

/// The catalog can be used: whoever heard that it could not hears that, and the next time can be remembered.
pub fn catalog_is_well(site: &Site<'_>, stop: &AtomicBool) -> usize {
    let path = place(site);
    if !path.exists() {
        if let Err(error) = reserve(site, &path) {
            tracing::debug!("there is no room for what is said while the catalog is down: {error}");
        }
        return 0;
    }
    tell(site, None, stop)
}

fn tell(site: &Site<'_>, fault: Option<&WatchFault>, stop: &AtomicBool) -> usize {
    let path = place(site);
    let mut said = recall(&path);
    if fault.is_none() && said.memory.is_empty() && said.waiting.is_empty() && said.since.is_none() {
        return 0;
    }
    let now = clock::now();
    let since = fault.map(|_| said.since.filter(|since| *since <= now).unwrap_or(now));
    let message = fault.map(ToString::to_string).unwrap_or_default();
    let condition = catalog_down(fault.zip(since).map(|(fault, since)| (since, message.as_str(), fault.hint(), fault.may_pass())));
    // What cannot be read was never said: it is said once more.
    let memory = Memory::from_json(&said.memory).unwrap_or_default();
    let judged = judge(site.policy, memory, &Seen { host: site.host(), conditions: Some(&[condition]), ..Seen::default() }, now);
    said.waiting.extend(judged.notices);
    let (sent, waiting) = send(site, std::mem::take(&mut said.waiting), stop);
    let memory = if fault.is_some() { judged.memory.to_json() } else { String::new() };
    if let Err(error) = remember(site, &path, &Said { memory, since, waiting }) {
        tracing::warn!("what was said of the catalog cannot be remembered, so it is said again at the next look: {error}");
    }
    sent
}

/// In order for each receiver: what follows one that did not arrive waits with it.
fn send(site: &Site<'_>, notices: Vec<Notice>, stop: &AtomicBool) -> (usize, Vec<Notice>) {
    let courier = Courier::new(site.policy);
    let (mut sent, mut waiting) = (0, Vec::<Notice>::new());
    for notice in notices {
        if stop.load(Ordering::Relaxed) || waiting.iter().any(|before| before.receiver == notice.receiver) {
            waiting.push(notice);
            continue;
        }
        match courier.send(&notice, &Before::default()) {
            Ok(_) => sent += 1,
            Err(fault) => {
                tracing::warn!(hint = fault.hint, "a message to `{}` does not arrive: {}", notice.receiver, fault.message);
                if fault.kind != FaultKind::Refused {
                    waiting.push(notice);
                }
            }
        }
    }
    (sent, waiting)
}

fn place(site: &Site<'_>) -> PathBuf {
    site.policy_state().join("catalog-down.json")
}

fn recall(path: &Path) -> Said {
    files::read(path, MAX_BYTES).ok().and_then(|bytes| serde_json::from_slice(bytes.trim_ascii()).ok()).unwrap_or_default()
}

/// In place while it fits, because that works on a disk that is full. It is not whole at every moment: half of it is as if nothing was said.
fn remember(site: &Site<'_>, path: &Path, said: &Said) -> io::Result<()> {
    let mut json = serde_json::to_vec(said).map_err(io::Error::other)?;
    json.resize(json.len().max(ROOM), b' ');
    files::make_folders(&site.policy_state())?;
    let mut file = files::open_or_make(path, OpenOptions::new().write(true))?;
    file.write_all(&json)?;
    // One that was longer leaves nothing behind.
    file.set_len(json.len() as u64)?;
    file.sync_all()
}

fn reserve(site: &Site<'_>, path: &Path) -> io::Result<()> {
    files::make_folders(&site.policy_state())?;
    files::create(path, &[b' '; ROOM]).map_err(|fault| io::Error::other(fault.message))
}
