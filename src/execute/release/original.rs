//! Whether the server that a restored one is a copy of goes on. A copy that archives beside it makes the store ambiguous: every recovery after
//! that would have to be told which one is meant, and one that is not told loses what the other has written.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::stores;
use crate::execute::promote::elsewhere::{self, Answer, Asked};
use crate::execute::restore::{RestoreFault, candidates};
use crate::format::history;
use crate::format::layout::wal_file;
use crate::inventory::SystemIdentifier;
use crate::site::{Found, Site};
use crate::store::{Meta, Store};
use crate::units::{Instant, Name, Segment, SegmentSize, Timeline, WalFile};
use crate::wal::{Place, read_stamp};

/// The server that is released.
pub(super) struct Copy<'c> {
    pub directory: &'c Path,
    /// Of its `postmaster.pid`.
    pub lines: Vec<String>,
    pub cluster: SystemIdentifier,
    pub timeline: Timeline,
    pub segment_size: SegmentSize,
}

/// Where it left the timeline that it comes from, and when.
struct Left {
    /// The first segment of that one which it has not, or not whole.
    fork: Segment,
    promoted: Instant,
}

const BESIDE: &str = "With `--beside-original` both archive, and every restore has to say which `--timeline` is meant.";

/// `fenced` is who says that the original writes no more, and how that was made certain. What takes writes before our eyes is not fenced.
pub(super) fn refuse_beside(site: &Site<'_>, copy: &Copy<'_>, fenced: Option<&str>, say: &mut dyn FnMut(&str)) -> Result<(), RestoreFault> {
    for asked in elsewhere::ask_all(site, copy.cluster) {
        match &asked.answer {
            Answer::Primary { timeline, .. } if *timeline != copy.timeline => return Err(runs(&asked, *timeline)),
            Answer::Answers(_) | Answer::NotAsked(_) if asked.is_alive() && !copy.is_at(&asked.at) && fenced.is_none() => {
                return Err(may_run(&asked));
            }
            Answer::Silent(_) => say(&asked.says()),
            _ => {}
        }
    }
    match fenced {
        Some(words) => say(&format!("fenced by hand: {words}")),
        None => refuse_archived(site, copy)?,
    }
    Ok(())
}

fn runs(asked: &Asked, timeline: Timeline) -> RestoreFault {
    let message = format!("the server that this is a copy of goes on, on timeline {timeline}: {}", asked.says());
    let hint = format!("Rescue what you need from the copy, stop it and delete it; or stop the original first. {BESIDE}");
    RestoreFault::new(message, hint)
}

fn may_run(asked: &Asked) -> RestoreFault {
    let message = format!("the server that this is a copy of may go on: {}", asked.says());
    let hint = format!(
        "Make it possible to ask it. Or make certain that the original writes no more (power it off, stop and mask the service, take its \
         address), and say `--fenced-by-hand 'who, and how'`. {BESIDE}"
    );
    RestoreFault::new(message, hint)
}

/// One that nobody can reach from here may run all the same; what it archives lies in the store.
fn refuse_archived(site: &Site<'_>, copy: &Copy<'_>) -> Result<(), RestoreFault> {
    let Some(left) = copy.left() else { return Ok(()) };
    // Where nothing is archived, a backup of the original brought what it wrote since.
    let names = if site.policy.wal.is_some() { stores(site)? } else { candidates(site.policy, None) };
    for name in names {
        let store = site.store(&name)?;
        let Some(Found { repository, .. }) = site.find_repository(&store)? else { continue };
        let place = Place { store, repository };
        let Some((segment, meta)) = newest(&place, copy.cluster, left.fork)? else { continue };
        let at = written(&place, &meta);
        if at > left.promoted {
            return Err(went_on(segment, &name, at, left.promoted));
        }
    }
    Ok(())
}

fn went_on(segment: Segment, store: &Name, at: Instant, promoted: Instant) -> RestoreFault {
    let message = format!(
        "the server that this is a copy of went on: its segment {segment} came into store `{store}` at {at}, after this one was promoted at \
         {promoted}, and what it holds is not in this copy"
    );
    let hint = format!(
        "Rescue what you need from the copy, stop it and delete it. Or make certain that the original writes no more, and say \
         `--fenced-by-hand 'who, and how'`: what it wrote since is then left behind, and its log has to be retired (docs/restore.md, \"Two \
         timelines\"). {BESIDE}"
    );
    RestoreFault::new(message, hint)
}

/// The last whole segment of the old timeline that the copy did not come through.
fn newest(place: &Place, cluster: SystemIdentifier, fork: Segment) -> Result<Option<(Segment, Meta)>, RestoreFault> {
    let mut newest: Option<(Segment, Meta)> = None;
    let store: &Store = &place.store;
    store.list_each(&place.repository.timeline_prefix(cluster, fork.timeline), &mut |meta| {
        if let Some((WalFile::Segment(segment), ..)) = wal_file(&meta.key)
            && segment >= fork
            && newest.as_ref().is_none_or(|(known, _)| *known < segment)
        {
            newest = Some((segment, meta));
        }
        ControlFlow::Continue(())
    })?;
    Ok(newest)
}

/// By the server that wrote it, and by the store: whichever is later, so that no clock alone hides it.
fn written(place: &Place, meta: &Meta) -> Instant {
    let own = read_stamp(place, &meta.key, meta.size).map(|(signed, _)| signed.stamp.written);
    own.map_or(meta.modified, |own| own.max(meta.modified))
}

impl Copy<'_> {
    fn left(&self) -> Option<Left> {
        let path = self.directory.join("pg_wal").join(WalFile::History(self.timeline).to_string());
        let (text, about) = (fs::read_to_string(&path).ok()?, fs::metadata(&path).ok()?);
        let left = history::parse(&text).ok()?.into_iter().next_back()?;
        let promoted = about.modified().ok().and_then(|time| Instant::try_from(time).ok())?;
        Some(Left { fork: Segment::of(left.timeline, left.at, self.segment_size), promoted })
    }

    /// That door is its own: the socket, or the port on this very host.
    fn is_at(&self, door: &str) -> bool {
        let line = |at: usize| self.lines.get(at).map(|line| line.trim()).filter(|line| !line.is_empty());
        let Some(port) = line(3) else { return false };
        let socket = line(4).is_some_and(|folder| door == format!("{folder}/.s.PGSQL.{port}"));
        let tcp = line(5).is_some() && ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| door == format!("{host}:{port}"));
        socket || tcp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_knows_its_own_door() {
        let at = |lines: &[&str], door: &str| {
            let copy = Copy {
                directory: Path::new("/srv/restored"),
                lines: lines.iter().map(|line| (*line).to_owned()).collect(),
                cluster: SystemIdentifier(7),
                timeline: Timeline::FIRST,
                segment_size: SegmentSize::new(16 << 20).expect("a size"),
            };
            copy.is_at(door)
        };
        let lines = ["4711", "/srv/restored", "1790000000", "5433", "/run/postgresql", "localhost", "ready"];
        for door in ["/run/postgresql/.s.PGSQL.5433", "localhost:5433", "127.0.0.1:5433"] {
            assert!(at(&lines, door), "{door}");
        }
        for door in ["/run/postgresql/.s.PGSQL.5432", "/tmp/.s.PGSQL.5433", "localhost:5432", "db-1:5433"] {
            assert!(!at(&lines, door), "{door}");
        }
        // It listens on no address: whoever answers there is another one.
        assert!(!at(&["4711", "/srv/restored", "1790000000", "5433", "/run/postgresql", "", "ready"], "localhost:5433"));
        assert!(!at(&[], "localhost:5433"));
    }
}
