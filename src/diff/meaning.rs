//! What a policy means, laid out so that two can be compared: every setting by its path, defaults filled in, spellings made
//! alike, the order taken out where it says nothing. Whatever two policies differ in, they differ in here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::words::{keep_rules, secret_words};
use crate::policy::model::{Method, Policy};
use crate::policy::path::PolicyPath;
use crate::units::{DumpSection, Name};

/// The value at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    One(String),
    /// A list whose order says nothing.
    Set(BTreeSet<String>),
    /// A list whose order is part of its meaning.
    Row(Vec<String>),
}

pub type Meaning = BTreeMap<PolicyPath, Leaf>;

/// Lists in which the order counts, by their key.
const ORDERED: [&str; 6] = ["run", "segment_by", "order_by", "exclude", "exclude_tables", "escalation"];
/// Maps from names, by their key: an empty one is none at all.
const COLLECTIONS: [&str; 10] =
    ["hypertables", "continuous_aggregates", "scenarios", "data", "hosts", "expect", "writers", "backup_age_of", "thresholds", "copies"];

pub fn meaning(policy: &Policy) -> Meaning {
    let mut tree = match serde_json::to_value(&*policy.file) {
        Ok(Value::Object(tree)) => tree,
        // The file's types have string keys throughout, so this cannot be; the comparison would still not be silent.
        other => return Meaning::from([(PolicyPath::top(), Leaf::One(format!("{other:?}")))]),
    };
    for key in ["version", "policy", "extends", "abstract"] {
        tree.remove(key);
    }
    cluster(&mut tree);
    objectives(&mut tree, policy);
    stores(&mut tree);
    encryption(&mut tree);
    schedules(&mut tree, policy);
    backups(&mut tree, policy);
    upkeep(&mut tree, policy);
    timescaledb(&mut tree);
    holds(&mut tree, policy);
    people(&mut tree);
    let mut leaves = Meaning::new();
    for (key, mut value) in tree {
        each(&mut value, &mut |node| {
            defaults(node, "run", &[("timeout", json!("5m"))]);
            if let Some(words) = secret_words(node) {
                *node = words.into();
            }
        });
        let path = PolicyPath::top().key(&key);
        let top_level = !matches!(value, Value::Object(ref map) if map.is_empty());
        if top_level {
            lay_out(path, &key, value, &mut leaves);
        }
    }
    leaves
}

fn lay_out(path: PolicyPath, key: &str, value: Value, leaves: &mut Meaning) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            let bare = map.values().all(|value| value.is_null() || is_empty_list(value));
            if bare && !COLLECTIONS.contains(&key) {
                leaves.insert(path.clone(), Leaf::One("yes".into()));
            }
            for (key, value) in map {
                lay_out(path.key(&key), &key, value, leaves);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => {
            let words = items.iter().map(phrase);
            let leaf = if ORDERED.contains(&key) { Leaf::Row(words.collect()) } else { Leaf::Set(words.collect()) };
            leaves.insert(path, leaf);
        }
        scalar => {
            leaves.insert(path, Leaf::One(phrase(&scalar)));
        }
    }
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// A whole value in one line: `severity critical, to dba and ops`.
pub fn phrase(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
            .map_or_else(|| number.to_string(), |whole| format!("{whole:.0}")),
        Value::Array(items) => items.iter().map(phrase).collect::<Vec<_>>().join(" and "),
        Value::Object(map) => {
            let said = |(key, value): (&String, &Value)| match value {
                Value::Null => None,
                value if is_empty_list(value) => None,
                value => Some(format!("{} {}", key.replace('_', " "), phrase(value))),
            };
            map.iter().filter_map(said).collect::<Vec<_>>().join(", ")
        }
    }
}

// ---- ways through the tree -----------------------------------------------------------------------------------------

fn each(node: &mut Value, change: &mut impl FnMut(&mut Value)) {
    change(node);
    match node {
        Value::Object(map) => map.values_mut().for_each(|value| each(value, change)),
        Value::Array(items) => items.iter_mut().for_each(|value| each(value, change)),
        _ => {}
    }
}

