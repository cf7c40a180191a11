//! `seawall plan`, as a person, a pull request and a program see it: `tests/plan` holds what each is shown.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use super::cli::{Room, golden_at, in_repository, in_repository_with_input, sound};

const AT: &str = "2026-11-21T12:00:00Z";
/// Past the run of that minute, which has made its backup.
const LATER: &str = "2026-11-21T12:10:00Z";

/// Without what every edit of a policy's comments and every release changes.
fn steady(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digest = part.chars().take_while(char::is_ascii_hexdigit).count();
        assert_eq!(digest, 64, "a digest is cut off: {part}");
        steady.push_str(&format!("sha256:DIGEST{}", &part[digest..]));
    }
    steady.replace(&format!("\"seawall\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"seawall\": \"VERSION\"")
}

/// A policy whose jobs an inventory knows all about.
fn plain(room: Room) -> Room {
    let text = sound("a-one");
    let (before, drill) = text.split_once("drills:").expect("a drill");
    let (_, after) = drill.split_once("receivers:").expect("receivers");
    room.with("a.yaml", format!("{before}receivers:{after}"))
}

fn inventory(newest: &str, more: &str) -> String {
    let id = newest.replace(['-', ':'], "");
    format!(
        r#"{{"format_version":1,"observed_at":"2026-11-21T11:55:00Z","clusters":{{"a-one":{{
        "system_identifier":{{"known":"7301234567890123456"}},"postgres_version":{{"known":"16.4"}},"cluster_size":{{"known":"1GB"}},
        "measured":{{"unknown":{{"reason":"no catalog"}}}},"holds":{{"known":[]}},
        "stores":{{"main":{{"known":{{"wal":[],"used":{{"known":"0B"}},"backups":[
        {{"id":"{id}","job":"nightly","kind":"full","state":"complete","started":"{newest}","stopped":"{newest}"}}{more}]}}}}}}}}}}}}"#
    )
}

#[test]
fn plans_read_as_they_did() {
    let pricing = "policies/pricing-agent.yaml";
    let of_pricing = |name: &'static str| vec!["--inventory", name, pricing];
    let samples: Vec<(&str, &str, Vec<&str>)> = vec![
        ("quickstart", AT, vec!["policies/quickstart.yaml"]),
        ("quickstart-in-a-year", AT, vec!["--until", "2027-11-21", "policies/quickstart.yaml"]),
        ("quickstart-with-inventory", LATER, vec!["--inventory", "tests/inventories/quickstart.json", "policies/quickstart.yaml"]),
        ("pricing-agent", AT, vec![pricing]),
        ("pricing-agent-in-a-year", AT, vec!["--until", "2027-11-21", "--inventory", "tests/inventories/pricing-agent.json", pricing]),
        ("pricing-agent-with-inventory", LATER, of_pricing("tests/inventories/pricing-agent.json")),
        ("pricing-agent-unknown-store", LATER, of_pricing("tests/inventories/pricing-agent-unknown-store.json")),
        ("pricing-agent-stale", LATER, of_pricing("tests/inventories/pricing-agent-stale.json")),
        ("pricing-agent-held", LATER, of_pricing("tests/inventories/pricing-agent-held.json")),
        ("pricing-agent-overdue", LATER, of_pricing("tests/inventories/pricing-agent-overdue.json")),
        ("pricing-agent-drilled", LATER, of_pricing("tests/inventories/pricing-agent-drilled.json")),
    ];
    // Of those with a small difference only, the text tells enough.
    let in_full = ["quickstart", "pricing-agent-with-inventory"];
    let in_markdown = ["pricing-agent", "quickstart-in-a-year", "pricing-agent-unknown-store", "pricing-agent-drilled"];
    for (name, at, arguments) in samples {
        let run = |format: &str| {
            let run = in_repository(&[&["plan", "--at", at, "--format", format][..], &arguments].concat());
            assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{name}");
            steady(&run.stdout)
        };
        let text = run("human");
        // The findings quote lines as they are.
        let plan =
            text.lines().take_while(|line| !["error[", "warning[", "note[", "acknowledged["].iter().any(|word| line.starts_with(word)));
        let wide: Vec<&str> = plan.filter(|line| line.chars().count() > 120).collect();
        assert!(wide.is_empty(), "{name} is too wide: {wide:#?}");
        golden_at(&format!("tests/plan/{name}.txt"), &text);
        if in_full.contains(&name) || in_markdown.contains(&name) {
            golden_at(&format!("tests/plan/{name}.md"), &run("markdown"));
        }
        if in_full.contains(&name) {
            golden_at(&format!("tests/plan/{name}.json"), &run("json"));
        }
    }
}

