//! A database tier by tier.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::progress::Line;
use super::table::must_name_the_backup;
use super::thaw::{self, Woken};
use super::{Restore, dump, seconds};
use crate::cli::confirm::confirm;
use crate::cli::copying::size;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::repository::Format;
use crate::cli::terminal::{complain, print, tame};
use crate::cli::validate;
use crate::execute::restore::TimelineChoice;
use crate::execute::table::source::{self, Progress};
use crate::execute::tiers::{self, Moment, Onlooker, Plan, Shown, Tiered, Usable, Wanted};
use crate::inventory::Phase;
use crate::plan::words::{counted, joined, quoted};
use crate::recovery::Target;
use crate::site::Site;
use crate::world::{clock, signals};

/// More names say no more.
const NAMED: usize = 8;

pub(super) fn run(said: &Restore, site: &Site<'_>, into: &str) -> Result<Exit, Trouble> {
    must_be_new(said)?;
    must_name_the_backup(said)?;
    let wanted = wanted(said, site, into)?;
    let ending = signals::ending()?;
    let watch = Watch::new(said.way.format);
    let ended = || if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted };
    let plan = match thaw::until_awake(&said.way, || watch.plan(site, &wanted, &ending.asked)) {
        Ok(Woken::Now(plan)) => plan,
        Ok(Woken::Ended(exit)) => return Ok(exit),
        Err(trouble) if ending.asked.load(Ordering::Relaxed) => {
            complain(&tame(&trouble.to_string()), "Nothing was changed, and nothing is left of the private server.");
            return Ok(ended());
        }
        Err(trouble) => return Err(trouble),
    };
    if said.table.plan {
        print(&match said.way.format {
            Format::Human => shown(&plan),
            Format::Json => validate::json(&plan.planned())?,
        })?;
        return Ok(Exit::Done);
    }
    let text = shown(&plan);
    match said.way.format {
        Format::Human => print(&text)?,
        Format::Json => eprint!("{text}"),
    }
    if !said.way.yes {
        confirm("Say `--yes` when the plan above is what you want.")?;
    }
    let restored = match watch.carry_out(plan, &ending.asked) {
        Err(fault) if ending.asked.load(Ordering::Relaxed) => {
            complain(&tame(&fault.message), &fault.hint);
            return Ok(ended());
        }
        other => other?,
    };
    print(&match said.way.format {
        Format::Human => told(&restored),
        Format::Json => validate::json(&restored)?,
    })?;
    if restored.broken_keys.is_empty() {
        return Ok(Exit::Done);
    }
    complain(
        &tame(&format!("everything is restored, and rows of it lead nowhere: {}", joined(restored.broken_keys.iter().map(quoted)))),
        "What they lead to was deleted before they came. Delete them or bring it back, and say `alter table … validate constraint …`.",
    );
    Ok(Exit::Failed)
}

fn wanted(said: &Restore, site: &Site<'_>, into: &str) -> Result<Wanted, Trouble> {
    let goal = &said.goal;
    let target = goal.target(site.policy)?;
    let moment = Moment {
        is_said: goal.latest || target != Target::Latest || goal.timeline != TimelineChoice::Latest,
        target,
        exclusive: goal.exclusive,
        timeline: goal.timeline,
        directory: said.table.directory.clone(),
        workers: said.way.workers.map(usize::from),
    };
    let at_once = said.way.yes && !said.table.plan;
    Ok(Wanted { tiers: said.dump.tier.clone(), of: dump::wanted(said, into)?, moment, at_once, is_rehearsal: false })
}

/// Applications work with it before everything is there, so nothing else may be in it.
fn must_be_new(said: &Restore) -> Result<(), Trouble> {
    if said.table.replace {
        let message = "`--tier` makes no sense with `--replace`: what is there would be set aside before everything of it has come back";
        return Err(Trouble::usage(
            message,
            "Say `--create` with another name, and change the names when it is done; or `--replace` without `--tier`.",
        ));
    }
    if said.dump.occupied || !said.dump.create {
        let message = "`--tier` restores into a database that is made for it";
        return Err(Trouble::usage(message, "Say `--create`; also to go on with one that was begun so."));
    }
    Ok(())
}

