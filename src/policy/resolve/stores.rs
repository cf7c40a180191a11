//! Stores and the log's way into them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::Resolver;
use crate::policy::file;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Store, StoreKind, Wal};
use crate::policy::path::PolicyPath;
use crate::units::Name;

const SAME_PLACE: Code = Code(215);
const BAD_ADDRESS: Code = Code(224);
const BAD_BUCKET: Code = Code(225);

impl Resolver<'_> {
    pub(super) fn stores(&mut self) -> BTreeMap<Name, Store> {
        let mut stores: BTreeMap<Name, Store> = BTreeMap::new();
        for (name, written) in &self.file.stores {
            let path = PolicyPath::from(["stores", name.as_str()]);
            let Some(kind) = self.kind(written, &path) else { continue };
            let url = kind.url();
            let others = stores.iter().map(|(other, store)| (other, store.kind.url()));
            if let Some((other, other_url)) = others.into_iter().find(|(_, other_url)| overlaps(other_url, &url)) {
                let other_path = PolicyPath::from(["stores", other.as_str()]);
                self.push(
                    Finding::error(SAME_PLACE, path.clone(), nested(name, &url, other, &other_url))
                        .on_key()
                        .label(crate::units::clipped(&url))
                        .hint("A copy beside the original is none: give one of them another bucket, prefix or path.")
                        .related(other_path, "the other one"),
                );
            }
            stores.insert(
                name.clone(),
                Store {
                    kind,
                    capacity: written.capacity,
                    upload_limit: written.upload_limit,
                    immutable: written.immutable.clone(),
                    replicated: written.replicated.clone(),
                    posture: written.posture.clone(),
                },
            );
        }
        stores
    }

    fn kind(&mut self, written: &file::Store, path: &PolicyPath) -> Option<StoreKind> {
        if let Some(local) = &written.local {
            self.absolute(&local.path, &path.key("local").key("path"));
            return Some(StoreKind::Local(local.clone()));
        }
        if let Some(s3) = &written.s3 {
            let path = path.key("s3");
            self.bucket(&s3.bucket, &path.key("bucket"));
            self.address(s3.endpoint.as_deref(), &path.key("endpoint"));
            return Some(StoreKind::S3(s3.clone()));
        }
        if let Some(azure) = &written.azure {
            self.azure_names(azure, &path.key("azure"));
            self.address(azure.endpoint.as_deref(), &path.key("azure").key("endpoint"));
            return Some(StoreKind::Azure(azure.clone()));
        }
        let gcs = written.gcs.as_ref()?;
        self.bucket(&gcs.bucket, &path.key("gcs").key("bucket"));
        self.address(gcs.endpoint.as_deref(), &path.key("gcs").key("endpoint"));
        Some(StoreKind::Gcs(gcs.clone()))
    }

    fn bucket(&mut self, bucket: &str, path: &PolicyPath) {
        let good = (3..=222).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
        if !good {
            self.push(
                Finding::error(BAD_BUCKET, path.clone(), format!("`{}` cannot be the name of a bucket", crate::units::clipped(bucket)))
                    .hint(bucket_hint(bucket)),
            );
        }
    }

    fn azure_names(&mut self, azure: &file::AzureStore, path: &PolicyPath) {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        // A stand-in for Azure has its own accounts.
        let account = &azure.account;
        if azure.endpoint.is_none() && !((3..=24).contains(&account.len()) && account.bytes().all(plain)) {
            self.push(
                Finding::error(
                    BAD_BUCKET,
                    path.key("account"),
                    format!("`{}` cannot be the name of an account", crate::units::clipped(account)),
                )
                .hint("A storage account's name has 3 to 24 lower-case letters and digits."),
            );
        }
        let container = &azure.container;
        let good = (3..=63).contains(&container.len())
            && container.bytes().all(|b| plain(b) || b == b'-')
            && !container.starts_with('-')
            && !container.ends_with('-')
            && !container.contains("--");
        if !good && !container.starts_with('$') {
            self.push(
                Finding::error(
                    BAD_BUCKET,
                    path.key("container"),
                    format!("`{}` cannot be the name of a container", crate::units::clipped(container)),
                )
                .hint("A container's name has 3 to 63 lower-case letters, digits and single hyphens; what follows a `/` is the `prefix`."),
            );
        }
    }

    pub(super) fn address(&mut self, address: Option<&str>, path: &PolicyPath) {
        let Some(address) = address else { return };
        let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace)) {
            self.push(
                Finding::error(BAD_ADDRESS, path.clone(), format!("`{}` is not an address", crate::units::clipped(address)))
                    .label("must begin with `https://` or `http://`")
                    .hint("Write it with its scheme and host, for example `https://s3.example.com`."),
            );
        } else if rest.is_some_and(|rest| rest.split('/').next().is_some_and(|host| host.contains('@'))) || super::holds_password(address) {
            self.push(
                Finding::error(Code(211), path.clone(), "a password must not stand in an address")
                    .masked()
                    .label("holds credentials")
                    .hint("Take them out; credentials come from the cloud's usual chain."),
            );
        }
    }

    pub(super) fn wal(&mut self) -> Option<Wal> {
        let written = self.file.wal.as_ref()?;
        let path = PolicyPath::from(["wal"]);
        let mut good = self.refer(&written.store, &self.file.stores, "stores", &path.key("store"));
        for (index, copy) in written.copies.iter().enumerate() {
            let at = path.key("copies").item(index);
            good &= self.refer(copy, &self.file.stores, "stores", &at);
            if *copy == written.store {
                self.push(
                    Finding::error(SAME_PLACE, at, format!("`{copy}` has the log already")).hint("Name another store, or take it out."),
                );
            }
        }
        good.then(|| Wal {
            store: written.store.clone(),
            copies: written.copies.clone(),
            acknowledged_by_all: written.acknowledged_by != Some(file::Acknowledged::First),
            timeout: written.timeout,
            keep: written.keep,
        })
    }
}

/// What was probably meant.
fn bucket_hint(bucket: &str) -> String {
    let address = bucket.split_once("://").map(|(_, rest)| rest.trim_end_matches('/'));
    match address.map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
        _ if bucket.contains(['$', '{', '<']) => {
            "Write the name itself: what a template leaves open must be filled in before this is read.".into()
        }
        Some((name, "")) => format!("Write only the name: `bucket: {}`.", crate::units::clipped(name)),
        Some((name, prefix)) => {
            format!("Write `bucket: {}` and `prefix: {}`.", crate::units::clipped(name), crate::units::clipped(prefix))
        }
        None => "A bucket's name has at least 3 lower-case letters, digits, hyphens and dots; what follows a `/` is the `prefix`.".into(),
    }
}

/// How two stores lie to one another, one within the other.
fn nested(name: &Name, url: &str, other: &Name, other_url: &str) -> String {
    match url.len().cmp(&other_url.len()) {
        Ordering::Equal => format!("`{name}` and `{other}` are the same place"),
        Ordering::Greater => format!("`{name}` lies inside `{other}`"),
        Ordering::Less => format!("`{other}` lies inside `{name}`"),
    }
}

/// One place lies within the other.
fn overlaps(one: &str, other: &str) -> bool {
    one == other
        || one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
        || other.strip_prefix(one).is_some_and(|rest| rest.starts_with('/'))
}
