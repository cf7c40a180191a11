//! Who is told what, and when: `tests/alerts/*.txt` are stories, `*.out` is what people were sent.
//!
//! A story is lines. `policy:` begins a policy, up to `end`. Then, in the order in which it happens:
//!
//! * `see PATH = JSON`: from now on this is what is seen; the path is one into the facts.
//! * `event JSON`: this happened.
//! * `ack KEY by WHO [until TIME]`: somebody takes care of it, at the time of the last look.
//! * `look TIME`: the world is looked at and judged.
//! * `look TIME every STEP until TIME`: again and again.
//! * `restart`: the memory is written and read back.

mod properties;
mod story;

use std::path::Path;

use super::cli::golden_at;

#[test]
fn stories_go_on_as_they_did() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let entries = std::fs::read_dir(directory).expect("the stories");
    let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name.ends_with(".txt"));
    names.sort();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        let path = format!("tests/alerts/{name}");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).expect("a story");
        golden_at(&path.replace(".txt", ".out"), &story::told(&text));
    }
}
