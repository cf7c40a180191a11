//! `seawall emit`: what it writes, judged by systemd's own programs, and how it brings a directory up to it.

mod install;
mod prometheus;
mod runbook;
mod units;

use std::path::Path;

use super::cli::{Room, in_repository};

/// The policies of the repository, each with its hosts.
const POLICIES: [(&str, &[&str]); 6] = [
    ("agent-safe-grid", &["grid-db-1", "grid-staging-1"]),
    ("document-management", &["docs-db-1", "docs-db-2", "docs-staging-1"]),
    ("insightdesk", &["insightdesk-0", "insightdesk-staging"]),
    ("pricing-agent", &["pricing-db-1", "pricing-db-2", "pricing-staging-1"]),
    ("quickstart", &[]),
    ("trading", &["trading-db-1", "trading-staging-1"]),
];

/// Every host of every policy; one without a name where a policy has none.
fn everywhere() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    POLICIES.iter().flat_map(|(policy, hosts)| {
        let nowhere = hosts.is_empty().then_some((*policy, None));
        hosts.iter().map(|host| (*policy, Some(*host))).chain(nowhere)
    })
}

fn emit(what: &str, policy: &str, host: Option<&str>, more: &[&str]) -> super::cli::Run {
    let file = format!("policies/{policy}.yaml");
    let mut arguments = vec!["emit", what, "--policy", &file, "--policy-there", "/etc/seawall/policy.yaml"];
    arguments.extend(host.into_iter().flat_map(|host| ["--host", host]));
    arguments.extend(more);
    in_repository(&arguments)
}

/// A directory with the units of a host.
fn units(policy: &str, host: Option<&str>, more: &[&str]) -> Room {
    let room = Room::new();
    let out = room.path().to_str().expect("a path").to_owned();
    let run = emit("systemd", policy, host, &[&["--out", out.as_str()][..], more].concat());
    assert_eq!(run.code, Some(0), "{policy} on {host:?}: {run:?}");
    room
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}
