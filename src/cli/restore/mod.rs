//! `seawall restore`: a whole cluster, as it was at a moment.

mod dump;
mod files;
mod loading;
mod meant;
pub(super) mod progress;
mod table;
mod text;
mod thaw;
mod tier;
mod words;

pub(super) use meant::meaningless;
pub(super) use progress::Line;
pub(super) use text::seconds;
pub(super) use words::time;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::confirm::confirm;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::Format;
use super::terminal::{Colour, complain, print};
use crate::execute::restore::{self, Action, Asleep, Following, Report, Request, RestoreFault, RestorePlan, Server, State};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::{BackupId, Haste, Instant, Lsn, Name};
use crate::world::signals::{self, Ending};
use crate::world::{clock, host};

/// Bring a cluster back as it was at a moment: files from a backup, then the write-ahead log up to the target. Or a dump, into a database. Or
/// one table, out of either, or the files of a `files` job.
///
/// Chooses the base backup itself and says why. Shows what it will do and asks. Never falls back to another moment than the one asked
/// for. What is restored is quarantined until `seawall release`: it archives nothing, and extensions' background jobs do not run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall restore --target /var/lib/postgresql/16/main                                the newest state, into an empty directory
  seawall restore --to '2026-11-21 10:14:59+01:00' --target /srv/rescue --start       just before the accident, and start it
  seawall restore --to-name before-migration --target /srv/rescue --yes
  seawall restore --delta --target /var/lib/postgresql/16/main                        fetch only what differs from what is there
  seawall restore --as-standby --primary-conninfo service=db-1 --slot db_2 --target DIR  a new standby of that server
  seawall restore --immediate --backup 20261121T020000Z-7f3c0011 --target DIR         as soon as that backup is consistent
  seawall restore --into-database shop_back --create --jobs 2                         the newest dump, into a new database
  seawall restore --tier critical --into-database shop --create                       the same, and what is needed first is usable first
  seawall restore --tier critical --into-database shop --create --to TIME             out of a physical backup, as of any moment
  seawall restore --files --to-root /srv/rescue                                       the newest copy of files, below another root
  seawall restore --files /etc/postgresql '*.crt' --to-root / --in-place --overwrite  some of them, where they were
  seawall restore --into-database shop_back --create --backup ID --no-owner           that dump, as whoever restores it
  seawall restore --table public.orders --to '2026-11-21 10:14:59+01:00'              one table, into a new schema beside it
  seawall restore --table public.orders --to TIME --where 'id = 17' --merge           some rows of it, after the difference was shown
  seawall restore --table public.orders --to TIME --replace                           its rows become those of then
  seawall restore --table public.orders --csv orders.csv                              as CSV")]
pub struct Restore {
    #[command(flatten)]
    goal: Goal,
    #[command(flatten)]
    place: PlaceWords,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    table: table::TableWords,
    #[command(flatten)]
    dump: dump::Words,
    #[command(flatten)]
    files: files::FilesWords,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "To which moment")]
struct Goal {
    /// A time, with its zone (`2026-11-21T10:14:59+01:00`); without one it is read in the policy's zone.
    #[arg(long, value_name = "TIME", group = "moment")]
    to: Option<String>,
    /// A position in the write-ahead log.
    #[arg(long, value_name = "LSN", group = "moment")]
    to_lsn: Option<Lsn>,
    /// A transaction.
    #[arg(long, value_name = "XID", group = "moment")]
    to_xid: Option<u32>,
    /// A restore point (`pg_create_restore_point`).
    #[arg(long, value_name = "NAME", group = "moment")]
    to_name: Option<String>,
    /// As soon as the backup is consistent.
    #[arg(long, group = "moment")]
    immediate: bool,
    /// To the end of the write-ahead log [default].
    #[arg(long, group = "moment")]
    latest: bool,
    /// Stop just before the target instead of just after it.
    #[arg(long)]
    exclusive: bool,
    /// The timeline: `latest`, `current` (the backup's own), or a number.
    #[arg(long, value_name = "TIMELINE", default_value = "latest", value_parser = words::timeline)]
    timeline: restore::TimelineChoice,
    /// This base backup, and no other.
    #[arg(long, value_name = "ID")]
    backup: Option<BackupId>,
    /// From this store [default: the first of the policy's that leads there].
    #[arg(long, value_name = "NAME")]
    store: Option<Name>,
    /// What the server does at the target.
    #[arg(long, value_name = "WHAT", default_value = "promote")]
    at_target: AtTarget,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "To which place")]
