//! Which files are a table's, by the rows of the catalogs that lie in the backup. A backup is made while the server writes: of every row each
//! version that is found counts, so that too much is fetched rather than too little.

use std::collections::{BTreeMap, BTreeSet};

use super::TableName;
use crate::format::system::{Chunk, Class, FIRST_NORMAL, Hypertable, LARGE_OBJECTS};
use crate::units::nearest;

/// Where TimescaleDB has its own tables, which it looks into whenever a hypertable is read.
pub(super) const TIMESCALE: [&str; 3] = ["_timescaledb_catalog", "_timescaledb_config", "_timescaledb_cache"];

/// What lies on the pages of one database's catalogs.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub classes: BTreeMap<u32, Vec<Class>>,
    by_name: BTreeMap<String, BTreeSet<u32>>,
    pub namespaces: BTreeMap<u32, BTreeSet<String>>,
    /// Partitions and children of a table.
    pub children: Below,
    /// Indexes of a table.
    pub indexes: Below,
    /// Sequences of a table's columns.
    pub owned: Below,
    pub hypertables: Vec<Hypertable>,
    pub chunks: Vec<Chunk>,
    /// Files of those whose row names none.
    pub map: BTreeMap<u32, u32>,
}

/// What belongs to a relation.
#[derive(Debug, Default)]
pub(super) struct Below(BTreeMap<u32, BTreeSet<u32>>);

impl Below {
    pub(super) fn put(&mut self, one: u32, above: u32) {
        self.0.entry(above).or_default().insert(one);
    }

    fn of(&self, above: u32) -> impl Iterator<Item = u32> {
        self.0.get(&above).into_iter().flatten().copied()
    }
}

impl Catalog {
    pub(super) fn add(&mut self, class: Class) {
        self.by_name.entry(class.name.clone()).or_default().insert(class.oid);
        let versions = self.classes.entry(class.oid).or_default();
        if !versions.contains(&class) {
            versions.push(class);
        }
    }

    fn schema_is(&self, namespace: u32, schema: &str) -> bool {
        self.namespaces.get(&namespace).is_some_and(|names| names.contains(schema))
    }

    /// The numbers of whatever was called so.
    pub(super) fn called(&self, schema: &str, name: &str) -> BTreeSet<u32> {
        let is = |class: &Class| class.name == name && self.schema_is(class.namespace, schema);
        let named = self.by_name.get(name).into_iter().flatten().copied();
        named.filter(|oid| self.classes.get(oid).is_some_and(|versions| versions.iter().any(is))).collect()
    }

    /// The same where nobody may have said a schema.
    pub(super) fn called_anywhere(&self, schema: Option<&str>, name: &str) -> BTreeSet<u32> {
        match schema {
            Some(schema) => self.called(schema, name),
            None => self.by_name.get(name).into_iter().flatten().copied().filter(|oid| *oid >= FIRST_NORMAL).collect(),
        }
    }

