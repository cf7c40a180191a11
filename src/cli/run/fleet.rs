//! What is owed by all policies of a folder, in one process.
//!
//! One timer starts it, and a timer does not start again what still runs. So a long backup of one policy must not keep the others waiting: while
//! something runs the folder is looked at again, and what has become owed meanwhile begins as soon as there is a place for it. It ends when
//! nothing runs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::output::{Of, json};
use super::queue::{Queue, Waits};
use super::{Run, exit, next_of, note_unreadable, one_after_the_other, tell};
use crate::catalog::{Catalog, JobRecord};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::folder::{self, Catalogs, Member, Read};
use crate::cli::here::Here;
use crate::cli::record;
use crate::cli::repository::Format;
use crate::cli::terminal::{Colour, print, tame};
use crate::cli::watch::last_good;
use crate::emit;
use crate::execute::run::{self, Ended, Ground, Job, Ran, Why, Work};
use crate::pipeline::backup::Progress;
use crate::plan::minute;
use crate::plan::words::counted;
use crate::policy::model::{Timed, TimedKind};
use crate::site::Site;
use crate::units::Instant;
use crate::world::signals::{self, Ending};
use crate::world::{clock, git, parallel};

/// What did not go well is left alone for so long, whatever the record says of it: there may be none.
const REST: Duration = Duration::from_secs(300);
/// How soon it is seen that somebody wants this to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// A policy with something to do.
struct Task {
    here: Here,
    file: String,
    since: Instant,
    server: String,
    errand: Errand,
}

enum Errand {
    Jobs {
        read: Read,
        catalog: Option<Arc<Catalog>>,
        /// Their paths, in the order in which they run, and since when they are owed.
        jobs: Vec<(String, Instant)>,
    },
    /// It cannot be read: what is wrong, and what to do.
    Broken((String, String)),
}

impl Waits for Task {
    fn server(&self) -> &str {
        &self.server
    }

    fn file(&self) -> &str {
        &self.file
    }

    fn since(&self) -> Instant {
        self.since
    }
}

/// A policy that can be used, and where it is.
type Sound = (Here, Read);
/// Those that share a catalog; none where it cannot be opened.
type Group<'s> = (Option<Arc<Catalog>>, Vec<&'s Sound>);

/// What came of one policy.
#[derive(Debug, Default)]
struct Done {
    policy: Option<String>,
    failed: Option<(String, String)>,
    ran: Vec<Ran>,
    /// A fault of this program.
    panicked: bool,
}

/// The folder by one look.
#[derive(Default)]
struct Looked {
    tasks: Vec<Task>,
    /// How many policies there are for this host.
    policies: usize,
    /// The next thing that will be owed: when, by whom, and what.
    next: Option<(Instant, String, String)>,
}

pub(super) fn run(command: &Run, folder: &Path, colour: Colour) -> Result<Exit, Trouble> {
    let mut fleet = Fleet {
        command,
        folder,
        colour,
        catalogs: Catalogs::default(),
        faults: BTreeSet::new(),
        told: BTreeSet::new(),
        resting: BTreeMap::new(),
    };
    let first = fleet.look();
    let mut ending = Ending::default();
    let mut all: BTreeMap<String, Done> = BTreeMap::new();
    if first.tasks.is_empty() {
        if command.format == Format::Human {
            print(&nothing(&first))?;
        }
    } else {
        ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        fleet.work(first.tasks, &ending, &mut all);
    }
    if command.format == Format::Json {
        print(&output(folder, &fleet.faults, &all)?)?;
    }
    let worst = exit(all.values().flat_map(|done| &done.ran), &ending);
    Ok(match worst {
        Exit::Terminated | Exit::Interrupted => worst,
        _ if all.values().any(|done| done.panicked) => Exit::Fault,
        _ if !fleet.faults.is_empty() || all.values().any(|done| done.failed.is_some()) => Exit::Failed,
        _ => worst,
    })
}

