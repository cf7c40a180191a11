//! Which table comes in which course, and what else comes with it. Nothing here looks at anything but a dump's table of contents and the tiers
//! of a policy, and with TimescaleDB at which of its tables lies in which.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::execute::table::source::TableName;
use crate::format::dump::{Item, Section};
use crate::units::{Duration, Name, nearest};

/// Tables that are promised together, in the words of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub name: Name,
    pub rto: Duration,
    pub which: Which,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// As they are written; one without a schema may be in any.
    Tables(Vec<(Option<String>, String)>),
    /// All that no other tier names.
    Rest,
    Everything,
}

/// What is brought back together and usable at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Absent for what no tier has.
    pub tier: Option<(Name, Duration)>,
    /// Tables of every kind, by their line.
    pub tables: Vec<i64>,
    /// Tables that come earlier than their own tier because of another one.
    pub early: Vec<Early>,
}

/// A table that another one is not usable without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Early {
    pub table: TableName,
    pub of: TableName,
    pub because: Because,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Its rows are among the other one's.
    Part,
    /// A policy, a rule, a view or a function reads it.
    Read,
}

/// A foreign key between two courses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Its table and its own name, as a dump lists it.
    pub key: String,
    /// The course that brings it.
    pub course: usize,
    /// The first course that has one of its tables.
    pub missed_in: usize,
}

/// What TimescaleDB says of the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// What has rows of another one, and which one that is: chunks, compressed or not, and what continuous aggregates are kept in.
    pub parts: BTreeSet<(TableName, TableName)>,
    /// Continuous aggregates, which are views.
    pub aggregates: BTreeSet<TableName>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub courses: Vec<Course>,
    /// By line.
    of: HashMap<i64, usize>,
    /// Views of either kind that lead to a table.
    away: BTreeSet<i64>,
    /// Of those, continuous aggregates.
    aggregates: BTreeSet<i64>,
    /// Parts of hypertables, and what belongs to nothing else.
    inner: BTreeSet<i64>,
    /// The tables of each foreign key.
    between: BTreeMap<i64, BTreeSet<i64>>,
    pub later: Vec<Later>,
}

/// A tier names what is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub tier: Name,
    pub table: String,
    /// What may have been meant; or all that it may be.
    pub near: Vec<TableName>,
    pub is_in_several: bool,
}

/// What may be named by a tier.
const RELATIONS: [&str; 4] = ["TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW"];
/// What TimescaleDB keeps for itself lies in schemas that begin so. Nobody else asks for it.
pub const OF_TIMESCALE: &str = "_timescaledb_";
/// What acts on everything comes when everything is there.
const LAST: [&str; 3] = ["EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION"];

