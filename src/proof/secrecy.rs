//! Who can read the backups.

use super::drill::needs_identity;
use super::facts::{Facts, store};
use crate::policy::file::{HostRole, Secret};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Encryption, Policy, StoreKind};
use crate::policy::path::PolicyPath;
use crate::units::Name;

const READS_ITS_OWN: Code = Code(607);
const IN_CLEAR: Code = Code(608);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    match &policy.encryption {
        Some(Encryption::None { .. }) => in_clear(policy, findings),
        Some(sealed) => reads_its_own(policy, sealed.word(), sealed.identity(), findings),
        None => {}
    }
}

fn in_clear(policy: &Policy, findings: &mut Vec<Finding>) {
    let mut away = policy.stores.iter().filter(|(_, store)| !matches!(store.kind, StoreKind::Local(_))).map(|(name, _)| name);
    let Some(first) = away.next() else { return };
    let finding = Finding::warning(
        IN_CLEAR,
        PolicyPath::from(["encryption", "none"]),
        format!("whoever can read `stores.{first}` can read the database"),
    )
    .on_key()
    .hint("Encrypt to public keys, so that neither the store nor its provider can read anything: `age: { recipients: [age1…] }`.");
    findings.push(std::iter::once(first).chain(away).fold(finding, |finding, name| finding.related(store(name), "leaves the host")));
}

/// The host that writes the backups holds what opens them: whoever takes it has all of the past as well.
fn reads_its_own(policy: &Policy, kind: &str, identity: Option<&Secret>, findings: &mut Vec<Finding>) {
    if identity.is_none() {
        return;
    }
    let elsewhere = policy.hosts.values().any(|host| matches!(host.role, HostRole::Staging | HostRole::Verifier));
    let at_home = needs_identity(policy).into_iter().find(|(_, host)| !is_apart(policy, *host)).map(|(path, _)| path);
    if elsewhere && at_home.is_none() {
        return;
    }
    let path = PolicyPath::from(["encryption", kind, "identity"]);
    let finding = Finding::note(READS_ITS_OWN, path, "the host that writes the backups can also read all old ones")
        .hint("Declare a host with `role: staging` that alone has the identity, and run drills and deep checks there (`host:`).");
    findings.push(match at_home {
        Some(path) => finding.related(path, "needs the identity where the backups are taken"),
        None => finding,
    });
}

fn is_apart(policy: &Policy, host: Option<&Name>) -> bool {
    let role = host.and_then(|host| policy.hosts.get(host)).map(|host| host.role);
    matches!(role, Some(HostRole::Staging | HostRole::Verifier))
}
