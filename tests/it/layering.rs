//! The one law of the house, as a test: decisions are made in rooms that cannot act.
//!
//! `rooms` is the table, `source` reads Rust just well enough to see which paths a file names, `rules` compares the two.

mod rooms;
mod rules;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rooms::{Kind, ROOMS};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder of the repository can be listed").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_room_uses_one_above_it_and_the_core_never_acts() {
    let folder = repository().join("src");
    let files = rust_files(&folder);
    assert!(files.len() > 5, "too few files under src/: has the folder moved?");
    let mut breaches = Vec::new();
    for path in files {
        let inside = path.strip_prefix(&folder).expect("it was found there");
        // Unit tests read samples and measure time; what they test may not.
        if inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs"))) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        breaches.extend(rules::breaches(inside.to_str().expect("our file names are ASCII"), &text));
    }
    assert!(breaches.is_empty(), "the law of the house (docs/architecture.md) is broken:\n  {}\n", breaches.join("\n  "));
}

#[test]
fn the_table_itself_only_points_up() {
    let mut above = BTreeSet::new();
    for room in ROOMS {
        for used in room.uses() {
            assert!(above.contains(used), "`{}` may use `{used}`, which does not stand above it in the table", room.name);
            let kind = rooms::named(used).expect("it was seen above").kind;
            let allowed = match room.kind {
                Kind::Core => kind == Kind::Core,
                Kind::Format => kind <= Kind::Format,
                Kind::Driver => kind <= Kind::Driver,
                Kind::Shell => true,
            };
            assert!(allowed, "`{}` ({:?}) may use `{used}` ({kind:?})", room.name, room.kind);
        }
        assert!(above.insert(room.name), "`{}` stands twice in the table", room.name);
    }
}

#[test]
fn the_documentation_has_the_same_rooms_in_the_same_order() {
    let text = fs::read_to_string(repository().join("docs/architecture.md")).expect("docs/architecture.md can be read");
    let rooms = text.split_once("## The rooms").and_then(|(_, after)| after.split_once("\n#")).map_or("", |(rooms, _)| rooms);
    let written: Vec<&str> = rooms.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let table: Vec<&str> = ROOMS.iter().map(|room| room.name).collect();
    assert_eq!(written, table, "the table in docs/architecture.md and the one in tests/it/layering/rooms.rs differ");
}
