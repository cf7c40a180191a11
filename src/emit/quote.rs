//! Words inside other systems' files: every word stays one word, and nothing in it means anything.

use super::EmitFault;

/// Characters that mean nothing to systemd, to a shell or to cron.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_./:=@+-,".contains(c))
}

/// A word of a command line of systemd (`ExecStart=`).
pub(super) fn for_exec(word: &str) -> String {
    for_unit(word).replace('$', "$$")
}

/// A word of any other setting of systemd.
pub(super) fn for_unit(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

/// Text for people in a unit.
pub(super) fn for_people(text: &str) -> String {
    crate::plan::words::plain(text).replace('%', "%%").replace('\\', "/")
}

/// A word for a POSIX shell.
pub(super) use crate::plan::words::for_shell;

/// A command in a crontab, in which cron takes `%` for the end of a line.
pub(super) fn for_cron(command: &str) -> String {
    command.replace('%', r"\%")
}

/// Part of a unit's name.
pub(super) fn for_name(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => name.push(char::from(byte)),
            byte => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name
}

/// A line end in a file that root's programs read would begin a setting of somebody else's choice.
pub(super) fn one_line(text: &str, at: &str) -> Result<(), EmitFault> {
    if text.chars().any(char::is_control) {
        let hint = "Units and crontabs are made of lines: take the line end, or the tabulator, out of it.";
        return Err(EmitFault::new(format!("{at}: `{}` has a control character", crate::plan::words::plain(text)), hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_has_signs_of_its_own() {
        assert_eq!(for_exec("/etc/seawall/policy.yaml"), "/etc/seawall/policy.yaml");
        assert_eq!(for_exec("a b$c%d\"e\\"), r#""a b$$c%%d\"e\\""#);
        assert_eq!(for_unit("/srv/a b$c"), r#""/srv/a b$c""#);
        assert_eq!(for_exec(""), "\"\"");
        assert_eq!(for_shell("it's"), r"'it'\''s'");
        assert_eq!(for_cron("date +%s"), r"date +\%s");
        assert_eq!(for_name("archive.\"a b\""), r"archive.\x22a\x20b\x22");
        assert!(one_line("a\nExecStart=/bin/sh", "x").is_err());
        assert_eq!(for_people("100 %\n[Service]"), "100 %% [Service]");
    }
}
