//! The primary is well, and is replaced on purpose: nothing that it acknowledged may be lost.

use super::rig::{Pair, Writer};
use crate::clusters::Version;

fn loses_nothing(version: Version) {
    let pair = Pair::streaming(version);
    pair.fence_by_stopping("fast");
    let writer = Writer::begin(&pair);
    pair.standby.wait_until("(select count(*) from written) > 200");
    let promotion = pair.promoted(&["--switchover"]);
    let acknowledged = writer.end();
    assert_eq!(promotion["kind"], "switchover");
    let compared = promotion["steps"].as_array().and_then(|steps| steps.iter().find(|step| step["step"] == "compare")).expect("a step");
    assert!(compared["said"].as_str().is_some_and(|said| said.contains("nothing is lost")), "{compared}");
    assert!(acknowledged.len() > 200);
    let last = acknowledged.last().expect("rows");
    assert_eq!(pair.standby.sql(&format!("select count(*) from written where n <= {last}")), acknowledged.len().to_string());
    pair.standby.sql("insert into written values (-1)");
    let told = std::fs::read_to_string(pair.rig.path("fence.env")).expect("the hook ran");
    assert!(told.contains("SEAWALL_KIND=switchover") && told.contains("SEAWALL_OLD_PRIMARY="), "{told}");
    let hook = promotion["fencing"]["by"].as_str();
    assert_eq!(hook, Some("hook"));
}

#[test]
fn loses_nothing_13() {
    loses_nothing(Version::V13);
}

#[test]
fn loses_nothing_15() {
    loses_nothing(Version::V15);
}

#[test]
fn loses_nothing_18() {
    loses_nothing(Version::V18);
}

/// A primary that was killed said no last word: a switchover does not take that for one, and the old primary is the primary as before.
#[test]
fn a_primary_that_is_killed_is_no_switchover() {
    let pair = Pair::streaming(Version::V15);
    pair.fence_by_stopping("immediate");
    let said = pair.promote(&["--yes", "--switchover"]);
    assert!(said.code == 1 && said.err.contains("without the old primary's shutdown checkpoint"), "{}{}", said.out, said.err);
    assert!(said.err.contains("NOBODY TAKES WRITES NOW"), "{}", said.err);
    assert!(pair.is_standby());
    pair.rig.cluster.resume();
    pair.rig.load(1);
    pair.standby.wait_until("(select count(*) from series) = 6");
}