/// What goes on, in one line; and a line that stays for each tier that is there.
struct Watch {
    format: Format,
    now: Mutex<String>,
    said: Mutex<Vec<String>>,
    bytes: AtomicU64,
    /// Of what is fetched.
    progress: Progress,
}

impl Watch {
    fn new(format: Format) -> Watch {
        Watch { format, now: Mutex::default(), said: Mutex::default(), bytes: AtomicU64::new(0), progress: Progress::default() }
    }

    fn begins(&self, what: &str) {
        what.clone_into(&mut lock(&self.now));
    }

    fn plan<'s>(&self, site: &'s Site<'s>, wanted: &Wanted, stop: &AtomicBool) -> Result<Plan<'s>, tiers::Fault> {
        let phase = |phase: Phase| self.begins(phase.says());
        self.during(|| tiers::plan(site, wanted, source::Onlooker { phase: &phase, stop, progress: &self.progress }, clock::now()))
    }

    fn carry_out(&self, plan: Plan<'_>, stop: &AtomicBool) -> Result<Tiered, tiers::Fault> {
        let begins = |what: &str| self.begins(what);
        let usable = |tier: &Usable| lock(&self.said).push(usable(tier));
        let onlooker = Onlooker { begins: &begins, usable: &usable, bytes: &self.bytes, progress: &self.progress, stop };
        self.during(|| tiers::carry_out(plan, onlooker))
    }

    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let (done, over) = mpsc::channel::<()>();
            scope.spawn(move || self.tell(&over));
            let worked = work();
            drop(done);
            worked
        })
    }

    fn line(&self, elapsed: Duration) -> String {
        let (now, took) = (lock(&self.now).clone(), seconds(elapsed.as_secs_f64()));
        let glance = self.progress.glance();
        match glance.phase {
            Some(phase) if phase == Phase::Files && now == phase.says() && glance.size > 0 => {
                format!("{now}: {} of {}, {took}", size(glance.done.min(glance.size)), size(glance.size))
            }
            Some(phase) if now == phase.says() => format!("{now}, {took}"),
            _ => format!("{now}: {}, {took}", size(self.bytes.load(Ordering::Relaxed))),
        }
    }

    fn tell(&self, over: &mpsc::Receiver<()>) {
        let (began, to_stderr) = (Stopwatch::now(), self.format == Format::Json);
        let mut line = Line::new(to_stderr);
        loop {
            let is_over = over.recv_timeout(Duration::from_millis(100)) != Err(RecvTimeoutError::Timeout);
            for text in std::mem::take(&mut *lock(&self.said)) {
                line.end();
                line = Line::new(to_stderr);
                // People wait for exactly this.
                if to_stderr {
                    eprint!("{text}");
                } else {
                    let _ = print(&text);
                }
            }
            if is_over {
                break;
            }
            line.say(&tame(&self.line(began.elapsed())));
        }
        line.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn shown(plan: &Plan<'_>) -> String {
    let mut out = String::from("Restore a database tier by tier\n");
    let mut row = |what: &str, value: String| writeln!(out, "  {what:<12}{}", tame(&value)).expect("a string takes all");
    let (ground, target) = (&plan.ground, &plan.ground.target);
    row("backup", format!("{} from store `{}`, {}", plan.backup(), plan.store(), plan.moment()));
    let state = match &plan.begun {
        Some(begun) => format!("begun {}: it goes on", begun.started),
        None => "made for it, with its name as soon as all definitions are there".to_owned(),
    };
    row("into", format!("{} on {} (PostgreSQL {}), {state}", quoted(&ground.wanted.into), target.server, target.major));
    row("with", format!("{}, {}", plan.pg_restore(), counted(ground.wanted.jobs, "session")));
    if plan.source() == "physical" {
        row("fetches", format!("what each tier needs, of {} that a full restore reads", size(plan.stored())));
    }
    for (number, course) in plan.courses.iter().enumerate() {
        row(&format!("{}.", number + 1), course_line(course));
        for early in &course.early {
            let because = match early.because {
                tiers::order::Because::Part => "its rows are among those of",
                tiers::order::Because::Read => "it is read by a policy, a rule, a view or a function of",
            };
            row("", format!("with {}: {because} {}", quoted(&early.table), quoted(&early.of)));
        }
        if !course.keys_to_come.is_empty() {
            row("", format!("without foreign keys to what comes later: {}", some(&course.keys_to_come)));
        }
    }
    if let Some(roles) = &ground.roles {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { joined(names.iter().map(quoted)) };
        row("makes roles", list(&roles.missing));
        row("keeps roles", list(&roles.there));
    }
    if !ground.wanted.roles.is_empty() {
        row("maps roles", ground.wanted.roles.shown());
    }
    row("until then", "whoever asks for a table that has not come is refused, with the tier that brings it".to_owned());
    row("then", "each table's rows are counted and compared, and it is analyzed before anybody sees it".to_owned());
    for remark in &plan.remarks {
        row("note", remark.clone());
    }
    out
}

fn course_line(course: &Shown) -> String {
    let name = course.tier.as_ref().map_or_else(|| "what no tier names".to_owned(), |(name, _)| format!("`{name}`"));
    let mut text = format!("{name}: {}", counted(course.tables.len(), "table"));
    if let Some(rows) = course.rows {
        let _ = write!(text, " with {}", counted(rows, "row"));
    }
    if !course.tables.is_empty() {
        let _ = write!(text, " ({})", some(&course.tables));
    }
    if let Some(size) = course.size {
        let _ = write!(text, ", assumed to be {}", size.rounded());
    }
    if let Some(fetch) = course.fetch.filter(|_| !course.is_there) {
        let _ = write!(text, ", fetches {}", size(fetch));
    }
    if let Some((_, rto)) = &course.tier {
        let _ = write!(text, ", promised within {rto}");
    }
    match course.predicted_seconds {
        _ if course.is_there => text.push_str(", it is there"),
        Some(predicted) => _ = write!(text, ", by what was measured or assumed usable after about {}", seconds(predicted)),
        None => {}
    }
    text
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let list = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { list } else { format!("{list} and {more} more") }
}

/// `critical` is usable after 12 s (promised: 1h, met)
fn usable(tier: &Usable) -> String {
    let promised = match (tier.rto_seconds, tier.met) {
        (Some(rto), Some(met)) => {
            let word = if met { "met" } else { "not met" };
            format!(" (promised: {}, {word})", crate::units::Duration::from_secs(rto))
        }
        _ => String::new(),
    };
    let rows = tier.rows.map_or_else(|| "before".to_owned(), |rows| format!("with {} as in the backup", counted(rows, "row")));
    let line = format!(
        "{:<12}{} after {}{promised}, {}, {rows}",
        "usable",
        tier.name(),
        seconds(tier.seconds),
        counted(tier.tables.len(), "table")
    );
    format!("{}\n", tame(&line))
}

fn told(restored: &Tiered) -> String {
    let mut out = String::new();
    let mut row = |what: &str, value: String| writeln!(out, "{what:<12}{}", tame(&value)).expect("a string takes all");
    row("restored", format!("{} of {} into {}", quoted(&restored.from_database), restored.backup, quoted(&restored.database)));
    row("on", restored.server.clone());
    if !restored.roles.is_empty() {
        row("made roles", joined(restored.roles.iter().map(quoted)));
    }
    let missed = restored.tiers.iter().filter(|tier| tier.met == Some(false)).map(Usable::name).collect::<Vec<_>>();
    if !missed.is_empty() {
        row("not met", format!("{} later than promised", joined(missed)));
    }
    if !restored.broken_keys.is_empty() {
        row("not valid", format!("foreign keys with rows that lead nowhere: {}", joined(restored.broken_keys.iter().map(quoted))));
    }
    dump::held_jobs(&restored.held_jobs, &mut row);
    row("took", format!("{} for {}", seconds(restored.seconds), size(restored.bytes)));
    out
}
