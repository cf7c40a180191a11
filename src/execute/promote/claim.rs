//! `leases/promote-<cluster>.json`, in every store of the log that can be reached: that somebody promotes a server of this cluster. Two standbys
//! that were promoted at once would be two primaries. Timed by the store's clock; what ended without removing it counts for as long as any other
//! lease, and right before the server is told it is read back.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::PromoteFault;
use crate::execute::backup::lease::{is_dead, process};
use crate::execute::store_clock::stores_time;
use crate::format::layout::Repository;
use crate::format::lease::{MAX_BYTES, Process, STALE_SECONDS, is_stale};
use crate::inventory::SystemIdentifier;
use crate::store::{Fault, Put, Store};
use crate::units::{Instant, Key};
use crate::world::{files, host};

const RENEW: Duration = Duration::from_secs(60);

/// All that one promotion claims.
#[derive(Debug, Default)]
pub struct Claims(Vec<Claim>);

#[derive(Debug)]
struct Claim {
    store: Store,
    key: Key,
    json: Bytes,
    renewer: Option<(Sender<()>, JoinHandle<()>)>,
    stays: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    host: String,
    who: String,
    since: Instant,
    /// So that two of one host can be told apart as well.
    word: String,
    #[serde(default)]
    boot: Option<String>,
    #[serde(default)]
    process: Option<Process>,
}

impl Claims {
    /// Refused while another one has it.
    pub fn take(
        &mut self,
        store: &Store,
        repository: &Repository,
        cluster: SystemIdentifier,
        (host, who): (&str, &str),
        now: Instant,
    ) -> Result<(), PromoteFault> {
        let key = repository.promotion(cluster);
        let content = Content {
            host: host.to_owned(),
            who: who.to_owned(),
            since: now,
            word: files::own_word(),
            boot: host::boot(),
            process: process(),
        };
        let json = Bytes::from(serde_json::to_vec_pretty(&content).expect("texts"));
        let mut claim = Claim { store: store.clone(), key, json, renewer: None, stays: false };
        if store.put_new(&claim.key, claim.json.clone())? == Put::Exists {
            refuse_alive(&claim, repository, host)?;
            store.replace(&claim.key, claim.json.clone())?;
            // Another one may have found the same stale claim at the same moment.
            thread::sleep(Duration::from_secs(1));
        }
        claim.renewer = claim.keep_alive();
        self.0.push(claim);
        self.must_be_ours()
    }

    /// Nobody took one of them over: because of a clock, or because this host could not reach the store for long.
    pub fn must_be_ours(&self) -> Result<(), PromoteFault> {
        for claim in &self.0 {
            let is_ours = claim.is_ours().map_err(|fault| {
                let hint = "Another host may promote by now. Mend the store, or leave it out with `--without-stores`; and run this again.";
                PromoteFault::may_pass(format!("{} does not say any more whose claim it is: {}", claim.store.url(), fault.message), hint)
            })?;
            if !is_ours {
                let message = format!("another host began a promotion meanwhile: {} in {} is not ours", claim.key, claim.store.url());
                return Err(PromoteFault::may_pass(message, "Look there first: two would be two primaries."));
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is claimed can be seen without them.
    pub fn release(&mut self) {
        self.go();
        self.0.clear();
    }

    /// They are taken away when this ends.
    pub fn go(&mut self) {
        self.0.iter_mut().for_each(|claim| claim.stays = false);
    }

    /// They are not taken away when this ends, and time out by themselves: a server was told, and nobody has seen yet what it became.
    pub fn stay(&mut self) {
        self.0.iter_mut().for_each(|claim| claim.stays = true);
    }
}

impl Claim {
    fn is_ours(&self) -> Result<bool, Fault> {
        Ok(self.store.head(&self.key)?.is_some() && self.store.get(&self.key, MAX_BYTES)? == self.json)
    }

    /// What another one has taken over is not taken back: that one is told so by nobody.
    fn keep_alive(&self) -> Option<(Sender<()>, JoinHandle<()>)> {
        let claim = Claim { store: self.store.clone(), key: self.key.clone(), json: self.json.clone(), renewer: None, stays: true };
        let (ended, end) = mpsc::channel();
        let renew = move || {
            while end.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
                if claim.is_ours().unwrap_or(false) {
                    let _ = claim.store.replace(&claim.key, claim.json.clone());
                }
            }
        };
        Some((ended, thread::Builder::new().name("claim".into()).spawn(renew).ok()?))
    }
}

/// What cannot be read is somebody's: of another version, perhaps.
fn refuse_alive(claim: &Claim, repository: &Repository, host: &str) -> Result<(), PromoteFault> {
    let Some(meta) = claim.store.head(&claim.key)? else { return Ok(()) };
    let now = stores_time(&claim.store, repository)?;
    let other: Option<Content> = serde_json::from_slice(&claim.store.get(&claim.key, MAX_BYTES)?).ok();
    if is_stale(meta.modified, now) || other.as_ref().is_some_and(|other| other.is_over(host)) {
        return Ok(());
    }
    let whose = other.map_or_else(
        || "somebody promotes a server of this cluster".to_owned(),
        |other| format!("{} promotes the server on {} since {}", other.who, other.host, other.since),
    );
    let hint = format!(
        "Look there first. It was last heard of at {}; when that run is certainly dead, wait {} minutes, or delete {} from {}.",
        meta.modified,
        STALE_SECONDS / 60,
        claim.key,
        claim.store.url()
    );
    Err(PromoteFault::may_pass(format!("{whose}: two would be two primaries"), hint))
}

impl Content {
    /// Its process is gone, and that can be seen from here.
    fn is_over(&self, host: &str) -> bool {
        let restarted = self.host == host && self.boot.is_some() && host::boot().is_some_and(|boot| self.boot.as_ref() != Some(&boot));
        restarted || is_dead(self.boot.as_deref(), self.process.as_ref())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((ended, thread)) = self.renewer.take() {
            drop(ended);
            let _ = thread.join();
        }
        if !self.stays && self.is_ours().unwrap_or(false) {
            let _ = self.store.withdraw(std::slice::from_ref(&self.key));
        }
    }
}
