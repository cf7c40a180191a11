//! A plan and its outcome, for people.

use std::fmt::Write;

use crate::cli::copying::size;
use crate::cli::exit::Trouble;
use crate::cli::terminal::tame;
use crate::execute::restore::directory::Standing;
use crate::execute::restore::{Archived, Following, Follows, Report, RestorePlan, State, Upstream};
use crate::plan::words::{counted, joined, span};
use crate::recovery::Target;
use crate::units::{Haste, Segment, SegmentSize, to_the_millisecond};

/// `3 min 20 s`.
pub(in crate::cli) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

pub(super) fn plan(plan: &RestorePlan) -> String {
    let (chosen, request) = (&plan.chosen, &plan.request);
    let descriptor = &chosen.descriptor;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {}", tame(&value));
    };
    let exclusive = if request.exclusive { ", just before it" } else { "" };
    line("target", format!("{}{exclusive}, on timeline {}", request.target, chosen.timeline));
    line("from", format!("store `{}` ({}), repository {}", chosen.store_name, chosen.store.url(), chosen.repository));
    let signer = chosen.signer.as_ref().map_or_else(|| "nobody's signature is asked for".to_owned(), |name| format!("signed by {name}"));
    line("backup", format!("{}, ended {}, {signer}: {}", descriptor.id, to_the_millisecond(descriptor.stopped), chosen.reason));
    line(
        "files",
        format!("{}, {} ({} in the store)", counted(descriptor.files, "file"), size(descriptor.size), size(descriptor.stored_size)),
    );
    for stretch in &chosen.wal {
        line("log", format!("timeline {}: {} to {}", stretch.timeline, stretch.from, stretch.to));
    }
    line("", format!("{}, {} at most", counted(plan.estimate.segments, "segment"), size(plan.estimate.wal_bytes)));
    line("into", format!("`{}`, {}", request.directory.display(), overwrites(plan)));
    line("", format!("owned by {}, PostgreSQL {}", plan.directory.account, descriptor.cluster.version / 10_000));
    for (oid, place) in &plan.tablespaces {
        line("tablespace", format!("{oid} into `{}`", place.display()));
    }
    for archived in archived(plan) {
        line("archive", archived);
    }
    line("takes", duration(plan));
    line("signal", plan.signal.to_owned());
    for (name, value) in &plan.settings {
        // The empty ones only take back what an earlier life of the cluster may have said.
        if !value.is_empty() || name.starts_with("archive") {
            line("setting", format!("{name} = '{}'", if name == "primary_conninfo" { "…" } else { value }));
        }
    }
    if let Some(upstream) = &plan.upstream {
        line("follows", follows(upstream, request.standby.as_ref().and_then(|standby| standby.slot.as_deref())));
    }
    if request.standby.is_none() {
        line("quarantine", "it archives nothing, subscribes to nothing and runs no background jobs until `seawall release`".to_owned());
    }
    let mut all = format!("Restore of `{}`\n{text}", tame(&descriptor.by.policy));
    if let Some(extras) = plan.extras.as_ref().filter(|extras| extras.files > 0) {
        let _ = writeln!(
            all,
            "  Will be removed, because the backup does not have them: {}, {}",
            counted(extras.files, "file"),
            size(extras.bytes)
        );
        for path in &extras.first {
            let _ = writeln!(all, "    {}", tame(&path.to_string_lossy()));
        }
        if extras.files > extras.first.len() as u64 {
            let _ = writeln!(all, "    and {} more", extras.files - extras.first.len() as u64);
        }
    }
    for warning in &plan.warnings {
        let _ = writeln!(all, "  warning: {}", tame(warning));
    }
    all
}

fn follows(upstream: &Upstream, slot: Option<&str>) -> String {
    match upstream {
        Upstream::Archive => "the archive alone".to_owned(),
        Upstream::Silent(_) => "the archive, and the primary when it answers".to_owned(),
        Upstream::Answers(primary) => {
            let slot = match slot {
                Some(slot) if primary.has_slot => format!(", by its slot `{slot}`, which is there and unused"),
                Some(slot) => format!(", by a new slot `{slot}`"),
                None => String::new(),
            };
            format!("{}, now at {} on timeline {}{slot}", primary.at, primary.position, primary.timeline)
        }
    }
}

