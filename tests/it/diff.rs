//! `seawall diff`, as a reviewer sees it: `tests/diff/NAME` holds two versions of a policy (or of a directory of them), maybe
//! an inventory, and what is said of the change.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::cli::{Room, Run, golden_at, in_repository, sound};
use super::plan::{HOSTILE, assert_harmless};

const AT: &str = "2026-11-21T12:10:00Z";

/// Of each sample how it ends, and a part of what is said, which is `no change in meaning` or a finding's code.
const SAMPLES: [(&str, i32, &[&str]); 37] = [
    ("acknowledged", 0, &["SW0903", "acknowledged: agreed with legal on 2026-11-02"]),
    ("acknowledgement-elsewhere", 3, &["SW0903", "not acknowledged"]),
    ("acknowledgement-expired", 3, &["SW0903", "not acknowledged"]),
    ("alert-loosened", 0, &["SW0915", "`alerts.thresholds.wal_lag` is loosened from 15m to 3d"]),
    ("archive-begins", 3, &["SW0910", "are deleted there 30d later, for good"]),
    ("comment-only", 0, &["no change in meaning"]),
    ("copy-removed", 3, &["SW0907"]),
    ("drill-weakened", 0, &["SW0909", "no longer any moment of the window", "no longer from `offsite`"]),
    ("encryption-dropped", 0, &["SW0908"]),
    ("history-shortened", 3, &["SW0903", "reaches back 14h instead of 14d"]),
    ("hold-released", 3, &["SW0905", "20261111T020000Z-7f3c"]),
    ("hold-released-alone", 0, &["SW0905", "no existing backup was protected by it alone"]),
    ("hold-shortened", 3, &["SW0905", "ends on 2026-11-22", "20261111T020000Z-7f3c"]),
    ("job-added", 0, &["`backups.customers` starts"]),
    ("job-emptied", 0, &["SW0901", "holds only tiny", "gains `*`"]),
    ("job-moved", 0, &["`backups.nightly` moves"]),
    ("job-removed", 3, &["SW0901", "20261101T050000Z-d00d"]),
    ("job-renamed", 3, &["SW0901", "is renamed to"]),
    ("job-runs-less-often", 0, &["SW0914"]),
    ("moved-into-extends", 0, &["no change in meaning"]),
    ("other-server", 0, &["SW0901", "`host=shop-2` and `port=5433`"]),
    ("policy-added", 0, &["the policy `billing` is new"]),
    ("policy-removed", 3, &["SW0912"]),
    ("policy-removed-acknowledged", 0, &["SW0912", "acknowledged: moved to the platform team's repository"]),
    ("policy-renamed", 3, &["SW0912", "the policy `shop` is renamed to `store-front`", "backups and the log stop"]),
    ("receiver-removed", 0, &["SW0906"]),
    ("recipient-added", 0, &["SW0908"]),
    ("recipient-removed", 0, &["SW0908"]),
    ("retention-lengthened", 0, &["is lengthened"]),
    ("retention-shortened", 3, &["SW0903", "20260930T020000Z-7f3c", "20261112T020000Z-7f3c"]),
    ("retention-shortened-without-inventory", 3, &["SW0903", "no inventory was given"]),
    ("rpo-loosened", 0, &["SW0902"]),
    ("store-re-pointed", 3, &["SW0913"]),
    ("store-renamed", 0, &["SW0907", "is renamed to `stores.primary`", "nothing destructive"]),
    ("wal-by-month", 3, &["SW0904", "goes back 1mo instead of 31d"]),
    ("wal-shortened", 3, &["SW0904", "instead of 2026-11-10 02:45 UTC"]),
    ("window-added", 0, &["SW0914", "up to 7d pass"]),
];

