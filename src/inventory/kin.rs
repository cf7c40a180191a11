//! Tables that have rows in common: what a hold on one of them means for another.

use super::TableName;

/// What has rows in common with one table, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kin {
    /// The table itself, what it is a part of or inherits from, and the continuous aggregate whose rows are in it.
    pub whole: Vec<TableName>,
    /// Its partitions, its chunks, and what inherits from it.
    pub parts: Vec<TableName>,
    /// Views that read any of these. They have no rows of their own, and nobody can tell which of the table's one means.
    pub views: Vec<TableName>,
}

/// What a name has to do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch<'k> {
    /// All of its rows are among those of that name.
    Whole,
    /// Those of this part are.
    Part(&'k TableName),
    /// That is a view which reads it.
    View(&'k TableName),
}

impl Kin {
    /// By the parts of the name, as SQL reads them. One without a schema may mean any, so of several it is what holds most.
    pub fn touch(&self, name: &[String]) -> Option<Touch<'_>> {
        let meant = |among: &'_ Vec<TableName>| among.iter().position(|table| table.is_meant_by(name));
        if meant(&self.whole).is_some() {
            return Some(Touch::Whole);
        }
        let part = meant(&self.parts).map(|at| Touch::Part(&self.parts[at]));
        part.or_else(|| meant(&self.views).map(|at| Touch::View(&self.views[at])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    #[test]
    fn a_name_means_the_whole_before_a_part_and_a_part_before_a_view() {
        let kin = Kin {
            whole: vec![table("shop", "orders"), table("shop", "everything")],
            parts: vec![table("shop", "orders_2019"), table("old", "everything")],
            views: vec![table("public", "late"), table("public", "orders_2019")],
        };
        let touch = |name: &[&str]| kin.touch(&name.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(touch(&["everything"]), Some(Touch::Whole));
        assert_eq!(touch(&["old", "everything"]), Some(Touch::Part(&kin.parts[1])));
        assert_eq!(touch(&["orders_2019"]), Some(Touch::Part(&kin.parts[0])));
        assert_eq!(touch(&["db", "public", "orders_2019"]), Some(Touch::View(&kin.views[1])));
        assert_eq!((touch(&["public", "orders"]), touch(&["others"]), touch(&[])), (None, None, None));
    }
}