/// Puts the tables into their courses. `tiers` stand in their order.
pub fn order(items: &[Item], shape: &Shape, tiers: &[Tier]) -> Result<Order, Vec<Unknown>> {
    let lines = Lines::of(items, shape);
    let mut named: Vec<(Vec<i64>, &Tier)> = Vec::new();
    let mut unknown = Vec::new();
    for tier in tiers {
        let mut own = Vec::new();
        for (schema, name) in tier.which.tables() {
            match lines.find(schema.as_deref(), name) {
                Ok(line) => own.push(line),
                Err((near, is_in_several)) => {
                    let table = schema.iter().chain([name]).cloned().collect::<Vec<_>>().join(".");
                    unknown.push(Unknown { tier: tier.name.clone(), table, near, is_in_several });
                }
            }
        }
        named.push((own, tier));
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let explicit: BTreeSet<i64> = named.iter().flat_map(|(own, _)| own.iter().copied()).collect();
    let anywhere = lines.with_parts(&explicit);
    let all = || items.iter().filter(|item| item.kind == "TABLE").map(|item| item.id);
    let mut dealing = Dealing { lines: &lines, named: &explicit, of: HashMap::new() };
    let mut courses = Vec::new();
    for (own, tier) in &named {
        let wanted: Vec<i64> = match tier.which {
            Which::Tables(_) => own.clone(),
            Which::Rest => all().filter(|line| !anywhere.contains(line)).collect(),
            Which::Everything => all().collect(),
        };
        courses.push(dealing.course(courses.len(), Some((tier.name.clone(), tier.rto)), &wanted));
    }
    let rest: Vec<i64> = all().collect();
    courses.push(dealing.course(courses.len(), None, &rest));
    if courses.last().is_some_and(|last| last.tables.is_empty()) && courses.len() > 1 {
        courses.pop();
    }
    let of = dealing.of;
    let last = courses.len() - 1;
    let is_view = |item: &&Item| matches!(item.kind.as_str(), "VIEW" | "MATERIALIZED VIEW") && !item.schema.starts_with(OF_TIMESCALE);
    let away: BTreeSet<i64> = items.iter().filter(is_view).map(|item| item.id).filter(|line| !lines.tables(*line).is_empty()).collect();
    let is_inner = |line: &i64| {
        let tables = lines.tables(*line);
        !tables.is_empty() && tables.is_subset(&lines.inner) && !away.contains(line)
    };
    let inner = if lines.inner.is_empty() { BTreeSet::new() } else { items.iter().map(|item| item.id).filter(is_inner).collect() };
    let aggregates = items.iter().filter(is_view).filter(|item| shape.aggregates.contains(&lines.name(item.id))).map(|item| item.id);
    let aggregates = aggregates.collect();
    let mut order = Order { courses, of, away, aggregates, inner, between: BTreeMap::new(), later: Vec::new() };
    let arrivals: Vec<(i64, usize)> = items.iter().map(|item| (item.id, order.arrival(&lines, item, last))).collect();
    for item in items.iter().filter(|item| item.kind == "FK CONSTRAINT") {
        let tables = lines.tables(item.id);
        let courses = tables.iter().filter_map(|table| order.of.get(table).copied());
        let (first, last) = courses.fold((usize::MAX, 0), |(first, last), one| (first.min(one), last.max(one)));
        // A chunk's is told with its hypertable's.
        if first < last && tables.is_disjoint(&lines.inner) {
            order.later.push(Later { key: format!("{}.{}", item.schema, item.name), course: last, missed_in: first });
        }
        order.between.insert(item.id, tables);
    }
    order.of.extend(arrivals);
    Ok(order)
}

impl Which {
    fn tables(&self) -> &[(Option<String>, String)] {
        match self {
            Which::Tables(tables) => tables,
            Which::Rest | Which::Everything => &[],
        }
    }
}

impl Order {
    /// With which course a line of the table of contents comes.
    pub fn course_of(&self, line: i64) -> usize {
        self.of.get(&line).copied().unwrap_or_default()
    }

    /// Nobody may see it before its course.
    pub fn is_away(&self, line: i64) -> bool {
        self.away.contains(&line)
    }

    pub fn is_aggregate(&self, line: i64) -> bool {
        self.aggregates.contains(&line)
    }

    /// It is a part of a hypertable, or belongs to nothing but such parts: it has its name from the beginning, in a place where nobody looks.
    pub fn is_inner(&self, line: i64) -> bool {
        self.inner.contains(&line)
    }

    /// The tables of a foreign key, on both its sides.
    pub fn tables_of(&self, key: i64) -> impl Iterator<Item = i64> {
        self.between.get(&key).into_iter().flatten().copied()
    }

    /// Those of them that were there before it.
    pub fn earlier(&self, key: i64, course: usize) -> impl Iterator<Item = i64> {
        self.tables_of(key).filter(move |table| self.course_of(*table) < course)
    }

    fn arrival(&self, lines: &Lines<'_>, item: &Item, last: usize) -> usize {
        if let Some(known) = self.of.get(&item.id) {
            return *known;
        }
        let is_last = |item: &Item| LAST.iter().any(|kind| item.kind.starts_with(kind)) || item.kind.starts_with("BLOB");
        // Also what is said of them.
        if is_last(item) || item.needs.iter().filter_map(|line| lines.by_id.get(line)).any(|needed| is_last(needed)) {
            return last;
        }
        lines.tables(item.id).into_iter().filter_map(|table| self.of.get(&table).copied()).max().unwrap_or_default()
    }
}

/// Tables are dealt out, course after course.
struct Dealing<'l> {
    lines: &'l Lines<'l>,
    /// By some tier.
    named: &'l BTreeSet<i64>,
    of: HashMap<i64, usize>,
}

