//! Nothing is declared and never used.

use std::collections::BTreeSet;

use super::Resolver;
use crate::policy::file::Copies;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;
use crate::units::Name;

const UNUSED: Code = Code(203);

impl Resolver<'_> {
    pub(super) fn usage(&mut self) {
        let file = self.file;
        let mut stores: BTreeSet<&Name> = BTreeSet::new();
        let mut windows: BTreeSet<&Name> = BTreeSet::new();
        let mut receivers: BTreeSet<&Name> = BTreeSet::new();
        let mut contacts: BTreeSet<&Name> = BTreeSet::new();
        if let Some(wal) = &file.wal {
            stores.insert(&wal.store);
            stores.extend(&wal.copies);
        }
        for backup in file.backups.values() {
            stores.extend(&backup.store);
            match &backup.copies {
                Some(Copies::Names(names)) => stores.extend(names),
                Some(Copies::Rules(rules)) => stores.extend(rules.keys()),
                None => {}
            }
            windows.extend(&backup.window);
        }
        if file.stores.len() == 1 && !file.backups.is_empty() {
            stores.extend(file.stores.keys());
        }
        stores.extend(
            file.timescaledb
                .values()
                .flat_map(|database| database.hypertables.values())
                .filter_map(|table| table.archive.as_ref())
                .map(|archive| &archive.store),
        );
        stores.extend(file.archive.values().map(|archive| &archive.store));
        windows.extend(file.verify.values().filter_map(|verify| verify.window.as_ref()));
        windows.extend(file.drills.values().filter_map(|drill| drill.window.as_ref()));
        for route in file.alerts.iter().flat_map(|alerts| &alerts.routes) {
            receivers.extend(&route.to);
            receivers.extend(route.escalate.iter().flat_map(|level| &level.to));
            windows.extend(route.during.iter().chain(&route.not_during));
        }
        receivers.extend(file.reports.values().flat_map(|report| &report.to));
        contacts.extend(file.duties.values().map(|duty| &duty.who));
        contacts.extend(file.escalation.iter().map(|level| &level.contact));
        // Whoever would have used it may have been cut out because of its form.
        let whole = |sections: &[&str]| !sections.iter().any(|section| self.was_cut_within(&PolicyPath::from([section])));
        let (all_stores, all_windows) =
            (whole(&["wal", "backups", "timescaledb", "archive"]), whole(&["backups", "verify", "drills", "alerts"]));
        let (all_receivers, all_contacts) = (whole(&["alerts", "reports"]), whole(&["duties", "escalation"]));
        if all_stores {
            self.unused("stores", file.stores.keys(), &stores, "Send something there, or take it out.");
        }
        if all_windows {
            self.unused("windows", file.windows.keys(), &windows, "Name it in a job (`window:`) or a route, or take it out.");
        }
        if all_receivers {
            self.unused("receivers", file.receivers.keys(), &receivers, "Name it in a route (`alerts.routes`), or take it out.");
        }
        if all_contacts && (!file.escalation.is_empty() || !file.duties.is_empty()) {
            self.unused("contacts", file.contacts.keys(), &contacts, "Name it in `escalation` or a duty, or take it out.");
        }
    }

    fn unused<'k>(&mut self, section: &str, declared: impl Iterator<Item = &'k Name>, used: &BTreeSet<&Name>, hint: &str) {
        for name in declared.filter(|name| !used.contains(name)) {
            // A name that was misspelt is reported where it is.
            let meant = format!("Did you mean `{name}`?");
            if self.findings.iter().any(|finding| finding.code == super::UNKNOWN_NAME && finding.hint.as_ref() == Some(&meant)) {
                continue;
            }
            self.push(
                Finding::warning(
                    UNUSED,
                    PolicyPath::from([section, name.as_str()]),
                    format!("`{section}.{name}` is declared and never used"),
                )
                .on_key()
                .hint(hint),
            );
        }
    }
}
