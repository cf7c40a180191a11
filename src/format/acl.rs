//! POSIX access control lists: as Linux keeps them in `system.posix_acl_access`, and as the text that tars carry.
//!
//! The text has the number behind a name (`user:app:rw-:1001`), as star writes it; GNU tar reads it and leaves the number away.

const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// What of a list is for a user, and what for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    User,
    Group,
}

/// The list as text; `name` says what an account is called. None for what is no list.
pub fn to_text(bytes: &[u8], name: &dyn Fn(Whose, u32) -> String) -> Option<String> {
    let (version, entries) = bytes.split_at_checked(4)?;
    let (entries, []) = entries.as_chunks::<8>() else { return None };
    if u32::from_le_bytes(version.try_into().ok()?) != VERSION {
        return None;
    }
    let mut lines = Vec::new();
    for [t0, t1, p0, p1, id @ ..] in entries {
        let (tag, rights, id) = (u16::from_le_bytes([*t0, *t1]), u16::from_le_bytes([*p0, *p1]), u32::from_le_bytes(*id));
        let bit = |bit: u16, letter: char| if rights & bit != 0 { letter } else { '-' };
        let rights: String = [bit(4, 'r'), bit(2, 'w'), bit(1, 'x')].into_iter().collect();
        let of = |whose: Whose| match name(whose, id) {
            name if is_plain(&name) => format!("{name}:{rights}:{id}"),
            _ => format!("{id}:{rights}"),
        };
        lines.push(match tag {
            USER_OBJ => format!("user::{rights}"),
            USER => format!("user:{}", of(Whose::User)),
            GROUP_OBJ => format!("group::{rights}"),
            GROUP => format!("group:{}", of(Whose::Group)),
            MASK => format!("mask::{rights}"),
            OTHER => format!("other::{rights}"),
            _ => return None,
        });
    }
    Some(lines.join("\n"))
}

/// The text as Linux wants it; `number` says which number an account has here, and where it has none the one in the text is taken.
pub fn from_text(text: &str, number: &dyn Fn(Whose, &str) -> Option<u32>) -> Option<Vec<u8>> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for line in text.lines() {
        let words: Vec<&str> = line.split(':').collect();
        let (kind, who, rights) = (*words.first()?, *words.get(1)?, *words.get(2)?);
        let own = |whose: Whose| number(whose, who).or_else(|| words.get(3)?.parse().ok()).or_else(|| who.parse().ok());
        let (tag, id) = match (kind, who) {
            ("user", "") => (USER_OBJ, NOBODY),
            ("user", _) => (USER, own(Whose::User)?),
            ("group", "") => (GROUP_OBJ, NOBODY),
            ("group", _) => (GROUP, own(Whose::Group)?),
            ("mask", "") => (MASK, NOBODY),
            ("other", "") => (OTHER, NOBODY),
            _ => return None,
        };
        let bit = |letter: char, bit: u16| if rights.contains(letter) { bit } else { 0 };
        let rights = bit('r', 4) | bit('w', 2) | bit('x', 1);
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&rights.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    (bytes.len() > 4).then_some(bytes)
}

/// What the owning group may do by a list: what its own entry says, within the mask. In the bits of a mode these three show the mask alone.
pub fn group_rights(text: &str) -> u32 {
    let rights = |begin: &str| text.lines().find_map(|line| line.strip_prefix(begin));
    let bits =
        |text: &str| [('r', 4), ('w', 2), ('x', 1)].into_iter().filter(|(letter, _)| text.contains(*letter)).map(|(_, bit)| bit).sum();
    let mask: u32 = rights("mask::").map_or(7, bits);
    rights("group::").map_or(0, bits) & mask
}

/// A name that means itself between colons, commas and ends of lines.
fn is_plain(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-$".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_to_text_and_back() {
        let text = "user::rwx\nuser:app:rw-:1001\nuser:77:r--\ngroup::r-x\ngroup:staff:-w-:50\nmask::rwx\nother::--x";
        let number = |whose: Whose, name: &str| (whose == Whose::User && name == "app").then_some(1001);
        let bytes = from_text(text, &number).expect("a list");
        let name = |whose: Whose, id: u32| match (whose, id) {
            (Whose::User, 1001) => "app".to_owned(),
            (Whose::Group, 50) => "staff".to_owned(),
            _ => "strange, name".to_owned(),
        };
        assert_eq!(to_text(&bytes, &name).as_deref(), Some(text));
        // Where the account has another number, it is the account that counts.
        let moved = from_text("user:app:rw-:1001", &|_, _| Some(2002)).expect("a list");
        assert_eq!(moved[8..12], 2002u32.to_le_bytes());
    }

    #[test]
    fn the_mask_gives_the_group_nothing() {
        let text = "user::rw-\nuser:app:rw-:1001\ngroup::r-x\nmask::rw-\nother::---";
        assert_eq!(group_rights(text), 4);
        assert_eq!(group_rights("user::rw-\ngroup::rw-\nother::---"), 6);
        assert_eq!(group_rights("nonsense"), 0);
    }

    #[test]
    fn nonsense_is_none() {
        assert!(to_text(b"\x02\0\0\0\x01", &|_, _| String::new()).is_none());
        assert!(to_text(b"\x03\0\0\0", &|_, _| String::new()).is_none());
        for text in ["", "user", "user:nobody knows:rwx", "what::rwx"] {
            assert!(from_text(text, &|_, _| None).is_none(), "{text}");
        }
    }
}
