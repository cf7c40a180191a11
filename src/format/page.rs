//! A page of a relation: its checksum, and what stands at its beginning.
//!
//! The checksum is PostgreSQL's own: 32 sums side by side, so that a compiler can keep them in wide registers.

use crate::units::Lsn;

const LANES: usize = 32;
const ROW: usize = LANES * 4;
const PRIME: u32 = 16_777_619;

/// What each sum begins with.
const BASES: [u32; LANES] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// Where the page's own checksum stands: it counts as zero while it is computed.
const CHECKSUM_AT: usize = 8;
const UPPER_AT: usize = 14;

/// The position in the log up to which the page holds what was logged.
pub fn lsn(page: &[u8]) -> Lsn {
    let half = |at: usize| u64::from(u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]));
    Lsn(half(0) << 32 | half(4))
}

/// The checksum that the page says it has.
pub fn stored(page: &[u8]) -> u16 {
    u16::from_le_bytes([page[CHECKSUM_AT], page[CHECKSUM_AT + 1]])
}

/// Given to a relation and not yet used: it has no checksum, and should be empty.
pub fn is_new(page: &[u8]) -> bool {
    page[UPPER_AT] == 0 && page[UPPER_AT + 1] == 0
}

/// The checksum that a page of this content has at this place. `block` counts over all files of the relation.
pub fn checksum(page: &[u8], block: u32) -> u16 {
    let folded = fold(page) ^ block;
    u16::try_from(folded % 65_535 + 1).expect("at most 65535")
}

fn fold(page: &[u8]) -> u32 {
    let (rows, _) = page.as_chunks::<ROW>();
    let mut sums = BASES;
    let Some((first, others)) = rows.split_first() else { return 0 };
    let mut first = *first;
    first[CHECKSUM_AT..CHECKSUM_AT + 2].fill(0);
    mix(&mut sums, &first);
    for row in others {
        mix(&mut sums, row);
    }
    mix(&mut sums, &[0; ROW]);
    mix(&mut sums, &[0; ROW]);
    sums.iter().fold(0, |folded, sum| folded ^ sum)
}

#[inline(always)]
fn mix(sums: &mut [u32; LANES], row: &[u8; ROW]) {
    let (words, _) = row.as_chunks::<4>();
    for (sum, word) in sums.iter_mut().zip(words) {
        let mixed = *sum ^ u32::from_le_bytes(*word);
        *sum = mixed.wrapping_mul(PRIME) ^ (mixed >> 17);
    }
}

/// What a page looks like to one who reads it while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It is as it was written.
    Sound,
    /// Its checksum is not that of its content, or it claims to be unused and is not empty.
    Wrong,
}

/// Looks at a page of a cluster with checksums.
pub fn look(page: &[u8], block: u32) -> Look {
    let sound = if is_new(page) { page.iter().all(|byte| *byte == 0) } else { checksum(page, block) == stored(page) };
    if sound { Look::Sound } else { Look::Wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<u8> {
        let mut page: Vec<u8> = (0..8192u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        page[UPPER_AT] = 1;
        page
    }

    #[test]
    fn the_stored_checksum_is_no_part_of_it() {
        let mut page = page();
        let sum = checksum(&page, 7);
        page[8..10].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(checksum(&page, 7), sum);
        assert_eq!(look(&page, 7), Look::Sound);
        assert_eq!(look(&page, 8), Look::Wrong);
        page[8191] ^= 1;
        assert_eq!(look(&page, 7), Look::Wrong);
    }

    #[test]
    fn a_new_page_is_empty() {
        let mut page = vec![0; 8192];
        assert_eq!(look(&page, 3), Look::Sound);
        page[4000] = 1;
        assert_eq!(look(&page, 3), Look::Wrong);
    }

    #[test]
    fn a_position_is_two_halves() {
        let mut page = page();
        page[..8].copy_from_slice(&[0x16, 0, 0, 0, 0x48, 0xD8, 0x74, 0xB3]);
        assert_eq!(lsn(&page).to_string(), "16/B374D848");
    }
}
