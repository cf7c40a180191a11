//! `seawall guard`: protects a database, runs a command that changes it, and says what undoes it.

mod text;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use clap::{Args, ValueEnum};

use super::copying::watched;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::terminal::{Colour, complain, print, tame};
use crate::execute::guard::{self, Around, GuardFault, Journal, NoCommand, Plan, Protection, Wanted};
use crate::execute::run::Ground;
use crate::inventory::OwnKeep;
use crate::pipeline::backup::Progress;
use crate::plan::guard as choice;
use crate::policy::model::Policy;
use crate::policy::sql_name;
use crate::site::Site;
use crate::units::{Duration, Name, Period};
use crate::world::signals::{self, Relay};
use crate::world::{clock, git, host};

/// Protect a database, run a command that changes it, and print the line that undoes it.
///
/// A restore point protects where a backup is in a store and the log leads from it to now, and will for as long as `--keep` says; otherwise a backup
/// is taken. Nothing of it goes to standard output, which is the command's own, as are its input, its signals and its exit code. 125, 126 and 127
/// mean that the command was not run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall guard -- psql -f change.sql                        whatever protects best, then the command
  seawall guard --label release-42 --keep 30d -- flyway migrate
  seawall guard nightly --with backup -- ./migrate.sh        a new backup by this job, in any case
  seawall guard --table public.orders -- psql -f orders.sql  what undoes it brings back this table alone
  seawall guard --plan -- alembic upgrade head               what would protect it, and why; nothing is run")]
pub struct Guard {
    /// The backup of the policy that is taken, or that a restore point is reached from [default: the only one that fits].
    job: Option<Name>,
    /// What protects it.
    #[arg(long, value_name = "WHAT", default_value = "auto")]
    with: With,
    /// A word for people, kept with the backup or the hold [default: the command's name and the time].
    #[arg(long, value_name = "TEXT", value_parser = super::backup::label)]
    label: Option<String>,
    /// For so long (`7d`) or until then (`2027-03-31`) it can be undone [default: 7d].
    #[arg(long, value_name = "TIME", value_parser = super::backup::keep)]
    keep: Option<OwnKeep>,
    /// How long a restore point may take to come to the store.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait: Duration,
    /// Only this table is to come back, `schema.table` as in SQL (may be given again). Its rows do; its definition stays as the command leaves it.
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
    /// The database that the command changes.
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
    /// Show what would protect the command, and why. Touch nothing, run nothing.
    #[arg(long)]
    plan: bool,
    /// Write what came of it into this file, as JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    report: Option<PathBuf>,
    #[command(flatten)]
    here: Here,
    /// The command, with its arguments. No shell reads it.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum With {
    /// A restore point where that is enough, a backup otherwise.
    Auto,
    Backup,
    RestorePoint,
}

impl From<With> for choice::With {
    fn from(with: With) -> Self {
        match with {
            With::Auto => choice::With::Auto,
            With::Backup => choice::With::Backup,
            With::RestorePoint => choice::With::RestorePoint,
        }
    }
}

/// Somebody who is asked to end twice ends at once.
const HURRIED: u8 = 125;
const KEEP: Period = Period::from_days(7);

impl From<GuardFault> for Trouble {
    fn from(fault: GuardFault) -> Self {
        Trouble::failed(fault.message, fault.hint)
    }
}

