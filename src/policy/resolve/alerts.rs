//! Receivers, routes, thresholds, the mail server.

use super::Resolver;
use crate::policy::file;
use crate::policy::finding::{Code, Finding, Focus};
use crate::policy::path::PolicyPath;

const NO_SMTP: Code = Code(233);
const WRONG_ORDER: Code = Code(232);
const HEARS_NOTHING: Code = Code(234);
const PLAIN_MAIL: Code = Code(235);
const PLAIN_SECRET: Code = Code(247);
const CANNOT_FIRE: Code = Code(241);

impl Resolver<'_> {
    pub(super) fn alerts(&mut self) {
        self.receivers();
        let Some(alerts) = &self.file.alerts else {
            if !self.file.backups.is_empty() && !self.was_cut(&["alerts"].into()) && !self.was_cut(&["receivers"].into()) {
                self.push(
                    Finding::warning(HEARS_NOTHING, PolicyPath::top(), "nobody hears of a failure")
                        .hint("Add `receivers` and `alerts: { routes: [{ to: [NAME] }] }`."),
                );
            }
            return;
        };
        let path = PolicyPath::from(["alerts"]);
        for (index, route) in alerts.routes.iter().enumerate() {
            self.route(route, &path.key("routes").item(index));
        }
        let critical = alerts.routes.iter().any(|route| {
            route.event.is_none() && route.job.is_none() && route.severity.is_none_or(|severity| severity == file::Severity::Critical)
        });
        if !critical && !self.file.backups.is_empty() && !self.cut.iter().any(|cut| cut.starts_with(&path)) {
            self.push(
                Finding::warning(HEARS_NOTHING, path.key("routes"), "nobody hears of every critical alert")
                    .on_key()
                    .hint("Add a route with `severity: critical` and without `job` or `event`."),
            );
        }
        self.without_subject(alerts);
        if let Some(thresholds) = &alerts.thresholds {
            for job in thresholds.backup_age_of.keys() {
                let at = path.key("thresholds").key("backup_age_of").key(job);
                if !self.refer(job, &self.file.backups, "backups", &at)
                    && let Some(finding) = self.findings.last_mut()
                {
                    // The name is the key here.
                    finding.focus = Focus::Key;
                }
            }
        }
    }

    /// Rules that nothing can ever come under.
    fn without_subject(&mut self, alerts: &file::Alerts) {
        let path = PolicyPath::from(["alerts"]);
        for (index, route) in alerts.routes.iter().enumerate() {
            if route.during.is_some() && route.during == route.not_during {
                let message = "this route listens only while a window is open, and not while the same one is";
                let at = path.key("routes").item(index).key("not_during");
                self.push(Finding::error(CANNOT_FIRE, at, message).hint("Leave one of `during` and `not_during` out."));
            }
        }
        let Some(thresholds) = &alerts.thresholds else { return };
        let missing = |section: &str| !self.was_cut_within(&[section].into());
        let no_wal = self.file.wal.is_none() && missing("wal");
        let no_drills = self.file.drills.is_empty() && missing("drills");
        let no_capacity = self.file.stores.values().all(|store| store.capacity.is_none()) && missing("stores");
        let no_archives = self.file.archive.is_empty() && self.file.timescaledb.is_empty() && missing("archive") && missing("timescaledb");
        for (key, idle, what, hint) in [
            (
                "archive_unread",
                thresholds.archive_unread.is_some() && no_archives,
                "nothing is archived",
                "Add `archive`, or leave it out.",
            ),
            ("wal_lag", thresholds.wal_lag.is_some() && no_wal, "no log is archived", "Add `wal`, or leave it out."),
            ("drill_age", thresholds.drill_age.is_some() && no_drills, "there are no drills", "Add `drills`, or leave it out."),
            ("restore_time", thresholds.restore_time.is_some() && no_drills, "there are no drills", "Add `drills`, or leave it out."),
            (
                "storage_used",
                thresholds.storage_used.is_some() && no_capacity,
                "no store says how much it holds",
                "Add `stores.NAME.capacity`.",
            ),
        ] {
            if idle {
                let message = format!("this limit is never crossed: {what}");
                self.push(Finding::warning(CANNOT_FIRE, path.key("thresholds").key(key), message).on_key().hint(hint));
            }
        }
    }

    fn receivers(&mut self) {
        let mut mails = false;
        for (name, receiver) in &self.file.receivers {
            let path = PolicyPath::from(["receivers", name.as_str()]);
            if let Some(email) = &receiver.email {
                mails = true;
                for (index, address) in email.to.iter().enumerate() {
                    self.mail(address, &path.key("email").key("to").item(index));
                }
            }
            if let Some(manager) = &receiver.alertmanager {
                self.address(Some(&manager.url), &path.key("alertmanager").key("url"));
            }
            if let Some(api) = receiver.slack.as_ref().and_then(|slack| slack.api.as_deref()) {
                self.protected_address(api, &path.key("slack").key("api"));
            }
            if let Some(url) = receiver.pagerduty.as_ref().and_then(|pagerduty| pagerduty.url.as_deref()) {
                self.protected_address(url, &path.key("pagerduty").key("url"));
            }
        }
        match &self.file.smtp {
            None if mails && !self.was_cut(&["smtp"].into()) => {
                self.push(
                    Finding::error(NO_SMTP, PolicyPath::from(["receivers"]), "mail is to be sent and there is no mail server")
                        .on_key()
                        .hint("Add `smtp: { host: mail.example.com, from: seawall@example.com }`."),
                );
            }
            Some(smtp) => {
                let path = PolicyPath::from(["smtp"]);
                self.mail(&smtp.from, &path.key("from"));
                let near = is_near(&smtp.host);
                if smtp.tls == Some(file::SmtpTls::None) && (!near || smtp.password.is_some()) {
                    let what = if near { "the password would be sent unprotected" } else { "mail would cross the network unprotected" };
                    self.push(Finding::error(PLAIN_MAIL, path.key("tls"), what).hint(
                        "Write `tls: starttls` or `tls: implicit`; `none` is only for a server on the same host, without a password.",
                    ));
                }
            }
            None => {}
        }
    }

    /// An address to which a secret is sent.
    fn protected_address(&mut self, address: &str, path: &PolicyPath) {
        self.address(Some(address), path);
        if address.strip_prefix("http://").is_some_and(|rest| !is_near(host_of(rest))) {
            self.push(
                Finding::error(PLAIN_SECRET, path.clone(), "a secret would cross the network unprotected")
                    .label("must begin with `https://`")
                    .hint("Write `https://`; without it only a server on the same host may be named."),
            );
        }
    }

    fn route(&mut self, route: &file::Route, path: &PolicyPath) {
        for (index, receiver) in route.to.iter().enumerate() {
            self.refer(receiver, &self.file.receivers, "receivers", &path.key("to").item(index));
        }
        if let Some(job) = &route.job {
            let jobs: Vec<&str> = self
                .file
                .backups
                .keys()
                .chain(self.file.drills.keys())
                .chain(self.file.verify.keys())
                .map(crate::units::Name::as_str)
                .collect();
            self.refer_to(job.as_str(), jobs.iter().copied(), "backups", &path.key("job"));
        }
        for (key, window) in [("during", &route.during), ("not_during", &route.not_during)] {
            if let Some(window) = window {
                self.refer(window, &self.file.windows, "windows", &path.key(key));
            }
        }
        let mut before = None;
        for (index, level) in route.escalate.iter().enumerate() {
            let at = path.key("escalate").item(index);
            for (item, receiver) in level.to.iter().enumerate() {
                self.refer(receiver, &self.file.receivers, "receivers", &at.key("to").item(item));
            }
            if let Some(before) = before.filter(|before| level.after <= *before) {
                self.push(
                    Finding::error(
                        WRONG_ORDER,
                        at.key("after"),
                        format!("this level comes after {}, the one before it after {before}", level.after),
                    )
                    .label("must be later")
                    .hint("List the levels in the order in which they are told."),
                );
            }
            before = Some(level.after);
        }
    }
}

/// Is it this host?
fn is_near(host: &str) -> bool {
    ["localhost", "127.0.0.1", "::1"].contains(&host)
}

/// The host of an address without its scheme.
fn host_of(rest: &str) -> &str {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}
