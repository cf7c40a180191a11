//! What a backup waits for when its files are copied, and what the server's archiver says meanwhile.

use std::fmt;

use crate::postgres::{Connection, Row};
use crate::units::Segment;

const ASK: &str = "select last_archived_wal, date_trunc('second', last_archived_time)::text as archived_at, \
                   last_failed_wal, date_trunc('second', last_failed_time)::text as failed_at, failed_count, \
                   coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as fails from pg_stat_archiver";

/// The segment of the log that has not come yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    pub segment: Segment,
    /// None where the server does not say, and where it archives nothing itself (a standby).
    pub archiver: Option<Archiver>,
}

/// `pg_stat_archiver`: what was tried last, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archiver {
    archived: Option<(String, String)>,
    failed: Option<(String, String)>,
    failures: String,
    /// The last try failed.
    fails: bool,
}

impl Awaited {
    pub(super) fn ask(segment: Segment, server: &mut Connection) -> Awaited {
        Awaited { segment, archiver: Archiver::ask(server) }
    }
}

impl Archiver {
    /// None where the server does not say, or has nothing to say yet.
    pub(in crate::execute) fn ask(server: &mut Connection) -> Option<Archiver> {
        let archiver = server.query(ASK, &[]).ok().and_then(|rows| Archiver::read(rows.iter().next()?));
        archiver.filter(|archiver| archiver.archived.is_some() || archiver.failed.is_some())
    }

    /// The last try failed.
    pub(in crate::execute) fn fails(&self) -> bool {
        self.fails
    }

    fn read(row: &Row) -> Option<Archiver> {
        let at = |file: &str, time: &str| Some((row.get(file)?.to_owned(), row.get(time)?.to_owned()));
        Some(Archiver {
            archived: at("last_archived_wal", "archived_at"),
            failed: at("last_failed_wal", "failed_at"),
            failures: row.get("failed_count")?.to_owned(),
            fails: row.flag("fails").ok()?,
        })
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not there yet", self.segment)?;
        self.archiver.iter().try_for_each(|archiver| write!(f, "; {archiver}"))
    }
}

impl fmt::Display for Archiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.archived {
            Some((file, at)) => write!(f, "the archiver's last success was {file} at {at}")?,
            None => f.write_str("the archiver never succeeded")?,
        }
        match &self.failed {
            Some((file, at)) if self.fails => write!(f, ", and it FAILS since: {file} at {at}, {} in all", self.failures),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_archiver_does_is_said() {
        let some = |file: &str, at: &str| Some((file.to_owned(), at.to_owned()));
        let segment: Segment = "00000001000000000000000A".parse().expect("a segment");
        let said = |archiver| Awaited { segment, archiver }.to_string();
        assert_eq!(said(None), "00000001000000000000000A is not there yet");
        let works = Archiver { archived: some("…09", "10:00"), failed: some("…08", "09:00"), failures: "3".into(), fails: false };
        assert_eq!(said(Some(works.clone())), "00000001000000000000000A is not there yet; the archiver's last success was …09 at 10:00");
        let fails = Archiver { failed: some("…0A", "10:01"), fails: true, ..works };
        assert!(said(Some(fails.clone())).ends_with("…09 at 10:00, and it FAILS since: …0A at 10:01, 3 in all"));
        assert!(said(Some(Archiver { archived: None, ..fails })).contains("never succeeded, and it FAILS since"));
    }
}