/// Where a standby stands, as it says itself.
fn streaming(follows: &Follows) -> String {
    let behind = follows.behind_bytes.map(|bytes| format!(", {} behind", size(bytes))).unwrap_or_default();
    if follows.streams {
        let from = follows.from.as_deref().unwrap_or("its primary");
        let slot = follows.slot.as_ref().map(|slot| format!(" by the slot `{slot}`")).unwrap_or_default();
        return format!("it streams from {from}{slot}{behind}");
    }
    let why = follows.why_not.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("it DOES NOT STREAM{why}; it follows the archive")
}

fn overwrites(plan: &RestorePlan) -> String {
    match plan.directory.standing {
        Standing::Empty => "which is empty".to_owned(),
        Standing::Cluster => "where a stopped cluster lies: what differs is OVERWRITTEN".to_owned(),
        Standing::Interrupted => "where an interrupted restore lies: it goes on".to_owned(),
    }
}

fn duration(plan: &RestorePlan) -> String {
    let estimate = &plan.estimate;
    let copy = estimate.copy_seconds.map_or_else(
        || format!("files: not known ({})", estimate.copy_from),
        |copy| format!("files: about {}, {}", seconds(copy), estimate.copy_from),
    );
    let replay = estimate.replay_seconds.map_or_else(
        || "log: not known".to_owned(),
        |replay| format!("log: at most {}, as `objectives.assume.replay` says", seconds(replay)),
    );
    format!("{copy}; {replay}")
}

/// What lies in an archive class, how it stands, and how long the rest takes.
fn archived(plan: &RestorePlan) -> Vec<String> {
    let archived = &plan.archived;
    let mut lines = Vec::new();
    let mut tell = |count: usize, bytes: u64, how: &str| {
        if count > 0 {
            lines.push(format!("{} ({}) {how}", counted(count, "object"), size(bytes)));
        }
    };
    tell(archived.ready, archived.ready_bytes, "of an archive class were thawed and can be read now");
    tell(archived.underway.len(), archived.underway_bytes, "were requested and are on their way");
    let classes = joined(archived.classes.keys());
    tell(
        archived.asleep.len(),
        archived.asleep_bytes,
        &format!("in {classes} cannot be read before they are requested: {}", archived.times()),
    );
    lines
}

/// Nothing was requested, and nothing can be read before it is.
pub(super) fn asleep(archived: &Archived) -> Trouble {
    let hint = format!("`--thaw DAYS` requests them ({}; `--thaw-speed` chooses). Or restore from another store.", archived.times());
    Trouble::failed(unreadable(archived), hint)
}

/// All that cannot be read is on its way.
pub(super) fn on_their_way(archived: &Archived, requested: Option<(usize, Haste)>) -> Trouble {
    let hint = match requested.and_then(|(count, haste)| Some((count, archived.within(haste)?))) {
        Some((count, within)) => {
            format!(
                "{} requested now, all of them here within {}: run it again then, or with `--wait`.",
                counted(count, "object"),
                span(within)
            )
        }
        None => "All of them were requested before: run it again later, or with `--wait`.".to_owned(),
    };
    Trouble::try_again(unreadable(archived), hint)
}

pub(super) fn unreadable(archived: &Archived) -> String {
    let count = archived.asleep.len() + archived.underway.len();
    let bytes = size(archived.asleep_bytes + archived.underway_bytes);
    format!("{} of {} ({bytes}) in an archive class cannot be read now; nothing was touched", count, counted(archived.count(), "object"))
}

pub(super) fn following(plan: &RestorePlan, following: &Following) -> String {
    let state = if following.consistent { "consistent, replaying" } else { "replaying" };
    let Some(lsn) = following.lsn else { return format!("{state}: waiting for the server, {}", seconds(following.seconds)) };
    let (done, all) = replayed(plan, lsn.0);
    let left = if done > 0 { seconds(following.seconds * (all.saturating_sub(done)) as f64 / done as f64) } else { "?".to_owned() };
    format!("{state}: {lsn}, {} of at most {}, {left} left at most", size(done), size(all))
}

fn replayed(plan: &RestorePlan, lsn: u64) -> (u64, u64) {
    let (from, to) = (plan.chosen.wal.first().map_or(0, |first| first.from.0), plan.chosen.wal.last().map_or(0, |last| last.to.0));
    (lsn.saturating_sub(from), to.saturating_sub(from).max(1))
}

