//! The command line: one file per command, words in, words out.

mod apply;
mod archive;
mod backup;
mod bench;
mod completions;
mod confirm;
mod copy;
mod copying;
pub mod diagnostics;
mod diff;
mod drill;
mod emit;
pub mod examine;
pub mod exit;
mod expire;
mod explain;
mod export;
pub mod fleet;
mod folder;
mod guard;
pub mod here;
mod key;
pub mod location;
mod log;
mod man;
pub mod moment;
mod notify;
mod on_record;
mod plan;
mod policy;
mod promote;
mod record;
mod release;
mod report;
mod repository;
mod restore;
mod reviewed;
mod run;
mod schema;
mod serve;
pub mod terminal;
mod validate;
mod wal;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use exit::{Exit, Trouble};
use terminal::{Colour, tame};

const EXAMPLES: &str = "\
Examples:
  seawall validate                       check every policy below `policies`
  seawall validate --format github       the same as annotations of a pull request
  seawall plan policies/a.yaml           what it will do, and whether it can keep what it promises
  seawall diff git:main:policies policies  what a change of policies means
  seawall apply                          what databases keep, compress and refresh, as the policy says
  seawall run --due                      whatever is owed now, by the record
  seawall status                         what ran, what is owed, what is wrong
  seawall report -o report.html          does the promise hold, and what is the evidence?
  seawall backup nightly                 take a backup now
  seawall guard -- psql -f change.sql    protect the database, run it, and print what undoes it
  seawall copy                           second copies brought up to date
  seawall expire --plan                  what the policy lets go, and why
  seawall list                           the backups in the stores, and how far each leads
  seawall verify                         is every object in the stores what was put there?
  seawall restore --to TIME --target DIR the cluster as it was at that moment
  seawall promote                        a standby becomes the primary, guarded
  seawall drill weekly                   prove it: restore a copy, check it, time it, remove it
  seawall notify test                    do messages arrive?
  seawall export --table T -o T.parquet  rows of the live database, as CSV or Parquet
  seawall emit systemd                   the timers of this host
  seawall explain SW0101                 what a finding means and how to mend it
  seawall policy show policies/a.yaml    one policy in full, with the origin of each value
  seawall schema policy                  the JSON schema, for editors";

