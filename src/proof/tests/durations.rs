use super::*;

const SUNDAYS: &str = "windows: { weekly: { on: sunday, from: \"03:00\", to: \"04:00\" } }\n";

#[track_caller]
fn assert_window(code: u16, window: &str, job: &str, expected: &[&str]) {
    assert_with_main(
        code,
        &format!("windows: {{ w: {window} }}\nbackups: {{ full: {{ physical: {{}}, window: w, keep: {{ last: 3 }}, {job} }} }}"),
        expected,
    );
}

#[test]
fn a_window_shorter_than_the_job() {
    assert_with_main(
        310,
        &format!(
            "{SUNDAYS}backups: {{ full: {{ physical: {{}}, schedule: {{ on: sunday, at: \"03:00\" }}, window: weekly, takes: 90m }} }}"
        ),
        &["error backups.full.window: takes 1h 30m and `windows.weekly` is open for 1h"],
    );
    let oslo = "{ on: sunday, from: \"02:00\", to: \"03:00\", timezone: Europe/Oslo }";
    let job = "schedule: { on: sunday, at: \"02:00\", timezone: Europe/Oslo }, takes: 90m";
    assert_window(
        310,
        oslo,
        job,
        &["error backups.full.window: takes 1h 30m and `windows.w` is open for 1h (0s on a day on which clocks are changed)"],
    );
    // By hand: whenever it is, it does not fit.
    let daily = "{ from: \"03:00\", to: \"04:00\" }";
    assert_window(310, daily, "takes: 2h", &["error backups.full.window: takes 2h and `windows.w` is open for 1h"]);
    assert_window(310, daily, "takes: 1h", &[]);
    // Nothing is known.
    assert_window(310, daily, "schedule: { at: \"03:00\" }", &[]);
}

#[test]
fn a_job_that_begins_too_late_in_its_window() {
    let night = "{ from: \"22:00\", to: \"06:00\" }";
    let late = ["error backups.full.window: takes 45m and begins 30m before `windows.w` closes"];
    assert_window(310, night, "schedule: { at: \"05:30\" }, takes: 45m", &late);
    let sometimes = ["warning backups.full.window: takes 45m and has only 30m of `windows.w` on 2026-11-22 05:30 UTC"];
    assert_window(310, night, "schedule: { cron: \"30 1,5 * * *\" }, takes: 45m", &sometimes);
    let oslo = "{ from: \"01:00\", to: \"04:00\", timezone: Europe/Oslo }";
    let job = "schedule: { at: \"01:00\", timezone: Europe/Oslo }, takes: 150m";
    let spring = [
        "warning backups.full.window: takes 2h 30m and has only 2h of `windows.w` on 2027-03-28 01:00 Europe/Oslo, when clocks are changed",
    ];
    assert_window(310, oslo, job, &spring);
}

#[test]
fn measured_before_declared_before_reckoned() {
    let body = |job: &str| {
        format!(
            "{HEAD}{MAIN}{SUNDAYS}objectives: {{ rpo: 1h, assume: {{ cluster_size: 1TB, backup: 100MB/s }} }}\nbackups: {{ full: {{ physical: {{}}, schedule: {{ on: sunday, at: \"03:00\" }}, window: weekly, keep: {{ last: 3 }}{job} }} }}"
        )
    };
    let found = |text: &str, inventory: Option<&ClusterInventory>| -> Vec<String> {
        prove(&policy_of(text), inventory, now()).iter().filter(|finding| finding.code.0 == 310).map(line).collect()
    };
    let reckoned = "error backups.full.window: takes 2h 46m 40s (1TB at 100MB/s) and `windows.weekly` is open for 1h";
    assert_eq!(found(&body(""), None), [reckoned]);
    assert_eq!(found(&body(", takes: 61m"), None), ["error backups.full.window: takes 1h 1m and `windows.weekly` is open for 1h"]);
    let measured = inventory("full", "90m");
    assert_eq!(
        found(&body(", takes: 5m"), Some(&measured)),
        ["error backups.full.window: takes 1h 30m (measured) and `windows.weekly` is open for 1h"]
    );
    // Another job was measured, and the cluster is a tenth of what was assumed.
    assert_eq!(found(&body(""), Some(&inventory("other", "90m"))), [""; 0]);
}

#[test]
fn a_schedule_that_is_never_inside_its_window() {
    let never = "error backups.full.window: never runs: every Monday at 03:00 UTC is always outside `windows.w` (every Sunday from 03:00 to 04:00 UTC)";
    let sunday = "{ on: sunday, from: \"03:00\", to: \"04:00\" }";
    assert_window(311, sunday, "schedule: { on: monday, at: \"03:00\" }", &[never]);
    assert_window(312, sunday, "schedule: { on: monday, at: \"03:00\" }", &[]);
    // Once a year is not never.
    let yearly = "{ last: sunday, of: year, from: \"03:00\", to: \"04:00\" }";
    assert_window(311, yearly, "schedule: { at: \"03:00\" }", &[]);
    assert_window(311, sunday, "schedule: { date: \"02-29\", at: \"03:00\" }", &[]);
    // At the moment it closes is outside.
    assert_window(
        311,
        "{ from: \"03:00\", to: \"04:00\" }",
        "schedule: { at: \"04:00\" }",
        &[
            "error backups.full.window: never runs: every day at 04:00 UTC is always outside `windows.w` (every day from 03:00 to 04:00 UTC)",
        ],
    );
}