fn compared(name: &str, format: &str) -> Run {
    let directory = format!("tests/diff/{name}");
    let exists = |file: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(&directory).join(file).exists();
    let side = |side: &str| if exists(side) { format!("{directory}/{side}") } else { format!("{directory}/{side}.yaml") };
    let mut arguments = vec!["diff".to_owned(), "--at".into(), AT.into(), "--format".into(), format.into(), side("old"), side("new")];
    if exists("inventory.json") {
        arguments.extend(["--inventory".into(), format!("{directory}/inventory.json")]);
    }
    in_repository(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn changes_are_told_as_they_were() {
    let schema: Value = serde_json::from_str(&in_repository(&["schema", "diff"]).stdout).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for (name, code, said) in SAMPLES {
        let text = compared(name, "human");
        assert_eq!((text.code, text.stderr.as_str()), (Some(code), ""), "{name}: {text:?}");
        let words = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in said {
            assert!(words.contains(said), "{name} does not say `{said}`:\n{}", text.stdout);
        }
        assert!(text.stdout.lines().all(|line| line.chars().count() <= 120), "{name} is too wide");
        golden_at(&format!("tests/diff/{name}/said.txt"), &text.stdout);
        let markdown = compared(name, "markdown");
        assert_eq!(markdown.code, Some(code), "{name}");
        assert_harmless(name, &markdown.stdout, true);
        golden_at(&format!("tests/diff/{name}/said.md"), &markdown.stdout);
        let json = compared(name, "json");
        assert_eq!(json.code, Some(code), "{name}");
        let printed: Value = serde_json::from_str(&json.stdout).expect("JSON");
        let faults: Vec<String> = schema.iter_errors(&printed).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
        assert_eq!(printed["needs_acknowledgement"], code == 3, "{name}");
        if name == "retention-shortened" {
            golden_at(&format!("tests/diff/{name}/said.json"), &json.stdout);
        }
    }
}

#[test]
fn every_sample_is_compared() {
    let listed = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diff")).expect("the samples");
    let mut names: Vec<String> = listed.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    assert_eq!(names, SAMPLES.map(|(name, ..)| name));
}

#[test]
fn nothing_differs_from_itself() {
    for path in ["policies", "policies/trading.yaml", "tests/diff/policy-removed/old"] {
        let run = in_repository(&["diff", "--at", AT, path, path]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "no change in meaning\n"), "{run:?}");
    }
    // The order of the files is not a change, nor is another name of the file.
    let room = Room::new()
        .with("old/a.yaml", sound("a"))
        .with("old/b.yaml", sound("b"))
        .with("new/x/b.yaml", sound("a"))
        .with("new/a.yaml", sound("b"));
    assert_eq!(room.run(&["diff", "old", "new"]).stdout, "no change in meaning\n");
}

#[test]
fn what_cannot_be_understood_is_not_compared() {
    let room =
        Room::new().with("good.yaml", sound("a")).with("bad.yaml", format!("{}foo: 1\n", sound("a"))).with("torn.yaml", "version: [1\n");
    for (old, new, which, code) in [
        ("bad.yaml", "good.yaml", "bad.yaml", "SW0101"),
        ("good.yaml", "bad.yaml", "bad.yaml", "SW0101"),
        ("torn.yaml", "good.yaml", "torn.yaml", "SW000"),
        ("good.yaml", "gone.yaml", "gone.yaml", "SW0001"),
        ("git:main:policies", "good.yaml", "git:main:policies", "not in a git repository"),
    ] {
        let run = room.run(&["diff", old, new]);
        assert_eq!(run.code, Some(1), "{old} {new}: {run:?}");
        assert!(run.stderr.contains(&format!("`{which}` cannot be compared")) && run.stdout.contains(code), "{old} {new}: {run:?}");
    }
    // A promise that cannot be kept is understood all the same.
    let run = room.with("early.yaml", sound("a").replace("rpo: 24h", "rpo: 10s")).run(&["diff", "good.yaml", "early.yaml"]);
    assert!(run.code == Some(0) && run.stdout.contains("the RPO is tightened from 24h to 10s"), "{run:?}");
}

#[test]
fn the_command_line_is_judged_before_anything_else() {
    let room = Room::new().with("a.yaml", sound("a"));
    for arguments in [
        &["diff"][..],
        &["diff", "a.yaml"],
        &["diff", "a.yaml", "a.yaml", "a.yaml"],
        &["diff", "--at", "now", "a.yaml", "a.yaml"],
        &["diff", "git:", "a.yaml"],
    ] {
        assert_eq!(room.run(arguments).code, Some(64), "{arguments:?}");
    }
    assert_eq!(room.run(&["diff", "a.yaml", "a.yaml", "--inventory", "gone.json"]).code, Some(1));
}

fn git(room: &Room, arguments: &[&str]) {
    let mut git = Command::new("git");
    for (name, value) in [("NAME", "Test"), ("EMAIL", "test@example.com"), ("DATE", "2026-11-21T12:00:00Z")] {
        git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").current_dir(room.path());
    let done = git.args(["-c", "init.defaultBranch=main"]).args(arguments).output().expect("git");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_branch_is_compared_with_what_it_extended_then() {
    let base = |keep: &str| {
        format!(
            "version: 1\nabstract: true\nbackups: {{ weekly: {{ physical: {{}}, schedule: {{ on: sunday, at: \"04:00\" }}, store: main, keep: {{ weekly: {keep} }} }} }}\n"
        )
    };
    let heir = format!("extends: ../base.yaml\n{}", sound("a-one"));
    let room = Room::new().with("policies/base.yaml", base("8")).with("policies/team/a.yaml", &heir);
    git(&room, &["init", "-q"]);
    git(&room, &["add", "-A"]);
    git(&room, &["commit", "-q", "-m", "first"]);
    let room = room.with("policies/base.yaml", base("4"));
    for (old, new) in [("git:main:policies", "policies"), ("git:HEAD:policies/team/a.yaml", "policies/team/a.yaml")] {
        let run = room.run(&["diff", old, new]);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(run.stdout.contains("retention of `backups.weekly` is shortened: weekly 8 → 4"), "{run:?}");
    }
    assert_eq!(room.run(&["diff", "git:main:policies", "git:HEAD:policies"]).stdout, "no change in meaning\n");
    git(&room, &["commit", "-q", "-a", "-m", "second"]);
    let run = room.run(&["diff", "git:HEAD~1:policies", "git:HEAD:policies"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    // What it extended is gone from the tree; the revision still has it.
    std::fs::remove_file(room.path().join("policies/base.yaml")).expect("removed");
    assert_eq!(room.run(&["diff", "git:HEAD~1:policies", "git:HEAD:policies"]).code, Some(3));
    let run = room.run(&["diff", "git:HEAD:policies", "policies"]);
    assert!(run.code == Some(1) && run.stderr.contains("`policies` cannot be compared"), "{run:?}");
}

#[test]
fn hostile_words_stay_words() {
    for (at, words) in HOSTILE.iter().enumerate() {
        let old = sound("a-one");
        let sql = format!("\"\\\"{words}\\\"\"");
        let new = format!(
            "{}description: \"{words}\"
owner: \"{words}\"
holds: {{ case: {{ reason: \"{words}\", until: 2028-12-31, rows: {{ table: {sql}, where: \"{words}\" }} }} }}
timescaledb: {{ app: {{ hypertables: {{ {sql}: {{ retain: 2y, archive: {{ after: 1y, store: main }} }} }} }} }}
acknowledge: [{{ finding: SW0903, reason: \"{words}\" }}]
",
            old.replace("daily: 30", "daily: 7").replace("  nightly: {", &format!("  dumps: {{ tables: {{ tables: [{sql}], format: csv }}, keep: {{ for: 30d }} }}\n  config: {{ files: {{ paths: [\"/etc/{words}\"] }}, keep: {{ for: 30d }} }}\n  nightly: {{"))
        );
        let (first, second) = (format!("{at} old `<script>|.yaml"), format!("{at} new `<script>|.yaml"));
        let room = Room::new().with(&first, old).with(&second, new);
        for (old, new) in [(&first, &second), (&second, &first)] {
            for format in ["human", "markdown", "json"] {
                let run = room.run(&["diff", "--at", AT, "--format", format, old, new]);
                assert_harmless(
                    &format!("{words} as {format}"),
                    &format!("{}{}", run.stdout, run.stderr),
                    format == "markdown" && run.stderr.is_empty(),
                );
                assert!(matches!(run.code, Some(0 | 3)), "{words}: {run:?}");
            }
        }
    }
}