struct PlaceWords {
    /// The data directory: empty, or with `--delta` the one that shall become so again.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["into_database", "export_to", "table", "files"])]
    target: Option<PathBuf>,
    /// A tablespace's new place, by its number or its old place.
    #[arg(long, value_name = "OID=DIR|OLD=NEW", value_parser = words::tablespace)]
    tablespace: Vec<restore::Remapped>,
    /// Overwrite what differs in a directory that is not empty, and remove what the backup does not have.
    #[arg(long)]
    delta: bool,
    /// The account that all of it will belong to, when root restores [default: the directory's owner, else postgres].
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Put configuration files that lay outside the data directory below this one.
    #[arg(long, value_name = "DIR")]
    config_to: Option<PathBuf>,
    /// As a standby.
    #[arg(long, conflicts_with_all = ["to", "to_lsn", "to_xid", "to_name", "immediate", "exclusive", "into_database"])]
    as_standby: bool,
    /// The primary that the standby streams from, without a password: `service=NAME`, or with `passfile=FILE` [default: none, it follows the archive].
    #[arg(long, value_name = "CONNINFO", requires = "as_standby")]
    primary_conninfo: Option<String>,
    /// A physical replication slot for it, made on the primary.
    #[arg(long, value_name = "NAME", requires = "primary_conninfo", value_parser = words::slot)]
    slot: Option<String>,
    /// A setting for the restored server; can be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = words::setting)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
struct Way {
    /// The recovery identity [default: the policy's `encryption.age.identity`].
    #[arg(long, short = 'i', value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
    /// Start the server and follow recovery to its end.
    #[arg(long)]
    start: bool,
    /// The same, with the programs in this directory.
    #[arg(long, value_name = "DIR")]
    start_with: Option<PathBuf>,
    /// Also where this machine lacks extensions of the original: somebody installs them before the server is started.
    #[arg(long, conflicts_with_all = ["start", "start_with"])]
    extensions_later: bool,
    /// Request what lies in an archive class, to be readable for so many days, and end with 75; run it again when it is there.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=365))]
    thaw: Option<u32>,
    /// How fast it is wanted; the faster, the dearer. Which speeds there are depends on the class.
    #[arg(long, value_name = "SPEED", default_value = "standard", requires = "thaw")]
    thaw_speed: Speed,
    /// Wait until it can be read, then go on.
    #[arg(long, requires = "yes")]
    wait: bool,
    /// How many files are worked on at once [default: as many as there are processors, at most 8].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// How the result is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

impl Way {
    fn starts(&self) -> bool {
        self.start || self.start_with.is_some()
    }

