//! `seawall schema`: JSON schemas of what this program reads and prints.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::archive::{ArchiveListOutput, ArchiveRestoreOutput};
use super::backup::BackupOutput;
use super::bench::BenchOutput;
use super::copy::{CopyOutput, CopyPlanOutput};
use super::exit::{Exit, Trouble};
use super::expire::{ExpireOutput, ExpirePlanOutput};
use super::key::{KeyGenerateOutput, KeyHostOutput, KeyListOutput};
use super::man::cannot_write;
use super::notify::NotifyTestOutput;
use super::plan::PlanOutput;
use super::record::{AckOutput, AuditOutput, AuditVerifyOutput, ChecklistOutput, HistoryOutput, StatusOutput};
use super::repository::{ListOutput, ShowOutput, VerifyOutput};
use super::run::RunOutput;
use super::terminal::{print, tame};
use super::validate::{ValidateOutput, json};
use super::wal::WalStatusOutput;
use super::watch::WatchOutput;
use crate::diff::FleetDiff;
use crate::execute::dump::restore::{Exported, Restored};
use crate::execute::files::restore::RestoredFiles;
use crate::execute::promote::Promotion;
use crate::execute::release::Released;
use crate::execute::restore::Report;
use crate::inventory::{DrillRecord, Inventory};
use crate::policy::schema;
use crate::units::nearest;

/// Print a JSON schema: of policies, for editors and other checkers; of this program's output, for those who read it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall schema                              the list of all
  seawall schema policy > policy.schema.json  for the YAML language server of an editor
  seawall schema --write schemas              all of them, as files")]
pub struct Schema {
    /// Which schema; without it, all are listed.
    name: Option<String>,
    /// Write all schemas into a directory, as NAME.schema.json.
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    write: Option<PathBuf>,
}

/// A schema: its name, what it describes, and how it is made.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    pub name: &'static str,
    pub about: &'static str,
    pub make: fn() -> Value,
}

