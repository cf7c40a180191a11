//! What a machine cannot do is not tested there, which must not look as if it were.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that a test, or a part of it, has tested nothing. A test that passes says nothing to anybody, so `tests/run` names a file and repeats it at its end.
pub fn skipped(what: &str) {
    eprintln!("SKIPPED: {what}");
    if let Some(path) = std::env::var_os("SEAWALL_TEST_SKIPPED") {
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("the file of what is skipped");
        // At once: others write there too.
        file.write_all(format!("{}\n", what.replace('\n', " ")).as_bytes()).expect("a line");
    }
}
