//! A drill of files: they come back below a folder of their own, as `restore --files` brings them back, and each is held against the backup.

use std::path::Path;

use super::super::{DrillFault, choose};
use super::{Run, version};
use crate::execute::drill::keep::Beside;
use crate::execute::files::restore::{self, Plan, Wanted};
use crate::execute::restore::Pin;
use crate::execute::throwaway::Place;
use crate::inventory::{Phase, Restored};
use crate::pipeline::restore::tree::Put;
use crate::plan::words::counted;
use crate::units::{Bytes, Instant, Name};
use crate::world::{clock, parallel};

/// Where the policy's program finds the files.
const FOLDER: &str = "SEAWALL_FILES";
/// The account that restores has a limit of its own; more threads than this wait for each other.
const MOST_WORKERS: usize = 8;
/// Of the files that differ so many are named.
const NAMED: usize = 10;

impl<'r> Run<'r> {
    /// The job whose copies of files this drill restores.
    pub(super) fn files(&self) -> Option<&'r Name> {
        self.drill.files(self.site.policy)
    }

    pub(super) fn bring_back_files(&mut self, job: &Name, now: Instant) -> Result<(), DrillFault> {
        self.must_want_no_moment(&format!("`{job}` copies files, and a copy has no other moment than its own"), "another copy")?;
        let goal = choose::choose(self.site, self.catalog, self.drill, self.wishes, now)?;
        let base = self.base()?;
        let place = Place::make(self.site, &base, &self.record.id, self.purpose())?;
        let root = place.files();
        self.place = Some(place);
        let wanted = Wanted {
            backup: goal.backup,
            job: Some(job.clone()),
            store: goal.store,
            patterns: Vec::new(),
            root,
            overwrite: false,
            in_place: false,
            numeric: false,
            workers: self.wishes.workers.unwrap_or_else(|| parallel::processors().min(MOST_WORKERS)),
            identity: self.wishes.identity.clone(),
        };
        let plan = restore::plan(self.site, wanted, now)?;
        self.record.remarks.extend(goal.passed_over);
        self.note_files(&plan);
        must_have_room(&base, plan.census.write)?;
        self.must_go_on()?;
        let put = self.put_files(&plan)?;
        self.record.recovery_millis = Some(u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.compare_files(&plan, &put)?;
        self.run_program(vec![(FOLDER, plan.wanted.root.display().to_string())])?;
        self.must_be_in_time()
    }

    fn note_files(&mut self, plan: &Plan) {
        let descriptor = plan.descriptor();
        self.record.restored = Some(Restored {
            job: descriptor.job.clone(),
            store: plan.store_name().clone(),
            backup: descriptor.id.clone(),
            kind: descriptor.kind,
            stopped: descriptor.stopped,
            size: descriptor.size,
            stored_size: Some(descriptor.stored_size),
            postgres: version(descriptor.cluster.version),
            target: None,
            tables: Vec::new(),
            scope: None,
        });
        let (store, repository) = plan.place();
        self.beside = Some(Beside { store: store.clone(), repository: repository.clone(), backup: descriptor.id.clone() });
        self.record.remarks.extend(plan.remarks.iter().cloned());
        self.progress.expect(plan.census.write, None);
    }

    fn put_files(&mut self, plan: &Plan) -> Result<Put, DrillFault> {
        let (store, repository) = plan.place();
        let _pin = Pin::of(store, repository, plan.descriptor(), "drill", self.site.host(), clock::now());
        self.enter(Phase::Files);
        let put = plan.put(&self.progress.files);
        self.opened_by(plan.identities());
        self.watch.end(put.as_ref().ok().map(|put| put.bytes));
        self.must_go_on()?;
        let put = put?;
        if put.not_owned > 0 {
            let what = counted(put.not_owned, "file");
            self.record.remarks.push(format!("{what} could not be given to their owners, which only root can do: owners are not proven"));
        }
        if put.without_attributes > 0 {
            let what = counted(put.without_attributes, "attribute");
            self.record.remarks.push(format!("{what} could not be set here: attributes and access control lists are not proven"));
        }
        Ok(put)
    }

    fn compare_files(&mut self, plan: &Plan, put: &Put) -> Result<(), DrillFault> {
        self.enter(Phase::Compare);
        let proof = plan.prove(put, self.onlooker.stop);
        self.watch.end(proof.as_ref().ok().map(|proof| proof.bytes));
        self.must_go_on()?;
        let proof = proof?;
        if proof.closed > 0 {
            let what = counted(proof.closed, "file");
            self.record.remarks.push(format!("{what} are closed to this account by their own rights, and were not read again"));
        }
        self.record.remarks.extend(proof.named.iter().take(NAMED).map(|differs| format!("not as in the backup: {differs}")));
        if let (1.., Some(first)) = (proof.differing, proof.named.first()) {
            let what = counted(proof.differing, "file");
            let message = format!("{what} of {} came back otherwise than in the backup; the first: {first}", proof.entries);
            return Err(DrillFault::new(message, "`--keep` leaves them to be looked at. A recovery would bring back the same."));
        }
        let unread = plan.descriptor().damage.unread;
        if unread > 0 {
            let what = counted(unread, "file");
            let message = format!("{what} could not be read when the backup was taken, and no recovery brings them back");
            let hint = "Let the account that runs the job read them, or leave them out with `files.exclude`; the record names them.";
            return Err(DrillFault::new(message, hint));
        }
        Ok(())
    }
}

fn must_have_room(base: &Path, bytes: u64) -> Result<(), DrillFault> {
    let Ok(system) = rustix::fs::statvfs(base) else { return Ok(()) };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free > bytes {
        return Ok(());
    }
    let shown = |bytes: u64| Bytes::new(bytes).rounded();
    let message = format!("`{}` has {} left, and the files need {}", base.display(), shown(free), shown(bytes));
    Err(DrillFault::new(message, "Make room, or name another place with `drills.NAME.directory`."))
}