impl Guard {
    /// Whatever is wrong before the command begins ends with one of three codes, and says that it was not run.
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        if let Some(why) = self.command.first().and_then(|program| guard::find(program).err()) {
            return Ok(self.no_command(why, ""));
        }
        match self.guarded(colour) {
            Ok(exit) => Ok(exit),
            Err(trouble) => {
                let lines: Vec<String> = trouble.to_string().split("\n  ").map(|line| tame(line).into_owned()).collect();
                let not_run = if self.plan { String::new() } else { format!("; `{}` was NOT run", tame(&self.program())) };
                complain(&format!("{}{not_run}", lines.join("\n  ")), trouble.hint().unwrap_or_default());
                Ok(Exit::NotRun)
            }
        }
    }

    fn guarded(&self, colour: Colour) -> Result<Exit, Trouble> {
        let (policy, files) = self.here.read_with_files(colour)?;
        let site = self.here.site(&policy).at_commit(git::commit_of(&files));
        log::begin(LogFormat::Human);
        let plan = guard::plan(&site, self.wanted()?, clock::now())?;
        if self.plan {
            print(&text::plan(&plan, &policy, &self.around(&site)?))?;
            return Ok(Exit::Done);
        }
        text::say(&text::chosen(&plan));
        let relay = signals::relay(HURRIED).map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let catalog = super::record::open(&site);
        if let Some(catalog) = &catalog {
            super::record::settle(&[&site], catalog);
        }
        let mut journal = Journal::begin(&site, catalog.as_ref(), &plan, self.report.clone());
        let progress = Progress::default();
        let ground = Ground { site: &site, catalog: catalog.as_ref(), progress: &progress, stop: &relay.asked };
        let protection = watched(&progress, || guard::protect(&ground, &plan));
        let begun = protection.and_then(|protection| match self.on_record(&site, &plan, &protection, &mut journal) {
            Ok(undo) => Ok((protection, undo)),
            Err(fault) => {
                journal.unprotected(&protection);
                Err(fault)
            }
        });
        match begun {
            Ok((protection, undo)) => {
                text::say(&text::protected(&protection, &undo));
                Ok(self.carry_out(&protection, &undo, &relay, journal))
            }
            Err(fault) => {
                journal.refused(&fault);
                Err(fault.into())
            }
        }
    }

    /// Before the command begins the way back is written down.
    fn on_record(
        &self,
        site: &Site<'_>,
        plan: &Plan<'_>,
        protection: &Protection,
        journal: &mut Journal<'_>,
    ) -> Result<Vec<String>, GuardFault> {
        let undo = guard::lines(&self.around_or_fault(site)?, &protection.way, &plan.wanted.tables, self.database.as_deref());
        journal.protected(protection, &undo)?;
        Ok(undo)
    }

    /// From here on nothing of ours decides how it ends.
    fn carry_out(&self, protection: &Protection, undo: &[String], relay: &Relay, mut journal: Journal<'_>) -> Exit {
        let mut about = vec![
            ("LABEL", journal.report.label.clone()),
            ("STORE", protection.store.to_string()),
            ("BACKUP", protection.backup.to_string()),
            ("UNDO", undo.join("\n")),
        ];
        about.extend(protection.point.iter().map(|point| ("RESTORE_POINT", point.name.to_string())));
        let began = std::time::Instant::now();
        match guard::run_command(&self.command, &about, relay) {
            Ok(status) => {
                let code = guard::code(status);
                text::say(&text::ended(&self.program(), status, began.elapsed(), protection, undo));
                journal.ended(code);
                Exit::Command(code)
            }
            Err((why, error)) => {
                let said = format!("`{}` cannot be run: {error}", self.program());
                journal.unprotected(protection);
                journal.refused(&GuardFault::new(said, ""));
                self.no_command(why, &format!(": {error}"))
            }
        }
    }

    fn no_command(&self, why: NoCommand, said: &str) -> Exit {
        let program = tame(&self.program()).into_owned();
        let (exit, what) = match why {
            NoCommand::NotFound => (Exit::NotFound, "is not there, so nothing was run"),
            NoCommand::NotExecutable => (Exit::NotExecutable, "is no program that can be run, so nothing was"),
        };
        text::say(&format!("error: `{program}` {what}{said}\n"));
        exit
    }

    /// Without its folder, and without its arguments, which may hold secrets.
    fn program(&self) -> String {
        let first = self.command.first().map(PathBuf::from).unwrap_or_default();
        first.file_name().map_or_else(|| first.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    fn wanted(&self) -> Result<Wanted, Trouble> {
        for table in &self.table {
            if let Some((message, hint)) = sql_name::fault(table, 2) {
                return Err(Trouble::usage(format!("`--table`: {}", tame(&message)), hint));
            }
        }
        let program = self.program();
        let now = clock::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        Ok(Wanted {
            job: self.job.clone(),
            with: self.with.into(),
            label: self.label.clone().unwrap_or_else(|| format!("{} {now}", tame(&program))),
            program,
            keep: self.keep.unwrap_or(OwnKeep::For(KEEP)),
            patience: StdDuration::from_secs(self.wait.as_secs()),
            tables: self.table.clone(),
            database: self.database.clone(),
        })
    }

    fn around_or_fault(&self, site: &Site<'_>) -> Result<Around, GuardFault> {
        self.around(site).map_err(|trouble| GuardFault::new(trouble.to_string(), ""))
    }

    /// The line is read from another folder, perhaps by another account.
    fn around(&self, site: &Site<'_>) -> Result<Around, Trouble> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Trouble::from);
        let state = self.here.state.clone().or_else(host::given_state_directory);
        Ok(Around {
            policy: absolute(&self.here.path())?,
            state: state.as_deref().map(absolute).transpose()?,
            host: self.here.host.clone(),
            needs_identity: guard::needs_identity(site.policy),
        })
    }
}

/// What a plan would print as the way back, with `ID` for a backup that is still to be taken.
fn template(plan: &Plan<'_>, policy: &Policy, around: &Around) -> Vec<String> {
    guard::foreseen(plan, policy)
        .map(|way| guard::lines(around, &way, &plan.wanted.tables, plan.wanted.database.as_deref()))
        .unwrap_or_default()
}
