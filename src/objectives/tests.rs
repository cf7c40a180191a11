mod hints;

use std::path::Path;

use super::*;
use crate::inventory::ClusterInventory;
use crate::policy::document::Document;
use crate::policy::resolve::resolve;
use crate::units::{Duration, Period};

const NOW: &str = "2026-11-21T08:00:00Z";

/// A policy with stores `main` and `offsite`, and what the test adds.
fn policy(text: &str) -> Policy {
    policy_of(", databases: [app]", text)
}

/// The same of other databases.
fn policy_of(databases: &str, text: &str) -> Policy {
    let text = format!(
        "version: 1\npolicy: t\nowner: dba@example.com\ncluster: {{ connection: service=t{databases} }}\n\
         encryption: {{ none: {{ because: a test }} }}\n\
         stores:\n  main: {{ local: {{ path: /srv/main }} }}\n  offsite: {{ local: {{ path: /srv/offsite }} }}\n{text}"
    );
    let document = Document::load("t.yaml", Path::new("t.yaml"), &|_| Ok(text.clone().into_bytes()));
    let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
    resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings))
}

fn judged(text: &str) -> Assessment {
    assess(&policy(text), None, NOW.parse().expect("a moment"))
}

/// Of two databases.
fn judged_of_two(text: &str) -> Assessment {
    assess(&policy_of(", databases: [one, two]", text), None, NOW.parse().expect("a moment"))
}

fn measured(text: &str, inventory: &str) -> Assessment {
    let inventory: ClusterInventory = serde_json::from_str(inventory).expect("an inventory");
    assess(&policy(text), Some(&inventory), NOW.parse().expect("a moment"))
}

/// `subject what worst margin answer`, line by line.
fn rows(assessment: &Assessment) -> Vec<String> {
    let line = |row: &Row| {
        let margin = row.margin.map_or("-".to_owned(), |margin| margin.to_string());
        let answer = row.answer.as_ref().map_or("nothing".to_owned(), Answer::to_string);
        format!("{} {}: {} ({margin}), {answer}", row.subject, row.what, row.worst)
    };
    assessment.rows.iter().map(line).collect()
}

/// `code path: message | label | hint`, line by line.
fn findings(assessment: &Assessment) -> Vec<String> {
    let line = |finding: &crate::policy::finding::Finding| {
        let mut line = format!("{} {}: {}", finding.code, finding.path, finding.message);
        for more in [&finding.label, &finding.hint].into_iter().flatten() {
            line.push_str(&format!(" | {more}"));
        }
        for related in &finding.related {
            line.push_str(&format!(" + {}", related.path));
        }
        line
    };
    assessment.findings.iter().map(line).collect()
}

const NIGHTLY: &str = "backups: { nightly: { physical: {}, store: main, copies: [offsite], schedule: { cron: '0 2 * * *' }, keep: { daily: 30, yearly: 7 } } }\n";
const ASSUME: &str = "assume: { cluster_size: 500GB, wal_per_hour: 4GB, restore: 200MB/s, replay: 80MB/s, provision: 20m }";

#[test]
fn the_archive_timeout_alone_may_use_up_the_rpo() {
    let judged = judged(&format!(
        "{NIGHTLY}wal: {{ store: main, timeout: 300s, keep: 7d }}
objectives:
  rpo: 5m
  rto: 4h
  {ASSUME}
  scenarios: {{ single-table: {{ recover: table }}, tight: {{ recover: table, rpo: 4m }} }}
drills: {{ monthly: {{ restore: {{ latest: nightly }}, schedule: {{ first: monday, at: '04:00' }} }} }}
"
    ));
    assert_eq!(
        rows(&judged),
        [
            "everything rpo: 5m 30s (30s short), point in time from nightly in main",
            "everything rto: 1h 52m 50s (2h 7m 10s to spare), point in time from nightly in main",
            "single-table rpo: 5m 30s (30s short), point in time from nightly in main",
            "single-table rto: 1h 52m 50s (2h 7m 10s to spare), point in time from nightly in main",
            "tight rpo: 5m 30s (1m 30s short), point in time from nightly in main",
            "tight rto: 1h 52m 50s (2h 7m 10s to spare), point in time from nightly in main",
        ]
    );
    assert_eq!(
        findings(&judged),
        ["SW0407 wal.timeout: rpo of 5m cannot be kept: the log alone may wait 5m \
          | up to 5m 30s may be lost: 5m WAL timeout + 30s push \
          | Lower `wal.timeout` to 4m 30s, or raise the objective to 5m 30s. + objectives.rpo + objectives.scenarios.tight.rpo"]
    );
}

/// All of it takes 1h 52m: a table that may take an hour is no broken promise, and one that may take 40 minutes is one, whatever comes back.
#[test]
fn how_long_all_of_it_takes_says_nothing_against_a_part() {
    let of = |objective: &str, known: &str| {
        let text = format!(
            "{NIGHTLY}wal: {{ store: main, timeout: 60s, keep: 7d }}\nobjectives:\n  rpo: 5m\n  rto: 4h\n  {ASSUME}\n  \
             scenarios: {{ one: {{ {objective} }} }}\ndrills: {{ few: {{ restore: {{ latest: nightly, tables: [public.orders], database: app }}, rehearses: one }} }}\n"
        );
        let inventory = format!(
            r#"{{ "system_identifier": {{ "unknown": {{ "reason": "x" }} }}, "postgres_version": {{ "known": "16.4" }}, "cluster_size": {{ "known": "500GB" }},
                "stores": {{}}, "holds": {{ "known": [] }}, "measured": {{ "known": {{ {known} }} }} }}"#
        );
        let judged = measured(&text, &inventory);
        let row = rows(&judged).into_iter().find(|row| row.starts_with("one rto")).expect("a row");
        (row, findings(&judged).into_iter().find(|line| line.contains("scenarios.one")).unwrap_or_default())
    };
    assert_eq!(
        of("recover: table, rto: 2h", ""),
        ("one rto: 1h 52m 50s (7m 10s to spare), point in time from nightly in main".into(), String::new())
    );
    let (row, finding) = of("recover: table, rto: 1h", "");
    assert_eq!(row, "one rto: more than 50m (-), point in time from nightly in main");
    assert_eq!(
        finding,
        "SW0403 objectives.scenarios.one.rto: whether the rto of 1h is kept is not known: no drill has measured how long it takes to bring back \
         a part of what holds it | Let a drill with `restore.tables` say `rehearses: one`: what it takes is reckoned with."
    );
    assert!(of("recover: table, rto: 40m", "").1.starts_with("SW0402"));
    let took = |took: &str| format!(r#""rehearsals": {{ "one": {{ "value": "{took}", "at": "2026-11-02T04:31:00Z", "how": "drill" }} }}"#);
    let (row, finding) = of("recover: table, rto: 1h", &took("4m"));
    assert_eq!((row.as_str(), finding.as_str()), ("one rto: 54m (6m to spare), point in time from nightly in main", ""));
    assert!(of("recover: table, rto: 1h", &took("11m")).1.starts_with("SW0413"));
}