#[test]
fn a_schedule_that_is_sometimes_outside_its_window() {
    let sunday = "{ on: sunday, from: \"03:00\", to: \"04:00\" }";
    assert_window(
        312,
        sunday,
        "schedule: { at: \"03:00\" }",
        &["warning backups.full.window: fires outside `windows.w`, next on 2026-11-23 03:00 UTC, and does not run then"],
    );
    // The window is left out with the hour, and the job runs an hour later.
    assert_window(
        312,
        "{ on: sunday, from: \"02:00\", to: \"03:00\", timezone: Europe/Oslo }",
        "schedule: { on: sunday, at: \"02:00\", timezone: Europe/Oslo }",
        &["warning backups.full.window: fires outside `windows.w`, next on 2027-03-28 03:00 Europe/Oslo, and does not run then"],
    );
    // Summer in Oslo, and the job counts in UTC.
    assert_window(
        312,
        "{ from: \"03:00\", to: \"04:00\", timezone: Europe/Oslo }",
        "schedule: { at: \"02:30\" }",
        &["warning backups.full.window: fires outside `windows.w`, next on 2027-03-28 02:30 UTC, and does not run then"],
    );
    assert_window(312, sunday, "schedule: { on: sunday, at: \"03:30\" }", &[]);
    assert_window(312, "{ from: \"00:00\", to: \"00:00\" }", "schedule: { every: 15m }", &[]);
}

