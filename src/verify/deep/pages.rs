use crate::format::descriptor::Cluster;
use crate::format::page::{Look, look};
use crate::plan::words::counted;

/// PostgreSQL cuts relations into files of this size.
const FILE: u64 = 1 << 30;

/// The pages of a relation's file, looked at while it passes by.
#[derive(Debug)]
pub(super) struct Pages {
    page: Vec<u8>,
    size: usize,
    /// Counted over all files of the relation.
    next: u64,
    wrong: u64,
    first_wrong: Option<u64>,
}

impl Pages {
    /// `None` where pages have no checksums, or the file has no pages.
    pub(super) fn of(cluster: &Cluster, path: &str) -> Option<Pages> {
        let file = relation_file(path).filter(|_| cluster.data_checksums)?;
        let size = usize::try_from(cluster.block_size).ok().filter(|size| (1024..=32_768).contains(size) && size.is_power_of_two())?;
        Some(Pages { page: Vec::with_capacity(size), size, next: u64::from(file) * (FILE / size as u64), wrong: 0, first_wrong: None })
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.page.is_empty() && bytes.len() >= self.size {
                let (page, rest) = bytes.split_at(self.size);
                self.look(page);
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(self.size - self.page.len()));
            self.page.extend_from_slice(now);
            bytes = rest;
            if self.page.len() == self.size {
                let page = std::mem::take(&mut self.page);
                self.look(&page);
                self.page = page;
                self.page.clear();
            }
        }
    }

    fn look(&mut self, page: &[u8]) {
        // PostgreSQL counts blocks in 32 bits.
        if look(page, u32::try_from(self.next & 0xFFFF_FFFF).expect("32 bits")) == Look::Wrong {
            self.wrong += 1;
            self.first_wrong.get_or_insert(self.next);
        }
        self.next += 1;
    }

    pub(super) fn wrong(self) -> Option<String> {
        self.first_wrong.map(|first| format!("{} with wrong checksums, the first is block {first}", counted(self.wrong, "page")))
    }
}

/// Which of its relation's files this is, if it is one: `base/5/16384_fsm.2` is the third.
fn relation_file(path: &str) -> Option<u32> {
    let (directory, name) = path.rsplit_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = directory.split('/').collect();
    let has_pages = match parts.as_slice() {
        ["global"] => true,
        ["base", database] => is_number(database),
        ["pg_tblspc", oid, version, database] => is_number(oid) && version.starts_with("PG_") && is_number(database),
        _ => false,
    };
    let (relation, part) = name.split_once('.').unwrap_or((name, "0"));
    let number = match relation.split_once('_') {
        Some((number, "fsm" | "vm" | "init")) => number,
        Some(_) => return None,
        None => relation,
    };
    (has_pages && is_number(number) && is_number(part)).then(|| part.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_known_by_their_paths() {
        for (path, expected) in [
            ("base/5/16384", Some(0)),
            ("base/5/16384.3", Some(3)),
            ("base/5/16384_vm.1", Some(1)),
            ("global/1262", Some(0)),
            ("pg_tblspc/16401/PG_16_202307071/5/16402", Some(0)),
            ("global/pg_control", None),
            ("base/5/PG_VERSION", None),
            ("base/5/pg_filenode.map", None),
            ("pg_xact/0000", None),
            ("base/5/INCREMENTAL.16384", None),
        ] {
            assert_eq!(relation_file(path), expected, "{path}");
        }
    }
}