fn output(folder: &Path, faults: &BTreeSet<(String, String)>, all: &BTreeMap<String, Done>) -> Result<String, Trouble> {
    fn said(failed: &(String, String)) -> (&str, &str) {
        (failed.0.as_str(), failed.1.as_str())
    }
    let place = folder.to_string_lossy();
    let of_folder = faults.iter().map(|fault| Of { policy: None, file: place.to_string(), failed: Some(said(fault)), ran: Vec::new() });
    let of_policies = all.iter().map(|(file, done)| Of {
        policy: done.policy.as_deref(),
        file: file.clone(),
        failed: done.failed.as_ref().map(said),
        ran: done.ran.iter().collect(),
    });
    json(&of_folder.chain(of_policies).collect::<Vec<_>>())
}

fn nothing(looked: &Looked) -> String {
    let next = looked.next.as_ref().map(|(at, policy, job)| format!("; next is `{job}` of `{policy}` at {}", minute(*at)));
    format!("nothing is owed by {}{}\n", counted_policies(looked.policies), next.unwrap_or_default())
}

fn counted_policies(count: usize) -> String {
    if count == 1 { counted(count, "policy") } else { format!("{count} policies") }
}

struct Fleet<'f> {
    command: &'f Run,
    folder: &'f Path,
    colour: Colour,
    catalogs: Catalogs,
    /// Where nothing can be read, or nothing is: what is wrong, and what to do.
    faults: BTreeSet<(String, String)>,
    /// The broken ones that were told of: once in a process is enough.
    told: BTreeSet<String>,
    /// What did not go well, by file and job, and since when it rests.
    resting: BTreeMap<(String, String), Stopwatch>,
}