#[test]
fn drills_and_checks_stay_inside_as_well() {
    let body = "
windows: { w: { on: sunday, from: \"03:00\", to: \"04:00\" } }
backups: { full: { physical: {}, keep: { last: 2 } } }
verify: { weekly: { schedule: { on: saturday, at: \"03:00\" }, window: w } }
drills: { weekly: { restore: { latest: full }, schedule: { on: friday, at: \"03:00\" }, window: w } }
";
    let window = "is always outside `windows.w` (every Sunday from 03:00 to 04:00 UTC)";
    let verify = format!("error verify.weekly.window: never runs: every Saturday at 03:00 UTC {window}");
    let drill = format!("error drills.weekly.window: never runs: every Friday at 03:00 UTC {window}");
    assert_with_main(311, body, &[&verify, &drill]);
}

#[test]
fn runs_in_an_hour_that_is_left_out_or_comes_twice() {
    let job = |schedule: &str| format!("backups: {{ full: {{ physical: {{}}, schedule: {schedule}, keep: {{ last: 3 }} }} }}");
    assert_with_main(
        313,
        &job("{ at: \"02:30\", timezone: Europe/Oslo }"),
        &["note backups.full.schedule: 02:30 does not exist on 2027-03-28 and runs at 03:30"],
    );
    // The next change in Santiago goes back at midnight on a Saturday.
    assert_with_main(
        313,
        &job("{ on: saturday, at: \"23:30\", timezone: America/Santiago }"),
        &["note backups.full.schedule: 23:30 comes twice on 2027-04-03 and runs the first time only"],
    );
    for unaffected in [
        "{ at: \"02:30\" }",
        "{ at: \"04:00\", timezone: Europe/Oslo }",
        "{ on: monday, at: \"02:30\", timezone: Europe/Oslo }",
        "{ cron: \"30 * * * *\", timezone: Europe/Oslo }",
        "{ every: 15m, timezone: Europe/Oslo }",
    ] {
        assert_with_main(313, &job(unaffected), &[]);
    }
}

#[test]
fn a_job_that_overlaps_itself() {
    let job = |schedule: &str, takes: &str| {
        format!("backups: {{ full: {{ physical: {{}}, schedule: {schedule}, takes: {takes}, keep: {{ last: 3 }} }} }}")
    };
    assert_with_main(
        314,
        &job("{ every: 15m }", "20m"),
        &["error backups.full.schedule: takes 20m and starts again after 15m: it would overlap itself"],
    );
    assert_with_main(
        314,
        &job("{ cron: \"0 1,3,13 * * *\" }", "3h"),
        &["error backups.full.schedule: takes 3h and starts again after 2h: it would overlap itself"],
    );
    assert_with_main(314, &job("{ every: 15m }", "15m"), &[]);
}

#[test]
fn two_jobs_that_read_everything_at_the_same_minute() {
    let jobs = |full: &str, dump: &str| {
        format!(
            "backups: {{ full: {{ physical: {{}}, schedule: {full}, keep: {{ last: 3 }} }}, dump: {{ logical: {{}}, schedule: {dump}, keep: {{ last: 3 }} }} }}"
        )
    };
    assert_with_main(
        315,
        &jobs("{ at: \"02:00\" }", "{ first: monday, of: quarter, at: \"02:00\" }"),
        &["warning backups.full.schedule: starts together with `backups.dump`, next on 2027-01-04 02:00 UTC"],
    );
    assert_with_main(315, &jobs("{ at: \"02:00\" }", "{ at: \"03:00\" }"), &[]);
    assert_with_main(315, &jobs("{ on: monday, at: \"02:00\" }", "{ on: sunday, at: \"02:00\" }"), &[]);
}

#[test]
fn what_only_a_change_of_the_clocks_moves_into_the_window_never_runs() {
    let night = "{ from: \"03:00\", to: \"06:00\", timezone: Europe/Oslo }";
    let job = "schedule: { at: \"02:15\", timezone: Europe/Oslo }";
    let never = "error backups.full.window: never runs: every day at 02:15 Europe/Oslo is always outside `windows.w` (every day from 03:00 to 06:00 Europe/Oslo)";
    assert_window(311, night, job, &[never]);
    assert_window(312, night, job, &[]);
    // On clocks that change at other times it runs for half of the year.
    assert_window(311, night, "schedule: { at: \"01:30\", timezone: UTC }", &[]);
}

#[test]
fn a_backup_that_is_always_stopped_as_hung() {
    let body = |timeout: &str| format!("backups: {{ full: {{ physical: {{}}, takes: 2h, timeout: {timeout}, keep: {{ last: 3 }} }} }}");
    assert_with_main(317, &body("5m"), &["error backups.full.timeout: takes 2h and is stopped after 5m"]);
    assert_with_main(317, &body("2h"), &[]);
    assert_with_main(317, "backups: { full: { physical: {}, timeout: 5m, keep: { last: 3 } } }", &[]);
    let policy = policy_of(&format!("{HEAD}{MAIN}{}", body("3h")));
    let said: Vec<String> = prove(&policy, Some(&inventory("full", "4h")), now()).iter().map(line).collect();
    assert!(said.contains(&"error backups.full.timeout: takes 4h (measured) and is stopped after 3h".to_owned()), "{said:?}");
}

#[test]
fn a_job_that_no_host_runs() {
    let with = |hosts: &str, more: &str| {
        let head = HEAD.replace("databases: [shop]", &format!("databases: [shop], hosts: {{ {hosts} }}"));
        let body = format!(
            "{head}{MAIN}backups:\n  full: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ last: 3 }} }}\n  dump: {{ logical: {{}}, schedule: {{ at: \"04:00\" }}, keep: {{ last: 3 }} }}\n{more}"
        );
        let found = prove(&policy_of(&body), None, now());
        found.iter().filter(|finding| finding.code.0 == 316).map(line).collect::<Vec<_>>()
    };
    let none = "error cluster.hosts: none of these hosts runs ";
    assert_eq!(with("stage: { role: staging }", ""), [format!("{none}`backups.dump`, `backups.full`")]);
    let drill = "drills: { q: { restore: { latest: full }, schedule: { first: monday, at: \"06:00\" }, host: stage } }\n";
    assert_eq!(with("stage: { role: staging }", drill), [format!("{none}`backups.dump`, `backups.full`")]);
    // A runner takes dumps unasked, and reads a server's files only when it is told to.
    assert_eq!(with("run1: { role: runner }", ""), [format!("{none}`backups.full`")]);
    for sound in [
        "db1: { role: primary }",
        "db2: { role: standby }",
        "run1: { role: runner, backups: true }",
        "db1: { role: primary }, stage: { role: staging }",
    ] {
        assert_eq!(with(sound, ""), Vec::<String>::new(), "{sound}");
    }
    assert_eq!(findings("").iter().filter(|finding| finding.code.0 == 316).count(), 0, "without hosts every host runs everything");
}

#[test]
fn a_job_that_this_version_does_not_run() {
    let full = "full: { physical: {}, schedule: { at: \"02:00\" }, keep: { last: 3 } }";
    let with = |job: &str, expected: &[&str]| assert_with_main(419, &format!("backups: {{ {full}, {job} }}"), expected);
    with(
        "inc: { incremental: { of: full }, schedule: { every: 1h }, keep: { last: 3 } }",
        &[
            "note backups.inc.incremental: this version takes no `incremental` backups: the job is only planned, and no objective counts on it",
        ],
    );
    with(
        "theirs: { engine: { pgbackrest: { stanza: main } }, schedule: { every: 1h } }",
        &["note backups.theirs.engine: this version takes no `engine` backups: the job is only planned, and no objective counts on it"],
    );
    with("theirs: { engine: { pgbackrest: { stanza: main }, mode: watch } }", &[]);
    with("inc: { incremental: { of: full }, keep: { last: 3 } }", &[]);
}
