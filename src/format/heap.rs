//! A table's page, read without a server: every version of every row that lies on it, whoever may see it.
//!
//! What is read so may be a copy that was made while the server wrote: a version may be missing or be on two pages. Whoever reads has to be
//! right with too much, and to find out by other means what he has not seen.

/// Before the first of the pointers to rows.
const HEADER: usize = 24;
/// Before a row's bits and values.
const ROW_HEADER: usize = 23;
const NORMAL: u32 = 1;
const HAS_NULLS: u16 = 1;
/// Whoever was to replace the row has not, or has only locked it.
const STAYS: u16 = 0x0800 | 0x0080;
const COLUMNS: u16 = 0x07FF;

/// One version of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<'p> {
    columns: u16,
    /// A bit for each column, set where it has a value.
    present: Option<&'p [u8]>,
    values: &'p [u8],
    replaced: bool,
}

/// All versions on a page. Pointers that lead nowhere are passed over.
pub fn versions(page: &[u8]) -> impl Iterator<Item = Version<'_>> {
    let lower = page.get(12..14).map_or(0, |lower| usize::from(u16::from_le_bytes([lower[0], lower[1]]))).min(page.len());
    let pointers = page.get(HEADER..lower).unwrap_or_default();
    pointers.as_chunks::<4>().0.iter().filter_map(|pointer| version(page, u32::from_le_bytes(*pointer)))
}

fn version(page: &[u8], pointer: u32) -> Option<Version<'_>> {
    let (at, kind, length) = ((pointer & 0x7FFF) as usize, (pointer >> 15) & 3, (pointer >> 17) as usize);
    if kind != NORMAL {
        return None;
    }
    let row = page.get(at..at.checked_add(length)?)?;
    let word = |at: usize| Some(u16::from_le_bytes(*row.get(at..)?.first_chunk()?));
    let begin = usize::from(*row.get(ROW_HEADER - 1)?);
    let columns = word(18)? & COLUMNS;
    let has_nulls = word(20)? & HAS_NULLS != 0;
    let bits = if has_nulls { Some(row.get(ROW_HEADER..ROW_HEADER + usize::from(columns).div_ceil(8))?) } else { None };
    let replaced = u32::from_le_bytes(*row.get(4..)?.first_chunk()?) != 0 && word(20)? & STAYS == 0;
    Some(Version { columns, present: bits, values: row.get(begin..)?, replaced })
}

impl<'p> Version<'p> {
    /// How many columns it was written with.
    pub fn columns(&self) -> u16 {
        self.columns
    }

    /// Somebody has deleted it, or put another in its place; or has begun to, and whether it came to that is not known.
    pub fn is_replaced(&self) -> bool {
        self.replaced
    }

    /// Whether the column of this number, counted from 0, has a value.
    pub fn has(&self, column: u16) -> bool {
        let at = usize::from(column);
        column < self.columns && self.present.is_none_or(|bits| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1))
    }

    /// A number of four bytes at this place among the values.
    pub fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.values.get(at..)?.first_chunk()?))
    }

    /// A character of PostgreSQL's own small type.
    pub fn character(&self, at: usize) -> Option<char> {
        self.values.get(at).map(|byte| char::from(*byte))
    }

    /// A name: 64 bytes, filled up with zeros.
    pub fn name(&self, at: usize) -> Option<&'p str> {
        let bytes: &[u8; 64] = self.values.get(at..)?.first_chunk()?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&bytes[..end]).ok()
    }
}

#[cfg(test)]
pub(super) mod made {
    /// Columns, bits of those that have values, values.
    type Row<'r> = (u16, Option<&'r [u8]>, &'r [u8]);

    /// A page with these rows.
    pub fn page(rows: &[Row<'_>]) -> Vec<u8> {
        let mut page = vec![0; 8192];
        let mut upper = page.len();
        for (number, (columns, bits, values)) in rows.iter().enumerate() {
            let begin = (23 + bits.map_or(0, <[u8]>::len)).next_multiple_of(8);
            let length = begin + values.len();
            upper = (upper - length) / 8 * 8;
            let row = &mut page[upper..upper + length];
            row[18..20].copy_from_slice(&columns.to_le_bytes());
            row[20] = u8::from(bits.is_some());
            row[22] = u8::try_from(begin).expect("small");
            if let Some(bits) = bits {
                row[23..23 + bits.len()].copy_from_slice(bits);
            }
            row[begin..].copy_from_slice(values);
            let pointer = u32::try_from(upper | 1 << 15 | length << 17).expect("fits");
            page[24 + 4 * number..28 + 4 * number].copy_from_slice(&pointer.to_le_bytes());
        }
        let lower = u16::try_from(24 + 4 * rows.len()).expect("fits");
        page[12..14].copy_from_slice(&lower.to_le_bytes());
        page
    }

    pub fn name(text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(64, 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_read() {
        let one = [7u32.to_le_bytes().to_vec(), made::name("orders"), vec![b'r']].concat();
        let page = made::page(&[(3, None, &one), (3, Some(&[0b101]), &one)]);
        let all: Vec<Version<'_>> = versions(&page).collect();
        assert_eq!(all.len(), 2);
        for version in &all {
            assert_eq!((version.number(0), version.name(4), version.character(68)), (Some(7), Some("orders"), Some('r')));
            assert_eq!((version.number(66), version.name(6)), (None, None), "beyond its end");
        }
        assert!(all[0].has(1) && !all[0].has(3));
        assert!(all[1].has(0) && !all[1].has(1) && all[1].has(2));
    }

    #[test]
    fn what_was_replaced_is_known() {
        let one = [7u32.to_le_bytes().to_vec(), made::name("orders")].concat();
        let mut page = made::page(&[(2, None, &one), (2, None, &one), (2, None, &one)]);
        let rows: Vec<usize> = (0..3).map(|at| page[24 + 4 * at] as usize | (page[25 + 4 * at] as usize & 0x7F) << 8).collect();
        for at in &rows[1..] {
            page[at + 4..at + 8].copy_from_slice(&731u32.to_le_bytes());
        }
        // Only locked.
        page[rows[2] + 20] |= 0x80;
        assert_eq!(versions(&page).map(|version| version.is_replaced()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn nonsense_is_passed_over() {
        assert_eq!(versions(&[]).count(), 0);
        assert_eq!(versions(&[0; 8192]).count(), 0);
        let mut wild: Vec<u8> = (0..8192u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        wild[12..14].copy_from_slice(&[0xFF, 0xFF]);
        for version in versions(&wild) {
            for at in (0..9000).step_by(61) {
                let _ = (version.number(at), version.name(at), version.character(at), version.has(at as u16));
            }
        }
    }
}