#[test]
fn every_part_says_what_it_is_and_where_it_came_from() {
    let judged =
        judged(&format!("{NIGHTLY}wal: {{ store: main, timeout: 60s, keep: 7d }}\nobjectives: {{ rpo: 5m, rto: 4h, {ASSUME} }}\n"));
    let said: Vec<String> =
        judged.rows[1].worst.parts().iter().map(|part| format!("{}: {} [{}]", part.length, part.label, part.origin)).collect();
    assert_eq!(
        said,
        [
            "15m: people find out what is wrong and decide [default]",
            "20m: a server to restore onto is made ready [declared in objectives.assume.provision]",
            "41m 40s: fetch and restore 500GB from `main` at 200MB/s [declared in objectives.assume.restore]",
            // 500 GB at the default of 100 MB/s is a backup of 1h 23m 20s; with the gap, 25.39 h at 4 GB an hour.
            "21m 10s: replay of the longest run of the log: 25h 23m 20s at 4GB an hour, 101 GB at 80MB/s [default]",
            "10m: what came back is checked [default]",
            "5m: the applications are let in [default]",
        ]
    );
}

#[test]
fn measured_figures_win_and_the_declared_ones_stand_beside_them() {
    let inventory = r#"{ "system_identifier": { "unknown": { "reason": "x" } }, "postgres_version": { "known": "16.4" },
        "cluster_size": { "known": "600GB" }, "stores": {}, "holds": { "known": [] }, "measured": { "known": {
            "restore": { "value": "150MB/s", "at": "2026-11-02T04:31:00Z", "how": "drill" },
            "fetch": { "main": { "value": "120MB/s", "at": "2026-11-02T04:31:00Z", "how": "drill" } },
            "backup_durations": { "nightly": { "value": "1h", "at": "2026-11-20T03:00:00Z", "how": "run" } },
            "push": { "value": "2s", "at": "2026-11-20T00:00:00Z", "how": "run" } } } }"#;
    let text = format!("{NIGHTLY}wal: {{ store: main, timeout: 60s, keep: 7d }}\nobjectives: {{ rpo: 5m, rto: 4h, {ASSUME} }}\n");
    let judged = measured(&text, inventory);
    assert_eq!(judged.rows[0].worst.total(), Some(Duration::from_secs(62)));
    assert_eq!(judged.rows[0].worst.parts()[1].origin.to_string(), "measured by its runs on 2026-11-20");
    let restore = &judged.rows[1].worst.parts()[2];
    assert_eq!(restore.label, "fetch and restore 600GB from `main` at 120MB/s");
    let sources: Vec<_> = restore.rests_on.iter().map(|basis| (basis.origin.to_string(), basis.declared.as_deref())).collect();
    assert_eq!(sources, [("observed".into(), Some("500GB")), ("measured by a drill on 2026-11-02".into(), Some("200MB/s"))]);
}

#[test]
fn a_daily_dump_loses_a_day_and_the_time_it_takes() {
    let judged = judged(
        "backups: { nightly: { logical: {}, store: main, schedule: { cron: '0 2 * * *' }, keep: { daily: 7 }, takes: 40m, size: 30GB } }
objectives:
  rpo: 24h
  rto: 1h
  scenarios: { corruption: { recover: database, by: point-in-time }, whole: { recover: cluster } }
drills: { weekly: { restore: { latest: nightly }, schedule: { on: sunday, at: '04:00' } } }
",
    );
    assert_eq!(
        rows(&judged)[..4],
        [
            "everything rpo: 24h 40m (40m short), newest backup from nightly in main",
            "everything rto: 1h 50m (50m short), newest backup from nightly in main",
            "corruption rpo: unknown (-), nothing",
            "corruption rto: unknown (-), nothing",
        ]
    );
    assert_eq!(
        findings(&judged),
        [
            "SW0401 objectives.rpo: rpo of 24h cannot be kept: up to 24h 40m may be lost | 24h longest gap + 40m duration \
             | Run `backups.nightly` at least every 23h, archive the log (`wal`, with a physical backup), or raise the objective to 24h 40m. \
             + objectives.scenarios.whole",
            "SW0402 objectives.rto: rto of 1h cannot be kept: it may take up to 1h 50m \
             | 15m assessment + 30m provision + 50m load + 10m validation + 5m release \
             | The load is the largest part, 50m; the rest alone takes 1h: raise the objective to 2h. + objectives.scenarios.whole",
            "SW0404 objectives.scenarios.corruption: nothing can answer this: the log is not archived; there is no physical backup to begin \
             with: a dump cannot be rolled forward \
             | Add a `wal` section and a `physical` backup, or write `by: newest-backup` with the RPO that dumps can keep.",
        ]
    );
}

#[test]
fn an_unknown_duration_does_not_hide_that_the_gap_alone_is_too_long() {
    let judged = judged(
        "backups: { nightly: { logical: {}, store: main, schedule: { cron: '0 2 * * *' }, keep: { daily: 7 } } }
objectives: { rpo: 24h, rto: 30d }
",
    );
    assert_eq!(rows(&judged)[0], "everything rpo: more than 24h (-), newest backup from nightly in main");
    assert_eq!(
        findings(&judged)[..2],
        [
            "SW0401 objectives.rpo: rpo of 24h cannot be kept: more than 24h may be lost | 24h longest gap \
             | Run `backups.nightly` more often, archive the log (`wal`, with a physical backup), or raise the objective well above 24h.",
            "SW0403 objectives.rto: whether the rto of 30d is kept is not known: nobody has said how large the cluster is \
             | Declare `objectives.assume.cluster_size`; it is used until a run or a drill has measured it.",
        ]
    );
}

#[test]
fn a_store_that_only_gets_copies() {
    let scenario = "objectives:\n  rto: 1d\n  scenarios: { region: { recover: cluster, from: offsite, rpo: 1h } }\n";
    let with = |wal: &str| {
        let judged = judged(&format!("{NIGHTLY}{wal}{scenario}  {ASSUME}\n"));
        (rows(&judged)[2].clone(), findings(&judged).into_iter().find(|line| line.starts_with("SW040") && !line.starts_with("SW0408")))
    };
    let (row, finding) = with("wal: { store: main, timeout: 5m, keep: 7d }\n");
    assert_eq!(row, "region rpo: 26h 23m 20s (25h 23m 20s short), newest backup from nightly in offsite");
    assert_eq!(
        finding.expect("it cannot be kept"),
        "SW0401 objectives.scenarios.region.rpo: rpo of 1h cannot be kept: up to 26h 23m 20s may be lost \
         | 24h longest gap + 1h 23m 20s duration + 1h copy \
         | No schedule is close enough: send the log to `offsite` as well (`wal.copies`), or raise the objective to 26h 23m 20s."
    );
    let all = with("wal: { store: main, copies: [offsite], timeout: 5m, keep: 7d }\n");
    assert_eq!(all, ("region rpo: 5m 30s (54m 30s to spare), point in time from nightly in offsite".into(), None));
    let first = with("wal: { store: main, copies: [offsite], acknowledged_by: first, timeout: 5m, keep: 7d }\n");
    assert_eq!(first.0, "region rpo: 6m (54m to spare), point in time from nightly in offsite");
}

