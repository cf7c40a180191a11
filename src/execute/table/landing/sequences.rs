//! The sequences that a table's columns take their numbers from: they go forward when rows need it, and never back.

use super::about::{About, sql};
use crate::execute::table::source::TableName;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Fault};

const OWNED: &str = "\
    select sn.nspname as schema, s.relname as name, a.attname as column, q.seqincrement > 0 as upwards, q.seqincrement::text as step, \
      case when q.seqincrement > 0 then q.seqmax else q.seqmin end::text as last \
    from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_namespace sn on sn.oid = s.relnamespace \
    join pg_sequence q on q.seqrelid = s.oid join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid \
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjid = $1::oid \
      and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype) \
    order by 1, 2";

/// So many of its last steps a sequence goes one by one.
const NEAR: i128 = 1000;

/// A sequence that must have given a number before it gives another one.
#[derive(Debug)]
pub(super) struct Need {
    sequence: String,
    step: i128,
    most: i128,
}

/// What `rows` ask of the sequences of their table. Only rows that come ask for anything, and none for what a sequence can never give: a row with the
/// largest number of all, which somebody wrote by hand, would leave no number for the next one.
pub(super) fn needed(connection: &mut Connection, about: &About, rows: &str) -> Result<Vec<Need>, Fault> {
    let mut needs = Vec::new();
    for row in &connection.query(OWNED, &[&about.oid])? {
        let sequence = sql(&TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() });
        let (column, step, last) = (quoted(row.text("column")?), row.parse::<i128>("step")?, row.text("last")?);
        let (most, before) = if row.flag("upwards")? { ("max", "<") } else { ("min", ">") };
        let sql = format!(
            "select trunc({most}(b.{column}::numeric))::text as most from (select {column} from {rows}) b where b.{column}::numeric {before} {last}"
        );
        if let Some(most) = connection.query(&sql, &[])?.one()?.parse_if("most")? {
            needs.push(Need { sequence, step, most });
        }
    }
    Ok(needs)
}

/// Gives the next number after all that are needed. Says which ones it moved. In no transaction: a sequence that goes forward stays there.
///
/// Others take numbers meanwhile, and no lock of a table keeps them from it. To be set, a sequence has to be read before, and what others took in
/// between would be given out again. So it is set to a number well before the one that is needed, further than anybody gets in that moment,
/// and goes on as everybody's does.
pub(super) fn forward(connection: &mut Connection, needs: &[Need]) -> Result<Vec<String>, Fault> {
    let mut moved = Vec::new();
    for Need { sequence, step, most } in needs {
        let state = connection.query(&format!("select last_value::text as last, is_called as called from {sequence}"), &[])?;
        let state = state.one()?;
        let last: i128 = state.parse("last")?;
        let mut steps = steps(*most, last, *step, state.flag("called")?);
        if steps <= 0 {
            continue;
        }
        let name = literal(sequence);
        if steps > 2 * NEAR {
            // In whole steps from where it stands.
            let near = last + (steps - NEAR) * step;
            connection.query(&format!("select setval({name}, {near})"), &[])?;
            steps = self::steps(*most, near, *step, true);
        }
        let sql = format!(
            "select max(n)::text as up, min(n)::text as down from (select nextval({name}) as n from generate_series(1, {steps})) x"
        );
        let now = connection.query(&sql, &[])?.one()?.text(if *step > 0 { "up" } else { "down" })?.to_owned();
        moved.push(format!("the sequence {sequence} went forward to {now}"));
    }
    Ok(moved)
}

/// How many numbers it has to give so that the next one lies behind `most`. One that was never called stands on the number that it gives
/// next.
fn steps(most: i128, last: i128, step: i128, is_called: bool) -> i128 {
    let whole = ((most - last) * step.signum()).div_euclid(step.abs());
    if is_called { whole } else { whole + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_lies_behind_all() {
        for (most, last, step, is_called, expected) in [
            (10, 10, 1, true, 0),
            (10, 10, 1, false, 1),
            (10, 1, 1, false, 10),
            (10, 7, 1, true, 3),
            (7, 10, 1, true, -3),
            (1003, 993, 10, true, 1),
            (1003, 995, 10, true, 0),
            (-10, -7, -1, true, 3),
            (-10, -3, -5, true, 1),
            (-1, 5, 1, true, -6),
            (i128::from(i64::MAX), 1, 1, true, i128::from(i64::MAX) - 1),
        ] {
            let steps = steps(most, last, step, is_called);
            assert_eq!(steps, expected, "{most} {last} {step} {is_called}");
            if steps >= 0 {
                // The number that comes next, and the one before it.
                let next = last + step * if is_called { steps + 1 } else { steps };
                assert!(if step > 0 { next > most } else { next < most }, "{most} {last} {step}");
                assert!(steps == 0 || (if step > 0 { next - step <= most } else { next - step >= most }), "{most} {last} {step}");
            }
        }
    }
}
