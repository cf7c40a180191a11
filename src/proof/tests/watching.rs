use super::*;

const FULL: &str = "backups: { full: { physical: {}, schedule: { at: \"02:00\" }, takes: 50m, keep: { last: 7 } } }\n";

#[test]
fn a_drill_that_expects_nothing() {
    let drill = |rest: &str| format!("{FULL}drills: {{ d: {{ restore: {{ latest: full }}{rest} }} }}");
    assert_with_main(801, &drill(""), &["warning drills.d: this drill expects nothing: it proves only that the restored server starts"]);
    assert_with_main(801, &drill(", expect: { rows: { check: row-counts } }"), &[]);
    assert_with_main(801, &drill(", run: { run: [./validate.sh] }"), &[]);
}

#[test]
fn drills_that_are_too_rare() {
    let drill = |schedule: &str| format!("{FULL}drills: {{ d: {{ restore: {{ latest: full }}{schedule} }} }}");
    assert_with_main(803, FULL, &["warning : no drill: nothing ever proves that a backup can be restored"]);
    assert_with_main(803, &drill(""), &["warning drills: no drill runs by the clock"]);
    assert_with_main(
        803,
        &drill(", schedule: { date: 01-20, at: \"04:00\" }"),
        &["warning drills.d.schedule: 12 months can pass between one drill and the next"],
    );
    for often in
        ["{ first: monday, of: quarter, at: \"04:00\" }", "{ last: friday, of: quarter, at: \"04:00\" }", "{ on: monday, at: \"04:00\" }"]
    {
        assert_with_main(803, &drill(&format!(", schedule: {often}")), &[]);
    }
    let provider = "backups: { managed: { provider: { aiven: { project: p, service: s, token: { env: TOKEN } }, newest_within: 26h } } }";
    assert_found(803, provider, &[]);
}

fn limits(backups: &str, thresholds: &str) -> String {
    format!("backups: {{ {backups} }}\nalerts: {{ thresholds: {{ {thresholds} }} }}\n")
}

fn job(name: &str, schedule: &str, takes: &str) -> String {
    format!("{name}: {{ physical: {{}}, schedule: {schedule}, {takes} keep: {{ last: 7 }} }}")
}

#[test]
fn an_alert_that_fires_although_all_is_well() {
    let nightly = job("full", "{ at: \"02:00\" }", "takes: 50m,");
    let at = "alerts.thresholds.backup_age_of.full";
    let expected = format!("warning {at}: the newest backup of `backups.full` becomes 24h 50m old with 24h between two runs that take 50m");
    assert_with_main(804, &limits(&nightly, "backup_age_of: { full: 24h }"), &[&expected]);
    assert_with_main(804, &limits(&nightly, "backup_age_of: { full: 25h }"), &[]);
    assert_with_main(804, &limits(&nightly, "backup_age_of: { full: { above: 24h, for: 1h } }"), &[]);
    let unknown = job("full", "{ at: \"02:00\" }", "");
    let expected =
        format!("warning {at}: the newest backup of `backups.full` becomes 24h old with 24h between two runs, before the next is done");
    assert_with_main(804, &limits(&unknown, "backup_age_of: { full: 1d }"), &[&expected]);
    let oslo = job("full", "{ at: \"02:00\", timezone: Europe/Oslo }", "takes: 50m,");
    let expected = format!(
        "note {at}: the newest backup of `backups.full` becomes 25h 50m old after the run of 2027-10-31 02:00 Europe/Oslo, when clocks are changed"
    );
    assert_with_main(804, &limits(&oslo, "backup_age_of: { full: 25h }"), &[&expected]);
}

#[test]
fn a_limit_for_all_jobs_is_judged_by_the_rarest() {
    let jobs = format!("{}, {}", job("full", "{ at: \"02:00\" }", ""), job("weekly", "{ on: sunday, at: \"04:00\" }", ""));
    let expected = "warning alerts.thresholds.backup_age: the newest backup of `backups.weekly` becomes 7d old with 7d between two runs, before the next is done";
    assert_with_main(804, &limits(&jobs, "backup_age: 25h"), &[expected]);
    assert_with_main(804, &limits(&jobs, "backup_age: 25h, backup_age_of: { weekly: 8d }"), &[]);
}

#[test]
fn the_age_of_drills_and_the_lag_of_the_log() {
    let drill = "drills: { d: { restore: { latest: full }, schedule: { first: monday, of: quarter, at: \"04:00\" } } }\n";
    let nightly = job("full", "{ at: \"02:00\" }", "");
    let expected = "warning alerts.thresholds.drill_age: 98d can pass between one drill and the next";
    assert_with_main(804, &format!("{drill}{}", limits(&nightly, "drill_age: 92d")), &[expected]);
    assert_with_main(804, &format!("{drill}{}", limits(&nightly, "drill_age: 98d")), &[]);
    let wal = "wal: { store: main, timeout: 5m, keep: 7d }\nobjectives: { rpo: 15m, assume: { push: 10s } }\n";
    let lag = |limit: &str| format!("{wal}{}", limits(&nightly, &format!("wal_lag: {limit}")));
    let expected = "warning alerts.thresholds.wal_lag: a segment may wait 5m before it is archived, and sending it takes 10s";
    assert_with_main(804, &lag("5m"), &[expected]);
    assert_with_main(804, &lag("{ above: 4m, for: 1m }"), &[expected]);
    assert_with_main(804, &lag("10m"), &[]);
}

#[test]
fn alerts_of_which_nobody_would_miss_the_host() {
    let told = |alerts: &str, more: &str| {
        format!("receivers: {{ dba: {{ slack: {{ webhook: {{ env: HOOK }} }} }} }}\nalerts: {{ {alerts} }}\n{more}")
    };
    let routes = "routes: [{ severity: critical, to: [dba] }, { to: [dba] }]";
    let expected = "warning alerts.routes: alerts go to `dba`, and when the host that sends them is dead nobody is told";
    assert_with_main(805, &told(routes, ""), &[expected]);
    assert_with_main(805, &told(&format!("{routes}, heartbeat: {{ url: {{ env: HEARTBEAT_URL }} }}"), ""), &[]);
    assert_with_main(805, &told("thresholds: { drill_age: 92d }", ""), &[]);
    // Hosts that share no catalog do not know what the others owe; one alone has nobody beside it.
    let shared = "catalog: { postgres: { connection: service=catalog } }\n";
    assert_with_main(805, &told(routes, shared), &[expected]);
    let hosts = |more: &str| {
        let text = format!("{HEAD}{MAIN}{}", told(routes, more))
            .replace("databases: [shop]", "hosts: { a: { role: primary }, b: { role: standby } }");
        prove(&policy_of(&text), None, now()).iter().filter(|finding| finding.code.0 == 805).count()
    };
    assert_eq!((hosts(""), hosts(shared)), (1, 0));
}