fn within<'v>(tree: &'v mut Map<String, Value>, key: &str) -> Option<&'v mut Map<String, Value>> {
    tree.get_mut(key).and_then(Value::as_object_mut)
}

/// The elements of a map from names.
fn entries<'v>(tree: &'v mut Map<String, Value>, key: &str) -> impl Iterator<Item = (&'v String, &'v mut Map<String, Value>)> {
    within(tree, key).into_iter().flatten().filter_map(|(name, value)| value.as_object_mut().map(|map| (name, map)))
}

/// Gives an element that has `marker` the values that are meant where it says nothing.
fn defaults(node: &mut Value, marker: &str, meant: &[(&str, Value)]) {
    if let Value::Object(map) = node
        && map.get(marker).is_some_and(Value::is_array)
    {
        fill(map, meant);
    }
}

fn fill(map: &mut Map<String, Value>, meant: &[(&str, Value)]) {
    for (key, value) in meant {
        let slot = map.entry(*key).or_insert(Value::Null);
        if slot.is_null() {
            *slot = value.clone();
        }
    }
}

/// One or several: always a list.
fn listed(map: &mut Map<String, Value>, key: &str) {
    if let Some(value) = map.get_mut(key)
        && !value.is_null()
        && !value.is_array()
    {
        *value = Value::Array(vec![value.take()]);
    }
}

fn trimmed(map: &mut Map<String, Value>, key: &str, change: impl Fn(&str) -> String) {
    if let Some(Value::String(text)) = map.get_mut(key) {
        *text = change(text);
    }
}

fn only_database(tree: &Map<String, Value>) -> Value {
    let listed = tree.get("cluster").and_then(|cluster| cluster.get("databases")).and_then(Value::as_array);
    match listed.map(Vec::as_slice) {
        Some([only]) => only.clone(),
        Some([]) | None => {
            let mut names = tree.get("timescaledb").and_then(Value::as_object).into_iter().flat_map(Map::keys);
            match (names.next(), names.next()) {
                (Some(only), None) => only.clone().into(),
                _ => Value::Null,
            }
        }
        Some(_) => Value::Null,
    }
}

// ---- the sections --------------------------------------------------------------------------------------------------

fn cluster(tree: &mut Map<String, Value>) {
    if let Some(canary) = within(tree, "canary") {
        fill(canary, &[("every", json!("1m"))]);
    }
    let compression = compression_words(tree.get("compression"));
    tree.insert("compression".into(), compression.unwrap_or_else(|| "zstd at level 1".into()).into());
    let catalog = match tree.get("catalog") {
        Some(Value::Object(catalog)) if catalog.get("postgres").is_some_and(|postgres| !postgres.is_null()) => return,
        Some(catalog) => catalog.pointer("/sqlite/path").and_then(Value::as_str).map(str::to_owned),
        None => None,
    };
    tree.insert("catalog".into(), catalog.map_or_else(|| "SQLite on the host".into(), |path| format!("SQLite at {path}")).into());
}

fn compression_words(value: Option<&Value>) -> Option<String> {
    let map = value?.as_object()?;
    if let Some(zstd) = map.get("zstd").filter(|zstd| !zstd.is_null()) {
        return Some(format!("zstd at level {}", zstd.get("level").map(phrase).unwrap_or_else(|| "1".into())));
    }
    let named = ["lz4", "none"].into_iter().find(|key| map.get(*key).is_some_and(|value| !value.is_null()));
    named.map(str::to_owned)
}

fn objectives(tree: &mut Map<String, Value>, policy: &Policy) {
    let database = only_database(tree);
    let Some(objectives) = within(tree, "objectives") else { return };
    for (name, scenario) in entries(objectives, "scenarios") {
        listed(scenario, "from");
        listed(scenario, "using");
        if let Some(resolved) = policy.objectives.scenarios.get(name.as_str()) {
            scenario.insert("rpo".into(), resolved.rpo.map_or(Value::Null, |rpo| rpo.to_string().into()));
            scenario.insert("rto".into(), resolved.rto.map_or(Value::Null, |rto| rto.to_string().into()));
        }
    }
    for (_, tier) in entries(objectives, "data") {
        if tier.get("tables").is_some_and(Value::is_array) {
            fill(tier, &[("database", database.clone())]);
        }
    }
}

