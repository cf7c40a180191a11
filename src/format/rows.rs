//! Rows as PostgreSQL's `COPY … (FORMAT csv)` writes them: where one ends, how many there are, and a sum by which two sets of rows are
//! known to be the same, whatever their order.

/// Counts rows and sums them. The sum of a row is its BLAKE3; the sum of many is the sum of theirs, each of four 64-bit numbers by itself,
/// so it does not depend on the order in which a server happens to give them.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    lines: u64,
    sum: [u64; 4],
    /// Inside a quoted value, a line's end is part of it.
    quoted: bool,
    /// The beginning of a line that has not ended yet.
    open: Option<Box<blake3::Hasher>>,
    header: Header,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Header {
    #[default]
    None,
    /// The first line is one.
    Awaited,
}

/// What a [`Tally`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallied {
    pub rows: u64,
    /// In hexadecimal.
    pub sum: String,
}

impl Tally {
    /// The first line names the columns and is no row.
    pub fn after_header() -> Tally {
        Tally { header: Header::Awaited, ..Tally::default() }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let mut from = 0;
        for at in memchr::memchr2_iter(b'"', b'\n', bytes) {
            if bytes[at] == b'"' {
                self.quoted = !self.quoted;
            } else if !self.quoted {
                self.line(&bytes[from..at]);
                from = at + 1;
            }
        }
        if from < bytes.len() {
            self.open.get_or_insert_default().update(&bytes[from..]);
        }
    }

    fn line(&mut self, end: &[u8]) {
        if std::mem::take(&mut self.header) == Header::Awaited {
            self.open = None;
            return;
        }
        let hash = match self.open.take() {
            Some(mut open) => open.update(end).finalize(),
            None => blake3::hash(end),
        };
        self.lines += 1;
        for (sum, piece) in self.sum.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *sum = sum.wrapping_add(u64::from_le_bytes(piece.try_into().expect("eight of them")));
        }
    }

    /// None where the last row was cut short.
    pub fn finish(self) -> Option<Tallied> {
        if self.open.is_some() || self.quoted {
            return None;
        }
        Some(Tallied { rows: self.lines, sum: as_text(&self.sum) })
    }
}

impl Tallied {
    /// Those of both. None where a sum is none.
    pub fn and(&self, other: &Tallied) -> Option<Tallied> {
        let (mine, theirs) = (of_text(&self.sum)?, of_text(&other.sum)?);
        let sum = std::array::from_fn(|at| mine[at].wrapping_add(theirs[at]));
        Some(Tallied { rows: self.rows + other.rows, sum: as_text(&sum) })
    }
}

fn as_text(sum: &[u64; 4]) -> String {
    let bytes: Vec<u8> = sum.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    crate::units::hex(&bytes)
}

fn of_text(text: &str) -> Option<[u64; 4]> {
    let mut sum = [0; 4];
    for (at, sum) in sum.iter_mut().enumerate() {
        *sum = u64::from_str_radix(text.get(at * 16..at * 16 + 16)?, 16).ok()?.swap_bytes();
    }
    (text.len() == 64).then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tallied(bytes: &[u8]) -> Option<Tallied> {
        let mut tally = Tally::default();
        tally.push(bytes);
        tally.finish()
    }

    #[test]
    fn a_row_ends_where_csv_says_so() {
        let rows = tallied(b"1,\"two\nlines\",x\n2,\"say \"\"\n\"\"\",\n,,\n").expect("whole");
        assert_eq!(rows.rows, 3);
        assert_eq!(tallied(b"1,x\n2"), None);
        assert_eq!(tallied(b"1,\"x\n"), None);
        let mut headed = Tally::after_header();
        headed.push(b"id,\"a\nb\"\n1,x\n");
        assert_eq!(headed.finish(), tallied(b"1,x\n"));
        assert_eq!(Tally::after_header().finish().map(|none| none.rows), Some(0));
    }

    #[test]
    fn two_sums_are_that_of_all_rows() {
        let both = |one: &[u8], other: &[u8]| tallied(one).expect("whole").and(&tallied(other).expect("whole"));
        assert_eq!(both(b"1,x\n2,y\n", b"3,z\n"), tallied(b"3,z\n1,x\n2,y\n"));
        assert_eq!(both(b"", b"3,z\n"), tallied(b"3,z\n"));
        assert_eq!(Tallied { rows: 1, sum: "00".to_owned() }.and(&tallied(b"").expect("whole")), None);
    }

    proptest! {
        #[test]
        fn neither_order_nor_cuts_matter_and_everything_else_does(
            mut rows in prop::collection::vec("[a-c,]{0,6}", 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            seed in any::<u64>(),
        ) {
            let text = |rows: &[String]| rows.iter().flat_map(|row| [row.as_str(), "\n"]).collect::<String>();
            let whole = tallied(text(&rows).as_bytes());
            let bytes = text(&rows);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let (mut tally, mut from) = (Tally::default(), 0);
            for cut in at.into_iter().chain([bytes.len()]) {
                tally.push(&bytes.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(tally.finish(), whole.clone());
            if !rows.is_empty() {
                let turn = usize::try_from(seed % rows.len() as u64).expect("small");
                rows.rotate_left(turn);
                prop_assert_eq!(tallied(text(&rows).as_bytes()), whole.clone());
                rows[0].push('z');
                prop_assert_ne!(tallied(text(&rows).as_bytes()), whole.clone());
                rows.pop();
                prop_assert_ne!(tallied(text(&rows).as_bytes()), whole);
            }
        }
    }
}
