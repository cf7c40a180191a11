//! Policies are written as YAML, as people write them; what is said about two of them is compared word for word.

mod harm;
mod mutation;
mod sentences;
mod speed;

use std::path::Path;

use crate::inventory::{Backup, BackupKind, BackupState, ClusterInventory, Inventory, Observed, Size, StoreInventory, SystemIdentifier};
use crate::policy::document::{Document, ReadFault};
use crate::policy::finding::Finding;
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::units::{Instant, Lsn, Timeline};

pub(super) const NOW: &str = "2026-11-21T12:00:00Z";

pub(super) fn now() -> Instant {
    NOW.parse().expect("a moment")
}

/// A policy, or what keeps it from being one.
pub(super) fn read(text: &str) -> Result<Policy, Vec<Finding>> {
    read_with(text, &|_| None)
}

pub(super) fn read_with(text: &str, others: &dyn Fn(&Path) -> Option<String>) -> Result<Policy, Vec<Finding>> {
    let files = |path: &Path| match path.to_str() {
        Some("policy.yaml") => Ok(text.as_bytes().to_vec()),
        _ => others(path).map(String::into_bytes).ok_or_else(|| ReadFault {
            message: "not there".into(),
            hint: String::new(),
            too_large: false,
        }),
    };
    let document = Document::load("policy.yaml", Path::new("policy.yaml"), &files);
    let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
    resolved.policy.ok_or_else(|| document.findings.into_iter().chain(resolved.findings).collect())
}

pub(super) fn policy(text: &str) -> Policy {
    match read(text) {
        Ok(policy) => policy,
        Err(findings) => {
            panic!("{:#?}", findings.iter().map(|finding| format!("{}: {}", finding.path, finding.message)).collect::<Vec<_>>())
        }
    }
}

/// One full backup a day, the newest yesterday, each of 100 GB, with an unbroken log.
pub(super) fn daily(count: usize) -> ClusterInventory {
    let cluster = SystemIdentifier(7);
    let day = jiff::SignedDuration::from_hours(24);
    let first: Instant = "2026-11-21T02:00:00Z".parse().expect("a moment");
    let backups: Vec<Backup> = (0..count)
        .map(|ago| {
            let started = first - day * i32::try_from(ago).expect("few");
            let position = 1_000_000_000 - ago as u64 * 100;
            Backup {
                id: format!("n{ago:05}").parse().expect("an id"),
                job: "nightly".parse().expect("a name"),
                kind: BackupKind::Full,
                state: BackupState::Complete,
                parent: None,
                started,
                stopped: Some(started + jiff::SignedDuration::from_mins(40)),
                size: None,
                stored_size: Some(Size::new(100_000_000_000)),
                label: None,
                keep: None,
                system_identifier: Some(cluster),
                timeline: Some(Timeline(std::num::NonZeroU32::MIN)),
                start_lsn: Some(Lsn(position)),
                stop_lsn: Some(Lsn(position + 10)),
                verified_at: None,
                carries_log: false,
                storage_class: None,
                scope: None,
            }
        })
        .collect();
    let wal = vec![crate::inventory::WalRange {
        system_identifier: Some(cluster),
        timeline: Timeline(std::num::NonZeroU32::MIN),
        from_lsn: Lsn(0),
        to_lsn: Lsn(2_000_000_000),
        from_time: first - day * i32::try_from(count).expect("few"),
        to_time: now(),
    }];
    let store = StoreInventory { backups, wal, forks: Vec::new(), used: Observed::unknown("not asked") };
    ClusterInventory {
        repository: None,
        system_identifier: Observed::Known(cluster),
        postgres_version: Observed::unknown("not asked"),
        cluster_size: Observed::unknown("not asked"),
        stores: [("main".parse().expect("a name"), Observed::Known(store))].into_iter().collect(),
        measured: Observed::unknown("not asked"),
        proven: None,
        holds: Observed::Known(Vec::new()),
        timescaledb: Default::default(),
        server: None,
    }
}

pub(super) fn inventory(cluster: ClusterInventory) -> Inventory {
    Inventory { format_version: 1, observed_at: now(), clusters: [("shop".parse().expect("a name"), cluster)].into_iter().collect() }
}
