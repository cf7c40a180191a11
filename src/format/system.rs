//! Rows of PostgreSQL's own catalogs, as far as it takes to know which files are whose. The columns that are read stand before all that have
//! no fixed width, and all but one of them where they stood in 13.

use super::heap::Version;

/// What initdb made has numbers below this, the system catalogs with all that belongs to them.
pub const FIRST_NORMAL: u32 = 16_384;

/// The catalogs that are read, by their numbers.
pub const CLASSES: u32 = 1259;
pub const NAMESPACES: u32 = 2615;
pub const INHERITS: u32 = 2611;
pub const INDEXES: u32 = 2610;
pub const DEPENDENCIES: u32 = 2608;
pub const DATABASES: u32 = 1262;
/// Large objects and their index: as large as what people put there, and no table needs them.
pub const LARGE_OBJECTS: [u32; 2] = [2613, 2683];

/// A row of `pg_class`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub oid: u32,
    pub name: String,
    pub namespace: u32,
    /// The number in its files' names; 0 where `pg_filenode.map` has it, or where there are none.
    pub node: u32,
    /// Its TOAST table, or 0.
    pub toast: u32,
    pub kind: char,
    /// `p`ermanent, `u`nlogged or `t`emporary.
    pub persistence: char,
}

impl Class {
    pub fn read(row: &Version<'_>, major: u32) -> Option<Class> {
        // One number more stands before it from 18 on.
        let toast = if major >= 18 { 112 } else { 108 };
        Some(Class {
            oid: row.number(0)?,
            name: row.name(4)?.to_owned(),
            namespace: row.number(68)?,
            node: row.number(88)?,
            toast: row.number(toast)?,
            persistence: row.character(toast + 6)?,
            kind: row.character(toast + 7)?,
        })
    }
}

/// A number and a name: how rows of `pg_namespace` and `pg_database` begin.
pub fn named(row: &Version<'_>) -> Option<(u32, String)> {
    Some((row.number(0)?, row.name(4)?.to_owned()))
}

/// Two numbers: of `pg_inherits` the child and the parent, of `pg_index` the index and its table.
pub fn pair(row: &Version<'_>) -> Option<(u32, u32)> {
    Some((row.number(0)?, row.number(4)?))
}

/// Of `pg_depend`: a relation that belongs to another one's column and goes with it, as the sequence of a `serial` does.
pub fn owned(row: &Version<'_>) -> Option<(u32, u32)> {
    let belongs = row.number(0)? == CLASSES && row.number(12)? == CLASSES && row.number(20)? != 0;
    (belongs && matches!(row.character(24)?, 'a' | 'i')).then_some((row.number(4)?, row.number(16)?))
}

/// A row of TimescaleDB's `hypertable`, any 2.x.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypertable {
    pub id: u32,
    pub schema: String,
    pub name: String,
}

impl Hypertable {
    pub fn read(row: &Version<'_>) -> Option<Hypertable> {
        Some(Hypertable { id: row.number(0)?, schema: row.name(4)?.to_owned(), name: row.name(68)?.to_owned() })
    }
}

/// A row of TimescaleDB's `chunk`, any 2.x.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub id: u32,
    pub hypertable: u32,
    pub schema: String,
    pub name: String,
    /// The chunk that has its compressed rows.
    pub compressed: Option<u32>,
}

impl Chunk {
    pub fn read(row: &Version<'_>) -> Option<Chunk> {
        let compressed = if row.has(4) { Some(row.number(136)?) } else { None };
        let (schema, name) = (row.name(8)?.to_owned(), row.name(72)?.to_owned());
        Some(Chunk { id: row.number(0)?, hypertable: row.number(4)?, schema, name, compressed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::heap::{made, versions};

    #[test]
    fn a_sequence_belongs_to_its_column() {
        let row = |kind: u8, column: u32| {
            let numbers = [CLASSES, 16_400, 0, CLASSES, 16_390, column];
            let mut values: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            values.push(kind);
            values
        };
        let read = |values: &[u8]| versions(&made::page(&[(7, None, values)])).next().and_then(|row| owned(&row));
        assert_eq!(read(&row(b'a', 1)), Some((16_400, 16_390)));
        assert_eq!(read(&row(b'i', 2)), Some((16_400, 16_390)));
        assert_eq!((read(&row(b'n', 1)), read(&row(b'a', 0))), (None, None));
    }

    #[test]
    fn the_toast_table_stands_further_back_from_18_on() {
        for (major, toast) in [(13, 108), (17, 108), (18, 112)] {
            let mut values = vec![0; toast + 8];
            values[..4].copy_from_slice(&16_385u32.to_le_bytes());
            values[4..68].copy_from_slice(&made::name("orders"));
            values[68..72].copy_from_slice(&2200u32.to_le_bytes());
            values[88..92].copy_from_slice(&16_999u32.to_le_bytes());
            values[toast..toast + 4].copy_from_slice(&16_388u32.to_le_bytes());
            values[toast + 6..].copy_from_slice(b"pr");
            let page = made::page(&[(33, None, &values)]);
            let class = versions(&page).next().and_then(|row| Class::read(&row, major));
            let expected =
                Class { oid: 16_385, name: "orders".into(), namespace: 2200, node: 16_999, toast: 16_388, kind: 'r', persistence: 'p' };
            assert_eq!(class, Some(expected), "{major}");
        }
    }
}
