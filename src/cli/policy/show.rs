//! `seawall policy show`: the whole policy, with the origin of each value.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::origin::{Line, lines};
use crate::cli::diagnostics;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fleet::Fleet;
use crate::cli::location::Location;
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::cli::validate::json;
use crate::world::clock;

/// The column at which origins stand, unless most lines are longer.
const MAX_COLUMN: usize = 72;

/// Show a policy in full, after everything it extends, with the file and line that each value comes from.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall policy show policies/pricing-agent.yaml
  seawall policy show git:main:policies/pricing-agent.yaml
  seawall policy show policies/pricing-agent.yaml --format json | jq '.origins[\"wal.keep\"]'")]
pub struct Show {
    /// The policy: a file, `git:REV:PATH`, or `-` for standard input.
    #[arg(value_name = "PATH")]
    path: String,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A policy that stands alone; each origin is a comment.
    Yaml,
    /// For programs; `seawall schema policy-output` describes it.
    Json,
}

impl Show {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let fleet = Fleet::load_with_trees(&[Location::parse(&self.path)?], clock::now());
        if !fleet.is_sound() {
            let findings = fleet.all_findings();
            let found = diagnostics::render(&findings, Terminal::of_stdout(colour));
            print(&format!("{found}{}\n", diagnostics::summary(&fleet, &findings)))?;
            return Ok(Exit::Failed);
        }
        let [policy] = fleet.policies.as_slice() else {
            let message = format!("`{}` holds {} policies", tame(&self.path), fleet.policies.len());
            return Err(Trouble::usage(message, "Give one file."));
        };
        let lines = lines(&policy.document);
        print(&match self.format {
            Format::Yaml => yaml(&lines),
            Format::Json => json(&output(policy.document.name(), &policy.document.digest, &lines))?,
        })?;
        Ok(Exit::Done)
    }
}

/// What `seawall policy show --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Output of seawall policy show")]
pub struct PolicyOutput {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    /// The policy's name, or its file if it has none.
    pub name: String,
    /// SHA-256 over everything that was read for it.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// The whole policy, as `seawall schema policy` describes it.
    pub policy: Value,
    /// Where each single value comes from: its path in the policy → `file:line`, or `default`.
    pub origins: BTreeMap<String, String>,
}

fn yaml(lines: &[Line]) -> String {
    let width = |line: &Line| unicode_width::UnicodeWidthStr::width(line.yaml.as_str());
    let column = lines.iter().map(width).filter(|width| *width <= MAX_COLUMN).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.yaml);
        if let Some(origin) = &line.origin {
            let gap = column.saturating_sub(width(line)).max(2);
            text.push_str(&" ".repeat(gap));
            text.push_str("# ");
            text.push_str(&tame(origin));
        }
        text.push('\n');
    }
    text
}

fn output(name: String, digest: &str, lines: &[Line]) -> PolicyOutput {
    let mut policy = Value::Object(serde_json::Map::new());
    let mut origins = BTreeMap::new();
    for line in lines {
        let Some(value) = &line.value else { continue };
        line.put(&mut policy, value);
        if let Some(origin) = &line.origin {
            origins.insert(line.path.to_string(), tame(origin).into_owned());
        }
    }
    PolicyOutput { format_version: 1, name, digest: digest.to_owned(), policy, origins }
}
