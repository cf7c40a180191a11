//! People, duties, reports.

use std::collections::BTreeMap;

use super::Resolver;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Duty, Report};
use crate::policy::path::{PolicyPath, Step};
use crate::units::{Name, clipped};

const BAD_MAIL: Code = Code(231);
const WRONG_ORDER: Code = Code(232);

impl Resolver<'_> {
    pub(super) fn duties(&mut self) -> BTreeMap<Name, Duty> {
        let mut duties = BTreeMap::new();
        for (name, written) in &self.file.duties {
            let path = PolicyPath::from(["duties", name.as_str()]);
            self.refer(&written.who, &self.file.contacts, "contacts", &path.key("who"));
            let schedule = written.schedule.as_ref().and_then(|schedule| self.schedule(schedule, &path.key("schedule")));
            duties.insert(name.clone(), Duty { what: written.what.clone(), who: written.who.clone(), schedule });
        }
        duties
    }

    pub(super) fn reports(&mut self) -> BTreeMap<Name, Report> {
        let mut reports = BTreeMap::new();
        for (name, written) in &self.file.reports {
            let path = PolicyPath::from(["reports", name.as_str()]);
            for (index, receiver) in written.to.iter().enumerate() {
                self.refer(receiver, &self.file.receivers, "receivers", &path.key("to").item(index));
            }
            if let Some(schedule) = self.schedule(&written.schedule, &path.key("schedule")) {
                reports.insert(name.clone(), Report { schedule, to: written.to.clone() });
            }
        }
        reports
    }

    pub(super) fn contacts(&mut self) {
        for (name, contact) in &self.file.contacts {
            if let Some(address) = &contact.email {
                self.mail(address, &PolicyPath::from(["contacts", name.as_str()]).key("email"));
            }
        }
        let mut before = None;
        for (index, level) in self.file.escalation.iter().enumerate() {
            let path = PolicyPath::from(["escalation"]).item(index);
            self.refer(&level.contact, &self.file.contacts, "contacts", &path.key("contact"));
            if let (Some(before), Some(after)) = (before, level.after)
                && after < before
            {
                self.push(
                    Finding::error(
                        WRONG_ORDER,
                        path.key("after"),
                        format!("this level comes after {after}, the one before it after {before}"),
                    )
                    .label("must not be earlier")
                    .hint("List the levels in the order in which they are called."),
                );
            }
            before = level.after.or(before);
        }
    }

    pub(super) fn mail(&mut self, address: &str, path: &PolicyPath) {
        let good = address.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.') && !domain.ends_with('.')
        }) && !address.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '<' | '>'));
        if !good {
            self.push(Finding::error(BAD_MAIL, path.clone(), format!("`{}` is not a mail address", clipped(address))).hint(
                match path.steps().last() {
                    Some(Step::Item(_)) => "Write one plain address, for example `dba@example.com`; several are several list items.",
                    _ => "Write one plain address, for example `dba@example.com`.",
                },
            ));
        }
    }
}