/// A job's backups in its first store.
fn stock<'p>(policy: &'p Policy, job: &str) -> answer::Stock<'p> {
    let (name, backup) = policy.backups.get_key_value(job).expect("a job");
    answer::Stock::first(name, backup).expect("a store")
}

/// No job of this version takes increments. What they would be worth is reckoned all the same.
#[test]
fn increments_shorten_the_replay_only_when_their_size_is_known() {
    let sum = |size: &str, with: bool| {
        let policy = policy(&format!(
            "backups:
  nightly: {{ physical: {{}}, store: main, schedule: {{ cron: '0 2 * * *' }}, keep: {{ daily: 7 }} }}
  often: {{ incremental: {{ of: nightly, chain: 4 }}, schedule: {{ every: 15m }}, takes: 5m, keep: {{ for: 24h }}{size} }}
wal: {{ store: main, timeout: 60s, keep: 7d }}
objectives: {{ rpo: 5m, rto: 4h, assume: {{ cluster_size: 500GB, wal_per_hour: 80GB }} }}
"
        ));
        let figures = Figures::new(&policy, None, NOW.parse().expect("a moment"));
        let question = &question::questions(&policy)[0];
        let (base, often, log) = (stock(&policy, "nightly"), stock(&policy, "often"), policy.wal.as_ref().map(|wal| &wal.store));
        let run = time::Run::Since { job: if with { often } else { base } };
        let sum = time::physical(&figures, question, &base, with.then_some(&often), log, &run);
        (sum.parts.iter().map(|part| format!("{} {}", part.length, part.kind)).collect::<Vec<_>>(), sum.lacks.len())
    };
    // 25h 23m 20s at 80 GB an hour and 50 MB/s, against 20 minutes of it and four increments of 10 GB.
    assert_eq!(sum("", false).0[3], "11h 17m 3s replay");
    assert_eq!(sum(", size: 10GB", true).0[3..5], ["6m 40s increments", "8m 54s replay"]);
    assert_eq!(sum("", true).1, 1, "of unknown size they are no better");
}

#[test]
fn a_job_that_this_version_cannot_run_promises_nothing() {
    let judged = judged(
        "backups:
  full: { physical: {}, store: main, schedule: { day: 1, at: '02:00' }, keep: { monthly: 3 }, takes: 10m }
  hourly: { incremental: { of: full }, store: main, schedule: { every: 1h }, keep: { for: 7d }, takes: 5m, size: 1GB }
objectives:
  rpo: 2h
  assume: { cluster_size: 10GB, wal_per_hour: 1GB }
  scenarios: { often: { recover: cluster, using: hourly } }
",
    );
    assert_eq!(rows(&judged)[0], "everything rpo: 31d 10m (30d 22h 10m short), newest backup from full in main");
    assert_eq!(
        findings(&judged)[..2],
        [
            "SW0401 objectives.rpo: rpo of 2h cannot be kept: up to 31d 10m may be lost | 31d longest gap + 10m duration \
             | Run `backups.full` at least every 1h 45m, archive the log (`wal`, with a physical backup), or raise the objective to 31d 10m.",
            "SW0404 objectives.scenarios.often: nothing can answer this: `hourly` is only planned: this version \
             takes no `incremental` backups | Add a `physical` backup, or a `logical` one of every database with its globals.",
        ]
    );
    assert_eq!(judged.reach.iter().map(|row| row.job.as_str()).collect::<Vec<_>>(), ["full"]);
}

#[test]
fn another_tool_answers_only_where_it_runs_by_itself() {
    let first = |mode: &str| {
        let text = format!(
            "backups: {{ theirs: {{ engine: {{ pgbackrest: {{ stanza: main }}, loses_at_most: 5m, recovery_takes: 1h }}{mode} }} }}\nobjectives: {{ rpo: 1h, rto: 4h }}\n"
        );
        rows(&judged(&text))[0].clone()
    };
    assert_eq!(first(""), "everything rpo: 5m (55m to spare), external from theirs");
    assert_eq!(first(", schedule: { every: 1h }"), "everything rpo: unknown (-), nothing");
}

#[test]
fn the_age_that_a_provider_is_said_to_keep_is_its_word() {
    let judged = judged(
        "backups: { managed: { provider: { aiven: { project: p, service: s, token: { env: T } }, newest_within: 25h, recovery_takes: 1h } } }
objectives: { rpo: 26h, rto: 4h }
",
    );
    assert_eq!(judged.rows[0].worst.parts()[0].label, "the newest backup of `managed` is said to be no older, and nobody looks");
    assert_eq!(
        findings(&judged),
        ["SW0412 objectives.rpo: that the rpo of 26h is kept rests on what the policy says of `managed`: nothing watches it \
          | Let an alert of theirs call you when their newest backup is older, and drill a restore."]
    );
}

#[test]
fn a_database_that_nothing_dumps_is_not_brought_back() {
    let with =
        |backups: &str, objectives: &str| judged_of_two(&format!("backups: {{ {backups} }}\nobjectives: {{ {objectives}, {SIZES} }}\n"));
    let one = "of-one: { logical: { databases: [one] }, store: main, schedule: { at: '02:00' }, keep: { daily: 7 }, takes: 10m }";
    let lost = with(one, "rpo: 25h, rto: 12h");
    assert_eq!(rows(&lost), ["everything rpo: unknown (-), nothing", "everything rto: unknown (-), nothing"]);
    assert_eq!(
        findings(&lost),
        ["SW0404 objectives.rpo: nothing can answer this: `of-one` does not dump the database `two` (name it in `using` if that does not \
          matter) | Add a `physical` backup, or a `logical` one of every database."]
    );
    for recover in ["database", "table", "rows"] {
        let scenario = |using: &str| with(one, &format!("scenarios: {{ lost: {{ recover: {recover}, rpo: 25h{using} }} }}"));
        let of = |judged: &Assessment| rows(judged).into_iter().find(|row| row.starts_with("lost rpo")).expect("a row");
        assert_eq!(of(&scenario("")), "lost rpo: unknown (-), nothing");
        assert_eq!(of(&scenario(", using: of-one")), "lost rpo: 24h 10m (50m to spare), newest backup from of-one in main");
    }
    // Named or not: a cluster is all of its databases.
    let cluster = with(one, "scenarios: { lost: { recover: cluster, using: of-one, rpo: 25h } }");
    assert!(findings(&cluster)[0].contains("`of-one` does not dump the database `two`"), "{:?}", findings(&cluster));
}