impl Dealing<'_> {
    fn course(&mut self, number: usize, tier: Option<(Name, Duration)>, wanted: &[i64]) -> Course {
        let mut course = Course { tier, tables: Vec::new(), early: Vec::new() };
        let mut new = Vec::new();
        for line in wanted {
            if self.lines.is_table(*line) {
                self.take(number, *line, &mut course, &mut new);
                continue;
            }
            for read in self.lines.tables(*line) {
                if self.take(number, read, &mut course, &mut new) && !self.lines.inner.contains(&read) {
                    course.early.push(self.lines.early(read, *line, Because::Read));
                }
            }
        }
        while let Some(line) = new.pop() {
            for (other, because) in self.lines.needed_by(line) {
                // Partitions that nobody names are nobody else's.
                let is_told = !wanted.contains(&other)
                    && (self.named.contains(&other) || because == Because::Read && !self.lines.inner.contains(&other));
                if self.take(number, other, &mut course, &mut new) && is_told {
                    course.early.push(self.lines.early(other, line, because));
                }
            }
        }
        course.tables.sort_unstable();
        course
    }

    /// Whether nobody has it yet.
    fn take(&mut self, number: usize, line: i64, course: &mut Course, new: &mut Vec<i64>) -> bool {
        if self.of.contains_key(&line) {
            return false;
        }
        self.of.insert(line, number);
        course.tables.push(line);
        new.push(line);
        true
    }
}

/// The table of contents, by what needs what.
struct Lines<'l> {
    by_id: HashMap<i64, &'l Item>,
    /// Partitions and heirs.
    below: BTreeMap<i64, Vec<i64>>,
    /// Policies and rules, by their table.
    acting: BTreeMap<i64, Vec<i64>>,
    /// Rules of views, by their view: also what it really reads, where it is defined twice.
    rules: BTreeMap<i64, Vec<i64>>,
    /// Parts of hypertables.
    inner: BTreeSet<i64>,
}

impl<'l> Lines<'l> {
    fn of(items: &'l [Item], shape: &Shape) -> Lines<'l> {
        let by_id: HashMap<i64, &Item> = items.iter().map(|item| (item.id, item)).collect();
        let mut lines = Lines { by_id, below: BTreeMap::new(), acting: BTreeMap::new(), rules: BTreeMap::new(), inner: BTreeSet::new() };
        lines.put_parts(items, shape);
        for item in items {
            let needed = |kind: &'static str| {
                let all = item.needs.iter().filter_map(|id| lines.by_id.get(id).copied());
                all.filter(move |one| one.kind == kind).collect::<Vec<&Item>>()
            };
            // `orders own` is the policy `own` of `orders`.
            let is_of = |one: &&Item| {
                one.schema == item.schema && item.name.strip_prefix(one.name.as_str()).is_some_and(|rest| rest.starts_with(' '))
            };
            match item.kind.as_str() {
                "TABLE" => needed("TABLE").iter().for_each(|above| lines.below.entry(above.id).or_default().push(item.id)),
                "TABLE ATTACH" => {
                    let (own, above): (Vec<&Item>, Vec<&Item>) =
                        needed("TABLE").into_iter().partition(|one| one.schema == item.schema && one.name == item.name);
                    for above in above {
                        lines.below.entry(above.id).or_default().extend(own.iter().map(|one| one.id));
                    }
                }
                "RULE" | "POLICY" => {
                    let views =
                        needed("VIEW").into_iter().chain(needed("MATERIALIZED VIEW")).filter(is_of).map(|view| view.id).collect::<Vec<_>>();
                    views.into_iter().for_each(|view| lines.rules.entry(view).or_default().push(item.id));
                    let of = needed("TABLE").into_iter().filter(is_of).map(|table| table.id).collect::<Vec<_>>();
                    of.into_iter().for_each(|table| lines.acting.entry(table).or_default().push(item.id));
                }
                _ => {}
            }
        }
        lines
    }

