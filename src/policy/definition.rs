//! What a drill proves, as one digest: a record of another one proves nothing of today's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::file;
use super::model::{Drill, DrillRestore, Method, Policy};
use crate::units::{DumpSection, Name, hex};

/// SHA-256 over what it proves: what comes back and from where, how soon, and what must be true of it. What it only names counts as the policy has
/// it: the job that it restores, its scenario, its tiers. However that is written, and whatever is said of when and where it runs, it is the same
/// drill.
pub(super) fn definition(policy: &Policy, written: &file::Drill, drill: &Drill) -> String {
    let file::Drill { restore, rehearses, from, within, expect, run, promote, .. } = written;
    let proves = json!({
        "restore": restore, "rehearses": rehearses, "from": from, "within": within, "expect": expect, "run": run, "promote": promote,
        "job": job(policy, drill), "scenario": scenario(policy, drill), "database": database(drill), "tiers": tiers(policy, drill),
    });
    format!("sha256:{}", hex(&Sha256::digest(canonical(proves).to_string())))
}

/// What the job has that is restored; none where that is whatever leads to a moment.
fn job(policy: &Policy, drill: &Drill) -> Option<Json> {
    let (DrillRestore::Latest(job) | DrillRestore::Random(job)) = &drill.restore else { return None };
    let method = &policy.backups.get(job)?.method;
    let has = match method {
        Method::Logical(dump) => json!({
            "databases": set(policy.dumped(method).unwrap_or_default()),
            "schemas": set(&dump.schemas), "exclude_schemas": set(&dump.exclude_schemas),
            "tables": set(&dump.tables), "exclude_tables": set(&dump.exclude_tables), "exclude_table_data": set(&dump.exclude_table_data),
            "sections": DumpSection::ALL.into_iter().filter(|section| dump.has(*section)).collect::<Vec<_>>(),
            "unreadable": dump.unreadable == Some(file::Unreadable::Skip),
        }),
        Method::Tables(chosen) => {
            let database = chosen.database.as_ref().or(policy.databases.first());
            json!({ "database": database, "tables": set(&chosen.tables), "format": chosen.format })
        }
        Method::Files(files) => json!({ "paths": set(&files.paths), "exclude": set(&files.exclude), "globals": files.globals }),
        Method::Physical(_) | Method::Incremental { .. } | Method::Provider(_) | Method::Engine(_) => Json::Null,
    };
    Some(json!({ "method": method.as_str(), "has": has }))
}

fn scenario(policy: &Policy, drill: &Drill) -> Option<Json> {
    let (_, scenario) = drill.scenario(policy)?;
    Some(json!({ "recover": scenario.recover, "by": scenario.by, "using": scenario.using, "from": scenario.from }))
}

/// It may be left out where there is one only.
fn database(drill: &Drill) -> Option<&String> {
    let of_tables = drill.tables.as_ref().map(|tables| &tables.database);
    of_tables.or(drill.tiers.as_ref().map(|tiers| &tiers.database))
}

/// All that it measures, whichever comes first: what no tier names is in the one that has the rest.
fn tiers(policy: &Policy, drill: &Drill) -> Option<Json> {
    drill.tiers.as_ref()?;
    let tier = |name: Name| {
        let tier = policy.objectives.data.get(&name)?;
        let has = json!({ "tables": tier.tables.as_deref().map(set), "rest": tier.rest, "everything": tier.everything });
        Some((name.to_string(), has))
    };
    Some(Json::Object(drill.measures(policy).into_iter().filter_map(tier).collect()))
}

/// In whatever order they were written.
fn set(all: &[String]) -> BTreeSet<&String> {
    all.iter().collect()
}

/// In the order of the keys, and without what is not said: a key that a later version adds changes nothing where nobody uses it. That something is
/// said without anything in it, as in `promote: {}`, is said.
fn canonical(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let sorted: BTreeMap<String, Json> = map.into_iter().map(|(key, value)| (key, canonical(value))).collect();
            let is_said = |(_, value): &(String, Json)| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty());
            Json::Object(sorted.into_iter().filter(is_said).collect())
        }
        Json::Array(all) => Json::Array(all.into_iter().map(canonical).collect()),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "version: 1
policy: shop
owner: dba@example.com
cluster: { connection: service=shop, databases: [app, crm] }
objectives:
  data:
    critical: { tables: [orders], database: app, rto: 1h }
    late: { rest: true, database: app, rto: 4h }
    other: { everything: true, database: crm, rto: 4h }
  scenarios:
    loss: { recover: cluster, by: point-in-time }
    slip: { recover: cluster, using: [nightly], by: newest-backup }
