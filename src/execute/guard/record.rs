//! What is written down of a guarded command: the report, the run, the audit chain. Its arguments never are: they may hold secrets.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GuardFault, Plan, Protection};
use crate::catalog::{self, Catalog, End, NewRun};
use crate::execute::run;
use crate::execute::run::record::Record;
use crate::site::Site;
use crate::units::{BackupId, Instant, Lsn, Name, Timeline};
use crate::world::{clock, files, host};

/// The name under which guarded commands are on record.
pub const JOB: &str = "guard";

/// A guarded command, as far as it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Report of seawall guard")]
pub struct Report {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    pub who: String,
    /// The program, without its arguments.
    pub program: String,
    pub label: String,
    pub started: Instant,
    /// Why it is protected in this way.
    pub why: String,
    /// None where nothing protects it; then the command was not run.
    pub protection: Option<ProtectionRecord>,
    /// What brings back the state before it. In `--target DIR` and `--identity FILE` a person says which.
    pub undo: Vec<String>,
    /// None where it was not run.
    pub command: Option<CommandRecord>,
    /// Why it was not run.
    pub message: Option<String>,
}

/// What it is protected by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProtectionRecord {
    pub kind: Kind,
    pub store: Name,
    /// That was taken, or that recovery begins with.
    pub backup: BackupId,
    pub restore_point: Option<PointRecord>,
    /// The moment that comes back.
    pub moment: Instant,
    /// Until when it can be undone at least.
    pub until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    RestorePoint,
    Backup,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointRecord {
    pub name: Name,
    pub lsn: Lsn,
    pub timeline: Timeline,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    pub started: Instant,
    /// None while it runs.
    pub ended: Option<Instant>,
    /// As a shell has it: above 128 where a signal ended it.
    pub exit_code: Option<u8>,
}

impl ProtectionRecord {
    pub(super) fn of(protection: &Protection) -> ProtectionRecord {
        let point = protection.point.as_ref();
        ProtectionRecord {
            kind: if protection.taken { Kind::Backup } else { Kind::RestorePoint },
            store: protection.store.clone(),
            backup: protection.backup.clone(),
            restore_point: point.map(|point| PointRecord { name: point.name.clone(), lsn: point.lsn, timeline: point.timeline }),
            moment: protection.moment,
            until: protection.until,
        }
    }
}

/// A guarded command on record, from before its protection until after its end.
#[derive(Debug)]
pub struct Journal<'j> {
    site: &'j Site<'j>,
    catalog: Option<&'j Catalog>,
    record: Record<'j>,
    boot: Option<String>,
    file: Option<PathBuf>,
    pub report: Report,
    /// While it is held, no other host takes this run for one that was lost.
    _lock: Option<catalog::Guard>,
}

impl<'j> Journal<'j> {
    pub fn begin(site: &'j Site<'j>, catalog: Option<&'j Catalog>, plan: &Plan<'_>, file: Option<PathBuf>) -> Journal<'j> {
        let (boot, started) = (host::boot(), clock::now());
        let report = Report {
            format_version: 1,
            policy: site.policy.name.to_string(),
            host: site.host().to_owned(),
            who: host::who(),
            program: plan.wanted.program.clone(),
            label: plan.wanted.label.clone(),
            started,
            why: plan.why.clone(),
            protection: None,
            undo: Vec::new(),
            command: None,
            message: None,
        };
        let lock = catalog.and_then(|catalog| catalog.try_lock(site.policy.name.as_str(), JOB).ok().flatten());
        let record = Record::begin(catalog, &new_run(site, boot.as_deref(), started));
        Journal { site, catalog, record, boot, file, report, _lock: lock }
    }

    /// From here on it can be undone, and whoever finds this host dead can read how. Fails where the report cannot be written: somebody
    /// relies on it, and the command was not run yet.
    pub fn protected(&mut self, protection: &Protection, undo: &[String]) -> Result<(), GuardFault> {
        self.report.protection = Some(ProtectionRecord::of(protection));
        self.report.undo = undo.to_vec();
        self.report.command = Some(CommandRecord { started: clock::now(), ended: None, exit_code: None });
        self.write()?;
        let what = format!("`{}` begins, protected by {}", self.report.program, protection.says());
        self.audit(what, "guard.begun");
        Ok(())
    }

    /// The command has ended; how is nobody's business but its own, and the run has done what it is for.
    pub fn ended(mut self, exit_code: u8) {
        let said = match exit_code {
            0 => "succeeded".to_owned(),
            code => format!("ended with exit status {code}"),
        };
        if let Some(command) = &mut self.report.command {
            (command.ended, command.exit_code) = (Some(clock::now()), Some(exit_code));
        }
        if let Err(fault) = self.write() {
            tracing::warn!(hint = fault.hint, "{}", fault.message);
        }
        let what = format!("`{}` {said}", self.report.program);
        self.end(catalog::Outcome::Succeeded, "guard.ended", &what, None);
    }

    /// It will not be run, so there is nothing to undo. A backup that was taken for it stays what it is.
    pub fn unprotected(&mut self, protection: &Protection) {
        if super::let_go(self.site, protection) {
            (self.report.protection, self.report.undo) = (None, Vec::new());
        }
    }

    /// Nothing protects it, or it cannot be run: it was not run.
    pub fn refused(mut self, fault: &GuardFault) {
        self.report.command = None;
        self.report.message = Some(fault.message.clone());
        if let Err(fault) = self.write() {
            tracing::warn!(hint = fault.hint, "{}", fault.message);
        }
        let what = format!("`{}` was not run: {}", self.report.program, fault.message);
        let outcome = if fault.is_interrupted { catalog::Outcome::Stopped } else { catalog::Outcome::Failed };
        self.end(outcome, "guard.refused", &what, Some(fault.hint.as_str()));
    }

    fn end(&self, outcome: catalog::Outcome, kind: &str, message: &str, hint: Option<&str>) {
        let at = clock::now().max(self.report.started);
        let entry = run::audit_entry(self.site, at, message.to_owned(), kind.to_owned(), self.details());
        let (message, hint) = (Some(message), hint.filter(|hint| !hint.is_empty()));
        let end = End { message, hint, entry: Some(&entry), ..End::with(outcome, at) };
        self.record.end(self.site, &new_run(self.site, self.boot.as_deref(), self.report.started), &end);
    }

    fn audit(&self, what: String, kind: &str) {
        let Some(catalog) = self.catalog else { return };
        if let Err(fault) = run::audit(self.site, catalog, what, kind, self.details()) {
            tracing::warn!(hint = fault.hint, "the audit chain does not take this: {}", fault.message);
        }
    }

    fn details(&self) -> String {
        serde_json::to_string(&self.report).unwrap_or_default()
    }

    fn write(&self) -> Result<(), GuardFault> {
        let Some(file) = &self.file else { return Ok(()) };
        let json = serde_json::to_vec_pretty(&self.report).map_err(|error| GuardFault::new(error.to_string(), ""))?;
        files::replace(file, &json)
            .map_err(|fault| GuardFault::new(format!("the report `{}`: {}", file.display(), fault.message), fault.hint))
    }
}

fn new_run<'n>(site: &'n Site<'_>, boot: Option<&'n str>, started: Instant) -> NewRun<'n> {
    NewRun {
        policy: site.policy.name.as_str(),
        job: JOB,
        host: site.host(),
        boot,
        pid: std::process::id(),
        why: catalog::Why::Asked,
        owed_since: None,
        started,
        digest: Some(&site.policy.digest),
        commit: site.commit(),
    }
}