/// Named or not: what is not in it does not come back out of it.
#[test]
fn a_dump_answers_only_for_what_is_in_it() {
    let why = |logical: &str, objectives: &str| {
        let dump =
            format!("dump: {{ logical: {{ {logical} }}, store: main, schedule: {{ at: '02:00' }}, keep: {{ daily: 7 }}, takes: 10m }}");
        let all = findings(&judged(&format!("backups: {{ {dump} }}\nobjectives: {{ {objectives}, {SIZES} }}\n")));
        all.into_iter().find(|line| line.starts_with("SW0404")).unwrap_or_default()
    };
    for recover in ["cluster", "database", "table", "rows"] {
        let scenario = format!("scenarios: {{ lost: {{ recover: {recover}, using: dump, rpo: 25h }} }}");
        let said = why("sections: [pre-data, post-data]", &scenario);
        assert!(said.contains("objectives.scenarios.lost") && said.contains("`dump` is without `data` (`sections`)"), "{recover}: {said}");
        assert_eq!(why("sections: [pre-data, data, post-data]", &scenario), "");
    }
    let tier = "rpo: 25h, data: { critical: { tables: [audit_log], rto: 12h } }";
    let said = why("exclude_tables: ['audit_*']", tier);
    assert!(said.contains("leaves tables or schemas out"), "{said}");
    let all = |logical: &str| {
        let dump =
            format!("dump: {{ logical: {{ {logical} }}, store: main, schedule: {{ at: '02:00' }}, keep: {{ daily: 7 }}, takes: 10m }}");
        findings(&judged(&format!("backups: {{ {dump} }}\nobjectives: {{ {tier}, {SIZES} }}\n"))).join("\n")
    };
    let said = all("exclude_tables: ['audit_*']");
    assert!(said.contains("`dump` does not have the rows of `audit_log`: `exclude_tables: audit_*`"), "{said}");
    assert!(!all("").contains("does not have the rows"));
}

#[test]
fn of_dumps_that_are_all_databases_together_the_worst_counts() {
    let backups = "
  hourly: { logical: { databases: [one] }, store: main, schedule: { every: 1h }, keep: { last: 7 }, takes: 10m, size: 1GB }
  nightly: { logical: { databases: [two] }, store: main, schedule: { at: '02:00' }, keep: { daily: 7 }, takes: 20m, size: 30GB }
  monthly: { logical: { databases: [two] }, store: main, schedule: { day: 1, at: '02:00' }, keep: { monthly: 7 }, takes: 20m, size: 30GB }";
    let judged = |more: &str| {
        judged_of_two(&format!(
            "backups:{backups}{more}
objectives: {{ rpo: 25h, scenarios: {{ one-is-lost: {{ recover: database }}, all-are: {{ recover: cluster }} }} }}
"
        ))
    };
    let together = judged("");
    let why = "every database has a dump of its own; this one loses most";
    assert!(together.rows.iter().all(|row| row.answer.as_ref().is_some_and(|answer| answer.why == why)));
    assert_eq!(
        rows(&together),
        [
            "everything rpo: 24h 20m (40m to spare), newest backup from nightly in main",
            "everything rto: 1h 51m 40s (-), newest backup from nightly in main",
            "all-are rpo: 24h 20m (40m to spare), newest backup from nightly in main",
            "all-are rto: 1h 51m 40s (-), newest backup from nightly in main",
            "one-is-lost rpo: 24h 20m (40m to spare), newest backup from nightly in main",
            "one-is-lost rto: 1h 20m (-), newest backup from nightly in main",
        ]
    );
    // A rarer dump of both takes nothing from them.
    let weekly =
        "\n  weekly: { logical: {}, store: main, schedule: { on: sunday, at: '03:00' }, keep: { weekly: 7 }, takes: 1h, size: 31GB }";
    assert_eq!(rows(&judged(weekly))[0], rows(&together)[0]);
}

#[test]
fn whether_named_databases_are_all_is_not_known_where_the_policy_does_not_say() {
    let text = "backups: { dump: { logical: { databases: [one] }, schedule: { at: '02:00' }, store: main, keep: { daily: 7 }, takes: 10m, size: 10GB } }
objectives: { rpo: 25h, rto: 12h, scenarios: { host-lost: { recover: cluster }, dropped: { recover: database } } }
";
    let judged = assess(&policy_of("", text), None, NOW.parse().expect("a moment"));
    let all: Vec<String> = rows(&judged).into_iter().filter(|row| row.contains(" rpo: ")).collect();
    assert_eq!(
        all,
        [
            "everything rpo: unknown (-), nothing",
            "dropped rpo: 24h 10m (50m to spare), newest backup from dump in main",
            "host-lost rpo: unknown (-), nothing",
        ]
    );
    assert_eq!(
        findings(&judged)[0],
        "SW0404 objectives.rpo: nothing can answer this: `dump` dumps the databases that it names, and `cluster.databases` does not say \
         whether these are all (name it in `using` if that does not matter) | Name every database in `cluster.databases`, and dump them all, or \
         add a `physical` backup."
    );
}

#[test]
fn roles_come_from_where_the_dump_comes_from_and_are_as_old_as_they_are() {
    let region = |roles: &str, using: &str| {
        let judged = judged(&format!(
            "backups:
  dump: {{ logical: {{ globals: false }}, schedule: {{ at: '02:00' }}, store: main, copies: [offsite], keep: {{ daily: 7 }}, takes: 10m, size: 10GB }}
  roles: {{ files: {{ globals: true }}, store: main, takes: 1m, size: 1MB, {roles} }}
objectives: {{ scenarios: {{ region: {{ recover: cluster, from: offsite, rpo: 26h{using} }} }} }}
"
        ));
        let finding = findings(&judged).into_iter().find(|line| line.starts_with("SW040")).unwrap_or_default();
        (rows(&judged)[2].clone(), finding)
    };
    let (daily, there) = ("schedule: { at: '03:00' }", "copies: [offsite]");
    let kept = region(&format!("{daily}, {there}"), "");
    assert_eq!(kept.0, "region rpo: 25h 10m (50m to spare), newest backup from dump in offsite");
    for nowhere in [region(daily, ""), region(&format!("{daily}, {there}"), ", using: dump")] {
        assert_eq!(nowhere.0, "region rpo: unknown (-), nothing");
        assert!(nowhere.1.contains("`dump` has no globals: roles would be missing"), "{nowhere:?}");
    }
    let rare = region(&format!("schedule: {{ day: 1, at: '03:00' }}, {there}"), "");
    assert_eq!(rare.0, "region rpo: 31d 1h 1m (29d 23h 1m short), newest backup from dump in offsite");
    assert!(rare.1.contains("Run `backups.roles` at least every 24h"), "{rare:?}");
}