/// Every schema that is published.
pub const ALL: [Published; 43] = [
    Published { name: "policy", about: "a policy file", make: schema::policy },
    Published { name: "policy-fragment", about: "a policy file that extends another, or that others extend", make: schema::fragment },
    Published { name: "policy-output", about: "what `seawall policy show --format json` prints", make: of::<super::policy::PolicyOutput> },
    Published { name: "plan", about: "what `seawall plan --format json` prints and `--out` saves", make: of::<PlanOutput<'static>> },
    Published { name: "diff", about: "what `seawall diff --format json` prints", make: of::<FleetDiff> },
    Published { name: "inventory", about: "the state of the world that `--inventory` reads", make: read_by::<Inventory> },
    printed("validate-output", "what `seawall validate --format json` prints", of::<ValidateOutput>),
    printed("run-output", "what `seawall run --format json` prints", of::<RunOutput<'static>>),
    printed("watch-output", "what `seawall watch --format json` prints", of::<WatchOutput<'static>>),
    printed("status-output", "what `seawall status --format json` prints", of::<StatusOutput<'static>>),
    printed(
        "report",
        "what `seawall report --format json` prints, and `/report.json` of `seawall serve`",
        of::<crate::report::account::Report>,
    ),
    printed("checklist-output", "what `seawall checklist --format json` prints", of::<ChecklistOutput>),
    printed("history-output", "what `seawall history --format json` prints", of::<HistoryOutput<'static>>),
    printed("ack-output", "what `seawall ack --format json` prints", of::<AckOutput<'static>>),
    printed("audit-output", "what `seawall audit show --format json` prints", of::<AuditOutput>),
    printed("audit-verify-output", "what `seawall audit verify --format json` prints", of::<AuditVerifyOutput<'static>>),
    printed("backup-output", "what `seawall backup --format json` prints", of::<BackupOutput<'static>>),
    printed("guard-report", "what `seawall guard --report` writes", of::<crate::execute::guard::Report>),
    printed("bench-output", "what `seawall bench --format json` prints", of::<BenchOutput>),
    printed("archive-list-output", "what `seawall archive list --format json` prints", of::<ArchiveListOutput>),
    printed("archive-restore-output", "what `seawall archive restore --format json` prints", of::<ArchiveRestoreOutput>),
    printed("copy-output", "what `seawall copy --format json` prints", of::<CopyOutput<'static>>),
    printed("copy-plan-output", "what `seawall copy --plan --format json` prints", of::<CopyPlanOutput<'static>>),
    printed("expire-output", "what `seawall expire --format json` prints", of::<ExpireOutput<'static>>),
    printed("expire-plan-output", "what `seawall expire --plan --format json` prints", of::<ExpirePlanOutput<'static>>),
    printed("list-output", "what `seawall list --format json` prints", of::<ListOutput<'static>>),
    printed("show-output", "what `seawall show --format json` prints", of::<ShowOutput<'static>>),
    printed("verify-output", "what `seawall verify --format json` prints", of::<VerifyOutput<'static>>),
    printed("wal-status-output", "what `seawall wal status --format json` prints", of::<WalStatusOutput>),
    printed("restore-dump-output", "what `seawall restore --into-database … --format json` prints", of::<Restored>),
    printed("restore-tiers-output", "what `seawall restore --tier … --format json` prints", of::<crate::execute::tiers::Tiered>),
    printed(
        "restore-tiers-plan-output",
        "what `seawall restore --tier … --plan --format json` prints",
        of::<crate::execute::tiers::Planned>,
    ),
    printed("restore-table-output", "what `seawall restore --table … --format json` prints", of::<crate::execute::table::landing::Report>),
    printed("restore-export-output", "what `seawall restore --export-to … --format json` prints", of::<Exported>),
    printed("restore-files-output", "what `seawall restore --files … --format json` prints", of::<RestoredFiles>),
    printed("restore-output", "what `seawall restore --format json` prints", of::<Report>),
    printed("drill-output", "what `seawall drill --format json` prints, and what lies beside a backup", of::<DrillRecord>),
    printed("release-output", "what `seawall release --format json` prints", of::<Released>),
    printed("promote-output", "what `seawall promote --format json` prints", of::<Promotion>),
    printed("notify-test-output", "what `seawall notify test --format json` prints", of::<NotifyTestOutput<'static>>),
    printed("key-generate-output", "what `seawall key generate --format json` prints", of::<KeyGenerateOutput<'static>>),
    printed("key-host-output", "what `seawall key host --format json` prints", of::<KeyHostOutput<'static>>),
    printed("key-list-output", "what `seawall key list --format json` prints", of::<KeyListOutput<'static>>),
];

const fn printed(name: &'static str, about: &'static str, make: fn() -> Value) -> Published {
    Published { name, about, make }
}

impl Published {
    /// The schema as it is published.
    pub fn text(&self) -> Result<String, Trouble> {
        json(&(self.make)())
    }
}

impl Schema {
    pub fn run(&self) -> Result<Exit, Trouble> {
        match (&self.name, &self.write) {
            (_, Some(directory)) => write(directory)?,
            (Some(name), None) => print(&find(name)?.text()?)?,
            (None, None) => print(&list())?,
        }
        Ok(Exit::Done)
    }
}

/// Of what this program writes: every key it always writes is required.
fn of<T: schemars::JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// Of what this program reads: what may be left out is not required.
fn read_by<T: schemars::JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>().to_value()
}

fn list() -> String {
    ALL.iter().map(|each| format!("{:<19}  {}\n", each.name, each.about)).collect()
}

fn find(name: &str) -> Result<Published, Trouble> {
    ALL.iter().find(|each| each.name == name).copied().ok_or_else(|| {
        let near = nearest(name, ALL.iter().map(|each| each.name)).map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
        let message = format!("there is no schema `{}`", tame(name));
        Trouble::usage(message, format!("{near}The schemas are {}.", ALL.map(|each| each.name).join(", ")))
    })
}

fn write(directory: &Path) -> Result<(), Trouble> {
    std::fs::create_dir_all(directory).map_err(|error| cannot_write(directory, &error))?;
    for each in ALL {
        let path = directory.join(format!("{}.schema.json", each.name));
        std::fs::write(&path, each.text()?).map_err(|error| cannot_write(&path, &error))?;
    }
    Ok(print(&format!("{} schemas are in {}\n", ALL.len(), tame(&directory.to_string_lossy())))?)
}