impl Fleet<'_> {
    /// Runs what waits, and what comes to wait meanwhile.
    fn work(&mut self, first: Vec<Task>, ending: &Ending, all: &mut BTreeMap<String, Done>) {
        let command = self.command;
        let every = Duration::from_secs(command.look_every.as_secs().max(1));
        let mut queue = Queue::new(usize::from(command.at_once));
        queue.refill(first);
        let mut looked = Stopwatch::now();
        let (sender, ended) = mpsc::channel::<(String, String, Done)>();
        thread::scope(|scope| {
            loop {
                if ending.code().is_some() {
                    queue.forget();
                }
                while let Some(task) = queue.next() {
                    let sender = sender.clone();
                    scope.spawn(move || carry_out(command, task, ending, &sender));
                }
                if queue.is_idle() {
                    break;
                }
                if let Ok((server, file, done)) = ended.recv_timeout(PATIENCE) {
                    queue.ended(&server, &file);
                    self.rest(&file, &done);
                    add(all.entry(file).or_default(), done);
                }
                if looked.elapsed() >= every && !queue.is_idle() {
                    queue.refill(self.look().tasks);
                    looked = Stopwatch::now();
                }
            }
        });
    }

    /// A job that could not be run, or not be recorded, is not begun again and again by this process.
    fn rest(&mut self, file: &str, done: &Done) {
        for ran in done.ran.iter().filter(|ran| ran.end != Ended::Succeeded) {
            self.resting.insert((file.to_owned(), ran.job.clone()), Stopwatch::now());
        }
    }

    /// Every policy of the folder: what does it owe now? Cheap, because mostly it is nothing.
    fn look(&mut self) -> Looked {
        self.catalogs.forget_failures();
        self.resting.retain(|_, since| since.elapsed() < REST);
        let now = clock::now();
        let found = folder::read(&self.command.here, self.folder, self.colour, &self.told);
        for trouble in &found.faults {
            if self.faults.insert(said(trouble)) {
                tracing::error!(hint = trouble.hint().unwrap_or_default(), "{trouble}");
            }
        }
        let mut looked = Looked { policies: found.members.len(), ..Looked::default() };
        let mut sound: Vec<Sound> = Vec::new();
        for Member { here, read } in found.members {
            match read {
                Ok(read) => sound.push((here, read)),
                Err(trouble) => looked.tasks.extend(self.broken(here, &trouble)),
            }
        }
        parallel::map(&sound, &|(here, read)| record::keep_policy(here, &read.policy));
        for (catalog, group) in self.by_catalog(&sound) {
            let records = catalog.as_deref().map(|catalog| recorded(catalog, &group, now)).unwrap_or_default();
            let stands = parallel::map(&group, &|(here, read)| stand(here, read, &records, now));
            for ((here, read), stand) in group.iter().zip(stands) {
                let file = here.path().to_string_lossy().into_owned();
                let name = read.policy.name.as_str();
                let next = stand.next.map(|(at, job)| (at, name.to_owned(), job));
                looked.next = [looked.next.take(), next].into_iter().flatten().min();
                let jobs: Vec<(String, Instant)> =
                    stand.due.into_iter().filter(|(job, _)| !self.resting.contains_key(&(file.clone(), job.clone()))).collect();
                let Some(since) = jobs.iter().map(|(_, since)| *since).min() else { continue };
                let server = here.site(&read.policy).server_name();
                let errand = Errand::Jobs { read: (*read).clone(), catalog: catalog.clone(), jobs };
                looked.tasks.push(Task { here: (*here).clone(), file, since, server, errand });
            }
        }
        looked
    }

    /// Once in a process.
    fn broken(&mut self, here: Here, trouble: &Trouble) -> Option<Task> {
        let file = here.path().to_string_lossy().into_owned();
        let is_new = self.told.insert(file.clone());
        // It may be at any server, or at none: it waits for nobody.
        is_new.then(|| Task { here, server: format!("broken: {file}"), file, since: Instant::MIN, errand: Errand::Broken(said(trouble)) })
    }

    /// Where a catalog cannot be opened, that is said once, and what protects data goes on without.
    fn by_catalog<'s>(&mut self, sound: &'s [Sound]) -> Vec<Group<'s>> {
        let mut groups: Vec<Group<'s>> = Vec::new();
        let mut complaints: BTreeSet<(String, String)> = BTreeSet::new();
        for member in sound {
            let opened = self.catalogs.writable(&member.0.site(&member.1.policy));
            let catalog = opened.map_err(|trouble| complaints.insert(said(&trouble))).ok();
            let is_same = |group: &Option<Arc<Catalog>>| match (group, &catalog) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            };
            match groups.iter_mut().find(|(group, _)| is_same(group)) {
                Some((_, members)) => members.push(member),
                None => groups.push((catalog, vec![member])),
            }
        }
        for (message, hint) in complaints {
            tracing::warn!(hint, "nothing can be recorded: {message}");
        }
        groups
    }
}

/// What is on record of all jobs, by policy, after it was brought up to date.
fn recorded(catalog: &Catalog, group: &[&Sound], now: Instant) -> BTreeMap<String, Vec<JobRecord>> {
    let sites: Vec<Site<'_>> = group.iter().map(|(here, read)| here.site(&read.policy)).collect();
    let sites: Vec<&Site<'_>> = sites.iter().collect();
    record::settle(&sites, catalog);
    record::see(&sites, catalog, now);
    catalog.last_runs_of_all().unwrap_or_else(|fault| {
        tracing::warn!(hint = fault.hint, "what ran before cannot be read: {}", fault.message);
        BTreeMap::new()
    })
}

/// What one policy owes on this host.
struct Stand {
    due: Vec<(String, Instant)>,
    next: Option<(Instant, String)>,
}