#[test]
fn an_unknown_store_loses_nothing_and_a_hold_keeps() {
    let doomed = |inventory: &str| -> Vec<String> {
        let run = in_repository(&["plan", "--at", LATER, "--format", "json", "--inventory", inventory, "policies/pricing-agent.yaml"]);
        let plan: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let stores = plan["plans"][0]["stores"].as_array().expect("stores").clone();
        let all = stores.iter().flat_map(|store| store["existing"].as_array().expect("backups"));
        all.filter(|backup| backup["fate"]["delete"].is_object()).map(|backup| backup["id"].to_string()).collect()
    };
    assert!(!doomed("tests/inventories/pricing-agent.json").is_empty());
    assert!(doomed("tests/inventories/pricing-agent-unknown-store.json").is_empty());
    let held = doomed("tests/inventories/pricing-agent-held.json");
    assert!(held.iter().any(|id| id.contains("20261113")) && !held.iter().any(|id| id.contains("20261112")), "{held:?}");
}

#[test]
fn a_detailed_exit_code_tells_whether_there_is_something_to_do() {
    let running = |id: &str| format!(r#",{{"id":"{id}","job":"nightly","kind":"full","state":"failed","started":"2026-01-01T02:00:00Z"}}"#);
    let room = plain(Room::new())
        .with("done.json", inventory("2026-11-21T02:00:00Z", ""))
        .with("overdue.json", inventory("2026-11-20T02:00:00Z", ""))
        .with("expired.json", inventory("2026-11-21T02:00:00Z", &running("b")))
        .with("other.json", inventory("2026-11-21T02:00:00Z", "").replace("a-one", "b-one"))
        .with("bad.yaml", "version: 1\npolicy: bad\nfoo: 1\n");
    for (arguments, code) in [
        (&["--inventory", "done.json", "a.yaml"][..], 0),
        (&["--inventory", "overdue.json", "a.yaml"], 2),
        (&["--inventory", "expired.json", "a.yaml"], 2),
        // What is unknown cannot be ruled out.
        (&["--inventory", "other.json", "a.yaml"], 2),
        (&["a.yaml"], 2),
        (&["bad.yaml"], 1),
        (&["a.yaml", "bad.yaml"], 1),
        (&["gone.yaml"], 1),
        (&["--inventory", "gone.json", "a.yaml"], 1),
        // A mistake on the command line is never taken for "something to do".
        (&["--nonsense"], 64),
        (&["--format", "xml", "a.yaml"], 64),
        (&["--until", "soon", "a.yaml"], 64),
        (&["--until", "2026-11-20", "a.yaml"], 64),
        (&["-", "-"], 64),
    ] {
        let run = room.run(&[&["plan", "--at", LATER, "--detailed-exitcode"][..], arguments].concat());
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
    }
    assert_eq!(room.run(&["plan", "--at", LATER, "--inventory", "overdue.json", "a.yaml"]).code, Some(0));
}

#[test]
fn dates_that_make_no_sense_are_refused_with_an_example() {
    let room = plain(Room::new());
    for date in ["2026-02-30", "tomorrow", "2026-11-21T12:00", "2026-13-01T00:00:00Z", "99999-01-01", ""] {
        for option in ["--at", "--until"] {
            let run = room.run(&["plan", &format!("{option}={date}"), "a.yaml"]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""), "{option} {date}: {run:?}");
            assert!(date.is_empty() || run.stderr.contains("2027-03-01T04:00:00Z"), "{option} {date}: {run:?}");
        }
    }
    let run = room.run(&["plan", "--at", AT, "--until", "2026-11-20", "a.yaml"]);
    golden_at("tests/plan/until-in-the-past.txt", &run.stderr);
    let run = room.run(&["plan", "--at", AT, "--until", "9000-01-01", "a.yaml"]);
    assert_eq!(run.code, Some(64), "{run:?}");
}

