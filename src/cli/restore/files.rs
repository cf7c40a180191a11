//! Files, below another root or in their places.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::thaw::{self, Woken};
use super::{Restore, progress};
use crate::cli::confirm::confirm;
use crate::cli::copying::size;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::repository::Format;
use crate::cli::terminal::{complain, print, tame};
use crate::cli::validate;
use crate::execute::files::restore::{self, Plan, RestoredFiles, Wanted};
use crate::execute::hook::around_restore_says;
use crate::plan::words::{counted, joined, quoted};
use crate::site::Site;
use crate::world::{clock, signals};

/// How many files that differ are named in the plan.
const NAMED: usize = 10;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FilesWords {
    /// The newest copy of a `files` job, or that of `--backup` or `--job`: all of it, or what fits these patterns (as in .gitignore).
    #[arg(
        long,
        value_name = "PATTERN",
        num_args = 0..,
        conflicts_with_all = ["into_database", "target", "moment", "exclusive", "timeline", "at_target", "tablespace", "delta", "owner",
            "config_to", "as_standby", "set", "start", "start_with", "extensions_later", "export_to", "table"],
        requires = "to_root"
    )]
    pub(super) files: Option<Vec<String>>,
    /// Below this directory: `/etc/hosts` becomes `DIR/etc/hosts`.
    #[arg(long, value_name = "DIR", requires = "files")]
    to_root: Option<PathBuf>,
    /// With `--to-root /`: where they were, on this host.
    #[arg(long, requires = "files")]
    in_place: bool,
    /// Put what is in the backup in the place of files that differ; otherwise nothing is restored where some do.
    #[arg(long, requires = "files")]
    overwrite: bool,
    /// Owners by their numbers, whatever they are called here.
    #[arg(long, requires = "files")]
    numeric_owner: bool,
}

pub(super) fn run(said: &Restore, site: &Site<'_>, patterns: &[String]) -> Result<Exit, Trouble> {
    let wanted = wanted(said, patterns)?;
    let plan = match thaw::until_awake(&said.way, || restore::plan(site, wanted.clone(), clock::now()))? {
        Woken::Now(plan) => plan,
        Woken::Ended(exit) => return Ok(exit),
    };
    let hooks = around_restore_says(site.policy).filter(|_| plan.takes_places());
    let shown = shown(&plan, hooks);
    match said.way.format {
        Format::Human => print(&shown)?,
        Format::Json => eprint!("{shown}"),
    }
    if !said.way.yes {
        confirm("Say `--yes` when the plan above is what you want.")?;
    }
    let ending = signals::ending()?;
    let watch = progress::Watch::start(plan.census.write, said.way.format == Format::Json, ending.clone());
    let restored = restore::carry_out(site, &plan, watch.progress());
    watch.end();
    let restored = match restored {
        Err(fault) if ending.code().is_some() => {
            complain(&tame(&fault.message), "What is restored so far is whole; run it again, and it goes on.");
            return Ok(if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted });
        }
        other => other?,
    };
    print(&match said.way.format {
        Format::Human => told(&restored),
        Format::Json => validate::json(&restored)?,
    })?;
    if restored.left > 0 {
        let message = format!("{} not restored: something else came there meanwhile", counted(restored.left, "file"));
        return Err(Trouble::failed(message, "Look at them, and run it again with `--overwrite` if the backup's are wanted."));
    }
    Ok(Exit::Done)
}

fn wanted(said: &Restore, patterns: &[String]) -> Result<Wanted, Trouble> {
    let words = &said.files;
    let root = words.to_root.as_ref().ok_or_else(|| Trouble::usage("`--files` needs `--to-root DIR`", "Below which directory?"))?;
    let root = std::path::absolute(root)?;
    if words.in_place && root != std::path::Path::new("/") {
        return Err(Trouble::usage(
            "`--in-place` is about where the files were, and `--to-root` names another place",
            "Leave one of them away.",
        ));
    }
    Ok(Wanted {
        backup: said.goal.backup.clone().filter(|id| id.as_str() != "latest"),
        job: said.dump.job.clone(),
        store: said.goal.store.clone(),
        patterns: patterns.to_vec(),
        root,
        overwrite: words.overwrite,
        in_place: words.in_place,
        numeric: words.numeric_owner,
        workers: said.way.workers.map_or_else(|| crate::world::parallel::processors().min(8), usize::from),
        identity: said.way.identity.clone(),
    })
}

/// `hooks` says what the policy has to run around it.
fn shown(plan: &Plan, hooks: Option<String>) -> String {
    let (descriptor, census, wanted) = (plan.descriptor(), &plan.census, &plan.wanted);
    let mut out = String::from("Restore files\n");
    let mut row = |what: &str, value: String| writeln!(out, "  {what:<12}{}", tame(&value)).expect("a string takes all");
    row("backup", format!("{} of `{}`, taken {}, from store `{}`", descriptor.id, descriptor.job, descriptor.started, plan.store_name()));
    if !wanted.patterns.is_empty() {
        row("only", joined(wanted.patterns.iter().map(quoted)));
    }
    let (files, folders, links) = (counted(census.files, "file"), counted(census.directories, "folder"), counted(census.links, "link"));
    row("restores", format!("{files} with {}, {folders}, {links}", size(census.bytes)));
    row("below", wanted.root.display().to_string());
    row("fetches", format!("{} of {}", size(census.fetch), size(census.stored)));
    row("writes", size(census.write));
    if census.same > 0 {
        row("there", format!("{} already as in the backup", counted(census.same, "file")));
    }
    if census.differing > 0 {
        let fate = if wanted.overwrite { "and are OVERWRITTEN" } else { "so nothing will be restored without `--overwrite`" };
        row("DIFFERS", format!("{} there and not as in the backup, {fate}", counted(census.differing, "file")));
        census.named.iter().take(NAMED).for_each(|path| row("", path.clone()));
    }
    if let Some(hooks) = hooks {
        row("hooks", hooks);
    }
    for remark in &plan.remarks {
        row("note", remark.clone());
    }
    out
}

fn told(restored: &RestoredFiles) -> String {
    let mut out = String::new();
    let mut row = |what: &str, value: String| writeln!(out, "{what:<12}{}", tame(&value)).expect("a string takes all");
    let (files, folders, links) =
        (counted(restored.files, "file"), counted(restored.directories, "folder"), counted(restored.links, "link"));
    row("restored", format!("{files}, {folders}, {links} of {} below {}", restored.backup, restored.root.display()));
    if restored.same > 0 {
        row("there", format!("{} already as in the backup", counted(restored.same, "file")));
    }
    if restored.not_owned > 0 {
        row(
            "owners",
            format!(
                "{} to whoever restored them",
                if restored.not_owned == 1 { "1 belongs".into() } else { format!("{} belong", restored.not_owned) }
            ),
        );
    }
    if restored.without_attributes > 0 {
        row("attributes", format!("{} could not be set here", restored.without_attributes));
    }
    row("took", format!("{:.1} s for {}", restored.seconds, size(restored.bytes)));
    out
}
