//! Written down before and after each step, on this host's own disk: the catalog may be on the machine that is lost.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::PromoteFault;
use super::record::{Promotion, Stage, StepName, StepOutcome, StepRecord};
use crate::site::Site;
use crate::world::{clock, files};

const NAME: &str = "promotion.json";
const LOCK: &str = "promotion.lock";
const MAX_BYTES: usize = 4 << 20;

/// The promotion that is under way.
#[derive(Debug)]
pub struct Journal {
    pub promotion: Promotion,
    /// None of a rehearsal: nobody goes on with one, and nobody may take it for a promotion.
    place: Option<Place>,
}

/// Where it is written down.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

/// Whom the state directory belongs to, when root works there for somebody else.
pub fn foreign_owner(site: &Site<'_>) -> Option<u32> {
    let owner = fs::metadata(site.state()).ok()?.uid();
    (rustix::process::geteuid().is_root() && owner != 0).then_some(owner)
}

/// The last promotion on this host, done or not.
pub fn last(site: &Site<'_>) -> Option<Promotion> {
    serde_json::from_slice(&files::read(&site.policy_state().join(NAME), MAX_BYTES).ok()?).ok()
}

impl Journal {
    /// One at a time on this host, and only where nobody wrote into it since it was looked at.
    pub fn begin(site: &Site<'_>, promotion: Promotion, before: Option<&Promotion>) -> Result<Journal, PromoteFault> {
        let folder = site.policy_state();
        let fault = |path: &Path, why: String| {
            PromoteFault::new(
                format!("`{}` cannot be written: {why}", path.display()),
                "Give it to the account that runs this, or name another directory with `--state`.",
            )
        };
        files::make_folders(&folder).map_err(|error| fault(&folder, error.to_string()))?;
        let path = folder.join(LOCK);
        let lock = files::open_or_make(&path, OpenOptions::new().write(true)).map_err(|error| fault(&path, error.to_string()))?;
        if lock.try_lock().is_err() {
            return Err(PromoteFault::may_pass("another promotion of this policy is going on, on this host", "Wait for it, or end it."));
        }
        if last(site).as_ref() != before {
            let message = "another promotion of this policy ran on this host since this one was planned";
            return Err(PromoteFault::may_pass(message, "Run it again: it says what stands now."));
        }
        let journal = Journal { promotion, place: Some(Place { path: folder.join(NAME), _lock: lock }) };
        journal.keep()?;
        Ok(journal)
    }

    /// Of one that only the drill's own record tells of.
    pub fn of_a_rehearsal(promotion: Promotion) -> Journal {
        Journal { promotion, place: None }
    }

    pub fn keep(&self) -> Result<(), PromoteFault> {
        let Some(Place { path, .. }) = &self.place else { return Ok(()) };
        let json = serde_json::to_vec_pretty(&self.promotion).expect("texts and numbers");
        files::replace(path, &json).map_err(|fault| PromoteFault::new(fault.message, fault.hint))
    }

    pub fn reach(&mut self, stage: Stage) -> Result<(), PromoteFault> {
        self.promotion.stage = self.promotion.stage.max(stage);
        self.keep()
    }

    /// What was begun had no effect.
    pub fn go_back(&mut self, stage: Stage) -> Result<(), PromoteFault> {
        self.promotion.stage = stage;
        self.keep()
    }

    pub fn begin_step(&mut self, step: StepName) -> Result<(), PromoteFault> {
        // What is tried again begins anew.
        self.promotion.steps.retain(|record| record.step != step);
        let record = StepRecord { step, begun: clock::now(), ended: None, seconds: None, outcome: None, said: String::new() };
        self.promotion.steps.push(record);
        self.keep()
    }

    pub fn end_step(&mut self, outcome: StepOutcome, said: &str) -> Result<(), PromoteFault> {
        if let Some(record) = self.promotion.steps.last_mut() {
            let now = clock::now();
            record.seconds = Some(now.duration_since(record.begun).as_secs_f64());
            (record.ended, record.outcome) = (Some(now), Some(outcome));
            said.clone_into(&mut record.said);
        }
        self.keep()
    }
}
