//! The newest heartbeat row that came back. It proves that what was written after the base backup came out of the log, and says how much
//! would have been lost.

use super::Copy;
use super::judge::said;
use crate::catalog::{Catalog, CatalogFault};
use crate::inventory::CanaryProof;
use crate::policy::model::Policy;
use crate::postgres::Fault;
use crate::units::{Duration, Instant, Lsn, moment_of};

/// What is to have come back.
#[derive(Debug, Clone, Copy)]
pub struct Owed {
    /// Where the base backup ended in the log.
    pub stop: Lsn,
    /// And when, by the clock of the host that took it.
    pub stopped: Instant,
    /// The moment that was asked for; for the newest one the drill's beginning.
    pub until: Instant,
    /// The end of the archived log, as the store shows it. None where that is not known.
    pub archived: Option<Instant>,
    /// When the row was last written, as far as the catalog knows (`canary_written`).
    pub written: Option<Instant>,
    /// How much may be missing at the end, between two rows not counted; none where that is not judged.
    pub may_lack: Option<Duration>,
}

/// So much later than it should be a row may come without anybody wondering.
const PATIENCE: Duration = Duration::from_mins(2);

impl Owed {
    /// Up to when a row that is written so often must have been written and archived; none where none is owed.
    fn since_backup(&self, every: Duration) -> Option<Instant> {
        let is_after = |at: &Instant| at.duration_since(self.stopped) > every.to_signed() * 2 + PATIENCE.to_signed();
        // What the catalog knows to be written is owed as far as the log reaches; without a catalog, whatever the log reaches.
        let until = self.archived.map_or(self.until, |archived| archived.min(self.until));
        let written = self.written.map_or(until, |written| written.min(until));
        Some(written).filter(is_after)
    }

    /// What was written last is judged by when it was written, and not by how far the store happens to reach: it may have lost its newest log.
    /// Where nobody knows when that was, on a staging host with a catalog of its own, the policy says how often it is.
    fn must_reach(&self, row: Option<Instant>, every: Duration) -> Result<(), String> {
        let Some(may_lack) = self.may_lack else { return Ok(()) };
        let written = self.written.unwrap_or(self.until).min(self.until);
        // What the log holds behind the last row has come back as well.
        let safe = row.into_iter().chain(self.archived).fold(self.stopped, Instant::max);
        let (gone, may_lack) = (Duration::between(safe, written), may_lack + every);
        if gone <= may_lack {
            return Ok(());
        }
        let known = match self.written {
            Some(_) => format!("the heartbeat row was written until {}: {gone} are gone, and {may_lack} may be", shown(written)),
            None => format!(
                "the heartbeat row is written every {every}, so {gone} are gone, and {may_lack} may be: the store has lost its newest log, or \
                 nothing was archived since, or `seawall watch` does not write the canary"
            ),
        };
        Err(format!("what came back ends at {}, and {known}", shown(safe)))
    }
}

/// When the row was last written, as far as the catalog knows.
pub fn canary_written(catalog: &Catalog, policy: &Policy) -> Result<Option<Instant>, CatalogFault> {
    let latest = catalog.latest(policy.name.as_str())?;
    Ok(latest.into_iter().find(|one| one.name == "canary_written").and_then(|one| moment_of(one.value)))
}

/// The proof; none where the policy has no canary, or none can be owed. An error is why the drill has failed.
pub fn canary(policy: &Policy, copy: &Copy<'_>, owed: &Owed) -> Result<Option<CanaryProof>, String> {
    let Some(canary) = &policy.file.canary else { return Ok(None) };
    let every = canary.interval();
    let row = newest(copy, &canary.database, policy.name.as_str())
        .map_err(|fault| format!("the heartbeat row cannot be read: {}", said(&fault.message)))?;
    let proof = judge(row, owed, every)?;
    owed.must_reach(row.map(|(written, _)| written), every)?;
    Ok(proof)
}

fn judge(row: Option<(Instant, Lsn)>, owed: &Owed, every: Duration) -> Result<Option<CanaryProof>, String> {
    let proof = row.map(|(written, lsn)| CanaryProof {
        written,
        // By the log itself: two hosts have two clocks.
        after_backup: lsn >= owed.stop,
        lost_millis: u64::try_from(owed.until.duration_since(written).as_millis()).unwrap_or(0),
    });
    match (proof, owed.since_backup(every)) {
        (Some(proof), _) if proof.after_backup => Ok(Some(proof)),
        (_, Some(until)) => Err(format!(
            "no heartbeat row came back that was written after the backup had ended at {}, although the log reaches to {}: the log was not replayed, or `seawall watch` does not write the canary",
            shown(owed.stopped),
            shown(until)
        )),
        (proof, None) => Ok(proof),
    }
}

