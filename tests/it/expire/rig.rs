//! A repository in a directory, and expiry at any moment of its history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use jiff::SignedDuration;
use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::execute::expire::{Clock, Deed, Done, ExpireFault, Expired, Onlooker, What, Wishes, expire};
use seawall::format::descriptor::Descriptor;
use seawall::units::{Instant, Lsn};

use crate::repository::fixture::{Fixture, How, SEGMENT, moment};

pub struct Ground {
    pub fixture: Fixture,
}

/// Plain objects: what is in them does not matter here.
const OPEN: How = How { encrypted: false, guarded: true };

impl Ground {
    /// `keep` of the one job, as the policy writes it.
    pub fn keeping(keep: &str) -> Ground {
        let mut ground = Ground { fixture: Fixture::with(OPEN) };
        ground.change("keep: { daily: 30 }", &format!("keep: {keep}"));
        // A long window would keep a base of its own.
        ground.change("keep: 30d }", "keep: 1d }");
        ground
    }

    pub fn change(&mut self, from: &str, to: &str) {
        let path = self.fixture.path().join("policy.yaml");
        let text = std::fs::read_to_string(&path).expect("a policy");
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(&path, text.replace(from, to)).expect("written");
        let state = Some(self.fixture.path().join("state"));
        let here = Here { policy: Some(path), state, host: Some("db-1".parse().expect("a name")) };
        self.fixture.policy = here.read(Colour::Never).expect("a sound policy");
    }

    pub fn add(&mut self, lines: &str) {
        self.change("version: 1\n", &format!("version: 1\n{lines}"));
    }

    /// A backup whose own log lies in the segment of that number.
    pub fn backup(&self, id: &str, stopped: &str, segment: u64) -> Descriptor {
        self.backup_with(id, stopped, segment, |_| ())
    }

    pub fn backup_with(&self, id: &str, stopped: &str, segment: u64, change: impl FnOnce(&mut Descriptor)) -> Descriptor {
        let files = std::collections::BTreeMap::from([("PG_VERSION".to_owned(), b"16\n".to_vec())]);
        let lsn = |offset: u64| Lsn(segment * SEGMENT + offset);
        self.fixture.backup_of(id, stopped, lsn(40), lsn(500), &files, change)
    }

    /// A run at that moment, by a clock of its own. What it put into the store was put at that moment.
    pub fn expire(&self, now: &str) -> Expired {
        self.expire_as(now, Wishes::default()).expect("it can begin")
    }

    /// The same, while somebody does something whenever he hears of what is done.
    pub fn expire_heard(&self, now: &str, wishes: Wishes, deed: &(dyn Fn(Done, &Deed) -> bool + Sync)) -> Expired {
        let (now, stop) = (moment(now), AtomicBool::new(false));
        let wishes = Wishes { clock: Clock::Told(now), ..wishes };
        let done = expire(&self.fixture.site(), &wishes, Onlooker { deed, stop: &stop }).expect("it can begin");
        self.put_at(now);
        done
    }

    pub fn expire_as(&self, now: &str, wishes: Wishes) -> Result<Expired, ExpireFault> {
        let now = moment(now);
        let heard: Mutex<Vec<Deed>> = Mutex::default();
        let stop = AtomicBool::new(false);
        let deed = |done: Done, deed: &Deed| {
            if done != Done::Deleting {
                heard.lock().expect("one at a time").push(deed.clone());
            }
            true
        };
        let done = expire(&self.fixture.site(), &Wishes { clock: Clock::Told(now), ..wishes }, Onlooker { deed: &deed, stop: &stop })?;
        let told: usize = [&done.marked, &done.unmarked, &done.deleted, &done.moved].iter().map(|deeds| deeds.len()).sum();
        assert_eq!(heard.into_inner().expect("nobody panicked").len(), told, "whoever keeps a record hears of everything");
        self.put_at(now);
        Ok(done)
    }

    /// The store's own clock, as far as marks go.
    fn put_at(&self, now: Instant) {
        for path in files(&self.fixture.store_path().join(self.fixture.repository.as_str()).join("expiring")) {
            let file = std::fs::File::options().write(true).open(&path).expect("a mark");
            if file.metadata().and_then(|about| about.modified()).expect("a time") > SystemTime::from(now) {
                file.set_modified(SystemTime::from(now)).expect("set");
            }
        }
    }

    /// The backups that have a descriptor.
    pub fn there(&self) -> Vec<String> {
        let names = self.names("backups").into_iter().filter(|name| name.ends_with(".json"));
        let mut ids: Vec<String> = names.map(|name| name.split_once('-').expect("a time").1.trim_end_matches(".json").to_owned()).collect();
        ids.sort();
        ids
    }

    /// Everything in the repository that belongs to a backup.
    pub fn traces(&self, id: &str) -> Vec<PathBuf> {
        let root = self.fixture.store_path().join(self.fixture.repository.as_str());
        files(&root).into_iter().filter(|path| path.to_string_lossy().contains(id)).collect()
    }

    pub fn names(&self, folder: &str) -> Vec<String> {
        let root = self.fixture.store_path().join(self.fixture.repository.as_str()).join(folder);
        let name = |path: &PathBuf| path.file_name().expect("a name").to_str().expect("text").to_owned();
        files(&root).iter().map(name).collect()
    }

    /// The numbers of the segments that are there.
    pub fn segments(&self, timeline: u32) -> BTreeSet<u64> {
        let numbers = self.names("wal").into_iter().filter_map(|name| {
            let segment: seawall::units::Segment = name.split('.').next()?.parse().ok()?;
            (name.ends_with(".zst") && name.len() == 28 && segment.timeline.0.get() == timeline)
                .then(|| segment.number(crate::repository::fixture::size()))
        });
        numbers.collect()
    }
}

/// All files below a folder, if it is there.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// The backups that were meant.
pub fn ids(deeds: &[Deed]) -> Vec<String> {
    let id = |deed: &Deed| match &deed.what {
        What::Backup { id, .. } | What::Leftovers { id } => Some(id.to_string()),
        What::Log { .. } => None,
    };
    deeds.iter().filter_map(id).collect()
}

pub fn day(number: i64) -> String {
    (moment("2025-01-01T02:00:00Z") + SignedDuration::from_hours(24 * number)).to_string()
}

pub fn later(moment_of: &str, hours: i64) -> String {
    (moment(moment_of) + SignedDuration::from_hours(hours)).to_string()
}