    fn show(&self, plan: &RestorePlan) -> Result<(), Trouble> {
        let shown = text::plan(plan);
        match self.format {
            Format::Human => print(&shown)?,
            Format::Json => eprint!("{shown}"),
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Speed {
    /// Minutes from S3's GLACIER, an hour from Azure's archive tier, not from DEEP_ARCHIVE.
    Expedited,
    /// Hours.
    Standard,
    /// Half a day from S3's GLACIER, two days from DEEP_ARCHIVE.
    Bulk,
}

impl From<Speed> for Haste {
    fn from(speed: Speed) -> Haste {
        match speed {
            Speed::Expedited => Haste::Expedited,
            Speed::Standard => Haste::Standard,
            Speed::Bulk => Haste::Bulk,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AtTarget {
    /// Becomes a server that can be written to.
    Promote,
    /// Waits, to be looked at.
    Pause,
    Shutdown,
}

impl From<RestoreFault> for Trouble {
    fn from(fault: RestoreFault) -> Self {
        Trouble::failed(fault.message, fault.hint)
    }
}

impl Restore {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        if let Some(into) = &self.dump.into_database {
            return dump::run(self, &site, into);
        }
        if let Some(folder) = &self.dump.export_to {
            return dump::export(self, &site, folder);
        }
        if let Some(patterns) = &self.files.files {
            return files::run(self, &site, patterns);
        }
        if !self.table.table.is_empty() {
            return table::run(self, &site);
        }
        let request = self.request(&policy)?;
        let mut plan = restore::plan(&site, request.clone(), clock::now())?;
        while !plan.archived.is_readable() {
            self.way.show(&plan)?;
            match thaw::ask(&Asleep::from(&plan), &self.way)? {
                Some(exit) => return Ok(exit),
                // It was looked at hours ago, and another backup may be the best one now.
                None => plan = restore::plan(&site, request.clone(), clock::now())?,
            }
        }
        let mut server = self.server(&plan)?;
        if let Some(exit) = self.agree(&plan)? {
            return Ok(exit);
        }
        let started = clock::now();
        let report = match self.bring_back(&site, &plan, server.as_mut(), started) {
            Ok(Ok(report)) => report,
            Ok(Err(exit)) => return Ok(exit),
            Err(trouble) => {
                Report::note_failed(&site, &plan, started, &trouble.to_string());
                return Err(trouble);
            }
        };
        let told = print(&match self.way.format {
            Format::Human => text::report(&plan, &report),
            Format::Json => report.to_json(),
        });
        // Last: in an emergency nobody waits for a catalog that is away as well. Also where nobody reads what is said.
        report.note(&site, &plan);
        told?;
        Ok(Exit::Done)
    }

    fn bring_back(
        &self,
        site: &Site<'_>,
        plan: &RestorePlan,
        server: Option<&mut Server<'_>>,
        started: Instant,
    ) -> Result<Result<Report, Exit>, Trouble> {
        // Until the server is started, an interrupted restore leaves what cannot be started.
        let ending = signals::ending()?;
        let mut report = match self.copy(site, plan, &ending) {
            Err(trouble) if ending.code().is_some() => {
                complain(
                    &trouble.to_string(),
                    "Nothing in the directory can be started; the same call with `--delta`, by its owner, goes on.",
                );
                return Ok(Err(stopped(site, plan, started, &ending)));
            }
            other => other?,
        };
        if let Some(server) = server {
            // Its files are whole: from here on it is the server's own affair whether this goes on.
            self.keep(site, &report);
            match self.recover(plan, server, &mut report, &ending) {
                Err(trouble) if ending.code().is_some() => {
                    complain(&trouble.to_string(), trouble.hint().unwrap_or_default());
                    return Ok(Err(stopped(site, plan, started, &ending)));
                }
                other => other?,
            }
        }
        self.keep(site, &report);
        Ok(Ok(report))
    }

    fn request(&self, policy: &Policy) -> Result<Request, Trouble> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).map_err(|error| Trouble::usage(format!("`{}`: {error}", path.display()), "Give an absolute path."))
        };
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Request {
            target: self.goal.target(policy)?,
            exclusive: self.goal.exclusive,
            timeline: self.goal.timeline,
            backup: self.goal.backup.clone().filter(|id| id.as_str() != "latest"),
            store: self.goal.store.clone(),
            directory: absolute(self.place.target.as_ref().unwrap_or(&PathBuf::new()))?,
            tablespaces: self.place.tablespace.clone(),
            delta: self.place.delta,
            standby: self
                .place
                .as_standby
                .then(|| restore::Standby { primary_conninfo: self.place.primary_conninfo.clone(), slot: self.place.slot.clone() }),
            identity: self.way.identity.as_ref().map(absolute).transpose()?,
            owner: self.place.owner.clone(),
            workers: self.way.workers.map_or_else(|| processors.min(8), usize::from),
            action: match self.goal.at_target {
                AtTarget::Promote => Action::Promote,
                AtTarget::Pause => Action::Pause,
                AtTarget::Shutdown => Action::Shutdown,
            },
            config_to: self.place.config_to.as_ref().map(absolute).transpose()?,
            set: self.place.set.clone(),
            start: self.way.starts(),
            throw_away: None,
            fetch: restore::FetchCommand {
                program: std::env::current_exe()?,
                policy: absolute(&self.here.path())?,
                // The server's environment is another one. Where nobody said, its own account finds its own.
                state: self.here.state.clone().or_else(host::given_state_directory).as_ref().map(absolute).transpose()?,
            },
        })
    }

    fn server<'p>(&self, plan: &'p RestorePlan) -> Result<Option<Server<'p>>, Trouble> {
        if !self.way.starts() && !self.way.extensions_later {
            restore::must_have_extensions(plan)?;
        }
        Ok(self.way.starts().then(|| Server::prepare(plan, self.way.start_with.as_deref())).transpose()?)
    }

    /// Shows the plan and asks. Something else than "go on" ends the run.
    fn agree(&self, plan: &RestorePlan) -> Result<Option<Exit>, Trouble> {
        self.way.show(plan)?;
        if self.way.yes {
            return Ok(None);
        }
        confirm("Say `--yes` when the plan above is what you want.").map(|()| None)
    }

    fn copy(&self, site: &Site<'_>, plan: &RestorePlan, ending: &Ending) -> Result<Report, Trouble> {
        let watch = progress::Watch::start(plan.chosen.descriptor.size, self.way.format == Format::Json, ending.clone());
        let result = restore::carry_out(site, plan, watch.progress());
        watch.end();
        Ok(result?)
    }

    fn recover(&self, plan: &RestorePlan, server: &mut Server<'_>, report: &mut Report, ending: &Ending) -> Result<(), Trouble> {
        let mut line = progress::Line::new(self.way.format == Format::Json);
        server.start()?;
        let recovered = server.follow(&mut |following: &Following| {
            line.say(&text::following(plan, following));
            ending.code().is_none()
        });
        line.end();
        let recovered = recovered?;
        report.seconds.consistent = recovered.consistent;
        report.seconds.replay = Some(recovered.replay);
        report.seconds.total += recovered.replay;
        report.seconds.ready = matches!(recovered.reached.state, State::Promoted | State::Standby).then_some(report.seconds.total);
        report.compared = restore::compare(plan, &recovered.reached, &ending.asked);
        report.reached = Some(recovered.reached);
        report.ended = clock::now();
        Ok(())
    }

    fn keep(&self, site: &Site<'_>, report: &Report) {
        if let Err(fault) = report.keep(&site.policy_state()) {
            eprintln!("warning: {fault}");
        }
    }
}

fn stopped(site: &Site<'_>, plan: &RestorePlan, started: Instant, ending: &Ending) -> Exit {
    Report::note_stopped(site, plan, started, "it was asked to end");
    if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted }
}
