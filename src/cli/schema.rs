//! `seawall schema`: JSON schemas of what this program reads and prints.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::exit::{Exit, Trouble};
use super::man::cannot_write;
use super::plan::PlanOutput;
use super::terminal::{print, tame};
use super::validate::{ValidateOutput, json};
use crate::diff::FleetDiff;
use crate::inventory::Inventory;
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
pub const ALL: [Published; 7] = [
    Published { name: "policy", about: "a policy file", make: schema::policy },
    Published { name: "policy-fragment", about: "a policy file that extends another, or that others extend", make: schema::fragment },
    Published { name: "policy-output", about: "what `seawall policy show --format json` prints", make: of::<super::policy::PolicyOutput> },
    Published { name: "plan", about: "what `seawall plan --format json` prints and `--out` saves", make: of::<PlanOutput<'static>> },
    Published { name: "diff", about: "what `seawall diff --format json` prints", make: of::<FleetDiff> },
    Published { name: "inventory", about: "the state of the world that `--inventory` reads", make: read_by::<Inventory> },
    Published { name: "validate-output", about: "what `seawall validate --format json` prints", make: of::<ValidateOutput> },
];

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
    ALL.iter().map(|each| format!("{:<16}  {}\n", each.name, each.about)).collect()
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