/// Where replay should end, and how the server's log says where it did: PostgreSQL takes a segment that it cannot read for the end of
/// all log, and opens.
fn end_of_replay(plan: &RestorePlan) -> Vec<String> {
    let Some(end) = plan.chosen.wal.last().filter(|_| plan.request.standby.is_none()) else { return Vec::new() };
    let size = SegmentSize::new(plan.chosen.descriptor.cluster.wal_segment_size);
    let last = size.map(|size| format!(" (segment {})", Segment::before(end.timeline, end.to, size))).unwrap_or_default();
    let whole = format!("the log of the plan ends at {} on timeline {}{last}", end.to, end.timeline);
    match plan.request.target {
        Target::Latest => vec![
            format!("{whole}: `redo done at …` in the server's log must name a position in that segment"),
            "one before it means that replay stopped at a record it could not read, and the rest is missing".to_owned(),
        ],
        Target::Immediate(_) => vec![format!("the server's log must say `recovery stopping after reaching consistency`; {whole}")],
        Target::Time(_) => vec![
            format!("the server's log must say `recovery stopping …` with a time beyond the target; {whole}"),
            "`recovery ended before configured recovery target was reached` may only mean that nothing came later: `--start` finds out"
                .to_owned(),
        ],
        _ => vec![
            format!("the server's log must say `recovery stopping …` with the target; {whole}"),
            "`recovery ended before configured recovery target was reached` means that the target is not in the log".to_owned(),
        ],
    }
}

pub(super) fn report(plan: &RestorePlan, report: &Report) -> String {
    let mut text = String::from("Restored\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {}", tame(&value));
    };
    let took = &report.seconds;
    let rate = report.rate().map(|rate| format!(", {}/s", size(rate as u64))).unwrap_or_default();
    let fetched = format!("{} of {} written, {} read from the store", size(report.written), size(report.size), size(report.fetched));
    line("files", format!("{fetched}, in {}{rate}", seconds(took.files + took.sync)));
    if report.removed > 0 {
        line("removed", format!("{} that the backup does not have", counted(report.removed, "file")));
    }
    let directory = report.directory.display();
    let Some(reached) = &report.reached else {
        line("next", format!("start PostgreSQL on `{directory}`; it replays the log up to {}", report.target));
        for (name, value) in ["compare", ""].into_iter().zip(end_of_replay(plan)) {
            line(name, value);
        }
        if plan.request.standby.is_none() {
            line("then", format!("look at the data; `seawall release --target {directory}` ends the quarantine"));
        }
        return text;
    };
    if let (Some(consistent), Some(replay)) = (took.consistent, took.replay) {
        line("replay", format!("consistent after {}, at the target after {}", seconds(consistent), seconds(replay)));
    }
    line("total", seconds(took.total));
    let state = match reached.state {
        State::Promoted => "a server of its own",
        State::Paused => "paused at the target: `select pg_wal_replay_resume()` promotes it",
        State::ShutDown => "shut down at the target",
        State::Standby => "a standby",
    };
    let lsn = reached.lsn.map(|lsn| format!(", at {lsn}")).unwrap_or_default();
    line("state", format!("{state}{lsn}"));
    if let Some(last) = &reached.last_commit {
        line("holds", format!("every transaction up to {last}"));
    }
    if reached.ended_at_end_of_log {
        line("", "nothing was committed between that and the target: the archived log is whole up to it".to_owned());
    }
    if let Some(said) = &reached.ended_by {
        line("warning", format!("the last segment is not whole: replay ended where PostgreSQL said `{said}`"));
    }
    for compared in &report.compared {
        let name = if compared.met { "compared" } else { "warning" };
        line(name, format!("{}: {}", compared.name, compared.says));
    }
    if let Some(follows) = &reached.follows {
        line("follows", streaming(follows));
    }
    if let (Some(socket), Some(port)) = (&reached.socket, reached.port) {
        line("connect", format!("psql -h {socket} -p {port}"));
    }
    if plan.request.standby.is_none() {
        line("then", format!("look at the data; `seawall release --target {directory}` ends the quarantine"));
    }
    text
}
