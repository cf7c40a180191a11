//! The command line: one file per command, words in, words out.

mod backup;
mod completions;
mod copying;
pub mod diagnostics;
mod diff;
mod emit;
pub mod examine;
pub mod exit;
mod expire;
mod explain;
pub mod fleet;
pub mod here;
mod key;
pub mod location;
mod log;
mod man;
pub mod moment;
mod notify;
mod plan;
mod policy;
mod record;
mod release;
mod repository;
mod restore;
mod reviewed;
mod run;
mod schema;
pub mod terminal;
mod validate;
mod wal;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, Parser, Subcommand};

use exit::{Exit, Trouble};
use terminal::{Colour, tame};

const EXAMPLES: &str = "\
Examples:
  seawall validate                       check every policy below `policies`
  seawall validate --format github       the same as annotations of a pull request
  seawall plan policies/a.yaml           what it will do, and whether it can keep what it promises
  seawall diff git:main:policies policies  what a change of policies means
  seawall run --due                      whatever is owed now, by the record
  seawall status                         what ran, what is owed, what is wrong
  seawall backup nightly                 take a backup now
  seawall expire --plan                  what the policy lets go, and why
  seawall list                           the backups in the stores, and how far each leads
  seawall verify                         is every object in the stores what was put there?
  seawall restore --to TIME --target DIR the cluster as it was at that moment
  seawall notify test                    do messages arrive?
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
    Backup(backup::Backup),
    Expire(expire::Expire),
    #[command(subcommand)]
    Wal(wal::Wal),
    List(repository::List),
    Show(repository::Show),
    Verify(repository::Verify),
    Restore(Box<restore::Restore>),
    Release(release::ReleaseCommand),
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
        // One of four codes and a line on standard output is all that Nagios understands.
        exit if !matches!(exit, Exit::Done | Exit::Check(_)) && answers_nagios() => record::unknown_check().into(),
        exit => exit.into(),
    }
}

/// This is a `seawall check`.
fn answers_nagios() -> bool {
    let mut words = std::env::args_os().skip(1);
    let mut first = words.next();
    while first.as_ref().is_some_and(|word| word.to_string_lossy().starts_with("--color")) {
        let takes_another = first.as_ref().is_some_and(|word| word == "--color");
        first = if takes_another { words.nth(1) } else { words.next() };
    }
    first.is_some_and(|word| word == "check")
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
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => return asked_or_wrong(&about_help(words, error)),
    };
    let done = match &arguments.command {
        Command::Validate(command) => command.run(arguments.color),
        Command::Plan(command) => command.run(arguments.color),
        Command::Diff(command) => command.run(arguments.color),
        Command::Run(command) => command.run(arguments.color),
        Command::Watch(command) => command.run(arguments.color),
        Command::Status(command) => command.run(arguments.color),
        Command::History(command) => command.run(arguments.color),
        Command::Checklist(command) => command.run(arguments.color),
        Command::Ack(command) => command.run(arguments.color),
        Command::Audit(command) => command.run(arguments.color),
        Command::Check(command) => command.run(arguments.color),
        Command::Metrics(command) => command.run(arguments.color),
        Command::Backup(command) => command.run(arguments.color),
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
        Command::Policy(command) => command.run(arguments.color),
        Command::Wal(command) => command.run(arguments.color),
        Command::Emit(command) => command.run(arguments.color),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    done.unwrap_or_else(|trouble| complain(&trouble))
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
        eprintln!("error: {}", lines.join("\n  "));
        if let Some(hint) = trouble.hint() {
            eprintln!("  help: {}", tame(hint));
        }
    }
    exit
}

/// The definitions of all commands, for completions and manual pages.
fn definitions() -> clap::Command {
    Arguments::command()
}
