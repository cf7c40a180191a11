//! Rows as PostgreSQL's `COPY` writes them as text: a line for each, and a tab between two values.

/// What `pg_dump` writes behind the last row.
pub const END: &[u8] = b"\\.";

/// The rows up to their end.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    lines.take_while(|line| *line != END)
}

/// The values of a row, as they are written.
pub fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b'\t')
}

/// What a value means; nothing where it is null. As far as it is UTF-8.
pub fn meaning(value: &[u8]) -> Option<String> {
    if value == b"\\N" {
        return None;
    }
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        let escaped = if *byte == b'\\' { bytes.next() } else { None };
        out.push(match escaped {
            None => *byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 11,
            Some(other) => *other,
        });
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// A text as a value.
pub fn written(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_was_written() {
        let bytes = b"1\ta b\t\\N\n2\t\\\\N\\tx\\ny\t\n\\.\n\n\n";
        let rows: Vec<Vec<Option<String>>> = lines(bytes).map(|line| values(line).map(meaning).collect()).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(rows, [vec![some("1"), some("a b"), None], vec![some("2"), some("\\N\tx\ny"), some("")]]);
        for text in ["", "plain", "a\tb\nc\rd\\e\\", "\\N"] {
            assert_eq!(meaning(written(text).as_bytes()).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_end_may_be_missing() {
        assert_eq!((lines(b"a\nb").count(), lines(b"a\nb\n").count(), lines(b"").count()), (2, 2, 0));
    }
}
