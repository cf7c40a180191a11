//! A running server that plays the restored copy, and a policy that expects something of it.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use seawall::execute::expect::{Copy, examine};
use seawall::format::descriptor::Private;
use seawall::inventory::Expected;
use seawall::policy::document::Document;
use seawall::policy::model::Policy;
use seawall::policy::resolve::resolve;
use seawall::postgres::{Connection, Fault, Settings};
use seawall::units::Instant;

use crate::clusters::Cluster;

/// A policy with one drill, `try`.
pub(crate) fn policy(expect: &str) -> Policy {
    let text = format!(
        "version: 1\npolicy: try\nowner: you@example.com\nreview_by: 2099-06-30\ncluster: {{ connection: service=try, databases: [postgres, other] }}\n\
         stores: {{ disk: {{ local: {{ path: /srv/try }} }} }}\nencryption: {{ none: {{ because: a test }} }}\n\
         backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }} }} }}\n\
         timescaledb: {{ postgres: {{ hypertables: {{ prices: {{ retain: 9y }} }} }} }}\n\
         canary: {{ database: postgres, every: 1m }}\n\
         drills:\n  try:\n    restore: {{ latest: nightly }}\n    expect:\n{expect}\n"
    );
    let document = Document::load("try.yaml", Path::new("try.yaml"), &|_| Ok(text.as_bytes().to_vec()));
    let resolved = resolve(&document, jiff::civil::date(2026, 1, 1));
    let findings: Vec<String> =
        document.findings.iter().chain(&resolved.findings).map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
    resolved.policy.unwrap_or_else(|| panic!("{text}\n{findings:#?}"))
}

/// Everything that is asked of a copy, by name.
#[derive(Debug)]
pub(crate) struct Seen(pub(crate) Vec<Expected>);

impl Seen {
    pub(crate) fn of(settings: &Settings, private: &Private, recovered_to: Instant, expect: &str) -> Seen {
        Seen::stopping(settings, private, recovered_to, expect, &AtomicBool::new(false))
    }

    pub(crate) fn stopping(settings: &Settings, private: &Private, recovered_to: Instant, expect: &str, stop: &AtomicBool) -> Seen {
        let connect = |database: &str| Connection::connect(&settings.clone().with_dbname(database));
        let copy = Copy { connect: &connect, recovered_to, private, stop };
        Seen::copy(&copy, expect)
    }

    pub(crate) fn over(
        connect: &(dyn Fn(&str) -> Result<Connection, Fault> + Sync),
        private: &Private,
        recovered_to: Instant,
        expect: &str,
    ) -> Seen {
        Seen::copy(&Copy { connect, recovered_to, private, stop: &AtomicBool::new(false) }, expect)
    }

    fn copy(copy: &Copy<'_>, expect: &str) -> Seen {
        let policy = policy(expect);
        Seen(policy.drills.values().flat_map(|drill| examine(drill, copy)).collect())
    }

    pub(crate) fn now(cluster: &Cluster, expect: &str) -> Seen {
        Seen::of(&cluster.settings(), &Private::default(), Instant::now(), expect)
    }

    fn of_name(&self, name: &str) -> &Expected {
        self.0.iter().find(|one| one.name.as_str() == name).unwrap_or_else(|| panic!("nothing is said of {name}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn met(&self, name: &str, says: &str) {
        let one = self.of_name(name);
        assert!(one.met && one.says.contains(says), "{name} is not met with `{says}`: {one:?}");
    }

    #[track_caller]
    pub(crate) fn failed(&self, name: &str, says: &str) {
        let one = self.of_name(name);
        assert!(!one.met && one.says.contains(says), "{name} has not failed with `{says}`: {one:?}");
    }
}
