//! Names that are taken where a table comes: those of its partitions, of which two may be called alike, and of its indexes, sequences and
//! statistics, where it comes beside the original. What cannot keep its name gets another one at the origin.

use std::collections::BTreeSet;

use super::super::about::About;
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::plain;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, Row, array};

/// Something of a table that has a name in a schema.
#[derive(Debug)]
pub(super) struct Piece {
    oid: String,
    /// `table`, `sequence`, `index` or `statistics`, as SQL calls them.
    kind: String,
    pub name: TableName,
}

const PIECES: &str = "\
    with own(oid) as (select unnest($1::oid[]) union select i.indexrelid from pg_index i where i.indrelid = any($1::oid[]) \
        union select d.objid from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' \
        where d.classid = 'pg_class'::regclass and d.refclassid = d.classid and d.deptype in ('a', 'i') and d.refobjid = any($1::oid[])) \
    select c.oid::text as oid, case when c.relkind = 'S' then 'sequence' when c.relkind in ('i', 'I') then 'index' else 'table' end as kind, \
      n.nspname as schema, c.relname as name \
    from own join pg_class c on c.oid = own.oid join pg_namespace n on n.oid = c.relnamespace \
    union all select s.oid::text, 'statistics', n.nspname, s.stxname from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace \
    where s.stxrelid = any($1::oid[]) order by 2 desc, 3, 4";

/// A table has a type of its name as well.
const TAKEN: &str = "\
    select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2 and $3 <> 'statistics') \
      or exists (select from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname = $1 and t.typname = $2 and $3 = 'table' \
        and t.typtype <> 'b') \
      or exists (select from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where n.nspname = $1 and s.stxname = $2 \
        and $3 = 'statistics') as taken";

pub(super) fn pieces(connection: &mut Connection, kin: &[String]) -> Result<Vec<Piece>, Fault> {
    let piece = |row: &Row| {
        let name = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
        Ok(Piece { oid: row.text("oid")?.to_owned(), kind: row.text("kind")?.to_owned(), name })
    };
    connection.query(PIECES, &[&array(kin)])?.iter().map(piece).collect()
}

impl Piece {
    /// It has rows, numbers, and rights of its own.
    pub(super) fn is_relation(&self) -> bool {
        matches!(self.kind.as_str(), "table" | "sequence")
    }

    fn key(&self, name: &TableName) -> (bool, TableName) {
        (self.kind == "statistics", name.clone())
    }

    fn is_taken(&self, connection: &mut Connection, name: &TableName) -> Result<bool, Fault> {
        connection.query(TAKEN, &[&name.schema, &name.name, &self.kind])?.one()?.flag("taken")
    }
}

/// Names that tables of one landing have got; those of statistics are apart.
pub(super) type Given = BTreeSet<(bool, TableName)>;

/// Under its own name everything stays in its own schema; otherwise all comes into one. Says what is called otherwise from here on.
pub(super) fn make(
    from: &mut Connection,
    to: &mut Connection,
    (about, kin): (&About, &[String]),
    becomes: &TableName,
    given: &mut Given,
) -> Result<Vec<String>, TableFault> {
    let is_itself = about.table == *becomes;
    given.insert((false, becomes.clone()));
    let mut renamed = Vec::new();
    for piece in pieces(from, kin)?.into_iter().filter(|piece| piece.oid != about.oid) {
        let schema = if is_itself { &piece.name.schema } else { &becomes.schema };
        let mut name = TableName { schema: schema.clone(), name: piece.name.name.clone() };
        let mut number = 0;
        while given.contains(&piece.key(&name))
            || piece.is_taken(to, &name)?
            || name != piece.name && piece.is_taken(from, &name)?
            || name.name != piece.name.name && piece.is_taken(from, &TableName { name: name.name.clone(), ..piece.name.clone() })?
        {
            name.name = other(&piece.name.name, (&about.table.name, &becomes.name), number);
            number += 1;
        }
        if name.name != piece.name.name {
            let was = format!("{}.{}", quoted(&piece.name.schema), quoted(&piece.name.name));
            from.run(&format!("alter {} {was} rename to {}", piece.kind, quoted(&name.name)))?;
            let now = format!("{}.{}", quoted(&name.schema), quoted(&name.name));
            renamed.push(format!("the name of the {} {}, which is taken: here it is {}", piece.kind, plain(was), plain(now)));
        }
        given.insert(piece.key(&name));
    }
    Ok(renamed)
}

/// PostgreSQL's own limit.
const LONGEST: usize = 63;

/// First after the table's new name, where it was after its old one; then by number.
fn other(name: &str, (table, becomes): (&str, &str), number: u32) -> String {
    let after = name.strip_prefix(table).filter(|_| table != becomes);
    let (stem, ending) = match (number, after) {
        (0, Some(rest)) => (becomes, rest.to_owned()),
        _ => (name, format!("_{}", number + 1)),
    };
    let room = LONGEST.saturating_sub(ending.len());
    format!("{}{ending}", &stem[..stem.floor_char_boundary(room)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_with_its_table_or_gets_a_number() {
        let of = |name: &str, number| other(name, ("orders", "orders_then"), number);
        assert_eq!(of("orders_pkey", 0), "orders_then_pkey");
        assert_eq!(of("orders_pkey", 1), "orders_pkey_2");
        assert_eq!(of("by_customer", 0), "by_customer_1");
        assert_eq!(other("orders_pkey", ("orders", "orders"), 0), "orders_pkey_1");
        let long = "ä".repeat(31) + "x";
        assert_eq!(other(&long, ("t", "t"), 11), format!("{}_12", "ä".repeat(30)));
        assert_eq!(other(&format!("t{}", "x".repeat(62)), ("t", "table"), 0).len(), 63);
    }
}
