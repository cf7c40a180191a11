//! What is left out of a copy of files: patterns as in .gitignore.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The patterns together, or the first that is none, with the reason. Those that begin with a slash begin at the root.
pub fn patterns(written: &[String]) -> Result<Gitignore, (String, String)> {
    let bad = |pattern: &str, error: ignore::Error| (pattern.to_owned(), why(&error));
    let mut builder = GitignoreBuilder::new("/");
    for pattern in written {
        builder.add_line(None, pattern).map_err(|error| bad(pattern, error))?;
    }
    builder.build().map_err(|error| bad(&written.join(" "), error))
}

fn why(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn patterns_are_those_of_git() {
        let written = ["*.log", "!kept.log", "/etc/ssl/private/", "cache/"].map(str::to_owned);
        let patterns = patterns(&written).expect("good ones");
        let is_out = |path: &str, directory: bool| patterns.matched(Path::new(path), directory).is_ignore();
        assert!(is_out("/var/a/x.log", false) && !is_out("/var/kept.log", false));
        assert!(is_out("/etc/ssl/private", true) && !is_out("/srv/etc/ssl/private", true));
        assert!(is_out("/a/b/cache", true) && !is_out("/a/b/cache", false));
        let (pattern, why) = super::patterns(&["[z-a]".to_owned()]).expect_err("no pattern");
        assert_eq!(pattern, "[z-a]");
        assert!(why.contains("range"), "{why}");
    }
}