fn stores(tree: &mut Map<String, Value>) {
    for (_, store) in entries(tree, "stores") {
        if let Some(local) = within(store, "local") {
            fill(local, &[("other_device", json!(true))]);
            trimmed(local, "path", |path| path.trim_end_matches('/').to_owned());
        }
        for kind in ["s3", "azure", "gcs"] {
            let Some(place) = within(store, kind) else { continue };
            trimmed(place, "prefix", |prefix| prefix.trim_matches('/').to_owned());
            trimmed(place, "endpoint", |endpoint| endpoint.trim_end_matches('/').to_owned());
            if let Some(Value::Object(sse)) = place.get("sse") {
                let words = match sse.get("kms").and_then(Value::as_str) {
                    Some(key) => format!("SSE-KMS with {key}"),
                    None => "SSE-S3".into(),
                };
                place.insert("sse".into(), words.into());
            }
        }
        if let Some(replicated) = within(store, "replicated") {
            fill(replicated, &[("lag", json!("15m"))]);
        }
    }
    if let Some(wal) = within(tree, "wal") {
        fill(wal, &[("acknowledged_by", json!("all"))]);
    }
}

fn encryption(tree: &mut Map<String, Value>) {
    let Some(encryption) = within(tree, "encryption") else { return };
    let two_words = |key: &str| key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let digits = |key: &str| key.split_whitespace().collect::<String>().to_uppercase();
    for (kind, alike) in [("age", &two_words as &dyn Fn(&str) -> String), ("openpgp", &digits)] {
        let recipients = within(encryption, kind).and_then(|kind| kind.get_mut("recipients")).and_then(Value::as_array_mut);
        for recipient in recipients.into_iter().flatten() {
            if let Value::String(text) = recipient {
                *text = alike(text);
            }
        }
    }
    if let Some(writers) = within(encryption, "writers") {
        for key in writers.values_mut() {
            if let Value::String(text) = key {
                *text = two_words(text);
            }
        }
    }
}

/// Schedules and windows are what they do, not how they are written.
fn schedules(tree: &mut Map<String, Value>, policy: &Policy) {
    for timed in policy.timed() {
        let mut node = Some(&mut *tree);
        for step in timed.path.steps() {
            let crate::policy::path::Step::Key(key) = step else { continue };
            node = node.and_then(|map| map.get_mut(key)).and_then(Value::as_object_mut);
        }
        if let Some(map) = node {
            map.insert("schedule".into(), timed.schedule.describe().into());
        }
    }
    for (name, window) in entries(tree, "windows") {
        let Some(resolved) = policy.windows.get(name.as_str()) else { continue };
        let overrun = serde_json::to_value(resolved.overrun).unwrap_or_default();
        *window = Map::from_iter([("open".to_owned(), resolved.window.describe().into()), ("overrun".to_owned(), overrun)]);
    }
}