#[test]
fn roles_are_no_files() {
    let judged = judged(
        "backups: { roles: { files: { globals: true }, store: main, schedule: { at: '02:00' }, takes: 1m, size: 1MB } }
objectives: { scenarios: { host: { recover: files, rpo: 25h, rto: 4h } } }
",
    );
    assert_eq!(
        findings(&judged)[0],
        "SW0404 objectives.scenarios.host: nothing can answer this: `roles` holds roles and tablespaces, no files \
         | Add a `files` backup with the paths that must come back."
    );
}

#[test]
fn standby_external_archive_class_and_tiers() {
    let judged = judged(
        "backups:
  theirs: { provider: { aiven: { project: p, service: s, token: { env: T } }, newest_within: 26h, any_moment: 2d } }
  users: { tables: { database: app, tables: [users, accounts] }, store: main, schedule: { every: 1h }, takes: 1m, size: 600MB, keep: { last: 4 } }
objectives:
  rpo: 1h
  rto: 4h
  scenarios:
    loose: { recover: cluster, by: external, rpo: 26h, rto: 4h }
    promoted: { recover: cluster, by: promote-standby }
    rows: { recover: rows, by: promote-standby }
    files: { recover: files }
    tables: { recover: table, using: users, rpo: 2h }
  data: { critical: { tables: [users], rto: 1h } }
",
    );
    assert_eq!(
        rows(&judged),
        [
            "everything rpo: unknown (-), external from theirs",
            "everything rto: more than 30m (-), external from theirs",
            "files rpo: unknown (-), nothing",
            "files rto: unknown (-), nothing",
            "loose rpo: 26h (0s to spare), external from theirs",
            "loose rto: more than 30m (-), external from theirs",
            "promoted rpo: unknown (-), nothing",
            "promoted rto: unknown (-), nothing",
            "rows rpo: unknown (-), nothing",
            "rows rto: unknown (-), nothing",
            "tables rpo: 1h 1m (59m to spare), newest backup from users in main",
            "tables rto: 31m (3h 29m to spare), newest backup from users in main",
            "tier critical rto: 1h 1m (1m short), newest backup from users in main",
        ]
    );
    assert_eq!(
        findings(&judged),
        [
            "SW0412 objectives.rpo: whether the rpo of 1h is kept cannot be reckoned: `theirs` is in other hands \
             | Ask them for their figure, and drill a restore: a drill measures what nobody can compute.",
            "SW0412 objectives.rto: whether the rto of 4h is kept cannot be reckoned: `theirs` is in other hands \
             | Ask them for their figure, and drill a restore: a drill measures what nobody can compute. + objectives.scenarios.loose.rto",
            "SW0404 objectives.scenarios.files: nothing can answer this: `theirs` lies with somebody else; `users` holds no files from outside \
             the database | Add a `files` backup with the paths that must come back.",
            "SW0412 objectives.scenarios.loose.rpo: that the rpo of 26h is kept rests on what the policy says of `theirs`: nothing watches it \
             | Let an alert of theirs call you when their newest backup is older, and drill a restore.",
            "SW0404 objectives.scenarios.promoted: nothing can answer this: the policy knows of no standby to promote \
             | Declare it: `cluster.hosts.NAME: { role: standby }`.",
            "SW0404 objectives.scenarios.rows: nothing can answer this: a standby has repeated whatever happened to the data, and holds no \
             files | Recover it from a backup: take `by: promote-standby` out.",
            "SW0409 objectives.data.critical.rto: rto of 1h cannot be kept for this tier: it may take up to 1h 1m \
             | 15m assessment + 30m provision + 1m load + 10m validation + 5m release \
             | The provision is the largest part, 30m: it would have to take no more than 29m, or raise the objective to 1h 15m.",
            "SW0408 objectives: these objectives rest on figures that nobody has measured | and no drill is declared that would \
             | Add one, for example `drills: { monthly: { restore: { latest: JOB }, schedule: { first: monday, at: \"04:00\" } } }`.",
        ]
    );
}

#[test]
fn a_drill_must_restore_what_a_scenario_relies_on() {
    let judged = judged(&format!(
        "{NIGHTLY}wal: {{ store: main, copies: [offsite], timeout: 60s, keep: 7d }}
objectives:
  rpo: 5m
  rto: 4h
  {ASSUME}
  scenarios: {{ here: {{ recover: cluster }}, there: {{ recover: cluster, from: offsite }} }}
drills: {{ monthly: {{ restore: {{ latest: nightly }}, schedule: {{ first: monday, at: '04:00' }} }} }}
"
    ));
    assert_eq!(
        findings(&judged),
        ["SW0411 objectives.scenarios.there: no drill restores what `there` relies on | relies on `nightly` in `offsite` \
          | Add `rehearses: there` to a drill that restores it, or a drill of its own."]
    );
}

#[test]
fn seven_yearly_backups_guarantee_six_years() {
    let with = |keep: &str| {
        judged(&format!(
            "backups: {{ nightly: {{ physical: {{}}, store: main, schedule: {{ cron: '0 2 * * *' }}, keep: {keep} }} }}
wal: {{ store: main, timeout: 60s, keep: 7d }}
objectives: {{ reach_back: {{ any_moment: 30d, some_backup: 7y }} }}
"
        ))
    };
    let seven = with("{ daily: 30, yearly: 7 }");
    let row = &seven.reach[0];
    assert_eq!((row.oldest.to_string(), row.density.as_str()), ("6y".into(), "daily for 30 days, then yearly for 7 years"));
    assert_eq!(
        findings(&seven),
        [
            "SW0405 objectives.reach_back.any_moment: any moment of the last 30d cannot be had: the log is kept for 7d | `wal.keep` is 7d \
             | Write `wal.keep: 30d`, or promise no more than 7d. + wal.keep",
            "SW0405 objectives.reach_back.some_backup: a backup that is 7y old is not always there: the oldest may be only 6y old \
             | `backups.nightly.keep` guarantees 6y \
             | Write `yearly: 8` in `backups.nightly.keep`: when the oldest goes, the newest year has only begun. + backups.nightly.keep",
        ]
    );
    // A period is no better: the first of a year is gone after seven years, and the next is a year younger.
    assert_eq!(with("{ yearly: 7y }").reach[0].oldest.to_string(), "6y");
    assert_eq!(findings(&with("{ yearly: 8 }")).len(), 1);
    assert_eq!(with("{ last: 1 }").reach[0].oldest, Oldest::Newest);
}

