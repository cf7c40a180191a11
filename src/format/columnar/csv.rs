//! Values of a row that PostgreSQL wrote as CSV: what is empty and not quoted is null.

use memchr::{memchr, memchr2_iter};

/// Cuts a stream into rows, without the header that comes first.
#[derive(Debug, Default)]
pub(super) struct Records {
    open: Vec<u8>,
    quoted: bool,
    past_header: bool,
}

impl Records {
    /// Gives every row that is whole by now, without its line's end.
    pub(super) fn push<E>(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut from = 0;
        for at in memchr2_iter(b'"', b'\n', bytes) {
            if bytes[at] == b'"' {
                self.quoted = !self.quoted;
            } else if !self.quoted {
                let end = &bytes[from..at];
                from = at + 1;
                if !std::mem::replace(&mut self.past_header, true) {
                    self.open.clear();
                } else if self.open.is_empty() {
                    each(end)?;
                } else {
                    self.open.extend_from_slice(end);
                    each(&self.open)?;
                    self.open.clear();
                }
            }
        }
        self.open.extend_from_slice(&bytes[from..]);
        Ok(())
    }
}

/// The values of a row, one after the other. `room` is only there to be used again.
pub(super) fn each_value(mut row: &[u8], room: &mut Vec<u8>, mut each: impl FnMut(Option<&[u8]>)) {
    loop {
        if row.first() == Some(&b'"') {
            room.clear();
            let mut rest = &row[1..];
            let after = loop {
                let Some(at) = memchr(b'"', rest) else {
                    room.extend_from_slice(rest);
                    break &rest[rest.len()..];
                };
                room.extend_from_slice(&rest[..at]);
                match rest.get(at + 1) {
                    Some(b'"') => {
                        room.push(b'"');
                        rest = &rest[at + 2..];
                    }
                    _ => break &rest[at + 1..],
                }
            };
            each(Some(room));
            match after.split_first() {
                Some((_, next)) => row = next,
                None => return,
            }
        } else {
            let (value, next) = match memchr(b',', row) {
                Some(at) => (&row[..at], Some(&row[at + 1..])),
                None => (row, None),
            };
            each((!value.is_empty()).then_some(value));
            match next {
                Some(next) => row = next,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_values_are_those_that_were_written() {
        let text = b"a,b,c\n1,,\"\"\n\"say \"\"hi\"\"\",\"two\nlines\",\"x,y\"\n,,\n";
        for cut in 0..text.len() {
            let (mut records, mut rows) = (Records::default(), Vec::new());
            for piece in [&text[..cut], &text[cut..]] {
                let mut each = |row: &[u8]| {
                    let (mut values, mut room) = (Vec::new(), Vec::new());
                    each_value(row, &mut room, |value| values.push(value.map(|value| String::from_utf8_lossy(value).into_owned())));
                    rows.push(values);
                    Ok::<_, ()>(())
                };
                records.push(piece, &mut each).expect("it takes all");
            }
            let some = |text: &str| Some(text.to_owned());
            let expected =
                [vec![some("1"), None, some("")], vec![some("say \"hi\""), some("two\nlines"), some("x,y")], vec![None, None, None]];
            assert_eq!(rows, expected, "cut at {cut}");
        }
    }
}