fn backups(tree: &mut Map<String, Value>, policy: &Policy) {
    let database = only_database(tree);
    let databases = json!(policy.databases);
    let compression = tree.get("compression").cloned().unwrap_or_default();
    for (name, job) in entries(tree, "backups") {
        let Some(resolved) = policy.backups.get(name.as_str()) else { continue };
        job.insert("method".into(), resolved.method.as_str().into());
        let read_back = resolved.method.is_stored().then_some(resolved.read_back);
        job.insert("read_back".into(), json!(read_back));
        job.remove("physical").into_iter().for_each(|physical| {
            if let Value::Object(mut physical) = physical {
                fill(&mut physical, &[("damaged_pages", json!("mark"))]);
                job.insert("physical".into(), physical.into());
            }
        });
        if let Some(logical) = within(job, "logical") {
            let format = if logical.get("jobs").is_some_and(|jobs| !jobs.is_null()) { "directory" } else { "custom" };
            let yes = json!(true);
            let all = DumpSection::ALL.map(|section| json!(section));
            if logical.get("sections").and_then(Value::as_array).is_some_and(|named| all.iter().all(|one| named.contains(one))) {
                logical.remove("sections");
            }
            fill(
                logical,
                &[
                    ("databases", databases.clone()),
                    ("format", json!(format)),
                    ("owners", yes.clone()),
                    ("grants", yes.clone()),
                    ("unreadable", json!("fail")),
                    ("unmatched", json!("fail")),
                    ("globals", yes),
                ],
            );
        }
        if let Some(tables) = within(job, "tables") {
            fill(tables, &[("database", database.clone()), ("format", json!("custom"))]);
        }
        if let (Method::Engine(_), Some(engine)) = (&resolved.method, within(job, "engine")) {
            fill(engine, &[("mode", json!(if resolved.schedule.is_some() { "run" } else { "watch" }))]);
        }
        let own = compression_words(job.get("compression")).map_or_else(|| compression.clone(), Value::String);
        job.insert("compression".into(), own);
        job.insert("store".into(), resolved.store.as_ref().map_or(Value::Null, |store| store.as_str().into()));
        let classes = storage_classes(job.get("keep"));
        job.insert("keep".into(), kept(&resolved.keep, classes.as_ref()));
        let written = job.get("copies").cloned();
        let copies = resolved.copies.iter().map(|copy| {
            let only: Vec<String> = copy.only.iter().filter_map(|tier| serde_json::to_value(tier).ok()).map(|tier| phrase(&tier)).collect();
            let own = written.as_ref().and_then(|written| written.get(copy.store.as_str())).and_then(|rule| rule.get("keep"));
            let own = own.filter(|keep| !keep.is_null());
            let classes = if own.is_some() { storage_classes(own) } else { classes.clone() };
            let rule = json!({ "within": copy.within.to_string(), "only": only, "keep": kept(&copy.keep, classes.as_ref()) });
            (copy.store.to_string(), rule)
        });
        let copies: Map<String, Value> = copies.collect();
        job.insert("copies".into(), copies.into());
    }
}

/// The storage class of each tier that names one.
fn storage_classes(keep: Option<&Value>) -> Option<Value> {
    let class = |(tier, rule): (&String, &Value)| {
        rule.get("storage_class").filter(|class| !class.is_null()).map(|class| (tier.clone(), class.clone()))
    };
    let classes: Map<String, Value> = keep?.as_object()?.iter().filter_map(class).collect();
    (!classes.is_empty()).then(|| classes.into())
}

fn kept(keep: &crate::retention::Keep, classes: Option<&Value>) -> Value {
    let mut map: Map<String, Value> =
        keep_rules(keep).into_iter().map(|(rule, value)| (rule.to_owned(), value.to_string().into())).collect();
    if map.is_empty() {
        map.insert("everything".into(), true.into());
    } else {
        map.insert("timezone".into(), keep.zone.iana_name().unwrap_or("UTC").into());
    }
    if let Some(classes) = classes {
        map.insert("storage_class".into(), classes.clone());
    }
    map.into()
}

fn upkeep(tree: &mut Map<String, Value>, policy: &Policy) {
    let database = only_database(tree);
    let schedule = policy.expire.schedule.as_ref().map(|schedule| schedule.describe());
    tree.insert(
        "expire".into(),
        json!({ "grace": policy.expire.grace.to_string(), "brake": policy.expire.brake.to_string(), "schedule": schedule }),
    );
    for (_, drill) in entries(tree, "drills") {
        if let Some(restore) = drill.get("restore") {
            let words = phrase(restore);
            drill.insert("restore".into(), words.into());
        }
        let Some(expect) = within(drill, "expect") else { continue };
        for expectation in expect.values_mut() {
            if let Value::Object(map) = expectation {
                fill(map, &[("database", database.clone())]);
                // The text "5" is not the number 5.
                if let Some(Value::String(text)) = map.get_mut("is") {
                    *text = format!("{text:?}");
                }
                // A set, of which each row is told from every other.
                if let Some(rows @ Value::Array(_)) = map.get_mut("rows") {
                    let mut all: Vec<String> = rows.as_array().into_iter().flatten().map(Value::to_string).collect();
                    all.sort_unstable();
                    *rows = all.join(" ").into();
                }
            }
            *expectation = phrase(expectation).into();
        }
    }
    for (_, report) in entries(tree, "reports") {
        fill(report, &[("covers", json!("1mo"))]);
    }
}