/// What retention itself keeps, day by day for some years, never reaches less far back than is said.
#[test]
fn what_is_guaranteed_is_what_retention_keeps() {
    let schedules = [
        "cron: '0 2 * * *'",
        "cron: '30 3 * * *', timezone: Europe/Oslo",
        // At a time that is left out when the clocks go forward.
        "cron: '0 2 * * *', timezone: Europe/Oslo",
        "on: sunday, at: '02:00', timezone: Europe/Oslo",
        "every: 6h",
        "on: sunday, at: '03:00'",
        "cron: '0 2 * * 1-5'",
        "first: monday, of: month, at: '04:00'",
        "day: 1, of: quarter, at: '04:00'",
    ];
    let keeps = [
        "daily: 7",
        "daily: 30, weekly: 12",
        "weekly: 4",
        "monthly: 6",
        "monthly: 14, yearly: 3",
        "last: 10",
        "for: 40d",
        "weekly: 90d",
        "monthly: 1y",
        "yearly: 3y",
        "quarterly: 5, timezone: America/New_York",
        "daily: 7, timezone: Europe/Oslo",
        "weekly: 5, timezone: Europe/Oslo",
        "monthly: 6, timezone: Europe/Oslo",
        "last: 10, timezone: Europe/Oslo",
        "for: 40d, timezone: Europe/Oslo",
        "daily: 30d, timezone: Europe/Oslo",
    ];
    for schedule in schedules {
        for keep in keeps {
            let policy = policy(&format!(
                "backups: {{ job: {{ physical: {{}}, store: main, schedule: {{ {schedule} }}, keep: {{ {keep} }} }} }}\nobjectives: {{ rto: 1d }}\n"
            ));
            let said = assess(&policy, None, NOW.parse().expect("a moment")).reach[0].oldest;
            let job = policy.backups.values().next().expect("a job");
            let begin: Instant = "2027-01-01T00:00:00Z".parse().expect("a moment");
            let end: Instant = "2039-01-01T00:00:00Z".parse().expect("a moment");
            let firings = job.schedule.as_ref().expect("a schedule").firings(begin, end);
            let runs: Vec<_> = firings.map(|at| crate::retention::Firing { started: at, stopped: at }).collect();
            let lives = crate::retention::lifetimes(&runs, &job.keep);
            // Every moment at which a backup goes, once a whole generation has gone.
            let settled: Instant = "2032-01-02T00:00:00Z".parse().expect("a moment");
            let mut tightest: Option<(Period, i64)> = None;
            let mut events: Vec<Instant> =
                lives.iter().filter_map(|life| life.until).filter(|gone| *gone >= settled && *gone < end).collect();
            events.sort();
            events.dedup();
            let mut first = 0;
            for gone in events {
                while lives[first].until.is_some_and(|until| until <= gone) {
                    first += 1;
                }
                let oldest = lives[first];
                assert!(oldest.exists_at(gone), "the newest is never deleted");
                let age = gone.as_second() - oldest.started.as_second();
                if let Oldest::AtLeast(period) = said {
                    assert!(
                        oldest.started <= period.before(gone, &job.keep.zone),
                        "{schedule} {keep}: {period} is said, at {gone} the oldest is of {}",
                        oldest.started
                    );
                    if tightest.is_none_or(|(_, known)| age < known) {
                        tightest = Some((period, age));
                    }
                }
            }
            if let Some((period, age)) = tightest {
                // What is said is no wild understatement either: a week and a month, for the rules that are only bounded.
                let said = period.approximate().as_secs() as i64;
                assert!(age - said < 40 * 86_400, "{schedule} {keep}: {period} is said, {} days are true", age / 86_400);
            }
        }
    }
}

#[test]
fn the_output_has_a_schema_and_reads_as_data() {
    let judged = judged(&format!("{NIGHTLY}objectives: {{ rpo: 2d, rto: 4h, {ASSUME} }}\n"));
    let value = serde_json::to_value(&judged).expect("it serializes");
    let schema = serde_json::to_value(schemars::schema_for!(Assessment)).expect("a schema");
    assert!(jsonschema::validator_for(&schema).expect("a good schema").is_valid(&value));
    assert_eq!(value["rows"][0]["answer"]["way"], "newest-backup");
    assert_eq!(value["rows"][0]["margin"], serde_json::json!({ "kept": true, "by": "22h 36m 40s" }));
    assert_eq!(value["rows"][1]["worst"]["known"]["parts"][1]["origin"]["declared"], "objectives.assume.provision");
}

/// `cargo test --release -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement"]
fn speed() {
    let text = format!(
        "{}wal: {{ store: main, copies: [offsite], timeout: 60s, keep: 7d }}\nobjectives:\n  rpo: 5m\n  rto: 4h\n  {ASSUME}\n  scenarios: \
         {{ a: {{ recover: table }}, b: {{ recover: cluster, from: offsite }}, c: {{ recover: database }} }}\n",
        "backups:
  nightly: { physical: {}, store: main, copies: [offsite], schedule: { cron: '0 2 * * *', timezone: Europe/Oslo }, keep: { daily: 30, weekly: 12, monthly: 12, yearly: 7 } }
  often: { incremental: { of: nightly, chain: 96 }, schedule: { every: 15m }, keep: { for: 24h } }
  weekly: { logical: {}, store: offsite, schedule: { on: sunday, at: '03:00' }, keep: { for: 12 weeks } }
  monthly: { logical: {}, store: offsite, schedule: { first: monday, of: month, at: '03:00' }, keep: { monthly: 12, yearly: 7 } }
"
    );
    let policy = policy(&text);
    let now = NOW.parse().expect("a moment");
    let typical = self::policy(&format!(
        "{NIGHTLY}wal: {{ store: main, copies: [offsite], timeout: 60s, keep: 7d }}\nobjectives:\n  rpo: 5m\n  rto: 4h\n  {ASSUME}\n  scenarios: \
         {{ a: {{ recover: table }}, b: {{ recover: cluster, from: offsite }}, c: {{ recover: database }} }}\n"
    ));
    let timed = |what: &str, work: &dyn Fn()| {
        let begin = std::time::Instant::now();
        (0..1_000).for_each(|_| work());
        println!("{what}: {:?} each", begin.elapsed() / 1_000);
    };
    timed("a typical one", &|| drop(std::hint::black_box(assess(&typical, None, now))));
    timed("all of it", &|| {
        let _ = std::hint::black_box(assess(&policy, None, now));
    });
    for (name, backup) in &policy.backups {
        let schedule = backup.schedule.as_ref().expect("a schedule");
        timed(&format!("{name}, longest gap"), &|| {
            let _ = std::hint::black_box(schedule.longest_gap(now));
        });
        timed(&format!("{name}, shortest gap"), &|| {
            let _ = std::hint::black_box(schedule.shortest_gap(now));
        });
        let longest = schedule.longest_gap(now);
        let runs =
            || steady::Runs { schedule, longest, only: None, now, windowed: false, shortest: Default::default(), play: Default::default() };
        timed(&format!("{name}, reach"), &|| {
            let _ = std::hint::black_box(runs().back(&backup.keep));
        });
    }
}