fn stand(here: &Here, read: &Read, records: &BTreeMap<String, Vec<JobRecord>>, now: Instant) -> Stand {
    let policy = &read.policy;
    let site = here.site(policy);
    let records = records.get(policy.name.as_str()).map(Vec::as_slice).unwrap_or_default();
    let owed = run::look(policy, records, now);
    let mut timed = policy.timed();
    timed.extend(policy.copying());
    let has_turn = |timed: &Timed<'_>| emit::has_turn(policy, timed, site.host());
    // Expiry without a schedule belongs to the backups.
    let belongs = |job: &Job<'_>, timed: &Timed<'_>| {
        timed.path == job.path || policy.expire.schedule.is_none() && matches!(job.work, Work::Expire) && timed.kind == TimedKind::Backup
    };
    let is_ours = |job: &Job<'_>| timed.iter().any(|timed| belongs(job, timed) && has_turn(timed));
    let due = owed.due.iter().filter(|(job, _)| is_ours(job)).map(|(job, since)| (job.path.to_string(), *since));
    let next = owed.all.iter().filter(|(job, _)| is_ours(job)).filter_map(|(job, due)| Some((next_of(due)?, job.path.to_string())));
    Stand { due: due.collect(), next: next.min() }
}

fn said(trouble: &Trouble) -> (String, String) {
    (trouble.to_string(), trouble.hint().unwrap_or_default().to_owned())
}

/// To its end, on a thread of its own. A fault of ours in one policy is not the end of the others.
fn carry_out(command: &Run, task: Task, ending: &Ending, sender: &Sender<(String, String, Done)>) {
    let (server, file) = (task.server.clone(), task.file.clone());
    let done = catch_unwind(AssertUnwindSafe(|| match task.errand {
        Errand::Jobs { read, catalog, jobs } => run_jobs(command, &task.here, &read, catalog.as_deref(), jobs, ending),
        Errand::Broken(said) => tell_broken(command, &task.here, said, ending),
    }));
    let fault = || ("seawall itself has failed".to_owned(), "Please report it with the message above.".to_owned());
    let done = done.unwrap_or_else(|_| Done { failed: Some(fault()), panicked: true, ..Done::default() });
    // Nobody listens only after a fault of ours elsewhere.
    let _ = sender.send((server, file, done));
}

fn run_jobs(command: &Run, here: &Here, read: &Read, catalog: Option<&Catalog>, jobs: Vec<(String, Instant)>, ending: &Ending) -> Done {
    let policy = &read.policy;
    let name = policy.name.as_str();
    let site = here.site(policy).at_commit(git::commit_of(&read.files));
    let found = jobs.into_iter().filter_map(|(job, since)| Some((run::find(policy, &job).ok()?, Why::Due { since })));
    let wishes = command.wishes();
    let ran = one_after_the_other(&site, found.collect(), ending, |job, why| {
        let progress = Progress::default();
        let ran = run::run(&Ground { site: &site, catalog, progress: &progress, stop: &ending.asked }, job, why, &wishes);
        command.tell(Some(name), &ran);
        ran
    });
    if let Some(catalog) = catalog {
        tell(&site, catalog, ending);
    }
    Done { policy: Some(name.to_owned()), ran, ..Done::default() }
}

/// A run that fails, and of which somebody hears.
fn tell_broken(command: &Run, here: &Here, said: (String, String), ending: &Ending) -> Done {
    let mut policy = None;
    match last_good(here, Trouble::failed(said.0.clone(), said.1.clone())) {
        Ok((last, unreadable)) => {
            let site = here.site(&last);
            if let Some(catalog) = record::open(&site) {
                note_unreadable(&site, &catalog, &said, unreadable, &ending.asked);
            }
            policy = Some(last.name.to_string());
        }
        Err(trouble) => tracing::error!(hint = trouble.hint(), "{trouble}"),
    }
    if command.format == Format::Human {
        let name = policy.clone().unwrap_or_else(|| here.path().to_string_lossy().into_owned());
        let _ = print(&format!("{:<24}{:<24}FAILED      {}\n", tame(&name), run::POLICY, tame(&said.0)));
    }
    Done { policy, failed: Some(said), ..Done::default() }
}

/// A policy may have run twice while another one ran.
fn add(all: &mut Done, done: Done) {
    all.policy = done.policy.or(all.policy.take());
    all.failed = done.failed.or(all.failed.take());
    all.ran.extend(done.ran);
    all.panicked |= done.panicked;
}
