//! `backup_label` and `tablespace_map`: what a copy needs beside the files to become a cluster again.

use thiserror::Error;

use crate::units::{Lsn, Segment, Timeline};

pub const LABEL: &str = "backup_label";
pub const MAP: &str = "tablespace_map";

/// What `backup_label` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupLabel {
    /// Replay begins here.
    pub start: Lsn,
    pub segment: Segment,
    pub checkpoint: Lsn,
    pub from_standby: bool,
    pub timeline: Timeline,
    pub label: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the backup's label has no usable line `{0}`")]
pub struct BadLabel(&'static str);

impl BackupLabel {
    pub fn parse(text: &str) -> Result<BackupLabel, BadLabel> {
        let line = |name: &'static str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.ok_or(BadLabel(name))
        };
        const START: &str = "START WAL LOCATION";
        let (start, segment) = line(START)?.split_once(" (file ").ok_or(BadLabel(START))?;
        let segment = segment.strip_suffix(')').ok_or(BadLabel(START))?;
        Ok(BackupLabel {
            start: start.parse().map_err(|_| BadLabel(START))?,
            segment: segment.parse().map_err(|_| BadLabel(START))?,
            checkpoint: line("CHECKPOINT LOCATION")?.parse().map_err(|_| BadLabel("CHECKPOINT LOCATION"))?,
            from_standby: line("BACKUP FROM")? == "standby",
            timeline: line("START TIMELINE")?.parse().map_err(|_| BadLabel("START TIMELINE"))?,
            label: line("LABEL").unwrap_or_default().to_owned(),
        })
    }
}

/// The lines of `tablespace_map`: which tablespace lay where. Line ends and backslashes in a path stand behind a backslash.
pub fn parse_map(text: &str) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    let (mut line, mut escaped) = (String::new(), false);
    let mut take = |line: &mut String| {
        if let Some((oid, path)) = std::mem::take(line).split_once(' ')
            && let Ok(oid) = oid.parse()
        {
            all.push((oid, path.to_owned()));
        }
    };
    for c in text.chars() {
        match c {
            _ if escaped => {
                line.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '\n' | '\r' => take(&mut line),
            _ => line.push(c),
        }
    }
    take(&mut line);
    all
}

/// The same lines from what they say.
pub fn write_map<'p>(tablespaces: impl IntoIterator<Item = (u32, &'p str)>) -> String {
    let mut text = String::new();
    for (oid, path) in tablespaces {
        text.push_str(&oid.to_string());
        text.push(' ');
        for c in path.chars() {
            if matches!(c, '\n' | '\r' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read() {
        let text = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\n\
                    BACKUP FROM: primary\nSTART TIME: 2026-11-21 07:00:00 UTC\nLABEL: seawall nightly\nSTART TIMELINE: 1\n";
        let label = BackupLabel::parse(text).expect("a label");
        assert_eq!((label.start.to_string(), label.timeline, label.from_standby), ("0/2000028".into(), Timeline::FIRST, false));
        assert_eq!((label.segment.to_string().as_str(), label.label.as_str()), ("000000010000000000000002", "seawall nightly"));
        assert_eq!(BackupLabel::parse("LABEL: x\n"), Err(BadLabel("START WAL LOCATION")));
    }

    #[test]
    fn a_map_comes_back() {
        let spaces = [(16_401, "/srv/a b\\c"), (16_402, "/srv/line\nend")];
        let text = write_map(spaces);
        assert_eq!(parse_map(&text), spaces.map(|(oid, path)| (oid, path.to_owned())));
    }
}