#[test]
fn a_saved_plan_is_what_is_printed_whole_and_private() {
    let room = plain(Room::new());
    let path = room.path().join("plan.json");
    for before in [None, Some("old")] {
        if let Some(old) = before {
            fs::write(&path, old).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        }
        let run = room.run(&["plan", "--at", AT, "--format", "json", "--out", "plan.json", "a.yaml"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let saved = fs::read_to_string(&path).expect("the plan");
        assert_eq!(saved, run.stdout);
        assert_eq!(fs::metadata(&path).expect("the plan").permissions().mode() & 0o777, 0o600);
        let plan: Value = serde_json::from_str(&saved).expect("JSON");
        let shown: Value = serde_json::from_str(&room.run(&["validate", "--format", "json", "a.yaml"]).stdout).expect("JSON");
        assert_eq!(plan["plans"][0]["digest"], shown["policies"][0]["digest"]);
    }
    assert_eq!(fs::read_dir(room.path()).expect("the room").count(), 2, "something is left over");
    // Whatever the form on the screen, the file is for programs.
    room.run(&["plan", "--at", AT, "--format", "markdown", "--out", "again.json", "a.yaml"]);
    assert_eq!(fs::read(room.path().join("again.json")).expect("the plan"), fs::read(&path).expect("the plan"));
}

#[test]
fn a_plan_that_cannot_be_saved_is_a_failure() {
    let room = plain(Room::new()).with("target.txt", "mine");
    fs::create_dir(room.path().join("directory")).expect("a directory");
    for out in ["directory", "missing/plan.json", "/dev/null"] {
        let run = room.run(&["plan", "--at", AT, "--out", out, "a.yaml"]);
        assert_eq!(run.code, Some(1), "{out}: {run:?}");
        assert!(run.stderr.starts_with("error: the plan cannot be saved: "), "{out}: {run:?}");
    }
    // A link is replaced, not followed: what it pointed to is somebody else's.
    symlink("target.txt", room.path().join("link.json")).expect("a link");
    assert_eq!(room.run(&["plan", "--at", AT, "--out", "link.json", "a.yaml"]).code, Some(0));
    assert_eq!(fs::read_to_string(room.path().join("target.txt")).expect("the target"), "mine");
}

#[test]
fn standard_input_is_a_policy_to_plan() {
    let policy = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/quickstart.yaml")).expect("the policy");
    let run = in_repository_with_input(&["plan", "--at", AT, "-"], &policy);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("Plan of quickstart (<stdin>)\n"), "{run:?}");
    let markdown = in_repository_with_input(&["plan", "--at", AT, "--format", "markdown", "-"], &policy).stdout;
    assert!(markdown.contains("`<stdin>`"), "{markdown}");
}

#[test]
fn a_narrow_terminal_is_kept_to() {
    let room = Room::new().with("a.yaml", sound("a-one"));
    let mut command = room.command();
    let run = super::cli::finish(command.env("COLUMNS", "60").args(["plan", "--at", AT, "a.yaml"]), b"");
    let wide: Vec<&str> = run.stdout.lines().filter(|line| line.chars().count() > 60).collect();
    // The digest is one word.
    assert!(wide.iter().all(|line| line.starts_with("sha256:")), "{wide:#?}");
}

/// Words that would act on a terminal, in Markdown or in HTML.
pub const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "a|b",
    "``` <img src=x> ```",
    "`<b>`",
    "odd ` <i>",
    "line\\n\\n# heading\\n| a | b |",
    "\\e[31mred\\a",
    "[x](javascript:alert)",
    "@everyone \\u202Egnp",
];

pub fn assert_harmless(name: &str, text: &str, is_markdown: bool) {
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{name}: a control character:\n{text}");
    assert!(!text.contains('\u{202e}'), "{name}: writing is turned around:\n{text}");
    if !is_markdown {
        return;
    }
    let ours = ["<details>", "</details>", "<summary>", "</summary>", "<br>", "<code>", "</code>", "<!-- -->"];
    for line in text.lines() {
        // What stands between backticks is shown as it is; all other tags must be ours.
        let outside: String = line.replace("\\`", "").replace("\\]", "").split('`').step_by(2).collect();
        let rest = ours.iter().fold(outside.clone(), |rest, tag| rest.replace(tag, ""));
        assert!(!rest.contains('<'), "{name}: a tag in {line:?}");
        assert!(
            !outside.contains("@e") && (line.contains("<summary>") || !outside.contains("](j")),
            "{name}: a call or a link in {line:?}"
        );
        assert!(!line.starts_with("# heading"), "{name}: {line:?}");
    }
    let mut columns = None;
    for line in text.lines().map(str::trim_start) {
        let bars = line.starts_with('|').then(|| line.matches('|').count());
        assert!(bars.is_none() || columns.is_none() || bars == columns, "{name}: a cell is broken: {line:?}");
        columns = bars;
    }
}

#[test]
fn hostile_words_stay_words() {
    for (at, words) in HOSTILE.iter().enumerate() {
        let sql = format!("\"\\\"{words}\\\"\"");
        let policy = format!(
            "{}description: \"{words}\"
owner: \"{words}\"
hooks: {{ before_restore: {{ run: [\"{words}\"] }} }}
timescaledb: {{ app: {{ continuous_aggregates: {{ {sql}: {{ refresh_before: [nightly] }} }}, hypertables: {{ {sql}: {{ retain: 2y, archive: {{ after: 1y, store: main }} }} }} }} }}
",
            sound("a-one")
                .replace("  nightly: {", &format!("  dumps: {{ tables: {{ tables: [{sql}], format: csv, database: app }}, before: {{ run: [\"{words}\", \"{words}\"] }}, keep: {{ for: 30d }} }}\n  config: {{ files: {{ paths: [\"/etc/{words}\"] }}, keep: {{ for: 30d }} }}\n  nightly: {{"))
        );
        let file = format!("{at} <script> `a|b.yaml");
        let room = Room::new().with(&file, policy).with(
            "state.json",
            inventory("2026-11-20T02:00:00Z", "").replace("no catalog", &words.replace("\\e", "\\u001b").replace("\\a", "\\u0007")),
        );
        for format in ["human", "markdown", "json"] {
            let run = room.run(&["plan", "--at", LATER, "--format", format, "--inventory", "state.json", &file]);
            assert!(run.code == Some(0) || run.code == Some(1), "{words}: {run:?}");
            assert!(run.stdout.contains("backups.dumps"), "{words}: {run:?}");
            assert_harmless(&format!("{words} as {format}"), &run.stdout, format == "markdown");
        }
    }
}