fn timescaledb(tree: &mut Map<String, Value>) {
    let database = only_database(tree);
    let both = json!(["csv", "parquet"]);
    for (_, archive) in entries(tree, "archive") {
        fill(archive, &[("format", both.clone()), ("database", database.clone())]);
        listed(archive, "format");
    }
    for (_, timescale) in entries(tree, "timescaledb") {
        if timescale.get("dropped_by").is_some_and(|by| by == "database") {
            timescale.remove("dropped_by");
        }
        for (_, hypertable) in entries(timescale, "hypertables") {
            if let Some(archive) = within(hypertable, "archive") {
                fill(archive, &[("format", both.clone())]);
                listed(archive, "format");
            }
        }
        for (_, aggregate) in entries(timescale, "continuous_aggregates") {
            if aggregate.get("refresh_before").is_some_and(|jobs| !is_empty_list(jobs)) {
                fill(aggregate, &[("refresh_timeout", json!("10m"))]);
            }
        }
    }
}

fn holds(tree: &mut Map<String, Value>, policy: &Policy) {
    for (name, hold) in entries(tree, "holds") {
        if let (Some(rows), Some(resolved)) = (within(hold, "rows"), policy.row_holds.get(name.as_str())) {
            rows.insert("database".into(), resolved.database.as_str().into());
        }
    }
}

fn people(tree: &mut Map<String, Value>) {
    if let Some(smtp) = within(tree, "smtp") {
        fill(smtp, &[("tls", json!("starttls"))]);
        let port = if smtp.get("tls") == Some(&json!("implicit")) { 465 } else { 587 };
        fill(smtp, &[("port", json!(port))]);
    }
    let Some(alerts) = within(tree, "alerts") else { return };
    if let Some(heartbeat) = within(alerts, "heartbeat") {
        fill(heartbeat, &[("every", json!("5m"))]);
    }
    for route in alerts.get_mut("routes").and_then(Value::as_array_mut).into_iter().flatten() {
        each(route, &mut |node| sorted(node, "to"));
    }
    let Some(thresholds) = within(alerts, "thresholds") else { return };
    for (key, threshold) in thresholds.iter_mut() {
        match threshold {
            Value::Object(by_job) if key == "backup_age_of" => by_job.values_mut().for_each(|limit| detailed(limit, "above")),
            limit => detailed(limit, if key == "success_rate" { "below" } else { "above" }),
        }
    }
}

fn sorted(node: &mut Value, key: &str) {
    if let Some(Value::Array(items)) = node.get_mut(key) {
        items.sort_by_key(phrase);
        items.dedup();
    }
}

/// A limit is its value, how long it must last, and how urgent it is.
fn detailed(limit: &mut Value, key: &str) {
    if limit.is_null() {
        return;
    }
    if !limit.is_object() {
        *limit = json!({ key: limit.take() });
    }
    if let Value::Object(map) = limit {
        fill(map, &[("severity", json!("warning"))]);
    }
}

/// The names of a section that either policy has, as the section's keys.
pub fn names_below(meaning: &Meaning, section: &PolicyPath) -> BTreeSet<String> {
    let depth = section.steps().len();
    let below = meaning.keys().filter(|path| path.starts_with(section));
    below
        .filter_map(|path| match path.steps().get(depth) {
            Some(crate::policy::path::Step::Key(key)) => Some(key.clone()),
            _ => None,
        })
        .collect()
}

/// The path of an element: `backups.nightly`.
pub fn element(section: &str, name: &Name) -> PolicyPath {
    PolicyPath::from([section, name.as_str()])
}
