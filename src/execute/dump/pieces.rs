//! How a database is cut for several `pg_dump`s at once.
//!
//! `pg_dump`'s own parallel format writes files into a directory; what is not to lie on a disk cannot have it. So the definitions are one
//! small archive, and the rows are as many as there are jobs: the largest tables are dealt out, and the first piece has all the rest, with
//! large objects, sequences and whatever else has no table of its own. All see one snapshot.

use super::snapshot::Named;
use crate::format::contents::Holds;

/// A smaller table is not worth a place on a command line.
const LEAST_BYTES: u64 = 1 << 20;
const MOST_TABLES: usize = 400;
/// Names of chunks are short.
const MOST_NAMED: usize = 5_000;

/// One archive that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its object, without the ending.
    pub name: String,
    pub holds: Holds,
    pub arguments: Vec<String>,
}

pub(super) fn whole(number: usize, selection: Vec<String>) -> Piece {
    Piece { name: format!("dump-{number:05}"), holds: Holds::Everything, arguments: selection }
}

pub(super) fn definitions(number: usize, arguments: Vec<String>) -> Piece {
    Piece { name: format!("dump-{number:05}-definitions"), holds: Holds::Definitions, arguments }
}

/// These tables alone, with everything that belongs to them.
pub(super) fn tables(number: usize, tables: &[Named]) -> Piece {
    let strict = std::iter::once("--strict-names".to_owned());
    let arguments = strict.chain(tables.iter().map(|table| format!("--table={}", pattern(table)))).collect();
    Piece { name: format!("dump-{number:05}"), holds: Holds::Everything, arguments }
}

/// Everything that is no table and belongs to none: types, and what makes them. No table is locked for it, and none need be readable.
pub(super) fn types(number: usize) -> Piece {
    let arguments = ["--section=pre-data", "--exclude-table=*.*", "--no-blobs"].map(str::to_owned).to_vec();
    Piece { name: format!("dump-{number:05}-types"), holds: Holds::Definitions, arguments }
}

/// The rows of these tables, in at most `jobs` pieces.
pub(super) fn rows(number: usize, jobs: usize, dumped: &[&Named], selection: &[String]) -> Vec<Piece> {
    let mut tables: Vec<&Named> = dumped.iter().copied().filter(|table| table.bytes >= LEAST_BYTES).collect();
    tables.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| (&one.schema, &one.name).cmp(&(&other.schema, &other.name))));
    tables.truncate(MOST_TABLES);
    let all: u64 = dumped.iter().map(|table| table.bytes).sum();
    let rest = all - tables.iter().map(|table| table.bytes).sum::<u64>();
    let mut shares: Vec<(u64, Vec<&Named>)> = vec![(0, Vec::new()); jobs.max(1)];
    shares[0].0 = rest;
    for table in tables {
        let least = shares.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there is one");
        least.0 += table.bytes;
        least.1.push(table);
    }
    let patterns: Vec<Vec<String>> = shares[1..].iter().map(|(_, tables)| tables.iter().map(|table| pattern(table)).collect()).collect();
    let piece = |part: usize, arguments: Vec<String>| Piece {
        name: format!("dump-{number:05}-rows-{part:05}"),
        holds: Holds::Rows,
        arguments: std::iter::once("--section=data".to_owned()).chain(arguments).collect(),
    };
    let others = patterns.iter().flatten().map(|pattern| format!("--exclude-table-data={pattern}"));
    let first = piece(1, selection.iter().cloned().chain(others).collect());
    let named = patterns.iter().filter(|patterns| !patterns.is_empty()).enumerate();
    // A table whose rows the policy leaves out is among the definitions all the same.
    let left_out: Vec<String> = selection.iter().filter(|word| word.starts_with("--exclude-table-data=")).cloned().collect();
    let rest = named.map(|(at, patterns)| {
        let tables = patterns.iter().map(|pattern| format!("--table={pattern}"));
        piece(at + 2, tables.chain(left_out.iter().cloned()).collect())
    });
    std::iter::once(first).chain(rest).collect()
}

/// The rows of these alone, in as many pieces as it takes to name them all.
pub(super) fn only(number: usize, tables: &[Named]) -> Vec<Piece> {
    let piece = |(at, some): (usize, &[Named])| {
        let words = ["--section=data".to_owned(), "--strict-names".to_owned()].into_iter();
        Piece {
            name: format!("dump-{number:05}-rows-{:05}", at + 1),
            holds: Holds::Rows,
            arguments: words.chain(some.iter().map(|table| format!("--table={}", pattern(table)))).collect(),
        }
    };
    tables.chunks(MOST_NAMED).enumerate().map(piece).collect()
}

/// Between quotes nothing means anything but itself.
pub(super) fn pattern(table: &Named) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_in_one_piece_and_the_rest_in_the_first() {
        let sizes = [("big", 900u64), ("half \"; drop table x --", 500), ("third", 300), ("small", 0)];
        let known = sizes.map(|(name, megabytes)| Named { schema: "public".into(), name: name.into(), bytes: megabytes << 20 });
        let known: Vec<&Named> = known.iter().collect();
        let pieces = rows(1, 2, &known, &["--exclude-table=left*".to_owned()]);
        let words: Vec<String> = pieces.iter().map(|piece| format!("{}: {}", piece.name, piece.arguments.join(" "))).collect();
        assert_eq!(
            words,
            [
                "dump-00001-rows-00001: --section=data --exclude-table=left* \
                 --exclude-table-data=\"public\".\"half \"\"; drop table x --\" --exclude-table-data=\"public\".\"third\"",
                "dump-00001-rows-00002: --section=data --table=\"public\".\"half \"\"; drop table x --\" --table=\"public\".\"third\"",
            ]
        );
        assert_eq!(rows(1, 1, &known, &[]).len(), 1);
        let without = rows(1, 2, &known, &["--exclude-table-data=half*".to_owned()]);
        assert!(without.iter().all(|piece| piece.arguments.contains(&"--exclude-table-data=half*".to_owned())), "{without:?}");
        let named: Vec<Named> = (0..MOST_NAMED + 1).map(|at| Named { schema: "s".into(), name: format!("t{at}"), bytes: 0 }).collect();
        let pieces = only(1, &named);
        assert_eq!(pieces.iter().map(|piece| piece.arguments.len() - 2).collect::<Vec<_>>(), [MOST_NAMED, 1]);
        assert_eq!((pieces[1].name.as_str(), pieces[1].arguments[2].as_str()), ("dump-00001-rows-00002", "--table=\"s\".\"t5000\""));
        assert!(
            rows(1, 3, &known, &[])[1..].iter().flat_map(|piece| &piece.arguments).any(|word| word.contains("half \"\"; drop table x --"))
        );
    }
}