fn shown(at: Instant) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Without a table nobody has ever written one.
fn newest(copy: &Copy<'_>, database: &str, policy: &str) -> Result<Option<(Instant, Lsn)>, Fault> {
    let mut connection = (copy.connect)(database)?;
    let there = connection.query("select pg_catalog.to_regclass('seawall.canary') is not null as there", &[])?;
    if !there.one()?.flag("there")? {
        return Ok(None);
    }
    let rows = connection.query(
        "select (pg_catalog.date_part('epoch', written) * 1000000)::bigint as micros, lsn from seawall.canary where policy = $1 order by id desc limit 1",
        &[policy],
    )?;
    let Some(row) = rows.iter().next() else { return Ok(None) };
    let written =
        Instant::from_microsecond(row.parse("micros")?).map_err(|error| Fault::unexpected(format!("the heartbeat row: {error}"), ""))?;
    Ok(Some((written, row.parse("lsn")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_mins(1);

    fn at(minute: i64) -> Instant {
        Instant::from_second(1_795_000_000 + minute * 60).expect("a moment")
    }

    fn owed(until: i64) -> Owed {
        Owed {
            stop: "0/3000000".parse().expect("an LSN"),
            stopped: at(0),
            until: at(until),
            archived: Some(at(until)),
            written: None,
            may_lack: None,
        }
    }

    fn row(minute: i64, lsn: &str) -> Option<(Instant, Lsn)> {
        Some((at(minute), lsn.parse().expect("an LSN")))
    }

    #[test]
    fn a_row_that_the_log_brought_back_is_the_proof() {
        let proof = judge(row(58, "0/4000000"), &owed(60), EVERY).expect("passed").expect("a proof");
        assert_eq!((proof.after_backup, proof.lost_millis), (true, 120_000));
        // The clock of the host that took the backup is an hour ahead: the log knows better.
        let late = Owed { stopped: at(70), ..owed(80) };
        assert!(judge(row(58, "0/4000000"), &late, EVERY).expect("passed").expect("a proof").after_backup);
    }

    #[test]
    fn a_row_from_before_the_backup_proves_nothing_and_where_more_is_owed_it_fails() {
        let old = row(-1, "0/2000000");
        assert!(judge(old, &owed(60), EVERY).expect_err("failed").contains("no heartbeat row came back"));
        assert!(judge(None, &owed(60), EVERY).is_err());
        // A moment just after the backup.
        assert!(!judge(old, &owed(3), EVERY).expect("nothing owed").expect("a row").after_backup);
        assert_eq!(judge(None, &owed(3), EVERY), Ok(None));
        // One that is written once an hour.
        assert_eq!(judge(None, &owed(60), Duration::from_hours(1)), Ok(None));
    }

    /// A store that has lost its newest log leads to its own end and knows of nothing behind it.
    #[test]
    fn the_newest_rows_are_owed_by_when_they_were_written() {
        let owed = |archived: i64, written: i64| Owed {
            archived: Some(at(archived)),
            written: Some(at(written)),
            may_lack: Some(Duration::from_mins(6)),
            ..owed(60)
        };
        let must_reach = |owed: &Owed, row: Option<i64>| owed.must_reach(row.map(at), EVERY);
        assert!(must_reach(&owed(30, 59), Some(29)).expect_err("29 minutes are gone").contains("29m are gone, and 7m may be"));
        assert!(must_reach(&owed(52, 59), Some(51)).is_ok());
        assert!(must_reach(&owed(51, 59), Some(51)).is_err());
        // Behind a row that was written seldom the log goes on.
        assert!(must_reach(&owed(59, 59), Some(10)).is_ok());
        // What was written after the drill had begun, and what nobody promises.
        assert!(must_reach(&owed(55, 300), Some(54)).is_ok());
        assert!(must_reach(&Owed { may_lack: None, ..owed(1, 59) }, None).is_ok());
        assert!(must_reach(&owed(1, 59), None).is_err());
        // Nobody here knows when it was written.
        let unknown = |archived| Owed { written: None, ..owed(archived, 59) };
        assert!(must_reach(&unknown(59), Some(10)).is_ok());
        assert!(must_reach(&unknown(30), Some(29)).expect_err("half an hour is gone").contains("every 1m, so 30m are gone, and 7m may be"));
    }

    #[test]
    fn what_was_not_written_or_not_archived_is_not_owed() {
        let silent = Owed { written: Some(at(-10)), ..owed(60) };
        assert_eq!(judge(None, &silent, EVERY), Ok(None));
        let unarchived = Owed { archived: Some(at(1)), ..owed(60) };
        assert_eq!(judge(None, &unarchived, EVERY), Ok(None));
        let known = Owed { archived: None, written: Some(at(50)), ..owed(60) };
        assert!(judge(None, &known, EVERY).is_err());
    }
}