#[test]
fn the_defaults_are_those_that_are_written_down() {
    let policy = policy(
        "  deep: { s3: { bucket: deep, storage_class: DEEP_ARCHIVE } }\n  cold: { s3: { bucket: cold, storage_class: GLACIER } }\n\
         objectives: { rto: 1d }\n",
    );
    let figures = Figures::new(&policy, None, NOW.parse().expect("a moment"));
    let store = |name: &str| name.parse::<crate::units::Name>().expect("a name");
    let thaw = |name: &str| figures.thaw(&store(name)).expect("it has to thaw").value.to_string();
    let used = [
        figures.backup_rate().value.to_string(),
        figures.restore_rate(&store("main")).value.to_string(),
        figures.load_rate().value.to_string(),
        figures.replay_rate().value.to_string(),
        figures.push().value.to_string(),
        figures.assess().value.to_string(),
        figures.provision().value.to_string(),
        thaw("cold"),
        thaw("deep"),
        figures.validate().value.to_string(),
        figures.release().value.to_string(),
        figures.promote(None).value.to_string(),
        figures.standby_lag().value.to_string(),
    ];
    assert_eq!(used.as_slice(), DEFAULTS.map(|(_, value)| value));
    assert!(figures.cluster_size().is_err() && figures.wal_per_hour().is_err(), "sizes are never invented");
}

const SIZES: &str = "assume: { cluster_size: 1GB, wal_per_hour: 4GB, restore: 50MB/s, replay: 20MB/s, provision: 5m }";

/// The length of the part of a worst case whose label contains a text.
fn part(assessment: &Assessment, row: &str, label: &str) -> String {
    let row = assessment.rows.iter().find(|each| format!("{} {}", each.subject, each.what) == row).expect("a row");
    let part = row.worst.parts().iter().find(|part| part.label.contains(label));
    part.map_or_else(|| "none".into(), |part| part.length.to_string())
}

#[test]
fn a_job_runs_only_inside_its_window() {
    let text = |window: &str| {
        format!(
            "windows: {{ w: {{ on: sunday, from: '03:00', to: '04:30' }} }}
backups: {{ hourly: {{ logical: {{}}, schedule: {{ every: 1h }}, store: main, takes: 5m, size: 1GB{window} }} }}
objectives: {{ rpo: 2h, {SIZES} }}
"
        )
    };
    assert_eq!(part(&judged(&text("")), "everything rpo", "longest gap"), "1h");
    let inside = judged(&text(", window: w"));
    assert_eq!(part(&inside, "everything rpo", "longest gap"), "6d 23h");
    assert!(findings(&inside)[0].starts_with("SW0401 objectives.rpo: rpo of 2h cannot be kept"), "{:?}", findings(&inside));
    // Every run is inside: nothing is different.
    let sundays = "windows: { w: { on: sunday, from: '03:00', to: '04:30' } }
backups: { weekly: { physical: {}, schedule: { on: sunday, at: '03:00' }, store: main, keep: { weekly: 12 }WINDOW } }\n";
    let reach = |text: &str| judged(text).reach[0].oldest;
    assert_eq!(reach(&sundays.replace("WINDOW", ", window: w")), reach(&sundays.replace("WINDOW", "")));
}

#[test]
fn a_copy_of_only_the_monthly_backups_has_a_month_of_log_to_replay() {
    let judged = judged(&format!(
        "backups: {{ nightly: {{ physical: {{}}, store: main, copies: {{ offsite: {{ only: monthly }} }}, keep: {{ monthly: 12 }}, schedule: {{ at: '02:00' }}, takes: 5m }} }}
wal: {{ store: main, copies: [offsite], timeout: 60s, keep: 7d }}
objectives: {{ {SIZES}, scenarios: {{ region: {{ recover: cluster, from: offsite, rpo: 1h, rto: 6h }} }} }}
"
    ));
    assert_eq!(part(&judged, "everything rto", "replay"), "1h 20m 17s");
    assert_eq!(part(&judged, "region rto", "replay"), "41h 23m 37s");
}

#[test]
fn the_first_run_of_a_month_is_the_first_inside_the_window() {
    let lost = |window: &str, keep: &str| {
        let judged = judged(&format!(
            "windows: {{ sun: {{ on: sunday, from: '01:00', to: '05:00' }} }}
backups:
  nightly:
    {{ physical: {{}}, store: main, schedule: {{ at: '02:00' }}{window}, takes: 10m, keep: {{ daily: 40, monthly: 12 }}, copies: {{ offsite: {{ only: monthly{keep} }} }} }}
objectives: {{ {SIZES}, scenarios: {{ region: {{ recover: cluster, from: offsite, rpo: 40d }} }} }}
"
        ));
        rows(&judged)[2].clone()
    };
    assert_eq!(lost("", ""), "region rpo: 31d 1h 10m (8d 22h 50m to spare), newest backup from nightly in offsite");
    assert_eq!(lost(", window: sun", ""), "region rpo: 35d 1h 10m (4d 22h 50m to spare), newest backup from nightly in offsite");
    // Without a monthly rule of its own nothing gets there.
    assert_eq!(lost("", ", keep: { daily: 30 }"), "region rpo: unknown (-), nothing");
    assert_eq!(lost("", ", keep: { monthly: 3, daily: 30 }"), lost("", ""));
}

#[test]
fn increments_are_worth_nothing_beside_a_copy_that_leaves_out_their_bases() {
    let is_whole = |base: &str, increments: &str| {
        let policy = policy(&format!(
            "backups:
  nightly: {{ physical: {{}}, store: main, copies: {{ offsite: {{ {base} }} }}, schedule: {{ at: '02:00' }}, keep: {{ daily: 7, monthly: 12 }} }}
  inc: {{ incremental: {{ of: nightly, chain: 24 }}, store: main, copies: {{ offsite: {{ {increments} }} }}, schedule: {{ every: 1h }}, keep: {{ daily: 7 }} }}
objectives: {{ {SIZES} }}
"
        ));
        let copy = |job: &str| {
            let (name, backup) = policy.backups.get_key_value(job).expect("a job");
            answer::Stock::copies(name, backup).next().expect("a copy")
        };
        answer::is_whole(&copy("inc"), &copy("nightly"))
    };
    assert!(is_whole("within: 1h", "within: 1h"));
    assert!(!is_whole("only: monthly", "within: 1h"));
    assert!(!is_whole("within: 1h", "only: daily"));
}