    pub(super) fn sequences(&self) -> impl Iterator<Item = u32> {
        self.of_kind('S')
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = u32> {
        self.of_kind('r')
    }

    fn of_kind(&self, kind: char) -> impl Iterator<Item = u32> {
        let is_one = move |versions: &[Class]| versions.iter().any(|class| class.kind == kind);
        self.classes.range(FIRST_NORMAL..).filter(move |(_, versions)| is_one(versions)).map(|(oid, _)| *oid)
    }

    /// Every file that a relation had.
    pub(super) fn nodes_of(&self, oid: u32) -> BTreeSet<u32> {
        let rows = self.classes.get(&oid).into_iter().flatten().map(|class| class.node);
        rows.filter(|node| *node != 0).chain(self.map.get(&oid).copied()).collect()
    }

    /// What a server needs to answer anything, whatever is asked: its catalogs, wherever their files are by now.
    pub(super) fn system(&self) -> BTreeSet<u32> {
        let is_timescale = |class: &Class| TIMESCALE.iter().any(|schema| self.schema_is(class.namespace, schema));
        let wanted = |oid: u32, versions: &[Class]| oid < FIRST_NORMAL || versions.iter().any(is_timescale);
        let oids = self.classes.iter().filter(|(oid, versions)| wanted(**oid, versions)).map(|(oid, _)| *oid);
        let mapped = self.map.keys().copied();
        oids.chain(mapped).filter(|oid| !LARGE_OBJECTS.contains(oid)).flat_map(|oid| self.nodes_of(oid)).collect()
    }

    /// A relation with all that its rows may lie in: below it, beside it, and the sequences of its columns.
    pub(super) fn family(&self, oids: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut all: BTreeSet<u32> = oids.iter().flat_map(|oid| self.chunks_of(*oid)).chain(oids.iter().copied()).collect();
        let mut new: Vec<u32> = all.iter().copied().collect();
        while let Some(oid) = new.pop() {
            let versions = self.classes.get(&oid).map(Vec::as_slice).unwrap_or_default();
            let toast = versions.iter().map(|class| class.toast).filter(|toast| *toast != 0);
            // Long values are found by its index, and by nothing else.
            let is_toast = versions.iter().any(|class| class.kind == 't');
            let indexes = self.indexes.of(oid).filter(|_| is_toast);
            let found: Vec<u32> = toast.chain(indexes).chain(self.children.of(oid)).chain(self.owned.of(oid)).collect();
            new.extend(found.into_iter().filter(|found| all.insert(*found)));
        }
        all
    }

    /// Of a hypertable: what has its rows, compressed or not.
    fn chunks_of(&self, oid: u32) -> Vec<u32> {
        let is = |schema: &str, name: &str| self.called(schema, name).contains(&oid);
        let tables: BTreeSet<u32> = self.hypertables.iter().filter(|table| is(&table.schema, &table.name)).map(|table| table.id).collect();
        if tables.is_empty() {
            return Vec::new();
        }
        let own: Vec<&Chunk> = self.chunks.iter().filter(|chunk| tables.contains(&chunk.hypertable)).collect();
        let compressed: BTreeSet<u32> = own.iter().filter_map(|chunk| chunk.compressed).collect();
        let others = self.chunks.iter().filter(|chunk| compressed.contains(&chunk.id));
        let names: BTreeSet<(&str, &str)> =
            own.iter().copied().chain(others).map(|chunk| (chunk.schema.as_str(), chunk.name.as_str())).collect();
        names.into_iter().flat_map(|(schema, name)| self.called(schema, name)).collect()
    }

    /// What may have been meant by a name that is not there.
    pub(super) fn near(&self, wanted: &TableName) -> Option<TableName> {
        let tables = self.classes.range(FIRST_NORMAL..).filter_map(|(_, versions)| versions.last());
        let tables: Vec<(&str, &Class)> = tables
            .filter(|class| matches!(class.kind, 'r' | 'p' | 'm'))
            .filter_map(|class| Some((self.namespaces.get(&class.namespace)?.last()?.as_str(), class)))
            .collect();
        let named = |schema: &str, name: &str| TableName { schema: schema.to_owned(), name: name.to_owned() };
        // The same name elsewhere is more likely meant than another name here.
        if let Some((schema, class)) = tables.iter().find(|(_, class)| class.name == wanted.name) {
            return Some(named(schema, &class.name));
        }
        let here = tables.iter().filter(|(schema, _)| *schema == wanted.schema).map(|(_, class)| class.name.as_str());
        nearest(&wanted.name, here).map(|name| named(&wanted.schema, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(oid: u32, name: &str, node: u32, toast: u32, kind: char) -> Class {
        Class { oid, name: name.into(), namespace: if oid < FIRST_NORMAL { 11 } else { 2200 }, node, toast, kind, persistence: 'p' }
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog {
            namespaces: BTreeMap::from([
                (11, BTreeSet::from(["pg_catalog".into()])),
                (2200, BTreeSet::from(["public".into()])),
                (99, BTreeSet::from(["pg_toast".into()])),
            ]),
            map: BTreeMap::from([(1259, 20_001), (1249, 1249)]),
            ..Catalog::default()
        };
        for one in [
            class(1259, "pg_class", 0, 0, 'r'),
            class(2613, "pg_largeobject", 2613, 0, 'r'),
            class(2619, "pg_statistic", 20_002, 2840, 't'),
            class(17_000, "orders", 17_000, 17_003, 'r'),
            // It was rewritten while it was copied.
            class(17_000, "orders", 17_500, 17_503, 'r'),
            class(17_003, "pg_toast_17000", 17_003, 0, 't'),
            class(17_004, "pg_toast_17000_index", 17_004, 0, 'i'),
            class(17_503, "pg_toast_17000", 17_503, 0, 't'),
            class(17_005, "orders_pkey", 17_005, 0, 'i'),
            class(17_006, "orders_id_seq", 17_006, 0, 'S'),
            class(17_010, "events", 0, 0, 'p'),
            class(17_011, "events_1", 0, 0, 'p'),
            class(17_012, "events_1_a", 17_012, 0, 'r'),
            class(17_020, "other", 17_020, 0, 'r'),
        ] {
            catalog.add(one);
        }
        for (child, parent) in [(17_011, 17_010), (17_012, 17_011)] {
            catalog.children.put(child, parent);
        }
        for (index, table) in [(17_004, 17_003), (17_005, 17_000)] {
            catalog.indexes.put(index, table);
        }
        catalog.owned.put(17_006, 17_000);
        catalog
    }

    fn files(catalog: &Catalog, name: &str) -> Vec<u32> {
        let family = catalog.family(&catalog.called("public", name));
        family.into_iter().flat_map(|oid| catalog.nodes_of(oid)).collect()
    }

    #[test]
    fn what_is_looked_for_without_a_schema_may_be_anywhere() {
        let catalog = catalog();
        assert_eq!(catalog.called_anywhere(None, "orders"), BTreeSet::from([17_000]));
        assert_eq!(catalog.called_anywhere(Some("shop"), "orders"), BTreeSet::new());
        assert_eq!(catalog.called_anywhere(None, "pg_class"), BTreeSet::new());
        assert_eq!((catalog.sequences().collect::<Vec<_>>(), catalog.tables().count()), (vec![17_006], 3));
    }

    #[test]
    fn every_version_of_a_row_counts() {
        let catalog = catalog();
        assert_eq!(files(&catalog, "orders"), [17_000, 17_500, 17_003, 17_004, 17_006, 17_503]);
        assert_eq!(files(&catalog, "events"), [17_012]);
        assert_eq!(files(&catalog, "nothing"), Vec::<u32>::new());
        assert_eq!(catalog.system(), BTreeSet::from([1249, 20_001, 20_002]));
    }

    #[test]
    fn compressed_rows_are_a_hypertables_too() {
        let mut catalog = catalog();
        catalog.add(class(17_030, "_hyper_1_1_chunk", 17_030, 0, 'r'));
        catalog.add(class(17_031, "compress_hyper_2_7_chunk", 17_031, 0, 'r'));
        catalog.add(class(17_032, "compress_hyper_4_8_chunk", 17_032, 0, 'r'));
        let table = |id, name: &str| Hypertable { id, schema: "public".into(), name: name.into() };
        let chunk =
            |id, hypertable, name: &str, compressed| Chunk { id, hypertable, schema: "public".into(), name: name.into(), compressed };
        catalog.hypertables = vec![table(1, "other"), table(3, "another")];
        catalog.chunks = vec![
            chunk(1, 1, "_hyper_1_1_chunk", Some(7)),
            chunk(7, 2, "compress_hyper_2_7_chunk", None),
            chunk(8, 4, "compress_hyper_4_8_chunk", None),
        ];
        assert_eq!(files(&catalog, "other"), [17_020, 17_030, 17_031]);
    }

    #[test]
    fn what_may_have_been_meant_is_named() {
        let catalog = catalog();
        let near = |schema: &str, name: &str| {
            catalog.near(&TableName { schema: schema.into(), name: name.into() }).map(|near| format!("{}.{}", near.schema, near.name))
        };
        assert_eq!(near("public", "ordes").as_deref(), Some("public.orders"));
        assert_eq!(near("shop", "orders").as_deref(), Some("public.orders"));
        assert_eq!(near("public", "invoices"), None);
    }
}
