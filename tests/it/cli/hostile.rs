//! Files that nobody would write, and some that people do by mistake. Whatever they are: no panic, less than a second,
//! less than 200 MB, and a message that says what and where.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Room, Run, finish, sound};

const MEMORY_MIB: u32 = 200;
/// A build without optimisation is several times slower than what people run.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

/// Runs `validate` in all its forms and expects this code at this place.
fn refused(room: &Room, path: &str, code: &str, place: &str) -> Run {
    for format in ["json", "github"] {
        assert_eq!(within_limits(room, &["validate", "--format", format, path]).code, Some(1), "{path} as {format}");
    }
    let run = within_limits(room, &["validate", path]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains(code), "{path}: expected {code}: {}", clip(&run.stdout));
    assert!(run.stdout.contains(place), "{path}: expected {place}: {}", clip(&run.stdout));
    run
}

fn within_limits(room: &Room, arguments: &[&str]) -> Run {
    let mut best = Duration::MAX;
    // Other tests share the machine: the best of five counts.
    for _ in 0..5 {
        let started = Instant::now();
        let run = room.run_within(MEMORY_MIB, arguments);
        best = best.min(started.elapsed());
        assert!(run.stderr.is_empty(), "{arguments:?}: {}", clip(&run.stderr));
        assert!(run.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{arguments:?} prints control characters");
        if best < TIME {
            return run;
        }
    }
    panic!("{arguments:?} takes {best:?}");
}

fn clip(text: &str) -> String {
    text.chars().take(3000).collect()
}

/// What a file holds → the code, and where it is found.
#[test]
fn hostile_texts_are_refused_with_a_place() {
    let many = |part: &str, times: usize| part.repeat(times).into_bytes();
    let bomb = {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
        }
        text.into_bytes()
    };
    let stairs: Vec<u8> = (0..1000).flat_map(|depth| format!("{}a:\n", " ".repeat(depth)).into_bytes()).collect();
    let samples: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("empty", Vec::new(), "SW0008", "x.yaml"),
        ("only comments", b"# nothing\n---\n".to_vec(), "SW0008", "x.yaml"),
        ("binary", (0..=255).cycle().take(5000).collect(), "SW0003", "x.yaml"),
        ("an image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "SW0003", "x.yaml"),
        ("invalid UTF-8", b"version: 1\npolicy: \xff\xfe\n".to_vec(), "SW0003", "x.yaml:2:9"),
        ("UTF-16", "version: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), "SW0003", "x.yaml"),
        ("a byte order mark", b"\xef\xbb\xbfversion: 1\nfoo: 1\n".to_vec(), "SW0101", "x.yaml:2:1"),
        ("CRLF", b"version: 1\r\npolicy: a\r\nfoo: 1\r\n".to_vec(), "SW0101", "x.yaml:3:1"),
        ("tabs", b"version: 1\ncluster:\n\tconnection: x\n".to_vec(), "Indent with spaces", "x.yaml:3:1"),
        ("100,000 brackets", many("[", 100_000), "SW0005", "x.yaml:1:6"),
        ("100,000 braces", many("{a: ", 100_000), "SW0005", "x.yaml:1:"),
        ("100,000 dashes", many("- ", 100_000), "SW0005", "x.yaml:1:"),
        ("a thousand stairs", stairs, "SW0005", "x.yaml:6"),
        ("an alias bomb", bomb, "SW0005", "x.yaml:"),
        ("an alias of itself", b"a: &a [*a]\n".to_vec(), "SW00", "x.yaml:1:8"),
        ("an unknown alias", b"a: *b\n".to_vec(), "SW0004", "x.yaml:1:4"),
        ("a text", b"hello".to_vec(), "SW0102", "x.yaml:1:1"),
        ("a list", b"- a\n- b\n".to_vec(), "SW0102", "x.yaml:1:1"),
        ("an open quote", b"version: 1\npolicy: \"abc\n".to_vec(), "SW0004", "x.yaml:"),
        ("two documents", b"version: 1\npolicy: a\n---\nversion: 1\n".to_vec(), "SW0007", "x.yaml:3:1"),
        ("one line of a mebibyte", [b"version: 1\npolicy: ".to_vec(), many("a", 1_000_000)].concat(), "SW0201", "x.yaml:2:9"),
        ("a comment of a mebibyte", [b"version: 1\nfoo: 1 #".to_vec(), many("a", 1_000_000)].concat(), "SW0101", "x.yaml:2:1"),
        ("a key of a mebibyte", [many("a", 1_000_000), b": 1\n".to_vec()].concat(), "SW0", "x.yaml:1:1"),
        ("many unknown keys", (0..49_000).flat_map(|n| format!("key{n}: 1\n").into_bytes()).collect(), "more in x.yaml", "x.yaml:150:1"),
        (
            "many unknown keys on one line",
            [b"{".to_vec(), (0..49_000).flat_map(|n| format!("key{n}: 1, ").into_bytes()).collect(), b"}".to_vec()].concat(),
            "SW0101",
            "x.yaml:1:2",
        ),
        ("the same key for ever", [b"version: 1\n".to_vec(), many("policy: a\n", 40_000)].concat(), "SW0006", "x.yaml:3:1"),
        ("escapes for a terminal", b"version: 1\n\"\\e[31m\\a\": 1\n".to_vec(), "SW0101", "x.yaml:2:1"),
        ("writing from right to left", "version: 1\n\"\u{202e}abc\": 1\n".as_bytes().to_vec(), "SW0101", "x.yaml:2:1"),
        ("control characters", b"version: 1\npolicy: \x1b[31m\x07\n".to_vec(), "SW0", "x.yaml:2:"),
        ("merge keys for ever", [b"a: &a { b: 1 }\nc:\n".to_vec(), many("  <<: *a\n", 30_000)].concat(), "SW0005", "x.yaml:25001:7"),
        ("a template", b"version: 1\npolicy: {{ name }}\n".to_vec(), "SW0", "x.yaml:2:"),
    ];
    let mut failed = Vec::new();
    for (name, content, code, place) in samples {
        let room = Room::new().with("x.yaml", content);
        let run = std::panic::catch_unwind(|| refused(&room, "x.yaml", code, place));
        if run.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed on: {failed:?}");
}

#[test]
fn large_files_are_not_read() {
    let room = Room::new();
    let file = fs::File::create(room.path().join("x.yaml")).expect("a file");
    file.set_len(100 << 20).expect("100 MB");
    refused(&room, "x.yaml", "SW0002", "x.yaml");
    refused(&room.with("y.yaml", b"extends: x.yaml\n"), "y.yaml", "SW0002", "y.yaml:1:10");
}

#[test]
fn a_directory_called_like_a_policy_is_searched() {
    let room = Room::new().with("policies/x.yaml/a.yaml", sound("a")).with("policies/.hidden/b.yaml", "nonsense");
    assert_eq!(within_limits(&room, &["validate", "policies"]).stdout, "1 policy is sound\n");
    assert_eq!(within_limits(&room, &["validate", "policies/x.yaml"]).stdout, "1 policy is sound\n");
    let room = room.with("b.yaml", "extends: policies/x.yaml\n");
    let run = refused(&room, "b.yaml", "SW0020", "b.yaml:1:10");
    assert!(run.stdout.contains("it is a directory, not a file"), "{run:?}");
}

#[test]
fn links_in_circles_are_harmless() {
    let room = Room::new().with("policies/a.yaml", sound("a"));
    symlink(room.path().join("policies"), room.path().join("policies/again")).expect("a link");
    symlink(room.path().join("policies"), room.path().join("policies/again.yaml")).expect("a link");
    assert_eq!(within_limits(&room, &["validate", "policies"]).stdout, "1 policy is sound\n");
    symlink("loop.yaml", room.path().join("policies/loop.yaml")).expect("a link");
    let run = refused(&room, "policies", "SW0001", "policies/loop.yaml");
    assert!(run.stdout.contains("circle"), "{run:?}");
    symlink("gone.yaml", room.path().join("dangling.yaml")).expect("a link");
    let run = refused(&room, "dangling.yaml", "SW0001", "dangling.yaml");
    assert!(run.stdout.contains("symbolic link to `gone.yaml`"), "{run:?}");
}

#[test]
fn a_pipe_or_a_device_is_not_waited_for() {
    let room = Room::new();
    let made = Command::new("mkfifo").arg(room.path().join("x.yaml")).status().expect("mkfifo");
    assert!(made.success());
    refused(&room, "x.yaml", "SW0001", "named pipe");
    refused(&room, ".", "SW0001", "named pipe");
    refused(&room, "/dev/zero", "SW0001", "device");
    refused(&room.with("y.yaml", "extends: x.yaml\n"), "y.yaml", "SW0020", "y.yaml:1:10");
}

#[test]
fn a_missing_file_says_which_part_is_missing() {
    let room = Room::new().with("policies/a.yaml", sound("a"));
    let run = refused(&room, "policies/team/b.yaml", "SW0001", "policies/team/b.yaml");
    assert!(run.stdout.contains("`policies` has no `team`"), "{run:?}");
    let run = refused(&room, "policies/a.yaml/b.yaml", "SW0001", "not a directory");
    assert_eq!(run.code, Some(1));
}

#[test]
fn names_that_act_on_a_terminal_do_not() {
    let room = Room::new().with("\u{1b}[31mred\n.yaml", "foo: 1\n");
    for format in ["human", "json", "github"] {
        let run = within_limits(&room, &["validate", "--format", format]);
        assert_eq!(run.code, Some(1), "{run:?}");
    }
}

#[test]
fn unreadable_files_and_directories_are_errors() {
    let room = Room::new().with("x.yaml", sound("a")).with("closed/y.yaml", sound("b"));
    let mode = |path: &str, mode| fs::set_permissions(room.path().join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    // Root may read everything: somebody else has to try, and must come as far as here.
    let program = room.path().join("seawall");
    fs::copy(env!("CARGO_BIN_EXE_seawall"), &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    mode(".", 0o755);
    mode("x.yaml", 0o000);
    mode("closed", 0o000);
    let is_root = fs::read_dir(room.path().join("closed")).is_ok();
    let run = |argument: &str| {
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        finish(command.current_dir(room.path()).env("NO_COLOR", "1").args(["validate", argument]), b"")
    };
    let (file, all) = (run("x.yaml"), run("."));
    mode("closed", 0o755);
    assert_eq!((file.code, all.code), (Some(1), Some(1)), "{file:?} {all:?}");
    assert!(file.stdout.contains("SW0001") && file.stdout.contains("permission to read it is denied"), "{file:?}");
    assert!(all.stdout.contains("`closed` cannot be read"), "{all:?}");
}