#[test]
fn how_far_back_everything_reaches_is_what_holds_everything() {
    let said = |backups: &str| {
        let judged = judged_of_two(&format!("backups: {{ {backups} }}\nobjectives: {{ reach_back: {{ some_backup: 7y }} }}\n"));
        findings(&judged).into_iter().find(|line| line.starts_with("SW0405")).unwrap_or_default()
    };
    let dump =
        |name: &str, what: &str, keep: &str| format!("{name}: {{ logical: {{ {what} }}, store: main, schedule: {{ at: '02:00' }}{keep} }}");
    let whole = |keep: &str| dump("whole", "", keep);
    assert_eq!(said(&whole("")), "");
    for part in [dump("part", "schemas: [public]", ""), dump("part", "databases: [one]", "")] {
        assert!(said(&part).contains("none that is taken by the clock holds every database, whole"), "{}", said(&part));
        let beside = said(&format!("{part}, {}", whole(", keep: { daily: 30 }")));
        assert!(beside.contains("`backups.whole.keep` guarantees 29d"), "{beside}");
    }
    let each = |keep: &str| format!("{}, {}", dump("one", "databases: [one]", ""), dump("two", "databases: [two]", keep));
    assert_eq!(said(&each("")), "");
    assert!(said(&each(", keep: { daily: 30 }")).contains("`backups.two.keep` guarantees 29d"), "{}", said(&each(", keep: { daily: 30 }")));
}

#[test]
fn the_newest_is_never_moved_to_an_archive_class() {
    let text = |keep: &str| {
        format!(
            "timezone: UTC
backups: {{ nightly: {{ physical: {{}}, store: bucket, schedule: {{ at: '02:00' }}, takes: 5m, keep: {{ {keep} }} }} }}
objectives: {{ {SIZES} }}
"
        )
    };
    let thaw = |keep: &str| {
        let text = text(keep);
        let text = format!(
            "version: 1\npolicy: t\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: [app] }}\n\
             encryption: {{ none: {{ because: a test }} }}\nstores: {{ bucket: {{ s3: {{ bucket: b-main, region: eu-central-1 }} }} }}\n{text}"
        );
        let document = Document::load("t.yaml", Path::new("t.yaml"), &|_| Ok(text.clone().into_bytes()));
        let policy = resolve(&document, jiff::civil::date(2026, 11, 21)).policy.expect("a policy");
        part(&assess(&policy, None, NOW.parse().expect("a moment")), "everything rto", "archive class")
    };
    assert_eq!(thaw("daily: { count: 30, storage_class: DEEP_ARCHIVE }"), "none");
    assert_eq!(thaw("daily: { count: 30, storage_class: GLACIER_IR }"), "none");
    assert_eq!(thaw("daily: 7, monthly: { count: 12, storage_class: GLACIER }"), "none");
}

/// What nobody assumes is another matter than what nobody has measured, and has a code of its own.
#[test]
fn what_was_measured_and_is_too_slow_is_said_to_be_measured() {
    let inventory = |more: &str| {
        format!(
            r#"{{ "system_identifier": {{ "unknown": {{ "reason": "x" }} }}, "postgres_version": {{ "known": "16.4" }},
        "cluster_size": {{ "known": "600GB" }}, "stores": {{}}, "holds": {{ "known": [] }}, "measured": {{ "known": {{
            "restore": {{ "value": "20MB/s", "p50": "40MB/s", "p95": "20MB/s", "samples": 6, "at": "2026-11-02T04:31:00Z", "how": "drill" }}{more} }} }} }}"#
        )
    };
    let text = format!("{NIGHTLY}wal: {{ store: main, timeout: 60s, keep: 7d }}\nobjectives: {{ rpo: 5m, rto: 4h, {ASSUME} }}\n");
    let replay = r#", "replay": { "value": "80MB/s", "at": "2026-11-02T04:31:00Z", "how": "recovery" }"#;
    let codes = |inventory: &str| -> Vec<String> {
        let judged = measured(&text, inventory);
        judged
            .findings
            .iter()
            .filter(|finding| finding.is_blocking())
            .map(|finding| format!("{}: {}", finding.code, finding.message))
            .collect()
    };
    assert_eq!(codes(&inventory(replay)), ["SW0413: rto of 4h is not kept by what was measured: it takes up to 9h 31m 24s"]);
    assert_eq!(codes(&inventory("")), ["SW0402: rto of 4h cannot be kept: it may take up to 9h 31m 24s"]);
    let judged = measured(&text, &inventory(replay));
    let restore = &judged.rows[1].worst.parts()[2];
    assert_eq!(restore.rests_on[1].origin.to_string(), "measured by 6 drills, the newest on 2026-11-02");
}

/// How fast one store gives says nothing of another.
#[test]
fn a_store_that_nobody_read_was_not_measured() {
    let rate = |restore: &str, fetch: &str| {
        let inventory = format!(
            r#"{{ "system_identifier": {{ "unknown": {{ "reason": "x" }} }}, "postgres_version": {{ "known": "16.4" }},
        "cluster_size": {{ "known": "600GB" }}, "stores": {{}}, "holds": {{ "known": [] }}, "measured": {{ "known": {{
            "restore": {{ "value": "{restore}", "at": "2026-11-02T04:31:00Z", "how": "drill" }},
            "fetch": {{ {fetch} }} }} }} }}"#
        );
        let text = format!("{NIGHTLY}wal: {{ store: main, timeout: 60s, keep: 7d }}\nobjectives: {{ rpo: 5m, rto: 4h, {ASSUME} }}\n");
        let judged = measured(&text, &inventory);
        let part = &judged.rows[1].worst.parts()[2];
        (part.rests_on[1].value.clone(), part.rests_on[1].origin.to_string())
    };
    let fetch = |store: &str, rate: &str| format!(r#""{store}": {{ "value": "{rate}", "at": "2026-11-02T04:31:00Z", "how": "drill" }}"#);
    let said = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    let measured_then = "measured by a drill on 2026-11-02";
    assert_eq!(rate("900MB/s", ""), said("900MB/s", measured_then));
    assert_eq!(rate("900MB/s", &fetch("main", "700MB/s")), said("700MB/s", measured_then));
    assert_eq!(rate("900MB/s", &fetch("other", "700MB/s")), said("200MB/s", "declared in objectives.assume.restore"));
    assert_eq!(rate("90MB/s", &fetch("other", "700MB/s")), said("90MB/s", "reckoned"));
}

/// The size of what a catalog alone knows.
#[test]
fn a_size_on_record_counts_where_no_store_was_looked_at() {
    let inventory = r#"{ "system_identifier": { "unknown": { "reason": "x" } }, "postgres_version": { "unknown": { "reason": "x" } },
        "cluster_size": { "unknown": { "reason": "x" } }, "stores": {}, "holds": { "known": [] }, "measured": { "known": {
            "sizes": { "nightly": { "value": "50GB", "at": "2026-11-20T03:00:00Z", "how": "run" } } } } }"#;
    let text = format!("{NIGHTLY}wal: {{ store: main, timeout: 60s, keep: 7d }}\nobjectives: {{ rpo: 5m, rto: 4h, {ASSUME} }}\n");
    let judged = measured(&text, inventory);
    assert_eq!(judged.rows[1].worst.parts()[2].label, "fetch and restore 50GB from `main` at 200MB/s");
}