    fn put_parts(&mut self, items: &[Item], shape: &Shape) {
        let tables = items.iter().filter(|item| item.kind == "TABLE" && !shape.parts.is_empty());
        let by_name: HashMap<(&str, &str), i64> = tables.map(|item| ((item.schema.as_str(), item.name.as_str()), item.id)).collect();
        let line = |table: &TableName| by_name.get(&(table.schema.as_str(), table.name.as_str())).copied();
        for (part, of) in shape.parts.iter().filter_map(|(part, of)| Some((line(part)?, line(of)?))) {
            self.below.entry(of).or_default().push(part);
            self.inner.insert(part);
        }
    }

    fn is_table(&self, line: i64) -> bool {
        self.by_id.get(&line).is_some_and(|item| item.kind == "TABLE")
    }

    /// The tables that a line leads to; of a table, itself.
    fn tables(&self, line: i64) -> BTreeSet<i64> {
        let (mut found, mut seen, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![line]);
        while let Some(line) = left.pop() {
            if !seen.insert(line) {
                continue;
            }
            if self.is_table(line) {
                found.insert(line);
                continue;
            }
            left.extend(self.by_id.get(&line).into_iter().flat_map(|item| item.needs.iter().copied()));
            left.extend(self.rules.get(&line).into_iter().flatten().copied());
        }
        found
    }

    /// These, and what their rows lie in.
    fn with_parts(&self, lines: &BTreeSet<i64>) -> BTreeSet<i64> {
        let (mut all, mut new) = (lines.clone(), lines.iter().copied().collect::<Vec<i64>>());
        while let Some(line) = new.pop() {
            new.extend(self.below.get(&line).into_iter().flatten().copied().filter(|below| all.insert(*below)));
        }
        all
    }

    /// What a table is not usable without.
    fn needed_by(&self, table: i64) -> Vec<(i64, Because)> {
        let below = self.below.get(&table).into_iter().flatten().map(|line| (*line, Because::Part));
        let acting = self.acting.get(&table).into_iter().flatten();
        // A default or a check may call a function that is kept as what it means.
        let calls = self.by_id.get(&table).into_iter().flat_map(|item| &item.needs);
        let calls = calls.filter(|line| self.by_id.get(line).is_some_and(|needed| needed.kind == "FUNCTION"));
        let read = acting.chain(calls).flat_map(|line| self.tables(*line)).filter(|read| *read != table);
        below.chain(read.map(|line| (line, Because::Read))).collect()
    }

    fn name(&self, line: i64) -> TableName {
        let item = self.by_id.get(&line);
        TableName {
            schema: item.map(|item| item.schema.clone()).unwrap_or_default(),
            name: item.map(|item| item.name.clone()).unwrap_or_default(),
        }
    }

    fn early(&self, line: i64, of: i64, because: Because) -> Early {
        Early { table: self.name(line), of: self.name(of), because }
    }

    /// Without a schema the one in `public`, or the only one.
    fn find(&self, schema: Option<&str>, name: &str) -> Result<i64, (Vec<TableName>, bool)> {
        let mut relations: Vec<&Item> = self.by_id.values().copied().filter(|item| RELATIONS.contains(&item.kind.as_str())).collect();
        relations.sort_by_key(|item| item.id);
        let called: Vec<&Item> =
            relations.iter().copied().filter(|item| item.name == name && schema.is_none_or(|schema| item.schema == schema)).collect();
        match called.as_slice() {
            [only] => Ok(only.id),
            [] => {
                let near = nearest(name, relations.iter().map(|item| item.name.as_str())).map(str::to_owned);
                let near = relations.iter().filter(|item| Some(&item.name) == near.as_ref()).map(|item| self.name(item.id));
                Err((near.collect(), false))
            }
            several => match several.iter().find(|item| item.schema == "public") {
                Some(usual) => Ok(usual.id),
                None => Err((several.iter().map(|item| self.name(item.id)).collect(), true)),
            },
        }
    }
}

