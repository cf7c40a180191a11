//! Continuous aggregates that a job of chosen tables names as if they were tables.

use super::facts::Facts;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Method;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;

const AS_A_TABLE: Code = Code(527);

/// A continuous aggregate is a view on what TimescaleDB keeps elsewhere: the job fails each time it runs.
pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    for (job, backup) in &policy.backups {
        let Method::Tables(tables) = &backup.method else { continue };
        let database = tables.database.as_ref().or(policy.databases.first());
        let Some((database, timescale)) = database.and_then(|database| Some((database, policy.file.timescaledb.get(database)?))) else {
            continue;
        };
        for (index, table) in tables.tables.iter().enumerate() {
            let Some(known) = timescale.continuous_aggregates.keys().find(|known| sql_name::same_table(known, table)) else { continue };
            let path = PolicyPath::from(["backups", job.as_str(), "tables", "tables"]).item(index);
            let declared = PolicyPath::from(["timescaledb", database.as_str(), "continuous_aggregates", known.as_str()]);
            let message = format!("`{}` is a continuous aggregate, and no table", crate::units::clipped(table));
            findings.push(
                Finding::error(AS_A_TABLE, path, message)
                    .label("the job would fail")
                    .hint(
                        "Name the hypertable that it is made of, out of which it is made anew, or dump the whole database with `logical`.",
                    )
                    .related(declared, "declared here"),
            );
        }
    }
}