encryption: { none: { because: a test } }
stores: { main: { local: { path: /srv/main } }, offsite: { local: { path: /srv/offsite } } }
wal: { store: main, timeout: 60s, keep: 30d }
backups:
  nightly: { physical: {}, schedule: { at: '02:00' }, store: main, copies: [offsite], keep: { daily: 7 } }
  dump: { logical: {}, schedule: { at: '03:00' }, store: main, keep: { daily: 7 } }
  some: { tables: { database: app, tables: [orders] }, schedule: { at: '03:00' }, store: main, keep: { daily: 7 } }
  conf: { files: { paths: [/etc/app], exclude: ['*.log'] }, schedule: { at: '03:00' }, store: main, keep: { daily: 7 } }
drills:
  whole: { restore: { latest: nightly }, within: 90m, rehearses: loss, expect: { a: { sql: select 1, database: app, is: 1 } } }
  few: { restore: { latest: nightly, tables: [letters], database: app } }
  tiered: { restore: { latest: nightly, database: app, tiers: [critical] } }
  dumped: { restore: { latest: dump } }
  chosen: { restore: { latest: some } }
  copied: { restore: { latest: conf } }
";

    fn policy(text: &str) -> Policy {
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings))
    }

    /// The drills that are another one when this stands there in place of that.
    fn changed(from: &str, to: &str) -> Vec<String> {
        assert!(POLICY.contains(from), "{from}");
        let (before, after) = (policy(POLICY), policy(&POLICY.replacen(from, to, 1)));
        let is_changed = |name: &&crate::units::Name| before.drills[*name].definition != after.drills[*name].definition;
        before.drills.keys().filter(is_changed).map(ToString::to_string).collect()
    }

    #[test]
    fn a_definition_is_what_is_proven() {
        let own = policy(POLICY).drills["whole"].definition.clone();
        assert!(own.starts_with("sha256:") && own.len() == 71, "{own}");
        for (from, to) in [
            ("within: 90m", "within: 1h 30m"),
            ("within: 90m", "within: 90m, description: for the auditors"),
            ("within: 90m", "within: 90m, directory: /srv/drills, timeout: 6h"),
            ("nightly: { physical: {}, schedule: { at: '02:00' }", "nightly: { physical: {}, schedule: { at: '05:00' }, takes: 1h"),
            ("loss: { recover: cluster, by: point-in-time }", "loss: { recover: cluster, by: point-in-time, rto: 2h }"),
            ("dump: { logical: {}", "dump: { logical: { jobs: 4, databases: [crm, app] }"),
        ] {
            assert_eq!(changed(from, to), Vec::<String>::new(), "{to}");
        }
        for (from, to) in [
            ("restore: { latest: nightly }", "restore: { random: nightly }"),
            ("within: 90m", "within: 90m, from: offsite"),
            ("within: 90m", "within: 2h"),
            ("rehearses: loss", "rehearses: slip"),
            (", rehearses: loss", ""),
            (", expect: { a: { sql: select 1, database: app, is: 1 } }", ""),
            ("is: 1 }", "is: 2 }"),
            ("within: 90m", "within: 90m, run: { run: [./validate.sh] }"),
            ("within: 90m", "within: 90m, promote: { within: 2m }"),
            // Without anything in it, it is rehearsed as well.
            ("within: 90m", "within: 90m, promote: {}"),
        ] {
            assert_eq!(changed(from, to), ["whole"], "{to}");
        }
    }

    #[test]
    fn what_is_not_said_is_no_part_of_it() {
        assert_eq!(canonical(json!({ "b": [], "a": null, "d": { "e": null }, "c": [[], null] })), json!({ "c": [[], null], "d": {} }));
    }

    /// It is the same drill by its words, and what it names is something else.
    #[test]
    fn what_a_drill_names_is_part_of_it() {
        for (from, to, drills) in [
            ("tables: [orders], database: app, rto", "tables: [orders, payments, items], database: app, rto", &["tiered"][..]),
            ("tables: [letters]", "tables: [letters, items]", &["few"]),
            ("everything: true, database: crm", "tables: [people], database: crm", &[]),
            ("by: point-in-time }", "by: newest-backup }", &["whole"]),
            ("by: point-in-time }", "by: point-in-time, using: [nightly] }", &["whole"]),
            ("by: point-in-time }", "by: point-in-time, from: [main] }", &["whole"]),
            ("databases: [app, crm] }", "databases: [app, crm, new] }", &["dumped"]),
            ("logical: {}", "logical: { databases: [app] }", &["dumped"]),
            ("logical: {}", "logical: { exclude_tables: ['*.tmp'] }", &["dumped"]),
            ("logical: {}", "physical: {}", &["dumped"]),
            ("tables: { database: app, tables: [orders] }", "tables: { database: app, tables: [orders, items] }", &["chosen"]),
            ("paths: [/etc/app]", "paths: [/etc/app, /etc/ssl]", &["copied"]),
            ("exclude: ['*.log']", "exclude: []", &["copied"]),
        ] {
            assert_eq!(changed(from, to), drills, "{to}");
        }
    }
}
