//! A copy is one only where what destroys the original does not reach it.

use super::facts::{Facts, store};
use crate::policy::file::{AzureStore, GcsStore, S3Store};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::StoreKind;
use crate::policy::path::PolicyPath;
use crate::units::Name;

const SAME_ACCOUNT: Code = Code(601);
const SAME_REGION: Code = Code(602);
const SAME_BUCKET: Code = Code(603);
const SAME_KEY: Code = Code(609);

pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (main, copy) in pairs(facts) {
        let stores = &facts.policy.stores;
        if let (Some(one), Some(other)) = (stores.get(main), stores.get(copy)) {
            compare(Side { name: main, kind: &one.kind }, Side { name: copy, kind: &other.kind }, findings);
        }
    }
}

/// Every store that holds copies, with the one they are copied from; each pair once, in whichever direction it comes first.
fn pairs<'p>(facts: &Facts<'p>) -> Vec<(&'p Name, &'p Name)> {
    let mut pairs: Vec<(&Name, &Name)> = Vec::new();
    let policy = facts.policy;
    let jobs = policy.backups.values().filter_map(|backup| backup.store.as_ref().map(|main| (main, backup)));
    let of_jobs = jobs.flat_map(|(main, backup)| backup.copies.iter().map(move |copy| (main, &copy.store)));
    let of_wal = policy.wal.iter().flat_map(|wal| wal.copies.iter().map(move |copy| (&wal.store, copy)));
    for (main, copy) in of_jobs.chain(of_wal) {
        if !pairs.contains(&(main, copy)) && !pairs.contains(&(copy, main)) {
            pairs.push((main, copy));
        }
    }
    pairs
}

#[derive(Clone, Copy)]
struct Side<'p> {
    name: &'p Name,
    kind: &'p StoreKind,
}

/// What decides whether two stores of a kind are apart.
struct Facets<'p> {
    /// The server, when it is not the cloud's own.
    endpoint: Option<&'p str>,
    bucket: &'p str,
    account_key: &'static str,
    account: Option<&'p str>,
    region_key: &'static str,
    region: Option<&'p str>,
    key: Option<&'p str>,
}

impl<'p> Facets<'p> {
    fn of(kind: &'p StoreKind) -> Option<Self> {
        match kind {
            StoreKind::Local(_) => None,
            StoreKind::S3(S3Store { bucket, region, account, endpoint, sse, .. }) => Some(Facets {
                endpoint: endpoint.as_deref(),
                bucket,
                account_key: "account",
                account: account.as_deref(),
                region_key: "region",
                region: region.as_deref(),
                // An alias means another key in another account or region; only the full name is one key.
                key: sse.as_ref().and_then(|sse| sse.kms.as_deref()).filter(|key| key.starts_with("arn:")),
            }),
            StoreKind::Azure(AzureStore { account, container, region, endpoint, .. }) => Some(Facets {
                endpoint: endpoint.as_deref(),
                bucket: container,
                account_key: "account",
                account: Some(account),
                region_key: "region",
                region: region.as_deref(),
                key: None,
            }),
            StoreKind::Gcs(GcsStore { bucket, project, location, endpoint, .. }) => Some(Facets {
                endpoint: endpoint.as_deref(),
                bucket,
                account_key: "project",
                account: project.as_deref(),
                region_key: "location",
                region: location.as_deref(),
                key: None,
            }),
        }
    }
}

fn compare(main: Side<'_>, copy: Side<'_>, findings: &mut Vec<Finding>) {
    // Different clouds are as far apart as it gets; which directories are apart nobody can tell from here.
    if main.kind.as_str() != copy.kind.as_str() {
        return;
    }
    let (Some(one), Some(other)) = (Facets::of(main.kind), Facets::of(copy.kind)) else { return };
    if one.endpoint != other.endpoint {
        return;
    }
    let mut pair = Pair { main, copy, findings };
    let is_azure = matches!(copy.kind, StoreKind::Azure(_));
    let bucket = if is_azure { "container" } else { "bucket" };
    // Containers have names within an account, buckets within the whole cloud.
    if one.bucket == other.bucket && (!is_azure || one.account == other.account) {
        let message = format!("the copies lie in the same {bucket} as `stores.{}`", main.name);
        pair.warn(SAME_BUCKET, &[bucket], message, "Whoever loses or empties it loses both: use another account and region.");
        return;
    }
    if let Some(endpoint) = one.endpoint {
        let message = format!("the copies lie on the same server as `stores.{}` ({})", main.name, crate::units::clipped(endpoint));
        pair.warn(SAME_BUCKET, &["endpoint"], message, "What takes the server takes both: use another one.");
        return;
    }
    let hint = "Whoever gets into it, or closes it, reaches both: use another one.";
    pair.shared(SAME_ACCOUNT, one.account_key, one.account, other.account, hint);
    pair.shared(SAME_REGION, one.region_key, one.region, other.region, "What takes the region takes both: use another one.");
    if one.key.is_some() && one.key == other.key {
        let message = format!("the copies are encrypted with the same key as `stores.{}`", main.name);
        pair.warn(SAME_KEY, &["sse", "kms"], message, "Without that key both are lost: use one of its own.");
    }
}

struct Pair<'p, 'f> {
    main: Side<'p>,
    copy: Side<'p>,
    findings: &'f mut Vec<Finding>,
}

impl Pair<'_, '_> {
    fn warn(&mut self, code: Code, keys: &[&str], message: String, hint: &str) {
        let finding = Finding::warning(code, self.copy.path(keys), message).hint(hint);
        self.findings.push(finding.related(self.main.path(keys), "the original"));
    }

    fn shared(&mut self, code: Code, key: &str, one: Option<&str>, other: Option<&str>, hint: &str) {
        let main = self.main.name;
        match (one, other) {
            (Some(one), Some(other)) if one == other => {
                let message = format!("the copies share the {key} of `stores.{main}` ({})", crate::units::clipped(one));
                self.warn(code, &[key], message, hint);
            }
            (Some(_), Some(_)) => {}
            _ => {
                let message = format!("it cannot be told whether the copies share the {key} of `stores.{main}`");
                let finding = Finding::note(code, self.copy.path(&[key]), message).hint(format!("Say the `{key}` of both."));
                self.findings.push(finding.related(self.main.path(&[key]), "the original"));
            }
        }
    }
}

impl Side<'_> {
    fn path(&self, keys: &[&str]) -> PolicyPath {
        keys.iter().fold(store(self.name).key(self.kind.as_str()), |path, key| path.key(key))
    }
}
