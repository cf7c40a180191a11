//! A promotion on record: a run with its steps, and an entry in the audit chain.

use super::act::Procedure;
use super::record::StepOutcome;
use super::{PromoteFault, PromoteFaultKind, journal};
use crate::catalog::{self, Catalog, CatalogFault, End, NewRun};
use crate::execute::{run, witness};
use crate::world::{clock, host};

impl Procedure<'_> {
    /// In the catalog and in the audit chain: last, because in an emergency nobody waits for a catalog that is away as well.
    pub(super) fn note(&mut self, fault: Option<&PromoteFault>) {
        // Files of a catalog that root made could no longer be written by those whom it belongs to.
        if let Some(owner) = journal::foreign_owner(self.site) {
            tracing::warn!(
                "the promotion is in its journal and not yet in the record: the same call as the account with the number {owner} brings it there"
            );
            self.journal.promotion.recorded = false;
            let _ = self.journal.keep();
            return;
        }
        let noted = self.site.catalog().map_err(|fault| fault.message).and_then(|place| {
            let catalog = Catalog::open(&place).map_err(|fault| fault.message)?;
            self.note_in(&catalog, fault).map_err(|fault| fault.message)?;
            Ok(catalog)
        });
        self.journal.promotion.recorded = noted.is_ok();
        match &noted {
            // A copy in the store is found out when the chain is cut short; that it waits for the next one is no fault.
            Ok(catalog) => drop(witness::copy(self.site, catalog)),
            Err(why) => tracing::warn!("the promotion is in its journal and not yet in the record: {why}; the same call brings it there"),
        }
        let _ = self.journal.keep();
    }

    pub(super) fn note_in(&self, catalog: &Catalog, fault: Option<&PromoteFault>) -> Result<(), CatalogFault> {
        let promotion = &self.journal.promotion;
        let boot = host::boot();
        let new = NewRun {
            policy: &promotion.policy,
            job: "promote",
            host: &promotion.host,
            boot: boot.as_deref(),
            pid: std::process::id(),
            why: catalog::Why::Asked,
            owed_since: None,
            started: promotion.begun,
            digest: Some(&self.site.policy.digest),
            commit: self.site.commit(),
        };
        let at = promotion.ended.unwrap_or_else(clock::now);
        let run = catalog.begin_run(&new)?;
        for (number, step) in (1..).zip(&promotion.steps) {
            catalog.begin_step(run, number, step.step.as_str(), step.step.says(), step.begun)?;
            let outcome = match step.outcome {
                Some(StepOutcome::Done) => catalog::StepOutcome::Succeeded,
                _ => catalog::StepOutcome::Failed,
            };
            catalog.end_step(run, number, outcome, Some(&step.said), step.ended.unwrap_or(at))?;
        }
        let outcome = match fault.map(|fault| fault.kind) {
            None => catalog::Outcome::Succeeded,
            Some(PromoteFaultKind::Stopped) => catalog::Outcome::Stopped,
            Some(_) => catalog::Outcome::Failed,
        };
        let standing = promotion.standing();
        let message = fault.map(|fault| format!("{}; {standing}", fault.message));
        let what = format!(
            "{} by {}: {} on {}, from timeline {}{}: {}",
            promotion.kind.as_str(),
            promotion.who,
            promotion.server,
            promotion.host,
            promotion.timeline_before,
            promotion.timeline.map(|timeline| format!(" to {timeline}")).unwrap_or_default(),
            message.as_deref().unwrap_or("promoted")
        );
        let details = serde_json::to_string(promotion).unwrap_or_default();
        let entry = run::audit_entry(self.site, clock::now(), what, format!("promotion.{outcome}"), details);
        let hint = fault.map(|fault| fault.hint.as_str());
        catalog.end_run(run, &End { message: message.as_deref(), hint, entry: Some(&entry), ..End::with(outcome, at) })
    }
}
