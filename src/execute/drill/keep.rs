//! Where a drill is written down: in the catalog, and beside the backup that it restored.

use bytes::Bytes;

use crate::catalog::{Catalog, CatalogFault, DrillEnd, Latest, Measured, NewDrill};
use crate::execute::custody;
use crate::format::layout::{Repository, descriptor_id, signature_of};
use crate::format::signature::DRILL;
use crate::inventory::{DrillOutcome, DrillRecord, DrilledTier};
use crate::report::{DRILL_PHASE, DRILL_TIER, phase_subject};
use crate::site::{Site, SiteFault};
use crate::store::{Put, Store};
use crate::units::{BackupId, Name, figure_of};

/// Written where a drill is put on record and where what was lost is.
pub(super) fn on_record(catalog: &Catalog, record: &DrillRecord) {
    if let Err(fault) = put_on_record(catalog, record, &[]) {
        tracing::warn!(hint = fault.hint, "the drill is not on record: {}", fault.message);
    }
}

/// `latest` is what was measured already: a drill that is brought in late does not become the last one.
pub(super) fn put_on_record(catalog: &Catalog, record: &DrillRecord, latest: &[Latest]) -> Result<(), CatalogFault> {
    let text = serde_json::to_string(record).expect("numbers, names and texts");
    let new = NewDrill {
        id: record.id.as_str(),
        policy: record.policy.as_str(),
        drill: record.answers_for().map_or("", |name| name.as_str()),
        started: record.started,
        ended: record.ended,
        end: match record.outcome {
            DrillOutcome::Passed => DrillEnd::Passed,
            DrillOutcome::Failed => DrillEnd::Failed,
            DrillOutcome::Stopped => DrillEnd::Stopped,
        },
        record: &text,
    };
    let (phases, opened) = (phases(record), opened(record));
    let mut all = measured(record);
    all.extend(opened.iter().map(|(name, subject)| Measured { name, subject, value: figure_of(record.ended) }));
    all.extend(phases.iter().map(|(subject, seconds)| Measured { name: DRILL_PHASE, subject, value: *seconds }));
    let tiers = tiers(record);
    all.extend(tiers.iter().map(|(subject, seconds)| Measured { name: DRILL_TIER, subject, value: *seconds }));
    all.retain(|one| !latest.iter().any(|known| known.name == one.name && known.subject == one.subject && known.at >= record.ended));
    catalog.record_drill(&new, &all)
}

fn measured(record: &DrillRecord) -> Vec<Measured<'_>> {
    let drill = record.answers_for().map_or("", |name| name.as_str());
    // How it ended is in its record; of `drill_passed` the values are moments, which `seawall watch` writes.
    let mut all = Vec::new();
    if let Some(millis) = record.recovery_millis {
        all.push(Measured { name: "drill_recovery_seconds", subject: drill, value: millis as f64 / 1000.0 });
    }
    all
}

/// Whose identity has opened what was drilled.
fn opened(record: &DrillRecord) -> Vec<(&'static str, String)> {
    let key = record.opened_with.iter().cloned();
    key.flat_map(|key| custody::opened(key, record.opened_with_part.as_deref())).collect()
}

/// When each tier of data was usable.
fn tiers(record: &DrillRecord) -> Vec<(String, f64)> {
    let Some(drill) = record.answers_for() else { return Vec::new() };
    let of = |tier: &DrilledTier| Some((phase_subject(drill.as_str(), tier.tier.as_str()), tier.millis? as f64 / 1000.0));
    record.tiers.iter().filter_map(of).collect()
}

/// Of a drill that the policy names, by its name and the phase's.
fn phases(record: &DrillRecord) -> Vec<(String, f64)> {
    let Some(drill) = record.answers_for() else { return Vec::new() };
    record.phases.iter().map(|phase| (phase_subject(drill.as_str(), phase.phase.as_str()), phase.millis as f64 / 1000.0)).collect()
}

/// Where in a store a drill's record belongs.
#[derive(Debug)]
pub(super) struct Beside {
    pub store: Store,
    pub repository: Repository,
    pub backup: BackupId,
}

impl Beside {
    /// For a drill that failed before it had a backup: the newest that is there, so that whoever shares only the store hears of it.
    pub(super) fn newest(site: &Site<'_>, stores: &[Name]) -> Option<Beside> {
        stores.iter().find_map(|name| {
            let store = site.store(name).ok()?;
            let repository = site.find_repository(&store).ok()??.repository;
            let listed = store.list(&repository.prefix("backups")).ok()?;
            let backup = listed.iter().filter_map(|meta| descriptor_id(&meta.key)).max()?;
            Some(Beside { store, repository, backup })
        })
    }

    /// Signed, beside its backup. What cannot be written there is a remark: a host that drills need not be able to write. So is what comes
    /// back: that others who read it will not believe it.
    pub(super) fn put(&self, site: &Site<'_>, record: &DrillRecord) -> Result<Option<String>, SiteFault> {
        let Beside { store, repository, backup } = self;
        // Without its backup it would lie there for ever.
        if !store.list(&repository.prefix("backups"))?.iter().any(|meta| descriptor_id(&meta.key).as_ref() == Some(backup)) {
            return Err(SiteFault::new(format!("backup {backup} is gone"), ""));
        }
        let key = repository.drill(backup, &record.id);
        let mut json = serde_json::to_vec_pretty(record).expect("numbers, names and texts");
        json.push(b'\n');
        let keys = site.host_keys()?;
        let signing = &keys.signing;
        let signature =
            signing.sign_armored(DRILL, &json).map_err(|error| SiteFault::new(format!("{key} cannot be signed: {error}"), ""))?;
        // The signature first: what is there is signed.
        for (key, body) in [(signature_of(&key), Bytes::from(signature)), (key.clone(), Bytes::from(json))] {
            if store.put_new(&key, body)? == Put::Exists {
                return Err(SiteFault::new(format!("{key} is there already"), ""));
            }
        }
        Ok(site.must_be_writer(&keys).err().map(|fault| fault.message))
    }
}