/// The section in which each line is restored: where it says none, that of the line before it, as `pg_restore` has it.
pub fn sections(items: &[Item]) -> Vec<Section> {
    let mut current = Section::PreData;
    let of = |item: &Item| {
        if item.section != Section::None {
            current = item.section;
        }
        current
    };
    items.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: i64, kind: &str, name: &str, needs: &[i64]) -> Item {
        Item {
            id,
            oid: 0,
            kind: kind.into(),
            schema: "public".into(),
            name: name.into(),
            section: Section::None,
            definition: String::new(),
            copy: String::new(),
            tablespace: String::new(),
            needs: needs.to_vec(),
            owner: String::new(),
            has_data: false,
        }
    }

    fn tier(name: &str, which: Which) -> Tier {
        Tier { name: name.parse().expect("a name"), rto: "1h".parse().expect("a duration"), which }
    }

    fn tables(names: &[&str]) -> Which {
        Which::Tables(names.iter().map(|name| (None, (*name).to_owned())).collect())
    }

    /// users <-> orders, a partitioned log, a view over both, a policy of users that reads members.
    fn shop() -> Vec<Item> {
        vec![
            item(1, "TABLE", "users", &[]),
            item(2, "TABLE", "orders", &[]),
            item(3, "TABLE", "log", &[]),
            item(4, "TABLE", "log_1", &[]),
            item(5, "TABLE ATTACH", "log_1", &[3, 4]),
            item(6, "TABLE", "members", &[]),
            item(7, "VIEW", "seen", &[1, 2]),
            item(8, "TABLE DATA", "orders", &[2]),
            item(9, "CONSTRAINT", "users users_pkey", &[1]),
            item(10, "CONSTRAINT", "orders orders_pkey", &[2]),
            item(11, "FK CONSTRAINT", "users users_order", &[1, 10]),
            item(12, "FK CONSTRAINT", "orders orders_user", &[2, 9]),
            item(13, "POLICY", "users own", &[1, 6]),
            item(14, "PUBLICATION TABLE", "all users", &[1]),
            item(15, "TRIGGER", "users told", &[1]),
            item(16, "VIEW", "twice", &[]),
            item(17, "RULE", "twice _RETURN", &[16, 2]),
            item(18, "COMMENT", "CONSTRAINT users_order ON users", &[11]),
            item(19, "SEQUENCE", "counter", &[]),
        ]
    }

    #[test]
    fn a_tier_has_what_it_is_not_usable_without() {
        let order =
            order(&shop(), &Shape::default(), &[tier("critical", tables(&["users"])), tier("rest", Which::Rest)]).expect("an order");
        assert_eq!(order.courses.len(), 2);
        assert_eq!(order.courses[0].tables, [1, 6], "a policy reads members");
        assert_eq!(order.courses[0].early[0].because, Because::Read);
        assert_eq!(order.courses[1].tables, [2, 3, 4]);
        assert!(order.courses[1].early.is_empty());
        // A key leads to both; whatever depends on it comes with it.
        assert_eq!([9, 15, 13, 19].map(|line| order.course_of(line)), [0; 4]);
        assert_eq!([7, 8, 10, 11, 12, 14, 16, 17, 18].map(|line| order.course_of(line)), [1; 9]);
        assert_eq!(order.later.len(), 2);
        assert_eq!((order.later[0].key.as_str(), order.later[0].course, order.later[0].missed_in), ("public.users users_order", 1, 0));
    }

    #[test]
    fn partitions_come_with_their_table_unless_they_come_earlier() {
        let tiers = [tier("recent", tables(&["log_1"])), tier("log", tables(&["log"]))];
        let first = order(&shop(), &Shape::default(), &tiers).expect("an order");
        assert_eq!(first.courses.iter().map(|course| course.tables.as_slice()).collect::<Vec<_>>(), [&[4][..], &[3], &[1, 2, 6]]);
        assert_eq!(first.courses[2].tier, None);
        let turned = [tiers[1].clone(), tiers[0].clone()];
        let second = order(&shop(), &Shape::default(), &turned).expect("an order");
        assert_eq!(second.courses[0].tables, [3, 4]);
        let rest = order(&shop(), &Shape::default(), &[tier("rest", Which::Rest), tiers[1].clone()]).expect("an order");
        assert_eq!(rest.courses.iter().map(|course| course.tables.as_slice()).collect::<Vec<_>>(), [&[1, 2, 6][..], &[3, 4]]);
        assert!(rest.courses[1].early.is_empty());
        assert_eq!((second.courses[0].early[0].because, second.courses[1].tables.len()), (Because::Part, 0));
    }

    #[test]
    fn everything_and_rest_may_come_first() {
        let critical = tier("critical", tables(&["users"]));
        let all = order(&shop(), &Shape::default(), &[tier("all", Which::Everything), critical.clone()]).expect("an order");
        assert_eq!(all.courses.iter().map(|course| course.tables.len()).collect::<Vec<_>>(), [5, 0]);
        let rest = order(&shop(), &Shape::default(), &[tier("rest", Which::Rest), critical]).expect("an order");
        assert_eq!(rest.courses.iter().map(|course| course.tables.clone()).collect::<Vec<_>>(), [vec![2, 3, 4, 6], vec![1]]);
        // A view stands for what it reads.
        let view = order(&shop(), &Shape::default(), &[tier("seen", tables(&["seen"]))]).expect("an order");
        assert_eq!(view.courses[0].tables, [1, 2, 6]);
        assert_eq!(view.course_of(7), 0);
    }

    #[test]
    fn what_is_said_of_what_comes_last_comes_last() {
        let mut items = shop();
        items.extend([item(20, "PUBLICATION", "all", &[]), item(21, "COMMENT", "PUBLICATION all", &[20])]);
        let order = order(&items, &Shape::default(), &[tier("critical", tables(&["users"])), tier("rest", Which::Rest)]).expect("an order");
        assert_eq!([20, 21].map(|line| order.course_of(line)), [1; 2]);
    }

    #[test]
    fn a_view_comes_with_what_its_rules_write() {
        let mut items = shop();
        items.extend([item(20, "VIEW", "names", &[1]), item(21, "RULE", "names taken", &[20, 2]), item(22, "VIEW", "none", &[])]);
        let order = order(&items, &Shape::default(), &[tier("critical", tables(&["users"])), tier("rest", Which::Rest)]).expect("an order");
        assert_eq!([20, 21].map(|line| order.course_of(line)), [1; 2]);
        assert_eq!([20, 22].map(|line| order.is_away(line)), [true, false]);
    }

    #[test]
    fn what_a_function_of_a_default_reads_comes_with_its_table() {
        let mut items = shop();
        items.extend([item(20, "FUNCTION", "next_order()", &[2]), item(21, "TABLE", "baskets", &[20])]);
        let order =
            order(&items, &Shape::default(), &[tier("critical", tables(&["baskets"])), tier("rest", Which::Rest)]).expect("an order");
        assert_eq!((order.courses[0].tables.as_slice(), order.courses[0].early[0].because), (&[2, 21][..], Because::Read));
    }

    /// A hypertable with a chunk and its compressed rows, and two aggregates, the second of the first.
    fn readings() -> (Vec<Item>, Shape) {
        let own =
            |id, kind: &str, name: &str, needs: &[i64]| Item { schema: "_timescaledb_internal".into(), ..item(id, kind, name, needs) };
        let items = vec![
            item(1, "TABLE", "readings", &[]),
            own(2, "TABLE", "_hyper_1_1_chunk", &[1]),
            own(3, "TABLE", "compress_hyper_2_2_chunk", &[]),
            own(4, "TABLE", "_materialized_hypertable_3", &[]),
            item(5, "VIEW", "hourly", &[4, 1]),
            own(6, "VIEW", "_direct_view_3", &[1]),
            own(7, "TABLE", "_materialized_hypertable_4", &[]),
            item(8, "VIEW", "daily", &[7]),
            item(9, "TABLE", "devices", &[]),
            own(10, "INDEX", "_hyper_1_1_chunk_at_idx", &[2]),
            item(11, "INDEX", "readings_at_idx", &[1]),
            item(12, "FK CONSTRAINT", "readings of", &[1, 9]),
            own(13, "FK CONSTRAINT", "_hyper_1_1_chunk 1_of", &[2, 9]),
        ];
        let table = |name: &str| {
            let schema = if name.starts_with('_') || name.starts_with("compress_") { "_timescaledb_internal" } else { "public" };
            TableName { schema: schema.into(), name: name.into() }
        };
        let parts = [
            ("_hyper_1_1_chunk", "readings"),
            ("compress_hyper_2_2_chunk", "_hyper_1_1_chunk"),
            ("_materialized_hypertable_3", "readings"),
            ("_materialized_hypertable_4", "_materialized_hypertable_3"),
            ("gone", "readings"),
        ];
        let parts = parts.into_iter().map(|(part, of)| (table(part), table(of))).collect();
        (items, Shape { parts, aggregates: [table("hourly"), table("daily")].into() })
    }

    #[test]
    fn a_hypertable_comes_with_all_that_its_rows_lie_in() {
        let (items, shape) = readings();
        let rest = tier("rest", Which::Rest);
        let first = order(&items, &shape, &[tier("critical", tables(&["readings"])), rest.clone()]).expect("an order");
        assert_eq!(first.courses.iter().map(|course| course.tables.clone()).collect::<Vec<_>>(), [vec![1, 2, 3, 4, 7], vec![9]]);
        assert!(first.courses[0].early.is_empty(), "{:?}", first.courses[0].early);
        assert_eq!([2, 3, 4, 7, 10].map(|line| first.is_inner(line)), [true; 5]);
        assert_eq!([1, 5, 8, 9, 11, 12, 13].map(|line| first.is_inner(line)), [false; 7]);
        assert_eq!([5, 6, 8].map(|line| (first.is_away(line), first.is_aggregate(line))), [(true, true), (false, false), (true, true)]);
        assert_eq!(first.later.iter().map(|later| later.key.as_str()).collect::<Vec<_>>(), ["public.readings of"]);
        // The rest of it is what no tier names: no part of a hypertable that one names.
        let second = order(&items, &shape, &[rest, tier("late", tables(&["readings"]))]).expect("an order");
        assert_eq!(second.courses.iter().map(|course| course.tables.clone()).collect::<Vec<_>>(), [vec![9], vec![1, 2, 3, 4, 7]]);
    }

    #[test]
    fn a_continuous_aggregate_may_come_before_what_it_is_made_of() {
        let (items, shape) = readings();
        let tiers = [tier("shown", tables(&["daily"])), tier("rest", Which::Rest)];
        let order = order(&items, &shape, &tiers).expect("an order");
        assert_eq!(order.courses.iter().map(|course| course.tables.clone()).collect::<Vec<_>>(), [vec![7], vec![1, 2, 3, 4, 9]]);
        assert!(order.courses[0].early.is_empty());
        assert_eq!([8, 5].map(|line| order.course_of(line)), [0, 1]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let wrong = order(&shop(), &Shape::default(), &[tier("critical", tables(&["user", "orders"]))]).expect_err("no such table");
        assert_eq!((wrong.len(), wrong[0].table.as_str(), wrong[0].near[0].to_string().as_str()), (1, "user", "public.users"));
    }

    #[test]
    fn a_line_without_a_section_has_that_of_the_line_before() {
        let with = |section: Section| Item { section, ..item(1, "TABLE", "t", &[]) };
        let all = sections(&[with(Section::None), with(Section::Data), with(Section::None), with(Section::PostData)]);
        assert_eq!(all, [Section::PreData, Section::Data, Section::Data, Section::PostData]);
    }
}