/// Proves that a PostgreSQL/TimescaleDB database can be recovered, from a policy file that people review.
#[derive(Debug, Parser)]
#[command(name = "seawall", version, styles = STYLES, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::table()))]
pub struct Arguments {
    /// When to use colours. They are never the only sign of anything.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Everywhere")]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::Validate),
    Plan(plan::PlanCommand),
    Diff(diff::Diff),
    Apply(apply::Apply),
    Explain(explain::Explain),
    #[command(subcommand)]
    Policy(policy::Policy),
    Run(Box<run::Run>),
    Watch(watch::Watch),
    Status(record::Status),
    History(record::History),
    Checklist(record::Checklist),
    Ack(record::Ack),
    #[command(subcommand)]
    Audit(record::Audit),
    Check(record::Check),
    Metrics(record::Metrics),
    Report(report::ReportCommand),
    Serve(serve::Serve),
    Backup(backup::Backup),
    Guard(Box<guard::Guard>),
    #[command(subcommand)]
    Bench(bench::Bench),
    Copy(copy::Copy),
    Expire(expire::Expire),
    Export(export::Export),
    #[command(subcommand)]
    Archive(archive::Archive),
    #[command(subcommand)]
    Wal(wal::Wal),
    List(repository::List),
    Show(repository::Show),
    Verify(repository::Verify),
    Restore(Box<restore::Restore>),
    Release(release::ReleaseCommand),
    Promote(promote::Promote),
    Drill(Box<drill::Drill>),
    #[command(subcommand)]
    Inventory(repository::InventoryCommand),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Notify(notify::Notify),
    #[command(subcommand)]
    Emit(emit::Emit),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The whole program.
pub fn main() -> ExitCode {
    // The message of a panic says where; this says whose fault it is.
    let exit = std::panic::catch_unwind(|| run(&std::env::args_os().collect::<Vec<_>>())).unwrap_or_else(|_| {
        eprintln!("seawall: this is a fault of seawall, not of your policy; please report it with the message above");
        Exit::Fault
    });
    // What PostgreSQL takes for "the log ends here" must not be said by mistake: it would begin a new timeline.
    match exit {
        Exit::Usage | Exit::Fault if answers_recovery() => Exit::Unfetched.into(),
        // 64 may be the guarded command's own.
        Exit::Usage if asked_for("guard") => Exit::NotRun.into(),
        // One of four codes and a line on standard output is all that Nagios understands.
        exit if !matches!(exit, Exit::Done | Exit::Check(_)) && asked_for("check") => record::unknown_check().into(),
        exit => exit.into(),
    }
}

/// This is that command, whatever is wrong with the rest of the line.
fn asked_for(command: &str) -> bool {
    let mut words = std::env::args_os().skip(1);
    let mut first = words.next();
    while first.as_ref().is_some_and(|word| word.to_string_lossy().starts_with("--color")) {
        let takes_another = first.as_ref().is_some_and(|word| word == "--color");
        first = if takes_another { words.nth(1) } else { words.next() };
    }
    first.is_some_and(|word| word == command)
}

/// This is a `restore_command`.
fn answers_recovery() -> bool {
    let words: Vec<OsString> = std::env::args_os().collect();
    words.windows(2).any(|two| two[0] == "wal" && two[1] == "fetch")
}

fn run(words: &[OsString]) -> Exit {
    if wal::is_marked(words) {
        return Exit::Done;
    }
    let arguments = match parsed(words) {
        Ok(arguments) => arguments,
        Err(error) => return asked_or_wrong(&about_help(words, error)),
    };
    let done = match &arguments.command {
        Command::Validate(command) => command.run(arguments.color),
        Command::Plan(command) => command.run(arguments.color),
        Command::Diff(command) => command.run(arguments.color),
        Command::Apply(command) => command.run(arguments.color),
        Command::Run(command) => command.run(arguments.color),
        Command::Watch(command) => command.run(arguments.color),
        Command::Status(command) => command.run(arguments.color),
        Command::History(command) => command.run(arguments.color),
        Command::Checklist(command) => command.run(arguments.color),
        Command::Ack(command) => command.run(arguments.color),
        Command::Audit(command) => command.run(arguments.color),
        Command::Check(command) => command.run(arguments.color),
        Command::Metrics(command) => command.run(arguments.color),
        Command::Report(command) => command.run(arguments.color),
        Command::Serve(command) => command.run(arguments.color),
        Command::Backup(command) => command.run(arguments.color),
        Command::Guard(command) => command.run(arguments.color),
        Command::Bench(command) => command.run(arguments.color),
        Command::Export(command) => command.run(arguments.color),
        Command::Archive(command) => command.run(arguments.color),
        Command::Copy(command) => command.run(arguments.color),
        Command::Expire(command) => command.run(arguments.color),
        Command::List(command) => command.run(arguments.color),
        Command::Show(command) => command.run(arguments.color),
        Command::Verify(command) => command.run(arguments.color),
        Command::Inventory(command) => command.run(arguments.color),
        Command::Key(command) => command.run(arguments.color),
        Command::Notify(command) => command.run(arguments.color),
        Command::Explain(command) => command.run(),
        Command::Restore(command) => command.run(arguments.color),
        Command::Release(command) => command.run(arguments.color),
        Command::Promote(command) => command.run(arguments.color),
        Command::Drill(command) => command.run(arguments.color),
        Command::Policy(command) => command.run(arguments.color),
        Command::Wal(command) => command.run(arguments.color),
        Command::Emit(command) => command.run(arguments.color),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    done.unwrap_or_else(|trouble| complain(&trouble))
}

/// With what clap cannot say: which words belong together.
fn parsed(words: &[OsString]) -> Result<Arguments, clap::Error> {
    let mut command = definitions();
    let said = command.try_get_matches_from_mut(words)?;
    if let Some((name, said)) = said.subcommand()
        && name == "restore"
        && let Some(restore) = command.find_subcommand_mut(name)
        && let Some(why) = restore::meaningless(restore, said)
    {
        return Err(restore.error(clap::error::ErrorKind::ArgumentConflict, why));
    }
    Arguments::from_arg_matches(&said).map_err(|error| error.format(&mut command))
}

/// `help --help`, which clap takes for a command: somebody asks for help.
fn about_help(words: &[OsString], error: clap::Error) -> clap::Error {
    let helps = words.iter().any(|word| word == "help");
    if !helps || error.kind() != clap::error::ErrorKind::InvalidSubcommand {
        return error;
    }
    let rest = words.iter().filter(|word| *word != "--help" && *word != "-h");
    Arguments::try_parse_from(rest).err().unwrap_or(error)
}

/// What clap has to say: help and version are answers, everything else is a mistake on the command line.
fn asked_or_wrong(error: &clap::Error) -> Exit {
    let printed = error.print();
    match (printed, error.exit_code()) {
        (Err(error), _) => Trouble::Output(error).exit(),
        (Ok(()), 0) => Exit::Done,
        _ => Exit::Usage,
    }
}

fn complain(trouble: &Trouble) -> Exit {
    let exit = trouble.exit();
    if exit != Exit::ClosedPipe {
        // Our own lists begin their lines with two spaces.
        let lines: Vec<String> = trouble.to_string().split("\n  ").map(|line| tame(line).into_owned()).collect();
        terminal::complain(&lines.join("\n  "), trouble.hint().unwrap_or_default());
    }
    exit
}

/// The definitions of all commands, for completions and manual pages.
fn definitions() -> clap::Command {
    Arguments::command()
}
