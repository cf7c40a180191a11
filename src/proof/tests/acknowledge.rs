use super::super::acknowledge;
use super::*;
use crate::policy::finding::Code;
use crate::policy::path::PolicyPath;

/// A job that is kept for ever and has no second copy, and what is said of that.
fn acknowledged(list: &str, more: Vec<Finding>) -> Vec<(String, Option<String>)> {
    let body = "backups: { full: { physical: {}, schedule: { at: \"02:00\" } }, fuller: { physical: {}, schedule: { at: \"04:00\" } } }";
    let policy = policy_of(&format!("{HEAD}{MAIN}{body}\nacknowledge: [{list}]"));
    let mut findings: Vec<Finding> = prove(&policy, None, now()).into_iter().filter(|finding| finding.code == Code(504)).collect();
    findings.extend(more);
    let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let marked = acknowledge(&policy, findings, today);
    marked.iter().map(|finding| (format!("{} {}", finding.code, line(finding)), finding.acknowledged.clone())).collect()
}

const FULL: &str = "SW0504 warning backups.full: its backups are kept for ever: about 365 a year";
const FULLER: &str = "SW0504 warning backups.fuller: its backups are kept for ever: about 365 a year";

fn open(text: &str) -> (String, Option<String>) {
    (text.to_owned(), None)
}

fn accepted(text: &str) -> (String, Option<String>) {
    (text.to_owned(), Some("agreed".to_owned()))
}

#[test]
fn a_code_alone_is_accepted_everywhere_and_a_place_only_there() {
    assert_eq!(acknowledged("{ finding: SW0504, reason: agreed }", vec![]), [accepted(FULL), accepted(FULLER)]);
    // `backups.full` is not the beginning of `backups.fuller`.
    assert_eq!(acknowledged("{ finding: SW0504, at: backups.full, reason: agreed }", vec![]), [accepted(FULL), open(FULLER)]);
    assert_eq!(acknowledged("{ finding: SW0504, at: backups, reason: agreed }", vec![]), [accepted(FULL), accepted(FULLER)]);
}

#[test]
fn an_acceptance_ends() {
    assert_eq!(acknowledged("{ finding: SW0504, reason: agreed, until: 2026-11-21 }", vec![]), [open(FULL), open(FULLER)]);
    assert_eq!(acknowledged("{ finding: SW0504, reason: agreed, until: 2026-11-22 }", vec![]), [accepted(FULL), accepted(FULLER)]);
}

#[test]
fn an_acceptance_of_nothing_is_reported() {
    assert_eq!(
        acknowledged("{ finding: SW0505, at: backups.full, reason: agreed }", vec![]),
        [open(FULL), open(FULLER), open("SW0221 warning acknowledge[0]: there is no SW0505 at `backups.full` to acknowledge")]
    );
    // What a change deletes is judged where two policies are compared.
    assert_eq!(acknowledged("{ finding: SW0903, reason: agreed }", vec![]), [open(FULL), open(FULLER)]);
}

#[test]
fn what_has_no_meaning_cannot_be_accepted() {
    let refused = |code: &str| {
        open(&format!("SW0238 error acknowledge[0].finding: {code} cannot be acknowledged: with it the policy has no meaning"))
    };
    assert_eq!(acknowledged("{ finding: SW0101, reason: agreed }", vec![]), [open(FULL), open(FULLER), refused("SW0101")]);
    let unknown = Finding::error(Code(202), PolicyPath::from(["wal", "store"]), "there is no `stores.x`");
    let stays = open("SW0202 error wal.store: there is no `stores.x`");
    assert_eq!(acknowledged("{ finding: SW0202, reason: agreed }", vec![unknown]), [open(FULL), open(FULLER), stays, refused("SW0202")]);
    // A warning about the form of what stands there can.
    let unused = Finding::warning(Code(203), PolicyPath::from(["stores", "x"]), "never used");
    let marked = accepted("SW0203 warning stores.x: never used");
    assert_eq!(acknowledged("{ finding: SW0203, reason: agreed }", vec![unused]), [open(FULL), open(FULLER), marked]);
}

#[test]
fn proofs_that_are_errors_can_be_accepted_and_no_longer_block() {
    let cut = Finding::error(Code(501), PolicyPath::from(["timescaledb", "shop", "hypertables", "public.prices", "retain"]), "drops rows");
    let marked = accepted("SW0501 error timescaledb.shop.hypertables.\"public.prices\".retain: drops rows");
    let list = "{ finding: SW0501, at: timescaledb.shop.hypertables.public.prices, reason: agreed }";
    assert_eq!(acknowledged(list, vec![cut]), [open(FULL), open(FULLER), marked]);
}
