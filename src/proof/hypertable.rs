//! Hypertables that a job of chosen tables would dump as plain ones.

use super::facts::Facts;
use crate::policy::file::TableFormat;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Method;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;

const AS_A_PLAIN_TABLE: Code = Code(527);

/// `pg_dump --table` leaves out the chunks, and what makes them its chunks: the job fails each time it runs.
pub(super) fn prove(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let policy = facts.policy;
    for (job, backup) in &policy.backups {
        let Method::Tables(tables) = &backup.method else { continue };
        let database = tables.database.as_ref().or(policy.databases.first());
        let timescale = database.and_then(|database| Some((database, policy.file.timescaledb.get(database)?)));
        let (Some((database, timescale)), None | Some(TableFormat::Custom)) = (timescale, tables.format) else { continue };
        for (index, table) in tables.tables.iter().enumerate() {
            let Some(known) = timescale.hypertables.keys().find(|known| sql_name::same_table(known, table)) else { continue };
            let path = PolicyPath::from(["backups", job.as_str(), "tables", "tables"]).item(index);
            let declared = PolicyPath::from(["timescaledb", database.as_str(), "hypertables", known.as_str()]);
            let message =
                format!("`{}` is a hypertable, and `pg_dump --table` would not bring it back as one", crate::units::clipped(table));
            findings.push(
                Finding::error(AS_A_PLAIN_TABLE, path, message)
                    .label("the job would fail")
                    .hint("Write `format: csv` or `parquet`, or dump the whole database with `logical`: out of that it comes back alone.")
                    .related(declared, "declared here"),
            );
        }
    }
}
